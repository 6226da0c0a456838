//! Which AWS to talk to, as whom, and with what limits.

mod credentials;

use std::fmt;
use std::time::Duration;

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use crate::client::ClientOptions;
use crate::config::aws_config_constants::{
    AWS_CLIENT_CONFIG_PREFIX, AWS_ENDPOINT, AWS_REGION, HTTP_CLIENT_MAX_CONCURRENCY, HTTP_CLIENT_READ_TIMEOUT_MILLIS,
    HTTP_PROTOCOL_VERSION, TRUST_ALL_CERTIFICATES,
};
use crate::config::error::{ConfigErrors, Problems};
use crate::config::keys::{self, AWS_KEYS, USER_AGENT_PREFIX};
use crate::config::location::{ENDPOINT_SHAPE, REGION_SHAPE, is_endpoint, is_region};
use crate::config::notes::Notes;
use crate::config::reader::Reader;
use crate::credentials::{ConfiguredCredentials, CredentialsSource};
use crate::properties::Properties;
use crate::random::Randomness;
use crate::redaction::printable_url;
use crate::time::SharedClock;

/// The region that signs where an endpoint is given without one.
const PLACEHOLDER_REGION: &str = "us-east-1";

const SOCKET_TIMEOUT: &str = "aws.clientconfig.socketTimeout";
const REQUEST_TIMEOUT: &str = "aws.clientconfig.requestTimeout";
const CONNECTION_TIMEOUT: &str = "aws.clientconfig.connectionTimeout";
const CONNECTION_MAX_IDLE: &str = "aws.clientconfig.connectionMaxIdleMillis";
const CONNECTION_KEYS: [&str; 2] = [CONNECTION_TIMEOUT, CONNECTION_MAX_IDLE];
const MILLIS_SHAPE: &str = "a whole number of milliseconds from 1";
const PRODUCER_PREFIX: &str = "aws.producer.";

/// Which AWS to talk to, as whom, and with what limits.
///
/// ```
/// use kinesis_core::{AwsConfig, CredentialsSource};
///
/// let config = AwsConfig::builder()
///     .endpoint("http://127.0.0.1:4567")
///     .credentials(CredentialsSource::basic("id", "key"))
///     .build()?;
/// assert_eq!(config.signing_region(), "us-east-1");
/// # Ok::<(), kinesis_core::ConfigErrors>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct AwsConfig {
    region: Option<String>,
    endpoint: Option<String>,
    credentials: ConfiguredCredentials,
    read_timeout: Option<Duration>,
    connect_timeout: Duration,
    idle_connections: Duration,
}

/// A machine of the service that does not answer in this time is down; the SDK's own default is 3.1 s.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Idle connections go before the service closes them, after about 20 s (aws-sdk-rust #440).
const IDLE_CONNECTIONS: Duration = Duration::from_secs(15);

impl AwsConfig {
    /// Starts a config: no region, no endpoint, credentials AUTO.
    pub fn builder() -> AwsConfigBuilder {
        let credentials = ConfiguredCredentials::new(CredentialsSource::Auto);
        let config = Self {
            region: None,
            endpoint: None,
            credentials,
            read_timeout: None,
            connect_timeout: CONNECT_TIMEOUT,
            idle_connections: IDLE_CONNECTIONS,
        };
        AwsConfigBuilder { config }
    }

    /// Reads and checks every key that starts with `aws.`; other keys are not looked at.
    ///
    /// Keys without effect here are accepted with a warning: most of `aws.clientconfig.*`, the most connections (the
    /// requests in flight bound them), and `HTTP1_1` (the version is negotiated).
    ///
    /// # Errors
    /// [`ConfigErrors`] with every problem; a retry is pointless.
    pub fn from_properties(properties: &Properties) -> Result<Self, ConfigErrors> {
        let mut problems = Problems::default();
        keys::check(properties, "aws.", AWS_KEYS, keys::is_open_aws_key, &mut problems);
        let credentials = ConfiguredCredentials::new(credentials::read(properties, &mut problems));
        check_unsupported(properties, &mut problems);
        notes(properties).log();
        let config = Self {
            region: properties.get(AWS_REGION).map(str::to_owned),
            endpoint: properties.get(AWS_ENDPOINT).map(str::to_owned),
            credentials,
            read_timeout: read_timeout(properties, &mut problems),
            connect_timeout: millis(properties, CONNECTION_TIMEOUT, &mut problems).unwrap_or(CONNECT_TIMEOUT),
            idle_connections: millis(properties, CONNECTION_MAX_IDLE, &mut problems).unwrap_or(IDLE_CONNECTIONS),
        };
        AwsConfigBuilder { config }.finish(problems)
    }

