//! AUTO: the first provider that has credentials.

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::future::ProvideCredentials as ProvideCredentialsFuture;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};

use crate::credentials::chain::Surroundings;
use crate::credentials::error::{CredentialsError, CredentialsErrorKind, TriedProvider};
use crate::credentials::keys::KeysProvider;
use crate::credentials::profile::ProfileProvider;
use crate::credentials::role::WebIdentityToken;
use crate::credentials::sts::WebIdentityProvider;

/// A chain in the order of the SDK for Java, version 2.
///
/// One that has nothing to look at is passed over. One that is set up and fails ends the chain: the next would be
/// somebody else.
#[derive(Debug)]
pub(super) struct AutoProvider {
    steps: Vec<(&'static str, SharedCredentialsProvider)>,
}

impl AutoProvider {
    pub(super) fn new(around: &Surroundings) -> Self {
        let config = around.provider_config();
        let step = |name, provider| (name, provider);
        Self {
            steps: vec![
                step("SYS_PROP", shared(KeysProvider::system_properties(around.system_properties.clone()))),
                step("ENV_VAR", shared(KeysProvider::environment(around.environment.clone()))),
                step("WEB_IDENTITY_TOKEN", shared(WebIdentityProvider::new(WebIdentityToken::new(), around))),
                step("PROFILE", shared(ProfileProvider::new(None, None, around))),
                step("container", shared(EcsCredentialsProvider::builder().configure(&config).build())),
                step("EC2 instance", shared(ImdsCredentialsProvider::builder().configure(&config).build())),
            ],
        }
    }

    async fn load(&self) -> Result<Credentials, CredentialsError> {
        let mut tried = Vec::new();
        for (name, provider) in &self.steps {
            let error = match provider.provide_credentials().await {
                Ok(credentials) => {
                    tracing::debug!(provider = name, "credentials were found");
                    return Ok(credentials);
                }
                Err(error) => CredentialsError::from_provider(name, error),
            };
            if error.kind() != CredentialsErrorKind::NotConfigured {
                return Err(error);
            }
            tried.push(TriedProvider { provider: (*name).into(), reason: error.message().into() });
        }
        Err(CredentialsError::nobody("AUTO", tried))
    }
}

impl ProvideCredentials for AutoProvider {
    fn provide_credentials<'a>(&'a self) -> ProvideCredentialsFuture<'a>
    where
        Self: 'a,
    {
        ProvideCredentialsFuture::new(async move { self.load().await.map_err(CredentialsError::into_sdk) })
    }
}

fn shared(provider: impl ProvideCredentials + 'static) -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(provider)
}

#[cfg(test)]
mod tests {
    use aws_credential_types::provider::error::CredentialsError as SdkCredentialsError;
    use aws_smithy_runtime_api::client::http::{
        HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
    };
    use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
    use aws_smithy_types::body::SdkBody;

    use super::*;
    use crate::credentials::chain::tests::{around, offline};
    use crate::credentials::lookup::Lookup;

    #[derive(Debug)]
    struct Step(&'static str, Option<CredentialsErrorKind>);

    impl ProvideCredentials for Step {
        fn provide_credentials<'a>(&'a self) -> ProvideCredentialsFuture<'a>
        where
            Self: 'a,
        {
            ProvideCredentialsFuture::ready(match self.1 {
                None => Ok(Credentials::new(self.0, "secret", None, None, "test")),
                Some(CredentialsErrorKind::NotConfigured) => Err(SdkCredentialsError::not_loaded("nothing here")),
                Some(_) => Err(SdkCredentialsError::provider_error("it broke")),
            })
        }
    }

    fn chain(steps: [Step; 3]) -> AutoProvider {
        AutoProvider { steps: steps.into_iter().map(|step| (step.0, shared(step))).collect() }
    }

    const NOTHING: Option<CredentialsErrorKind> = Some(CredentialsErrorKind::NotConfigured);
    const BROKEN: Option<CredentialsErrorKind> = Some(CredentialsErrorKind::Unavailable);

    #[tokio::test]
    async fn the_first_that_has_credentials_is_taken() {
        let found = chain([Step("a", NOTHING), Step("b", None), Step("c", None)]).load().await.unwrap();
        assert_eq!(found.access_key_id(), "b");
    }

    #[tokio::test]
    async fn one_that_is_set_up_and_fails_ends_the_chain() {
        let error = chain([Step("a", NOTHING), Step("b", BROKEN), Step("c", None)]).load().await.unwrap_err();
        assert_eq!((error.provider(), error.kind()), ("b", CredentialsErrorKind::Unavailable));
        assert_eq!(error.message(), "it broke");
    }

