//! What a recorder of the `metrics` facade is told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ::metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use kinesis_consumer::{ForeignMembers, WatermarkStrategy};
use kinesis_core::{ConsumerConfig, FanOutConfig, RecordPublisher, StartingPosition};
use kinesis_testkit::{Fault, FaultRule, Operation};
use parking_lot::Mutex;
use tokio::time::sleep;

use crate::event_time::look_back;
use crate::support::World;

type Values = Arc<Mutex<BTreeMap<String, f64>>>;

/// Keeps the last value of gauges, the sum of counters, and how many values histograms had.
#[derive(Clone, Debug, Default)]
struct Sums(Values);

struct Series {
    name: String,
    values: Values,
}

impl Sums {
    fn series(&self, key: &Key) -> Arc<Series> {
        let labels = key.labels().map(|label| format!(" {}={}", label.key(), label.value()));
        let name = labels.fold(key.name().to_owned(), |name, label| name + &label);
        self.0.lock().entry(name.clone()).or_default();
        Arc::new(Series { name, values: Arc::clone(&self.0) })
    }

    /// The values of all series of a metric, by their labels.
    fn of(&self, metric: &str) -> Vec<(String, f64)> {
        let values = self.0.lock();
        let of = |(name, value): (&String, &f64)| {
            let (found, labels) = name.split_once(' ').unwrap_or((name, ""));
            (found == metric).then(|| (labels.to_owned(), *value))
        };
        values.iter().filter_map(of).collect()
    }

    /// The sum over all labels.
    fn total(&self, metric: &str) -> f64 {
        self.of(metric).iter().map(|(_, value)| value).sum()
    }
}

impl Recorder for Sums {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.series(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.series(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.series(key))
    }
}

impl Series {
    fn change(&self, change: impl FnOnce(f64) -> f64) {
        let mut values = self.values.lock();
        let value = values.entry(self.name.clone()).or_default();
        *value = change(*value);
    }
}

impl CounterFn for Series {
    fn increment(&self, value: u64) {
        self.change(|sum| sum + value as f64);
    }

    fn absolute(&self, value: u64) {
        self.change(|_| value as f64);
    }
}

impl GaugeFn for Series {
    fn increment(&self, value: f64) {
        self.change(|last| last + value);
    }

    fn decrement(&self, value: f64) {
        self.change(|last| last - value);
    }

    fn set(&self, value: f64) {
        self.change(|_| value);
    }
}

impl HistogramFn for Series {
    fn record(&self, _: f64) {
        self.change(|count| count + 1.0);
    }
}

fn config(reader: RecordPublisher) -> ConsumerConfig {
    let config = ConsumerConfig::builder().starting_position(StartingPosition::TrimHorizon);
    config.record_publisher(reader).fan_out(FanOutConfig::named("app")).build().unwrap()
}

const SHARD_0: &str = "job=consumer stream=orders shard=shardId-000000000000";

