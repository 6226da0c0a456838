//! Typed reads of values that the table of keys has already judged.

use std::str::FromStr;
use std::time::Duration;

use crate::client::RetryPolicy;
use crate::config::keys;
use crate::config::span::{LONGEST, parse_span};
use crate::properties::Properties;

/// Reads typed values; one that its key does not allow reads as absent, since it is already among the problems.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(pub(super) &'a Properties);

/// The four keys of a retry policy, in the older generation's form.
#[derive(Clone, Copy, Debug)]
pub(super) struct RetryKeys {
    pub(super) retries: &'static str,
    pub(super) base: &'static str,
    pub(super) max: &'static str,
    pub(super) exponent: &'static str,
}

/// The three keys of a retry policy, in the newer generation's form.
#[derive(Clone, Copy, Debug)]
pub(super) struct RetryStrategyKeys {
    pub(super) attempts: &'static str,
    pub(super) min: &'static str,
    pub(super) max: &'static str,
}

/// The growth of the delay in the strategy of the SDK for Java, which the newer generation uses.
const STRATEGY_EXPONENT: f64 = 2.0;

impl<'a> Reader<'a> {
    pub(super) fn text(self, key: &str) -> Option<&'a str> {
        self.0.get(key).filter(|value| keys::kind(key).is_none_or(|kind| kind.allows(value)))
    }

    pub(super) fn number<T: FromStr>(self, key: &str) -> Option<T> {
        self.text(key)?.parse().ok()
    }

    pub(super) fn millis(self, key: &str) -> Option<Duration> {
        self.number(key).map(|millis| Duration::from_millis(millis).min(LONGEST))
    }

    pub(super) fn seconds(self, key: &str) -> Option<Duration> {
        self.number(key).map(|seconds| Duration::from_secs(seconds).min(LONGEST))
    }

    pub(super) fn span(self, key: &str) -> Option<Duration> {
        self.text(key).and_then(parse_span)
    }

    pub(super) fn flag(self, key: &str) -> Option<bool> {
        self.text(key).map(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The policy of these keys, with the default's numbers where one is not set.
    pub(super) fn retry_policy(self, keys: RetryKeys, default: RetryPolicy) -> RetryPolicy {
        let mut policy = default;
        let backoff = &mut policy.backoff;
        backoff.base = self.millis(keys.base).unwrap_or(backoff.base);
        backoff.max = self.millis(keys.max).unwrap_or(backoff.max);
        backoff.exponent = self.number(keys.exponent).unwrap_or(backoff.exponent);
        policy.max_retries = self.number(keys.retries).unwrap_or(policy.max_retries);
        policy
    }

    /// The policy of these keys, with the default's numbers where one is not set; as it is where none is.
    pub(super) fn retry_strategy(self, keys: RetryStrategyKeys, default: RetryPolicy) -> RetryPolicy {
        let (min, max, attempts) = (self.span(keys.min), self.span(keys.max), self.number::<u32>(keys.attempts));
        let mut policy = default;
        if min.is_some() || max.is_some() || attempts.is_some() {
            policy.backoff.exponent = STRATEGY_EXPONENT;
        }
        policy.backoff.base = min.unwrap_or(policy.backoff.base);
        policy.backoff.max = max.unwrap_or(policy.backoff.max);
        policy.max_retries = attempts.map_or(policy.max_retries, |attempts| attempts.saturating_sub(1));
        policy
    }
}
