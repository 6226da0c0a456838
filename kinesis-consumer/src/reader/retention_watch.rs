//! Whether retention may have removed records between two replies.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::reader::KnownRetention;

/// No stream keeps records for less (API reference, DecreaseStreamRetentionPeriod): who is closer has lost nothing.
const SHORTEST_RETENTION: Duration = Duration::from_secs(24 * 3600);
/// How close to its retention a stream is said to be; arrival times are approximate (API reference, Record).
const MARGIN: Duration = Duration::from_secs(600);
/// What lies between the look at a restored job's positions and the begin of its readers, at most.
const STARTUP: Duration = Duration::from_secs(60);
/// How much later than a record that was read an earlier one may still appear at the tip.
const TIP_MARGIN: Duration = Duration::from_secs(60);

/// What a reply may have missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exposure {
    /// Nothing: what follows the last record read is younger than the retention.
    None,
    /// That depends on the stream's retention, which has to be looked up.
    Unknown,
    /// Retention is close to what was read last, or beyond it.
    Near {
        /// Whether it is beyond.
        passed: bool,
    },
}

/// Follows how far a shard was read in time, and compares that with the stream's retention.
///
/// All dates are the service's: arrivals of records, and the times of its replies.
#[derive(Debug)]
pub(super) struct RetentionWatch {
    /// All that had arrived by then was read; nothing where that is not known yet.
    read_until: Option<SystemTime>,
    retention: Option<KnownRetention>,
    /// When the shard was taken up, by our own clock, while nothing was read since.
    ///
    /// What retention had removed by then is not this watch's to report: a new job never asked for it, and of a restored
    /// one it was reported at startup.
    begun: Option<SystemTime>,
}

impl RetentionWatch {
    /// Begins at a time that all before was read of, and at `begun` of our own clock.
    pub(super) const fn new(read_until: Option<SystemTime>, begun: SystemTime) -> Self {
        Self { read_until, retention: None, begun: Some(begun) }
    }

    /// Notes the retention that was looked up.
    pub(super) const fn looked_up(&mut self, retention: KnownRetention) {
        self.retention = Some(retention);
    }

    /// What a reply of `served_at`, which goes on behind the last record, may have missed; `ours` is our own clock then.
    pub(super) fn exposure(&self, now: Instant, ours: SystemTime, served_at: SystemTime) -> Exposure {
        let age = match (self.read_until, self.begun) {
            (Some(until), _) => elapsed(until, served_at),
            // The oldest record is asked for: what there was when the shard was taken up is gone a retention later.
            (None, Some(begun)) => elapsed(begun, ours),
            (None, None) => Duration::ZERO,
        };
        if age + MARGIN < SHORTEST_RETENTION {
            return Exposure::None;
        }
        match self.retention {
            Some(known) if known.is_believed(now) => {
                let retention = known.retention;
                if age + MARGIN < retention {
                    Exposure::None
                } else {
                    let known = |begun| age.saturating_sub(elapsed(begun, ours)) > retention + STARTUP;
                    Exposure::Near { passed: age > retention && !self.begun.is_some_and(known) }
                }
            }
            _ => Exposure::Unknown,
        }
    }

    /// A record that had arrived at `arrival` was read.
    pub(super) fn read(&mut self, arrival: Option<SystemTime>) {
        self.read_until = self.read_until.max(arrival);
        self.begun = self.begun.filter(|_| arrival.is_none());
    }

    /// The shard was empty at its tip at `served_at`.
    pub(super) fn at_tip(&mut self, served_at: SystemTime) {
        self.read_until = self.read_until.max(served_at.checked_sub(TIP_MARGIN));
        self.begun = None;
    }

    /// What may be missing before `served_at` was reported.
    pub(super) fn reported(&mut self, served_at: SystemTime) {
        self.read_until = Some(served_at);
        self.begun = None;
    }
}

fn elapsed(from: SystemTime, to: SystemTime) -> Duration {
    to.duration_since(from).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kinesis_core::from_unix_millis;

    fn hour(hours: f64) -> SystemTime {
        from_unix_millis((hours * 3_600_000.0) as u64)
    }

    fn days(days: u32) -> KnownRetention {
        KnownRetention { retention: days * SHORTEST_RETENTION, looked_up_at: Instant::now() }
    }

    fn watch(read_until: Option<SystemTime>) -> RetentionWatch {
        RetentionWatch::new(read_until, hour(90.0))
    }

    /// Exposure by a clock of ours that is ten hours behind, which must not matter.
    fn at(watch: &RetentionWatch, served_at: f64) -> Exposure {
        watch.exposure(Instant::now(), hour(served_at - 10.0), hour(served_at))
    }

    #[tokio::test(start_paused = true)]
    async fn less_than_a_day_behind_nothing_is_looked_up() {
        let mut watch = watch(None);
        assert_eq!(at(&watch, 110.0), Exposure::None, "begun ten hours ago");
        watch.read(Some(hour(100.0)));
        assert_eq!(at(&watch, 123.8), Exposure::None);
        assert_eq!(at(&watch, 123.9), Exposure::Unknown);
    }

    #[tokio::test(start_paused = true)]
    async fn a_longer_retention_leaves_more_time() {
        let mut watch = watch(Some(hour(100.0)));
        watch.looked_up(days(7));
        assert_eq!(at(&watch, 200.0), Exposure::None);
        assert_eq!(at(&watch, 267.9), Exposure::Near { passed: false });
        assert_eq!(at(&watch, 268.1), Exposure::Near { passed: true });
        tokio::time::advance(Duration::from_secs(300)).await;
        assert_eq!(at(&watch, 200.0), Exposure::Unknown, "it may be shorter by now");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_gone_when_the_shard_was_taken_up_is_not_reported_again() {
        let mut watch = watch(Some(hour(71.0)));
        watch.looked_up(days(1));
        assert_eq!(at(&watch, 101.0), Exposure::Near { passed: false }, "29 hours old when begun an hour ago");
        assert_eq!(at(&watch, 106.5), Exposure::Near { passed: false });
        watch.read(Some(hour(80.0)));
        assert_eq!(at(&watch, 106.5), Exposure::Near { passed: true });
    }

    #[tokio::test(start_paused = true)]
    async fn what_there_was_when_the_shard_was_taken_up_is_gone_a_retention_later() {
        let mut watch = watch(None);
        watch.looked_up(days(1));
        assert_eq!(at(&watch, 123.9), Exposure::Near { passed: false });
        assert_eq!(at(&watch, 124.1), Exposure::Near { passed: true });
    }

    #[tokio::test(start_paused = true)]
    async fn a_tip_counts_as_read_and_time_does_not_go_back() {
        let mut watch = watch(Some(hour(100.0)));
        watch.at_tip(hour(200.0));
        watch.read(Some(hour(150.0)));
        assert_eq!(at(&watch, 223.0), Exposure::None);
        watch.reported(hour(300.0));
        assert_eq!(at(&watch, 323.0), Exposure::None);
    }
}
