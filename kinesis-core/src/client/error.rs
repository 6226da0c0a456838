//! What went wrong with a request, and what may be done about it.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::operation::RequestId;
use aws_smithy_runtime_api::http::Response;
use thiserror::Error;

use crate::credentials::CredentialsError as ProviderError;

/// The kinds of failure that callers tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RequestErrorKind {
    /// A shard's or a stream's throughput is used up (`ProvisionedThroughputExceededException`, `KMSThrottlingException`).
    Throttled,
    /// A rate or a quota of the control plane is used up (`LimitExceededException`).
    LimitExceeded,
    /// The shard iterator is older than five minutes.
    ExpiredIterator,
    /// The page token is older than five minutes.
    ExpiredNextToken,
    /// The stream, shard or consumer does not exist.
    NotFound,
    /// The stream is not in a state that allows the call yet, such as CREATING.
    InUse,
    /// The service refused an argument.
    InvalidArgument,
    /// The caller may not do this, or its credentials are not accepted.
    AccessDenied,
    /// The encryption key is disabled, missing, or in a wrong state.
    Kms,
    /// The service failed (any 5xx).
    Internal,
    /// No complete answer came within the time limit.
    Timeout,
    /// The connection was refused or could not be made: nothing was sent.
    Unreachable,
    /// The connection broke after it was made.
    ConnectionLost,
    /// The request could not be built or signed, for want of credentials for instance.
    NotSent,
    /// The credentials could not be loaded just now, and may be later: nothing was sent.
    CredentialsUnavailable,
    /// The answer could not be understood.
    InvalidResponse,
    /// An error code that this version does not know.
    Other,
}

impl RequestErrorKind {
    /// The kind that an error code of the service stands for, also one of an entry of PutRecords.
    ///
    /// [`Other`](Self::Other) for a code that this version does not know.
    pub fn of_code(code: &str) -> Self {
        match code {
            "ProvisionedThroughputExceededException" | "KMSThrottlingException" | "ThrottlingException" => {
                Self::Throttled
            }
            "LimitExceededException" => Self::LimitExceeded,
            "ExpiredIteratorException" => Self::ExpiredIterator,
            "ExpiredNextTokenException" => Self::ExpiredNextToken,
            "ResourceNotFoundException" => Self::NotFound,
            "ResourceInUseException" => Self::InUse,
            "InvalidArgumentException" | "ValidationException" | "SerializationException" => Self::InvalidArgument,
            "AccessDeniedException"
            | "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "IncompleteSignatureException"
            | "MissingAuthenticationTokenException"
            | "ExpiredTokenException"
            | "OptInRequired" => Self::AccessDenied,
            "KMSDisabledException"
            | "KMSInvalidStateException"
            | "KMSAccessDeniedException"
            | "KMSNotFoundException"
            | "KMSOptInRequired" => Self::Kms,
            "InternalFailure" | "InternalFailureException" | "ServiceUnavailable" => Self::Internal,
            _ => Self::Other,
        }
    }

    /// The kind of a refusal; its HTTP status decides where the code is not known.
    fn of_refusal(code: &str, status: u16) -> Self {
        match Self::of_code(code) {
            Self::Other if status >= 500 => Self::Internal,
            kind => kind,
        }
    }
}

/// A request that failed, with what it was, on what, and what the service said.
///
/// Cloning is cheap. The SDK's error is the [`source`](StdError::source).
#[derive(Clone, Debug, Error)]
#[error("{operation} on {target} failed{}: {}{message}{}", attempts_text(*attempts), code_text(code), hint(*kind))]
pub struct RequestError {
    operation: &'static str,
    target: Arc<str>,
    kind: RequestErrorKind,
    code: Option<Arc<str>>,
    message: Arc<str>,
    request_id: Option<Arc<str>>,
    attempts: u32,
    #[source]
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

fn attempts_text(attempts: u32) -> String {
    if attempts > 1 { format!(" after {attempts} attempts") } else { String::new() }
}

fn code_text(code: &Option<Arc<str>>) -> String {
    code.as_ref().map_or_else(String::new, |code| format!("{code}: "))
}

fn hint(kind: RequestErrorKind) -> &'static str {
    match kind {
        RequestErrorKind::NotFound => "; check the name, the region and the account",
        RequestErrorKind::AccessDenied => "; check the credentials and their permissions",
        RequestErrorKind::Unreachable | RequestErrorKind::Timeout => "; check the endpoint and the network",
        RequestErrorKind::NotSent => "; check credentials and configuration",
        RequestErrorKind::CredentialsUnavailable => "; check the source of the credentials",
        _ => "",
    }
}

