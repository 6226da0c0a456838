//! A sink of a job: elements in, records out, and a checkpoint that vouches for them.

mod account;
mod builder;
mod chunk;
mod dead_letter;
mod error;
mod participant;
mod partitioner;
mod schema;
mod stats;
mod watch;

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use kinesis_core::StreamName;
use tokio::sync::{SemaphorePermit, TryAcquireError, mpsc, oneshot};

use self::account::Shared;
pub use self::builder::KinesisSinkBuilder;
use self::dead_letter::Letter;
pub use self::dead_letter::{DeadLetter, DeadLetters};
pub use self::error::{DeadLetterError, SinkBuildError, SinkFailure, SinkFlushError, WriteError};
pub use self::participant::ProducerParticipant;
pub use self::partitioner::{FixedPartitioner, InvalidSubtaskError, Partitioner, RandomPartitioner};
pub use self::schema::{BoxError, KinesisSerializationSchema, RawBytes, SerializationSchema, Utf8};
pub use self::stats::SinkStats;
use self::watch::{Message, Written};
use crate::error::FlushError;
use crate::producer::KinesisProducer;
use crate::record::UserRecord;

/// Writes a job's elements to Kinesis streams, at least once.
///
/// A schema turns an element into bytes and may choose its stream, a partitioner gives it its partition key. What
/// becomes of a record is watched in the background: with `fail_on_error` a record that is not stored fails the next
/// write, flush or checkpoint; without it, which is the default as in the reference connector, it is counted, logged,
/// and given to the dead-letter hook if there is one.
///
/// As a [`CheckpointParticipant`](kinesis_core::CheckpointParticipant) it lets a checkpoint pass only once everything
/// written before is stored (or, without `fail_on_error`, failed, counted and taken by the hook). A restored job writes
/// again what it wrote after its checkpoint: such records are duplicates, and no others.
///
/// Clones share one sink, and any number of tasks may write at a time. Once the last clone is gone, what has no outcome
/// yet is still watched, and the sink gives its clone of the producer back.
///
/// ```
/// use bytes::Bytes;
/// use kinesis_core::{ClientOptions, KinesisClient};
/// use kinesis_producer::{BoxError, KinesisProducer, KinesisSink};
/// use kinesis_testkit::FakeKinesis;
///
/// struct Order {
///     customer: String,
///     total: u64,
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let kinesis = FakeKinesis::builder().stream("orders", 4).build();
/// let client = KinesisClient::new(kinesis.client(), ClientOptions::default());
/// let producer = KinesisProducer::builder().client(client).build().await?;
///
/// let sink = KinesisSink::builder()
///     .producer(producer)
///     .stream("orders")
///     .schema(|order: &Order| Ok::<_, BoxError>(Bytes::from(order.total.to_string())))
///     .partitioner(|order: &Order| order.customer.clone())
///     .fail_on_error(true)
///     .build()
///     .await?;
/// sink.write(&Order { customer: "7".to_owned(), total: 12 }).await?;
/// sink.flush().await?;
/// assert_eq!(sink.stats().stored, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct KinesisSink<T> {
    inner: Arc<Inner<T>>,
}

struct Inner<T> {
    producer: KinesisProducer,
    schema: Arc<dyn KinesisSerializationSchema<T>>,
    partitioner: Arc<dyn Partitioner<T>>,
    /// Where an element goes for which the schema names no stream.
    stream: Option<StreamName>,
    /// Whether somebody wants the content of what is not stored.
    keeps_letters: bool,
    shared: Arc<Shared>,
    watcher: mpsc::UnboundedSender<Message>,
}

