//! Settings that have a key in both generations of the reference connector.

use std::time::Duration;

use kinesis_core::consumer_config_constants as keys;
use kinesis_core::{
    ConsumerConfig, FanOutRegistration, RecordPublisher, StartingPosition, from_unix_millis,
    source_config_constants as source,
};

use crate::{consumer, refused};

/// The older pair, the newer pair of another value, and what is read of a config.
type Row = ((&'static str, &'static str), (&'static str, &'static str), fn(&ConsumerConfig) -> String);

const ROWS: [Row; 13] = [
    ((keys::STREAM_INITIAL_POSITION, "TRIM_HORIZON"), (source::STREAM_INITIAL_POSITION, "LATEST"), |config| {
        format!("{:?}", config.starting_position())
    }),
    ((keys::STREAM_INITIAL_TIMESTAMP, "1"), (source::STREAM_INITIAL_TIMESTAMP, "2"), |config| {
        format!("{:?}", config.starting_position())
    }),
    ((keys::STREAM_TIMESTAMP_DATE_FORMAT, "yyyy"), (source::STREAM_TIMESTAMP_DATE_FORMAT, "D y"), |config| {
        format!("{:?}", config.starting_position())
    }),
    ((keys::SHARD_DISCOVERY_INTERVAL_MILLIS, "7"), (source::SHARD_DISCOVERY_INTERVAL, "8 s"), |config| {
        format!("{:?}", config.discovery_interval())
    }),
    ((keys::SHARD_GETRECORDS_MAX, "7"), (source::SHARD_GET_RECORDS_MAX, "8"), |config| {
        config.get_records_limit().to_string()
    }),
    ((keys::RECORD_PUBLISHER_TYPE, "EFO"), (source::READER_TYPE, "POLLING"), |config| {
        format!("{:?}", config.record_publisher())
    }),
    ((keys::EFO_CONSUMER_NAME, "older"), (source::EFO_CONSUMER_NAME, "newer"), |config| {
        format!("{:?}", config.fan_out().consumer_name)
    }),
    ((keys::EFO_REGISTRATION_TYPE, "EAGER"), (source::EFO_CONSUMER_LIFECYCLE, "SELF_MANAGED"), |config| {
        format!("{:?}", config.fan_out().registration)
    }),
    ((keys::SUBSCRIBE_TO_SHARD_TIMEOUT_SECONDS, "7"), (source::EFO_CONSUMER_SUBSCRIPTION_TIMEOUT, "8 ms"), |config| {
        format!("{:?}", config.fan_out().subscribe_timeout)
    }),
    ((keys::DEREGISTER_STREAM_TIMEOUT_SECONDS, "7"), (source::EFO_DEREGISTER_CONSUMER_TIMEOUT, "8 ms"), |config| {
        format!("{:?}", config.fan_out().deregister_timeout)
    }),
    (
        (keys::DESCRIBE_STREAM_CONSUMER_BACKOFF_BASE, "7"),
        (source::EFO_DESCRIBE_CONSUMER_RETRY_STRATEGY_MIN_DELAY_OPTION, "8 s"),
        |config| format!("{:?}", config.fan_out().describe_consumer_retry.backoff.base),
    ),
    (
        (keys::DESCRIBE_STREAM_CONSUMER_BACKOFF_MAX, "7"),
        (source::EFO_DESCRIBE_CONSUMER_RETRY_STRATEGY_MAX_DELAY_OPTION, "8 s"),
        |config| format!("{:?}", config.fan_out().describe_consumer_retry.backoff.max),
    ),
    (
        (keys::DESCRIBE_STREAM_CONSUMER_RETRIES, "7"),
        (source::EFO_DESCRIBE_CONSUMER_RETRY_STRATEGY_MAX_ATTEMPTS_OPTION, "9"),
        |config| config.fan_out().describe_consumer_retry.max_retries.to_string(),
    ),
];

