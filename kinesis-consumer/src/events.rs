//! What a job tells its listener.

use std::sync::Arc;

use kinesis_core::{Epoch, RecordPosition};

use crate::error::PossibleLoss;
use crate::record::StreamShard;

/// Something that happened in a job.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConsumerEvent {
    /// A job began, from its start or from a checkpoint.
    Started {
        /// The checkpoint that it was restored from.
        restored: Option<Epoch>,
    },
    /// A shard is being read.
    ShardStarted {
        /// The shard.
        shard: StreamShard,
        /// The subtask that reads it.
        subtask: usize,
    },
    /// A shard was closed and read to its end.
    ShardEnded {
        /// The shard.
        shard: StreamShard,
    },
    /// A checkpoint is durable, and its outputs are visible.
    CheckpointCompleted {
        /// The checkpoint.
        epoch: Epoch,
    },
    /// Another subscription of the same fan-out consumer took a shard over; a checkpoint tells whether it is that of a
    /// successor of this job, else two jobs read with one consumer, and hinder each other.
    TakenOver {
        /// The shard.
        shard: StreamShard,
    },
    /// An aggregate, or members of one, were dropped because of their hash keys.
    MembersDropped {
        /// The shard.
        shard: StreamShard,
        /// The aggregate.
        position: RecordPosition,
        /// How many user records were dropped.
        count: u64,
    },
    /// A Kinesis record looks like an aggregate but cannot be taken apart; it is delivered as it is.
    CorruptAggregate {
        /// The shard.
        shard: StreamShard,
        /// The record.
        position: RecordPosition,
    },
    /// The schema refused records of a batch, and its policy left them out; sent before their position is passed.
    RecordsSkipped {
        /// The shard.
        shard: StreamShard,
        /// The first of them.
        position: RecordPosition,
        /// How many there were in the batch.
        count: u64,
    },
    /// The schema refused records of a batch, and the dead-letter hook took them all.
    RecordsDeadLettered {
        /// The shard.
        shard: StreamShard,
        /// The first of them.
        position: RecordPosition,
        /// How many there were in the batch.
        count: u64,
    },
    /// Records may have been removed by retention before they were read.
    PossibleLoss(PossibleLoss),
    /// The service no longer lists a shard that was not read to its end.
    ///
    /// What was left in it is gone, and so may be the oldest records of its children.
    ShardLost {
        /// The shard.
        shard: StreamShard,
    },
}

/// Called with each event, on the consumer's tasks: it must not block.
pub(crate) type Listener = Arc<dyn Fn(&ConsumerEvent) + Send + Sync>;
