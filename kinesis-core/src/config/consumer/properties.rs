//! A consumer's config out of properties: everything is judged before anything is used.

use crate::client::RetryPolicy;
use crate::config::aws::AwsConfig;
use crate::config::aws_config_constants as aws;
use crate::config::consumer::fan_out::check_recoverable;
use crate::config::consumer::generations::{
    DISCOVERY_INTERVAL, FAN_OUT_NAME, GET_RECORDS_MAX, POSITION, PUBLISHER, TIMESTAMP, TIMESTAMP_FORMAT, note_losers,
};
use crate::config::consumer::{
    ConsumerConfig, ConsumerConfigBuilder, EventTimeConfig, FanOutConfig, RecordPublisher, StartingPosition,
};
use crate::config::consumer_config_constants as keys;
use crate::config::error::{ConfigErrors, Problems};
use crate::config::keys::{CONSUMER_KEYS, RETRY_STRATEGY_KEYS, SOURCE_KEYS, check, is_open_consumer_key};
use crate::config::notes::Notes;
use crate::config::reader::{Reader, RetryKeys, RetryStrategyKeys};
use crate::config::source_config_constants as source;
use crate::config::timestamp::{SECONDS, SUPPORTED_LETTERS, TimestampError, parse_timestamp};
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

const RETRY_STRATEGY: RetryStrategyKeys = RetryStrategyKeys {
    attempts: aws::RETRY_STRATEGY_MAX_ATTEMPTS_OPTION,
    min: aws::RETRY_STRATEGY_MIN_DELAY_OPTION,
    max: aws::RETRY_STRATEGY_MAX_DELAY_OPTION,
};

/// How keys start that are read and judged but not acted on: classes of Java's errors.
const WITHOUT_EFFECT: [&str; 1] = [keys::RECOVERABLE_EXCEPTIONS_PREFIX];

impl ConsumerConfig {
    /// Reads and checks every key that starts with `flink.`, `source.`, `retry-strategy.` or `aws.`.
    ///
    /// Other keys are not looked at. A region or an endpoint is needed. Where a setting has a key in both generations of
    /// the reference connector, the one that starts with `flink.` wins. Keys without effect are accepted with a warning;
    /// [`configuration`](crate::configuration) has the whole table.
    ///
    /// # Errors
    /// [`ConfigErrors`] with every problem; a retry is pointless.
    pub fn from_properties(properties: &Properties) -> Result<Self, ConfigErrors> {
        let mut problems = Problems::default();
        check(properties, "flink.", CONSUMER_KEYS, is_open_consumer_key, &mut problems);
        check(properties, "source.", SOURCE_KEYS, |_| false, &mut problems);
        check(properties, "retry-strategy.", RETRY_STRATEGY_KEYS, |_| false, &mut problems);
        check_recoverable(properties, &mut problems);
        notes(properties).log();
        let aws = problems.append(AwsConfig::from_properties(properties));
        let starting_position = starting_position(properties, &mut problems);
        let mut config = Self::read(Reader(properties));
        config.aws = aws;
        config.starting_position = starting_position;
        ConsumerConfigBuilder::new(config).finish(name_key(properties), problems)
    }

    /// Reads what needs no judgement beyond the table of keys.
    fn read(reader: Reader<'_>) -> Self {
        let mut config = Self::default();
        config.get_records_limit =
            GET_RECORDS_MAX.text(reader).and_then(|limit| limit.parse().ok()).unwrap_or(config.get_records_limit);
        config.get_records_interval =
            reader.millis(keys::SHARD_GETRECORDS_INTERVAL_MILLIS).unwrap_or(config.get_records_interval);
        config.adaptive_reads = reader.flag(keys::SHARD_USE_ADAPTIVE_READS).unwrap_or(config.adaptive_reads);
        config.discovery_interval = DISCOVERY_INTERVAL.millis(reader).unwrap_or(config.discovery_interval);
        let policy =
            |keys, default: RetryPolicy| reader.retry_policy(keys, reader.retry_strategy(RETRY_STRATEGY, default));
        config.get_records_retry = policy(GET_RECORDS, config.get_records_retry);
        config.get_iterator_retry = policy(GET_ITERATOR, config.get_iterator_retry);
        config.describe_stream_retry = policy(DESCRIBE_STREAM, config.describe_stream_retry);
        // The keys of describing are the older ones of listing; the reference writes them over the newer ones wherever
        // they are set (`backfillConsumerKeys`).
        let listing = policy(LIST_SHARDS, config.list_shards_retry);
        let backoff = reader.retry_policy(DESCRIBE_STREAM, listing).backoff;
        config.list_shards_retry = RetryPolicy { backoff, ..listing };
        config.record_publisher = match PUBLISHER.text(reader) {
            Some("EFO") => RecordPublisher::EnhancedFanOut,
            _ => RecordPublisher::Polling,
        };
        config.fan_out = FanOutConfig::read(reader.0);
        config.event_time = EventTimeConfig::read(reader);
        config.empty_fetch_interval = reader.span(source::READER_EMPTY_RECORDS_FETCH_INTERVAL);
        config.nonempty_fetch_interval = reader.span(source::READER_NON_EMPTY_RECORDS_FETCH_INTERVAL);
        config
    }
}

