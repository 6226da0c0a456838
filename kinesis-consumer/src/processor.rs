//! User code with state, one per shard.

use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use kinesis_core::HashKeyRange;
use thiserror::Error;

use crate::record::{Batch, StreamShard};
use crate::schema::BoxError;

/// The shard that a processor is made for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShardContext {
    /// The shard.
    pub shard: StreamShard,
    /// The hash keys that the shard takes.
    pub hash_key_range: HashKeyRange,
    /// The subtask that reads it, from 0.
    pub subtask: usize,
}

/// State that a processor is given before its first record.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SavedState {
    /// The shard that the state was saved for.
    pub shard: StreamShard,
    /// The hash keys that that shard took.
    pub hash_key_range: HashKeyRange,
    /// What [`Processor::snapshot`] returned.
    pub bytes: Bytes,
}

/// What is done with a shard's records, with state that survives crashes and follows resharding.
///
/// One processor exists per shard that is read. Its state enters the checkpoint together with the shard's position, so
/// that each record changes saved state once. Restart, another parallelism and resharding are one mechanism: a
/// processor is made afresh and given saved states.
#[async_trait]
pub trait Processor<T>: Send + 'static {
    /// What is written to the sink, `()` where there is none.
    type Output: Send + 'static;

    /// Takes in items in the order of the shard, and may write outputs.
    ///
    /// Called again with the same items after a crash, on state and sink as they were at the checkpoint. The next batch
    /// of the same subtask waits for the return: that is the back-pressure.
    ///
    /// # Errors
    /// Any error fails the job; a restored job sees the batch again.
    async fn process(&mut self, batch: Batch<T>, output: &mut Vec<Self::Output>) -> Result<(), BoxError>;

    /// The state, for a checkpoint; called between batches.
    ///
    /// # Errors
    /// Any error fails the job.
    fn snapshot(&self) -> Result<Bytes, BoxError>;

    /// Takes up saved states; called once, before any record, unless there are none.
    ///
    /// After a restart that is the one state of the shard itself. For a shard made by resharding it is the final state
    /// of each parent, in the order of their ranges: one after a split, of which this shard takes the part in its own
    /// range, and two after a merge.
    ///
    /// # Errors
    /// Any error fails the job.
    fn restore(&mut self, states: &[SavedState]) -> Result<(), BoxError>;

    /// The job's watermark has advanced: no record before it is expected any more, of any shard.
    ///
    /// Called between batches, and before the first one where the watermark is known by then; never without a
    /// [strategy](crate::WatermarkStrategy). The watermark is of the whole job, so that the end of a window in one shard
    /// waits for the others. Called again after a crash, on the state of the checkpoint, from a watermark that is not before
    /// the one at the checkpoint.
    ///
    /// # Errors
    /// Any error fails the job.
    fn on_watermark(&mut self, watermark: SystemTime, output: &mut Vec<Self::Output>) -> Result<(), BoxError> {
        let _ = (watermark, output);
        Ok(())
    }

    /// The shard was closed and read to its end; a last chance to write.
    ///
    /// The snapshot that follows is what its children are given.
    ///
    /// # Errors
    /// Any error fails the job.
    fn end(&mut self, output: &mut Vec<Self::Output>) -> Result<(), BoxError> {
        let _ = output;
        Ok(())
    }
}

/// A processor without state: a closure from a batch to its outputs.
///
/// The sink shows each output once. Whatever else the closure does is done again after a crash.
///
/// ```
/// use kinesis_consumer::{Batch, Stateless};
///
/// let copy = Stateless(|batch: Batch<String>| Ok(batch.items));
/// # fn check(_: impl kinesis_consumer::Processor<String, Output = String>) {}
/// # check(copy);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Stateless<F>(pub F);

#[async_trait]
impl<T, O, F> Processor<T> for Stateless<F>
where
    T: Send + 'static,
    O: Send + 'static,
    F: FnMut(Batch<T>) -> Result<Vec<O>, BoxError> + Send + 'static,
{
    type Output = O;

    async fn process(&mut self, batch: Batch<T>, output: &mut Vec<O>) -> Result<(), BoxError> {
        output.extend(self.0(batch)?);
        Ok(())
    }

    fn snapshot(&self) -> Result<Bytes, BoxError> {
        Ok(Bytes::new())
    }

    fn restore(&mut self, states: &[SavedState]) -> Result<(), BoxError> {
        match states.iter().find(|state| !state.bytes.is_empty()) {
            None => Ok(()),
            Some(state) => Err(Box::new(UnexpectedStateError { shard: state.shard.clone() })),
        }
    }
}

/// A checkpoint holds state for a processor that has none.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "the checkpoint holds state of {shard}, which a processor without state would throw away: use the processor that \
     saved it, or another job name"
)]
#[non_exhaustive]
pub struct UnexpectedStateError {
    /// The shard that the state was saved for.
    pub shard: StreamShard,
}

#[cfg(test)]
mod tests {
    use super::*;
    use kinesis_core::ShardId;

    #[test]
    fn state_of_another_processor_is_not_thrown_away() {
        let mut copy = Stateless(|batch: Batch<u8>| Ok(batch.items));
        let shard = StreamShard { stream: "orders".parse().unwrap(), shard: ShardId::from_index(3) };
        let saved = |bytes| SavedState { shard: shard.clone(), hash_key_range: HashKeyRange::FULL, bytes };
        copy.restore(&[saved(Bytes::new())]).unwrap();
        let error = copy.restore(&[saved(Bytes::new()), saved(Bytes::from_static(b"7"))]).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&UnexpectedStateError { shard }));
    }
}
