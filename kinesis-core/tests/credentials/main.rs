//! Credentials as a user of the crate sees them: the cache, the roles, what is configured, and what is never shown.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cache;
mod calls;
mod fakes;
#[path = "../kinesis/service.rs"]
mod kinesis;
mod providers;
mod roles;
mod secrets;
