//! Roles: what ASSUME_ROLE and WEB_IDENTITY_TOKEN are configured with.

use std::fmt;

use crate::credentials::source::CredentialsSource;
use crate::redaction::printable_url;

/// A role that is assumed with the credentials of another source.
///
/// ```
/// use kinesis_core::{AssumeRole, CredentialsSource};
///
/// // The role of the account's gate first, then the one of the stream's owner.
/// let gate = AssumeRole::new("arn:aws:iam::111111111111:role/gate").source(CredentialsSource::EnvVar);
/// let owner = AssumeRole::new("arn:aws:iam::222222222222:role/orders-reader").source(gate.into());
/// # let _ = owner;
/// ```
///
/// `Debug` does not show the external id, nor a password in the endpoint.
#[derive(Clone, PartialEq, Eq)]
pub struct AssumeRole {
    pub(crate) role_arn: String,
    pub(crate) session_name: Option<String>,
    pub(crate) external_id: Option<String>,
    pub(crate) sts_endpoint: Option<String>,
    pub(crate) source: Box<CredentialsSource>,
}

impl AssumeRole {
    /// Names the role; its caller's credentials are AUTO's.
    pub fn new(role_arn: impl Into<String>) -> Self {
        Self {
            role_arn: role_arn.into(),
            session_name: None,
            external_id: None,
            sts_endpoint: None,
            source: Box::new(CredentialsSource::Auto),
        }
    }

    /// Names the session, as the role's account sees it; by default `kinesis-` and the milliseconds since 1970.
    pub fn session_name(mut self, name: impl Into<String>) -> Self {
        self.session_name = Some(name.into());
        self
    }

    /// Sets the external id that the role's trust policy asks for.
    pub fn external_id(mut self, id: impl Into<String>) -> Self {
        self.external_id = Some(id.into());
        self
    }

    /// Sets the URL of STS; by default that of the region.
    pub fn sts_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.sts_endpoint = Some(endpoint.into());
        self
    }

    /// Sets where the credentials that call STS come from; at most eight roles may be nested.
    pub fn source(mut self, source: CredentialsSource) -> Self {
        self.source = Box::new(source);
        self
    }
}

impl From<AssumeRole> for CredentialsSource {
    fn from(role: AssumeRole) -> Self {
        Self::AssumeRole(role)
    }
}

impl fmt::Debug for AssumeRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssumeRole")
            .field("role_arn", &self.role_arn)
            .field("session_name", &self.session_name)
            .field("external_id", &self.external_id.as_ref().map(|_| "<redacted>"))
            .field("sts_endpoint", &self.sts_endpoint.as_deref().map(printable_url))
            .field("source", &self.source)
            .finish()
    }
}

/// A role that is assumed with a token from a file, as Kubernetes provides one.
///
/// What is not set is looked for in the system properties (`aws.roleArn`, `aws.roleSessionName`,
/// `aws.webIdentityTokenFile`), then in the environment (`AWS_ROLE_ARN`, `AWS_ROLE_SESSION_NAME`,
/// `AWS_WEB_IDENTITY_TOKEN_FILE`).
///
/// `Debug` does not show a password in the endpoint.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct WebIdentityToken {
    pub(crate) role_arn: Option<String>,
    pub(crate) session_name: Option<String>,
    pub(crate) token_file: Option<String>,
    pub(crate) sts_endpoint: Option<String>,
}

impl WebIdentityToken {
    /// Starts with nothing set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the role.
    pub fn role_arn(mut self, role_arn: impl Into<String>) -> Self {
        self.role_arn = Some(role_arn.into());
        self
    }

    /// Names the session; where nothing does, `kinesis-` and the milliseconds since 1970.
    pub fn session_name(mut self, name: impl Into<String>) -> Self {
        self.session_name = Some(name.into());
        self
    }

    /// Sets the file with the token, which is read again for every refresh.
    pub fn token_file(mut self, path: impl Into<String>) -> Self {
        self.token_file = Some(path.into());
        self
    }

    /// Sets the URL of STS; by default that of the region.
    pub fn sts_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.sts_endpoint = Some(endpoint.into());
        self
    }
}

impl fmt::Debug for WebIdentityToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebIdentityToken")
            .field("role_arn", &self.role_arn)
            .field("session_name", &self.session_name)
            .field("token_file", &self.token_file)
            .field("sts_endpoint", &self.sts_endpoint.as_deref().map(printable_url))
            .finish()
    }
}

impl From<WebIdentityToken> for CredentialsSource {
    fn from(role: WebIdentityToken) -> Self {
        Self::WebIdentityToken(role)
    }
}
