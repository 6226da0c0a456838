//! The keys that start with `flink.`: Flink's `ConsumerConfigConstants`, same names and strings, with their defaults.
//!
//! As there, the keys of [`aws_config_constants`](crate::aws_config_constants) that a consumer needs most are here, too.
//! Source: Flink's `flink-connector-kinesis` up to 5.1. Unless said otherwise all keys are judged when a
//! `ConsumerConfig` is made; [`configuration`](crate::configuration) has them in one table.

pub use crate::config::aws_config_constants::{
    AWS_ACCESS_KEY_ID, AWS_CREDENTIALS_PROVIDER, AWS_ENDPOINT, AWS_PROFILE_NAME, AWS_PROFILE_PATH, AWS_REGION,
    AWS_SECRET_ACCESS_KEY,
};

// Where reading starts.

/// Where to start: `LATEST`, `TRIM_HORIZON` or `AT_TIMESTAMP`.
///
/// Default `LATEST`. Without effect where there is a checkpoint.
pub const STREAM_INITIAL_POSITION: &str = "flink.stream.initpos";

/// The default of [`STREAM_INITIAL_POSITION`].
pub const DEFAULT_STREAM_INITIAL_POSITION: &str = "LATEST";

/// The start for `AT_TIMESTAMP`: a date, or seconds since the epoch as a decimal.
///
/// No default; needed for `AT_TIMESTAMP`, without effect otherwise. From 1970 to 9999.
pub const STREAM_INITIAL_TIMESTAMP: &str = "flink.stream.initpos.timestamp";

/// The pattern of [`STREAM_INITIAL_TIMESTAMP`], in the letters of `SimpleDateFormat`.
///
/// Default `yyyy-MM-dd'T'HH:mm:ss.SSSXXX`; without an offset it is UTC. The letters are in
/// [`configuration`](crate::configuration#timestamps).
pub const STREAM_TIMESTAMP_DATE_FORMAT: &str = "flink.stream.initpos.timestamp.format";

/// The default of [`STREAM_TIMESTAMP_DATE_FORMAT`].
pub const DEFAULT_STREAM_TIMESTAMP_DATE_FORMAT: &str = "yyyy-MM-dd'T'HH:mm:ss.SSSXXX";

// How records are read.

/// How records are read: `POLLING`, or `EFO` for enhanced fan-out.
///
/// Default `POLLING`.
pub const RECORD_PUBLISHER_TYPE: &str = "flink.stream.recordpublisher";

/// The default of [`RECORD_PUBLISHER_TYPE`].
pub const DEFAULT_RECORD_PUBLISHER_TYPE: &str = "POLLING";

/// The name of the enhanced fan-out consumer.
///
/// No default; needed for `EFO` unless the registration is `NONE`.
/// Becomes part of `FanOutConfig`.
pub const EFO_CONSUMER_NAME: &str = "flink.stream.efo.consumername";

/// When the fan-out consumer is registered: `LAZY`, `EAGER` or `NONE`.
///
/// `LAZY` (default) and `EAGER` register [`EFO_CONSUMER_NAME`]; `NONE` needs an ARN for every stream.
/// Becomes part of `FanOutConfig`.
pub const EFO_REGISTRATION_TYPE: &str = "flink.stream.efo.registration";

/// The default of [`EFO_REGISTRATION_TYPE`].
pub const DEFAULT_EFO_REGISTRATION_TYPE: &str = "LAZY";

/// The prefix of a registered consumer's ARN; a dot and the stream follow.
///
/// No default; needed for every stream where the registration is `NONE`, more of them do no harm.
/// Becomes part of `FanOutConfig`.
pub const EFO_CONSUMER_ARN_PREFIX: &str = "flink.stream.efo.consumerarn";

/// The most concurrent fan-out subscriptions.
///
/// A whole number from 0; default 10,000.
/// Becomes part of `FanOutConfig`.
pub const EFO_HTTP_CLIENT_MAX_CONCURRENCY: &str = "flink.stream.efo.http-client.max-concurrency";

/// The default of [`EFO_HTTP_CLIENT_MAX_CONCURRENCY`].
pub const DEFAULT_EFO_HTTP_CLIENT_MAX_CONCURRENCY: u32 = 10_000;

/// The time limit of a silent fan-out connection.
///
/// Milliseconds from 0; default 360,000.
/// Becomes part of `FanOutConfig`.
pub const EFO_HTTP_CLIENT_READ_TIMEOUT_MILLIS: &str = "flink.stream.efo.http-client.read-timeout";

