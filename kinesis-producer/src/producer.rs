//! The producer as its users see it.

mod builder;

use std::sync::{Arc, Weak};
use std::time::Duration;

use kinesis_core::{HashKey, StreamName};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

pub use self::builder::KinesisProducerBuilder;
use crate::acknowledgement::PutHandle;
use crate::blocking::BlockingProducer;
use crate::error::{CloseError, DeliveryError, FlushError, OpenError, PutError, TryPutError};
use crate::metrics::Reporting;
use crate::queue::{Closed, Command, Deadline, GivenUp, Room};
use crate::record::UserRecord;
use crate::shared::Shared;
use crate::stats::{Outstanding, ProducerStats};

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
    runtime: Handle,
    max_user_record_size_bytes: Option<usize>,
    reporting: Reporting,
}

/// Whether a producer is still held by anybody.
#[derive(Clone, Debug)]
pub(crate) struct Life(Weak<Inner>);

impl Life {
    pub(crate) fn is_over(&self) -> bool {
        self.0.strong_count() == 0
    }
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

    /// Looks a stream up before its first record, so that this waits for nothing but its request.
    ///
    /// It finds out now whether the stream exists and may be looked up, and opens a connection to the service. Cancel
    /// safety: the look-up goes on.
    ///
    /// # Errors
    /// [`OpenError`]; nothing is lost by it, and the stream is looked up again for the next record or call.
    pub async fn open(&self, stream: &StreamName) -> Result<(), OpenError> {
        let closed = || OpenError::Closed { stream: stream.clone() };
        let (waiter, opened) = oneshot::channel();
        let sent = self.shared().queue.command(Command::Open(stream.clone(), waiter));
        sent.map_err(|Closed| closed())?;
        let result = opened.await.map_err(|_| closed())?;
        result.map_err(|source| OpenError::Request { stream: stream.clone(), source })
    }

    /// Sends everything now, and waits for the outcomes of all records accepted before.
    ///
    /// It takes no longer than the records live (`record_ttl`) and one attempt. Cancel safety: what was to be sent is
    /// sent all the same.
    ///
    /// # Errors
    /// [`FlushError::Delivery`] where records were not stored and `fail_on_error` is set; [`FlushError::Closed`] where
    /// the producer is closed.
    pub async fn flush(&self) -> Result<(), FlushError> {
        self.flush_of(None).await
    }

    /// The same for the records of one stream; those of others wait for company as before.
    ///
    /// # Errors
    /// As [`flush`](Self::flush); the failures may be another stream's.
    pub async fn flush_stream(&self, stream: &StreamName) -> Result<(), FlushError> {
        self.flush_of(Some(stream.clone())).await
    }

    async fn flush_of(&self, stream: Option<StreamName>) -> Result<(), FlushError> {
        let (done, flushed) = oneshot::channel();
        let sent = self.shared().queue.command(Command::Flush(stream, done));
        sent.map_err(|Closed| FlushError::Closed)?;
        flushed.await.map_err(|_| FlushError::Closed)?;
        self.failures().map_or(Ok(()), |failures| Err(FlushError::Delivery(failures)))
    }

    /// Accepts nothing more, waits for all outcomes, and returns the counters.
    ///
    /// Afterwards nothing reaches the service any more. It takes no longer than the records live (`record_ttl`), one
    /// attempt, and the last upload of metrics where there is one. Closing again waits for the same. Cancel safety: the
    /// producer goes on closing.
    ///
    /// # Errors
    /// [`CloseError::Delivery`] where records were not stored and `fail_on_error` is set; [`CloseError::Abandoned`]
    /// where the runtime ended first.
    pub async fn close(&self) -> Result<ProducerStats, CloseError> {
        self.close_by(None).await
    }

