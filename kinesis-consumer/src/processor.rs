//! User code with state, one per shard.

use async_trait::async_trait;
use bytes::Bytes;
use kinesis_core::HashKeyRange;

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
