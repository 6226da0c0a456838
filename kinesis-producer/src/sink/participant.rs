//! The part in a checkpoint, of a sink and of a bare producer.

use async_trait::async_trait;
use kinesis_core::{CheckpointParticipant, CommitHandle, Epoch, ParticipantError};

use super::{BoxError, KinesisSink};
use crate::error::FlushError;
use crate::producer::KinesisProducer;

fn pre_commit_failed(epoch: Epoch, subject: String, source: BoxError) -> ParticipantError {
    ParticipantError { action: "pre-commit", epoch, subject, source }
}

/// A checkpoint passes once everything written before has its outcome, and none of them is a failure of the job.
///
/// With `fail_on_error` that means: everything is stored, whether or not a write has told of a failure already. Without
/// it, records that are not stored are counted, logged and dead-lettered, and hold a checkpoint up only until the hook has
/// taken them; one that the hook refuses fails the checkpoint. There is nothing to commit, so that there is no handle.
#[async_trait]
impl<T: 'static> CheckpointParticipant for KinesisSink<T> {
    async fn pre_commit(&self, epoch: Epoch) -> Result<Option<CommitHandle>, ParticipantError> {
        let settled = self.inner.settle().await;
        if let Some(failure) = self.inner.shared.take_checkpoint_failure() {
            return Err(pre_commit_failed(epoch, failure.stream().to_string(), Box::new(failure)));
        }
        settled.map_err(|error| pre_commit_failed(epoch, "the sink".to_owned(), Box::new(error)))?;
        Ok(None)
    }

    async fn commit(&self, _handle: &CommitHandle) -> Result<(), ParticipantError> {
        Ok(())
    }

    /// Forgets the failures of what was written before: the restored job writes it again.
    async fn recover(&self, _last: Epoch, _committed: &[CommitHandle]) -> Result<(), ParticipantError> {
        self.inner.shared.begin_run();
        Ok(())
    }
}

/// Lets a checkpoint wait until everything put before it is stored.
///
/// That makes writing at least once: a checkpoint passes only if all records before it are stored, and after a restore
/// the records after it are put again. There is nothing to commit, so that there is no handle.
///
/// It vouches for all records of the producer, by whomever they were put; a [`KinesisSink`] vouches for its own.
#[derive(Clone, Debug)]
pub struct ProducerParticipant {
    producer: KinesisProducer,
}

impl ProducerParticipant {
    /// Makes the participant of a producer, of which the job keeps a clone.
    pub const fn new(producer: KinesisProducer) -> Self {
        Self { producer }
    }
}

#[async_trait]
impl CheckpointParticipant for ProducerParticipant {
    async fn pre_commit(&self, epoch: Epoch) -> Result<Option<CommitHandle>, ParticipantError> {
        let flushed = self.producer.flush().await;
        // Whether or not the caller was told of it: a checkpoint does not pass over a record that is not stored.
        if let Some(failures) = self.producer.take_checkpoint_failures() {
            return Err(pre_commit_failed(epoch, failures.stream.to_string(), failures.boxed()));
        }
        match flushed {
            Ok(()) | Err(FlushError::Delivery(_)) => Ok(None),
            Err(error @ FlushError::Closed) => {
                Err(pre_commit_failed(epoch, "the producer".to_owned(), Box::new(error)))
            }
        }
    }

    async fn commit(&self, _handle: &CommitHandle) -> Result<(), ParticipantError> {
        Ok(())
    }

    /// Forgets the failures that are known by now: the restored job puts those records again.
    async fn recover(&self, _last: Epoch, _committed: &[CommitHandle]) -> Result<(), ParticipantError> {
        drop(self.producer.take_checkpoint_failures());
        Ok(())
    }
}