    /// The same, but gives up after that time what has no outcome by then.
    ///
    /// Requests on their way are cut off, so that their records become [`Unknown`](crate::Outcome::Unknown); what waits
    /// becomes [`Failed`](crate::Outcome::Failed), where no earlier attempt leaves that open.
    ///
    /// # Errors
    /// As [`close`](Self::close), and [`CloseError::DeadlinePassed`] where records were given up.
    pub async fn close_within(&self, limit: Duration) -> Result<ProducerStats, CloseError> {
        let deadline = Instant::now().checked_add(limit).map(|at| Deadline { at, limit });
        self.close_by(deadline).await
    }

    async fn close_by(&self, deadline: Option<Deadline>) -> Result<ProducerStats, CloseError> {
        self.shared().queue.close();
        let (done, closed) = oneshot::channel();
        if self.shared().queue.command(Command::Close(deadline, done)).is_ok() {
            let GivenUp { failed, unknown } = closed.await.map_err(|_| CloseError::Abandoned)?;
            if let Some(Deadline { limit, .. }) = deadline.filter(|_| failed + unknown > 0) {
                return Err(CloseError::DeadlinePassed { limit, failed, unknown });
            }
        }
        let reported = self.inner.reporting.over();
        match deadline {
            None => reported.await,
            // The figures of the last moments are not worth more than the caller's time.
            Some(Deadline { at, .. }) => timeout_at(at, reported).await.unwrap_or_default(),
        }
        if self.stats().outstanding() > 0 {
            return Err(CloseError::Abandoned);
        }
        self.failures().map_or_else(|| Ok(self.stats()), |failures| Err(CloseError::Delivery(failures)))
    }

    /// The records that have no outcome yet, and the age of the oldest.
    pub fn outstanding(&self) -> Outstanding {
        let (records, bytes) = self.shared().queue.outstanding();
        let oldest = self.shared().oldest().filter(|_| records > 0);
        Outstanding { records, bytes, oldest: oldest.map(|accepted_at| accepted_at.elapsed()) }
    }

    /// Accepts records of a partition key again after one of them had an unknown outcome in ordered mode.
    ///
    /// Call it once the application has dealt with that record: it may be stored after the records that follow.
    pub fn acknowledge_unknown(&self, stream: &StreamName, partition_key: &str) {
        let command = Command::Acknowledge(stream.clone(), partition_key.to_owned());
        // A closed producer accepts nothing anyway.
        let _ = self.shared().queue.command(command);
    }

    /// The same producer for code that is not asynchronous.
    pub fn blocking(&self) -> BlockingProducer {
        BlockingProducer::new(self.clone(), self.inner.runtime.clone())
    }

    /// The counters as of the engine's last turn.
    pub fn stats(&self) -> ProducerStats {
        self.shared().stats()
    }

    /// The records not stored since the last checkpoint.
    pub(crate) fn take_checkpoint_failures(&self) -> Option<DeliveryError> {
        self.shared().take_checkpoint_failures()
    }

    /// Waits for the end of the engine and of what reports for it, without keeping the producer.
    pub(crate) fn engine_end(&self) -> impl Future<Output = ()> + use<> {
        let (shared, reported) = (Arc::clone(&self.inner.shared), self.inner.reporting.over());
        async move {
            shared.queue.ended().await;
            reported.await;
        }
    }

    /// Tells later whether there is a clone left.
    pub(crate) fn life(&self) -> Life {
        Life(Arc::downgrade(&self.inner))
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
        let stream = record.validate()?.clone();
        if let Some(limit_bytes) = self.inner.max_user_record_size_bytes
            && record.data.len() > limit_bytes
        {
            return Err(PutError::DataTooLarge { stream, size_bytes: record.data.len(), limit_bytes });
        }
        Ok((stream, record.hash_key()))
    }

    fn enqueue(
        &self,
        room: Room<'_>,
        stream: StreamName,
        record: UserRecord,
        hash_key: HashKey,
    ) -> Result<PutHandle, PutError> {
        self.shared().queue.put(room, stream, record, hash_key).map_err(|Closed| PutError::Closed)
    }
}
