//! PROFILE: the shared files.

use std::error::Error as _;

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError as SdkCredentialsError;
use aws_credential_types::provider::future::ProvideCredentials as ProvideCredentialsFuture;

use crate::credentials::chain::Surroundings;
use crate::credentials::error::{CredentialsError, CredentialsErrorKind, innermost_message};

/// Reads the files anew for every load: the SDK's provider keeps its first reading, also a failed one, for ever.
#[derive(Debug)]
pub(super) struct ProfileProvider {
    name: Option<String>,
    path: Option<String>,
    around: Surroundings,
}

impl ProfileProvider {
    pub(super) fn new(name: Option<&str>, path: Option<&str>, around: &Surroundings) -> Self {
        Self { name: name.map(str::to_owned), path: path.map(str::to_owned), around: around.clone() }
    }

    /// The profile that somebody has named: the configuration, else the environment.
    fn name(&self) -> Option<String> {
        self.name.clone().or_else(|| self.around.environment.get("AWS_PROFILE"))
    }

    async fn load(&self) -> aws_credential_types::provider::Result {
        let mut builder = ProfileFileCredentialsProvider::builder().configure(&self.around.provider_config());
        if let Some(name) = self.name() {
            builder = builder.profile_name(name);
        }
        if let Some(path) = &self.path {
            builder = builder.profile_files(credentials_file(path));
        }
        match builder.build().provide_credentials().await {
            Err(error @ SdkCredentialsError::CredentialsNotLoaded(_)) if self.is_meant().await => {
                let reason = error.source().map_or_else(|| "it holds no credentials".to_owned(), innermost_message);
                let message = format!("{}: {reason}", self.wanted());
                Err(CredentialsError::new("PROFILE", CredentialsErrorKind::Invalid, message).into_sdk())
            }
            result => result,
        }
    }

    fn wanted(&self) -> String {
        self.name().map_or_else(|| "the default profile".into(), |name| format!("the profile `{name}`"))
    }

    /// Whether somebody wants this profile: it is named, or it says which role it assumes.
    ///
    /// One that has no keys is then a mistake, and whatever a chain found after it would be somebody else.
    async fn is_meant(&self) -> bool {
        if self.name().is_some() {
            return true;
        }
        let files = self.path.as_deref().map(credentials_file).unwrap_or_default();
        // A file that cannot be parsed is another error of the provider's.
        let Ok(profiles) = aws_config::profile::load(&Default::default(), &Default::default(), &files, None).await
        else {
            return false;
        };
        ["role_arn", "source_profile"].into_iter().any(|setting| profiles.get(setting).is_some())
    }
}

impl ProvideCredentials for ProfileProvider {
    fn provide_credentials<'a>(&'a self) -> ProvideCredentialsFuture<'a>
    where
        Self: 'a,
    {
        ProvideCredentialsFuture::new(self.load())
    }
}

#[expect(deprecated, reason = "their new home is aws-runtime, which would be a dependency for these two names alone")]
fn credentials_file(path: &str) -> aws_config::profile::profile_file::ProfileFiles {
    use aws_config::profile::profile_file::{ProfileFileKind, ProfileFiles};
    ProfileFiles::builder().with_file(ProfileFileKind::Credentials, path).build()
}
