//! What a property sets is what the producer does.

use std::time::Duration;

use kinesis_core::{ClientOptions, KinesisClient, Properties, Randomness};
use kinesis_producer::{
    KinesisProducer, MetricsConfig, MetricsGranularity, MetricsLevel, ProducerConfig, ProducerStats, UserRecord,
    producer_config_constants as keys,
};
use kinesis_testkit::FakeKinesis;
use tokio::time::Instant;

use crate::{millis, producer};

const LARGEST: &str = "9223372036854775807";

/// Writes that many records with a config of these pairs to one shard whose calls take 20 ms.
async fn load(pairs: &[(&str, &str)], records: usize) -> (ProducerStats, Duration) {
    let kinesis = FakeKinesis::builder().stream("orders", 1).latency(millis(20)).virtual_time().build();
    let client = KinesisClient::new(kinesis.client(), ClientOptions::default());
    let builder = KinesisProducer::builder().client(client).config(producer(pairs).unwrap());
    let producer = builder.randomness(Randomness::from_seed(1)).build().await.unwrap();
    // The stream is looked up before the time is taken.
    producer.put(UserRecord::new("orders", "k", "first")).await.unwrap();
    producer.flush().await.unwrap();
    let started = Instant::now();
    for _ in 0..records {
        producer.put(UserRecord::new("orders", "k", "x")).await.unwrap();
    }
    producer.flush().await.unwrap();
    let elapsed = started.elapsed();
    let mut stats = producer.close().await.unwrap();
    assert_eq!(stats.user_records_put, 1 + records as u64, "{stats:?}");
    stats.put_records_calls -= 1;
    stats.kinesis_records_put -= 1;
    (stats, elapsed)
}