/// The key of the fan-out consumer's name: the one that is set, else that of the generation that asks for fan-out.
fn name_key(properties: &Properties) -> &'static str {
    let is_set = properties.contains_key(FAN_OUT_NAME.older) || properties.contains_key(FAN_OUT_NAME.newer);
    let asks_newer = PUBLISHER.key(properties) == PUBLISHER.newer;
    if !is_set && asks_newer { FAN_OUT_NAME.newer } else { FAN_OUT_NAME.key(properties) }
}

fn starting_position(properties: &Properties, problems: &mut Problems) -> StartingPosition {
    match POSITION.text(Reader(properties)) {
        Some("TRIM_HORIZON") => StartingPosition::TrimHorizon,
        Some("AT_TIMESTAMP") => timestamp(properties, problems),
        _ => StartingPosition::Latest,
    }
}

fn timestamp(properties: &Properties, problems: &mut Problems) -> StartingPosition {
    let is_newer = POSITION.key(properties) == POSITION.newer;
    let Some(value) = TIMESTAMP.text(Reader(properties)) else {
        problems.missing(
            if is_newer { TIMESTAMP.newer } else { TIMESTAMP.older },
            "AT_TIMESTAMP needs it; allowed: a date such as 2016-04-04T19:58:46.480-00:00, or seconds since 1970",
        );
        return StartingPosition::Latest;
    };
    let pattern = TIMESTAMP_FORMAT.text(Reader(properties));
    match parse_timestamp(value, pattern) {
        Ok(time) => return StartingPosition::AtTimestamp(time),
        Err(TimestampError::Pattern(error)) => problems.invalid(
            TIMESTAMP_FORMAT.key(properties),
            pattern.unwrap_or_default(),
            format!("{SUPPORTED_LETTERS}; refused is {error}"),
        ),
        Err(TimestampError::Value { pattern, takes_seconds }) => {
            let seconds = if takes_seconds { SECONDS } else { "" };
            let allowed = format!("a date of the pattern {pattern} that is not before 1970{seconds}");
            problems.invalid(TIMESTAMP.key(properties), value, allowed);
        }
    }
    StartingPosition::Latest
}

