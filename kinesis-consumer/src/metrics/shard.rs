//! What is measured of one shard by its reader.

use std::time::Duration;

use metrics::{Counter, Gauge};
use tokio::time::Instant;

use super::job::labels_of;
use super::metric;
use crate::record::StreamShard;

/// The series of a shard that is read, looked up once.
pub(crate) struct ShardMeter {
    behind_latest: Gauge,
    aggregated: Gauge,
    deaggregated: Gauge,
    average_size: Gauge,
    user_records: Counter,
    bytes: Counter,
    throttles: Counter,
    subscriptions: Counter,
}

impl ShardMeter {
    pub(crate) fn new(job: &str, shard: &StreamShard) -> Self {
        let labels = || labels_of(job, shard);
        let behind_latest = metric::MILLIS_BEHIND_LATEST.gauge(labels());
        behind_latest.set(-1.0);
        Self {
            behind_latest,
            aggregated: metric::AGGREGATED_RECORDS.gauge(labels()),
            deaggregated: metric::DEAGGREGATED_RECORDS.gauge(labels()),
            average_size: metric::AVERAGE_RECORD_SIZE.gauge(labels()),
            user_records: metric::USER_RECORDS.counter(labels()),
            bytes: metric::BYTES.counter(labels()),
            throttles: metric::THROTTLES.counter(labels()),
            subscriptions: metric::SUBSCRIPTIONS.counter(labels()),
        }
    }

    /// A reply or an event came.
    pub(crate) fn replied(&self, behind_latest: Option<Duration>) {
        if let Some(behind) = behind_latest {
            self.behind_latest.set(behind.as_millis() as f64);
        }
    }

    /// Records were fetched: those of a reply or an event.
    pub(crate) fn fetched(&self, kinesis_records: usize, bytes: usize) {
        self.aggregated.set(kinesis_records as f64);
        self.bytes.increment(bytes as u64);
    }

    /// A batch was handed on.
    pub(crate) fn delivered(&self, user_records: usize) {
        self.user_records.increment(user_records as u64);
    }

    /// All records of a reply or an event were handed on.
    pub(crate) fn exhausted(&self, bytes: usize, user_records: usize) {
        self.deaggregated.set(user_records as f64);
        self.average_size.set(bytes.checked_div(user_records).unwrap_or_default() as f64);
    }

    pub(crate) fn throttled(&self) {
        self.throttles.increment(1);
    }

    pub(crate) fn subscribed(&self) {
        self.subscriptions.increment(1);
    }
}

/// What is measured of polling besides.
pub(crate) struct PollMeter {
    max_records: Gauge,
    bytes_requested: Gauge,
    run_loop_time: Gauge,
    loop_frequency: Gauge,
    sleep_time: Gauge,
    called: Option<Instant>,
}

impl PollMeter {
    pub(crate) fn new(job: &str, shard: &StreamShard) -> Self {
        let labels = || labels_of(job, shard);
        Self {
            max_records: metric::MAX_RECORDS.gauge(labels()),
            bytes_requested: metric::BYTES_REQUESTED.gauge(labels()),
            run_loop_time: metric::RUN_LOOP_TIME.gauge(labels()),
            loop_frequency: metric::LOOP_FREQUENCY.gauge(labels()),
            sleep_time: metric::SLEEP_TIME.gauge(labels()),
            called: None,
        }
    }

    /// A call is made after a wait, of a shard that may be read by `bytes_per_second`.
    pub(crate) fn calling(&mut self, now: Instant, slept: Duration, max_records: u32, bytes_per_second: f64) {
        self.sleep_time.set(slept.as_millis() as f64);
        self.max_records.set(f64::from(max_records));
        let interval = self.called.replace(now).map(|before| now.saturating_duration_since(before).as_secs_f64());
        if let Some(interval) = interval.filter(|interval| *interval > 0.0) {
            self.loop_frequency.set(interval.recip());
            self.bytes_requested.set(bytes_per_second * interval);
        }
    }

    /// The records of the last call were handed on.
    pub(crate) fn done(&self, now: Instant) {
        if let Some(called) = self.called {
            self.run_loop_time.set(now.saturating_duration_since(called).as_nanos() as f64);
        }
    }
}
