//! The two providers that call STS, on our own HTTP client, clock and sleep.

use std::time::Duration;

use aws_config::provider_config::ProviderConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::web_identity_token::{StaticConfiguration, WebIdentityTokenCredentialsProvider};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::future::ProvideCredentials as ProvideCredentialsFuture;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_async::time::SharedTimeSource;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;

use crate::credentials::chain::Surroundings;
use crate::credentials::error::{CredentialsError, CredentialsErrorKind};
use crate::credentials::role::{AssumeRole, WebIdentityToken};
use crate::system_properties::{ROLE_ARN, ROLE_SESSION_NAME, WEB_IDENTITY_TOKEN_FILE};
use crate::time::{SdkTimeSource, SharedClock, unix_millis};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// From the request to the first byte of its answer.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

impl Surroundings {
    /// What a client of STS is made of; its tries are counted by the cache, with our jitter.
    fn sts_config(&self, endpoint: Option<&str>) -> SdkConfig {
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(self.region.clone()))
            .http_client(self.http_client.clone())
            .time_source(SharedTimeSource::new(SdkTimeSource(SharedClock::clone(&self.clock))))
            .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts());
        config.set_endpoint_url(endpoint.map(str::to_owned));
        config.build()
    }

    fn default_session_name(&self) -> String {
        format!("kinesis-{}", unix_millis(self.clock.now()))
    }
}

/// Limits of one HTTP call. A limit of the operation would hold the calls for the caller's credentials as well, which a
/// chain of roles adds up; the cache limits the whole.
pub(super) fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(READ_TIMEOUT).build()
}

pub(super) async fn assume_role(
    role: &AssumeRole,
    caller: SharedCredentialsProvider,
    around: &Surroundings,
) -> AssumeRoleProvider {
    let session_name = role.session_name.clone().unwrap_or_else(|| around.default_session_name());
    let mut builder = AssumeRoleProvider::builder(&role.role_arn)
        .configure(&around.sts_config(role.sts_endpoint.as_deref()))
        .session_name(session_name);
    if let Some(id) = &role.external_id {
        builder = builder.external_id(id);
    }
    builder.build_from_provider(caller).await
}

/// Finds its settings anew for every load, since the environment's are as good as the configured ones.
#[derive(Debug)]
pub(super) struct WebIdentityProvider {
    role: WebIdentityToken,
    around: Surroundings,
    default_session_name: String,
}

impl WebIdentityProvider {
    pub(super) fn new(role: WebIdentityToken, around: &Surroundings) -> Self {
        Self { role, around: around.clone(), default_session_name: around.default_session_name() }
    }

    fn setting(&self, configured: Option<&String>, property: &str, variable: &str) -> Option<String> {
        configured
            .cloned()
            .or_else(|| self.around.system_properties.get(property))
            .or_else(|| self.around.environment.get(variable))
    }

    fn settings(&self) -> Result<StaticConfiguration, CredentialsError> {
        let file = self.setting(self.role.token_file.as_ref(), WEB_IDENTITY_TOKEN_FILE, "AWS_WEB_IDENTITY_TOKEN_FILE");
        let role = self.setting(self.role.role_arn.as_ref(), ROLE_ARN, "AWS_ROLE_ARN");
        let session = self.setting(self.role.session_name.as_ref(), ROLE_SESSION_NAME, "AWS_ROLE_SESSION_NAME");
        let error = |kind, message| Err(CredentialsError::new("WEB_IDENTITY_TOKEN", kind, message));
        match (file, role) {
            (Some(file), Some(role_arn)) => Ok(StaticConfiguration {
                web_identity_token_file: file.into(),
                role_arn,
                session_name: session.unwrap_or_else(|| self.default_session_name.clone()),
            }),
            (None, _) => error(
                CredentialsErrorKind::NotConfigured,
                "no token file is set (the key webIdentityToken.file, aws.webIdentityTokenFile, \
                 AWS_WEB_IDENTITY_TOKEN_FILE)",
            ),
            (Some(_), None) => error(
                CredentialsErrorKind::Invalid,
                "a token file is set, but no role (the key role.arn, aws.roleArn, AWS_ROLE_ARN)",
            ),
        }
    }

