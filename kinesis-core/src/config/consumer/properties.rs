//! A consumer's config out of properties: everything is judged before anything is used.

use crate::client::RetryPolicy;
use crate::config::aws::AwsConfig;
use crate::config::consumer::{ConsumerConfig, ConsumerConfigBuilder, StartingPosition};
use crate::config::consumer_config_constants as keys;
use crate::config::error::{ConfigErrors, Problems};
use crate::config::keys::{CONSUMER_KEYS, check, is_open_consumer_key};
use crate::config::reader::{Reader, RetryKeys};
use crate::config::timestamp::{TimestampError, parse_timestamp};
use crate::properties::Properties;

const GET_RECORDS: RetryKeys = RetryKeys {
    retries: keys::SHARD_GETRECORDS_RETRIES,
    base: keys::SHARD_GETRECORDS_BACKOFF_BASE,
    max: keys::SHARD_GETRECORDS_BACKOFF_MAX,
    exponent: keys::SHARD_GETRECORDS_BACKOFF_EXPONENTIAL_CONSTANT,
};
const GET_ITERATOR: RetryKeys = RetryKeys {
    retries: keys::SHARD_GETITERATOR_RETRIES,
    base: keys::SHARD_GETITERATOR_BACKOFF_BASE,
    max: keys::SHARD_GETITERATOR_BACKOFF_MAX,
    exponent: keys::SHARD_GETITERATOR_BACKOFF_EXPONENTIAL_CONSTANT,
};
const LIST_SHARDS: RetryKeys = RetryKeys {
    retries: keys::LIST_SHARDS_RETRIES,
    base: keys::LIST_SHARDS_BACKOFF_BASE,
    max: keys::LIST_SHARDS_BACKOFF_MAX,
    exponent: keys::LIST_SHARDS_BACKOFF_EXPONENTIAL_CONSTANT,
};
const DESCRIBE_STREAM: RetryKeys = RetryKeys {
    retries: keys::STREAM_DESCRIBE_RETRIES,
    base: keys::STREAM_DESCRIBE_BACKOFF_BASE,
    max: keys::STREAM_DESCRIBE_BACKOFF_MAX,
    exponent: keys::STREAM_DESCRIBE_BACKOFF_EXPONENTIAL_CONSTANT,
};

/// Keys of event time, which this version reads and judges but does not act on.
const WITHOUT_EFFECT: [&str; 4] = [
    keys::SHARD_IDLE_INTERVAL_MILLIS,
    keys::WATERMARK_SYNC_MILLIS,
    keys::WATERMARK_LOOKAHEAD_MILLIS,
    keys::WATERMARK_SYNC_QUEUE_CAPACITY,
];

impl ConsumerConfig {
    /// Reads and checks every key that starts with `flink.` or `aws.`; other keys are not looked at.
    ///
    /// A region or an endpoint is needed. The delays of `flink.stream.describe.backoff.*` also hold for listings, unless
    /// `flink.list.shards.backoff.*` says otherwise. Keys without effect are accepted with a warning: those of event time
    /// and of the newer source (`source.*`).
    ///
    /// # Errors
    /// [`ConfigErrors`] with every problem; a retry is pointless.
    pub fn from_properties(properties: &Properties) -> Result<Self, ConfigErrors> {
        let mut problems = Problems::default();
        check(properties, "flink.", CONSUMER_KEYS, is_open_consumer_key, &mut problems);
        check_publisher(properties, &mut problems);
        check_recoverable(properties, &mut problems);
        warn_of_keys_without_effect(properties);
        let aws = problems.append(AwsConfig::from_properties(properties));
        let starting_position = starting_position(properties, &mut problems);
        let default = Self::default();
        let reader = Reader(properties);
        // The reference lists with the older keys of describing wherever they are set (`backfillConsumerKeys`).
        let listing = RetryPolicy {
            max_retries: default.list_shards_retry.max_retries,
            backoff: reader.retry_policy(DESCRIBE_STREAM, default.list_shards_retry).backoff,
        };
        let config = Self {
            aws,
            starting_position,
            get_records_limit: reader.number(keys::SHARD_GETRECORDS_MAX).unwrap_or(default.get_records_limit),
            get_records_interval: reader
                .millis(keys::SHARD_GETRECORDS_INTERVAL_MILLIS)
                .unwrap_or(default.get_records_interval),
            adaptive_reads: reader.flag(keys::SHARD_USE_ADAPTIVE_READS).unwrap_or(default.adaptive_reads),
            discovery_interval: reader
                .millis(keys::SHARD_DISCOVERY_INTERVAL_MILLIS)
                .unwrap_or(default.discovery_interval),
            get_records_retry: reader.retry_policy(GET_RECORDS, default.get_records_retry),
            get_iterator_retry: reader.retry_policy(GET_ITERATOR, default.get_iterator_retry),
            list_shards_retry: reader.retry_policy(LIST_SHARDS, listing),
            describe_stream_retry: reader.retry_policy(DESCRIBE_STREAM, default.describe_stream_retry),
        };
        ConsumerConfigBuilder { config }.finish(problems)
    }
}

