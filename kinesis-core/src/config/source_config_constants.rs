//! The keys that start with `source.`: Flink's `KinesisSourceConfigOptions`, same names and strings.
//!
//! Source: Flink's `flink-connector-aws-kinesis-streams` from 5.0, whose keys of the same meaning are read where the older
//! key of [`consumer_config_constants`](crate::consumer_config_constants) is not set; [`configuration`](crate::configuration)
//! says which those are. A *duration* is a whole number and a unit (`ns`, `us`, `ms`, `s`, `min`, `h`, `d`, or the words for
//! them), such as `250 ms`; without a unit it is milliseconds.

/// Where to start: `LATEST`, `TRIM_HORIZON` or `AT_TIMESTAMP`.
///
/// Default `LATEST`. Without effect where there is a checkpoint.
pub const STREAM_INITIAL_POSITION: &str = "source.init.position";

/// The start for `AT_TIMESTAMP`: a date, or seconds since the epoch as a decimal.
///
/// No default; needed for `AT_TIMESTAMP`, without effect otherwise. From 1970 to 9999.
pub const STREAM_INITIAL_TIMESTAMP: &str = "source.init.timestamp";

/// The pattern of [`STREAM_INITIAL_TIMESTAMP`], in the letters of `SimpleDateFormat`.
///
/// Default `yyyy-MM-dd'T'HH:mm:ss.SSSXXX`; without an offset it is UTC.
pub const STREAM_TIMESTAMP_DATE_FORMAT: &str = "source.init.timestamp.format";

/// The interval of shard discovery.
///
/// A duration from 0; default 10 s.
pub const SHARD_DISCOVERY_INTERVAL: &str = "source.shard.discovery.interval";

/// The most records that one GetRecords call asks for, 1 to 10,000.
///
/// Default 10,000; the service allows no more.
pub const SHARD_GET_RECORDS_MAX: &str = "source.shard.get-records.max-record-count";

/// How records are read: `POLLING`, or `EFO` for enhanced fan-out.
///
/// Default `POLLING`. `EFO` is judged and carried; a consumer refuses it until it has fan-out.
pub const READER_TYPE: &str = "source.reader.type";

/// How long a shard rests after a reply without records.
///
/// A duration from 0, counted from the reply; the reference's default is 250 ms, here it is none. Calls are at least
/// `flink.shard.getrecords.intervalmillis` apart all the same.
pub const READER_EMPTY_RECORDS_FETCH_INTERVAL: &str = "source.reader.empty-records-fetch-interval";

/// How long a shard rests after a reply with records.
///
/// A duration from 0, counted from the reply; the reference's default is 0, here it is none. Calls are at least
/// `flink.shard.getrecords.intervalmillis` apart all the same.
pub const READER_NON_EMPTY_RECORDS_FETCH_INTERVAL: &str = "source.reader.nonempty-records-fetch-interval";

/// Who registers the fan-out consumer: `JOB_MANAGED` or `SELF_MANAGED`.
///
/// Default `JOB_MANAGED`, which is `LAZY` of the older key; with `SELF_MANAGED` the consumer is there already.
/// Of effect with `EFO`.
pub const EFO_CONSUMER_LIFECYCLE: &str = "source.efo.lifecycle";

/// The name of the enhanced fan-out consumer.
///
/// No default; needed for `EFO`. Of effect with `EFO`.
pub const EFO_CONSUMER_NAME: &str = "source.efo.consumer.name";

/// The time limit of subscribing to a shard.
///
/// A duration from 0; default 60 s. Of effect with `EFO`.
pub const EFO_CONSUMER_SUBSCRIPTION_TIMEOUT: &str = "source.efo.subscription.timeout";

/// The first bound of the delay between attempts of describing a fan-out consumer.
///
/// A duration from 0; the reference's default is 2 s.
/// Of effect with `EFO`.
pub const EFO_DESCRIBE_CONSUMER_RETRY_STRATEGY_MIN_DELAY_OPTION: &str = "source.efo.describe.retry-strategy.delay.min";

/// The last bound of the delay between attempts of describing a fan-out consumer.
///
/// A duration from 0; the reference's default is 60 s, here it is the older key's 5 s.
/// Of effect with `EFO`.
pub const EFO_DESCRIBE_CONSUMER_RETRY_STRATEGY_MAX_DELAY_OPTION: &str = "source.efo.describe.retry-strategy.delay.max";

/// The most attempts of describing a fan-out consumer, the first included.
///
/// A whole number from 1; the reference's default is 100, here it is the older key's 50 retries.
/// Of effect with `EFO`.
pub const EFO_DESCRIBE_CONSUMER_RETRY_STRATEGY_MAX_ATTEMPTS_OPTION: &str =
    "source.efo.describe.retry-strategy.attempts.max";

/// The time limit of deregistering a fan-out consumer.
///
/// A duration from 0; the reference's default is 10 s, here it is the older key's 60 s.
/// Of effect with `EFO`.
pub const EFO_DEREGISTER_CONSUMER_TIMEOUT: &str = "source.efo.deregister.timeout";
