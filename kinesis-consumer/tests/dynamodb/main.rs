//! The streams of DynamoDB tables.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod reading;
mod refusals;
mod support;
mod table;