    /// The configured region.
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// The region to sign for: the configured one, or `us-east-1` where only an endpoint is given.
    pub fn signing_region(&self) -> &str {
        self.region.as_deref().unwrap_or(PLACEHOLDER_REGION)
    }

    /// The URL to send requests to, instead of the region's own.
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    /// Where credentials come from.
    pub const fn credentials(&self) -> &CredentialsSource {
        self.credentials.source()
    }

    /// The time limit of one attempt of a call; where there is none, that of [`ClientOptions`] holds.
    pub const fn read_timeout(&self) -> Option<Duration> {
        self.read_timeout
    }

    /// The time limit of connecting; 3 s by default.
    pub const fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }

    /// How long a connection without requests is kept; 15 s by default.
    ///
    /// The service closes such a connection after about 20 s; a longer time here has the next request fail and be sent
    /// again.
    pub const fn idle_connections(&self) -> Duration {
        self.idle_connections
    }

    /// The time limits of a client, with the configured one in place of the defaults.
    pub fn client_options(&self) -> ClientOptions {
        let options = ClientOptions::default();
        self.read_timeout.map_or(options, |timeout| options.data_timeout(timeout).control_timeout(timeout))
    }

    /// Registers a provider of the program's own under the name that `aws.credentials.provider.custom.class` holds.
    ///
    /// For all clones of this config, those that a [`ConsumerConfig`](crate::ConsumerConfig) holds among them; a name that
    /// is taken is taken over. A name that nobody has registered is an error of the first request.
    pub fn register_credentials_provider(&self, name: impl Into<String>, provider: impl ProvideCredentials + 'static) {
        self.credentials.register(name.into(), SharedCredentialsProvider::new(provider));
    }

    /// Draws the jitter of the credentials' renewal from `randomness`, and starts over with nothing cached.
    ///
    /// By default the operating system seeds it. For runs that must repeat themselves.
    pub fn with_randomness(self, randomness: Randomness) -> Self {
        Self { credentials: self.credentials.with_randomness(randomness), ..self }
    }

    /// The provider of credentials, with the one cache that all clones of this config share.
    ///
    /// The first call makes it: its `http_client` reaches the metadata services and STS, its `clock` says what has
    /// expired; later calls get the same, whatever they bring. Credentials are looked for when a request needs them, so
    /// that what is missing is an error of the first request. Needs a tokio runtime when it is asked. Cancel safety:
    /// nothing is lost.
    ///
    /// How the cache renews credentials, and what each provider reads, is said with [`CredentialsSource`].
    pub async fn credentials_provider(
        &self,
        http_client: SharedHttpClient,
        clock: SharedClock,
    ) -> SharedCredentialsProvider {
        self.credentials.provider(http_client, clock, self.signing_region()).await
    }
}

/// Without what may be a password: a builder's endpoint is not checked yet.
impl fmt::Debug for AwsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsConfig")
            .field("region", &self.region)
            .field("endpoint", &self.endpoint.as_deref().map(printable_url))
            .field("credentials", &self.credentials)
            .field("read_timeout", &self.read_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("idle_connections", &self.idle_connections)
            .finish()
    }
}

/// Builds an [`AwsConfig`].
///
/// Every config that clones of a builder make has a cache of credentials of its own.
#[derive(Clone, Debug)]
pub struct AwsConfigBuilder {
    config: AwsConfig,
}

impl AwsConfigBuilder {
    /// Sets the region, such as `eu-west-1`.
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.config.region = Some(region.into());
        self
    }

    /// Sets the URL to send requests to; needs no region of its own.
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.config.endpoint = Some(endpoint.into());
        self
    }

    /// Sets where credentials come from; [`CredentialsSource::Auto`] by default.
    pub fn credentials(mut self, credentials: CredentialsSource) -> Self {
        self.config.credentials = ConfiguredCredentials::new(credentials);
        self
    }

    /// Limits one attempt of a call; by default the limits of [`ClientOptions`] hold.
    pub const fn read_timeout(mut self, timeout: Duration) -> Self {
        self.config.read_timeout = Some(timeout);
        self
    }

    /// Limits how long connecting may take; 3 s by default.
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.config.connect_timeout = timeout;
        self
    }

    /// Limits how long a connection without requests is kept; 15 s by default.
    pub const fn idle_connections(mut self, limit: Duration) -> Self {
        self.config.idle_connections = limit;
        self
    }

    /// Checks the whole and makes the config.
    ///
    /// # Errors
    /// [`ConfigErrors`] with every problem, under the keys of the properties; a retry is pointless.
    pub fn build(self) -> Result<AwsConfig, ConfigErrors> {
        self.finish(Problems::default())
    }

    fn finish(self, mut problems: Problems) -> Result<AwsConfig, ConfigErrors> {
        let config = AwsConfig { credentials: self.config.credentials.detached(), ..self.config };
        credentials::check(config.credentials.source(), &mut problems);
        if let Some(region) = config.region.as_deref().filter(|region| !is_region(region)) {
            problems.invalid(AWS_REGION, region, REGION_SHAPE);
        }
        if let Some(endpoint) = config.endpoint.as_deref().filter(|endpoint| !is_endpoint(endpoint)) {
            problems.invalid(AWS_ENDPOINT, printable_url(endpoint), ENDPOINT_SHAPE);
        }
        if config.region.is_none() && config.endpoint.is_none() {
            problems.missing(AWS_REGION, format!("set it, `{AWS_ENDPOINT}`, or both; allowed: {REGION_SHAPE}"));
        }
        let limits = [
            (HTTP_CLIENT_READ_TIMEOUT_MILLIS, config.read_timeout),
            (CONNECTION_TIMEOUT, Some(config.connect_timeout)),
            (CONNECTION_MAX_IDLE, Some(config.idle_connections)),
        ];
        for (key, _) in limits.into_iter().filter(|(_, limit)| limit.is_some_and(|limit| limit.is_zero())) {
            problems.invalid(key, "0", MILLIS_SHAPE);
        }
        problems.finish(config)
    }
}

