//! From configuration to a client.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::config::timeout::TimeoutConfig;
use aws_sdk_kinesis::config::{BehaviorVersion, Config, IdentityCache, Region};
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_http_client::{Builder as HttpClientBuilder, tls};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use crate::client::calls::KinesisClient;
use crate::config::AwsConfig;
use crate::time::{SdkTimeSource, SharedClock, SystemClock};

impl KinesisClient {
    /// Makes a client with this crate's HTTP client and the configured credentials.
    ///
    /// Nothing is called yet: a wrong endpoint or missing credentials show in the first request. Cancel safety: nothing
    /// is lost.
    pub async fn connect(config: &AwsConfig) -> Self {
        let clock: SharedClock = Arc::new(SystemClock);
        let http_client = http_client(config.idle_connections());
        let credentials = config.credentials_provider(http_client.clone(), Arc::clone(&clock)).await;
        let mut sdk = Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(config.signing_region().to_owned()))
            .credentials_provider(credentials)
            .http_client(http_client)
            .time_source(SdkTimeSource(clock))
            .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::builder().connect_timeout(config.connect_timeout()).build())
            // The provider is the cache; a second one would keep what was rotated meanwhile.
            .identity_cache(IdentityCache::no_cache());
        if let Some(endpoint) = config.endpoint() {
            sdk = sdk.endpoint_url(endpoint);
        }
        let client = Self::new(Client::from_conf(sdk.build()), config.client_options());
        client.with_subscription_connections(config.connect_timeout())
    }
}

/// The TLS provider that the features chose; ring where both are in the tree.
const fn tls_provider() -> tls::Provider {
    #[cfg(feature = "tls-ring")]
    return tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
    #[cfg(all(feature = "tls-aws-lc", not(feature = "tls-ring")))]
    return tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc);
}

fn http_client(idle: Duration) -> SharedHttpClient {
    HttpClientBuilder::new().pool_idle_timeout(idle).tls_provider(tls_provider()).build_https()
}
