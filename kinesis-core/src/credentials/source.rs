//! Where credentials come from.

use std::borrow::Cow;

use aws_credential_types::provider::ProvideCredentials;

use crate::credentials::basic::BasicCredentials;
use crate::credentials::custom::CustomCredentials;
use crate::credentials::role::{AssumeRole, WebIdentityToken};

/// Where credentials come from.
///
#[doc = include_str!("../../docs/credentials.md")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CredentialsSource {
    /// Static keys.
    Basic(BasicCredentials),
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN` of the environment, never cached.
    EnvVar,
    /// `aws.accessKeyId`, `aws.secretAccessKey` and `aws.sessionToken` of [`system_properties`], never cached.
    ///
    /// [`system_properties`]: crate::system_properties
    SysProp,
    /// A profile of the shared files, also one that assumes a role; not one that signs on through a browser (SSO).
    Profile {
        /// The profile; by default `AWS_PROFILE` of the environment, else `default`.
        name: Option<String>,
        /// The credentials file; by default the shared config and credentials files.
        path: Option<String>,
    },
    /// A role, assumed with the credentials of another source.
    AssumeRole(AssumeRole),
    /// A role, assumed with a token from a file.
    WebIdentityToken(WebIdentityToken),
    /// A provider of the program's own.
    Custom(CustomCredentials),
    /// The first of: system properties, environment, web identity token, profile, container, EC2 instance.
    #[default]
    Auto,
}

impl CredentialsSource {
    /// Static keys, as [`CredentialsSource::Basic`].
    pub fn basic(access_key_id: impl Into<String>, secret_access_key: impl Into<String>) -> Self {
        Self::Basic(BasicCredentials::new(access_key_id, secret_access_key))
    }

    /// A provider of the program's own, as [`CredentialsSource::Custom`]; the name is for messages.
    pub fn custom(name: impl Into<String>, provider: impl ProvideCredentials + 'static) -> Self {
        Self::Custom(CustomCredentials::new(name, provider))
    }

    /// The source in messages.
    pub(super) fn label(&self) -> Cow<'static, str> {
        match self {
            Self::Basic(_) => "BASIC".into(),
            Self::EnvVar => "ENV_VAR".into(),
            Self::SysProp => "SYS_PROP".into(),
            Self::Profile { name: None, .. } => "PROFILE".into(),
            Self::Profile { name: Some(name), .. } => format!("PROFILE {name}").into(),
            Self::AssumeRole(role) => format!("ASSUME_ROLE {}", role.role_arn).into(),
            Self::WebIdentityToken(WebIdentityToken { role_arn: Some(role), .. }) => {
                format!("WEB_IDENTITY_TOKEN {role}").into()
            }
            Self::WebIdentityToken(_) => "WEB_IDENTITY_TOKEN".into(),
            Self::Custom(custom) => format!("CUSTOM {}", custom.name()).into(),
            Self::Auto => "AUTO".into(),
        }
    }

    /// Whether a load is worth keeping; what lies about the process is read anew, so that a change is seen at once.
    pub(super) const fn is_cached(&self) -> bool {
        !matches!(self, Self::Basic(_) | Self::EnvVar | Self::SysProp)
    }
}