/// The default of [`EFO_HTTP_CLIENT_READ_TIMEOUT_MILLIS`].
pub const DEFAULT_EFO_HTTP_CLIENT_READ_TIMEOUT_MILLIS: u64 = 360_000;

/// The prefix of errors to recover from; `[n].exception` follows, `n` from 0.
///
/// No default; an index that leaves a gap is refused. The names of Java's classes are carried, but never matched.
pub const RECOVERABLE_EXCEPTIONS_PREFIX: &str = "flink.shard.consumer.error.recoverable";

// Retries of the control plane.

/// Retries of describing a stream.
///
/// A whole number up to 2,147,483,647, after the first attempt; default 50, 0 tries once.
pub const STREAM_DESCRIBE_RETRIES: &str = "flink.stream.describe.maxretries";

/// The default of [`STREAM_DESCRIBE_RETRIES`].
pub const DEFAULT_STREAM_DESCRIBE_RETRIES: u32 = 50;

/// The first bound of the delay between attempts of describing a stream.
///
/// Milliseconds from 0; default 2,000. The delay is uniform below the bound. Wins over [`LIST_SHARDS_BACKOFF_BASE`], for listings.
pub const STREAM_DESCRIBE_BACKOFF_BASE: &str = "flink.stream.describe.backoff.base";

/// The default of [`STREAM_DESCRIBE_BACKOFF_BASE`].
pub const DEFAULT_STREAM_DESCRIBE_BACKOFF_BASE: u64 = 2_000;

/// The last bound of the delay between attempts of describing a stream.
///
/// Milliseconds from 0; default 5,000. Wins over [`LIST_SHARDS_BACKOFF_MAX`], for listings.
pub const STREAM_DESCRIBE_BACKOFF_MAX: &str = "flink.stream.describe.backoff.max";

/// The default of [`STREAM_DESCRIBE_BACKOFF_MAX`].
pub const DEFAULT_STREAM_DESCRIBE_BACKOFF_MAX: u64 = 5_000;

/// The growth of that bound for describing a stream.
///
/// A factor from 0; default 1.5. Wins over [`LIST_SHARDS_BACKOFF_EXPONENTIAL_CONSTANT`], for listings.
pub const STREAM_DESCRIBE_BACKOFF_EXPONENTIAL_CONSTANT: &str = "flink.stream.describe.backoff.expconst";

/// The default of [`STREAM_DESCRIBE_BACKOFF_EXPONENTIAL_CONSTANT`].
pub const DEFAULT_STREAM_DESCRIBE_BACKOFF_EXPONENTIAL_CONSTANT: f64 = 1.5;

/// Retries of listing shards.
///
/// A whole number up to 2,147,483,647, after the first attempt; default 10, 0 tries once.
pub const LIST_SHARDS_RETRIES: &str = "flink.list.shards.maxretries";

/// The default of [`LIST_SHARDS_RETRIES`].
pub const DEFAULT_LIST_SHARDS_RETRIES: u32 = 10;

/// The first bound of the delay between attempts of listing shards.
///
/// Milliseconds from 0; default 1,000. The delay is uniform below the bound.
pub const LIST_SHARDS_BACKOFF_BASE: &str = "flink.list.shards.backoff.base";

/// The default of [`LIST_SHARDS_BACKOFF_BASE`].
pub const DEFAULT_LIST_SHARDS_BACKOFF_BASE: u64 = 1_000;

/// The last bound of the delay between attempts of listing shards.
///
/// Milliseconds from 0; default 5,000.
pub const LIST_SHARDS_BACKOFF_MAX: &str = "flink.list.shards.backoff.max";

/// The default of [`LIST_SHARDS_BACKOFF_MAX`].
pub const DEFAULT_LIST_SHARDS_BACKOFF_MAX: u64 = 5_000;

/// The growth of that bound for listing shards.
///
/// A factor from 0; default 1.5.
pub const LIST_SHARDS_BACKOFF_EXPONENTIAL_CONSTANT: &str = "flink.list.shards.backoff.expconst";

/// The default of [`LIST_SHARDS_BACKOFF_EXPONENTIAL_CONSTANT`].
pub const DEFAULT_LIST_SHARDS_BACKOFF_EXPONENTIAL_CONSTANT: f64 = 1.5;

