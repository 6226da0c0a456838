//! Event time: watermarks, and shards that wait for each other.

use std::time::Duration;

use crate::config::consumer_config_constants as keys;
use crate::config::reader::Reader;

/// How event time is kept, where a consumer has a watermark strategy; of no effect elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventTimeConfig {
    /// How long a silent shard that is at its tip holds the watermark; by default for ever.
    pub idle_interval: Option<Duration>,
    /// The interval at which subtasks exchange watermarks, 30 s by default; the subtasks of one process see each other's at
    /// once, so that it is a bound of the lookahead and nothing else.
    pub sync_interval: Duration,
    /// How far a shard may be read ahead of the one that is the furthest behind; 0 by default, see
    /// [`EventTimeConfig::effective_lookahead`].
    pub lookahead: Duration,
    /// The most records that a shard is polled for at a time, once some had to wait for other shards and their memory was
    /// wanted; 100 by default.
    pub queue_capacity: u32,
}

impl Default for EventTimeConfig {
    fn default() -> Self {
        Self {
            idle_interval: None,
            sync_interval: Duration::from_millis(keys::DEFAULT_WATERMARK_SYNC_MILLIS),
            lookahead: Duration::from_millis(keys::DEFAULT_WATERMARK_LOOKAHEAD_MILLIS),
            queue_capacity: keys::DEFAULT_WATERMARK_SYNC_QUEUE_CAPACITY,
        }
    }
}

impl EventTimeConfig {
    /// The lookahead that holds: never less than three intervals of exchange, as in the reference.
    pub fn effective_lookahead(&self) -> Duration {
        self.lookahead.max(self.sync_interval.saturating_mul(3))
    }

    pub(super) fn read(reader: Reader<'_>) -> Self {
        let default = Self::default();
        Self {
            // -1 does not parse as a duration, and zero switches idleness off as well.
            idle_interval: reader.millis(keys::SHARD_IDLE_INTERVAL_MILLIS).filter(|interval| !interval.is_zero()),
            sync_interval: reader.millis(keys::WATERMARK_SYNC_MILLIS).unwrap_or(default.sync_interval),
            lookahead: reader.millis(keys::WATERMARK_LOOKAHEAD_MILLIS).unwrap_or(default.lookahead),
            queue_capacity: reader.number(keys::WATERMARK_SYNC_QUEUE_CAPACITY).unwrap_or(default.queue_capacity),
        }
    }
}
