//! What a checkpoint holds.

use std::time::SystemTime;

use bytes::Bytes;
use kinesis_core::{CommitHandle, Epoch, Shard, StreamArn, StreamName};

use crate::lineage::ShardProgress;
use crate::position::ShardPosition;
use crate::record::StreamShard;

mod format;
mod wire;

pub use format::DecodeCheckpointError;

/// Everything that a job needs to go on where it stopped.
///
/// Written after every subtask has acknowledged the epoch; per-shard cuts need no alignment, since each shard's state
/// and position are taken together.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Checkpoint {
    /// The job's name.
    pub job: String,
    /// The number of the checkpoint.
    pub epoch: Epoch,
    /// When it was taken, by the consumer's clock.
    pub taken_at: SystemTime,
    /// The streams, in the order of their names.
    pub streams: Vec<StreamState>,
    /// What participants pre-committed for this epoch; committed again when the job is restored.
    pub pending: Vec<CommitHandle>,
}

/// What a checkpoint holds of a stream.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StreamState {
    /// The stream's name.
    pub name: StreamName,
    /// The stream's ARN: with the creation time, what tells it from a later stream of the same name.
    pub arn: StreamArn,
    /// When the stream was created.
    pub created_at: SystemTime,
    /// Where shards without a parent in the state begin.
    pub start: ShardPosition,
    /// When the last complete listing was asked for, by the service's clock: what is not in the state was not there.
    pub listed_at: SystemTime,
    /// The shards, in the order of their ids.
    pub shards: Vec<ShardState>,
}

/// What a checkpoint holds of a shard.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ShardState {
    /// The shard's id, range and parents.
    pub shard: Shard,
    /// Where it begins, or began.
    pub start: ShardPosition,
    /// What arrives in it from then on is to be read, by the service's clock: when the job began, or the last listing
    /// that lacked the shard.
    pub owed_since: SystemTime,
    /// Whether its records were gone before it was begun, and that was accepted.
    ///
    /// It counts as finished, and its children inherit what it would have.
    pub skipped: bool,
    /// How far it was read; nothing for one that waits for its parents, or was skipped.
    pub progress: Option<ShardProgress>,
}

impl Checkpoint {
    pub(crate) fn empty(job: &str) -> Self {
        let (epoch, taken_at) = (Epoch::default(), SystemTime::UNIX_EPOCH);
        Self { job: job.to_owned(), epoch, taken_at, streams: Vec::new(), pending: Vec::new() }
    }

    /// Raises all shards to a watermark that the job had come to, so that it does not go back where it is restored.
    pub(crate) fn reach(&mut self, watermark: Option<SystemTime>) {
        let shards = self.streams.iter_mut().flat_map(|stream| &mut stream.shards);
        for progress in shards.filter_map(|state| state.progress.as_mut()) {
            progress.watermark = progress.watermark.max(watermark);
        }
    }

    /// The same shards as if nothing of them had been read; begun are those that `started` has progress for, at their
    /// start, and ended those that were given up unread.
    pub(crate) fn at_starts(mut self, started: impl Fn(&StreamShard, ShardPosition) -> Option<ShardProgress>) -> Self {
        for StreamState { name, shards, .. } in &mut self.streams {
            for ShardState { shard, start, progress, .. } in shards {
                let id = StreamShard { stream: name.clone(), shard: shard.id.clone() };
                let is_given_up = progress.as_ref().is_some_and(|progress| progress.position.is_ended());
                if let Some(started) = started(&id, *start) {
                    *progress = Some(started);
                } else if !is_given_up {
                    *progress = None;
                }
            }
        }
        self
    }
}

impl ShardProgress {
    /// Of a shard that no processor works on.
    pub(crate) const fn without_state(position: ShardPosition, watermark: Option<SystemTime>) -> Self {
        Self { position, user_state: Bytes::new(), watermark }
    }
}
