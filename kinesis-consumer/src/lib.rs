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

mod assign;
mod builder;
mod consumer;
mod control;
mod engine;
mod error;
mod events;
mod files;
mod lineage;
mod mutants;
mod pacing;
mod position;
mod processor;
mod reader;
mod record;
mod schema;
mod sink;
mod state;
mod store;

pub use assign::{HashAssigner, ShardAssigner, UniformAssigner};
pub use builder::ConsumerBuilder;
pub use consumer::KinesisConsumer;
pub use control::ConsumerHandle;
pub use error::{BuildError, ConsumerError, PossibleLoss};
pub use events::ConsumerEvent;
pub use lineage::ShardProgress;
#[cfg(feature = "mutants")]
pub use mutants::Mutant;
pub use position::ShardPosition;
pub use processor::{Processor, SavedState, ShardContext};
pub use reader::{ForeignMembers, LossPolicy};
pub use record::{Batch, PartitionKey, Record, StreamShard};
pub use schema::{BoxError, NotUtf8Error, RawRecords, Schema, Utf8};
pub use sink::{FileSink, NoSink, Sink};
pub use state::{Checkpoint, DecodeCheckpointError, ShardState, StreamState};
pub use store::{CheckpointStore, FileStore, Incarnation, MemoryStore, OpenedJob, StoreError};
