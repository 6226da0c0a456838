//! Which keys there are, what their values may be, and what becomes of them.

use super::producer_config_constants as keys;

mod table;

pub(super) use self::table::{KEYS, LARGEST, METRICS_GRANULARITIES, METRICS_LEVELS};

/// What the value of a key must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Any text.
    Text,
    /// A whole number within these bounds.
    Whole(u64, u64),
    /// The same, of milliseconds.
    Millis(u64, u64),
    /// `true` or `false`.
    Flag,
    /// One of these names, exactly.
    OneOf(&'static [&'static str]),
    /// A host's name or address, or nothing.
    Host,
    /// A region by the KPL's pattern, or nothing.
    Region,
    /// The namespace of metrics.
    Namespace,
}

impl Kind {
    pub(super) fn allows(self, value: &str) -> bool {
        match self {
            Self::Text => true,
            Self::Whole(least, most) | Self::Millis(least, most) => {
                value.parse::<u64>().is_ok_and(|number| (least..=most).contains(&number))
            }
            Self::Flag => value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false"),
            Self::OneOf(names) => names.contains(&value),
            Self::Host => value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte)),
            Self::Region => value.is_empty() || is_region(value),
            Self::Namespace => !value.starts_with("AWS/") && (1..=255).contains(&value.encode_utf16().count()),
        }
    }

    pub(super) fn description(self) -> String {
        match self {
            Self::Text => "any text".into(),
            Self::Whole(least, most) => format!("a whole number from {least} to {most}"),
            Self::Millis(least, most) => format!("a whole number of milliseconds from {least} to {most}"),
            Self::Flag => "true, false".into(),
            Self::OneOf(names) => names.join(", "),
            Self::Host => "a host's name or address without protocol, port and path, or nothing".into(),
            Self::Region => "a region such as us-east-1 or us-gov-west-1, or nothing".into(),
            Self::Namespace => "1 to 255 characters that do not begin with AWS/".into(),
        }
    }
}

/// Whether a text is a region for the KPL: two or three words of lower-case letters, and a digit.
fn is_region(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    let Some((number, words)) = parts.split_last() else {
        return false;
    };
    let is_word = |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    matches!(words.len(), 2 | 3)
        && words.iter().all(is_word)
        && number.len() == 1
        && number.as_bytes()[0].is_ascii_digit()
}

/// What becomes of an allowed value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// The config has it.
    Read,
    /// The client that is made of [`client_properties`](super::client_properties) has it, under that key.
    Client(&'static str),
    /// The config of the metrics has it.
    Metrics,
    /// Nothing; told whatever the value.
    None(&'static str),
    /// Nothing; told unless the value, as written here in any case, asks for what is done anyway.
    NoneUnless(&'static str, &'static str),
    /// Refused unless it is that value, in any case; the text says what is allowed.
    Refused(&'static str, &'static str),
    /// Read as the value of another key, and told.
    Renamed(&'static str),
}

/// A key, what its value must be, and what becomes of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) effect: Effect,
}

/// The key of that name.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// How the keys start that are the connector's and a producer's.
const CONNECTOR_PREFIX: &str = "aws.producer.";

/// Whether a key is a producer's, known or not: the names of the KPL's properties have no dot.
pub(super) fn is_producers(name: &str) -> bool {
    !name.contains('.') || name.starts_with(CONNECTOR_PREFIX)
}

/// The older key of a setting, which wins.
pub(super) fn older(name: &str) -> Option<&'static str> {
    let renames = |key: &&Key| matches!(key.effect, Effect::Renamed(newer) if newer == name);
    KEYS.iter().find(renames).map(|key| key.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_those_of_the_kpls_pattern() {
        for region in ["", "us-east-1", "eu-west-3", "us-gov-west-1", "cn-north-1", "us-iso-east-1"] {
            assert!(Kind::Region.allows(region), "{region}");
        }
        for region in
            ["us-east", "us-east-10", "US-east-1", "us--east-1", "us-east-x", "a-b-c-d-1", "us1-east-1", "local"]
        {
            assert!(!Kind::Region.allows(region), "{region}");
        }
    }

    #[test]
    fn keys_without_a_dot_and_the_connectors_are_a_producers() {
        for key in ["RateLimit", "ratelimit", "nonsense", "", "aws.producer.nonsense"] {
            assert!(is_producers(key), "{key}");
        }
        for key in ["aws.region", "flink.stream.initpos", "source.reader.type", "retry-strategy.delay.min", "a.b"] {
            assert!(!is_producers(key), "{key}");
        }
    }

    #[test]
    fn older_keys_are_found_by_the_newer() {
        assert_eq!(older(keys::COLLECTION_MAX_COUNT), Some(keys::DEPRECATED_COLLECTION_MAX_COUNT));
        assert_eq!(older(keys::AGGREGATION_MAX_COUNT), Some(keys::DEPRECATED_AGGREGATION_MAX_COUNT));
        assert_eq!(older(keys::RATE_LIMIT), None);
    }

    #[test]
    fn what_is_let_pass_is_allowed() {
        for key in KEYS {
            if let Effect::NoneUnless(value, _) | Effect::Refused(value, _) = key.effect {
                assert!(key.kind.allows(value), "{} = {value:?}", key.name);
            }
        }
    }
}
