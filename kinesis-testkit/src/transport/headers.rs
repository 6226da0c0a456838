//! What the headers of every reply say, in either way to the service.

use std::time::SystemTime;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kinesis_core::unix_millis;
use sha2::{Digest, Sha512};

/// The value of `x-amz-id-2`: opaque, and the same for the same request id, so that a run repeats itself.
pub(super) fn extended_request_id(request_id: &str) -> String {
    STANDARD.encode(Sha512::digest(request_id))
}

/// When a reply was made, in whole seconds, as HTTP's `Date` has it.
pub(super) fn http_date(time: SystemTime) -> String {
    let secs = i64::try_from(unix_millis(time) / 1000).unwrap_or(i64::MAX);
    DateTime::from_secs(secs).fmt(Format::HttpDate).unwrap_or_default()
}
