//! Keys of enhanced fan-out and event time: judged and carried.

use std::time::Duration;

use kinesis_core::consumer_config_constants as keys;
use kinesis_core::{
    ConsumerConfig, EventTimeConfig, FanOutConfig, FanOutRegistration, RecordPublisher, StreamName,
    source_config_constants as source,
};

use crate::{consumer, keys_of, refused};

const EFO: (&str, &str) = (keys::RECORD_PUBLISHER_TYPE, "EFO");
const NAME: (&str, &str) = (keys::EFO_CONSUMER_NAME, "app");

fn registration(name: &str) -> (&str, &str) {
    (keys::EFO_REGISTRATION_TYPE, name)
}

#[test]
fn fan_out_needs_a_name_unless_arns_are_given() {
    for (name, pairs, expected) in [
        ("polling by default", vec![], vec![]),
        ("polling by name", vec![(keys::RECORD_PUBLISHER_TYPE, "POLLING")], vec![]),
        ("unknown publisher", vec![(keys::RECORD_PUBLISHER_TYPE, "wrong")], vec![keys::RECORD_PUBLISHER_TYPE]),
        ("unknown registration", vec![EFO, NAME, registration("wrong")], vec![keys::EFO_REGISTRATION_TYPE]),
        ("unset registration with a name", vec![EFO, NAME], vec![]),
        ("unset registration without", vec![EFO], vec![keys::EFO_CONSUMER_NAME]),
        ("lazy with a name", vec![EFO, NAME, registration("LAZY")], vec![]),
        ("lazy without", vec![EFO, registration("LAZY")], vec![keys::EFO_CONSUMER_NAME]),
        ("eager with a name", vec![EFO, NAME, registration("EAGER")], vec![]),
        ("eager without", vec![EFO, registration("EAGER")], vec![keys::EFO_CONSUMER_NAME]),
        ("none without a name", vec![EFO, registration("NONE")], vec![]),
        ("newer source without a name", vec![(source::READER_TYPE, "EFO")], vec![source::EFO_CONSUMER_NAME]),
        (
            "newer source with an empty name",
            vec![(source::READER_TYPE, "EFO"), (source::EFO_CONSUMER_NAME, "")],
            vec![source::EFO_CONSUMER_NAME],
        ),
        (
            "newer source with a name",
            vec![(source::READER_TYPE, "EFO"), (source::EFO_CONSUMER_NAME, "app.of-mine_7")],
            vec![],
        ),
        ("a name that the service refuses", vec![(keys::EFO_CONSUMER_NAME, "a b")], vec![keys::EFO_CONSUMER_NAME]),
    ] {
        assert_eq!(refused(&pairs), expected, "{name}");
    }
}

#[test]
fn registration_none_needs_an_arn_for_every_stream() {
    const ARN: &str = "flink.stream.efo.consumerarn.";
    let streams = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect::<Vec<StreamName>>();
    let (first, second) = (format!("{ARN}stream1"), format!("{ARN}stream2"));
    let missing = |pairs: &[(&str, &str)], names: &[&str]| {
        let pairs: Vec<_> = pairs.iter().copied().chain([EFO, registration("NONE")]).collect();
        keys_of(consumer(&pairs).unwrap().check_streams(&streams(names)))
    };
    let one = [(first.as_str(), "arn1")];
    let both = [(first.as_str(), "arn1"), (second.as_str(), "arn2")];
    assert_eq!(missing(&[], &[]), [""; 0], "no stream");
    assert_eq!(missing(&one, &["stream1"]), [""; 0], "every stream");
    assert_eq!(missing(&both, &["stream1"]), [""; 0], "more than needed");
    assert_eq!(missing(&one, &["stream1", "stream2"]), [second.as_str()]);
    assert_eq!(missing(&[], &["stream1", "stream2"]), [first.as_str(), second.as_str()], "all at once");
    let polling = consumer(&[registration("NONE")]).unwrap();
    assert_eq!(keys_of(polling.check_streams(&streams(&["stream1"]))), [""; 0], "polling needs none");
    let lazy = consumer(&[EFO, NAME]).unwrap();
    assert_eq!(keys_of(lazy.check_streams(&streams(&["stream1"]))), [""; 0], "a name does");
}

