//! Which keys there are, and what their values may be.

use crate::config::aws_config_constants::{AWS_CLIENT_CONFIG_PREFIX, AWS_CREDENTIALS_PROVIDER};
use crate::config::consumer_config_constants::{EFO_CONSUMER_ARN_PREFIX, RECOVERABLE_EXCEPTIONS_PREFIX};
use crate::config::error::Problems;
use crate::config::span::parse_span;
use crate::properties::Properties;

mod table;

pub(super) use table::{AWS_KEYS, CONSUMER_KEYS, RETRY_STRATEGY_KEYS, SOURCE_KEYS, USER_AGENT_PREFIX};

const TABLES: [&[Key]; 4] = [AWS_KEYS, CONSUMER_KEYS, SOURCE_KEYS, RETRY_STRATEGY_KEYS];

/// What the value of a key must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// Any text; checked elsewhere if at all.
    Text,
    /// A whole number from 0, within 31 bits as in the reference.
    Count,
    /// A whole number within these bounds.
    Whole(i64, i64),
    /// A whole number from 0, of milliseconds or seconds.
    Duration,
    /// A whole number with a unit of time.
    Span,
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
    pub(super) fn allows(self, value: &str) -> bool {
        // Readers take whole numbers from 0, to which a sign is none; `-0` would be allowed and then not read.
        let is_negative_zero = value.starts_with('-') && value.parse() == Ok(0);
        let whole = |least: i64, most: i64| {
            !is_negative_zero && value.parse::<i64>().is_ok_and(|number| (least..=most).contains(&number))
        };
        match self {
            Self::Text => true,
            Self::Count => whole(0, i64::from(i32::MAX)),
            Self::Whole(least, most) => whole(least, most),
            Self::Duration => whole(0, i64::MAX),
            Self::Span => parse_span(value).is_some(),
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
            Self::Whole(least, most) => format!("a whole number from {least} to {most}"),
            Self::Duration => "a whole number from 0".into(),
            Self::Span => "a whole number and a unit, such as 250 ms, 10 s, 5 min, 1 h or 2 d".into(),
            Self::DurationOrNever => "a whole number from 0, or -1 for never".into(),
            Self::Factor => "a number from 0".into(),
            Self::Flag => "true, false".into(),
            Self::OneOf(names) => names.join(", "),
        }
    }
}

/// A key and what its value must be.
pub(super) type Key = (&'static str, Kind);

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
            None => problems.unknown(key, known()),
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

/// Every key that has a name of its own.
pub(super) fn known() -> impl Iterator<Item = String> {
    let credentials = CREDENTIALS_SUFFIXES.iter().map(|suffix| format!("{AWS_CREDENTIALS_PROVIDER}{suffix}"));
    TABLES.iter().flat_map(|table| table.iter()).map(|(key, _)| (*key).to_owned()).chain(credentials)
}

/// What the value of a key must be, if the key is in a table.
pub(super) fn kind(key: &str) -> Option<Kind> {
    TABLES.iter().flat_map(|table| table.iter()).find(|(known, _)| *known == key).map(|(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{
        aws_config_constants as aws, consumer_config_constants as consumer, source_config_constants as source,
    };

    fn nearest(key: &str) -> Option<String> {
        crate::config::nearest::nearest(key, known())
    }

    #[test]
    fn a_misspelt_key_finds_its_neighbour_and_a_foreign_one_does_not() {
        assert_eq!(nearest("flink.stream.initPosition").as_deref(), None, "five letters too many are no slip");
        assert_eq!(
            nearest("flink.shard.getrecord.intervalmilis").as_deref(),
            Some(consumer::SHARD_GETRECORDS_INTERVAL_MILLIS)
        );
        assert_eq!(nearest("flink.stream.initPos").as_deref(), Some(consumer::STREAM_INITIAL_POSITION));
        assert_eq!(nearest("aws.credentials.provider.basic.accessKeyId").as_deref(), Some(aws::AWS_ACCESS_KEY_ID));
        assert_eq!(nearest("source.int.position").as_deref(), Some(source::STREAM_INITIAL_POSITION));
        assert_eq!(nearest("retry-strategy.delay.mim").as_deref(), Some(aws::RETRY_STRATEGY_MIN_DELAY_OPTION));
        assert_eq!(nearest("flink.colour"), None);
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
