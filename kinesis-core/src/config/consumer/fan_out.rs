//! Enhanced fan-out: who registers the consumer, and how its calls are tried again.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::client::RetryPolicy;
use crate::config::consumer::generations::{DEREGISTER_TIMEOUT, FAN_OUT_NAME, FAN_OUT_REGISTRATION, SUBSCRIBE_TIMEOUT};
use crate::config::consumer::{RecordPublisher, policy};
use crate::config::consumer_config_constants as keys;
use crate::config::error::{ConfigErrors, Problems};
use crate::config::reader::{Reader, RetryKeys, RetryStrategyKeys};
use crate::config::source_config_constants as source;
use crate::properties::Properties;
use crate::stream::StreamName;

const DESCRIBE_CONSUMER: RetryKeys = RetryKeys {
    retries: keys::DESCRIBE_STREAM_CONSUMER_RETRIES,
    base: keys::DESCRIBE_STREAM_CONSUMER_BACKOFF_BASE,
    max: keys::DESCRIBE_STREAM_CONSUMER_BACKOFF_MAX,
    exponent: keys::DESCRIBE_STREAM_CONSUMER_BACKOFF_EXPONENTIAL_CONSTANT,
};
const DESCRIBE_CONSUMER_STRATEGY: RetryStrategyKeys = RetryStrategyKeys {
    attempts: source::EFO_DESCRIBE_CONSUMER_RETRY_STRATEGY_MAX_ATTEMPTS_OPTION,
    min: source::EFO_DESCRIBE_CONSUMER_RETRY_STRATEGY_MIN_DELAY_OPTION,
    max: source::EFO_DESCRIBE_CONSUMER_RETRY_STRATEGY_MAX_DELAY_OPTION,
};
const REGISTER: RetryKeys = RetryKeys {
    retries: keys::REGISTER_STREAM_RETRIES,
    base: keys::REGISTER_STREAM_BACKOFF_BASE,
    max: keys::REGISTER_STREAM_BACKOFF_MAX,
    exponent: keys::REGISTER_STREAM_BACKOFF_EXPONENTIAL_CONSTANT,
};
const DEREGISTER: RetryKeys = RetryKeys {
    retries: keys::DEREGISTER_STREAM_RETRIES,
    base: keys::DEREGISTER_STREAM_BACKOFF_BASE,
    max: keys::DEREGISTER_STREAM_BACKOFF_MAX,
    exponent: keys::DEREGISTER_STREAM_BACKOFF_EXPONENTIAL_CONSTANT,
};
const SUBSCRIBE: RetryKeys = RetryKeys {
    retries: keys::SUBSCRIBE_TO_SHARD_RETRIES,
    base: keys::SUBSCRIBE_TO_SHARD_BACKOFF_BASE,
    max: keys::SUBSCRIBE_TO_SHARD_BACKOFF_MAX,
    exponent: keys::SUBSCRIBE_TO_SHARD_BACKOFF_EXPONENTIAL_CONSTANT,
};

/// Who registers the fan-out consumer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FanOutRegistration {
    /// The consumer itself, when it starts; it deregisters when it ends as it was asked to, and not when it fails, since it is
    /// then started again as a rule: `LAZY`, or `JOB_MANAGED` of the newer keys.
    #[default]
    Lazy,
    /// The consumer itself, when it starts; it stays registered: `EAGER`.
    Eager,
    /// Somebody else; the ARN is given for every stream: `NONE`.
    None,
    /// Somebody else; the ARN is asked for by name: `SELF_MANAGED` of the newer keys.
    SelfManaged,
}

/// How enhanced fan-out is used; no effect on polling.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FanOutConfig {
    /// The consumer's name, 1 to 128 letters, digits, `_`, `.` and `-`; needed unless ARNs are given.
    pub consumer_name: Option<String>,
    /// Who registers the consumer.
    pub registration: FanOutRegistration,
    /// The consumer's ARN by stream.
    pub consumer_arns: BTreeMap<String, String>,
    /// How DescribeStreamConsumer is tried again; 50 retries, 2 s to 5 s, factor 1.5 by default.
    pub describe_consumer_retry: RetryPolicy,
    /// How RegisterStreamConsumer is tried again; 10 retries, 500 ms to 2 s, factor 1.5 by default.
    pub register_retry: RetryPolicy,
    /// The time limit of registering until the consumer is active; 60 s by default.
    pub register_timeout: Duration,
    /// How DeregisterStreamConsumer is tried again; 10 retries, 500 ms to 2 s, factor 1.5 by default.
    pub deregister_retry: RetryPolicy,
    /// The time limit of deregistering until the consumer is gone; 60 s by default.
    pub deregister_timeout: Duration,
    /// How SubscribeToShard is tried again after failures in a row; 10 retries, 1 s to 2 s, factor 1.5 by default.
    pub subscribe_retry: RetryPolicy,
    /// The time limit of one subscription's start; 60 s by default.
    pub subscribe_timeout: Duration,
    /// The most subscriptions at a time; 10,000 by default.
    pub max_concurrency: u32,
    /// The time limit of a silent connection; 6 minutes by default, of which a consumer waits 35 s at most.
    pub read_timeout: Duration,
    /// The classes of Java's errors to recover from without end; carried, never matched.
    pub recoverable_exceptions: Vec<String>,
}

