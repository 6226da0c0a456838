//! Typed reads of values that the table of keys has already judged.

use std::str::FromStr;
use std::time::Duration;

use crate::client::{Backoff, RetryPolicy};
use crate::properties::Properties;

/// Reads typed values; one that does not parse reads as absent, since it is already among the problems.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(pub(super) &'a Properties);

/// The four keys of a retry policy.
#[derive(Clone, Copy, Debug)]
pub(super) struct RetryKeys {
    pub(super) retries: &'static str,
    pub(super) base: &'static str,
    pub(super) max: &'static str,
    pub(super) exponent: &'static str,
}

impl Reader<'_> {
    pub(super) fn number<T: FromStr>(self, key: &str) -> Option<T> {
        self.0.get(key)?.parse().ok()
    }

    pub(super) fn millis(self, key: &str) -> Option<Duration> {
        self.number(key).map(Duration::from_millis)
    }

    pub(super) fn flag(self, key: &str) -> Option<bool> {
        self.0.get(key).map(|value| value.eq_ignore_ascii_case("true"))
    }

    pub(super) fn retry_policy(self, keys: RetryKeys, default: RetryPolicy) -> RetryPolicy {
        RetryPolicy {
            max_retries: self.number(keys.retries).unwrap_or(default.max_retries),
            backoff: Backoff {
                base: self.millis(keys.base).unwrap_or(default.backoff.base),
                max: self.millis(keys.max).unwrap_or(default.backoff.max),
                exponent: self.number(keys.exponent).unwrap_or(default.backoff.exponent),
            },
        }
    }
}
