//! Where a consumer starts and how it polls.

use std::time::{Duration, SystemTime};

use crate::client::{Backoff, RetryPolicy};
use crate::config::aws::AwsConfig;
use crate::config::consumer_config_constants as keys;
use crate::config::error::{ConfigErrors, Problems};

mod properties;

/// Where reading starts when there is no checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartingPosition {
    /// With what arrives from the start of the consumer on.
    #[default]
    Latest,
    /// With the oldest record that is kept.
    TrimHorizon,
    /// With what arrived at or after a time.
    AtTimestamp(SystemTime),
}

/// Where a consumer starts and how it polls.
///
/// The defaults are those of the reference connector (Flink, `ConsumerConfigConstants`).
///
/// ```
/// use kinesis_core::{ConsumerConfig, Properties, StartingPosition};
///
/// let config = ConsumerConfig::from_properties(&Properties::from([
///     ("aws.region", "us-east-1"),
///     ("flink.stream.initpos", "TRIM_HORIZON"),
/// ]))?;
/// assert_eq!(config.starting_position(), StartingPosition::TrimHorizon);
/// # Ok::<(), kinesis_core::ConfigErrors>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ConsumerConfig {
    aws: Option<AwsConfig>,
    starting_position: StartingPosition,
    get_records_limit: u32,
    get_records_interval: Duration,
    adaptive_reads: bool,
    discovery_interval: Duration,
    get_records_retry: RetryPolicy,
    get_iterator_retry: RetryPolicy,
    list_shards_retry: RetryPolicy,
    describe_stream_retry: RetryPolicy,
}

const fn policy(max_retries: u32, base_millis: u64, max_millis: u64, exponent: f64) -> RetryPolicy {
    RetryPolicy {
        max_retries,
        backoff: Backoff::new(Duration::from_millis(base_millis), Duration::from_millis(max_millis), exponent),
    }
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        Self {
            aws: None,
            starting_position: StartingPosition::Latest,
            get_records_limit: keys::DEFAULT_SHARD_GETRECORDS_MAX,
            get_records_interval: Duration::from_millis(keys::DEFAULT_SHARD_GETRECORDS_INTERVAL_MILLIS),
            adaptive_reads: keys::DEFAULT_SHARD_USE_ADAPTIVE_READS,
            discovery_interval: Duration::from_millis(keys::DEFAULT_SHARD_DISCOVERY_INTERVAL_MILLIS),
            get_records_retry: policy(
                keys::DEFAULT_SHARD_GETRECORDS_RETRIES,
                keys::DEFAULT_SHARD_GETRECORDS_BACKOFF_BASE,
                keys::DEFAULT_SHARD_GETRECORDS_BACKOFF_MAX,
                keys::DEFAULT_SHARD_GETRECORDS_BACKOFF_EXPONENTIAL_CONSTANT,
            ),
            get_iterator_retry: policy(
                keys::DEFAULT_SHARD_GETITERATOR_RETRIES,
                keys::DEFAULT_SHARD_GETITERATOR_BACKOFF_BASE,
                keys::DEFAULT_SHARD_GETITERATOR_BACKOFF_MAX,
                keys::DEFAULT_SHARD_GETITERATOR_BACKOFF_EXPONENTIAL_CONSTANT,
            ),
            list_shards_retry: policy(
                keys::DEFAULT_LIST_SHARDS_RETRIES,
                keys::DEFAULT_LIST_SHARDS_BACKOFF_BASE,
                keys::DEFAULT_LIST_SHARDS_BACKOFF_MAX,
                keys::DEFAULT_LIST_SHARDS_BACKOFF_EXPONENTIAL_CONSTANT,
            ),
            describe_stream_retry: policy(
                keys::DEFAULT_STREAM_DESCRIBE_RETRIES,
                keys::DEFAULT_STREAM_DESCRIBE_BACKOFF_BASE,
                keys::DEFAULT_STREAM_DESCRIBE_BACKOFF_MAX,
                keys::DEFAULT_STREAM_DESCRIBE_BACKOFF_EXPONENTIAL_CONSTANT,
            ),
        }
    }
}

impl ConsumerConfig {
    /// Starts a config with the defaults and without AWS settings.
    pub fn builder() -> ConsumerConfigBuilder {
        ConsumerConfigBuilder { config: Self::default() }
    }

    /// Which AWS to talk to; nothing where the caller hands in a client of its own.
    pub const fn aws(&self) -> Option<&AwsConfig> {
        self.aws.as_ref()
    }

    /// Where reading starts when there is no checkpoint.
    pub const fn starting_position(&self) -> StartingPosition {
        self.starting_position
    }

    /// The most records that one GetRecords call asks for, 1 to 10,000.
    pub const fn get_records_limit(&self) -> u32 {
        self.get_records_limit
    }

    /// The interval of GetRecords calls to a shard, below 300 s; zero does not wait.
    pub const fn get_records_interval(&self) -> Duration {
        self.get_records_interval
    }

    /// Whether the number of records per call follows their size.
    pub const fn adaptive_reads(&self) -> bool {
        self.adaptive_reads
    }

    /// The interval of shard discovery.
    pub const fn discovery_interval(&self) -> Duration {
        self.discovery_interval
    }

    /// How GetRecords is tried again.
    pub const fn get_records_retry(&self) -> RetryPolicy {
        self.get_records_retry
    }

    /// How GetShardIterator is tried again.
    pub const fn get_iterator_retry(&self) -> RetryPolicy {
        self.get_iterator_retry
    }

    /// How a listing of shards is tried again.
    pub const fn list_shards_retry(&self) -> RetryPolicy {
        self.list_shards_retry
    }

    /// How describing a stream is tried again.
    pub const fn describe_stream_retry(&self) -> RetryPolicy {
        self.describe_stream_retry
    }
}