impl<T: 'static> KinesisSink<T> {
    /// Starts to build a sink.
    pub fn builder() -> KinesisSinkBuilder<T> {
        KinesisSinkBuilder::new()
    }

    /// Accepts an element; waits while the sink or its producer has no room.
    ///
    /// The call itself serialises the element, before the future is polled; the future does not borrow it. Elements of
    /// one task are accepted in the order of its calls. Cancel safety: a call that is cancelled while it waits has not
    /// accepted the element, and what was accepted before is not touched.
    ///
    /// # Errors
    /// [`WriteError`]: this element is not accepted, and no other is touched by that. [`WriteError::Earlier`] is about
    /// elements that were accepted before; each failure is told once.
    pub fn write<'a>(&'a self, element: &T) -> impl Future<Output = Result<(), WriteError>> + Send + use<'a, T> {
        let (record, run) = (self.inner.record(element), self.inner.shared.run());
        async move { self.inner.accept(record?, run).await }
    }

    /// Sends everything now, and waits until every element accepted before is stored or has failed.
    ///
    /// It takes no longer than the records live (`record_ttl`), one attempt, and the dead-letter hook. Cancel safety:
    /// what was to be sent is sent all the same.
    ///
    /// # Errors
    /// [`SinkFlushError`]: some of the elements are not stored, with `fail_on_error`, or not taken by the dead-letter
    /// hook. Each failure is told once.
    pub async fn flush(&self) -> Result<(), SinkFlushError> {
        self.inner.settle().await?;
        self.inner.shared.take_failure().map_or(Ok(()), |failure| Err(SinkFlushError::Earlier(failure)))
    }

    /// The counters of this sink.
    pub fn stats(&self) -> SinkStats {
        self.inner.shared.stats()
    }
}

impl<T: 'static> Inner<T> {
    /// Makes the record of an element.
    fn record(&self, element: &T) -> Result<UserRecord, WriteError> {
        let data = self.schema.encode(element).map_err(WriteError::Schema)?;
        let key = self.partitioner.partition_key(element);
        let mut record = match (self.schema.target_stream(element), &self.stream) {
            (Some(target), _) => UserRecord::new(target, key, data),
            (None, Some(stream)) => UserRecord::new(stream, key, data),
            (None, None) => return Err(WriteError::NoStream),
        };
        record.explicit_hash_key = self.partitioner.explicit_hash_key(element);
        Ok(record)
    }

    async fn accept(&self, record: UserRecord, run: u64) -> Result<(), WriteError> {
        let stream = record.validate()?.clone();
        self.surface()?;
        let room = self.room().await?;
        // Failures that came in while this call waited.
        self.surface()?;
        let letter = self.keeps_letters.then(|| Box::new(Letter::of(&record)));
        let handle = self.producer.put(record).await?;
        self.watch(room, Written { handle, run, stream, letter })
    }

    fn surface(&self) -> Result<(), WriteError> {
        self.shared.take_failure().map_or(Ok(()), |failure| Err(WriteError::Earlier(failure)))
    }

    async fn room(&self) -> Result<SemaphorePermit<'_>, WriteError> {
        match self.shared.room.try_acquire() {
            Ok(room) => Ok(room),
            Err(TryAcquireError::Closed) => Err(WriteError::Ended),
            Err(TryAcquireError::NoPermits) => {
                self.shared.note_wait();
                self.shared.room.acquire().await.map_err(|_| WriteError::Ended)
            }
        }
    }

    /// Hands an accepted record to the watcher. No await may come between the put and this.
    fn watch(&self, room: SemaphorePermit<'_>, written: Written) -> Result<(), WriteError> {
        // The watcher gives the room back, once it has dealt with the outcome.
        room.forget();
        self.shared.note_written();
        self.watcher.send(Message::Written(written)).map_err(|_| WriteError::Ended)
    }

    /// Waits until everything accepted before this call has its outcome and that is dealt with.
    async fn settle(&self) -> Result<(), SinkFlushError> {
        let (done, settled) = oneshot::channel();
        self.watcher.send(Message::Barrier(done)).map_err(|_| SinkFlushError::Ended)?;
        let flushed = self.producer.flush().await;
        settled.await.map_err(|_| SinkFlushError::Ended)?;
        match flushed {
            // A producer that is closed has told all outcomes.
            Ok(()) | Err(FlushError::Closed) => Ok(()),
            // The sink knows of the failure by its own records, and tells that.
            Err(FlushError::Delivery(_)) if self.shared.has_failure() => Ok(()),
            Err(FlushError::Delivery(failures)) => Err(SinkFlushError::Producer(failures)),
        }
    }
}

impl<T> Clone for KinesisSink<T> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<T> fmt::Debug for KinesisSink<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KinesisSink")
            .field("stream", &self.inner.stream)
            .field("stats", &self.inner.shared.stats())
            .finish_non_exhaustive()
    }
}
