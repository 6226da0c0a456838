//! The keys of a producer: the properties of the Kinesis Producer Library (KPL), same names, and the connector's two.
//!
//! Source: `KinesisProducerConfiguration` of the KPL 1.0.7, whose properties files have these names, and
//! `ProducerConfigConstants` of Flink's `flink-connector-kinesis` up to 5.1. All of them are judged by
//! [`ProducerConfig::from_properties`](crate::ProducerConfig::from_properties); [`configuration`](crate::configuration)
//! has them in one table. Times are whole numbers of milliseconds, flags are `true` or `false` in any case, and the names
//! of values are exact.

// Packing and collecting.

/// Whether user records are packed into aggregates.
///
/// A flag; default `true`. Off, each user record is a Kinesis record; the limit of its shard holds all the same.
pub const AGGREGATION_ENABLED: &str = "AggregationEnabled";

/// The most user records in an aggregate.
///
/// A whole number from 1 to 9,223,372,036,854,775,807; default 4,294,967,295.
pub const AGGREGATION_MAX_COUNT: &str = "AggregationMaxCount";

/// The most bytes of an aggregate; a larger user record goes alone.
///
/// A whole number from 64 to 10,485,760; default 51,200. Never more than the stream's own limit is used.
pub const AGGREGATION_MAX_SIZE: &str = "AggregationMaxSize";

/// The most Kinesis records in a request.
///
/// A whole number from 1 to 500; default 500.
pub const COLLECTION_MAX_COUNT: &str = "CollectionMaxCount";

/// The most bytes of data and partition keys in a request; a larger Kinesis record goes alone.
///
/// A whole number from 52,224 to 9,223,372,036,854,775,807; default 5,242,880.
pub const COLLECTION_MAX_SIZE: &str = "CollectionMaxSize";

// Limits and times of records.

/// The share of what a shard takes per second that is used, in percent.
///
/// A whole number from 1 to 9,223,372,036,854,775,807; default 100, as the connector has it (the KPL: 150).
pub const RATE_LIMIT: &str = "RateLimit";

/// How long a record may wait for others to share its aggregate.
///
/// Milliseconds from 0 to 9,223,372,036,854,775,807, and less than [`RECORD_TTL`]; default 100.
pub const RECORD_MAX_BUFFERED_TIME: &str = "RecordMaxBufferedTime";

/// How long a record is tried, from its put.
///
/// Milliseconds from 100 to 9,223,372,036,854,775,807, which is for ever; default 30,000.
pub const RECORD_TTL: &str = "RecordTtl";

/// Whether a throttled record fails instead of being sent again.
///
/// A flag; only `false`, the default, is supported.
pub const FAIL_IF_THROTTLED: &str = "FailIfThrottled";

/// The most bytes of a user record's data.
///
/// A whole number from 64 to 10,485,760; the KPL's default is 1,048,576. No effect in this version: what the stream
/// takes is the limit.
pub const MAX_USER_RECORD_SIZE: &str = "MaxUserRecordSize";

/// How long the caller waits for a record's outcome.
///
/// Milliseconds from 0, which is off and the default, to 9,223,372,036,854,775,807. No effect in this version.
pub const USER_RECORD_TIMEOUT_IN_MILLIS: &str = "UserRecordTimeoutInMillis";

// Requests at a time.

/// The most connections, and so the most requests at a time.
///
/// A whole number from 1 to 256; default 24.
pub const MAX_CONNECTIONS: &str = "MaxConnections";

/// Whether requests share a pool of threads: `POOLED` or `PER_REQUEST`.
///
/// Default `POOLED`, as the connector has it (the KPL: `PER_REQUEST`). There are no threads here; the model decides
/// whether [`THREAD_POOL_SIZE`] limits the requests at a time.
pub const THREADING_MODEL: &str = "ThreadingModel";

/// The most requests at a time with `POOLED`, no more than [`MAX_CONNECTIONS`].
///
/// A whole number from 0 to 2,147,483,647, where 0 stands for 64; default 10, as the connector has it (the KPL: 0).
pub const THREAD_POOL_SIZE: &str = "ThreadPoolSize";

// The client, by way of `client_properties`.

/// The region to write to and to sign for.
///
/// A region such as `us-east-1`, or nothing, the default. `aws.region` for the client.
pub const REGION: &str = "Region";

/// The host of Kinesis.
///
/// A host without protocol and path, or nothing, the default. `aws.endpoint` for the client, with `https` and
/// [`KINESIS_PORT`].
pub const KINESIS_ENDPOINT: &str = "KinesisEndpoint";

/// The port of [`KINESIS_ENDPOINT`], without which it has no effect.
///
/// A whole number from 1 to 65,535; default 443.
pub const KINESIS_PORT: &str = "KinesisPort";

/// How long connecting may take.
///
/// Milliseconds from 100 to 300,000; the KPL's default is 6,000, the client's 3,000.
/// `aws.clientconfig.connectionTimeout` for the client.
pub const CONNECT_TIMEOUT: &str = "ConnectTimeout";

/// How long one attempt of a request may take.
///
/// Milliseconds from 100 to 600,000; the KPL's default is 6,000, the client's 10,000. `aws.http-client.read-timeout` for
/// the client.
pub const REQUEST_TIMEOUT: &str = "RequestTimeout";

/// Whether the service's certificate is verified.
///
/// A flag; only `true`, the default, is supported.
pub const VERIFY_CERTIFICATE: &str = "VerifyCertificate";

/// The folder of the authorities to trust.
///
/// A path; none by default. No effect: the client trusts the system's authorities.
pub const CA_CERT_PATH: &str = "CaCertPath";