    async fn load(&self) -> aws_credential_types::provider::Result {
        let settings = self.settings().map_err(CredentialsError::into_sdk)?;
        let file = settings.web_identity_token_file.display().to_string();
        let provider = WebIdentityTokenCredentialsProvider::builder()
            .configure(&self.provider_config())
            .static_configuration(settings)
            .build();
        provider.provide_credentials().await.map_err(|error| match unreadable_file(&error) {
            Some(reason) => {
                let message = format!("the token file `{file}` cannot be read: {reason}");
                CredentialsError::new("WEB_IDENTITY_TOKEN", CredentialsErrorKind::Invalid, message).into_sdk()
            }
            None => error,
        })
    }

    /// The SDK's provider has no setting for an endpoint; its call is not signed, so that it can be readdressed.
    fn provider_config(&self) -> ProviderConfig {
        let config = self.around.provider_config();
        match &self.role.sts_endpoint {
            Some(endpoint) => config.with_http_client(readdressed(self.around.http_client.clone(), endpoint.clone())),
            None => config,
        }
    }
}

impl ProvideCredentials for WebIdentityProvider {
    fn provide_credentials<'a>(&'a self) -> ProvideCredentialsFuture<'a>
    where
        Self: 'a,
    {
        ProvideCredentialsFuture::new(self.load())
    }
}

/// The reason why the token file could not be read: an error of the file system right below the provider's.
fn unreadable_file(error: &aws_credential_types::provider::error::CredentialsError) -> Option<String> {
    let source = std::error::Error::source(error)?;
    source.downcast_ref::<std::io::Error>().map(ToString::to_string)
}

/// A client that sends every request to another URL.
fn readdressed(client: SharedHttpClient, endpoint: String) -> SharedHttpClient {
    http_client_fn(move |settings, components| {
        SharedHttpConnector::new(Readdressed {
            inner: client.http_connector(settings, components),
            endpoint: endpoint.clone(),
        })
    })
}

#[derive(Debug)]
struct Readdressed {
    inner: SharedHttpConnector,
    endpoint: String,
}

impl HttpConnector for Readdressed {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        if let Err(error) = request.set_uri(self.endpoint.as_str()) {
            return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into())));
        }
        self.inner.call(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::chain::tests::{around, offline};
    use crate::credentials::lookup::Lookup;

    const VARIABLES: [(&str, &str); 3] = [
        ("AWS_ROLE_ARN", "role of the environment"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/environment"),
        ("AWS_ROLE_SESSION_NAME", "environment"),
    ];

    fn settings(role: WebIdentityToken, around: &Surroundings) -> Result<[String; 3], CredentialsError> {
        WebIdentityProvider::new(role, around)
            .settings()
            .map(|found| [found.role_arn, found.web_identity_token_file.display().to_string(), found.session_name])
    }

    #[test]
    fn each_setting_is_the_configured_one_else_the_propertys_else_the_environments() {
        let mut around = around(offline());
        around.environment = Lookup::of(VARIABLES);
        let found = settings(WebIdentityToken::new(), &around).unwrap();
        assert_eq!(found, ["role of the environment", "/environment", "environment"]);
        around.system_properties =
            Lookup::of([("aws.roleArn", "role of the properties"), ("aws.roleSessionName", "p")]);
        let found = settings(WebIdentityToken::new().session_name("configured"), &around).unwrap();
        assert_eq!(found, ["role of the properties", "/environment", "configured"]);
        let all = WebIdentityToken::new().role_arn("configured role").token_file("/configured");
        assert_eq!(settings(all, &around).unwrap(), ["configured role", "/configured", "p"]);
    }

    #[test]
    fn a_token_without_a_role_is_a_slip_and_no_token_is_nothing_configured() {
        let around = around(offline());
        let kind = |role| settings(role, &around).unwrap_err().kind();
        assert_eq!(kind(WebIdentityToken::new()), CredentialsErrorKind::NotConfigured);
        assert_eq!(kind(WebIdentityToken::new().role_arn("role")), CredentialsErrorKind::NotConfigured);
        assert_eq!(kind(WebIdentityToken::new().token_file("/token")), CredentialsErrorKind::Invalid);
    }
}
