//! From a source to its provider, on our own HTTP client, clock and sleep.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::provider::future::ProvideCredentials as ProvideCredentialsFuture;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_types::retry::RetryConfig;

use crate::credentials::auto::AutoProvider;
use crate::credentials::custom::Registry;
use crate::credentials::error::CredentialsError;
use crate::credentials::keys::KeysProvider;
use crate::credentials::lookup::Lookup;
use crate::credentials::profile::ProfileProvider;
use crate::credentials::source::CredentialsSource;
use crate::credentials::sts::{self, WebIdentityProvider};
use crate::time::{SdkTimeSource, SharedClock};

/// What providers use of the world around them.
#[derive(Clone, Debug)]
pub(super) struct Surroundings {
    pub(super) http_client: SharedHttpClient,
    pub(super) clock: SharedClock,
    /// Where STS is asked.
    pub(super) region: String,
    pub(super) environment: Lookup,
    pub(super) system_properties: Lookup,
    pub(super) registry: Registry,
}

impl Surroundings {
    /// Those of the process.
    pub(super) fn new(http_client: SharedHttpClient, clock: SharedClock, region: &str, registry: Registry) -> Self {
        let (environment, system_properties) = (Lookup::Environment, Lookup::SystemProperties);
        Self { http_client, clock, region: region.to_owned(), environment, system_properties, registry }
    }

    pub(super) fn provider_config(&self) -> ProviderConfig {
        ProviderConfig::empty()
            .with_behavior_version(Some(BehaviorVersion::v2026_01_12()))
            .with_region(Some(Region::new(self.region.clone())))
            .with_http_client(self.http_client.clone())
            .with_time_source(SdkTimeSource(SharedClock::clone(&self.clock)))
            .with_sleep_impl(TokioSleep::new())
            .with_retry_config(RetryConfig::disabled())
            .with_timeout_config(sts::timeouts())
    }
}

impl CredentialsSource {
    /// Makes the provider, without a cache.
    pub(super) fn provider<'a>(
        &'a self,
        around: &'a Surroundings,
    ) -> Pin<Box<dyn Future<Output = SharedCredentialsProvider> + Send + 'a>> {
        Box::pin(async move {
            let provider = match self {
                Self::Basic(keys) => SharedCredentialsProvider::new(keys.to_sdk()),
                Self::EnvVar => shared(KeysProvider::environment(around.environment.clone())),
                Self::SysProp => shared(KeysProvider::system_properties(around.system_properties.clone())),
                Self::Profile { name, path } => shared(ProfileProvider::new(name.as_deref(), path.as_deref(), around)),
                Self::AssumeRole(role) => {
                    let caller = role.source.provider(around).await;
                    shared(sts::assume_role(role, caller, around).await)
                }
                Self::WebIdentityToken(role) => shared(WebIdentityProvider::new(role.clone(), around)),
                Self::Custom(custom) => shared(custom.bind(&around.registry)),
                Self::Auto => shared(AutoProvider::new(around)),
            };
            shared(Labelled { label: self.label().into(), provider })
        })
    }
}

fn shared(provider: impl ProvideCredentials + 'static) -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(provider)
}

/// Turns whatever a provider fails with into one kind of error that names it.
///
/// Its `Debug` is the name alone: those of the SDK and of the program show more than they should.
struct Labelled {
    label: Arc<str>,
    provider: SharedCredentialsProvider,
}

impl fmt::Debug for Labelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Provider").field(&self.label).finish()
    }
}

impl ProvideCredentials for Labelled {
    fn provide_credentials<'a>(&'a self) -> ProvideCredentialsFuture<'a>
    where
        Self: 'a,
    {
        ProvideCredentialsFuture::new(async move {
            let result = self.provider.provide_credentials().await;
            result.map_err(|error| CredentialsError::from_provider(&self.label, error).into_sdk())
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use aws_smithy_runtime_api::client::http::{
        HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
    };
    use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
    use aws_smithy_runtime_api::client::result::ConnectorError;

    use super::*;
    use crate::time::SystemClock;

    #[derive(Debug)]
    struct Offline;

    impl HttpConnector for Offline {
        fn call(&self, _request: HttpRequest) -> HttpConnectorFuture {
            HttpConnectorFuture::ready(Err(ConnectorError::io("offline".into())))
        }
    }

    /// A client that reaches nobody.
    pub(in crate::credentials) fn offline() -> SharedHttpClient {
        http_client_fn(|_, _| SharedHttpConnector::new(Offline))
    }

    /// A world without settings.
    pub(in crate::credentials) fn around(http_client: SharedHttpClient) -> Surroundings {
        Surroundings {
            http_client,
            clock: Arc::new(SystemClock),
            region: "us-east-1".into(),
            environment: Lookup::of([]),
            system_properties: Lookup::of([]),
            registry: Registry::default(),
        }
    }

    async fn provider(source: &CredentialsSource) -> SharedCredentialsProvider {
        source.provider(&around(offline())).await
    }

    #[tokio::test]
    async fn basic_keys_are_handed_out_as_they_are() {
        let provider = provider(&CredentialsSource::basic("ak", "sk")).await;
        let keys = provider.provide_credentials().await.unwrap();
        assert_eq!((keys.access_key_id(), keys.secret_access_key()), ("ak", "sk"));
        assert_eq!((keys.session_token(), keys.expiry()), (None, None));
    }

    #[tokio::test]
    async fn a_profile_is_read_from_the_named_file_and_read_again() {
        let path = std::env::temp_dir().join(format!("kinesis-core-profile-{}", std::process::id()));
        let write = |default: &str| {
            let text = format!(
                "[default]\naws_access_key_id = {default}\naws_secret_access_key = 12\n\
                [foo]\naws_access_key_id = 22\naws_secret_access_key = 23\n"
            );
            std::fs::write(&path, text).unwrap();
        };
        write("11");
        let source =
            |name: &str| CredentialsSource::Profile { name: Some(name.into()), path: path.to_str().map(str::to_owned) };
        let provider_of = async |name| provider(&source(name)).await;
        let (default, foo) = (provider_of("default").await, provider_of("foo").await);
        for (provider, expected) in [(&default, "11"), (&foo, "22")] {
            assert_eq!(provider.provide_credentials().await.unwrap().access_key_id(), expected);
        }
        write("33");
        assert_eq!(default.provide_credentials().await.unwrap().access_key_id(), "33");
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test]
    async fn a_profile_that_is_not_there_is_an_error_that_names_it_every_time() {
        let source = CredentialsSource::Profile {
            name: Some("no-such-profile".into()),
            path: Some("/nonexistent/credentials".into()),
        };
        let provider = provider(&source).await;
        for _ in 0..2 {
            let error = provider.provide_credentials().await.unwrap_err();
            let own = std::error::Error::source(&error).unwrap().downcast_ref::<CredentialsError>().unwrap();
            assert_eq!(own.provider(), "PROFILE no-such-profile");
            assert!(own.to_string().contains("no-such-profile") || own.to_string().contains("/nonexistent"), "{own}");
            assert!(!own.message().contains("already taken"), "the SDK's second answer hides the cause: {own}");
        }
    }
}