// Retries of enhanced fan-out.

/// Retries of describing a fan-out consumer.
///
/// A whole number up to 2,147,483,647, after the first attempt; default 50, 0 tries once.
/// Becomes part of `FanOutConfig`.
pub const DESCRIBE_STREAM_CONSUMER_RETRIES: &str = "flink.stream.describestreamconsumer.maxretries";

/// The default of [`DESCRIBE_STREAM_CONSUMER_RETRIES`].
pub const DEFAULT_DESCRIBE_STREAM_CONSUMER_RETRIES: u32 = 50;

/// The first bound of the delay between attempts of describing a fan-out consumer.
///
/// Milliseconds from 0; default 2,000. The delay is uniform below the bound.
/// Becomes part of `FanOutConfig`.
pub const DESCRIBE_STREAM_CONSUMER_BACKOFF_BASE: &str = "flink.stream.describestreamconsumer.backoff.base";

/// The default of [`DESCRIBE_STREAM_CONSUMER_BACKOFF_BASE`].
pub const DEFAULT_DESCRIBE_STREAM_CONSUMER_BACKOFF_BASE: u64 = 2_000;

/// The last bound of the delay between attempts of describing a fan-out consumer.
///
/// Milliseconds from 0; default 5,000.
/// Becomes part of `FanOutConfig`.
pub const DESCRIBE_STREAM_CONSUMER_BACKOFF_MAX: &str = "flink.stream.describestreamconsumer.backoff.max";

/// The default of [`DESCRIBE_STREAM_CONSUMER_BACKOFF_MAX`].
pub const DEFAULT_DESCRIBE_STREAM_CONSUMER_BACKOFF_MAX: u64 = 5_000;

/// The growth of that bound for describing a fan-out consumer.
///
/// A factor from 0; default 1.5.
/// Becomes part of `FanOutConfig`.
pub const DESCRIBE_STREAM_CONSUMER_BACKOFF_EXPONENTIAL_CONSTANT: &str =
    "flink.stream.describestreamconsumer.backoff.expconst";

/// The default of [`DESCRIBE_STREAM_CONSUMER_BACKOFF_EXPONENTIAL_CONSTANT`].
pub const DEFAULT_DESCRIBE_STREAM_CONSUMER_BACKOFF_EXPONENTIAL_CONSTANT: f64 = 1.5;

/// Retries of registering a fan-out consumer.
///
/// A whole number up to 2,147,483,647, after the first attempt; default 10, 0 tries once.
/// Becomes part of `FanOutConfig`.
pub const REGISTER_STREAM_RETRIES: &str = "flink.stream.registerstreamconsumer.maxretries";

/// The default of [`REGISTER_STREAM_RETRIES`].
pub const DEFAULT_REGISTER_STREAM_RETRIES: u32 = 10;

/// The time limit of registering a fan-out consumer, in seconds.
///
/// Seconds from 0; default 60.
/// Becomes part of `FanOutConfig`.
pub const REGISTER_STREAM_TIMEOUT_SECONDS: &str = "flink.stream.registerstreamconsumer.timeout";

/// The default of [`REGISTER_STREAM_TIMEOUT_SECONDS`].
pub const DEFAULT_REGISTER_STREAM_TIMEOUT_SECONDS: u64 = 60;

/// The first bound of the delay between attempts of registering a fan-out consumer.
///
/// Milliseconds from 0; default 500. The delay is uniform below the bound.
/// Becomes part of `FanOutConfig`.
pub const REGISTER_STREAM_BACKOFF_BASE: &str = "flink.stream.registerstreamconsumer.backoff.base";

/// The default of [`REGISTER_STREAM_BACKOFF_BASE`].
pub const DEFAULT_REGISTER_STREAM_BACKOFF_BASE: u64 = 500;

/// The last bound of the delay between attempts of registering a fan-out consumer.
///
/// Milliseconds from 0; default 2,000.
/// Becomes part of `FanOutConfig`.
pub const REGISTER_STREAM_BACKOFF_MAX: &str = "flink.stream.registerstreamconsumer.backoff.max";

/// The default of [`REGISTER_STREAM_BACKOFF_MAX`].
pub const DEFAULT_REGISTER_STREAM_BACKOFF_MAX: u64 = 2_000;

/// The growth of that bound for registering a fan-out consumer.
///
/// A factor from 0; default 1.5.
/// Becomes part of `FanOutConfig`.
pub const REGISTER_STREAM_BACKOFF_EXPONENTIAL_CONSTANT: &str = "flink.stream.registerstreamconsumer.backoff.expconst";

