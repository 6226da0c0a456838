//! The producer's part in a checkpoint.

use async_trait::async_trait;
use kinesis_core::{CheckpointParticipant, CommitHandle, Epoch, ParticipantError};

use crate::error::FlushError;
use crate::producer::KinesisProducer;

/// Lets a checkpoint wait until everything put before it is stored.
///
/// That makes writing at least once: a checkpoint passes only if all records before it are stored, and after a restore
/// the records after it are put again. There is nothing to commit, so that there is no handle.
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
        let failed = |subject: String, source| ParticipantError { action: "pre-commit", epoch, subject, source };
        let flushed = self.producer.flush().await;
        // Whether or not the caller was told of it: a checkpoint does not pass over a record that is not stored.
        if let Some(failures) = self.producer.take_checkpoint_failures() {
            return Err(failed(failures.stream.to_string(), failures.boxed()));
        }
        match flushed {
            Ok(()) | Err(FlushError::Delivery(_)) => Ok(None),
            Err(error @ FlushError::Closed) => Err(failed("the producer".to_owned(), Box::new(error))),
        }
    }

    async fn commit(&self, _handle: &CommitHandle) -> Result<(), ParticipantError> {
        Ok(())
    }

    async fn recover(&self, _last: Epoch, _committed: &[CommitHandle]) -> Result<(), ParticipantError> {
        Ok(())
    }
}
