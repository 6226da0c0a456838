//! The metrics by name.

use metrics::{Counter, Gauge, Histogram, Label, Unit};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A metric; what the reference has is named as there (Flink, `KinesisConsumerMetricConstants`).
#[derive(Debug)]
pub(super) struct Metric {
    key: &'static str,
    kind: Kind,
    unit: Unit,
    description: &'static str,
}

const fn metric(key: &'static str, kind: Kind, unit: Unit, description: &'static str) -> Metric {
    Metric { key, kind, unit, description }
}

macro_rules! metrics {
    ($($name:ident = $kind:ident, $key:literal, $unit:ident, $description:literal;)*) => {
        $(pub(super) static $name: Metric =
            metric(concat!("kinesis_consumer_", $key), Kind::$kind, Unit::$unit, $description);)*
        static ALL: &[&Metric] = &[$(&$name),*];
    };
}

metrics! {
    MILLIS_BEHIND_LATEST = Gauge, "millis_behind_latest", Milliseconds,
        "How far behind the tip of the shard its last reply was; -1 before the first";
    AGGREGATED_RECORDS = Gauge, "number_of_aggregated_records_per_fetch", Count,
        "Kinesis records in the last reply or event";
    DEAGGREGATED_RECORDS = Gauge, "number_of_deaggregated_records_per_fetch", Count,
        "User records in the last reply or event that was handed on whole";
    AVERAGE_RECORD_SIZE = Gauge, "average_record_size_bytes", Bytes,
        "Its bytes by its user records; 0 where there were none";
    MAX_RECORDS = Gauge, "max_number_of_records_per_fetch", Count,
        "Records that the last GetRecords asked for at most";
    BYTES_REQUESTED = Gauge, "bytes_requested_per_fetch", Bytes,
        "What the shard may be read of from one GetRecords to the next";
    RUN_LOOP_TIME = Gauge, "run_loop_time_nanos", Nanoseconds,
        "From the last GetRecords until its records were handed on";
    LOOP_FREQUENCY = Gauge, "loop_frequency_hz", CountPerSecond,
        "How often GetRecords is called, by the last two calls";
    SLEEP_TIME = Gauge, "sleep_time_millis", Milliseconds,
        "The wait before the last GetRecords";
    LAG = Gauge, "lag_ms", Milliseconds,
        "What the last reply said, and the time since; grows also where no reply comes";
    LOCAL_WATERMARK = Gauge, "local_watermark", Milliseconds,
        "The shard's watermark, in milliseconds since 1970";
    GLOBAL_WATERMARK = Gauge, "global_watermark", Milliseconds,
        "The job's watermark, in milliseconds since 1970";
    USER_RECORDS = Counter, "user_records", Count,
        "User records that were handed on";
    BYTES = Counter, "bytes", Bytes,
        "Data and partition keys that were fetched, also where they were fetched again";
    THROTTLES = Counter, "throttles", Count,
        "Reads and subscriptions that the service throttled";
    SUBSCRIPTIONS = Counter, "subscriptions", Count,
        "Subscriptions that began";
    SUBSCRIPTIONS_TAKEN_OVER = Counter, "subscriptions_taken_over", Count,
        "Subscriptions that another one of the same consumer took over";
    AGGREGATES_DROPPED = Counter, "aggregates_dropped", Count,
        "Aggregates of which members were dropped for their hash keys";
    MEMBERS_DROPPED = Counter, "members_dropped", Count,
        "User records that were dropped with them";
    CORRUPT_AGGREGATES = Counter, "corrupt_aggregates", Count,
        "Records that look like aggregates and cannot be taken apart";
    RECORDS_SKIPPED = Counter, "records_skipped", Count,
        "Records that the schema refused and its policy left out";
    RECORDS_DEAD_LETTERED = Counter, "records_dead_lettered", Count,
        "Records that the schema refused and the dead-letter hook took";
    POSSIBLE_LOSSES = Counter, "possible_losses", Count,
        "Times that retention may have removed unread records";
    SHARDS_LOST = Counter, "shards_lost", Count,
        "Shards that the service no longer lists and that were not read to their end";
    SHARDS_STARTED = Counter, "shards_started", Count,
        "Shards that were begun";
    SHARDS_ENDED = Counter, "shards_ended", Count,
        "Shards that were read to their end";
    SHARDS_DISCOVERED = Counter, "shards_discovered", Count,
        "Shards that a listing had for the first time";
    LISTINGS = Counter, "listings", Count,
        "Listings of shards, by outcome";
    SHARDS_READING = Gauge, "shards_reading", Count,
        "Shards that are being read";
    CHECKPOINTS = Counter, "checkpoints", Count,
        "Checkpoints that were completed";
    CHECKPOINT_TIME = Histogram, "checkpoint_time_ms", Milliseconds,
        "From the barriers of a checkpoint to its completion";
    CHECKPOINT_BYTES = Gauge, "checkpoint_bytes", Bytes,
        "The size of the last checkpoint, encoded";
    CHECKPOINT_AGE = Gauge, "checkpoint_age_ms", Milliseconds,
        "The time since the last checkpoint was completed";
}

impl Metric {
    pub(super) fn counter(&self, labels: Vec<Label>) -> Counter {
        metrics::counter!(self.key, labels)
    }

    pub(super) fn gauge(&self, labels: Vec<Label>) -> Gauge {
        metrics::gauge!(self.key, labels)
    }

    pub(super) fn histogram(&self, labels: Vec<Label>) -> Histogram {
        metrics::histogram!(self.key, labels)
    }
}

/// Describes all metrics to the recorder that is installed.
pub(crate) fn describe() {
    for Metric { key, kind, unit, description } in ALL {
        match kind {
            Kind::Counter => metrics::describe_counter!(*key, *unit, *description),
            Kind::Gauge => metrics::describe_gauge!(*key, *unit, *description),
            Kind::Histogram => metrics::describe_histogram!(*key, *unit, *description),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const PAGE: &str = include_str!("../../docs/metrics.md");
    const DASHBOARD: &str = include_str!("../../docs/grafana-dashboard.json");

    /// Every name of a page that begins as ours do.
    fn named(text: &str) -> BTreeSet<&str> {
        let is_name = |letter: char| letter.is_ascii_lowercase() || letter == '_';
        let words = text.split(|letter: char| !is_name(letter));
        words.filter(|word| word.starts_with("kinesis_consumer_")).collect()
    }

    #[test]
    fn the_page_and_the_dashboard_have_every_metric_and_no_other() {
        let keys: BTreeSet<&str> = ALL.iter().map(|metric| metric.key).collect();
        assert_eq!(keys.len(), ALL.len());
        assert_eq!(named(PAGE), keys);
        // Prometheus shows a histogram by three series.
        let shown = named(DASHBOARD);
        let shown: BTreeSet<&str> = shown.iter().map(|name| name.trim_end_matches("_bucket")).collect();
        assert_eq!(shown, keys);
    }

    #[test]
    fn the_page_says_of_what_kind_each_is() {
        for metric in ALL {
            let row = PAGE.lines().find(|line| line.starts_with(&format!("| `{}` |", metric.key)));
            let row = row.unwrap_or_else(|| panic!("{} has no row", metric.key));
            let kind = format!("{:?}", metric.kind).to_lowercase();
            assert!(row.contains(&format!("| {kind} |")), "{row}");
        }
    }
}