impl Default for FanOutConfig {
    fn default() -> Self {
        Self {
            consumer_name: None,
            registration: FanOutRegistration::Lazy,
            consumer_arns: BTreeMap::new(),
            describe_consumer_retry: policy(
                keys::DEFAULT_DESCRIBE_STREAM_CONSUMER_RETRIES,
                keys::DEFAULT_DESCRIBE_STREAM_CONSUMER_BACKOFF_BASE,
                keys::DEFAULT_DESCRIBE_STREAM_CONSUMER_BACKOFF_MAX,
                keys::DEFAULT_DESCRIBE_STREAM_CONSUMER_BACKOFF_EXPONENTIAL_CONSTANT,
            ),
            register_retry: policy(
                keys::DEFAULT_REGISTER_STREAM_RETRIES,
                keys::DEFAULT_REGISTER_STREAM_BACKOFF_BASE,
                keys::DEFAULT_REGISTER_STREAM_BACKOFF_MAX,
                keys::DEFAULT_REGISTER_STREAM_BACKOFF_EXPONENTIAL_CONSTANT,
            ),
            register_timeout: Duration::from_secs(keys::DEFAULT_REGISTER_STREAM_TIMEOUT_SECONDS),
            deregister_retry: policy(
                keys::DEFAULT_DEREGISTER_STREAM_RETRIES,
                keys::DEFAULT_DEREGISTER_STREAM_BACKOFF_BASE,
                keys::DEFAULT_DEREGISTER_STREAM_BACKOFF_MAX,
                keys::DEFAULT_DEREGISTER_STREAM_BACKOFF_EXPONENTIAL_CONSTANT,
            ),
            deregister_timeout: Duration::from_secs(keys::DEFAULT_DEREGISTER_STREAM_TIMEOUT_SECONDS),
            subscribe_retry: policy(
                keys::DEFAULT_SUBSCRIBE_TO_SHARD_RETRIES,
                keys::DEFAULT_SUBSCRIBE_TO_SHARD_BACKOFF_BASE,
                keys::DEFAULT_SUBSCRIBE_TO_SHARD_BACKOFF_MAX,
                keys::DEFAULT_SUBSCRIBE_TO_SHARD_BACKOFF_EXPONENTIAL_CONSTANT,
            ),
            subscribe_timeout: Duration::from_secs(keys::DEFAULT_SUBSCRIBE_TO_SHARD_TIMEOUT_SECONDS),
            max_concurrency: keys::DEFAULT_EFO_HTTP_CLIENT_MAX_CONCURRENCY,
            read_timeout: Duration::from_millis(keys::DEFAULT_EFO_HTTP_CLIENT_READ_TIMEOUT_MILLIS),
            recoverable_exceptions: Vec::new(),
        }
    }
}

impl FanOutConfig {
    /// The defaults, with a consumer of that name.
    pub fn named(consumer: impl Into<String>) -> Self {
        Self { consumer_name: Some(consumer.into()), ..Self::default() }
    }

