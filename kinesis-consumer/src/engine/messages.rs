//! What readers, subtasks and the coordinator tell each other.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use kinesis_core::{Epoch, RecordPosition, Shard};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::error::ConsumerError;
use crate::event_time::ShardTime;
use crate::lineage::ShardProgress;
use crate::position::ShardPosition;
use crate::record::StreamShard;
use crate::service_clock::ServiceClock;

/// From a shard's reader to its subtask, in the order of the shard.
#[derive(Debug)]
pub(crate) enum FromReader<T> {
    Batch(Delivery<T>),
    /// The shard was empty at its tip, in a reply to a call made at `asked_at`.
    AtTip {
        shard: StreamShard,
        asked_at: Instant,
        /// The service's clock in that reply.
        served_at: Option<SystemTime>,
        last_arrival: Option<SystemTime>,
    },
    /// The next record of the shard waits for other shards; with it, this one will come to `watermark`.
    Held {
        shard: StreamShard,
        watermark: SystemTime,
    },
    Ended {
        shard: StreamShard,
    },
    /// Another subscription of the same consumer took the shard over.
    TakenOver {
        shard: StreamShard,
    },
    /// The service says that there is no such shard; whether that is so, a listing tells.
    Vanished {
        shard: StreamShard,
        error: ConsumerError,
    },
    Failed(ConsumerError),
}

/// Items, and the position that their delivery reaches; the position moves also without items.
#[derive(Debug)]
pub(crate) struct Delivery<T> {
    pub(crate) shard: StreamShard,
    pub(crate) items: Vec<T>,
    pub(crate) position: RecordPosition,
    pub(crate) behind_latest: Option<Duration>,
    /// The event time that the shard comes to with the items.
    pub(crate) watermark: Option<SystemTime>,
    /// The memory of the reply; given back when its last batch is processed.
    pub(crate) _memory: Arc<OwnedSemaphorePermit>,
}

/// From the coordinator to a subtask.
#[derive(Debug)]
pub(crate) enum ToSubtask {
    Start(Box<StartShard>),
    /// What is left of the shard is lost, which was accepted: it ends behind what was fetched of it.
    Abandon(StreamShard),
    /// What was taken in so far belongs to `epoch`; after the `last` barrier nothing more is processed.
    Barrier {
        epoch: Epoch,
        last: bool,
    },
}

/// A shard that a subtask is to read.
#[derive(Debug)]
pub(crate) struct StartShard {
    pub(crate) id: StreamShard,
    pub(crate) shard: Shard,
    pub(crate) position: ShardPosition,
    /// Its own state, or its parents', in the order of their ranges.
    pub(crate) states: Vec<(Shard, Bytes)>,
    pub(crate) clock: ServiceClock,
    /// Where its event time begins.
    pub(crate) watermark: Option<SystemTime>,
    /// How its event time is kept; nothing where the job keeps none.
    pub(crate) time: Option<ShardTime>,
}

/// From a subtask to the coordinator.
#[derive(Debug)]
pub(crate) enum ToCoordinator {
    Acknowledged {
        subtask: usize,
        epoch: Epoch,
        shards: Vec<(StreamShard, ShardProgress)>,
    },
    Ended {
        shard: StreamShard,
        progress: ShardProgress,
    },
    AtTip {
        shard: StreamShard,
        asked_at: Instant,
    },
    TakenOver {
        shard: StreamShard,
    },
    /// A shard waits for others: the watermark may have to advance.
    Held,
    Vanished {
        shard: StreamShard,
        error: ConsumerError,
    },
    Failed(ConsumerError),
}
