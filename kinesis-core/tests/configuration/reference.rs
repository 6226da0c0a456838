//! The cases of Flink's `KinesisConfigUtilTest`, `AWSUtilTest`, `RecoverableErrorsConfigTest` and of the newer source's
//! `KinesisStreamsSourceConfigUtilTest`, each with its outcome here.

use kinesis_core::consumer_config_constants as keys;
use kinesis_core::{ConsumerConfig, Properties, StartingPosition, from_unix_millis, source_config_constants as source};

use crate::{consumer, keys_of, refused};

const AT_TIMESTAMP: (&str, &str) = (keys::STREAM_INITIAL_POSITION, "AT_TIMESTAMP");
const RECOVERABLE_0: &str = "flink.shard.consumer.error.recoverable[0].exception";
const RECOVERABLE_1: &str = "flink.shard.consumer.error.recoverable[1].exception";
const MISSHAPEN: &str = "flink.shard.consumer.error.recoverable[0].exceptionnm";

fn timestamp(value: &str) -> (&str, &str) {
    (keys::STREAM_INITIAL_TIMESTAMP, value)
}

fn format(pattern: &str) -> (&str, &str) {
    (keys::STREAM_TIMESTAMP_DATE_FORMAT, pattern)
}

/// A name, the configuration, and the keys that are refused; none where it is accepted.
type Row<'a> = (&'a str, Vec<(&'a str, &'a str)>, Vec<&'a str>);

fn check(rows: Vec<Row<'_>>) {
    for (name, pairs, expected) in rows {
        assert_eq!(refused(&pairs), expected, "{name}");
    }
}

#[test]
fn credentials_and_regions() {
    check(vec![
        ("region of no shape", vec![(keys::AWS_REGION, "wrongRegionId")], vec![keys::AWS_REGION]),
        ("region with a two-digit number", vec![(keys::AWS_REGION, "us-east-10")], vec![keys::AWS_REGION]),
        ("unknown region of the right shape", vec![(keys::AWS_REGION, "xx-nowhere-9")], vec![]),
        (
            "basic credentials without keys",
            vec![(keys::AWS_CREDENTIALS_PROVIDER, "BASIC")],
            vec![keys::AWS_ACCESS_KEY_ID, keys::AWS_SECRET_ACCESS_KEY],
        ),
        (
            "provider of no known type",
            vec![(keys::AWS_CREDENTIALS_PROVIDER, "wrongProviderType")],
            vec![keys::AWS_CREDENTIALS_PROVIDER],
        ),
        ("region alone", vec![(keys::AWS_REGION, "us-east-1")], vec![]),
        ("endpoint alone", vec![(keys::AWS_ENDPOINT, "http://localhost:4567")], vec![]),
        (
            "region and endpoint",
            vec![(keys::AWS_REGION, "us-east-1"), (keys::AWS_ENDPOINT, "http://localhost:4567")],
            vec![],
        ),
        // The reference takes it and fails at the first call.
        ("endpoint that is no URL", vec![(keys::AWS_ENDPOINT, "fake")], vec![keys::AWS_ENDPOINT]),
    ]);
    let neither = ConsumerConfig::from_properties(&Properties::new());
    assert_eq!(keys_of(neither), [keys::AWS_REGION], "neither region nor endpoint");
}

#[test]
fn starting_positions_and_timestamps() {
    check(vec![
        (
            "position of no known name",
            vec![(keys::STREAM_INITIAL_POSITION, "wrongInitPosition")],
            vec![keys::STREAM_INITIAL_POSITION],
        ),
        ("AT_TIMESTAMP without a timestamp", vec![AT_TIMESTAMP], vec![keys::STREAM_INITIAL_TIMESTAMP]),
        (
            "timestamp that is no date",
            vec![AT_TIMESTAMP, timestamp("unparsableDate")],
            vec![keys::STREAM_INITIAL_TIMESTAMP],
        ),
        ("negative seconds", vec![AT_TIMESTAMP, timestamp("-1.0")], vec![keys::STREAM_INITIAL_TIMESTAMP]),
        (
            "pattern with unknown letters",
            vec![AT_TIMESTAMP, timestamp("2016-03-14"), format("InvalidPattern")],
            vec![keys::STREAM_TIMESTAMP_DATE_FORMAT],
        ),
        (
            "timestamp that is no date of the pattern",
            vec![AT_TIMESTAMP, timestamp("stillUnparsable"), format("yyyy-MM-dd")],
            vec![keys::STREAM_INITIAL_TIMESTAMP],
        ),
        ("empty timestamp", vec![AT_TIMESTAMP, timestamp("")], vec![keys::STREAM_INITIAL_TIMESTAMP]),
        (
            "newer source: timestamp missing",
            vec![(source::STREAM_INITIAL_POSITION, "AT_TIMESTAMP")],
            vec![source::STREAM_INITIAL_TIMESTAMP],
        ),
        (
            "newer source: badTimestamp",
            vec![(source::STREAM_INITIAL_POSITION, "AT_TIMESTAMP"), (source::STREAM_INITIAL_TIMESTAMP, "badTimestamp")],
            vec![source::STREAM_INITIAL_TIMESTAMP],
        ),
        // The newer source reads it as a time before 1970, which no stream has.
        (
            "newer source: negative seconds",
            vec![(source::STREAM_INITIAL_POSITION, "AT_TIMESTAMP"), (source::STREAM_INITIAL_TIMESTAMP, "-1.0")],
            vec![source::STREAM_INITIAL_TIMESTAMP],
        ),
    ]);
}