/// Builds a [`ConsumerConfig`].
#[derive(Clone, Debug)]
pub struct ConsumerConfigBuilder {
    config: ConsumerConfig,
}

impl ConsumerConfigBuilder {
    /// Sets which AWS to talk to; needed unless the consumer is handed a client.
    pub fn aws(mut self, aws: AwsConfig) -> Self {
        self.config.aws = Some(aws);
        self
    }

    /// Sets where reading starts; [`StartingPosition::Latest`] by default.
    pub fn starting_position(mut self, position: StartingPosition) -> Self {
        self.config.starting_position = position;
        self
    }

    /// Sets the most records per GetRecords call, 1 to 10,000; 10,000 by default.
    pub fn get_records_limit(mut self, records: u32) -> Self {
        self.config.get_records_limit = records;
        self
    }

    /// Sets the interval of GetRecords calls to a shard, below 300 s; 200 ms by default.
    pub fn get_records_interval(mut self, interval: Duration) -> Self {
        self.config.get_records_interval = interval;
        self
    }

    /// Sets whether the number of records per call follows their size; off by default.
    pub fn adaptive_reads(mut self, on: bool) -> Self {
        self.config.adaptive_reads = on;
        self
    }

    /// Sets the interval of shard discovery; 10 s by default.
    pub fn discovery_interval(mut self, interval: Duration) -> Self {
        self.config.discovery_interval = interval;
        self
    }

    /// Sets how GetRecords is tried again; 3 retries, 300 ms to 1 s, factor 1.5 by default.
    pub fn get_records_retry(mut self, policy: RetryPolicy) -> Self {
        self.config.get_records_retry = policy;
        self
    }

    /// Sets how GetShardIterator is tried again; 3 retries, 300 ms to 1 s, factor 1.5 by default.
    pub fn get_iterator_retry(mut self, policy: RetryPolicy) -> Self {
        self.config.get_iterator_retry = policy;
        self
    }

    /// Sets how a listing is tried again; 10 retries, 1 s to 5 s, factor 1.5 by default.
    pub fn list_shards_retry(mut self, policy: RetryPolicy) -> Self {
        self.config.list_shards_retry = policy;
        self
    }

    /// Sets how describing a stream is tried again; 50 retries, 2 s to 5 s, factor 1.5 by default.
    pub fn describe_stream_retry(mut self, policy: RetryPolicy) -> Self {
        self.config.describe_stream_retry = policy;
        self
    }

    /// Checks the whole and makes the config.
    ///
    /// # Errors
    /// [`ConfigErrors`] with every problem, under the keys of the properties; a retry is pointless.
    pub fn build(self) -> Result<ConsumerConfig, ConfigErrors> {
        self.finish(Problems::default())
    }

    fn finish(self, mut problems: Problems) -> Result<ConsumerConfig, ConfigErrors> {
        const LARGEST_LIMIT: u32 = 10_000;
        let config = self.config;
        if !(1..=LARGEST_LIMIT).contains(&config.get_records_limit) {
            problems.invalid(
                keys::SHARD_GETRECORDS_MAX,
                &config.get_records_limit.to_string(),
                "a whole number from 1 to 10000",
            );
        }
        if config.get_records_interval >= Duration::from_millis(keys::MAX_SHARD_GETRECORDS_INTERVAL_MILLIS) {
            problems.invalid(
                keys::SHARD_GETRECORDS_INTERVAL_MILLIS,
                &config.get_records_interval.as_millis().to_string(),
                "a whole number of milliseconds from 0 to 299999, since an iterator lives for 5 minutes",
            );
        }
        for (key, policy) in [
            (keys::SHARD_GETRECORDS_BACKOFF_EXPONENTIAL_CONSTANT, config.get_records_retry),
            (keys::SHARD_GETITERATOR_BACKOFF_EXPONENTIAL_CONSTANT, config.get_iterator_retry),
            (keys::LIST_SHARDS_BACKOFF_EXPONENTIAL_CONSTANT, config.list_shards_retry),
            (keys::STREAM_DESCRIBE_BACKOFF_EXPONENTIAL_CONSTANT, config.describe_stream_retry),
        ] {
            let exponent = policy.backoff.exponent;
            if !(exponent.is_finite() && exponent >= 0.0) {
                problems.invalid(key, &exponent.to_string(), "a number from 0");
            }
        }
        problems.finish(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_pass_and_are_the_references() {
        let config = ConsumerConfig::builder().build().unwrap();
        assert_eq!(config, ConsumerConfig::default());
        assert_eq!(config.get_records_limit(), 10_000);
        assert_eq!(config.get_records_interval(), Duration::from_millis(200));
        assert_eq!(config.discovery_interval(), Duration::from_secs(10));
        assert_eq!(config.get_records_retry(), policy(3, 300, 1000, 1.5));
        assert_eq!(config.list_shards_retry(), policy(10, 1000, 5000, 1.5));
        assert_eq!(config.describe_stream_retry(), policy(50, 2000, 5000, 1.5));
    }

    #[test]
    fn the_builder_reports_all_problems_under_their_keys() {
        let errors = ConsumerConfig::builder()
            .get_records_limit(0)
            .get_records_interval(Duration::from_secs(300))
            .list_shards_retry(policy(1, 1, 1, f64::NAN))
            .build()
            .unwrap_err();
        let found: Vec<_> = errors.iter().map(|error| error.key.as_str()).collect();
        assert_eq!(
            found,
            [
                keys::LIST_SHARDS_BACKOFF_EXPONENTIAL_CONSTANT,
                keys::SHARD_GETRECORDS_INTERVAL_MILLIS,
                keys::SHARD_GETRECORDS_MAX,
            ]
        );
    }
}
