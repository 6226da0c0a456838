//! Where a consumer starts and how it polls.

use std::time::{Duration, SystemTime};

use crate::client::{Backoff, RetryPolicy};
use crate::config::aws::AwsConfig;
use crate::config::consumer_config_constants as keys;
use crate::config::error::ConfigErrors;
use crate::stream::StreamName;

mod builder;
mod event_time;
mod fan_out;
mod generations;
mod properties;

pub use builder::ConsumerConfigBuilder;
pub use event_time::EventTimeConfig;
pub use fan_out::{FanOutConfig, FanOutRegistration};

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

/// How records are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordPublisher {
    /// With GetRecords.
    #[default]
    Polling,
    /// With SubscribeToShard (EFO): each shard is pushed to the consumer at 2 MB/s of its own.
    EnhancedFanOut,
}

/// Where a consumer starts and how it polls.
///
/// [`configuration`](crate::configuration) lists the keys. The defaults are those of the reference connector (Flink,
/// `ConsumerConfigConstants`).
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
    record_publisher: RecordPublisher,
    fan_out: FanOutConfig,
    event_time: EventTimeConfig,
    empty_fetch_interval: Option<Duration>,
    nonempty_fetch_interval: Option<Duration>,
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
            record_publisher: RecordPublisher::Polling,
            fan_out: FanOutConfig::default(),
            event_time: EventTimeConfig::default(),
            empty_fetch_interval: None,
            nonempty_fetch_interval: None,
        }
    }
}

impl ConsumerConfig {
    /// Starts a config with the defaults and without AWS settings.
    pub fn builder() -> ConsumerConfigBuilder {
        ConsumerConfigBuilder::new(Self::default())
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

    /// How records are read.
    pub const fn record_publisher(&self) -> RecordPublisher {
        self.record_publisher
    }

    /// How enhanced fan-out is used; no effect on polling.
    pub const fn fan_out(&self) -> &FanOutConfig {
        &self.fan_out
    }

    /// How event time is kept, where a consumer has a watermark strategy.
    pub const fn event_time(&self) -> &EventTimeConfig {
        &self.event_time
    }

    /// How long a shard rests after a reply without records, where that is set; its interval holds besides.
    pub const fn empty_fetch_interval(&self) -> Option<Duration> {
        self.empty_fetch_interval
    }

    /// How long a shard rests after a reply with records, where that is set; its interval holds besides.
    pub const fn nonempty_fetch_interval(&self) -> Option<Duration> {
        self.nonempty_fetch_interval
    }

    /// Checks what depends on the streams that are read: with [`FanOutRegistration::None`] each needs its consumer's ARN.
    ///
    /// Nothing is needed for polling. ARNs of other streams do no harm.
    ///
    /// # Errors
    /// [`ConfigErrors`] with every stream that lacks one; a retry is pointless.
    pub fn check_streams<'a>(&self, streams: impl IntoIterator<Item = &'a StreamName>) -> Result<(), ConfigErrors> {
        match self.record_publisher {
            RecordPublisher::Polling => Ok(()),
            RecordPublisher::EnhancedFanOut => self.fan_out.check_streams(streams),
        }
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