const READ_TIMEOUT_KEYS: [&str; 3] = [HTTP_CLIENT_READ_TIMEOUT_MILLIS, SOCKET_TIMEOUT, REQUEST_TIMEOUT];

/// The first of the keys that is set; all of them are judged.
fn read_timeout(properties: &Properties, problems: &mut Problems) -> Option<Duration> {
    let limits = READ_TIMEOUT_KEYS.map(|key| millis(properties, key, problems));
    limits.into_iter().flatten().next()
}

/// The limit under a key; those of the SDK for Java are judged here, no table lists them.
fn millis(properties: &Properties, key: &str, problems: &mut Problems) -> Option<Duration> {
    let value = properties.get(key)?;
    let millis = value.parse::<u32>().ok().filter(|&millis| millis > 0);
    if millis.is_none() {
        problems.invalid(key, value, MILLIS_SHAPE);
    }
    millis.map(|millis| Duration::from_millis(u64::from(millis)))
}

fn check_unsupported(properties: &Properties, problems: &mut Problems) {
    if Reader(properties).flag(TRUST_ALL_CERTIFICATES) == Some(true) {
        problems.unsupported(
            TRUST_ALL_CERTIFICATES,
            "true",
            "false; add a private authority to the system's certificates, or use an http endpoint",
        );
    }
}

