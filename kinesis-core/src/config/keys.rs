//! Which keys there are, and what their values may be.

use crate::config::aws_config_constants::{AWS_CLIENT_CONFIG_PREFIX, AWS_CREDENTIALS_PROVIDER};
use crate::config::consumer_config_constants::{EFO_CONSUMER_ARN_PREFIX, RECOVERABLE_EXCEPTIONS_PREFIX};
use crate::config::error::Problems;
use crate::config::{aws_config_constants as aws, consumer_config_constants as consumer};
use crate::properties::Properties;

/// What the value of a key must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// Any text; checked elsewhere if at all.
    Text,
    /// A whole number from 0, within 31 bits as in the reference.
    Count,
    /// A whole number from 0, of milliseconds or seconds.
    Duration,
    /// A whole number from -1.
    DurationOrNever,
    /// A finite number from 0.
    Factor,
    /// `true` or `false`.
    Flag,
    /// One of these names, exactly.
    OneOf(&'static [&'static str]),
}

impl Kind {
    fn allows(self, value: &str) -> bool {
        let whole = |least: i64, most: i64| value.parse::<i64>().is_ok_and(|number| (least..=most).contains(&number));
        match self {
            Self::Text => true,
            Self::Count => whole(0, i64::from(i32::MAX)),
            Self::Duration => whole(0, i64::MAX),
            Self::DurationOrNever => whole(-1, i64::MAX),
            Self::Factor => value.parse::<f64>().is_ok_and(|number| number.is_finite() && number >= 0.0),
            Self::Flag => value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false"),
            Self::OneOf(names) => names.contains(&value),
        }
    }

    fn description(self) -> String {
        match self {
            Self::Text => "any text".into(),
            Self::Count => "a whole number from 0 to 2147483647".into(),
            Self::Duration => "a whole number from 0".into(),
            Self::DurationOrNever => "a whole number from 0, or -1 for never".into(),
            Self::Factor => "a number from 0".into(),
            Self::Flag => "true, false".into(),
            Self::OneOf(names) => names.join(", "),
        }
    }
}

