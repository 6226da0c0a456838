//! An exactly-once, parallel consumer for Amazon Kinesis Data Streams.
//!
//! It reads all shards of one or more streams, follows resharding while it runs, takes KPL aggregates apart, and saves
//! every shard's position (down to the sub-record of an aggregate) together with the state of the program, so that a
//! restart, with any parallelism, goes on where it stopped.
//!
//! *Exactly once* means: state and positions are saved together, so each record affects saved state once, and output
//! that goes through a [`Sink`] becomes visible once. It does not remove duplicates that a producer wrote.
//!
//! What it is not: a scheduler of processes. One process reads all the shards.
//!
//! ```
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicU64, Ordering};
//! use std::time::Duration;
//!
//! use async_trait::async_trait;
//! use bytes::Bytes;
//! use kinesis_consumer::{Batch, BoxError, KinesisConsumer, MemoryStore, Processor, SavedState, Utf8};
//! use kinesis_core::{ConsumerConfig, StartingPosition};
//! use kinesis_testkit::FakeKinesis;
//!
//! /// Counts records; the count survives crashes and follows resharding.
//! struct Count(u64, Arc<AtomicU64>);
//!
//! #[async_trait]
//! impl Processor<String> for Count {
//!     type Output = ();
//!
//!     async fn process(&mut self, batch: Batch<String>, _: &mut Vec<()>) -> Result<(), BoxError> {
//!         self.0 += batch.items.len() as u64;
//!         self.1.fetch_add(batch.items.len() as u64, Ordering::Relaxed);
//!         Ok(())
//!     }
//!
//!     fn snapshot(&self) -> Result<Bytes, BoxError> {
//!         Ok(Bytes::copy_from_slice(&self.0.to_be_bytes()))
//!     }
//!
//!     fn restore(&mut self, states: &[SavedState]) -> Result<(), BoxError> {
//!         for state in states {
//!             self.0 += u64::from_be_bytes(state.bytes.as_ref().try_into()?);
//!         }
//!         Ok(())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let kinesis = FakeKinesis::builder().stream("orders", 4).build();
//! let put = kinesis.client().put_record().stream_name("orders").partition_key("customer-7");
//! put.data(aws_sdk_kinesis::primitives::Blob::new("paid")).send().await?;
//!
//! let consumer = KinesisConsumer::builder()
//!     .sdk_client(kinesis.client())
//!     .streams(["orders"])
//!     .config(ConsumerConfig::builder().starting_position(StartingPosition::TrimHorizon).build()?)
//!     .schema(Utf8)
//!     .parallelism(4)
//!     .checkpoints(MemoryStore::new(), Duration::from_secs(5))
//!     .build()?;
//! let total = Arc::new(AtomicU64::new(0));
//! let counted = Arc::clone(&total);
//! consumer.handle().drain(); // end at the tip; a service would run on
//! consumer.run(move |_shard| Count(0, Arc::clone(&counted))).await?;
//! assert_eq!(total.load(Ordering::Relaxed), 1);
//! # Ok(())
//! # }
//! ```
//!
//! # Layout
//!
//! [`KinesisConsumer`] and its [builder](ConsumerBuilder); what a user implements: [`Schema`], [`Processor`] (or a closure, [`Stateless`]), [`Sink`];
//! where checkpoints go: [`CheckpointStore`], of which [`FileStore`] and [`MemoryStore`] are here. The bytes of a
//! checkpoint are described in `docs/state-format.md`. Who would rather ask for batches, and keep [`Positions`] next to the
//! results, has a [`PullConsumer`]; [`delivery`] compares the ways. A health check asks [`ConsumerHandle::status`]; [`observability`] has
//! what else can be seen. Event time is kept by a [`WatermarkStrategy`].
//!
//! Feature `json` (on): the schema `Json`, by serde. Feature `dynamodb-streams` (off): the streams of DynamoDB tables, by
//! `DynamoDbStreams`. Feature `mutants` (off): deliberate faults, for tests that must find them.

mod assign;
mod blocking;
mod builder;
mod consumer;
mod control;
#[cfg(feature = "dynamodb-streams")]
mod dynamodb_streams;
mod engine;
mod error;
mod event_time;
mod events;
mod fan_out;
mod files;
mod lineage;
mod metrics;
mod mutants;
mod pacing;
mod position;
mod processor;
mod pull;
mod reader;
mod record;
mod schema;
mod service;
mod service_clock;
mod sink;
mod state;
mod status;
mod store;

#[doc = include_str!("../docs/delivery.md")]
pub mod delivery {}

#[doc = include_str!("../docs/metrics.md")]
pub mod observability {}

pub use assign::{HashAssigner, ShardAssigner, UniformAssigner};
pub use blocking::{BlockingBatches, Pulled};
pub use builder::ConsumerBuilder;
pub use consumer::KinesisConsumer;
pub use control::ConsumerHandle;
#[cfg(feature = "dynamodb-streams")]
pub use dynamodb_streams::{
    DynamoDbRecordError, DynamoDbRecords, DynamoDbStreamError, DynamoDbStreams, ParseDynamoDbStreamArnError,
};
pub use error::{BuildError, ConsumerError, PossibleLoss};
pub use event_time::{WatermarkGenerator, WatermarkStrategy};
pub use events::ConsumerEvent;
pub use lineage::ShardProgress;
#[cfg(feature = "mutants")]
pub use mutants::Mutant;
pub use position::ShardPosition;
pub use processor::{Processor, SavedState, ShardContext, Stateless, UnexpectedStateError};
pub use pull::{DifferentJobsError, Positions, PullConsumer, Subtask};
pub use reader::{ForeignMembers, LossPolicy};
pub use record::{Batch, PartitionKey, Record, StreamShard};
pub use schema::{
    BoxError, DeadLetter, DeadLetters, Described, ErrorPolicy, NotUtf8Error, OnError, RawBytes, RawRecords,
    RecordMetadata, Schema, Utf8, WithEventTime, WithMetadata,
};
#[cfg(feature = "json")]
pub use schema::{Json, JsonError, JsonErrorKind};
pub use sink::{FileSink, ForwardSink, NoSink, Sink};
pub use state::{Checkpoint, DecodeCheckpointError, ShardState, StreamState};
pub use status::{CheckpointStatus, JobStatus, ShardStatus};
pub use store::{CheckpointStore, FileStore, Incarnation, MemoryStore, OpenedJob, StoreError};
