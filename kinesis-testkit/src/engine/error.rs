//! What the service answers when it refuses a call.

use std::borrow::Cow;

use thiserror::Error;

/// A refusal, in the service's words.
///
/// The code is the `__type` of the wire, such as `ResourceNotFoundException`; the status is HTTP's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{code}: {message}")]
pub struct ServiceError {
    code: Cow<'static, str>,
    message: String,
    status: u16,
}

impl ServiceError {
    /// Makes a refusal of its three parts.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>, status: u16) -> Self {
        Self { code: code.into(), message: message.into(), status }
    }

    /// The service's error code.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The service's message; empty where the service gives none.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The HTTP status.
    pub const fn status(&self) -> u16 {
        self.status
    }

    pub(crate) fn invalid_argument(message: impl Into<String>) -> Self {
        Self::new("InvalidArgumentException", message, 400)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new("ResourceNotFoundException", message, 400)
    }

    pub(crate) fn in_use(message: impl Into<String>) -> Self {
        Self::new("ResourceInUseException", message, 400)
    }

    pub(crate) fn throughput_exceeded(message: impl Into<String>) -> Self {
        Self::new("ProvisionedThroughputExceededException", message, 400)
    }

    pub(crate) fn limit_exceeded(message: impl Into<String>) -> Self {
        Self::new("LimitExceededException", message, 400)
    }

    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationException", message, 400)
    }

    /// The service failing inside.
    pub(crate) fn internal_failure() -> Self {
        Self::new("InternalFailure", "Internal service failure.", 500)
    }

    /// What a call is answered with that only asks whether it would succeed, and would.
    pub(crate) fn dry_run() -> Self {
        Self::new("DryRunOperationException", "Request would have succeeded, but DryRun flag is set.", 400)
    }

    pub(crate) fn stream_not_found(name: &str, account: &str) -> Self {
        Self::not_found(format!("Stream {name} under account {account} not found."))
    }
}