/// What some settings need beside them; read where the setting's own keys are absent.
fn beside(key: &str) -> Vec<(&'static str, &'static str)> {
    match key {
        keys::STREAM_INITIAL_TIMESTAMP => vec![(keys::STREAM_INITIAL_POSITION, "AT_TIMESTAMP")],
        keys::STREAM_TIMESTAMP_DATE_FORMAT => {
            vec![(keys::STREAM_INITIAL_POSITION, "AT_TIMESTAMP"), (keys::STREAM_INITIAL_TIMESTAMP, "2021")]
        }
        keys::RECORD_PUBLISHER_TYPE => vec![(keys::EFO_CONSUMER_NAME, "app")],
        _ => vec![],
    }
}

#[test]
fn the_older_key_wins_and_the_newer_one_is_read_alone() {
    for (older, newer, value) in ROWS {
        let read = |pairs: &[_]| {
            let pairs: Vec<_> = beside(older.0).iter().chain(pairs).copied().collect();
            value(&consumer(&pairs).unwrap())
        };
        assert_eq!(read(&[older, newer]), read(&[older]), "{} wins", older.0);
        assert_ne!(read(&[older]), read(&[newer]), "{} is read", newer.0);
    }
}

#[test]
fn both_are_judged_also_the_one_that_loses() {
    let pairs = [(keys::SHARD_DISCOVERY_INTERVAL_MILLIS, "7"), (source::SHARD_DISCOVERY_INTERVAL, "soon")];
    assert_eq!(refused(&pairs), [source::SHARD_DISCOVERY_INTERVAL]);
    let pairs = [(keys::SHARD_DISCOVERY_INTERVAL_MILLIS, "7 s"), (source::SHARD_DISCOVERY_INTERVAL, "7 s")];
    assert_eq!(refused(&pairs), [keys::SHARD_DISCOVERY_INTERVAL_MILLIS]);
}

#[test]
fn a_configuration_of_the_newer_source_carries_over() {
    let config = consumer(&[
        (source::STREAM_INITIAL_POSITION, "AT_TIMESTAMP"),
        (source::STREAM_INITIAL_TIMESTAMP, "2023-04-13T09:18:00.0+01:00"),
        (source::SHARD_DISCOVERY_INTERVAL, "30 s"),
        (source::SHARD_GET_RECORDS_MAX, "500"),
        (source::READER_TYPE, "EFO"),
        (source::READER_EMPTY_RECORDS_FETCH_INTERVAL, "250 ms"),
        (source::READER_NON_EMPTY_RECORDS_FETCH_INTERVAL, "0 ms"),
        (source::EFO_CONSUMER_NAME, "app"),
        (source::EFO_CONSUMER_LIFECYCLE, "SELF_MANAGED"),
        (source::EFO_CONSUMER_SUBSCRIPTION_TIMEOUT, "1 min"),
        (source::EFO_DEREGISTER_CONSUMER_TIMEOUT, "10 s"),
    ])
    .unwrap();
    assert_eq!(config.starting_position(), StartingPosition::AtTimestamp(from_unix_millis(1_681_373_880_000)));
    assert_eq!(config.discovery_interval(), Duration::from_secs(30));
    assert_eq!(config.get_records_limit(), 500);
    assert_eq!(config.record_publisher(), RecordPublisher::EnhancedFanOut);
    assert_eq!(config.empty_fetch_interval(), Some(Duration::from_millis(250)));
    assert_eq!(config.nonempty_fetch_interval(), Some(Duration::ZERO));
    assert_eq!(config.fan_out().registration, FanOutRegistration::SelfManaged);
    assert_eq!(config.fan_out().subscribe_timeout, Duration::from_secs(60));
    assert_eq!(config.fan_out().deregister_timeout, Duration::from_secs(10));
}

#[test]
fn job_managed_is_lazy() {
    let config = consumer(&[(source::EFO_CONSUMER_LIFECYCLE, "JOB_MANAGED")]).unwrap();
    assert_eq!(config.fan_out().registration, FanOutRegistration::Lazy);
}

#[test]
fn a_misspelt_newer_key_is_refused_with_its_neighbour() {
    let errors = consumer(&[("source.init.positon", "LATEST")]).unwrap_err();
    assert!(errors.to_string().contains("did you mean `source.init.position`?"), "{errors}");
}
