//! PROFILE: the shared files.

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::future::ProvideCredentials as ProvideCredentialsFuture;

use crate::credentials::chain::Surroundings;

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

    fn read(&self) -> ProfileFileCredentialsProvider {
        let mut builder = ProfileFileCredentialsProvider::builder().configure(&self.around.provider_config());
        if let Some(name) = &self.name {
            builder = builder.profile_name(name);
        }
        if let Some(path) = &self.path {
            builder = builder.profile_files(credentials_file(path));
        }
        builder.build()
    }
}

impl ProvideCredentials for ProfileProvider {
    fn provide_credentials<'a>(&'a self) -> ProvideCredentialsFuture<'a>
    where
        Self: 'a,
    {
        ProvideCredentialsFuture::new(async move { self.read().provide_credentials().await })
    }
}

#[expect(deprecated, reason = "their new home is aws-runtime, which would be a dependency for these two names alone")]
fn credentials_file(path: &str) -> aws_config::profile::profile_file::ProfileFiles {
    use aws_config::profile::profile_file::{ProfileFileKind, ProfileFiles};
    ProfileFiles::builder().with_file(ProfileFileKind::Credentials, path).build()
}