#[test]
fn timestamps_that_are_accepted() {
    let newer = |value, pattern| {
        let mut pairs = vec![
            (source::STREAM_INITIAL_POSITION, "AT_TIMESTAMP"),
            (source::STREAM_INITIAL_TIMESTAMP, value),
            (source::STREAM_TIMESTAMP_DATE_FORMAT, pattern),
        ];
        pairs.retain(|(_, value)| !value.is_empty());
        pairs
    };
    for (name, pairs, expected) in [
        ("default", vec![AT_TIMESTAMP, timestamp("2016-04-04T19:58:46.480-00:00")], 1_459_799_926_480),
        ("seconds", vec![AT_TIMESTAMP, timestamp("1459799926.480")], 1_459_799_926_480),
        ("pattern", vec![AT_TIMESTAMP, timestamp("2016-04-04"), format("yyyy-MM-dd")], 1_459_728_000_000),
        ("short milliseconds", vec![AT_TIMESTAMP, timestamp("2020-08-13T09:18:00.0+01:00")], 1_597_306_680_000),
        ("minutes", vec![AT_TIMESTAMP, timestamp("2020-08-13T09:23"), format("yyyy-MM-dd'T'HH:mm")], 1_597_310_580_000),
        ("newer source: default", newer("2023-04-13T09:18:00.0+01:00", ""), 1_681_373_880_000),
        ("newer source: pattern", newer("2023-04-13T09:23", "yyyy-MM-dd'T'HH:mm"), 1_681_377_780_000),
        ("newer source: seconds", newer("1719776523", ""), 1_719_776_523_000),
    ] {
        let expected = StartingPosition::AtTimestamp(from_unix_millis(expected));
        assert_eq!(consumer(&pairs).map(|config| config.starting_position()), Ok(expected), "{name}");
    }
    for (name, pairs, expected) in [
        ("unset", vec![], StartingPosition::Latest),
        ("LATEST", vec![(keys::STREAM_INITIAL_POSITION, "LATEST")], StartingPosition::Latest),
        ("TRIM_HORIZON", vec![(keys::STREAM_INITIAL_POSITION, "TRIM_HORIZON")], StartingPosition::TrimHorizon),
    ] {
        assert_eq!(consumer(&pairs).map(|config| config.starting_position()), Ok(expected), "{name}");
    }
}