fn starting_position(properties: &Properties, problems: &mut Problems) -> StartingPosition {
    match properties.get(keys::STREAM_INITIAL_POSITION) {
        Some("TRIM_HORIZON") => StartingPosition::TrimHorizon,
        Some("AT_TIMESTAMP") => timestamp(properties, problems),
        _ => StartingPosition::Latest,
    }
}

fn timestamp(properties: &Properties, problems: &mut Problems) -> StartingPosition {
    let Some(value) = properties.get(keys::STREAM_INITIAL_TIMESTAMP) else {
        problems.missing(
            keys::STREAM_INITIAL_TIMESTAMP,
            "AT_TIMESTAMP needs it; allowed: a date such as 2016-04-04T19:58:46.480-00:00, or seconds since 1970",
        );
        return StartingPosition::Latest;
    };
    let pattern = properties.get(keys::STREAM_TIMESTAMP_DATE_FORMAT);
    match parse_timestamp(value, pattern) {
        Ok(time) => return StartingPosition::AtTimestamp(time),
        Err(TimestampError::Pattern(part)) => problems.invalid(
            keys::STREAM_TIMESTAMP_DATE_FORMAT,
            pattern.unwrap_or_default(),
            format!("yyyy, MM, dd, HH, mm, ss, SSS, X, XX, XXX and quoted text; not {part:?}"),
        ),
        Err(TimestampError::Value(pattern)) => problems.invalid(
            keys::STREAM_INITIAL_TIMESTAMP,
            value,
            format!(
                "a date of the pattern {pattern} that is not before 1970, or seconds since 1970 as a decimal number"
            ),
        ),
    }
    StartingPosition::Latest
}

fn check_publisher(properties: &Properties, problems: &mut Problems) {
    if properties.get(keys::RECORD_PUBLISHER_TYPE) == Some("EFO") {
        problems.unsupported(keys::RECORD_PUBLISHER_TYPE, "EFO", "POLLING");
    }
}

/// The keys of recoverable exceptions must be `[0].exception`, `[1].exception`, … without a gap.
fn check_recoverable(properties: &Properties, problems: &mut Problems) {
    let prefix = keys::RECOVERABLE_EXCEPTIONS_PREFIX;
    let given: Vec<_> = properties.iter().filter(|(key, _)| key.starts_with(prefix)).collect();
    for (key, value) in &given {
        let is_expected = (0..given.len()).any(|index| *key == format!("{prefix}[{index}].exception"));
        if !is_expected {
            problems.invalid(key, value, format!("keys {prefix}[n].exception, with n from 0 without a gap"));
        }
    }
}

