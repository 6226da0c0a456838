//! The keys, in the order of their constants.

use kinesis_core::aws_config_constants::{AWS_ENDPOINT, AWS_REGION, HTTP_CLIENT_READ_TIMEOUT_MILLIS};

use super::keys;
use super::{Effect, Key, Kind};

/// The levels of metrics, from none to all.
pub(in crate::config) const METRICS_LEVELS: &[&str] = &["none", "summary", "detailed"];

/// The granularities of metrics, from coarse to fine.
pub(in crate::config) const METRICS_GRANULARITIES: &[&str] = &["global", "stream", "shard"];

/// The largest `long` of Java.
pub(in crate::config) const LARGEST: u64 = i64::MAX as u64;

/// The key under which a client has the limit of connecting.
pub(in crate::config) const CLIENT_CONNECT_TIMEOUT: &str = "aws.clientconfig.connectionTimeout";

const ANY_COUNT: Kind = Kind::Whole(1, LARGEST);
const PORT: Kind = Kind::Whole(1, 65_535);
const SIZE: Kind = Kind::Whole(64, 10_485_760);

const NO_CHILD: Effect = Effect::None("there is no child process");
const NO_ENDPOINT: &str = "the uploader is given a client of CloudWatch, which has its endpoint";
const SYSTEM_AUTHORITIES: &str = "the client trusts the system's authorities";
const NO_STS: &str = "it has none in the KPL either, since its 1.0.5";
const NO_PROXY: &str = "there is no proxy";

const fn key(name: &'static str, kind: Kind, effect: Effect) -> Key {
    Key { name, kind, effect }
}

