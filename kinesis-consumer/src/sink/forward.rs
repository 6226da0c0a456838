//! Outputs handed on, one by one, to whatever takes part in checkpoints.

use std::fmt;
use std::future::Future;

use async_trait::async_trait;
use kinesis_core::{CheckpointParticipant, CommitHandle, Epoch, ParticipantError};

use super::Sink;
use crate::record::StreamShard;
use crate::schema::BoxError;

/// Hands each output to a function, and lets a participant speak for what came of it.
///
/// For a participant that knows nothing of consumers, such as the sink of a producer: the function gets a clone of it
/// and an output, and the participant's [`pre_commit`](CheckpointParticipant::pre_commit) waits until what was handed
/// over is durable. Outputs of a shard are handed over in their order, each once the one before was accepted.
///
/// ```
/// use kinesis_consumer::{BoxError, ForwardSink, NoSink};
///
/// // With the sink of kinesis-producer: `ForwardSink::new(sink, |sink, order| async move { sink.write(&order).await })`.
/// let sink = ForwardSink::new(NoSink, |_, order: String| async move {
///     println!("{order}");
///     Ok::<_, BoxError>(())
/// });
/// # let _: &dyn kinesis_consumer::Sink<String> = &sink;
/// ```
#[derive(Clone)]
pub struct ForwardSink<P, W> {
    participant: P,
    write: W,
}

impl<P, W> ForwardSink<P, W> {
    /// Makes the sink of a participant, and of the function that writes through it.
    pub const fn new(participant: P, write: W) -> Self {
        Self { participant, write }
    }
}

impl<P: fmt::Debug, W> fmt::Debug for ForwardSink<P, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForwardSink").field("participant", &self.participant).finish_non_exhaustive()
    }
}

#[async_trait]
impl<P: CheckpointParticipant, W: Send + Sync> CheckpointParticipant for ForwardSink<P, W> {
    async fn pre_commit(&self, epoch: Epoch) -> Result<Option<CommitHandle>, ParticipantError> {
        self.participant.pre_commit(epoch).await
    }

    async fn commit(&self, handle: &CommitHandle) -> Result<(), ParticipantError> {
        self.participant.commit(handle).await
    }

    async fn recover(&self, last: Epoch, committed: &[CommitHandle]) -> Result<(), ParticipantError> {
        self.participant.recover(last, committed).await
    }
}

#[async_trait]
impl<T, P, W, F, E> Sink<T> for ForwardSink<P, W>
where
    T: Send + 'static,
    P: CheckpointParticipant + Clone,
    W: Fn(P, T) -> F + Send + Sync,
    F: Future<Output = Result<(), E>> + Send,
    E: Into<BoxError>,
{
    async fn write(&self, epoch: Epoch, shard: &StreamShard, items: Vec<T>) -> Result<(), ParticipantError> {
        for item in items {
            let written = (self.write)(self.participant.clone(), item).await;
            written.map_err(|error| ParticipantError {
                action: "write",
                epoch,
                subject: shard.to_string(),
                source: error.into(),
            })?;
        }
        Ok(())
    }
}
