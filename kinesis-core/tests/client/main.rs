//! The client's calls against a service, and a proxy before it, that answer in every way.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod endpoints;
#[path = "../kinesis/service.rs"]
mod kinesis;
mod listings;
mod refusals;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;

/// Keys that never change.
fn fixed() -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(Credentials::new("id", "secret", None, None, "test"))
}