/// A key and what its value must be.
pub(super) type Key = (&'static str, Kind);

/// The keys that start with `aws.`, but for the credentials'.
pub(super) const AWS_KEYS: &[Key] = &[
    (aws::AWS_REGION, Kind::Text),
    (aws::AWS_ENDPOINT, Kind::Text),
    (aws::TRUST_ALL_CERTIFICATES, Kind::Flag),
    (aws::HTTP_PROTOCOL_VERSION, Kind::OneOf(&["HTTP1_1", "HTTP2"])),
    (aws::HTTP_CLIENT_MAX_CONCURRENCY, Kind::Count),
    (aws::HTTP_CLIENT_READ_TIMEOUT_MILLIS, Kind::Count),
    (USER_AGENT_PREFIX, Kind::Text),
    ("aws.producer.collectionMaxCount", Kind::Text),
    ("aws.producer.aggregationMaxCount", Kind::Text),
];

/// What Flink's new source puts before its user agent; accepted, without effect.
pub(super) const USER_AGENT_PREFIX: &str = "aws.kinesis.client.user-agent-prefix";

/// What may follow [`AWS_CREDENTIALS_PROVIDER`], or a nested provider's key.
const CREDENTIALS_SUFFIXES: [&str; 12] = [
    "",
    ".basic.accesskeyid",
    ".basic.secretkey",
    ".profile.path",
    ".profile.name",
    ".role.arn",
    ".role.sessionName",
    ".role.externalId",
    ".role.provider",
    ".role.stsEndpoint",
    ".webIdentityToken.file",
    ".custom.class",
];

/// The keys that start with `flink.`, but for those with an index or a stream's name in them.
pub(super) const CONSUMER_KEYS: &[Key] = &[
    (consumer::STREAM_INITIAL_POSITION, Kind::OneOf(&["LATEST", "TRIM_HORIZON", "AT_TIMESTAMP"])),
    (consumer::STREAM_INITIAL_TIMESTAMP, Kind::Text),
    (consumer::STREAM_TIMESTAMP_DATE_FORMAT, Kind::Text),
    (consumer::RECORD_PUBLISHER_TYPE, Kind::OneOf(&["POLLING", "EFO"])),
    (consumer::EFO_CONSUMER_NAME, Kind::Text),
    (consumer::EFO_REGISTRATION_TYPE, Kind::OneOf(&["LAZY", "EAGER", "NONE"])),
    (consumer::EFO_HTTP_CLIENT_MAX_CONCURRENCY, Kind::Count),
    (consumer::EFO_HTTP_CLIENT_READ_TIMEOUT_MILLIS, Kind::Count),
    (consumer::STREAM_DESCRIBE_RETRIES, Kind::Count),
    (consumer::STREAM_DESCRIBE_BACKOFF_BASE, Kind::Duration),
    (consumer::STREAM_DESCRIBE_BACKOFF_MAX, Kind::Duration),
    (consumer::STREAM_DESCRIBE_BACKOFF_EXPONENTIAL_CONSTANT, Kind::Factor),
    (consumer::LIST_SHARDS_RETRIES, Kind::Count),
    (consumer::LIST_SHARDS_BACKOFF_BASE, Kind::Duration),
    (consumer::LIST_SHARDS_BACKOFF_MAX, Kind::Duration),
    (consumer::LIST_SHARDS_BACKOFF_EXPONENTIAL_CONSTANT, Kind::Factor),
    (consumer::DESCRIBE_STREAM_CONSUMER_RETRIES, Kind::Count),
    (consumer::DESCRIBE_STREAM_CONSUMER_BACKOFF_BASE, Kind::Duration),
    (consumer::DESCRIBE_STREAM_CONSUMER_BACKOFF_MAX, Kind::Duration),
    (consumer::DESCRIBE_STREAM_CONSUMER_BACKOFF_EXPONENTIAL_CONSTANT, Kind::Factor),
    (consumer::REGISTER_STREAM_RETRIES, Kind::Count),
    (consumer::REGISTER_STREAM_TIMEOUT_SECONDS, Kind::Duration),
    (consumer::REGISTER_STREAM_BACKOFF_BASE, Kind::Duration),
    (consumer::REGISTER_STREAM_BACKOFF_MAX, Kind::Duration),
    (consumer::REGISTER_STREAM_BACKOFF_EXPONENTIAL_CONSTANT, Kind::Factor),
    (consumer::DEREGISTER_STREAM_RETRIES, Kind::Count),
    (consumer::DEREGISTER_STREAM_TIMEOUT_SECONDS, Kind::Duration),
    (consumer::DEREGISTER_STREAM_BACKOFF_BASE, Kind::Duration),
    (consumer::DEREGISTER_STREAM_BACKOFF_MAX, Kind::Duration),
    (consumer::DEREGISTER_STREAM_BACKOFF_EXPONENTIAL_CONSTANT, Kind::Factor),
    (consumer::SUBSCRIBE_TO_SHARD_RETRIES, Kind::Count),
    (consumer::SUBSCRIBE_TO_SHARD_TIMEOUT_SECONDS, Kind::Duration),
    (consumer::SUBSCRIBE_TO_SHARD_BACKOFF_BASE, Kind::Duration),
    (consumer::SUBSCRIBE_TO_SHARD_BACKOFF_MAX, Kind::Duration),
    (consumer::SUBSCRIBE_TO_SHARD_BACKOFF_EXPONENTIAL_CONSTANT, Kind::Factor),
    (consumer::SHARD_GETRECORDS_MAX, Kind::Count),
    (consumer::SHARD_GETRECORDS_RETRIES, Kind::Count),
    (consumer::SHARD_GETRECORDS_BACKOFF_BASE, Kind::Duration),
    (consumer::SHARD_GETRECORDS_BACKOFF_MAX, Kind::Duration),
    (consumer::SHARD_GETRECORDS_BACKOFF_EXPONENTIAL_CONSTANT, Kind::Factor),
    (consumer::SHARD_GETRECORDS_INTERVAL_MILLIS, Kind::Duration),
    (consumer::SHARD_GETITERATOR_RETRIES, Kind::Count),
    (consumer::SHARD_GETITERATOR_BACKOFF_BASE, Kind::Duration),
    (consumer::SHARD_GETITERATOR_BACKOFF_MAX, Kind::Duration),
    (consumer::SHARD_GETITERATOR_BACKOFF_EXPONENTIAL_CONSTANT, Kind::Factor),
    (consumer::SHARD_DISCOVERY_INTERVAL_MILLIS, Kind::Duration),
    (consumer::SHARD_USE_ADAPTIVE_READS, Kind::Flag),
    (consumer::SHARD_IDLE_INTERVAL_MILLIS, Kind::DurationOrNever),
    (consumer::WATERMARK_SYNC_MILLIS, Kind::Duration),
    (consumer::WATERMARK_LOOKAHEAD_MILLIS, Kind::Duration),
    (consumer::WATERMARK_SYNC_QUEUE_CAPACITY, Kind::Count),
];

/// Checks every key under `prefix` against the table; `is_open` accepts keys that no table can list.
pub(super) fn check(
    properties: &Properties,
    prefix: &str,
    keys: &[Key],
    is_open: impl Fn(&str) -> bool,
    problems: &mut Problems,
) {
    for (key, value) in properties.iter().filter(|(key, _)| key.starts_with(prefix)) {
        match keys.iter().find(|(known, _)| *known == key) {
            Some((_, kind)) if kind.allows(value) => {}
            Some((_, kind)) => problems.invalid(key, value, kind.description()),
            None if is_open(key) => {}
            None => problems.unknown(key, nearest(key, keys)),
        }
    }
}

/// Whether a key configures credentials, nested or not, or a setting of the SDK for Java.
pub(super) fn is_open_aws_key(key: &str) -> bool {
    if key.starts_with(AWS_CLIENT_CONFIG_PREFIX) {
        return true;
    }
    let Some(mut rest) = key.strip_prefix(AWS_CREDENTIALS_PROVIDER) else {
        return false;
    };
    while let Some(nested) = rest.strip_prefix(".role.provider") {
        rest = nested;
    }
    CREDENTIALS_SUFFIXES.contains(&rest)
}

/// Whether a key names a stream's fan-out consumer.
pub(super) fn is_open_consumer_key(key: &str) -> bool {
    key.strip_prefix(EFO_CONSUMER_ARN_PREFIX)
        .and_then(|rest| rest.strip_prefix('.'))
        .is_some_and(|stream| !stream.is_empty())
        || key.starts_with(RECOVERABLE_EXCEPTIONS_PREFIX)
}

/// The known key that a misspelt one most likely stands for.
fn nearest(key: &str, keys: &[Key]) -> Option<String> {
    const MOST_EDITS: usize = 3;
    let credentials = CREDENTIALS_SUFFIXES.iter().map(|suffix| format!("{AWS_CREDENTIALS_PROVIDER}{suffix}"));
    keys.iter()
        .map(|(known, _)| (*known).to_owned())
        .chain(credentials)
        .map(|known| (edits(&key.to_ascii_lowercase(), &known.to_ascii_lowercase()), known))
        .min()
        .filter(|(edits, _)| *edits <= MOST_EDITS)
        .map(|(_, known)| known)
}

/// The number of insertions, deletions and replacements from one text to the other (Levenshtein), by bytes.
fn edits(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, left) in one.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in other.bytes().enumerate() {
            let replaced = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        for (one, other, expected) in [("", "abc", 3), ("kitten", "sitting", 3), ("same", "same", 0), ("ab", "ba", 2)] {
            assert_eq!(edits(one, other), expected, "{one} {other}");
        }
    }

    #[test]
    fn a_misspelt_key_finds_its_neighbour_and_a_foreign_one_does_not() {
        assert_eq!(
            nearest("flink.stream.initPosition", CONSUMER_KEYS).as_deref(),
            None,
            "five letters too many are no slip"
        );
        assert_eq!(
            nearest("flink.shard.getrecord.intervalmilis", CONSUMER_KEYS).as_deref(),
            Some(consumer::SHARD_GETRECORDS_INTERVAL_MILLIS)
        );
        assert_eq!(nearest("flink.stream.initPos", CONSUMER_KEYS).as_deref(), Some(consumer::STREAM_INITIAL_POSITION));
        assert_eq!(
            nearest("aws.credentials.provider.basic.accessKeyId", AWS_KEYS).as_deref(),
            Some(aws::AWS_ACCESS_KEY_ID)
        );
        assert_eq!(nearest("flink.colour", CONSUMER_KEYS), None);
    }

    #[test]
    fn nested_credential_keys_are_known() {
        for key in [
            aws::AWS_ACCESS_KEY_ID,
            aws::AWS_ROLE_CREDENTIALS_PROVIDER,
            "aws.credentials.provider.role.provider.role.arn",
            "aws.credentials.provider.role.provider.role.provider.basic.secretkey",
            "aws.clientconfig.socketTimeout",
        ] {
            assert!(is_open_aws_key(key), "{key}");
        }
        for key in ["aws.credentials.providers", "aws.credentials.provider.role.region", "aws.credentials"] {
            assert!(!is_open_aws_key(key), "{key}");
        }
    }

    #[test]
    fn every_default_is_allowed_by_its_own_key() {
        let defaults = [
            (consumer::STREAM_INITIAL_POSITION, consumer::DEFAULT_STREAM_INITIAL_POSITION.to_owned()),
            (consumer::RECORD_PUBLISHER_TYPE, consumer::DEFAULT_RECORD_PUBLISHER_TYPE.to_owned()),
            (consumer::SHARD_IDLE_INTERVAL_MILLIS, consumer::DEFAULT_SHARD_IDLE_INTERVAL_MILLIS.to_string()),
            (consumer::SHARD_USE_ADAPTIVE_READS, consumer::DEFAULT_SHARD_USE_ADAPTIVE_READS.to_string()),
            (consumer::SHARD_GETRECORDS_MAX, consumer::DEFAULT_SHARD_GETRECORDS_MAX.to_string()),
            (
                consumer::SHARD_GETITERATOR_BACKOFF_EXPONENTIAL_CONSTANT,
                consumer::DEFAULT_SHARD_GETITERATOR_BACKOFF_EXPONENTIAL_CONSTANT.to_string(),
            ),
        ];
        let mut problems = Problems::default();
        check(&defaults.into_iter().collect(), "flink.", CONSUMER_KEYS, is_open_consumer_key, &mut problems);
        assert_eq!(problems.finish(()), Ok(()));
    }
}