fn warn_of_keys_without_effect(properties: &Properties) {
    for (key, _) in properties.iter() {
        if WITHOUT_EFFECT.contains(&key) || key.starts_with(keys::RECOVERABLE_EXCEPTIONS_PREFIX) {
            tracing::warn!(key, "the key is accepted, but has no effect in this version");
        }
        if key.starts_with("source.") {
            tracing::warn!(key, "keys of the newer source are not read; use those that start with flink.");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::time::from_unix_millis;

    const REGION: (&str, &str) = ("aws.region", "us-east-1");

    fn read(pairs: &[(&'static str, &'static str)]) -> Result<ConsumerConfig, ConfigErrors> {
        ConsumerConfig::from_properties(&pairs.iter().copied().chain([REGION]).collect())
    }

    fn at(millis: u64) -> StartingPosition {
        StartingPosition::AtTimestamp(from_unix_millis(millis))
    }

    #[test]
    fn starting_positions_are_read() {
        let at_timestamp = (keys::STREAM_INITIAL_POSITION, "AT_TIMESTAMP");
        let timestamp = |value| (keys::STREAM_INITIAL_TIMESTAMP, value);
        let format = |value| (keys::STREAM_TIMESTAMP_DATE_FORMAT, value);
        for (pairs, expected) in [
            (vec![], StartingPosition::Latest),
            (vec![(keys::STREAM_INITIAL_POSITION, "LATEST")], StartingPosition::Latest),
            (vec![(keys::STREAM_INITIAL_POSITION, "TRIM_HORIZON")], StartingPosition::TrimHorizon),
            (vec![at_timestamp, timestamp("2016-04-04T19:58:46.480-00:00")], at(1_459_799_926_480)),
            (vec![at_timestamp, timestamp("1459799926.480")], at(1_459_799_926_480)),
            (vec![at_timestamp, timestamp("2016-04-04"), format("yyyy-MM-dd")], at(1_459_728_000_000)),
        ] {
            assert_eq!(read(&pairs).map(|config| config.starting_position()), Ok(expected), "{pairs:?}");
        }
    }

    /// The cases of Flink's `KinesisConfigUtilTest` that concern what is here.
    #[test]
    fn what_the_reference_refuses_is_refused_under_its_key() {
        let at_timestamp = (keys::STREAM_INITIAL_POSITION, "AT_TIMESTAMP");
        let timestamp = |value| (keys::STREAM_INITIAL_TIMESTAMP, value);
        let format = |value| (keys::STREAM_TIMESTAMP_DATE_FORMAT, value);
        for (pairs, key) in [
            (vec![(keys::AWS_CREDENTIALS_PROVIDER, "wrongProviderType")], keys::AWS_CREDENTIALS_PROVIDER),
            (vec![(keys::RECORD_PUBLISHER_TYPE, "wrong")], keys::RECORD_PUBLISHER_TYPE),
            (vec![(keys::EFO_REGISTRATION_TYPE, "wrong")], keys::EFO_REGISTRATION_TYPE),
            (vec![(keys::EFO_HTTP_CLIENT_MAX_CONCURRENCY, "abc")], keys::EFO_HTTP_CLIENT_MAX_CONCURRENCY),
            (vec![(keys::EFO_HTTP_CLIENT_MAX_CONCURRENCY, "-1")], keys::EFO_HTTP_CLIENT_MAX_CONCURRENCY),
            (vec![(keys::STREAM_INITIAL_POSITION, "wrongInitPosition")], keys::STREAM_INITIAL_POSITION),
            (vec![at_timestamp], keys::STREAM_INITIAL_TIMESTAMP),
            (vec![at_timestamp, timestamp("unparsableDate")], keys::STREAM_INITIAL_TIMESTAMP),
            (vec![at_timestamp, timestamp("-1.0")], keys::STREAM_INITIAL_TIMESTAMP),
            (vec![at_timestamp, timestamp("2016-03-14"), format("InvalidPattern")], keys::STREAM_TIMESTAMP_DATE_FORMAT),
            (vec![at_timestamp, timestamp("stillUnparsable"), format("yyyy-MM-dd")], keys::STREAM_INITIAL_TIMESTAMP),
            (vec![(keys::SHARD_GETRECORDS_MAX, "0")], keys::SHARD_GETRECORDS_MAX),
            (vec![(keys::SHARD_GETRECORDS_INTERVAL_MILLIS, "300000")], keys::SHARD_GETRECORDS_INTERVAL_MILLIS),
            (
                vec![("flink.shard.consumer.error.recoverable[0].exceptionnm", "java.io.IOException")],
                "flink.shard.consumer.error.recoverable[0].exceptionnm",
            ),
            (
                vec![("flink.shard.consumer.error.recoverable[1].exception", "java.io.IOException")],
                "flink.shard.consumer.error.recoverable[1].exception",
            ),
        ] {
            let errors = read(&pairs).unwrap_err();
            let found: Vec<_> = errors.iter().map(|error| error.key.as_str()).collect();
            assert_eq!(found, [key], "{errors}");
        }
    }

    #[test]
    fn every_number_is_judged_up_front_and_all_at_once() {
        use crate::config::keys::Kind;
        let numbers: Vec<_> = CONSUMER_KEYS
            .iter()
            .filter(|(_, kind)| !matches!(kind, Kind::Text | Kind::OneOf(_)))
            .map(|(key, _)| *key)
            .collect();
        assert_eq!(numbers.len(), 45, "all numeric keys of the reference");
        for value in ["unparsable", "-2", ""] {
            let errors = read(&numbers.iter().map(|key| (*key, value)).collect::<Vec<_>>()).unwrap_err();
            let mut expected = numbers.clone();
            expected.sort_unstable();
            let found: Vec<_> = errors.iter().map(|error| error.key.as_str()).collect();
            assert_eq!(found, expected);
        }
        let zeros: Vec<_> = numbers
            .iter()
            .filter(|key| ![keys::SHARD_USE_ADAPTIVE_READS, keys::SHARD_GETRECORDS_MAX].contains(key))
            .map(|key| (*key, "0"))
            .collect();
        assert!(read(&zeros).is_ok(), "the reference takes zero for any of these");
    }

    #[test]
    fn what_the_reference_accepts_is_accepted() {
        for pairs in [
            vec![(keys::EFO_HTTP_CLIENT_MAX_CONCURRENCY, "55")],
            vec![(keys::RECORD_PUBLISHER_TYPE, "POLLING")],
            vec![("flink.stream.efo.consumerarn.stream1", "arn")],
            vec![("flink.shard.consumer.error.recoverable[0].exception", "java.net.UnknownHostException")],
            vec![(keys::WATERMARK_LOOKAHEAD_MILLIS, "5"), (keys::SHARD_IDLE_INTERVAL_MILLIS, "-1")],
            vec![("aws.clientconfig.socketTimeout", "9999")],
            vec![("RateLimit", "unparsableLong")],
        ] {
            assert!(read(&pairs).is_ok(), "{pairs:?}");
        }
    }

    #[test]
    fn region_and_endpoint_are_needed_one_of_them() {
        let errors = ConsumerConfig::from_properties(&Properties::new()).unwrap_err();
        assert_eq!(
            errors.to_string(),
            "configuration: `aws.region`: is missing; set it, `aws.endpoint`, or both; \
             allowed: a region such as us-east-1, us-gov-west-1 or aws-global"
        );
    }

    #[test]
    fn problems_of_both_namespaces_come_together() {
        let errors = read(&[("flink.stream.initPos", "LATEST"), ("aws.endpoint", "fake")]).unwrap_err();
        assert_eq!(errors.iter().count(), 2, "{errors}");
        assert!(errors.to_string().contains("did you mean `flink.stream.initpos`?"), "{errors}");
    }

    #[test]
    fn enhanced_fan_out_is_refused_for_now_and_says_so() {
        let errors = read(&[(keys::RECORD_PUBLISHER_TYPE, "EFO")]).unwrap_err();
        assert!(errors.to_string().contains("not supported by this version; allowed: POLLING"), "{errors}");
    }

    #[test]
    fn values_reach_the_typed_config() {
        let config = read(&[
            (keys::SHARD_GETRECORDS_MAX, "500"),
            (keys::SHARD_GETRECORDS_INTERVAL_MILLIS, "1000"),
            (keys::SHARD_USE_ADAPTIVE_READS, "TRUE"),
            (keys::SHARD_DISCOVERY_INTERVAL_MILLIS, "30000"),
            (keys::SHARD_GETRECORDS_RETRIES, "7"),
            (keys::SHARD_GETITERATOR_BACKOFF_BASE, "11"),
        ])
        .unwrap();
        assert_eq!(config.get_records_limit(), 500);
        assert_eq!(config.get_records_interval(), Duration::from_secs(1));
        assert!(config.adaptive_reads());
        assert_eq!(config.discovery_interval(), Duration::from_secs(30));
        assert_eq!(config.get_records_retry().max_retries, 7);
        assert_eq!(config.get_iterator_retry().backoff.base, Duration::from_millis(11));
        assert_eq!(config.aws().and_then(AwsConfig::region), Some("us-east-1"));
    }

    #[test]
    fn the_older_delays_of_describing_hold_for_listings_unless_told_otherwise() {
        let older = (keys::STREAM_DESCRIBE_BACKOFF_BASE, "11");
        let listing = |pairs: &[_]| read(pairs).unwrap().list_shards_retry();
        assert_eq!(listing(&[older]).backoff.base, Duration::from_millis(11));
        assert_eq!(listing(&[older]).max_retries, 10);
        let newer = (keys::LIST_SHARDS_BACKOFF_BASE, "12");
        assert_eq!(listing(&[older, newer]).backoff.base, Duration::from_millis(12));
    }
}