impl RequestError {
    /// Makes an error of its parts.
    pub fn new(
        operation: &'static str,
        target: &str,
        kind: RequestErrorKind,
        code: Option<&str>,
        message: &str,
    ) -> Self {
        let (code, message) = (code.map(Arc::from), Arc::from(message));
        Self { operation, target: target.into(), kind, code, message, request_id: None, attempts: 1, source: None }
    }

    /// Classifies an error of the SDK.
    pub(crate) fn from_sdk<E>(operation: &'static str, target: &str, error: SdkError<E, Response>) -> Self
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        let request_id = error.request_id().map(Arc::from);
        let mut classified = match &error {
            SdkError::ServiceError(context) => {
                let (service, status) = (context.err(), context.raw().status().as_u16());
                let kind = RequestErrorKind::of_refusal(service.code().unwrap_or_default(), status);
                let message = service.message().map_or_else(|| format!("HTTP status {status}"), str::to_owned);
                Self::new(operation, target, kind, service.code(), &message)
            }
            other => {
                let kind = kind_of_transport_error(other);
                Self::new(operation, target, kind, None, &innermost_message(other))
            }
        };
        classified.request_id = request_id;
        classified.source = Some(Arc::new(error));
        classified
    }

    pub(crate) fn after_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// The API operation, such as `PutRecords`.
    pub const fn operation(&self) -> &'static str {
        self.operation
    }

    /// The stream, or the stream and the shard, that the request was about.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// What kind of failure it was.
    pub const fn kind(&self) -> RequestErrorKind {
        self.kind
    }

    /// The service's error code, where it answered with one.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// The service's message, or the innermost cause.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The service's id of the request, for a support case.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// How often the call was made.
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Whether the same request can succeed later.
    pub const fn is_retryable(&self) -> bool {
        use RequestErrorKind as Kind;
        self.is_throttle()
            || matches!(
                self.kind,
                Kind::InUse
                    | Kind::Internal
                    | Kind::Timeout
                    | Kind::Unreachable
                    | Kind::CredentialsUnavailable
                    | Kind::ConnectionLost
                    | Kind::InvalidResponse
            )
    }

    /// Whether the service asks for fewer requests.
    pub const fn is_throttle(&self) -> bool {
        matches!(self.kind, RequestErrorKind::Throttled | RequestErrorKind::LimitExceeded)
    }

    /// Whether the service may have carried out the request all the same.
    pub const fn may_have_been_applied(&self) -> bool {
        use RequestErrorKind as Kind;
        matches!(self.kind, Kind::Internal | Kind::Timeout | Kind::ConnectionLost | Kind::InvalidResponse)
    }
}

fn kind_of_transport_error<E>(error: &SdkError<E, Response>) -> RequestErrorKind
where
    E: StdError + 'static,
{
    match error {
        SdkError::ConstructionFailure(_) => RequestErrorKind::NotSent,
        SdkError::TimeoutError(_) => RequestErrorKind::Timeout,
        // Before the connection: that of a credentials provider may be what could not be made.
        SdkError::DispatchFailure(_) if may_get_credentials_later(error) => RequestErrorKind::CredentialsUnavailable,
        SdkError::DispatchFailure(_) if never_connected(error) => RequestErrorKind::Unreachable,
        SdkError::DispatchFailure(failure) if failure.is_timeout() => RequestErrorKind::Timeout,
        SdkError::DispatchFailure(failure) if failure.is_user() || lacks_credentials(error) => {
            RequestErrorKind::NotSent
        }
        // Also what the connector cannot classify, such as a connection that ends in the middle of the reply.
        SdkError::DispatchFailure(_) => RequestErrorKind::ConnectionLost,
        SdkError::ResponseError(_) => RequestErrorKind::InvalidResponse,
        _ => RequestErrorKind::Other,
    }
}

fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}

/// Whether an operating-system error in the chain says that no connection came about.
fn never_connected(error: &(dyn StdError + 'static)) -> bool {
    use io::ErrorKind as Io;
    causes(error).filter_map(|cause| cause.downcast_ref::<io::Error>()).any(|cause| {
        matches!(
            cause.kind(),
            Io::ConnectionRefused | Io::HostUnreachable | Io::NetworkUnreachable | Io::AddrNotAvailable | Io::NotFound
        )
    })
}

fn lacks_credentials(error: &(dyn StdError + 'static)) -> bool {
    causes(error).any(|cause| cause.is::<CredentialsError>())
}

/// Whether one of our providers says that it may succeed later.
fn may_get_credentials_later(error: &(dyn StdError + 'static)) -> bool {
    causes(error).filter_map(|cause| cause.downcast_ref::<ProviderError>()).any(ProviderError::is_retryable)
}

fn innermost_message(error: &(dyn StdError + 'static)) -> String {
    causes(error).last().map_or_else(String::new, ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every code of the data plane, with: retryable, throttle, may have been applied.
    const CODES: [(&str, u16, RequestErrorKind, [bool; 3]); 13] = [
        ("ProvisionedThroughputExceededException", 400, RequestErrorKind::Throttled, [true, true, false]),
        ("LimitExceededException", 400, RequestErrorKind::LimitExceeded, [true, true, false]),
        ("KMSThrottlingException", 400, RequestErrorKind::Throttled, [true, true, false]),
        ("KMSDisabledException", 400, RequestErrorKind::Kms, [false, false, false]),
        ("ExpiredIteratorException", 400, RequestErrorKind::ExpiredIterator, [false, false, false]),
        ("ExpiredNextTokenException", 400, RequestErrorKind::ExpiredNextToken, [false, false, false]),
        ("ResourceNotFoundException", 400, RequestErrorKind::NotFound, [false, false, false]),
        ("ResourceInUseException", 400, RequestErrorKind::InUse, [true, false, false]),
        ("InvalidArgumentException", 400, RequestErrorKind::InvalidArgument, [false, false, false]),
        ("AccessDeniedException", 400, RequestErrorKind::AccessDenied, [false, false, false]),
        ("InternalFailure", 500, RequestErrorKind::Internal, [true, false, true]),
        ("SomethingNew", 503, RequestErrorKind::Internal, [true, false, true]),
        ("SomethingNew", 400, RequestErrorKind::Other, [false, false, false]),
    ];

    #[test]
    fn every_code_answers_the_three_questions() {
        for (code, status, kind, answers) in CODES {
            let error =
                RequestError::new("PutRecords", "orders", RequestErrorKind::of_refusal(code, status), None, "x");
            let given = [error.is_retryable(), error.is_throttle(), error.may_have_been_applied()];
            assert_eq!((error.kind(), given), (kind, answers), "{code}");
        }
    }

    #[test]
    fn a_time_out_may_have_been_applied_and_a_refused_connection_may_not() {
        for (kind, applied) in [
            (RequestErrorKind::Timeout, true),
            (RequestErrorKind::ConnectionLost, true),
            (RequestErrorKind::Unreachable, false),
            (RequestErrorKind::NotSent, false),
            (RequestErrorKind::CredentialsUnavailable, false),
        ] {
            let error = RequestError::new("PutRecords", "orders", kind, None, "x");
            assert_eq!(error.may_have_been_applied(), applied, "{kind:?}");
        }
    }

    #[test]
    fn the_text_says_what_failed_on_what_and_what_to_do() {
        let code = Some("ResourceNotFoundException");
        let error = RequestError::new("ListShards", "orders", RequestErrorKind::NotFound, code, "no such stream");
        assert_eq!(
            error.after_attempts(3).to_string(),
            "ListShards on orders failed after 3 attempts: ResourceNotFoundException: no such stream; \
             check the name, the region and the account"
        );
    }
}
