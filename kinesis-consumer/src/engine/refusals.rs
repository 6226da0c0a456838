//! What a schema refused, dealt with before the position passes it.

use std::sync::Arc;

use crate::error::ConsumerError;
use crate::events::ConsumerEvent;
use crate::reader::ReaderShared;
use crate::record::StreamShard;
use crate::schema::{Judged, Refusals, Schema};

/// Hands the refused records of a batch to the dead-letter hook, in their order, or lets them go; tells the listener.
///
/// Cancel safety: what the hook took by then it is given again when the batch is read again.
pub(crate) async fn settle<S: Schema>(
    readers: Arc<ReaderShared<Judged<S>>>,
    shard: StreamShard,
    refusals: Refusals,
) -> Result<(), ConsumerError> {
    let Refusals { first, count, letters } = refusals;
    let Some(hook) = readers.schema.letters() else {
        tracing::warn!(%shard, position = %first, count, "records refused by the schema, skipped");
        (readers.listener)(&ConsumerEvent::RecordsSkipped { shard, position: first, count });
        return Ok(());
    };
    for letter in letters {
        let position = letter.record.position;
        let refused = |source| ConsumerError::DeadLetter { shard: shard.clone(), position, source };
        hook.take(letter).await.map_err(refused)?;
    }
    tracing::warn!(%shard, position = %first, count, "records refused by the schema, taken by the dead-letter hook");
    (readers.listener)(&ConsumerEvent::RecordsDeadLettered { shard, position: first, count });
    Ok(())
}