/// What is understood, but does nothing.
fn notes(properties: &Properties) -> Notes {
    let mut notes = Notes::default();
    let holds = READ_TIMEOUT_KEYS.into_iter().find(|key| properties.contains_key(key)).unwrap_or_default();
    for (key, value) in properties.iter() {
        if READ_TIMEOUT_KEYS.contains(&key) {
            if key != holds {
                notes.add(key, format!("the key has no effect, because `{holds}` is set and wins"));
            }
        } else if key.starts_with(AWS_CLIENT_CONFIG_PREFIX) && !CONNECTION_KEYS.contains(&key) {
            notes.add(key, "the setting of the SDK for Java has no counterpart here, and no effect");
        } else if key.starts_with(PRODUCER_PREFIX) {
            notes.add(key, "the key is a producer's, whose own config reads it; it has no effect here");
        } else if [USER_AGENT_PREFIX, HTTP_CLIENT_MAX_CONCURRENCY].contains(&key) {
            notes.add(key, "the key is accepted, but has no effect here");
        } else if key == HTTP_PROTOCOL_VERSION && value == "HTTP1_1" {
            notes.add(key, "the version of HTTP is negotiated with the service; HTTP1_1 is not enforced");
        }
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(pairs: &[(&str, &str)]) -> Vec<String> {
        match AwsConfig::from_properties(&pairs.iter().copied().collect()) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn region_and_endpoint_stand_alone_or_together() {
        let endpoint = (AWS_ENDPOINT, "http://localhost:4567");
        let region = (AWS_REGION, "eu-west-2");
        for pairs in [vec![region], vec![endpoint], vec![region, endpoint]] {
            assert_eq!(problems(&pairs), Vec::<String>::new(), "{pairs:?}");
        }
        let alone = AwsConfig::from_properties(&Properties::from([endpoint])).unwrap();
        assert_eq!((alone.region(), alone.signing_region()), (None, "us-east-1"));
        let both = AwsConfig::from_properties(&Properties::from([endpoint, region])).unwrap();
        assert_eq!((both.endpoint(), both.signing_region()), (Some("http://localhost:4567"), "eu-west-2"));
        assert_eq!(problems(&[]).len(), 1);
    }

    #[test]
    fn all_problems_come_at_once_with_key_value_and_what_is_allowed() {
        let found = problems(&[
            (AWS_REGION, "wrongRegionId"),
            (AWS_ENDPOINT, "fake"),
            (TRUST_ALL_CERTIFICATES, "true"),
            (HTTP_CLIENT_MAX_CONCURRENCY, "abc"),
            (HTTP_CLIENT_READ_TIMEOUT_MILLIS, "0"),
            ("aws.clientconfig.requestTimeout", "0"),
            (HTTP_PROTOCOL_VERSION, "HTTP3"),
            ("aws.regoin", "us-east-1"),
            (SOCKET_TIMEOUT, "soon"),
        ]);
        assert_eq!(found.len(), 9, "{found:#?}");
        assert!(found.iter().any(|text| text.contains("\"wrongRegionId\"") && text.contains("us-east-1")));
        assert!(found.iter().any(|text| text.contains("HTTP1_1, HTTP2")));
        assert!(found.iter().any(|text| text.contains("did you mean `aws.region`?")), "{found:#?}");
    }

    #[test]
    fn settings_of_the_java_sdk_are_mapped_or_accepted() {
        let config = AwsConfig::from_properties(&Properties::from([
            (AWS_REGION, "us-east-1"),
            (SOCKET_TIMEOUT, "9999"),
            ("aws.clientconfig.gzip", "true"),
            (HTTP_CLIENT_MAX_CONCURRENCY, "55"),
        ]))
        .unwrap();
        assert_eq!(config.read_timeout(), Some(Duration::from_millis(9999)));
        let expected = ClientOptions::default()
            .data_timeout(Duration::from_millis(9999))
            .control_timeout(Duration::from_millis(9999));
        assert_eq!(config.client_options(), expected);
    }

    #[test]
    fn limits_of_connections_are_those_of_the_java_sdk_where_it_names_them() {
        let read = |pairs: &[(&str, &str)]| AwsConfig::from_properties(&pairs.iter().copied().collect()).unwrap();
        let region = (AWS_REGION, "us-east-1");
        let default = read(&[region]);
        let (connect, idle) = (default.connect_timeout(), default.idle_connections());
        assert_eq!((connect, idle), (Duration::from_secs(3), Duration::from_secs(15)));
        let set = read(&[region, (CONNECTION_TIMEOUT, "700"), (CONNECTION_MAX_IDLE, "5000")]);
        let (connect, idle) = (set.connect_timeout(), set.idle_connections());
        assert_eq!((connect, idle), (Duration::from_millis(700), Duration::from_secs(5)));
        assert_eq!(problems(&[region, (CONNECTION_TIMEOUT, "0"), (CONNECTION_MAX_IDLE, "long")]).len(), 2);
        assert_eq!(
            AwsConfig::builder()
                .region("us-east-1")
                .connect_timeout(Duration::ZERO)
                .build()
                .unwrap_err()
                .iter()
                .count(),
            1
        );
    }

    #[test]
    fn keys_without_effect_are_noted_and_no_others() {
        let properties = Properties::from([
            (AWS_REGION, "us-east-1"),
            (AWS_ENDPOINT, "http://localhost:4567"),
            (TRUST_ALL_CERTIFICATES, "false"),
            (HTTP_PROTOCOL_VERSION, "HTTP1_1"),
            (HTTP_CLIENT_MAX_CONCURRENCY, "55"),
            (USER_AGENT_PREFIX, "mine"),
            (SOCKET_TIMEOUT, "9999"),
            (REQUEST_TIMEOUT, "8888"),
            (CONNECTION_TIMEOUT, "7777"),
            ("aws.clientconfig.gzip", "true"),
            ("aws.producer.collectionMaxCount", "5"),
        ]);
        let notes = notes(&properties);
        let noted: Vec<_> = properties.iter().map(|(key, _)| key).filter(|key| notes.text(key).is_some()).collect();
        assert_eq!(
            noted,
            [
                "aws.clientconfig.gzip",
                REQUEST_TIMEOUT,
                HTTP_CLIENT_MAX_CONCURRENCY,
                HTTP_PROTOCOL_VERSION,
                USER_AGENT_PREFIX,
                "aws.producer.collectionMaxCount",
            ]
        );
        assert!(notes.text(REQUEST_TIMEOUT).is_some_and(|text| text.contains(SOCKET_TIMEOUT)));
    }

    #[test]
    fn a_password_in_a_refused_endpoint_is_not_shown() {
        let found = problems(&[(AWS_ENDPOINT, "http://me:canary@host")]);
        assert!(found.len() == 1 && !found[0].contains("canary"), "{found:?}");
    }

    #[test]
    fn keys_of_others_are_not_looked_at() {
        let found = problems(&[(AWS_REGION, "us-east-1"), ("flink.nonsense", "1"), ("RateLimit", "100")]);
        assert_eq!(found, Vec::<String>::new());
    }
}
