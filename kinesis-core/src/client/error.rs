//! What went wrong with a request, and what may be done about it.

use std::error::Error as StdError;
use std::io::{self, ErrorKind as Io};
use std::sync::Arc;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::operation::RequestId;
use aws_smithy_async::future::timeout::TimedOutError;
use aws_smithy_runtime_api::http::Response;
use hyper_util::client::legacy::Error as HttpClientError;
use thiserror::Error;

use crate::client::transmission::{TooSlow, Transmission};
use crate::credentials::CredentialsError as ProviderError;
use crate::redaction::{shows_token, without_token};

/// The kinds of failure that callers tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RequestErrorKind {
    /// A shard's or a stream's throughput is used up, or the service has too much to do for now.
    ///
    /// `ProvisionedThroughputExceededException`, `KMSThrottlingException`, `ThrottlingException` and its like, or HTTP
    /// status 429.
    Throttled,
    /// A rate or a quota of the control plane is used up (`LimitExceededException`).
    LimitExceeded,
    /// The shard iterator is older than five minutes.
    ExpiredIterator,
    /// What was asked for is older than what is kept (`TrimmedDataAccessException` of DynamoDB's streams).
    Trimmed,
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
    /// The service calls the credentials expired; they were dropped, and the next attempt is signed with new ones.
    ///
    /// Where they are not of a cache of ours, or new ones are refused too, the kind is
    /// [`AccessDenied`](Self::AccessDenied).
    ExpiredCredentials,
    /// The signature is too old or from the future by the service's clock: nothing was applied, and the clock may be set.
    ClockSkew,
    /// The encryption key is disabled, missing, or in a wrong state.
    Kms,
    /// The service failed (any 5xx).
    Internal,
    /// No complete answer came within the time limit.
    Timeout,
    /// The connection was refused or could not be made, its TLS included: nothing was sent.
    Unreachable,
    /// The service did not get the whole request in time, and did not carry it out (HTTP status 408).
    NotReceived,
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

const INVALID_SIGNATURE: &str = "InvalidSignatureException";
/// What the service says of a signature whose time is too far from its own.
const CLOCK_TEXTS: [&str; 2] = ["Signature expired", "Signature not yet current"];
const EXPIRED_TOKEN: [&str; 2] = ["ExpiredTokenException", "ExpiredToken"];

impl RequestErrorKind {
    /// The kind that an error code of the service stands for, also one of an entry of PutRecords.
    ///
    /// [`Other`](Self::Other) for a code that this version does not know.
    pub fn of_code(code: &str) -> Self {
        match code {
            "ProvisionedThroughputExceededException"
            | "KMSThrottlingException"
            | "ThrottlingException"
            | "Throttling"
            | "ThrottledException"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "RequestLimitExceeded"
            | "TooManyRequestsException" => Self::Throttled,
            "LimitExceededException" => Self::LimitExceeded,
            "ExpiredIteratorException" => Self::ExpiredIterator,
            "TrimmedDataAccessException" => Self::Trimmed,
            "ExpiredNextTokenException" => Self::ExpiredNextToken,
            "ResourceNotFoundException" => Self::NotFound,
            "ResourceInUseException" => Self::InUse,
            "InvalidArgumentException" | "ValidationException" | "SerializationException" => Self::InvalidArgument,
            "RequestTimeTooSkewed" | "RequestExpired" => Self::ClockSkew,
            "RequestTimeout" | "RequestTimeoutException" => Self::NotReceived,
            "AccessDeniedException"
            | "AccessDenied"
            | "NotAuthorized"
            | "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "IncompleteSignatureException"
            | "MissingAuthenticationTokenException"
            | "ExpiredTokenException"
            | "ExpiredToken"
            | "OptInRequired" => Self::AccessDenied,
            "KMSDisabledException"
            | "KMSInvalidStateException"
            | "KMSAccessDeniedException"
            | "KMSNotFoundException"
            | "KMSOptInRequired" => Self::Kms,
            "InternalFailure" | "InternalFailureException" | "ServiceUnavailable" | "ServiceUnavailableException" => {
                Self::Internal
            }
            _ => Self::Other,
        }
    }

    /// The kind of a refusal; its HTTP status decides where the code is not known, as that of a proxy's page.
    fn of_refusal(code: &str, status: u16, message: &str) -> Self {
        match (Self::of_code(code), status) {
            // One code for a wrong key and for a wrong clock.
            (Self::AccessDenied, _)
                if code == INVALID_SIGNATURE && CLOCK_TEXTS.iter().any(|text| message.contains(text)) =>
            {
                Self::ClockSkew
            }
            (Self::Other, 401 | 403 | 407) => Self::AccessDenied,
            (Self::Other, 408) => Self::NotReceived,
            (Self::Other, 413) => Self::InvalidArgument,
            (Self::Other, 429) => Self::Throttled,
            (Self::Other, 500..) => Self::Internal,
            (kind, _) => kind,
        }
    }
}

