//! From configuration to a client.

use std::sync::Arc;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::IdentityCache;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::config::timeout::TimeoutConfig;
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
        let sdk = Client::new(&config.sdk_config().await);
        Self::new(sdk, config.client_options()).with_subscription_connections(config.connect_timeout())
    }
}

impl AwsConfig {
    /// What the SDK's client of any service is made of: region, endpoint, credentials, and this crate's HTTP client.
    ///
    /// The SDK's retries are off, as the crates here make their own. An endpoint is that of one service: leave it out where
    /// clients of two are made. Nothing is called yet. Cancel safety: nothing is lost.
    pub async fn sdk_config(&self) -> SdkConfig {
        let clock: SharedClock = Arc::new(SystemClock);
        let http_client = http_client(self.idle_connections());
        let credentials = self.credentials_provider(http_client.clone(), Arc::clone(&clock)).await;
        let mut sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(self.signing_region().to_owned()))
            .credentials_provider(credentials)
            .http_client(http_client)
            .time_source(SdkTimeSource(clock))
            .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::builder().connect_timeout(self.connect_timeout()).build())
            // The provider is the cache; a second one would keep what was rotated meanwhile.
            .identity_cache(IdentityCache::no_cache());
        if let Some(endpoint) = self.endpoint() {
            sdk = sdk.endpoint_url(endpoint);
        }
        sdk.build()
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
