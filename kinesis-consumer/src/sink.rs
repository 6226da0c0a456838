//! Where outputs go.

use async_trait::async_trait;
use kinesis_core::{CheckpointParticipant, CommitHandle, Epoch, ParticipantError};

use crate::record::StreamShard;

mod file;
mod forward;

pub use file::FileSink;
pub use forward::ForwardSink;

/// Takes a job's outputs and makes them visible with the checkpoint that holds their effects.
///
/// What is written for an epoch becomes durable in [`pre_commit`](CheckpointParticipant::pre_commit) of that epoch, which
/// is called once every subtask has passed it; some may have written for the next epoch by then.
#[async_trait]
pub trait Sink<T>: CheckpointParticipant {
    /// Takes outputs of a shard, to be committed with `epoch`.
    ///
    /// # Errors
    /// [`ParticipantError`] fails the job; what was written since the last checkpoint is aborted on restore.
    async fn write(&self, epoch: Epoch, shard: &StreamShard, items: Vec<T>) -> Result<(), ParticipantError>;
}

/// The sink of a job without outputs.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSink;

#[async_trait]
impl CheckpointParticipant for NoSink {
    async fn pre_commit(&self, _epoch: Epoch) -> Result<Option<CommitHandle>, ParticipantError> {
        Ok(None)
    }

    async fn commit(&self, _handle: &CommitHandle) -> Result<(), ParticipantError> {
        Ok(())
    }

    async fn recover(&self, _last: Epoch, _committed: &[CommitHandle]) -> Result<(), ParticipantError> {
        Ok(())
    }
}

#[async_trait]
impl Sink<()> for NoSink {
    async fn write(&self, _epoch: Epoch, _shard: &StreamShard, _items: Vec<()>) -> Result<(), ParticipantError> {
        Ok(())
    }
}