/// What is understood, but does nothing.
fn notes(properties: &Properties) -> Notes {
    let mut notes = Notes::default();
    note_losers(properties, &mut notes);
    let reader = Reader(properties);
    if POSITION.text(reader) != Some("AT_TIMESTAMP") {
        for key in [TIMESTAMP.older, TIMESTAMP.newer, TIMESTAMP_FORMAT.older, TIMESTAMP_FORMAT.newer] {
            if properties.contains_key(key) {
                notes.add(key, "the key has no effect, because the initial position is not AT_TIMESTAMP");
            }
        }
    }
    let overwritten = [
        (LIST_SHARDS.base, DESCRIBE_STREAM.base),
        (LIST_SHARDS.max, DESCRIBE_STREAM.max),
        (LIST_SHARDS.exponent, DESCRIBE_STREAM.exponent),
    ];
    for (key, winner) in overwritten {
        if properties.contains_key(key) && properties.contains_key(winner) {
            notes.add(key, format!("the key has no effect, because `{winner}` is set and wins"));
        }
    }
    for (key, _) in properties.iter() {
        if WITHOUT_EFFECT.iter().any(|start| key.starts_with(start)) {
            notes.add(key, "the key is judged and carried, but has no effect in this version");
        }
    }
    notes
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::keys::{Key, Kind};

    const REGION: (&str, &str) = ("aws.region", "us-east-1");

    fn read(pairs: &[(&'static str, &'static str)]) -> Result<ConsumerConfig, ConfigErrors> {
        ConsumerConfig::from_properties(&pairs.iter().copied().chain([REGION]).collect())
    }

    fn all_keys() -> impl Iterator<Item = &'static Key> {
        [CONSUMER_KEYS, SOURCE_KEYS, RETRY_STRATEGY_KEYS].into_iter().flatten()
    }

    #[test]
    fn every_number_is_judged_up_front_and_all_at_once() {
        let numbers: Vec<_> =
            all_keys().filter(|(_, kind)| !matches!(kind, Kind::Text | Kind::OneOf(_))).map(|(key, _)| *key).collect();
        assert_eq!(numbers.len(), 45 + 9 + 3, "all numeric keys of both generations");
        for value in ["unparsable", "-2", ""] {
            let errors = read(&numbers.iter().map(|key| (*key, value)).collect::<Vec<_>>()).unwrap_err();
            let mut expected = numbers.clone();
            expected.sort_unstable();
            let found: Vec<_> = errors.iter().map(|error| error.key.as_str()).collect();
            assert_eq!(found, expected);
        }
        let zeros: Vec<_> = CONSUMER_KEYS
            .iter()
            .filter(|(_, kind)| *kind != Kind::Text && kind.allows("0"))
            .map(|(key, _)| (*key, "0"))
            .collect();
        assert_eq!(zeros.len(), 43, "the reference takes zero for all but the flag and the most records");
        assert!(read(&zeros).is_ok());
    }

    /// A value that no key has by default.
    fn unusual((_, kind): &Key) -> &'static str {
        match kind {
            Kind::Text => "unusual",
            Kind::Factor => "7.5",
            Kind::Flag => "true",
            Kind::Span => "7 s",
            Kind::OneOf(names) => names[1],
            _ => "7",
        }
    }

    #[test]
    fn no_key_is_ignored_without_a_word() {
        let name = (keys::EFO_CONSUMER_NAME, "app");
        let base = read(&[name]).unwrap();
        let mut unchanged = Vec::new();
        for key in all_keys() {
            let pair = (key.0, unusual(key));
            let config = read(&[name, pair]).unwrap();
            if config == base {
                let is_noted = notes(&Properties::from([name, pair])).text(key.0).is_some();
                assert!(is_noted, "{} changes nothing and says nothing", key.0);
                unchanged.push(key.0);
            }
        }
        let alone = [TIMESTAMP.older, TIMESTAMP_FORMAT.older, TIMESTAMP.newer, TIMESTAMP_FORMAT.newer];
        assert_eq!(unchanged[..4], alone, "they need AT_TIMESTAMP");
        assert_eq!(unchanged[4..], [source::EFO_CONSUMER_NAME], "the older name wins");
    }

    #[test]
    fn what_is_carried_without_effect_is_noted() {
        for key in all_keys()
            .map(|(key, _)| *key)
            .chain(["flink.stream.efo.consumerarn.orders", "flink.shard.consumer.error.recoverable[0].exception"])
        {
            let is_later = key.contains("recoverable");
            let at_timestamp = (keys::STREAM_INITIAL_POSITION, "AT_TIMESTAMP");
            let notes = notes(&Properties::from([(key, "1"), at_timestamp]));
            let is_noted = notes.text(key).is_some_and(|text| text.contains("in this version"));
            assert_eq!(is_noted, is_later, "{key}");
        }
    }

    #[test]
    fn the_newer_key_that_loses_is_noted_with_the_winner() {
        for setting in crate::config::consumer::generations::SETTINGS {
            let both = Properties::from([(setting.older, "1"), (setting.newer, "1")]);
            let mut found = Notes::default();
            note_losers(&both, &mut found);
            assert!(found.text(setting.newer).is_some_and(|text| text.contains(setting.older)));
            assert_eq!(found.text(setting.older), None);
        }
    }

    #[test]
    fn a_delay_of_listings_that_loses_to_one_of_describing_is_noted_with_the_winner() {
        let (loser, winner) = (LIST_SHARDS.max, DESCRIBE_STREAM.max);
        assert_eq!(notes(&Properties::from([(loser, "1")])).text(loser), None);
        let both = notes(&Properties::from([(loser, "1"), (winner, "1")]));
        assert!(both.text(loser).is_some_and(|text| text.contains(winner)));
        assert_eq!(both.text(winner), None);
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
    fn a_delay_for_ever_stays_within_what_a_clock_can_show() {
        let config = read(&[(keys::SHARD_DISCOVERY_INTERVAL_MILLIS, "9223372036854775807")]).unwrap();
        assert!(tokio::time::Instant::now().checked_add(config.discovery_interval()).is_some());
    }
}
