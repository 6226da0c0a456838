//! The keys that start with `aws.`: Flink's `AWSConfigConstants`, same names and strings.
//!
//! Keys that start with [`AWS_CREDENTIALS_PROVIDER`] may be nested: the provider that calls STS for a role has its own keys
//! under [`AWS_ROLE_CREDENTIALS_PROVIDER`], up to eight roles deep.

/// The region of the streams, such as `us-east-1`.
///
/// No default. Not needed where [`AWS_ENDPOINT`] is set.
pub const AWS_REGION: &str = "aws.region";

/// The URL of the service, for tests, proxies and private endpoints.
///
/// By default the SDK derives it from the region.
pub const AWS_ENDPOINT: &str = "aws.endpoint";

/// Where credentials come from: `BASIC`, `ENV_VAR`, `SYS_PROP`, `PROFILE`, `ASSUME_ROLE`, `WEB_IDENTITY_TOKEN`, `CUSTOM`, `AUTO`.
///
/// By default `BASIC` where both basic keys are set, else `AUTO`; one basic key alone is refused.
pub const AWS_CREDENTIALS_PROVIDER: &str = "aws.credentials.provider";

/// The access key id of provider `BASIC`.
pub const AWS_ACCESS_KEY_ID: &str = "aws.credentials.provider.basic.accesskeyid";

/// The secret access key of provider `BASIC`.
pub const AWS_SECRET_ACCESS_KEY: &str = "aws.credentials.provider.basic.secretkey";

/// The credentials file of provider `PROFILE`; by default the SDK's.
pub const AWS_PROFILE_PATH: &str = "aws.credentials.provider.profile.path";

/// The profile of provider `PROFILE`; by default the SDK's.
pub const AWS_PROFILE_NAME: &str = "aws.credentials.provider.profile.name";

/// The role of providers `ASSUME_ROLE`, which needs it, and `WEB_IDENTITY_TOKEN`.
///
/// An ARN such as `arn:aws:iam::123456789012:role/reader`.
pub const AWS_ROLE_ARN: &str = "aws.credentials.provider.role.arn";

/// The session name of providers `ASSUME_ROLE` and `WEB_IDENTITY_TOKEN`.
///
/// By default `kinesis-` and the milliseconds since 1970 when the provider was made; the reference has no default.
pub const AWS_ROLE_SESSION_NAME: &str = "aws.credentials.provider.role.sessionName";

/// The external id of provider `ASSUME_ROLE`.
pub const AWS_ROLE_EXTERNAL_ID: &str = "aws.credentials.provider.role.externalId";

/// The provider of the credentials that assume the role, with its own keys under this one; same default rule.
pub const AWS_ROLE_CREDENTIALS_PROVIDER: &str = "aws.credentials.provider.role.provider";

/// The STS endpoint that the role is assumed at; by default that of the region.
///
/// A nested role reads its own key, then this one; the reference reads this one alone, and not for `WEB_IDENTITY_TOKEN`.
pub const AWS_ROLE_STS_ENDPOINT: &str = "aws.credentials.provider.role.stsEndpoint";

/// The token file of provider `WEB_IDENTITY_TOKEN`, read again for every refresh.
pub const AWS_WEB_IDENTITY_TOKEN_FILE: &str = "aws.credentials.provider.webIdentityToken.file";

/// The name of provider `CUSTOM`, where the reference has a class.
///
/// The program registers a provider under it with `AwsConfig::register_credentials_provider`.
pub const CUSTOM_CREDENTIALS_PROVIDER_CLASS: &str = "aws.credentials.provider.custom.class";

/// Whether certificates go unchecked; only `false` is supported.
///
/// `true` or `false` in any case; default `false`. `true` is refused: add a private authority to the system's
/// certificates, or use an http endpoint.
pub const TRUST_ALL_CERTIFICATES: &str = "aws.trust.all.certificates";

/// The version of HTTP: `HTTP2` or `HTTP1_1`.
///
/// Default `HTTP2`. Both are accepted; the version is negotiated with the service.
pub const HTTP_PROTOCOL_VERSION: &str = "aws.http.protocol.version";

/// The most connections at a time.
///
/// A whole number from 0; the reference's default is 10,000. Accepted without effect: the requests in flight bound the
/// connections.
pub const HTTP_CLIENT_MAX_CONCURRENCY: &str = "aws.http-client.max-concurrency";

/// The time limit of one attempt of a call.
///
/// Milliseconds from 1 to 2,147,483,647. Without it the limits of `ClientOptions` hold (10 s), not the 6 minutes of the
/// reference.
pub const HTTP_CLIENT_READ_TIMEOUT_MILLIS: &str = "aws.http-client.read-timeout";

/// The prefix of settings of the AWS SDK for Java, such as `aws.clientconfig.socketTimeout`.
///
/// `socketTimeout` and `requestTimeout` stand in for [`HTTP_CLIENT_READ_TIMEOUT_MILLIS`]; `connectionTimeout` (default
/// 3,000) and `connectionMaxIdleMillis` (default 15,000) limit connecting and idle connections. All others are accepted
/// with a warning.
pub const AWS_CLIENT_CONFIG_PREFIX: &str = "aws.clientconfig.";

/// The first bound of the delay between attempts of every polling call.
///
/// A duration from 0, such as `300 ms`; the reference's default is 300 ms, here it is that of the call's own keys (such
/// as `flink.shard.getrecords.backoff.base`), which also win where they are set.
pub const RETRY_STRATEGY_MIN_DELAY_OPTION: &str = "retry-strategy.delay.min";

/// The last bound of the delay between attempts of every polling call.
///
/// A duration from 0; the reference's default is 1 s, here it is that of the call's own keys, which also win where they
/// are set.
pub const RETRY_STRATEGY_MAX_DELAY_OPTION: &str = "retry-strategy.delay.max";

/// The most attempts of every polling call, the first included.
///
/// A whole number from 1; the reference's default is 50, here it is that of the call's own keys, which also win where
/// they are set.
pub const RETRY_STRATEGY_MAX_ATTEMPTS_OPTION: &str = "retry-strategy.attempts.max";
