//! The order of a checkpoint: pre-commit, checkpoint, commit.

use std::sync::Arc;

use kinesis_core::{CheckpointParticipant, Epoch};

use crate::error::ConsumerError;
use crate::mutants::Mutant;
use crate::state::Checkpoint;
use crate::store::{CheckpointStore, Incarnation};

/// A checkpoint that is durable, and whose outputs are visible.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Completed {
    pub(crate) epoch: Epoch,
    pub(crate) bytes: usize,
}

/// Carries a checkpoint out, against the store as one incarnation of the job.
pub(crate) struct Committer<K: ?Sized> {
    pub(crate) store: Arc<dyn CheckpointStore>,
    pub(crate) sink: Arc<K>,
    pub(crate) incarnation: Incarnation,
    pub(crate) mutant: Option<Mutant>,
}

impl<K: CheckpointParticipant + ?Sized> Committer<K> {
    /// Makes output and checkpoint durable, in that order, then the output visible.
    ///
    /// A crash after the first step leaves orphans, which the restore removes; one after the second leaves pending
    /// commits, which the restore repeats.
    pub(crate) async fn complete(&self, mut checkpoint: Checkpoint) -> Result<Completed, ConsumerError> {
        if self.mutant == Some(Mutant::CheckpointBeforePreCommit) {
            self.put(&checkpoint).await?;
        }
        let handle = self.sink.pre_commit(checkpoint.epoch).await.map_err(ConsumerError::Sink)?;
        if let Some(handle) = handle.as_ref().filter(|_| self.mutant == Some(Mutant::PublishBeforeCheckpoint)) {
            self.sink.commit(handle).await.map_err(ConsumerError::Sink)?;
        }
        checkpoint.pending.extend(handle.clone());
        self.put(&checkpoint).await?;
        let bytes = checkpoint.encode().len();
        if let Some(handle) = &handle {
            self.sink.commit(handle).await.map_err(ConsumerError::Sink)?;
        }
        Ok(Completed { epoch: checkpoint.epoch, bytes })
    }

    async fn put(&self, checkpoint: &Checkpoint) -> Result<(), ConsumerError> {
        self.store.put(self.incarnation, checkpoint).await.map_err(ConsumerError::Store)
    }

    /// Takes up after a crash: pending commits are repeated, what belongs to no checkpoint is removed.
    pub(crate) async fn recover(&self, checkpoint: &Checkpoint) -> Result<(), ConsumerError> {
        let forget = self.mutant == Some(Mutant::ForgetPendingCommits);
        let pending = if forget { &[] } else { checkpoint.pending.as_slice() };
        self.sink.recover(checkpoint.epoch, pending).await.map_err(ConsumerError::Sink)
    }

    /// Checkpoint 0, before the first record: nothing of an earlier run may be left in the sink.
    pub(crate) async fn begin(&self, checkpoint: &Checkpoint) -> Result<(), ConsumerError> {
        self.put(checkpoint).await?;
        self.sink.recover(checkpoint.epoch, &[]).await.map_err(ConsumerError::Sink)
    }
}
