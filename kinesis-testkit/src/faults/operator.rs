//! What an operator does to a stream while others use it.

use std::time::Duration;

use kinesis_core::{ShardId, StreamName};
use serde::{Deserialize, Serialize};

use super::json::{millis, optional_text, text};

/// A change of a stream, or of time, between two calls.
///
/// An event that the service refuses, such as a split while the stream is updated, changes nothing; the journal holds
/// its error code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum OperatorEvent {
    /// A shard is split in the middle (F14, F18).
    Split {
        /// The stream.
        #[serde(with = "text")]
        stream: StreamName,
        /// The shard; without one the open shard with the lowest id.
        #[serde(default, with = "optional_text", skip_serializing_if = "Option::is_none")]
        shard: Option<ShardId>,
    },
    /// Two adjacent shards are merged (F14, F18).
    Merge {
        /// The stream.
        #[serde(with = "text")]
        stream: StreamName,
        /// One of them, whose range comes before or after the other's; without one the open shard with the lowest
        /// range.
        #[serde(default, with = "optional_text", skip_serializing_if = "Option::is_none")]
        shard: Option<ShardId>,
        /// The other; without one the open neighbour above, else the one below.
        #[serde(default, with = "optional_text", skip_serializing_if = "Option::is_none")]
        adjacent: Option<ShardId>,
    },
    /// The stream is made that many equal shards, by splits and merges (F14, F18).
    UpdateShardCount {
        /// The stream.
        #[serde(with = "text")]
        stream: StreamName,
        /// How many; more than double or less than half of the open shards are refused.
        shards: u32,
    },
    /// Retention removes every record, and every closed shard with them (F15).
    TrimAll {
        /// The stream.
        #[serde(with = "text")]
        stream: StreamName,
    },
    /// The stream is deleted and created again with as many open shards (F10).
    ///
    /// Where deleting takes time, the second stream is refused.
    DeleteAndRecreate {
        /// The stream.
        #[serde(with = "text")]
        stream: StreamName,
    },
    /// The service's clock jumps ahead (F15: days pass), and [`FakeKinesis::clock`](crate::FakeKinesis::clock) with it.
    ///
    /// tokio's time and a clock that was given to the builder do not move.
    #[serde(rename = "advance_clock_millis")]
    AdvanceClock(#[serde(with = "millis")] Duration),
}

impl OperatorEvent {
    /// The name of the variant as the journal and the JSON form have it, such as `split`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Split { .. } => "split",
            Self::Merge { .. } => "merge",
            Self::UpdateShardCount { .. } => "update_shard_count",
            Self::TrimAll { .. } => "trim_all",
            Self::DeleteAndRecreate { .. } => "delete_and_recreate",
            Self::AdvanceClock(_) => "advance_clock_millis",
        }
    }

    /// The stream that changes; nothing where it is time.
    pub const fn stream(&self) -> Option<&StreamName> {
        match self {
            Self::Split { stream, .. }
            | Self::Merge { stream, .. }
            | Self::UpdateShardCount { stream, .. }
            | Self::TrimAll { stream }
            | Self::DeleteAndRecreate { stream } => Some(stream),
            Self::AdvanceClock(_) => None,
        }
    }
}