/// The file of the authorities to trust.
///
/// A path; none by default. No effect: the client trusts the system's authorities.
pub const CA_CERT_FILE: &str = "CaCertFile";

/// The proxy's host.
///
/// Only nothing, the default, is supported.
pub const PROXY_HOST: &str = "ProxyHost";

/// The proxy's port.
///
/// A whole number from 1 to 65,535; the KPL's default is 443. No effect: there is no proxy.
pub const PROXY_PORT: &str = "ProxyPort";

/// The user that the proxy knows.
///
/// None by default. No effect: there is no proxy.
pub const PROXY_USER_NAME: &str = "ProxyUserName";

/// The password that the proxy knows; it is not shown in messages.
///
/// None by default. No effect: there is no proxy.
pub const PROXY_PASSWORD: &str = "ProxyPassword";

// Metrics: no effect in this version, which uploads none.

/// Which metrics are uploaded: `none`, `summary` or `detailed`.
///
/// The KPL's default is `detailed`. Here it is always as with `none`.
pub const METRICS_LEVEL: &str = "MetricsLevel";

/// The finest dimension of metrics: `global`, `stream` or `shard`.
///
/// The KPL's default is `shard`.
pub const METRICS_GRANULARITY: &str = "MetricsGranularity";

/// The namespace of metrics.
///
/// 1 to 255 characters that do not begin with `AWS/`; the KPL's default is `KinesisProducerLibrary`.
pub const METRICS_NAMESPACE: &str = "MetricsNamespace";

/// The interval of uploads.
///
/// Milliseconds from 1 to 60,000; the KPL's default is 60,000.
pub const METRICS_UPLOAD_DELAY: &str = "MetricsUploadDelay";

/// The host of CloudWatch.
///
/// A host without protocol and path, or nothing, the default.
pub const CLOUDWATCH_ENDPOINT: &str = "CloudwatchEndpoint";

/// The port of [`CLOUDWATCH_ENDPOINT`].
///
/// A whole number from 1 to 65,535; the KPL's default is 443.
pub const CLOUDWATCH_PORT: &str = "CloudwatchPort";

// What surrounds the KPL: nothing of it is here.

/// The file that configures the Glue Schema Registry.
///
/// Only nothing, the default, is supported: records would go out unencoded.
pub const GLUE_SCHEMA_REGISTRY_PROPERTIES_FILE_PATH: &str = "GlueSchemaRegistryPropertiesFilePath";

/// Whether a failure carries the record.
///
/// A flag; default `false`. No effect in this version: an outcome carries no record.
pub const RETURN_USER_RECORD_ON_FAILURE: &str = "ReturnUserRecordOnFailure";

/// Whether the age of the oldest record is tracked.
///
/// A flag; the KPL's default is `true`. No effect in this version: it is not tracked.
pub const ENABLE_OLDEST_FUTURE_TRACKER: &str = "EnableOldestFutureTracker";

/// The interval at which credentials are handed to the child process.
///
/// Milliseconds from 1 to 300,000; the KPL's default is 5,000, the connector's 100. No effect: the client renews its
/// credentials before they expire.
pub const CREDENTIALS_REFRESH_DELAY: &str = "CredentialsRefreshDelay";

/// The fewest connections.
///
/// A whole number from 1 to 16; the KPL's default is 1. No effect, nor in the KPL.
pub const MIN_CONNECTIONS: &str = "MinConnections";

/// The host of STS.
///
/// A host without protocol and path, or nothing, the default. No effect, nor in the KPL since 1.0.5.
pub const STS_ENDPOINT: &str = "StsEndpoint";

/// The port of [`STS_ENDPOINT`].
///
/// A whole number from 1 to 65,535; the KPL's default is 443. No effect, nor in the KPL since 1.0.5.
pub const STS_PORT: &str = "StsPort";

/// The least level that the child process logs: `trace`, `debug`, `info`, `warning` or `error`.
///
/// The KPL's default is `info`. No effect: there is no child process; the program's subscriber of `tracing` filters.
pub const LOG_LEVEL: &str = "LogLevel";

/// The child process's executable.
///
/// A path; none by default. No effect: there is no child process.
pub const NATIVE_EXECUTABLE: &str = "NativeExecutable";

/// The folder of the child process's files.
///
/// A path; the KPL's default is below the system's folder for temporary files. No effect: there is no child process.
pub const TEMP_DIRECTORY: &str = "TempDirectory";

/// Whether the child process may leave core dumps.
///
/// A flag; not set by default. No effect: there is no child process.
pub const ENABLE_CORE_DUMPS: &str = "EnableCoreDumps";

/// Whether a silent child process is ended.
///
/// A flag; the KPL's default is `false`. No effect: there is no child process.
pub const ENABLE_DAEMON_HEALTH_CHECK: &str = "EnableDaemonHealthCheck";

/// How long the child process may be silent.
///
/// Milliseconds from 5,000 to 9,223,372,036,854,775,807; the KPL's default is 30,000. No effect: there is no child
/// process.
pub const DAEMON_HEALTH_CHECK_TIMEOUT_MS: &str = "DaemonHealthCheckTimeoutMs";

// The connector's own keys, both deprecated there.

/// The connector's older key of [`COLLECTION_MAX_COUNT`]; it wins where both are set.
pub const DEPRECATED_COLLECTION_MAX_COUNT: &str = "aws.producer.collectionMaxCount";

/// The connector's older key of [`AGGREGATION_MAX_COUNT`]; it wins where both are set.
pub const DEPRECATED_AGGREGATION_MAX_COUNT: &str = "aws.producer.aggregationMaxCount";