#[tokio::test(start_paused = true)]
async fn records_are_packed_and_collected_as_the_properties_say() {
    let plain = [(keys::AGGREGATION_ENABLED, "FALSE"), (keys::COLLECTION_MAX_COUNT, "10")];
    for (pairs, kinesis_records, calls) in [
        (&plain[..], 25, 3),
        (&[(keys::DEPRECATED_COLLECTION_MAX_COUNT, "5"), plain[0], plain[1]], 25, 5),
        (&[(keys::AGGREGATION_MAX_COUNT, "10")], 3, 1),
        (&[(keys::DEPRECATED_AGGREGATION_MAX_COUNT, "5"), (keys::AGGREGATION_MAX_COUNT, "10")], 5, 1),
        (&[(keys::AGGREGATION_MAX_COUNT, "1")], 25, 1),
    ] {
        let (stats, _) = load(pairs, 25).await;
        assert_eq!((stats.kinesis_records_put, stats.put_records_calls), (kinesis_records, calls), "{pairs:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_pool_limits_the_requests_at_a_time() {
    let single = [(keys::AGGREGATION_ENABLED, "false"), (keys::COLLECTION_MAX_COUNT, "1")];
    for (size, rounds) in [("1", 8), ("2", 4), ("8", 1)] {
        let (_, elapsed) = load(&[single[0], single[1], (keys::THREAD_POOL_SIZE, size)], 8).await;
        assert_eq!(elapsed.as_millis() / 20, rounds, "{size} at a time, 20 ms each: {elapsed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_largest_values_work() {
    let pairs = [
        (keys::AGGREGATION_MAX_COUNT, LARGEST),
        (keys::AGGREGATION_MAX_SIZE, "10485760"),
        (keys::COLLECTION_MAX_SIZE, LARGEST),
        (keys::RATE_LIMIT, LARGEST),
        (keys::RECORD_MAX_BUFFERED_TIME, LARGEST),
        // The KPL fails every record at once with this time to live.
        (keys::RECORD_TTL, LARGEST),
        (keys::THREAD_POOL_SIZE, "2147483647"),
    ];
    let (stats, elapsed) = load(&pairs, 1000).await;
    assert_eq!((stats.kinesis_records_put, stats.retries), (1, 0));
    assert_eq!(elapsed.as_millis() / 20, 1, "one request: {elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn the_smallest_values_work() {
    let pairs = [
        (keys::AGGREGATION_MAX_COUNT, "1"),
        (keys::AGGREGATION_MAX_SIZE, "64"),
        (keys::COLLECTION_MAX_COUNT, "1"),
        (keys::COLLECTION_MAX_SIZE, "52224"),
        (keys::RATE_LIMIT, "1"),
        (keys::RECORD_MAX_BUFFERED_TIME, "0"),
        (keys::MAX_CONNECTIONS, "1"),
    ];
    let (stats, elapsed) = load(&pairs, 11).await;
    assert_eq!(stats.kinesis_records_put, 11);
    // One per cent of 1,000 records/s, but for a burst of a quarter of a second.
    assert!(elapsed > millis(850) && elapsed < millis(1000), "{elapsed:?}");
}

#[test]
fn requests_at_a_time_follow_pool_and_connections() {
    for (model, size, connections, expected) in [
        (None, None, None, 10),
        (None, Some("4"), None, 4),
        (None, Some("0"), None, 24),
        (None, Some("0"), Some("256"), 64),
        (None, Some("128"), None, 24),
        (None, Some("128"), Some("256"), 128),
        (None, None, Some("3"), 3),
        (Some("POOLED"), Some("12"), Some("11"), 11),
        (Some("PER_REQUEST"), None, None, 24),
        (Some("PER_REQUEST"), Some("4"), None, 24),
        (Some("PER_REQUEST"), Some("4"), Some("256"), 256),
    ] {
        let pairs = [
            model.map(|model| (keys::THREADING_MODEL, model)),
            size.map(|size| (keys::THREAD_POOL_SIZE, size)),
            connections.map(|connections| (keys::MAX_CONNECTIONS, connections)),
        ];
        let pairs: Vec<_> = pairs.into_iter().flatten().collect();
        let expected = ProducerConfig::default().max_requests_in_flight(expected);
        assert_eq!(producer(&pairs).unwrap(), expected, "{pairs:?}");
    }
}

#[test]
fn the_connectors_configuration_is_read() {
    // KinesisConfigUtilTest: overrides 150, PER_REQUEST, 12; deprecated keys become the KPL's.
    let pairs = [
        ("aws.region", "us-east-1"),
        ("aws.credentials.provider", "AUTO"),
        ("flink.stream.initpos", "LATEST"),
        (keys::RATE_LIMIT, "150"),
        (keys::THREADING_MODEL, "PER_REQUEST"),
        (keys::THREAD_POOL_SIZE, "12"),
        (keys::DEPRECATED_AGGREGATION_MAX_COUNT, "1"),
        (keys::DEPRECATED_COLLECTION_MAX_COUNT, "2"),
    ];
    let expected = ProducerConfig::default()
        .rate_limit(150)
        .max_requests_in_flight(24)
        .aggregation_max_count(1)
        .collection_max_count(2);
    assert_eq!(producer(&pairs).unwrap(), expected);
}

#[test]
fn properties_of_a_file_are_read() {
    // KinesisProducerConfigurationTest: texts, numbers and flags from a file; a pool of 4.
    let file = b"# the KPL's\n\
        AggregationEnabled = false\n\
        ConnectTimeout=6001\n\
        Region: us-west-1\n\
        RecordMaxBufferedTime   250\n\
        ThreadingModel = POOLED\n\
        ThreadPoolSize = 4\n";
    let properties = Properties::from_file_bytes(file).unwrap();
    let expected =
        ProducerConfig::default().aggregation(false).record_max_buffered_time(millis(250)).max_requests_in_flight(4);
    assert_eq!(ProducerConfig::from_properties(&properties).unwrap(), expected);
    let client = kinesis_producer::client_properties(&properties);
    let aws = kinesis_core::AwsConfig::from_properties(&client).unwrap();
    assert_eq!((aws.region(), aws.connect_timeout()), (Some("us-west-1"), millis(6001)));
}

#[test]
fn a_setter_behind_the_properties_wins() {
    let config = producer(&[(keys::RATE_LIMIT, "150")]).unwrap().rate_limit(50).ordered(true);
    assert_eq!(config, ProducerConfig::default().rate_limit(50).ordered(true));
}

#[test]
fn the_metrics_have_their_properties() {
    let of = |pairs: &[(&str, &str)]| MetricsConfig::from_properties(&Properties::from_iter(pairs.iter().copied()));
    assert_eq!(of(&[]).unwrap(), MetricsConfig::default());
    let defaults = [(keys::METRICS_LEVEL, "detailed"), (keys::METRICS_GRANULARITY, "shard")];
    assert_eq!(of(&defaults).unwrap(), MetricsConfig::default());
    let all = [
        (keys::METRICS_LEVEL, "summary"),
        (keys::METRICS_GRANULARITY, "stream"),
        (keys::METRICS_NAMESPACE, "mine"),
        (keys::METRICS_UPLOAD_DELAY, "5000"),
        (keys::RATE_LIMIT, "80"),
    ];
    let expected = MetricsConfig::default()
        .level(MetricsLevel::Summary)
        .granularity(MetricsGranularity::Stream)
        .namespace("mine")
        .upload_delay(Duration::from_secs(5));
    assert_eq!(of(&all).unwrap(), expected);
    let none = [(keys::METRICS_LEVEL, "none"), (keys::METRICS_GRANULARITY, "global")];
    let expected = MetricsConfig::default().level(MetricsLevel::None).granularity(MetricsGranularity::Global);
    assert_eq!(of(&none).unwrap(), expected);
    let errors = of(&[(keys::METRICS_LEVEL, "all"), (keys::METRICS_UPLOAD_DELAY, "0"), ("RatLimit", "1")]).unwrap_err();
    assert_eq!(errors.iter().count(), 3, "{errors}");
}
