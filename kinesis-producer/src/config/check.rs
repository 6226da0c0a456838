//! What is wrong with the settings of a config.

use std::time::Duration;

use kinesis_core::{ConfigErrors, ConfigProblems};

use super::keys::LARGEST;
use super::{ProducerConfig, producer_config_constants as keys};
use crate::error::BuildError;
use crate::record::MAX_RECORD_BYTES;

/// A setting whose value is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Breach {
    /// The name of its setter.
    setting: &'static str,
    /// The key of its property; the setter's name where it has none.
    key: &'static str,
    /// The value; milliseconds for a time.
    value: u64,
    allowed: &'static str,
}

const ANY_COUNT: &str = "1 to 9223372036854775807";
const LONGER_THAN_BUFFERED: &str = "more than record_max_buffered_time, or every record expires in its buffer";

impl ProducerConfig {
    /// Checks all settings, those of the properties and those that have none.
    ///
    /// [`KinesisProducerBuilder::build`](crate::KinesisProducerBuilder::build) checks the same, and reports the first.
    ///
    /// # Errors
    /// [`ConfigErrors`] with every problem, under the keys of the properties or the setter's name where there is no key;
    /// a retry is pointless.
    pub fn check(&self) -> Result<(), ConfigErrors> {
        let mut problems = ConfigProblems::default();
        self.report(&mut problems);
        problems.finish(())
    }

    /// Adds the problems of the settings to others.
    pub(super) fn report(&self, problems: &mut ConfigProblems) {
        for breach in self.breaches() {
            problems.invalid(breach.key, &breach.value.to_string(), breach.allowed);
        }
    }

    pub(crate) fn validate(&self) -> Result<(), BuildError> {
        self.breaches().into_iter().next().map_or(Ok(()), |Breach { setting, value, allowed, .. }| {
            Err(BuildError::OutOfRange { setting, value, allowed })
        })
    }

    fn breaches(&self) -> Vec<Breach> {
        let mut breaches = self.out_of_range();
        let ttl = millis(self.record_ttl);
        if ttl < 100 {
            breaches.push(Breach {
                setting: "record_ttl",
                key: keys::RECORD_TTL,
                value: ttl,
                allowed: "at least 100 ms",
            });
        } else if self.record_ttl <= self.record_max_buffered_time {
            breaches.push(Breach {
                setting: "record_ttl",
                key: keys::RECORD_TTL,
                value: ttl,
                allowed: LONGER_THAN_BUFFERED,
            });
        }
        breaches
    }

    fn out_of_range(&self) -> Vec<Breach> {
        let whole = |setting, key, value: usize, least, most, allowed| {
            let value = u64::try_from(value).unwrap_or(u64::MAX);
            (!(least..=most).contains(&value)).then_some(Breach { setting, key, value, allowed })
        };
        let unkeyed = |setting, value| whole(setting, setting, value, 1, u64::MAX, "at least 1");
        let rate = self.rate_limit;
        [
            whole(
                "aggregation_max_count",
                keys::AGGREGATION_MAX_COUNT,
                self.aggregation_max_count,
                1,
                LARGEST,
                ANY_COUNT,
            ),
            whole(
                "aggregation_max_size_bytes",
                keys::AGGREGATION_MAX_SIZE,
                self.aggregation_max_size_bytes,
                64,
                MAX_RECORD_BYTES as u64,
                "64 to 10485760",
            ),
            self.max_user_record_size_bytes.and_then(|size| {
                whole(
                    "max_user_record_size_bytes",
                    keys::MAX_USER_RECORD_SIZE,
                    size,
                    64,
                    MAX_RECORD_BYTES as u64,
                    "64 to 10485760",
                )
            }),
            whole("collection_max_count", keys::COLLECTION_MAX_COUNT, self.collection_max_count, 1, 500, "1 to 500"),
            whole(
                "collection_max_size_bytes",
                keys::COLLECTION_MAX_SIZE,
                self.collection_max_size_bytes,
                52_224,
                LARGEST,
                "52224 to 9223372036854775807",
            ),
            (!(1..=LARGEST).contains(&rate)).then_some(Breach {
                setting: "rate_limit",
                key: keys::RATE_LIMIT,
                value: rate,
                allowed: "1 to 9223372036854775807 percent",
            }),
            unkeyed("max_requests_in_flight", self.max_requests_in_flight),
            unkeyed("queue_limit_records", self.queue_limit_records),
            unkeyed("queue_limit_bytes", self.queue_limit_bytes),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(config: ProducerConfig) -> &'static str {
        match config.validate() {
            Err(BuildError::OutOfRange { setting, .. }) => setting,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn defaults_are_valid() {
        ProducerConfig::default().validate().unwrap();
        ProducerConfig::default().record_ttl(Duration::MAX).validate().unwrap();
    }

    #[test]
    fn values_out_of_range_are_named() {
        let config = ProducerConfig::default;
        assert_eq!(refused(config().aggregation_max_size_bytes(63)), "aggregation_max_size_bytes");
        assert_eq!(refused(config().aggregation_max_size_bytes(10_485_761)), "aggregation_max_size_bytes");
        assert_eq!(refused(config().aggregation_max_count(0)), "aggregation_max_count");
        assert_eq!(refused(config().collection_max_count(501)), "collection_max_count");
        assert_eq!(refused(config().collection_max_size_bytes(52_223)), "collection_max_size_bytes");
        assert_eq!(refused(config().rate_limit(0)), "rate_limit");
        assert_eq!(refused(config().rate_limit(LARGEST + 1)), "rate_limit");
        assert_eq!(refused(config().record_ttl(Duration::from_millis(99))), "record_ttl");
        assert_eq!(refused(config().max_requests_in_flight(0)), "max_requests_in_flight");
        assert_eq!(refused(config().queue_limit_records(0)), "queue_limit_records");
        assert_eq!(refused(config().queue_limit_bytes(0)), "queue_limit_bytes");
    }

    #[test]
    fn a_record_that_would_expire_in_its_buffer_is_refused() {
        let config = ProducerConfig::default().record_max_buffered_time(Duration::from_secs(30));
        assert_eq!(refused(config), "record_ttl");
    }
}
