//! The keys, in the order of the reference's classes.

use crate::config::keys::{Key, Kind};
use crate::config::{
    aws_config_constants as aws, consumer_config_constants as consumer, source_config_constants as source,
};

const POSITIONS: &[&str] = &["LATEST", "TRIM_HORIZON", "AT_TIMESTAMP"];
const PUBLISHERS: &[&str] = &["POLLING", "EFO"];
/// The most records that GetRecords returns (AWS API reference).
const LARGEST_GET_RECORDS_LIMIT: i64 = 10_000;
const LONGEST_GET_RECORDS_INTERVAL_MILLIS: i64 = consumer::MAX_SHARD_GETRECORDS_INTERVAL_MILLIS as i64 - 1;

/// The keys that start with `aws.`, but for the credentials'.
pub(in crate::config) const AWS_KEYS: &[Key] = &[
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
pub(in crate::config) const USER_AGENT_PREFIX: &str = "aws.kinesis.client.user-agent-prefix";

/// The keys that start with `flink.`, but for those with an index or a stream's name in them.
pub(in crate::config) const CONSUMER_KEYS: &[Key] = &[
    (consumer::STREAM_INITIAL_POSITION, Kind::OneOf(POSITIONS)),
    (consumer::STREAM_INITIAL_TIMESTAMP, Kind::Text),
    (consumer::STREAM_TIMESTAMP_DATE_FORMAT, Kind::Text),
    (consumer::RECORD_PUBLISHER_TYPE, Kind::OneOf(PUBLISHERS)),
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
    (consumer::SHARD_GETRECORDS_MAX, Kind::Whole(1, LARGEST_GET_RECORDS_LIMIT)),
    (consumer::SHARD_GETRECORDS_RETRIES, Kind::Count),
    (consumer::SHARD_GETRECORDS_BACKOFF_BASE, Kind::Duration),
    (consumer::SHARD_GETRECORDS_BACKOFF_MAX, Kind::Duration),
    (consumer::SHARD_GETRECORDS_BACKOFF_EXPONENTIAL_CONSTANT, Kind::Factor),
    (consumer::SHARD_GETRECORDS_INTERVAL_MILLIS, Kind::Whole(0, LONGEST_GET_RECORDS_INTERVAL_MILLIS)),
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

/// The keys that start with `source.`.
pub(in crate::config) const SOURCE_KEYS: &[Key] = &[
    (source::STREAM_INITIAL_POSITION, Kind::OneOf(POSITIONS)),
    (source::STREAM_INITIAL_TIMESTAMP, Kind::Text),
    (source::STREAM_TIMESTAMP_DATE_FORMAT, Kind::Text),
    (source::SHARD_DISCOVERY_INTERVAL, Kind::Span),
    (source::SHARD_GET_RECORDS_MAX, Kind::Whole(1, LARGEST_GET_RECORDS_LIMIT)),
    (source::READER_TYPE, Kind::OneOf(PUBLISHERS)),
    (source::READER_EMPTY_RECORDS_FETCH_INTERVAL, Kind::Span),
    (source::READER_NON_EMPTY_RECORDS_FETCH_INTERVAL, Kind::Span),
    (source::EFO_CONSUMER_LIFECYCLE, Kind::OneOf(&["JOB_MANAGED", "SELF_MANAGED"])),
    (source::EFO_CONSUMER_NAME, Kind::Text),
    (source::EFO_CONSUMER_SUBSCRIPTION_TIMEOUT, Kind::Span),
    (source::EFO_DESCRIBE_CONSUMER_RETRY_STRATEGY_MIN_DELAY_OPTION, Kind::Span),
    (source::EFO_DESCRIBE_CONSUMER_RETRY_STRATEGY_MAX_DELAY_OPTION, Kind::Span),
    (source::EFO_DESCRIBE_CONSUMER_RETRY_STRATEGY_MAX_ATTEMPTS_OPTION, Kind::Whole(1, i32::MAX as i64)),
    (source::EFO_DEREGISTER_CONSUMER_TIMEOUT, Kind::Span),
];

/// The keys that start with `retry-strategy.`.
pub(in crate::config) const RETRY_STRATEGY_KEYS: &[Key] = &[
    (aws::RETRY_STRATEGY_MIN_DELAY_OPTION, Kind::Span),
    (aws::RETRY_STRATEGY_MAX_DELAY_OPTION, Kind::Span),
    (aws::RETRY_STRATEGY_MAX_ATTEMPTS_OPTION, Kind::Whole(1, i32::MAX as i64)),
];
