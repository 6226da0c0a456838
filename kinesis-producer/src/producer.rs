//! The producer as its users see it.

mod builder;

use std::sync::Arc;

use kinesis_core::{HashKey, StreamName};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

pub use self::builder::KinesisProducerBuilder;
use crate::error::{CloseError, DeliveryError, FlushError, PutError, TryPutError};
use crate::handle::PutHandle;
use crate::pipeline::Incoming;
use crate::queue::{Closed, Command, Room};
use crate::record::UserRecord;
use crate::shared::Shared;
use crate::stats::ProducerStats;

/// Writes records to Kinesis streams, and tells the outcome of each.
///
/// Clones share one producer; many tasks may put at a time. Records go to any number of streams.
///
/// Dropping the last clone without [`close`](Self::close) stops everything at once: what has no outcome then becomes
/// [`Unknown`](crate::Outcome::Unknown), whether or not it reached the service.
#[derive(Clone, Debug)]
pub struct KinesisProducer {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    engine: AbortHandle,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.engine.abort();
    }
}

impl KinesisProducer {
    /// Starts to build a producer.
    pub fn builder() -> KinesisProducerBuilder {
        KinesisProducerBuilder::new()
    }

    /// Accepts a record, and returns the future of its outcome; waits while the queue is full.
    ///
    /// Records of one task are accepted in the order of its calls. Cancel safety: a call that is cancelled while it
    /// waits has not accepted the record.
    ///
    /// # Errors
    /// [`PutError`]: the record is not accepted. Only [`PutError::Earlier`] is worth a repetition.
    pub async fn put(&self, record: UserRecord) -> Result<PutHandle, PutError> {
        let (stream, hash_key) = self.check(&record)?;
        let room = self.shared().queue.reserve(record.size_bytes()).await;
        self.enqueue(room.map_err(|Closed| PutError::Closed)?, stream, record, hash_key)
    }

    /// Accepts a record where there is room now.
    ///
    /// # Errors
    /// [`TryPutError::QueueFull`] with the record where there is none: try later. [`TryPutError::Put`] as
    /// [`put`](Self::put).
    pub fn try_put(&self, record: UserRecord) -> Result<PutHandle, TryPutError> {
        let (stream, hash_key) = self.check(&record)?;
        let room = self.shared().queue.try_reserve(record.size_bytes());
        match room.map_err(|Closed| PutError::Closed)? {
            Some(room) => Ok(self.enqueue(room, stream, record, hash_key)?),
            None => Err(TryPutError::QueueFull(Box::new(record))),
        }
    }

    /// Sends everything now, and waits for the outcomes of all records accepted before.
    ///
    /// It takes no longer than the records live (`record_ttl`) and one attempt. Cancel safety: what was to be sent is
    /// sent all the same.
    ///
    /// # Errors
    /// [`FlushError::Delivery`] where records were not stored and `fail_on_error` is set; [`FlushError::Closed`] after
    /// a close.
    pub async fn flush(&self) -> Result<(), FlushError> {
        let (done, flushed) = oneshot::channel();
        let sent = self.shared().queue.command(Command::Flush(done));
        sent.map_err(|Closed| FlushError::Closed)?;
        flushed.await.map_err(|_| FlushError::Closed)?;
        self.failures().map_or(Ok(()), |failures| Err(FlushError::Delivery(failures)))
    }

    /// Accepts nothing more, waits for all outcomes, and returns the counters.
    ///
    /// Afterwards nothing reaches the service any more. Closing again waits for the same. Cancel safety: the producer
    /// goes on closing.
    ///
    /// # Errors
    /// [`CloseError::Delivery`] where records were not stored and `fail_on_error` is set; [`CloseError::Abandoned`]
    /// where the runtime ended first.
    pub async fn close(&self) -> Result<ProducerStats, CloseError> {
        self.shared().queue.close();
        let (done, closed) = oneshot::channel();
        if self.shared().queue.command(Command::Close(done)).is_ok() {
            closed.await.map_err(|_| CloseError::Abandoned)?;
        }
        if self.stats().outstanding() > 0 {
            return Err(CloseError::Abandoned);
        }
        self.failures().map_or_else(|| Ok(self.stats()), |failures| Err(CloseError::Delivery(failures)))
    }

    /// Accepts records of a partition key again after one of them had an unknown outcome in ordered mode.
    ///
    /// Call it once the application has dealt with that record: it may be stored after the records that follow.
    pub fn acknowledge_unknown(&self, stream: &StreamName, partition_key: &str) {
        let command = Command::Acknowledge(stream.clone(), partition_key.to_owned());
        // A closed producer accepts nothing anyway.
        let _ = self.shared().queue.command(command);
    }

    /// The counters as of the engine's last turn.
    pub fn stats(&self) -> ProducerStats {
        *self.shared().stats.lock()
    }

    /// The records not stored since the last checkpoint.
    pub(crate) fn take_checkpoint_failures(&self) -> Option<DeliveryError> {
        self.shared().take_checkpoint_failures()
    }

    fn shared(&self) -> &Shared {
        &self.inner.shared
    }

    fn failures(&self) -> Option<DeliveryError> {
        self.shared().take_failures()
    }

    fn check(&self, record: &UserRecord) -> Result<(StreamName, HashKey), PutError> {
        if let Some(failures) = self.failures() {
            return Err(PutError::Earlier(failures));
        }
        Ok((record.validate()?.clone(), record.hash_key()))
    }

    fn enqueue(
        &self,
        room: Room<'_>,
        stream: StreamName,
        record: UserRecord,
        hash_key: HashKey,
    ) -> Result<PutHandle, PutError> {
        let (responder, outcome) = oneshot::channel();
        let incoming = Incoming { stream, record, hash_key, responder };
        self.shared().queue.put(room, incoming).map_err(|Closed| PutError::Closed)?;
        Ok(PutHandle::new(outcome))
    }
}