    #[tokio::test]
    async fn when_nobody_has_any_the_error_lists_who_was_asked_and_why_not() {
        let error = chain([Step("a", NOTHING), Step("b", NOTHING), Step("c", NOTHING)]).load().await.unwrap_err();
        assert_eq!(error.tried().iter().map(|tried| &*tried.provider).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(
            error.to_string(),
            "credentials from AUTO: no provider of the chain has any; \
             tried a (nothing here), b (nothing here), c (nothing here); \
             set them, or choose another provider with `aws.credentials.provider`"
        );
    }

    #[tokio::test]
    async fn the_order_is_that_of_the_sdk_for_java() {
        let names: Vec<_> = AutoProvider::new(&around(offline())).steps.into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["SYS_PROP", "ENV_VAR", "WEB_IDENTITY_TOKEN", "PROFILE", "container", "EC2 instance"]);
    }

    #[tokio::test]
    async fn system_properties_come_before_the_environment_and_half_a_pair_ends_the_search() {
        let environment = [("AWS_ACCESS_KEY_ID", "env"), ("AWS_SECRET_ACCESS_KEY", "secret")];
        let mut both = around(offline());
        both.environment = Lookup::of(environment);
        assert_eq!(AutoProvider::new(&both).load().await.unwrap().access_key_id(), "env");
        both.system_properties = Lookup::of([("aws.accessKeyId", "prop"), ("aws.secretAccessKey", "secret")]);
        assert_eq!(AutoProvider::new(&both).load().await.unwrap().access_key_id(), "prop");
        both.system_properties = Lookup::of([("aws.accessKeyId", "prop")]);
        let error = AutoProvider::new(&both).load().await.unwrap_err();
        assert_eq!((error.provider(), error.kind()), ("SYS_PROP", CredentialsErrorKind::Invalid));
    }

    #[tokio::test]
    async fn a_profile_that_the_environment_names_and_nobody_has_written_is_not_passed_over() {
        let mut around = around(offline());
        around.environment = Lookup::of([("AWS_PROFILE", "no-such-profile")]);
        let error = AutoProvider::new(&around).load().await.unwrap_err();
        assert_eq!((error.provider(), error.kind()), ("PROFILE", CredentialsErrorKind::Invalid));
        assert!(error.message().contains("no-such-profile"), "{error}");
    }

    #[tokio::test]
    async fn a_web_identity_that_is_set_up_and_broken_is_not_passed_over() {
        let mut pod = around(offline());
        pod.environment = Lookup::of([("AWS_ROLE_ARN", "role"), ("AWS_WEB_IDENTITY_TOKEN_FILE", "/nonexistent/token")]);
        let error = AutoProvider::new(&pod).load().await.unwrap_err();
        assert_eq!((error.provider(), error.kind()), ("WEB_IDENTITY_TOKEN", CredentialsErrorKind::Invalid));
        assert!(error.message().contains("/nonexistent/token"), "{error}");
    }

    /// The metadata service of an instance: a token first (version 2), then the role's name, then its keys.
    #[derive(Debug)]
    struct Instance;

    impl HttpConnector for Instance {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let has_token = request.headers().get("x-aws-ec2-metadata-token") == Some("token");
            let path = request.uri().split("/latest/").nth(1).unwrap_or_default();
            let (status, body) = match path {
                "api/token" => (200, "token"),
                _ if !has_token => (401, ""),
                "meta-data/iam/security-credentials/" => (200, "reader"),
                "meta-data/iam/security-credentials/reader" => (
                    200,
                    r#"{"Code":"Success","Type":"AWS-HMAC","AccessKeyId":"instance","SecretAccessKey":"secret",
                        "Token":"t","Expiration":"2100-01-01T00:00:00Z","LastUpdated":"2026-01-01T00:00:00Z"}"#,
                ),
                _ => (404, ""),
            };
            let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
            response.headers_mut().insert("x-aws-ec2-metadata-token-ttl-seconds", "21600");
            HttpConnectorFuture::ready(Ok(response))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_instance_is_asked_last_and_through_our_client() {
        let client = http_client_fn(|_, _| SharedHttpConnector::new(Instance));
        let (name, provider) = AutoProvider::new(&around(client)).steps.pop().unwrap();
        let found = provider.provide_credentials().await;
        if std::env::var("AWS_EC2_METADATA_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true")) {
            let error = CredentialsError::from_provider(name, found.unwrap_err());
            assert_eq!(error.kind(), CredentialsErrorKind::NotConfigured);
        } else {
            assert_eq!(found.unwrap().access_key_id(), "instance");
        }
    }
}
