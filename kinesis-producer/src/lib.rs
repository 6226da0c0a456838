//! A producer for Amazon Kinesis Data Streams with the semantics of the Kinesis Producer Library (KPL), in-process.
//!
//! What it is: user records are packed into aggregates per shard, collected into requests, limited to what a shard
//! takes, sent, sent again where they must be, and each one gets exactly one [`Outcome`]. Memory is bounded, and
//! [`put`](KinesisProducer::put) waits while there is no room. What it is not: a child process, a thread pool, or
//! exactly-once by itself; a record whose answer was lost is sent again and may then be stored twice.
//!
//! ```
//! use kinesis_core::{ClientOptions, KinesisClient};
//! use kinesis_producer::{KinesisProducer, Outcome, UserRecord};
//! use kinesis_testkit::FakeKinesis;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let kinesis = FakeKinesis::builder().stream("orders", 4).build();
//! let client = KinesisClient::new(kinesis.client(), ClientOptions::default());
//!
//! let producer = KinesisProducer::builder().client(client).build().await?;
//! let ordered = producer.put(UserRecord::new("orders", "customer-7", "ordered")).await?;
//! let paid = producer.put(UserRecord::new("orders", "customer-7", "paid")).await?;
//! assert!(matches!(ordered.await, Outcome::Stored { sub_sequence_number: 0, .. }));
//! assert_eq!(paid.await.into_result()?.sub_sequence_number, 1); // both in one Kinesis record
//!
//! let stats = producer.close().await?;
//! assert_eq!((stats.user_records_put, stats.kinesis_records_put), (2, 1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`configuration`] has the table of all properties, and what of the KPL they do not do here; [`conformance`] the test of
//! each case of the KPL's own and of the connector's producer. [`MetricsConfig`] has the metrics, [`KinesisSink`] writes a
//! job's elements, [`BlockingProducer`] serves threads that are not asynchronous.
//!
//! # Guarantees
//!
//! - *Stored* means stored: in that shard, under that sequence number. An aggregate counts only where every member
//!   belongs to the shard it landed on, since readers that follow the KCL drop it otherwise; if not, all its members are
//!   sent again. A record that went alone counts wherever it landed, also where its data is an aggregate of the
//!   application's own making: who packs aggregates himself keeps the shards apart, as
//!   [`RangeAggregator`](kinesis_aggregation::RangeAggregator) does.
//! - *Failed* means that no copy exists. Whatever had an attempt without a clear answer ends as *Stored* or *Unknown*.
//! - What is acknowledged is stored, whatever becomes of the producer: dropping it without a close loses none of that.
//!   Records without an outcome then become *Unknown*.
//! - Copies of a record: at most one, and one more for each attempt without a clear answer and for each wrong shard.
//! - Errors that no repetition changes (missing stream, no permission, a record over the stream's limit) fail at once,
//!   and only the records they are about; a look-up of a stream that was refused so speaks for its records of the next
//!   second. Everything else is tried until the record's time is up.
//! - After [`close`](KinesisProducer::close) nothing reaches the service any more.
//!
//! # Ordered mode
//!
//! With [`ProducerConfig::ordered`] the records of a partition key are stored in the order of their puts, through
//! retries, throttles, lost answers and resharding: a shard has one Kinesis record on its way at a time, and a child
//! shard waits for what its parents have on the way. Duplicates occur only as replays of a run that is stored already.
//! Where a record ends as *Unknown* it may still be stored late, so that the later records of its key fail with
//! [`FailureCause::OrderBroken`] until [`acknowledge_unknown`](KinesisProducer::acknowledge_unknown) is called. A record
//! that ends as *Failed* leaves a gap, and the ones after it go on.
//!
//! # Metrics
//!
//! Those of the KPL, through the `metrics` facade and with feature `cloudwatch` to CloudWatch; see [`MetricsConfig`].
//!
//! # Layout
//!
//! [`KinesisProducer`] puts records into a bounded queue. One task, the engine, takes them out, carries out requests and
//! timers, and asks the pipeline what to do; the pipeline decides without I/O, from events and the present instant:
//! lane per shard (packing, limit), collector, shard map, retries. With a paused tokio clock and a seeded
//! [`Randomness`](kinesis_core::Randomness) a run repeats itself.

mod acknowledgement;
mod blocking;
mod config;
mod engine;
mod error;
mod metrics;
mod mutants;
mod outcome;
mod pipeline;
mod producer;
mod queue;
mod record;
mod shared;
mod sink;
mod stats;

#[doc = include_str!("../docs/configuration.md")]
pub mod configuration {}

#[doc = include_str!("../docs/conformance.md")]
pub mod conformance {}

pub use acknowledgement::PutHandle;
pub use blocking::{BlockingProducer, BlockingPutHandle};
pub use config::{ProducerConfig, client_properties, producer_config_constants};
pub use error::{BuildError, CloseError, DeliveryError, FlushError, OpenError, PutError, TryPutError};
#[cfg(feature = "cloudwatch")]
pub use metrics::cloudwatch::CloudWatchUploader;
pub use metrics::{MetricsConfig, MetricsGranularity, MetricsLevel};
#[cfg(feature = "mutants")]
pub use mutants::Mutant;
pub use outcome::{Attempt, AttemptResult, Attempts, FailureCause, Outcome, RecordError, StoredRecord};
pub use producer::{KinesisProducer, KinesisProducerBuilder};
pub use record::{StreamTarget, UserRecord};
pub use sink::{
    BoxError, DeadLetter, DeadLetterError, DeadLetters, FixedPartitioner, InvalidSubtaskError,
    KinesisSerializationSchema, KinesisSink, KinesisSinkBuilder, Partitioner, ProducerParticipant, RandomPartitioner,
    RawBytes, SerializationSchema, SinkBuildError, SinkFailure, SinkFlushError, SinkStats, Utf8, WriteError,
};
pub use stats::{Outstanding, ProducerStats};
