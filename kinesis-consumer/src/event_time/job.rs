//! How far a whole job has come.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kinesis_core::EventTimeConfig;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use super::alignment::{Alignment, Limit};
use super::shard::{Contribution, Progress, ShardTime};
use super::strategy::WatermarkStrategy;
use crate::lineage::Hold;
use crate::record::StreamShard;

/// How often the watermark is worked out where nobody waits for it; Flink's default (`auto-watermark-interval`).
pub(crate) const WATERMARK_INTERVAL: Duration = Duration::from_millis(200);

/// How a job keeps event time; fixed while it runs.
#[derive(Clone, Debug)]
pub(crate) struct EventTime {
    pub(crate) strategy: WatermarkStrategy,
    pub(crate) config: EventTimeConfig,
    pub(crate) is_aligned: bool,
}

/// What everybody in a job is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) watermark: Option<SystemTime>,
    pub(crate) limit: Limit,
}

/// The watermark of one run of a job: the smallest of its shards', as far as they are waited for.
#[derive(Debug)]
pub(crate) struct JobWatermark {
    event_time: EventTime,
    /// The shards that are being read.
    reading: BTreeMap<StreamShard, Arc<Mutex<Progress>>>,
    published: watch::Sender<Published>,
}

impl JobWatermark {
    /// Begins with the lineage that the run goes on from; what was reached before is not undone.
    pub(crate) fn new(event_time: EventTime, restored: impl Iterator<Item = Hold>) -> Self {
        // Shards without a past have no say in how far the job had come.
        let known = restored.filter_map(|hold| match hold {
            Hold::Reading { watermark, has_begun: true, .. } | Hold::Final { watermark, .. } => Some(watermark),
            Hold::Reading { .. } => None,
        });
        let limit = if event_time.is_aligned { Limit::Unknown } else { Limit::Unlimited };
        let published = Published { watermark: known.min().flatten(), limit };
        Self { event_time, reading: BTreeMap::new(), published: watch::Sender::new(published) }
    }

    /// Begins a shard at the watermark that it was saved with or inherits.
    pub(crate) fn begin(&mut self, shard: &StreamShard, watermark: Option<SystemTime>, now: Instant) -> ShardTime {
        let progress = Arc::new(Mutex::new(Progress::new(watermark, now)));
        self.reading.insert(shard.clone(), Arc::clone(&progress));
        ShardTime { progress, published: self.published.subscribe(), strategy: self.event_time.strategy.clone() }
    }

    /// A shard was read to its end.
    pub(crate) fn end(&mut self, shard: &StreamShard) {
        self.reading.remove(shard);
    }

    /// The shards that are being read, and how far each has come.
    pub(crate) fn reading(&self) -> impl Iterator<Item = (&StreamShard, SystemTime)> {
        self.reading.iter().filter_map(|(shard, progress)| Some((shard, progress.lock().watermark()?)))
    }

    /// The watermark that was told last.
    pub(crate) fn current(&self) -> Option<SystemTime> {
        self.published.borrow().watermark
    }

    /// Works the watermark out from the lineage of all streams, and tells it; returns it where it advanced.
    pub(crate) fn update(&self, holds: impl Iterator<Item = Hold>, now: Instant) -> Option<SystemTime> {
        let shards = self.contributions(holds, now);
        let before = self.current();
        let waited_for = shards.iter().filter(|shard| !shard.is_idle).map(|shard| shard.watermark).min();
        let watermark = before.max(waited_for.flatten());
        self.publish(watermark, &shards);
        watermark.filter(|_| watermark != before)
    }

    /// Works out how far shards may be read, and leaves the watermark where it is.
    pub(crate) fn update_limit(&self, holds: impl Iterator<Item = Hold>, now: Instant) {
        self.publish(self.current(), &self.contributions(holds, now));
    }

    fn publish(&self, watermark: Option<SystemTime>, shards: &[Contribution]) {
        let alignment = Alignment { lookahead: self.event_time.config.effective_lookahead() };
        let limit = if self.event_time.is_aligned { alignment.limit(shards) } else { Limit::Unlimited };
        let published = Published { watermark, limit };
        self.published.send_if_modified(|current| std::mem::replace(current, published) != published);
    }

    fn contributions(&self, holds: impl Iterator<Item = Hold>, now: Instant) -> Vec<Contribution> {
        holds.map(|hold| self.contribution(hold, now)).collect()
    }

    fn contribution(&self, hold: Hold, now: Instant) -> Contribution {
        match hold {
            Hold::Final { watermark, waits_for_others } => {
                Contribution { watermark, is_idle: false, is_free: waits_for_others }
            }
            Hold::Reading { shard, watermark, has_children, .. } => match self.reading.get(&shard) {
                Some(progress) => {
                    let idle = self.event_time.config.idle_interval;
                    progress.lock().contribution(idle, !has_children, now)
                }
                None => Contribution { watermark, is_idle: false, is_free: false },
            },
        }
    }
}

#[cfg(test)]
mod tests;
