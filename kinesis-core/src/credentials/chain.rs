//! The providers, on our own HTTP client, clock and sleep.

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use crate::credentials::source::CredentialsSource;
use crate::time::{SdkTimeSource, SharedClock};

impl CredentialsSource {
    /// Makes the provider; `region` is where STS is asked.
    pub(crate) async fn provider(
        &self,
        http_client: SharedHttpClient,
        clock: SharedClock,
        region: &str,
    ) -> SharedCredentialsProvider {
        let config = || provider_config(http_client, clock, region);
        match self {
            Self::Basic(keys) => SharedCredentialsProvider::new(keys.to_sdk()),
            Self::EnvVar => SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new()),
            Self::Profile { name, path } => {
                SharedCredentialsProvider::new(profile(name.as_deref(), path.as_deref(), &config()))
            }
            Self::Auto => {
                let chain =
                    DefaultCredentialsChain::builder().configure(config()).region(Region::new(region.to_owned()));
                SharedCredentialsProvider::new(chain.build().await)
            }
        }
    }
}

fn provider_config(http_client: SharedHttpClient, clock: SharedClock, region: &str) -> ProviderConfig {
    ProviderConfig::empty()
        .with_behavior_version(Some(BehaviorVersion::v2026_01_12()))
        .with_region(Some(Region::new(region.to_owned())))
        .with_http_client(http_client)
        .with_time_source(SdkTimeSource(clock))
        .with_sleep_impl(TokioSleep::new())
}

fn profile(name: Option<&str>, path: Option<&str>, config: &ProviderConfig) -> ProfileFileCredentialsProvider {
    let mut builder = ProfileFileCredentialsProvider::builder().configure(config);
    if let Some(name) = name {
        builder = builder.profile_name(name);
    }
    if let Some(path) = path {
        builder = builder.profile_files(credentials_file(path));
    }
    builder.build()
}

#[expect(deprecated, reason = "their new home is aws-runtime, which would be a dependency for these two names alone")]
fn credentials_file(path: &str) -> aws_config::profile::profile_file::ProfileFiles {
    use aws_config::profile::profile_file::{ProfileFileKind, ProfileFiles};
    ProfileFiles::builder().with_file(ProfileFileKind::Credentials, path).build()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use aws_credential_types::provider::ProvideCredentials;
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

    async fn provider(source: &CredentialsSource) -> SharedCredentialsProvider {
        let offline = http_client_fn(|_, _| SharedHttpConnector::new(Offline));
        source.provider(offline, Arc::new(SystemClock), "us-east-1").await
    }

    #[tokio::test]
    async fn basic_keys_are_handed_out_as_they_are() {
        let provider = provider(&CredentialsSource::basic("ak", "sk")).await;
        let keys = provider.provide_credentials().await.unwrap();
        assert_eq!((keys.access_key_id(), keys.secret_access_key()), ("ak", "sk"));
        assert_eq!((keys.session_token(), keys.expiry()), (None, None));
    }

    #[tokio::test]
    async fn a_profile_is_read_from_the_named_file() {
        let path = std::env::temp_dir().join(format!("kinesis-core-profile-{}", std::process::id()));
        std::fs::write(
            &path,
            "[default]\naws_access_key_id = 11\naws_secret_access_key = 12\n\
            [foo]\naws_access_key_id = 22\naws_secret_access_key = 23\n",
        )
        .unwrap();
        for (name, expected) in [(Some("default"), "11"), (Some("foo"), "22")] {
            let source =
                CredentialsSource::Profile { name: name.map(str::to_owned), path: path.to_str().map(str::to_owned) };
            let keys = provider(&source).await.provide_credentials().await.unwrap();
            assert_eq!(keys.access_key_id(), expected);
        }
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test]
    async fn a_profile_that_is_not_there_is_an_error_that_names_it() {
        let source = CredentialsSource::Profile {
            name: Some("no-such-profile".into()),
            path: Some("/nonexistent/credentials".into()),
        };
        let error = provider(&source).await.provide_credentials().await.unwrap_err();
        let causes: Vec<_> = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source())
            .map(ToString::to_string)
            .collect();
        assert!(
            causes.iter().any(|cause| cause.contains("no-such-profile") || cause.contains("/nonexistent")),
            "{causes:?}"
        );
    }

    #[tokio::test]
    async fn the_default_chain_builds_on_the_given_client() {
        let shown = format!("{:?}", provider(&CredentialsSource::Auto).await);
        assert!(shown.contains("Environment") && shown.contains("Ec2InstanceMetadata"), "{shown}");
    }
}
