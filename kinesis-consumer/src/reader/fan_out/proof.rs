//! Whether a record is still kept.

use kinesis_core::{GetRecordsReply, IteratorStart, RecordPosition, RequestError, RequestErrorKind, retry};
use tokio::time::sleep;

use super::FanOutReader;
use crate::error::ConsumerError;
use crate::reader::expand::sequence_number;
use crate::schema::Schema;

/// How often is asked on where a reply is empty and not at the tip, which the service does without a reason.
const MOST_EMPTY_REPLIES: u32 = 20;

impl<S: Schema> FanOutReader<S> {
    /// Whether the record is still kept, so that nothing behind it is gone; by two calls of polling.
    ///
    /// A subscription goes on over what retention has taken without a word. That is asked for shards alone that are as far
    /// behind as their stream's retention.
    pub(super) async fn is_still_there(&mut self, record: RecordPosition) -> Result<bool, ConsumerError> {
        loop {
            match self.look_for(record).await {
                Ok(found) => return Ok(found),
                Err(ConsumerError::Request(error)) if is_for_the_moment(&error) => {
                    let settings = &self.outlet.shared.settings;
                    sleep(settings.get_records.backoff.max.max(settings.pacing.interval)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn look_for(&mut self, record: RecordPosition) -> Result<bool, ConsumerError> {
        let shared = &self.outlet.shared;
        let (service, id, settings) = (&shared.service, &self.outlet.id, &shared.settings);
        let start = IteratorStart::AtSequenceNumber(record.sequence_number);
        let asking = || service.get_shard_iterator(&id.stream, &id.shard, start);
        let iterator = retry(settings.get_iterator, &mut self.random, asking).await.map_err(ConsumerError::Request)?;
        let mut iterator = Some(iterator);
        for _ in 0..MOST_EMPTY_REPLIES {
            let Some(from) = iterator else { return Ok(false) };
            let reading = || service.get_records(&id.stream, &id.shard, &from, 1);
            let reply = retry(settings.get_records, &mut self.random, reading).await;
            let GetRecordsReply { output, .. } = reply.map_err(ConsumerError::Request)?;
            if let Some(first) = output.records.first() {
                return Ok(sequence_number(id, first)? == record.sequence_number);
            }
            if output.millis_behind_latest == Some(0) {
                return Ok(false);
            }
            iterator = output.next_shard_iterator;
            sleep(settings.pacing.interval).await;
        }
        Ok(false)
    }
}

/// Whether an error says nothing about the record or the job.
fn is_for_the_moment(error: &RequestError) -> bool {
    error.is_throttle() || error.kind() == RequestErrorKind::ExpiredIterator
}
