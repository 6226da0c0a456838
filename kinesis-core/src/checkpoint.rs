//! What takes part in a checkpoint: sinks, producers, anything with effects outside.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use thiserror::Error;

/// The number of a checkpoint, rising by one within a job; checkpoint 0 is taken before the first record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch after this one.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a participant needs to commit a pre-committed epoch, also in another process after a crash.
///
/// It is saved in the checkpoint; the bytes mean something to the participant alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitHandle {
    /// The checkpoint that the handle belongs to.
    pub epoch: Epoch,
    /// The participant's own description of what is to be committed.
    pub payload: Bytes,
}

/// A participant's failure, with what it was doing and on what.
#[derive(Debug, Error)]
#[error("{action} of epoch {epoch} failed on {subject}")]
pub struct ParticipantError {
    /// What was tried: `"pre-commit"`, `"commit"`, …
    pub action: &'static str,
    /// The epoch concerned.
    pub epoch: Epoch,
    /// What it was tried on, such as a file or a stream.
    pub subject: String,
    /// The cause.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// Something whose effects become visible together with a checkpoint, or not at all.
///
/// The order is always: every participant's [`pre_commit`](Self::pre_commit) is durable, then the checkpoint (with the
/// handles) is durable, then [`commit`](Self::commit). After a crash, [`recover`](Self::recover) gets the handles of the
/// last durable checkpoint. Every call but the first may be repeated after a crash and must then have no further effect.
#[async_trait]
pub trait CheckpointParticipant: Send + Sync {
    /// Makes everything written up to `epoch` durable, and invisible; nothing to commit yields no handle.
    ///
    /// # Errors
    /// [`ParticipantError`] fails the checkpoint and the job; what was written is aborted when the job is restored.
    async fn pre_commit(&self, epoch: Epoch) -> Result<Option<CommitHandle>, ParticipantError>;

    /// Makes a pre-committed epoch visible. Idempotent.
    ///
    /// # Errors
    /// [`ParticipantError`] fails the job; the commit is repeated when the job is restored.
    async fn commit(&self, handle: &CommitHandle) -> Result<(), ParticipantError>;

    /// Takes up after a crash: commits `committed` again and removes whatever else was pre-committed. Idempotent.
    ///
    /// `last` is the epoch of the checkpoint restored from.
    ///
    /// # Errors
    /// [`ParticipantError`] fails the restore, which may be tried again.
    async fn recover(&self, last: Epoch, committed: &[CommitHandle]) -> Result<(), ParticipantError>;
}
