//! Why there are no credentials, and what may be done about it.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use aws_credential_types::provider::error::CredentialsError as SdkCredentialsError;
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use thiserror::Error;

use crate::redaction::{shows_token, without_token};

/// The kinds of failure that callers tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CredentialsErrorKind {
    /// There is nothing where the provider looks.
    NotConfigured,
    /// What is there cannot be used: half of a pair of keys, a file that cannot be read, a malformed profile.
    Invalid,
    /// The service that issues credentials refused to.
    Refused,
    /// The service that issues credentials could not be reached, failed, or throttles.
    Unavailable,
    /// No answer came within the time limit.
    TimedOut,
    /// The provider handed out credentials that have expired already: by this machine's clock, or as the service says.
    Expired,
}

impl CredentialsErrorKind {
    const fn hint(self) -> &'static str {
        match self {
            Self::NotConfigured => "set them, or choose another provider with `aws.credentials.provider`",
            Self::Invalid => "correct the configuration",
            Self::Refused => "check the role, its trust policy, and the permissions of the caller",
            Self::Unavailable | Self::TimedOut => "check the provider, its endpoint and the network",
            Self::Expired => "check the clock of this machine and the provider",
        }
    }
}

/// A provider of a chain that had no credentials, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TriedProvider {
    /// The provider, such as `ENV_VAR`.
    pub provider: Arc<str>,
    /// What it said.
    pub reason: Arc<str>,
}

/// Credentials could not be had: from which provider, why, and what was tried.
///
/// It is in the chain of sources of the SDK's errors, from which it can be downcast. Cloning is cheap. No secret is in
/// it, unless a provider of the program's own puts one into its message; an error of the SDK that quotes a session token is
/// no source.
#[derive(Clone, Debug, Error)]
#[error("credentials from {provider}: {}{message}{}; {}", code_text(code), Tried(tried), kind.hint())]
pub struct CredentialsError {
    provider: Arc<str>,
    kind: CredentialsErrorKind,
    code: Option<Arc<str>>,
    message: Arc<str>,
    tried: Arc<[TriedProvider]>,
    #[source]
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

fn code_text(code: &Option<Arc<str>>) -> String {
    code.as_ref().map_or_else(String::new, |code| format!("{code}: "))
}

struct Tried<'a>(&'a [TriedProvider]);

impl fmt::Display for Tried<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, TriedProvider { provider, reason }) in self.0.iter().enumerate() {
            let start = if index == 0 { "; tried " } else { ", " };
            write!(f, "{start}{provider} ({reason})")?;
        }
        Ok(())
    }
}

impl CredentialsError {
    pub(super) fn new(provider: &str, kind: CredentialsErrorKind, message: impl Into<Arc<str>>) -> Self {
        let (provider, tried) = (provider.into(), Arc::default());
        Self { provider, kind, code: None, message: message.into(), tried, source: None }
    }

    /// The end of a chain that nobody answered.
    pub(super) fn nobody(provider: &str, tried: Vec<TriedProvider>) -> Self {
        Self {
            tried: tried.into(),
            ..Self::new(provider, CredentialsErrorKind::NotConfigured, "no provider of the chain has any")
        }
    }

    /// Classifies what a provider of the SDK's, or of the program's own, has returned.
    pub(super) fn from_provider(provider: &str, error: SdkCredentialsError) -> Self {
        if let Some(own) = error.source().and_then(|source| source.downcast_ref::<Self>()) {
            return own.clone();
        }
        let mut classified = Self::of_nested(provider, &error).unwrap_or_else(|| Self::of_sdk(provider, &error));
        if let Cow::Owned(redacted) = without_token(&classified.message, None) {
            classified.message = redacted.into();
        }
        let source = (!shows_token(&error, None)).then(|| Arc::new(error) as _);
        Self { source, ..classified }
    }

    /// A role that could not be assumed because there were no credentials to assume it with.
    fn of_nested(provider: &str, error: &SdkCredentialsError) -> Option<Self> {
        let inner = causes(error).find_map(|cause| cause.downcast_ref::<Self>())?;
        let message = format!("the provider that assumes it failed: {}: {}", inner.provider, inner.message);
        Some(Self { code: inner.code.clone(), ..Self::new(provider, inner.kind, message) })
    }