/// The default of [`REGISTER_STREAM_BACKOFF_EXPONENTIAL_CONSTANT`].
pub const DEFAULT_REGISTER_STREAM_BACKOFF_EXPONENTIAL_CONSTANT: f64 = 1.5;

/// Retries of deregistering a fan-out consumer.
///
/// A whole number up to 2,147,483,647, after the first attempt; default 10, 0 tries once.
/// Becomes part of `FanOutConfig`.
pub const DEREGISTER_STREAM_RETRIES: &str = "flink.stream.deregisterstreamconsumer.maxretries";

/// The default of [`DEREGISTER_STREAM_RETRIES`].
pub const DEFAULT_DEREGISTER_STREAM_RETRIES: u32 = 10;

/// The time limit of deregistering a fan-out consumer, in seconds.
///
/// Seconds from 0; default 60.
/// Becomes part of `FanOutConfig`.
pub const DEREGISTER_STREAM_TIMEOUT_SECONDS: &str = "flink.stream.deregisterstreamconsumer.timeout";

/// The default of [`DEREGISTER_STREAM_TIMEOUT_SECONDS`].
pub const DEFAULT_DEREGISTER_STREAM_TIMEOUT_SECONDS: u64 = 60;

/// The first bound of the delay between attempts of deregistering a fan-out consumer.
///
/// Milliseconds from 0; default 500. The delay is uniform below the bound.
/// Becomes part of `FanOutConfig`.
pub const DEREGISTER_STREAM_BACKOFF_BASE: &str = "flink.stream.deregisterstreamconsumer.backoff.base";

/// The default of [`DEREGISTER_STREAM_BACKOFF_BASE`].
pub const DEFAULT_DEREGISTER_STREAM_BACKOFF_BASE: u64 = 500;

/// The last bound of the delay between attempts of deregistering a fan-out consumer.
///
/// Milliseconds from 0; default 2,000.
/// Becomes part of `FanOutConfig`.
pub const DEREGISTER_STREAM_BACKOFF_MAX: &str = "flink.stream.deregisterstreamconsumer.backoff.max";

/// The default of [`DEREGISTER_STREAM_BACKOFF_MAX`].
pub const DEFAULT_DEREGISTER_STREAM_BACKOFF_MAX: u64 = 2_000;

/// The growth of that bound for deregistering a fan-out consumer.
///
/// A factor from 0; default 1.5.
/// Becomes part of `FanOutConfig`.
pub const DEREGISTER_STREAM_BACKOFF_EXPONENTIAL_CONSTANT: &str =
    "flink.stream.deregisterstreamconsumer.backoff.expconst";

/// The default of [`DEREGISTER_STREAM_BACKOFF_EXPONENTIAL_CONSTANT`].
pub const DEFAULT_DEREGISTER_STREAM_BACKOFF_EXPONENTIAL_CONSTANT: f64 = 1.5;

/// Retries of subscribing to a shard.
///
/// A whole number up to 2,147,483,647, after the first attempt; default 10, 0 tries once.
/// Becomes part of `FanOutConfig`.
pub const SUBSCRIBE_TO_SHARD_RETRIES: &str = "flink.shard.subscribetoshard.maxretries";

/// The default of [`SUBSCRIBE_TO_SHARD_RETRIES`].
pub const DEFAULT_SUBSCRIBE_TO_SHARD_RETRIES: u32 = 10;

/// The time limit of subscribing to a shard, in seconds.
///
/// Seconds from 0; default 60.
/// Becomes part of `FanOutConfig`.
pub const SUBSCRIBE_TO_SHARD_TIMEOUT_SECONDS: &str = "flink.shard.subscribetoshard.timeout";

/// The default of [`SUBSCRIBE_TO_SHARD_TIMEOUT_SECONDS`].
pub const DEFAULT_SUBSCRIBE_TO_SHARD_TIMEOUT_SECONDS: u64 = 60;

/// The first bound of the delay between attempts of subscribing to a shard.
///
/// Milliseconds from 0; default 1,000. The delay is uniform below the bound.
/// Becomes part of `FanOutConfig`.
pub const SUBSCRIBE_TO_SHARD_BACKOFF_BASE: &str = "flink.shard.subscribetoshard.backoff.base";