#[test]
fn fan_out_is_carried() {
    let config = consumer(&[
        EFO,
        NAME,
        registration("EAGER"),
        ("flink.stream.efo.consumerarn.orders", "arn"),
        (keys::REGISTER_STREAM_TIMEOUT_SECONDS, "61"),
        (keys::DEREGISTER_STREAM_TIMEOUT_SECONDS, "62"),
        (keys::SUBSCRIBE_TO_SHARD_TIMEOUT_SECONDS, "63"),
        (keys::EFO_HTTP_CLIENT_MAX_CONCURRENCY, "55"),
        (keys::EFO_HTTP_CLIENT_READ_TIMEOUT_MILLIS, "64"),
    ])
    .unwrap();
    assert_eq!(config.record_publisher(), RecordPublisher::EnhancedFanOut);
    let fan_out = config.fan_out();
    assert_eq!(fan_out.consumer_name.as_deref(), Some("app"));
    assert_eq!(fan_out.registration, FanOutRegistration::Eager);
    assert_eq!(fan_out.consumer_arns.get("orders").map(String::as_str), Some("arn"));
    assert_eq!(fan_out.register_timeout, Duration::from_secs(61));
    assert_eq!(fan_out.deregister_timeout, Duration::from_secs(62));
    assert_eq!(fan_out.subscribe_timeout, Duration::from_secs(63));
    assert_eq!(fan_out.max_concurrency, 55);
    assert_eq!(fan_out.read_timeout, Duration::from_millis(64));
    let default = FanOutConfig::default();
    assert_eq!(consumer(&[]).unwrap().fan_out(), &default);
    assert_eq!((default.subscribe_timeout, default.max_concurrency), (Duration::from_secs(60), 10_000));
    assert_eq!(default.registration, FanOutRegistration::Lazy);
}

#[test]
fn event_time_is_carried_and_looks_ahead_three_intervals_at_least() {
    let config = consumer(&[
        (keys::SHARD_IDLE_INTERVAL_MILLIS, "10"),
        (keys::WATERMARK_SYNC_MILLIS, "1001"),
        (keys::WATERMARK_LOOKAHEAD_MILLIS, "5"),
        (keys::WATERMARK_SYNC_QUEUE_CAPACITY, "7"),
    ])
    .unwrap();
    let event_time = config.event_time();
    assert_eq!(event_time.idle_interval, Some(Duration::from_millis(10)));
    assert_eq!(event_time.lookahead, Duration::from_millis(5));
    assert_eq!(event_time.effective_lookahead(), Duration::from_millis(3003));
    assert_eq!(event_time.queue_capacity, 7);
    for off in ["-1", "0"] {
        let config = consumer(&[(keys::SHARD_IDLE_INTERVAL_MILLIS, off)]).unwrap();
        assert_eq!(config.event_time(), &EventTimeConfig::default(), "{off}");
    }
}

#[test]
fn the_builder_judges_and_carries_the_same() {
    let mut fan_out = FanOutConfig::default();
    let builder = ConsumerConfig::builder().record_publisher(RecordPublisher::EnhancedFanOut);
    let error = builder.clone().fan_out(fan_out.clone()).build();
    assert_eq!(keys_of(error), [keys::EFO_CONSUMER_NAME]);
    fan_out.consumer_name = Some("app".into());
    fan_out.subscribe_retry.backoff.exponent = f64::NAN;
    let error = builder.clone().fan_out(fan_out.clone()).build();
    assert_eq!(keys_of(error), [keys::SUBSCRIBE_TO_SHARD_BACKOFF_EXPONENTIAL_CONSTANT]);
    fan_out.subscribe_retry.backoff.exponent = 1.5;
    let config = builder.fan_out(fan_out.clone()).event_time(EventTimeConfig::default()).build().unwrap();
    assert_eq!(
        config,
        ConsumerConfig::builder().record_publisher(RecordPublisher::EnhancedFanOut).fan_out(fan_out).build().unwrap()
    );
}
