//! Builds a sink.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use kinesis_core::StreamName;
use tokio::sync::{Semaphore, mpsc};

use super::account::Shared;
use super::dead_letter::DeadLetters;
use super::error::SinkBuildError;
use super::partitioner::Partitioner;
use super::schema::{KinesisSerializationSchema, SerializationSchema, ToDefaultStream};
use super::watch::Watcher;
use super::{Inner, KinesisSink};
use crate::error::PutError;
use crate::producer::KinesisProducer;
use crate::record::{StreamTarget, UserRecord};

/// As many as the producer's own queue takes.
const DEFAULT_QUEUE_LIMIT: usize = 100_000;

/// Builds a [`KinesisSink`].
///
/// Needed: a producer, a schema, a partitioner or default partition, and a stream unless the schema names one for every
/// element.
pub struct KinesisSinkBuilder<T> {
    producer: Option<KinesisProducer>,
    stream: Option<StreamTarget>,
    schema: Option<Arc<dyn KinesisSerializationSchema<T>>>,
    schema_names_streams: bool,
    partitioner: Option<Arc<dyn Partitioner<T>>>,
    fail_on_error: bool,
    queue_limit: usize,
    dead_letters: Option<Arc<dyn DeadLetters>>,
}

impl<T: 'static> KinesisSinkBuilder<T> {
    pub(super) fn new() -> Self {
        Self {
            producer: None,
            stream: None,
            schema: None,
            schema_names_streams: false,
            partitioner: None,
            fail_on_error: false,
            queue_limit: DEFAULT_QUEUE_LIMIT,
            dead_letters: None,
        }
    }

    /// The producer to write with, which others may use too; required.
    ///
    /// Its own `fail_on_error` is best left off: the sink judges its records itself, and a producer that has it on
    /// refuses the next put of whoever comes first.
    pub fn producer(mut self, producer: KinesisProducer) -> Self {
        self.producer = Some(producer);
        self
    }

    /// The default stream: of all elements for which the schema names none.
    pub fn stream(mut self, stream: impl Into<StreamTarget>) -> Self {
        self.stream = Some(stream.into());
        self
    }

    /// Serialises elements by `schema`, all for the default stream; this or [`kinesis_schema`](Self::kinesis_schema).
    pub fn schema(mut self, schema: impl SerializationSchema<T>) -> Self {
        self.schema = Some(Arc::new(ToDefaultStream(schema)));
        self.schema_names_streams = false;
        self
    }

    /// Serialises elements by `schema`, which also chooses their streams.
    pub fn kinesis_schema(mut self, schema: impl KinesisSerializationSchema<T>) -> Self {
        self.schema = Some(Arc::new(schema));
        self.schema_names_streams = true;
        self
    }

    /// Gives elements their partition keys by `partitioner`; this or [`default_partition`](Self::default_partition).
    pub fn partitioner(mut self, partitioner: impl Partitioner<T>) -> Self {
        self.partitioner = Some(Arc::new(partitioner));
        self
    }

    /// Gives all elements that partition key: they go to one shard, in order where the producer is ordered.
    pub fn default_partition(self, key: impl Into<String>) -> Self {
        let key = key.into();
        self.partitioner(move |_: &T| key.clone())
    }

    /// Whether a record that is not stored for certain fails the next write, flush or checkpoint; off by default.
    ///
    /// Off, such records are counted, logged, and given to the [`dead_letters`](Self::dead_letters) hook.
    pub fn fail_on_error(mut self, enabled: bool) -> Self {
        self.fail_on_error = enabled;
        self
    }

    /// The most elements without outcome, at least 1; 100,000 by default. A write waits for room.
    ///
    /// The reference's advice for a good number: shards x 100 kB / bytes of a record. The producer has limits of its own,
    /// in records and bytes, over all that use it.
    pub fn queue_limit(mut self, elements: usize) -> Self {
        self.queue_limit = elements;
        self
    }

    /// Takes elements without limit, as the reference connector does by default; the producer's own limits still hold.
    pub fn unbounded_queue(self) -> Self {
        self.queue_limit(Semaphore::MAX_PERMITS)
    }

    /// Gives records that are not stored for certain to `letters`; not together with `fail_on_error`.
    ///
    /// With it, the data of each element is kept until its outcome.
    pub fn dead_letters(mut self, letters: impl DeadLetters) -> Self {
        self.dead_letters = Some(Arc::new(letters));
        self
    }

    /// Starts the sink on the present tokio runtime, with one task.
    ///
    /// Cancel safety: there is nothing to cancel yet.
    ///
    /// # Errors
    /// [`SinkBuildError`] names what is missing or does not go together.
    pub async fn build(self) -> Result<KinesisSink<T>, SinkBuildError> {
        let producer = self.producer.ok_or(missing("producer", "producer"))?;
        let schema = self.schema.ok_or(missing("schema", "schema"))?;
        let partitioner = self.partitioner.ok_or(missing("partitioner", "partitioner"))?;
        let stream = self.stream.map(name_of).transpose()?;
        if stream.is_none() && !self.schema_names_streams {
            return Err(missing("stream", "stream"));
        }
        if self.queue_limit == 0 {
            return Err(SinkBuildError::NoRoom);
        }
        if self.fail_on_error && self.dead_letters.is_some() {
            return Err(SinkBuildError::DeadLettersUnused);
        }
        let shared = Arc::new(Shared::new(self.queue_limit));
        let keeps_letters = self.dead_letters.is_some();
        let (watcher, inbox) = mpsc::unbounded_channel();
        tokio::spawn(Watcher::new(Arc::clone(&shared), self.fail_on_error, self.dead_letters, inbox).run());
        let inner = Inner { producer, schema, partitioner, stream, keeps_letters, shared, watcher };
        Ok(KinesisSink { inner: Arc::new(inner) })
    }
}

const fn missing(what: &'static str, method: &'static str) -> SinkBuildError {
    SinkBuildError::Missing { what, method }
}

/// The name of a target, found as a put would.
fn name_of(target: StreamTarget) -> Result<StreamName, SinkBuildError> {
    match UserRecord::new(target, "any", Bytes::new()).validate() {
        Ok(name) => Ok(name.clone()),
        Err(PutError::InvalidStream(error)) => Err(SinkBuildError::InvalidStream(error)),
        Err(_) => Err(missing("stream", "stream")),
    }
}

impl<T> fmt::Debug for KinesisSinkBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KinesisSinkBuilder")
            .field("stream", &self.stream)
            .field("fail_on_error", &self.fail_on_error)
            .field("queue_limit", &self.queue_limit)
            .finish_non_exhaustive()
    }
}