/// The default of [`SUBSCRIBE_TO_SHARD_BACKOFF_BASE`].
pub const DEFAULT_SUBSCRIBE_TO_SHARD_BACKOFF_BASE: u64 = 1_000;

/// The last bound of the delay between attempts of subscribing to a shard.
///
/// Milliseconds from 0; default 2,000.
/// Becomes part of `FanOutConfig`.
pub const SUBSCRIBE_TO_SHARD_BACKOFF_MAX: &str = "flink.shard.subscribetoshard.backoff.max";

/// The default of [`SUBSCRIBE_TO_SHARD_BACKOFF_MAX`].
pub const DEFAULT_SUBSCRIBE_TO_SHARD_BACKOFF_MAX: u64 = 2_000;

/// The growth of that bound for subscribing to a shard.
///
/// A factor from 0; default 1.5.
/// Becomes part of `FanOutConfig`.
pub const SUBSCRIBE_TO_SHARD_BACKOFF_EXPONENTIAL_CONSTANT: &str = "flink.shard.subscribetoshard.backoff.expconst";

/// The default of [`SUBSCRIBE_TO_SHARD_BACKOFF_EXPONENTIAL_CONSTANT`].
pub const DEFAULT_SUBSCRIBE_TO_SHARD_BACKOFF_EXPONENTIAL_CONSTANT: f64 = 1.5;

// Polling.

/// The most records that one GetRecords call asks for, 1 to 10,000.
///
/// Default 10,000; the service allows no more.
pub const SHARD_GETRECORDS_MAX: &str = "flink.shard.getrecords.maxrecordcount";

/// The default of [`SHARD_GETRECORDS_MAX`].
pub const DEFAULT_SHARD_GETRECORDS_MAX: u32 = 10_000;

/// Retries of GetRecords.
///
/// A whole number up to 2,147,483,647, after the first attempt; default 3, 0 tries once.
pub const SHARD_GETRECORDS_RETRIES: &str = "flink.shard.getrecords.maxretries";

/// The default of [`SHARD_GETRECORDS_RETRIES`].
pub const DEFAULT_SHARD_GETRECORDS_RETRIES: u32 = 3;

/// The first bound of the delay between attempts of GetRecords.
///
/// Milliseconds from 0; default 300. The delay is uniform below the bound.
pub const SHARD_GETRECORDS_BACKOFF_BASE: &str = "flink.shard.getrecords.backoff.base";

/// The default of [`SHARD_GETRECORDS_BACKOFF_BASE`].
pub const DEFAULT_SHARD_GETRECORDS_BACKOFF_BASE: u64 = 300;

/// The last bound of the delay between attempts of GetRecords.
///
/// Milliseconds from 0; default 1,000.
pub const SHARD_GETRECORDS_BACKOFF_MAX: &str = "flink.shard.getrecords.backoff.max";

/// The default of [`SHARD_GETRECORDS_BACKOFF_MAX`].
pub const DEFAULT_SHARD_GETRECORDS_BACKOFF_MAX: u64 = 1_000;

/// The growth of that bound for GetRecords.
///
/// A factor from 0; default 1.5.
pub const SHARD_GETRECORDS_BACKOFF_EXPONENTIAL_CONSTANT: &str = "flink.shard.getrecords.backoff.expconst";

/// The default of [`SHARD_GETRECORDS_BACKOFF_EXPONENTIAL_CONSTANT`].
pub const DEFAULT_SHARD_GETRECORDS_BACKOFF_EXPONENTIAL_CONSTANT: f64 = 1.5;

/// The interval of GetRecords calls to a shard; 0 does not wait.
///
/// Milliseconds from 0 to 299,999; default 200.
pub const SHARD_GETRECORDS_INTERVAL_MILLIS: &str = "flink.shard.getrecords.intervalmillis";

/// The default of [`SHARD_GETRECORDS_INTERVAL_MILLIS`].
pub const DEFAULT_SHARD_GETRECORDS_INTERVAL_MILLIS: u64 = 200;

/// What [`SHARD_GETRECORDS_INTERVAL_MILLIS`] must stay below: the life of an iterator (AWS API reference).
pub const MAX_SHARD_GETRECORDS_INTERVAL_MILLIS: u64 = 300_000;

/// Retries of GetShardIterator.
///
/// A whole number up to 2,147,483,647, after the first attempt; default 3, 0 tries once.
pub const SHARD_GETITERATOR_RETRIES: &str = "flink.shard.getiterator.maxretries";