/// A request that failed, with what it was, on what, and what the service said.
///
/// Cloning is cheap. The SDK's error is the [`source`](StdError::source), unless it quotes the session token: of that
/// nothing is kept.
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
        RequestErrorKind::ExpiredCredentials => "; new ones are loaded for the next attempt",
        RequestErrorKind::ClockSkew => "; set the clock of this machine, by NTP for instance",
        RequestErrorKind::Unreachable | RequestErrorKind::Timeout | RequestErrorKind::NotReceived => {
            "; check the endpoint and the network"
        }
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
    pub(super) fn from_sdk<E>(
        operation: &'static str,
        target: &str,
        error: SdkError<E, Response>,
        transmission: &Transmission,
    ) -> Self
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        let (kind, code, message) = match &error {
            SdkError::ServiceError(context) => {
                let (service, status) = (context.err(), context.raw().status().as_u16());
                let message = service.message().map_or_else(|| format!("HTTP status {status}"), str::to_owned);
                let kind = RequestErrorKind::of_refusal(service.code().unwrap_or_default(), status, &message);
                (kind, service.code(), message)
            }
            SdkError::ResponseError(context) if context.raw().status().as_u16() >= 400 => {
                let status = context.raw().status().as_u16();
                let message = format!("HTTP status {status}, in an answer that is not of the service");
                (RequestErrorKind::of_refusal("", status, ""), None, message)
            }
            other => (kind_of_transport_error(other, transmission.has_begun()), None, innermost_message(other)),
        };
        let is_expired = code.is_some_and(|code| EXPIRED_TOKEN.contains(&code));
        let kind =
            if is_expired && transmission.signer().renew() { RequestErrorKind::ExpiredCredentials } else { kind };
        let message = without_token(&message, transmission.token());
        let mut classified = Self::new(operation, target, kind, code, &message);
        classified.request_id = error.request_id().map(Arc::from);
        classified.source = (!shows_token(&error, transmission.token())).then(|| Arc::new(error) as _);
        classified
    }

    /// A call that did not end within its limit.
    pub(super) fn too_slow(
        operation: &'static str,
        target: &str,
        TooSlow { limit }: TooSlow,
        transmission: &Transmission,
    ) -> Self {
        let (kind, what) = if transmission.has_begun() {
            (RequestErrorKind::Timeout, "no complete answer")
        } else {
            (RequestErrorKind::CredentialsUnavailable, "no credentials")
        };
        Self::new(operation, target, kind, None, &format!("{what} within {limit:?}"))
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
                    | Kind::NotReceived
                    | Kind::CredentialsUnavailable
                    | Kind::ExpiredCredentials
                    | Kind::ClockSkew
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

/// The kind of an error that is no answer; `has_begun` says whether the request was handed to its connection.
fn kind_of_transport_error<E>(error: &SdkError<E, Response>, has_begun: bool) -> RequestErrorKind
where
    E: StdError + 'static,
{
    match error {
        SdkError::ResponseError(_) => RequestErrorKind::InvalidResponse,
        // Its source may be a failed connection, but that of a credentials provider.
        _ if !has_begun && may_get_credentials_later(error) => RequestErrorKind::CredentialsUnavailable,
        _ if !has_begun => RequestErrorKind::NotSent,
        // Before time-outs: that of connecting is none of the request.
        _ if never_connected(error) => RequestErrorKind::Unreachable,
        SdkError::ConstructionFailure(_) => RequestErrorKind::NotSent,
        SdkError::TimeoutError(_) => RequestErrorKind::Timeout,
        SdkError::DispatchFailure(failure) if failure.is_timeout() => RequestErrorKind::Timeout,
        SdkError::DispatchFailure(failure) if failure.is_user() => RequestErrorKind::NotSent,
        // Also what the connector cannot classify, such as a connection that ends in the middle of the reply.
        SdkError::DispatchFailure(_) => RequestErrorKind::ConnectionLost,
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

/// Whether the HTTP client or an operating-system error in the chain says that no connection came about.
fn never_connected(error: &(dyn StdError + 'static)) -> bool {
    causes(error).any(|cause| {
        let by_client = cause.downcast_ref::<HttpClientError>().is_some_and(HttpClientError::is_connect);
        let by_system = cause.downcast_ref::<io::Error>().map(io::Error::kind).is_some_and(|kind| {
            matches!(
                kind,
                Io::ConnectionRefused
                    | Io::HostUnreachable
                    | Io::NetworkUnreachable
                    | Io::AddrNotAvailable
                    | Io::NotFound
            )
        });
        by_client || by_system
    })
}

/// What the error of the SDK's identity cache says, whose type is private.
const CACHE_TIMED_OUT: &str = "identity resolver timed out";

/// Whether a provider says that it may succeed later, or a cache of the SDK's has given up the wait for one.
fn may_get_credentials_later(error: &(dyn StdError + 'static)) -> bool {
    causes(error).any(|cause| {
        let by_provider = cause.downcast_ref::<ProviderError>().is_some_and(ProviderError::is_retryable);
        let is_too_slow = matches!(cause.downcast_ref(), Some(CredentialsError::ProviderTimedOut(_)));
        by_provider || is_too_slow || cause.is::<TimedOutError>() || cause.to_string().starts_with(CACHE_TIMED_OUT)
    })
}

fn innermost_message(error: &(dyn StdError + 'static)) -> String {
    causes(error).last().map_or_else(String::new, ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes with their statuses and: retryable, throttle, may have been applied.
    const CODES: [(&str, u16, RequestErrorKind, [bool; 3]); 29] = [
        ("ProvisionedThroughputExceededException", 400, RequestErrorKind::Throttled, [true, true, false]),
        ("LimitExceededException", 400, RequestErrorKind::LimitExceeded, [true, true, false]),
        ("KMSThrottlingException", 400, RequestErrorKind::Throttled, [true, true, false]),
        ("Throttling", 400, RequestErrorKind::Throttled, [true, true, false]),
        ("RequestLimitExceeded", 503, RequestErrorKind::Throttled, [true, true, false]),
        ("TooManyRequestsException", 429, RequestErrorKind::Throttled, [true, true, false]),
        ("KMSDisabledException", 400, RequestErrorKind::Kms, [false, false, false]),
        ("ExpiredIteratorException", 400, RequestErrorKind::ExpiredIterator, [false, false, false]),
        ("TrimmedDataAccessException", 400, RequestErrorKind::Trimmed, [false, false, false]),
        ("ExpiredNextTokenException", 400, RequestErrorKind::ExpiredNextToken, [false, false, false]),
        ("ResourceNotFoundException", 400, RequestErrorKind::NotFound, [false, false, false]),
        ("ResourceInUseException", 400, RequestErrorKind::InUse, [true, false, false]),
        ("InvalidArgumentException", 400, RequestErrorKind::InvalidArgument, [false, false, false]),
        ("AccessDeniedException", 400, RequestErrorKind::AccessDenied, [false, false, false]),
        ("InvalidClientTokenId", 403, RequestErrorKind::AccessDenied, [false, false, false]),
        ("InvalidSignatureException", 403, RequestErrorKind::AccessDenied, [false, false, false]),
        ("RequestTimeTooSkewed", 403, RequestErrorKind::ClockSkew, [true, false, false]),
        ("RequestExpired", 400, RequestErrorKind::ClockSkew, [true, false, false]),
        ("RequestTimeoutException", 400, RequestErrorKind::NotReceived, [true, false, false]),
        ("InternalFailure", 500, RequestErrorKind::Internal, [true, false, true]),
        ("SomethingNew", 503, RequestErrorKind::Internal, [true, false, true]),
        ("SomethingNew", 400, RequestErrorKind::Other, [false, false, false]),
        ("", 401, RequestErrorKind::AccessDenied, [false, false, false]),
        ("", 403, RequestErrorKind::AccessDenied, [false, false, false]),
        ("", 404, RequestErrorKind::Other, [false, false, false]),
        ("", 408, RequestErrorKind::NotReceived, [true, false, false]),
        ("", 413, RequestErrorKind::InvalidArgument, [false, false, false]),
        ("", 429, RequestErrorKind::Throttled, [true, true, false]),
        ("", 502, RequestErrorKind::Internal, [true, false, true]),
    ];

    #[test]
    fn every_code_answers_the_three_questions() {
        for (code, status, kind, answers) in CODES {
            let given = RequestErrorKind::of_refusal(code, status, "x");
            let error = RequestError::new("PutRecords", "orders", given, None, "x");
            let given = [error.is_retryable(), error.is_throttle(), error.may_have_been_applied()];
            assert_eq!((error.kind(), given), (kind, answers), "{code} {status}");
        }
    }

    #[test]
    fn a_signature_is_refused_for_its_key_or_for_its_time() {
        for (message, kind) in [
            ("Signature expired: 20231114T221320Z is now earlier than", RequestErrorKind::ClockSkew),
            ("Signature not yet current: 20231114T221320Z is still later than", RequestErrorKind::ClockSkew),
            ("The request signature we calculated does not match", RequestErrorKind::AccessDenied),
        ] {
            assert_eq!(RequestErrorKind::of_refusal(INVALID_SIGNATURE, 403, message), kind, "{message}");
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
            (RequestErrorKind::ExpiredCredentials, false),
            (RequestErrorKind::NotReceived, false),
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