#[test]
fn numbers_that_are_not_numbers() {
    for key in [
        keys::LIST_SHARDS_BACKOFF_BASE,
        keys::LIST_SHARDS_BACKOFF_MAX,
        keys::LIST_SHARDS_BACKOFF_EXPONENTIAL_CONSTANT,
        keys::DESCRIBE_STREAM_CONSUMER_RETRIES,
        keys::DESCRIBE_STREAM_CONSUMER_BACKOFF_BASE,
        keys::DESCRIBE_STREAM_CONSUMER_BACKOFF_MAX,
        keys::DESCRIBE_STREAM_CONSUMER_BACKOFF_EXPONENTIAL_CONSTANT,
        keys::REGISTER_STREAM_RETRIES,
        keys::REGISTER_STREAM_TIMEOUT_SECONDS,
        keys::REGISTER_STREAM_BACKOFF_BASE,
        keys::REGISTER_STREAM_BACKOFF_MAX,
        keys::REGISTER_STREAM_BACKOFF_EXPONENTIAL_CONSTANT,
        keys::DEREGISTER_STREAM_RETRIES,
        keys::DEREGISTER_STREAM_TIMEOUT_SECONDS,
        keys::DEREGISTER_STREAM_BACKOFF_BASE,
        keys::DEREGISTER_STREAM_BACKOFF_MAX,
        keys::DEREGISTER_STREAM_BACKOFF_EXPONENTIAL_CONSTANT,
        keys::SUBSCRIBE_TO_SHARD_RETRIES,
        keys::SUBSCRIBE_TO_SHARD_BACKOFF_BASE,
        keys::SUBSCRIBE_TO_SHARD_BACKOFF_MAX,
        keys::SUBSCRIBE_TO_SHARD_BACKOFF_EXPONENTIAL_CONSTANT,
        keys::SHARD_GETRECORDS_MAX,
        keys::SHARD_GETRECORDS_RETRIES,
        keys::SHARD_GETRECORDS_BACKOFF_BASE,
        keys::SHARD_GETRECORDS_BACKOFF_MAX,
        keys::SHARD_GETRECORDS_BACKOFF_EXPONENTIAL_CONSTANT,
        keys::SHARD_GETRECORDS_INTERVAL_MILLIS,
        keys::SHARD_GETITERATOR_RETRIES,
        keys::SHARD_GETITERATOR_BACKOFF_BASE,
        keys::SHARD_GETITERATOR_BACKOFF_MAX,
        keys::SHARD_GETITERATOR_BACKOFF_EXPONENTIAL_CONSTANT,
        keys::SHARD_DISCOVERY_INTERVAL_MILLIS,
        keys::EFO_HTTP_CLIENT_MAX_CONCURRENCY,
    ] {
        for value in ["unparsable", "-1", ""] {
            assert_eq!(refused(&[(key, value)]), [key], "{value:?}");
        }
    }
    check(vec![
        ("fan-out concurrency 55", vec![(keys::EFO_HTTP_CLIENT_MAX_CONCURRENCY, "55")], vec![]),
        ("no records per call", vec![(keys::SHARD_GETRECORDS_MAX, "0")], vec![keys::SHARD_GETRECORDS_MAX]),
        (
            "more records than the service has",
            vec![(keys::SHARD_GETRECORDS_MAX, "10001")],
            vec![keys::SHARD_GETRECORDS_MAX],
        ),
        ("interval just below an iterator's life", vec![(keys::SHARD_GETRECORDS_INTERVAL_MILLIS, "299999")], vec![]),
        (
            "interval of an iterator's life",
            vec![(keys::SHARD_GETRECORDS_INTERVAL_MILLIS, "300000")],
            vec![keys::SHARD_GETRECORDS_INTERVAL_MILLIS],
        ),
        ("interval of zero", vec![(keys::SHARD_GETRECORDS_INTERVAL_MILLIS, "0")], vec![]),
        ("a shard that is never idle", vec![(keys::SHARD_IDLE_INTERVAL_MILLIS, "-1")], vec![]),
    ]);
}

#[test]
fn recoverable_exceptions() {
    check(vec![
        ("two classes", vec![(RECOVERABLE_0, "java.net.UnknownHostException"), (RECOVERABLE_1, "a.b.C$D")], vec![]),
        ("wrong suffix", vec![(MISSHAPEN, "java.net.UnknownHostException")], vec![MISSHAPEN]),
        ("first index missing", vec![(RECOVERABLE_1, "java.net.UnknownHostException")], vec![RECOVERABLE_1]),
        // The reference looks for the class and refuses what is not there or is no Throwable; there is none to look for.
        ("class that does not exist", vec![(RECOVERABLE_0, "com.NonExistentExceptionClass")], vec![]),
        ("no name of a class", vec![(RECOVERABLE_0, "not a class")], vec![RECOVERABLE_0]),
    ]);
    let config = consumer(&[(RECOVERABLE_1, "b.C"), (RECOVERABLE_0, "a.B")]).unwrap();
    assert_eq!(config.fan_out().recoverable_exceptions, ["a.B", "b.C"], "in the order of their indices");
    assert!(consumer(&[]).unwrap().fan_out().recoverable_exceptions.is_empty());
}

#[test]
fn settings_of_the_sdk_for_java_and_of_producers() {
    check(vec![
        ("socket time-out", vec![("aws.clientconfig.socketTimeout", "9999")], vec![]),
        ("a setting without counterpart", vec![("aws.clientconfig.secureRandom", "x")], vec![]),
        ("a key of the KPL", vec![("RateLimit", "unparsableLong")], vec![]),
        ("deprecated producer's key", vec![("aws.producer.collectionMaxCount", "1")], vec![]),
    ]);
    let config = consumer(&[("aws.clientconfig.socketTimeout", "9999")]).unwrap();
    assert_eq!(config.aws().unwrap().read_timeout(), Some(std::time::Duration::from_millis(9999)));
}
