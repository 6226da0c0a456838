//! How far one shard has come.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use super::alignment::Limit;
use super::job::Published;
use super::strategy::{WatermarkGenerator, WatermarkStrategy};
use crate::record::StreamShard;

/// For how long it counts that a shard was seen empty at its tip: three times as long as its reader takes to say so again.
const TIP_COUNTS: Duration = Duration::from_secs(30);

/// What a shard contributes to the job's watermark at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Contribution {
    pub(super) watermark: Option<SystemTime>,
    /// Silent for so long that nobody waits for it.
    pub(super) is_idle: bool,
    /// Whether nobody has to stay near it: nothing of it is left to be read, or others have to be read first.
    pub(super) is_free: bool,
}

/// What is known of a shard that is being read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    watermark: Option<SystemTime>,
    /// When a record of it was taken in last, or the shard was begun.
    active_at: Instant,
    /// When it was seen empty at its tip; nothing once records came behind that.
    tip_at: Option<Instant>,
}

impl Progress {
    pub(super) const fn new(watermark: Option<SystemTime>, now: Instant) -> Self {
        Self { watermark, active_at: now, tip_at: None }
    }

    pub(super) const fn watermark(&self) -> Option<SystemTime> {
        self.watermark
    }

    fn advance(&mut self, watermark: Option<SystemTime>, now: Instant) {
        self.watermark = self.watermark.max(watermark);
        self.active_at = now;
        self.tip_at = None;
    }

    /// `may_be_idle`: not so where the shard is known to be closed, and its children wait for its end.
    pub(super) fn contribution(&self, idle: Option<Duration>, may_be_idle: bool, now: Instant) -> Contribution {
        let since = |at: Instant| now.saturating_duration_since(at);
        let is_at_tip = may_be_idle && self.tip_at.is_some_and(|at| since(at) < TIP_COUNTS);
        // A shard that is behind, or cannot be read for the moment, is silent without being idle.
        let is_idle = is_at_tip && idle.is_some_and(|idle| since(self.active_at) >= idle);
        Contribution { watermark: self.watermark, is_idle, is_free: is_at_tip }
    }
}

/// A shard's event time, as its subtask keeps it.
#[derive(Clone, Debug)]
pub(crate) struct ShardTime {
    pub(super) progress: Arc<Mutex<Progress>>,
    pub(super) published: watch::Receiver<Published>,
    pub(super) strategy: WatermarkStrategy,
}

impl ShardTime {
    /// How far the shard has come.
    pub(crate) fn watermark(&self) -> Option<SystemTime> {
        self.progress.lock().watermark
    }

    /// Records were taken in with which the shard came to `watermark`, or the next one is known with which it will.
    pub(crate) fn advance(&self, watermark: Option<SystemTime>) {
        self.progress.lock().advance(watermark, Instant::now());
    }

    /// The shard was just seen empty at its tip.
    ///
    /// By the arrival of the answer: a subscription is asked for once in five minutes.
    pub(crate) fn at_tip(&self, now: Instant) {
        self.progress.lock().tip_at = Some(now);
    }

    /// The job's watermark, now and later.
    pub(crate) fn published(&self) -> watch::Receiver<Published> {
        self.published.clone()
    }

    /// The times of the shard's records, as its reader keeps them.
    pub(crate) fn reader(&self, shard: &StreamShard) -> ReaderTime {
        ReaderTime {
            generator: self.strategy.generator(shard),
            watermark: self.watermark(),
            published: self.published.clone(),
        }
    }
}

/// The precision that checkpoints keep, so that a restored watermark is the one that was told.
fn whole_millis(time: SystemTime) -> SystemTime {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => time - Duration::from_nanos(u64::from(since.subsec_nanos() % 1_000_000)),
        Err(_) => time,
    }
}

/// The times of a shard's records, in the order in which they are read.
pub(crate) struct ReaderTime {
    generator: Box<dyn WatermarkGenerator>,
    watermark: Option<SystemTime>,
    published: watch::Receiver<Published>,
}

impl ReaderTime {
    /// Takes in the next record; returns the watermark that the shard comes to with it.
    pub(crate) fn on_record(&mut self, time: Option<SystemTime>) -> Option<SystemTime> {
        if let Some(time) = time {
            self.generator.on_record(time);
            self.watermark = self.watermark.max(self.generator.watermark().map(whole_millis));
        }
        self.watermark
    }

    /// How far the shard may be read now.
    pub(crate) fn limit(&self) -> Limit {
        self.published.borrow().limit
    }

    /// Waits until the shard may come to `watermark`; for ever where the job is over. Cancel safety: nothing is lost.
    pub(crate) async fn allowed(&mut self, watermark: SystemTime) {
        let is_allowed = |published: &Published| published.limit.allows(Some(watermark));
        if self.published.wait_for(is_allowed).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
pub(in crate::event_time) mod tests {
    use super::*;
    use kinesis_core::ShardId;

    /// A time as the reference's test cases write it: milliseconds, also negative ones.
    pub(in crate::event_time) fn ms(millis: i64) -> SystemTime {
        let distance = Duration::from_millis(millis.unsigned_abs());
        if millis < 0 { SystemTime::UNIX_EPOCH - distance } else { SystemTime::UNIX_EPOCH + distance }
    }

    pub(in crate::event_time) fn shard(index: u64) -> StreamShard {
        StreamShard { stream: "orders".parse().unwrap(), shard: ShardId::from_index(index) }
    }

    const IDLE: Option<Duration> = Some(Duration::from_secs(10));

    #[tokio::test(start_paused = true)]
    async fn a_shard_is_idle_when_it_was_silent_for_the_interval_and_is_at_its_tip() {
        let begun = Instant::now();
        let mut progress = Progress::new(None, begun);
        progress.advance(Some(ms(1)), begun);
        let later = begun + Duration::from_secs(11);
        assert!(!progress.contribution(IDLE, true, later).is_idle, "nobody knows what is left of it");
        progress.tip_at = Some(begun + Duration::from_secs(9));
        assert!(!progress.contribution(IDLE, true, begun + Duration::from_secs(9)).is_idle);
        assert!(progress.contribution(IDLE, true, later).is_idle);
        assert!(!progress.contribution(None, true, later).is_idle, "off");
        assert!(!progress.contribution(IDLE, false, later).is_idle, "its children wait for it");
        let much_later = later + TIP_COUNTS;
        assert!(!progress.contribution(IDLE, true, much_later).is_idle, "it may be throttled since");
        progress.advance(Some(ms(2)), later);
        assert!(!progress.contribution(IDLE, true, later + Duration::from_secs(11)).is_idle);
    }

    #[tokio::test(start_paused = true)]
    async fn a_shard_does_not_go_back() {
        let mut progress = Progress::new(Some(ms(7)), Instant::now());
        progress.advance(Some(ms(5)), Instant::now());
        progress.advance(None, Instant::now());
        assert_eq!(progress.contribution(None, true, Instant::now()).watermark, Some(ms(7)));
    }
}