    pub(super) fn read(properties: &Properties) -> Self {
        let default = Self::default();
        let reader = Reader(properties);
        let describe = reader.retry_strategy(DESCRIBE_CONSUMER_STRATEGY, default.describe_consumer_retry);
        let after = |key: &str, prefix| key.strip_prefix(prefix).map(str::to_owned);
        let arn_prefix = format!("{}.", keys::EFO_CONSUMER_ARN_PREFIX);
        Self {
            consumer_name: FAN_OUT_NAME.text(reader).map(str::to_owned),
            registration: match FAN_OUT_REGISTRATION.text(reader) {
                Some("EAGER") => FanOutRegistration::Eager,
                Some("NONE") => FanOutRegistration::None,
                Some("SELF_MANAGED") => FanOutRegistration::SelfManaged,
                _ => FanOutRegistration::Lazy,
            },
            consumer_arns: properties
                .iter()
                .filter_map(|(key, arn)| Some((after(key, arn_prefix.as_str())?, arn.to_owned())))
                .collect(),
            describe_consumer_retry: reader.retry_policy(DESCRIBE_CONSUMER, describe),
            register_retry: reader.retry_policy(REGISTER, default.register_retry),
            register_timeout: reader.seconds(keys::REGISTER_STREAM_TIMEOUT_SECONDS).unwrap_or(default.register_timeout),
            deregister_retry: reader.retry_policy(DEREGISTER, default.deregister_retry),
            deregister_timeout: DEREGISTER_TIMEOUT.seconds(reader).unwrap_or(default.deregister_timeout),
            subscribe_retry: reader.retry_policy(SUBSCRIBE, default.subscribe_retry),
            subscribe_timeout: SUBSCRIBE_TIMEOUT.seconds(reader).unwrap_or(default.subscribe_timeout),
            max_concurrency: reader.number(keys::EFO_HTTP_CLIENT_MAX_CONCURRENCY).unwrap_or(default.max_concurrency),
            read_timeout: reader.millis(keys::EFO_HTTP_CLIENT_READ_TIMEOUT_MILLIS).unwrap_or(default.read_timeout),
            recoverable_exceptions: recoverable(properties).map(|(_, class)| class.to_owned()).collect(),
        }
    }

    /// Checks the name, and that it is there where fan-out is wanted; `key` is the one that is blamed.
    pub(super) fn check(&self, key: &str, publisher: RecordPublisher, problems: &mut Problems) {
        let is_allowed = |letter: u8| letter.is_ascii_alphanumeric() || b"_.-".contains(&letter);
        let is_name = |name: &str| (1..=128).contains(&name.len()) && name.bytes().all(is_allowed);
        match self.consumer_name.as_deref() {
            Some(name) if !is_name(name) => {
                problems.invalid(key, name, "1 to 128 letters, digits, `_`, `.` and `-`");
            }
            None if publisher == RecordPublisher::EnhancedFanOut && self.registration != FanOutRegistration::None => {
                problems.missing(key, "EFO needs the consumer's name, unless the registration is NONE");
            }
            _ => {}
        }
    }

    pub(super) fn check_streams<'a>(
        &self,
        streams: impl IntoIterator<Item = &'a StreamName>,
    ) -> Result<(), ConfigErrors> {
        let mut problems = Problems::default();
        if self.registration == FanOutRegistration::None {
            let streams = streams.into_iter().map(StreamName::as_str);
            for stream in streams.filter(|stream| !self.consumer_arns.contains_key(*stream)) {
                let key = format!("{}.{stream}", keys::EFO_CONSUMER_ARN_PREFIX);
                problems.missing(&key, "the registration NONE needs the consumer's ARN for every stream");
            }
        }
        problems.finish(())
    }
}

/// The keys of recoverable errors and the classes, in the order of their indices, up to the first gap.
fn recoverable(properties: &Properties) -> impl Iterator<Item = (String, &str)> {
    (0..).map_while(|index| {
        let key = format!("{}[{index}].exception", keys::RECOVERABLE_EXCEPTIONS_PREFIX);
        let class = properties.get(&key)?;
        Some((key, class))
    })
}

/// Refuses keys of recoverable errors that are not `[0].exception`, `[1].exception`, … without a gap, or name no class.
pub(super) fn check_recoverable(properties: &Properties, problems: &mut Problems) {
    let prefix = keys::RECOVERABLE_EXCEPTIONS_PREFIX;
    let expected: Vec<_> = recoverable(properties).collect();
    for (key, value) in properties.iter().filter(|(key, _)| key.starts_with(prefix)) {
        if !expected.iter().any(|(expected, _)| expected == key) {
            problems.invalid(key, value, format!("keys {prefix}[n].exception, with n from 0 without a gap"));
        } else if !is_class(value) {
            problems.invalid(key, value, "the name of a class, such as java.net.UnknownHostException");
        }
    }
}

fn is_class(name: &str) -> bool {
    let is_letter = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '$');
    name.split('.').all(|part| !part.is_empty() && part.chars().all(is_letter) && !part.starts_with(char::is_numeric))
}