/// The default of [`SHARD_GETITERATOR_RETRIES`].
pub const DEFAULT_SHARD_GETITERATOR_RETRIES: u32 = 3;

/// The first bound of the delay between attempts of GetShardIterator.
///
/// Milliseconds from 0; default 300. The delay is uniform below the bound.
pub const SHARD_GETITERATOR_BACKOFF_BASE: &str = "flink.shard.getiterator.backoff.base";

/// The default of [`SHARD_GETITERATOR_BACKOFF_BASE`].
pub const DEFAULT_SHARD_GETITERATOR_BACKOFF_BASE: u64 = 300;

/// The last bound of the delay between attempts of GetShardIterator.
///
/// Milliseconds from 0; default 1,000.
pub const SHARD_GETITERATOR_BACKOFF_MAX: &str = "flink.shard.getiterator.backoff.max";

/// The default of [`SHARD_GETITERATOR_BACKOFF_MAX`].
pub const DEFAULT_SHARD_GETITERATOR_BACKOFF_MAX: u64 = 1_000;

/// The growth of that bound for GetShardIterator.
///
/// A factor from 0; default 1.5.
pub const SHARD_GETITERATOR_BACKOFF_EXPONENTIAL_CONSTANT: &str = "flink.shard.getiterator.backoff.expconst";

/// The default of [`SHARD_GETITERATOR_BACKOFF_EXPONENTIAL_CONSTANT`].
pub const DEFAULT_SHARD_GETITERATOR_BACKOFF_EXPONENTIAL_CONSTANT: f64 = 1.5;

/// Whether the number of records per call follows their size.
///
/// `true` or `false` in any case; default false.
pub const SHARD_USE_ADAPTIVE_READS: &str = "flink.shard.adaptivereads";

/// The default of [`SHARD_USE_ADAPTIVE_READS`].
pub const DEFAULT_SHARD_USE_ADAPTIVE_READS: bool = false;

// Discovery.

/// The interval of shard discovery.
///
/// Milliseconds from 0; default 10,000.
pub const SHARD_DISCOVERY_INTERVAL_MILLIS: &str = "flink.shard.discovery.intervalmillis";

/// The default of [`SHARD_DISCOVERY_INTERVAL_MILLIS`].
pub const DEFAULT_SHARD_DISCOVERY_INTERVAL_MILLIS: u64 = 10_000;

// Event time.

/// How long a silent shard holds the watermark; -1 for ever.
///
/// Milliseconds; default -1, and 0 means the same.
/// Of effect where a consumer has a watermark strategy.
pub const SHARD_IDLE_INTERVAL_MILLIS: &str = "flink.shard.idle.interval";

/// The default of [`SHARD_IDLE_INTERVAL_MILLIS`].
pub const DEFAULT_SHARD_IDLE_INTERVAL_MILLIS: i64 = -1;

/// The interval at which subtasks exchange watermarks.
///
/// Milliseconds from 0; default 30,000.
/// The subtasks of one process see each other's watermarks at once: it bounds the lookahead alone.
pub const WATERMARK_SYNC_MILLIS: &str = "flink.watermark.sync.interval";

/// The default of [`WATERMARK_SYNC_MILLIS`].
pub const DEFAULT_WATERMARK_SYNC_MILLIS: u64 = 30_000;

/// How far a shard may be read ahead of the one that is the furthest behind.
///
/// Milliseconds from 0; default 0, but never less than three times [`WATERMARK_SYNC_MILLIS`].
/// Of effect where a consumer aligns its shards.
pub const WATERMARK_LOOKAHEAD_MILLIS: &str = "flink.watermark.lookahead.millis";

/// The default of [`WATERMARK_LOOKAHEAD_MILLIS`].
pub const DEFAULT_WATERMARK_LOOKAHEAD_MILLIS: u64 = 0;

/// The most records that a shard is polled for, once some had to wait for other shards.
///
/// A number of records from 0, which counts as 1; default 100.
/// Of effect where a consumer aligns its shards, and the memory of what waits is wanted.
pub const WATERMARK_SYNC_QUEUE_CAPACITY: &str = "flink.watermark.sync.queue.capacity";

/// The default of [`WATERMARK_SYNC_QUEUE_CAPACITY`].
pub const DEFAULT_WATERMARK_SYNC_QUEUE_CAPACITY: u32 = 100;
