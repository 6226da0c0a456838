//! Builds a consumer's config and judges the whole of it.

use std::time::Duration;

use crate::client::RetryPolicy;
use crate::config::aws::AwsConfig;
use crate::config::consumer::{ConsumerConfig, EventTimeConfig, FanOutConfig, RecordPublisher, StartingPosition};
use crate::config::consumer_config_constants as keys;
use crate::config::error::{ConfigErrors, Problems};

/// Builds a [`ConsumerConfig`].
#[derive(Clone, Debug)]
pub struct ConsumerConfigBuilder {
    config: ConsumerConfig,
}

impl ConsumerConfigBuilder {
    pub(super) const fn new(config: ConsumerConfig) -> Self {
        Self { config }
    }

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

    /// Sets how records are read; [`RecordPublisher::Polling`] by default.
    pub fn record_publisher(mut self, publisher: RecordPublisher) -> Self {
        self.config.record_publisher = publisher;
        self
    }

    /// Sets how enhanced fan-out is used; no effect on polling.
    pub fn fan_out(mut self, fan_out: FanOutConfig) -> Self {
        self.config.fan_out = fan_out;
        self
    }

    /// Sets how event time is kept, where a consumer has a watermark strategy.
    pub fn event_time(mut self, event_time: EventTimeConfig) -> Self {
        self.config.event_time = event_time;
        self
    }

    /// Sets how long a shard rests after a reply without records, if that is longer than its interval; by default not at
    /// all.
    pub fn empty_fetch_interval(mut self, interval: Duration) -> Self {
        self.config.empty_fetch_interval = Some(interval);
        self
    }

    /// Sets how long a shard rests after a reply with records, if that is longer than its interval; by default not at all.
    pub fn nonempty_fetch_interval(mut self, interval: Duration) -> Self {
        self.config.nonempty_fetch_interval = Some(interval);
        self
    }

    /// Checks the whole and makes the config.
    ///
    /// # Errors
    /// [`ConfigErrors`] with every problem, under the keys of the properties; a retry is pointless.
    pub fn build(self) -> Result<ConsumerConfig, ConfigErrors> {
        self.finish(keys::EFO_CONSUMER_NAME, Problems::default())
    }

    /// Judges the whole; `name_key` is blamed for the fan-out consumer's name.
    pub(super) fn finish(self, name_key: &str, mut problems: Problems) -> Result<ConsumerConfig, ConfigErrors> {
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
            (keys::DESCRIBE_STREAM_CONSUMER_BACKOFF_EXPONENTIAL_CONSTANT, config.fan_out.describe_consumer_retry),
            (keys::REGISTER_STREAM_BACKOFF_EXPONENTIAL_CONSTANT, config.fan_out.register_retry),
            (keys::DEREGISTER_STREAM_BACKOFF_EXPONENTIAL_CONSTANT, config.fan_out.deregister_retry),
            (keys::SUBSCRIBE_TO_SHARD_BACKOFF_EXPONENTIAL_CONSTANT, config.fan_out.subscribe_retry),
        ] {
            let exponent = policy.backoff.exponent;
            if !(exponent.is_finite() && exponent >= 0.0) {
                problems.invalid(key, &exponent.to_string(), "a number from 0");
            }
        }
        config.fan_out.check(name_key, config.record_publisher, &mut problems);
        problems.finish(config)
    }
}