#[tokio::test(start_paused = true)]
async fn a_polling_job_tells_what_it_reads_how_far_it_is_and_what_it_saved() {
    let sums = Sums::default();
    let _guard = ::metrics::set_default_local_recorder(&sums);
    let world = World::new(1);
    world.put_aggregate("key", 0..10).await;
    world.put("key", "text-00010").await;
    world.fake.inject(FaultRule::on(Operation::GetRecords).fault(Fault::throttle()).times(2));
    world.fake.inject(FaultRule::on(Operation::ListShards).fault(Fault::internal_failure()).times(1));
    let builder = world.consumer().config(config(RecordPublisher::Polling)).watermarks(WatermarkStrategy::monotonous());
    let running = world.start(builder);
    world.wait_for(11).await;
    assert_eq!(sums.of("kinesis_consumer_number_of_aggregated_records_per_fetch"), [(SHARD_0.to_owned(), 2.0)]);
    assert_eq!(sums.total("kinesis_consumer_number_of_deaggregated_records_per_fetch"), 11.0);
    assert!(sums.total("kinesis_consumer_average_record_size_bytes") > 9.0);
    sleep(Duration::from_secs(11)).await;
    let expected = [
        ("kinesis_consumer_user_records", 11.0),
        ("kinesis_consumer_millis_behind_latest", 0.0),
        ("kinesis_consumer_throttles", 2.0),
        ("kinesis_consumer_shards_started", 1.0),
        ("kinesis_consumer_shards_reading", 1.0),
        ("kinesis_consumer_shards_discovered", 1.0),
        ("kinesis_consumer_max_number_of_records_per_fetch", 10_000.0),
        ("kinesis_consumer_checkpoints", 11.0),
        ("kinesis_consumer_checkpoint_time_ms", 11.0),
        ("kinesis_client_retries", 1.0),
        ("kinesis_consumer_subscriptions", 0.0),
    ];
    for (metric, value) in expected {
        assert_eq!(sums.total(metric), value, "{metric}");
    }
    for metric in ["checkpoint_bytes", "global_watermark", "local_watermark", "loop_frequency_hz", "bytes", "listings"]
    {
        assert!(sums.total(&format!("kinesis_consumer_{metric}")) > 0.0, "{metric}");
    }
    let outcomes = sums.of("kinesis_client_requests");
    assert!(outcomes.contains(&("operation=GetRecords outcome=Throttled".to_owned(), 2.0)), "{outcomes:?}");
    running.drain().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_lag_grows_where_no_reply_comes_and_the_age_of_a_checkpoint_where_none_does() {
    let sums = Sums::default();
    let _guard = ::metrics::set_default_local_recorder(&sums);
    let world = World::new(1);
    let running = world.start(world.consumer().checkpoints(world.store.clone(), Duration::from_secs(600)));
    running.handle.checkpoint();
    sleep(Duration::from_secs(11)).await;
    world.fake.inject(FaultRule::on(Operation::GetRecords).fault(Fault::throttle()).always());
    sleep(Duration::from_secs(120)).await;
    assert!(sums.total("kinesis_consumer_lag_ms") > 100_000.0, "{}", sums.total("kinesis_consumer_lag_ms"));
    assert_eq!(sums.total("kinesis_consumer_millis_behind_latest"), 0.0, "by the last reply");
    assert!(sums.total("kinesis_consumer_checkpoint_age_ms") > 100_000.0);
    running.kill().await;
}

#[tokio::test(start_paused = true)]
async fn subscriptions_and_dropped_aggregates_are_counted_per_shard() {
    let sums = Sums::default();
    let _guard = ::metrics::set_default_local_recorder(&sums);
    let world = World::new(1);
    world.put_aggregate("key-1", 0..5).await;
    world.fake.split(crate::support::STREAM, "shardId-000000000000").unwrap();
    // Its members belong to both children, so that it is foreign to the one that has it.
    let mut builder = kinesis_aggregation::AggregateBuilder::new();
    (0..20).for_each(|key| {
        builder.add(&format!("key-{key}"), None, b"text-00099");
    });
    world.put_bytes("key-1", &builder.finish()).await;
    let builder = world.consumer().config(config(RecordPublisher::EnhancedFanOut));
    world.start(builder.foreign_members(ForeignMembers::PerMember)).drain().await.unwrap();
    assert!(sums.total("kinesis_consumer_subscriptions") >= 3.0);
    assert_eq!(sums.total("kinesis_consumer_aggregates_dropped"), 1.0);
    let dropped = sums.total("kinesis_consumer_members_dropped");
    assert_eq!(dropped + sums.total("kinesis_consumer_user_records"), 25.0);
    assert_eq!(sums.of("kinesis_consumer_shards_ended"), [(SHARD_0.to_owned(), 1.0)]);
}

#[tokio::test(start_paused = true)]
async fn a_record_counts_once_also_where_a_reply_was_given_back_and_read_again() {
    let sums = Sums::default();
    let _guard = ::metrics::set_default_local_recorder(&sums);
    let (count, _) = look_back(RecordPublisher::Polling, 6, 10 << 20, &vec![b'x'; 12 * 1024]).await;
    assert_eq!(sums.total("kinesis_consumer_user_records"), count as f64);
    let fetched = sums.total("kinesis_consumer_bytes");
    assert!(fetched > 1.2 * (count * 12 * 1024) as f64, "{fetched} bytes: some were fetched again");
}