/// Every key of a producer.
pub(in crate::config) const KEYS: &[Key] = &[
    key(keys::AGGREGATION_ENABLED, Kind::Flag, Effect::Read),
    key(keys::AGGREGATION_MAX_COUNT, ANY_COUNT, Effect::Read),
    key(keys::AGGREGATION_MAX_SIZE, SIZE, Effect::Read),
    key(keys::COLLECTION_MAX_COUNT, Kind::Whole(1, 500), Effect::Read),
    key(keys::COLLECTION_MAX_SIZE, Kind::Whole(52_224, LARGEST), Effect::Read),
    key(keys::RATE_LIMIT, ANY_COUNT, Effect::Read),
    key(keys::RECORD_MAX_BUFFERED_TIME, Kind::Millis(0, LARGEST), Effect::Read),
    key(keys::RECORD_TTL, Kind::Millis(100, LARGEST), Effect::Read),
    key(keys::FAIL_IF_THROTTLED, Kind::Flag, Effect::Read),
    key(keys::MAX_USER_RECORD_SIZE, SIZE, Effect::Read),
    key(
        keys::USER_RECORD_TIMEOUT_IN_MILLIS,
        Kind::Millis(0, LARGEST),
        Effect::NoneUnless("0", "in this version an outcome comes with the record's `RecordTtl` at the latest"),
    ),
    key(keys::MAX_CONNECTIONS, Kind::Whole(1, 256), Effect::Read),
    key(keys::THREADING_MODEL, Kind::OneOf(&["POOLED", "PER_REQUEST"]), Effect::Read),
    key(keys::THREAD_POOL_SIZE, Kind::Whole(0, i32::MAX as u64), Effect::Read),
    key(keys::REGION, Kind::Region, Effect::Client(AWS_REGION)),
    key(keys::KINESIS_ENDPOINT, Kind::Host, Effect::Client(AWS_ENDPOINT)),
    key(keys::KINESIS_PORT, PORT, Effect::Client(AWS_ENDPOINT)),
    key(keys::CONNECT_TIMEOUT, Kind::Millis(100, 300_000), Effect::Client(CLIENT_CONNECT_TIMEOUT)),
    key(keys::REQUEST_TIMEOUT, Kind::Millis(100, 600_000), Effect::Client(HTTP_CLIENT_READ_TIMEOUT_MILLIS)),
    key(
        keys::VERIFY_CERTIFICATE,
        Kind::Flag,
        Effect::Refused("true", "true; add a private authority to the system's, or use an http endpoint"),
    ),
    key(keys::CA_CERT_PATH, Kind::Text, Effect::NoneUnless("", SYSTEM_AUTHORITIES)),
    key(keys::CA_CERT_FILE, Kind::Text, Effect::NoneUnless("", SYSTEM_AUTHORITIES)),
    key(keys::PROXY_HOST, Kind::Text, Effect::Refused("", "nothing; requests would pass the proxy by")),
    key(keys::PROXY_PORT, PORT, Effect::None(NO_PROXY)),
    key(keys::PROXY_USER_NAME, Kind::Text, Effect::NoneUnless("", NO_PROXY)),
    key(keys::PROXY_PASSWORD, Kind::Text, Effect::NoneUnless("", NO_PROXY)),
    key(keys::METRICS_LEVEL, Kind::OneOf(METRICS_LEVELS), Effect::Metrics),
    key(keys::METRICS_GRANULARITY, Kind::OneOf(METRICS_GRANULARITIES), Effect::Metrics),
    key(keys::METRICS_NAMESPACE, Kind::Namespace, Effect::Metrics),
    key(keys::METRICS_UPLOAD_DELAY, Kind::Millis(1, 60_000), Effect::Metrics),
    key(keys::CLOUDWATCH_ENDPOINT, Kind::Host, Effect::NoneUnless("", NO_ENDPOINT)),
    key(keys::CLOUDWATCH_PORT, PORT, Effect::None(NO_ENDPOINT)),
    key(
        keys::GLUE_SCHEMA_REGISTRY_PROPERTIES_FILE_PATH,
        Kind::Text,
        Effect::Refused("", "nothing; there is no schema registry, and records would go out unencoded"),
    ),
    key(
        keys::RETURN_USER_RECORD_ON_FAILURE,
        Kind::Flag,
        Effect::NoneUnless("false", "in this version an outcome carries no record"),
    ),
    key(
        keys::ENABLE_OLDEST_FUTURE_TRACKER,
        Kind::Flag,
        Effect::NoneUnless("true", "the oldest record is always known, since that costs next to nothing"),
    ),
    key(
        keys::CREDENTIALS_REFRESH_DELAY,
        Kind::Millis(1, 300_000),
        Effect::None("the client renews its credentials before they expire"),
    ),
    key(keys::MIN_CONNECTIONS, Kind::Whole(1, 16), Effect::None("it has none in the KPL either")),
    key(keys::STS_ENDPOINT, Kind::Host, Effect::None(NO_STS)),
    key(keys::STS_PORT, PORT, Effect::None(NO_STS)),
    key(
        keys::LOG_LEVEL,
        Kind::OneOf(&["trace", "debug", "info", "warning", "error"]),
        Effect::None("there is no child process; the subscriber of `tracing` filters"),
    ),
    key(keys::NATIVE_EXECUTABLE, Kind::Text, NO_CHILD),
    key(keys::TEMP_DIRECTORY, Kind::Text, NO_CHILD),
    key(keys::ENABLE_CORE_DUMPS, Kind::Flag, NO_CHILD),
    key(keys::ENABLE_DAEMON_HEALTH_CHECK, Kind::Flag, NO_CHILD),
    key(keys::DAEMON_HEALTH_CHECK_TIMEOUT_MS, Kind::Millis(5_000, LARGEST), NO_CHILD),
    key(keys::DEPRECATED_COLLECTION_MAX_COUNT, Kind::Whole(1, 500), Effect::Renamed(keys::COLLECTION_MAX_COUNT)),
    key(keys::DEPRECATED_AGGREGATION_MAX_COUNT, ANY_COUNT, Effect::Renamed(keys::AGGREGATION_MAX_COUNT)),
];
