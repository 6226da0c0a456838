//! The service's refusals as faults.
//!
//! The service model (botocore, `kinesis/2013-12-02`) declares no HTTP status for any of them, which in the JSON
//! protocol is 400 for a fault of the client's and 500 for one of the service's.

use std::time::Duration;

use super::fault::Fault;
use super::skew::ClockSkew;

fn refused(code: &str, message: &str) -> Fault {
    Fault::Error { code: code.to_owned(), message: message.to_owned(), status: 400 }
}

impl Fault {
    /// The service failing inside: code `InternalFailure`, status 500, nothing applied.
    pub fn internal_failure() -> Self {
        Self::Error { code: "InternalFailure".to_owned(), message: "Internal service failure.".to_owned(), status: 500 }
    }

    /// The service failing after the call was applied (F3): code `InternalFailure`, status 500.
    pub fn internal_failure_after() -> Self {
        Self::ErrorAfter {
            code: "InternalFailure".to_owned(),
            message: "Internal service failure.".to_owned(),
            status: 500,
        }
    }

    /// A throttle of the call as a whole (F1): `ProvisionedThroughputExceededException`, nothing applied.
    pub fn throttle() -> Self {
        refused("ProvisionedThroughputExceededException", "Rate exceeded.")
    }

    /// An iterator older than five minutes (F6): `ExpiredIteratorException`.
    pub fn expired_iterator() -> Self {
        refused("ExpiredIteratorException", "Iterator expired.")
    }

    /// A page token older than five minutes (F8): `ExpiredNextTokenException`.
    pub fn expired_next_token() -> Self {
        refused("ExpiredNextTokenException", "The pagination token passed to the operation is expired.")
    }

    /// Too many calls of a control operation (F8): `LimitExceededException`.
    pub fn limit_exceeded() -> Self {
        refused("LimitExceededException", "Rate exceeded for the operation.")
    }

    /// A subscription that another holds (F16): `ResourceInUseException`.
    pub fn resource_in_use() -> Self {
        refused("ResourceInUseException", "Another active subscription exists for this consumer.")
    }

    /// A stream or shard that is not seen yet (F9): `ResourceNotFoundException`.
    ///
    /// [`FaultRule::until`](crate::FaultRule::until) makes a window of it.
    pub fn resource_not_found() -> Self {
        refused("ResourceNotFoundException", "The requested resource could not be found.")
    }

    /// The key service throttling (F11): `KMSThrottlingException`.
    pub fn kms_throttled() -> Self {
        refused("KMSThrottlingException", "The request was denied due to request throttling.")
    }

    /// A key that was disabled (F11): `KMSDisabledException`.
    pub fn kms_disabled() -> Self {
        refused("KMSDisabledException", "The request was rejected because the specified KMS key isn't enabled.")
    }

    /// A key that may not be used (F11): `KMSAccessDeniedException`.
    pub fn kms_access_denied() -> Self {
        refused(
            "KMSAccessDeniedException",
            "The ciphertext references a key that doesn't exist or that you don't have access to.",
        )
    }

    /// A key that is being deleted or imported (F11): `KMSInvalidStateException`.
    pub fn kms_invalid_state() -> Self {
        refused(
            "KMSInvalidStateException",
            "The request was rejected because the state of the specified resource isn't valid for this request.",
        )
    }

    /// A key that is gone (F11): `KMSNotFoundException`.
    pub fn kms_not_found() -> Self {
        refused(
            "KMSNotFoundException",
            "The request was rejected because the specified entity or resource can't be found.",
        )
    }

    /// An account that has no key service (F11): `KMSOptInRequired`.
    pub fn kms_opt_in_required() -> Self {
        refused("KMSOptInRequired", "The Amazon Web Services access key ID needs a subscription for the service.")
    }

    /// The service's clock ahead of the caller's (F12): beyond five minutes `InvalidSignatureException`, "Signature
    /// expired: …".
    pub const fn signature_expired(skew: Duration) -> Self {
        Self::SkewedClock(ClockSkew::Ahead(skew))
    }

    /// The service's clock behind the caller's (F12): beyond five minutes `InvalidSignatureException`, "Signature not
    /// yet current: …".
    pub const fn signature_not_yet_current(skew: Duration) -> Self {
        Self::SkewedClock(ClockSkew::Behind(skew))
    }

    /// A request that took too long on its way (F12): `RequestExpired`, whatever its date is.
    pub fn request_expired() -> Self {
        refused("RequestExpired", "Request has expired.")
    }

    /// A date that is off, in the words of other services (F12): `RequestTimeTooSkewed`, status 403.
    pub fn request_time_too_skewed() -> Self {
        Self::Error {
            code: "RequestTimeTooSkewed".to_owned(),
            message: "The difference between the request time and the current time is too large.".to_owned(),
            status: 403,
        }
    }

    /// Credentials that expired on their way (F13): `ExpiredTokenException`.
    pub fn expired_token() -> Self {
        refused("ExpiredTokenException", "The security token included in the request is expired")
    }
}