    fn of_sdk(provider: &str, error: &SdkCredentialsError) -> Self {
        use CredentialsErrorKind as Kind;
        let kind = match error {
            SdkCredentialsError::CredentialsNotLoaded(_) => Kind::NotConfigured,
            SdkCredentialsError::InvalidConfiguration(_) => Kind::Invalid,
            SdkCredentialsError::ProviderTimedOut(_) => Kind::TimedOut,
            _ => Kind::Unavailable,
        };
        let classified = Self::new(provider, kind, innermost_message(error));
        match causes(error).find_map(Answer::of) {
            Some(answer) => answer.complete(classified),
            None => classified,
        }
    }

    /// The provider, as the configuration calls it, with its role where there is one.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// What kind of failure it was.
    pub const fn kind(&self) -> CredentialsErrorKind {
        self.kind
    }

    /// The error code of the service that issues credentials, where it answered with one.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// The service's message, or the innermost cause.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The providers of a chain that were tried, in order; empty for a provider that is none.
    pub fn tried(&self) -> &[TriedProvider] {
        &self.tried
    }

    /// Whether the same provider can succeed later without a change of configuration.
    pub const fn is_retryable(&self) -> bool {
        use CredentialsErrorKind as Kind;
        matches!(self.kind, Kind::Unavailable | Kind::TimedOut | Kind::Expired)
    }

    /// The form in which a provider of the SDK's returns it.
    pub(super) fn into_sdk(self) -> SdkCredentialsError {
        match self.kind {
            CredentialsErrorKind::NotConfigured => SdkCredentialsError::not_loaded(self),
            CredentialsErrorKind::Invalid => SdkCredentialsError::invalid_configuration(self),
            _ => SdkCredentialsError::provider_error(self),
        }
    }
}

/// What STS, or the way to it, answered.
struct Answer {
    kind: CredentialsErrorKind,
    code: Option<String>,
    message: Option<String>,
}

impl Answer {
    fn of(cause: &(dyn StdError + 'static)) -> Option<Self> {
        let role = cause.downcast_ref::<SdkError<AssumeRoleError, HttpResponse>>().map(Self::of_sdk_error);
        role.or_else(|| {
            cause.downcast_ref::<SdkError<AssumeRoleWithWebIdentityError, HttpResponse>>().map(Self::of_sdk_error)
        })
    }

    fn of_sdk_error<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Self {
        use CredentialsErrorKind as Kind;
        let kind = match error {
            SdkError::ServiceError(context) => {
                let code = context.err().code().unwrap_or_default();
                let is_passing = context.raw().status().is_server_error() || PASSING_CODES.contains(&code);
                if is_passing { Kind::Unavailable } else { Kind::Refused }
            }
            SdkError::TimeoutError(_) => Kind::TimedOut,
            SdkError::DispatchFailure(failure) if failure.is_timeout() => Kind::TimedOut,
            SdkError::ConstructionFailure(_) => Kind::Invalid,
            _ => Kind::Unavailable,
        };
        let service = error.as_service_error();
        let text = |text: Option<&str>| text.map(str::to_owned);
        Self {
            kind,
            code: text(service.and_then(ProvideErrorMetadata::code)),
            message: text(service.and_then(ProvideErrorMetadata::message)),
        }
    }

    fn complete(self, error: CredentialsError) -> CredentialsError {
        CredentialsError {
            kind: self.kind,
            code: self.code.map(Arc::from),
            message: self.message.map_or(error.message, Arc::from),
            ..error
        }
    }
}

/// Refusals with a status below 500 that pass by themselves (STS API reference, common errors; AssumeRoleWithWebIdentity).
const PASSING_CODES: [&str; 5] =
    ["Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException", "IDPCommunicationError"];

fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |cause| (*cause).source())
}

pub(super) fn innermost_message(error: &(dyn StdError + 'static)) -> String {
    causes(error).last().map_or_else(String::new, ToString::to_string)
}
