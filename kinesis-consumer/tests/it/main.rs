//! What a user of the consumer sees, against the in-process fake under virtual time.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod checkpoints;
mod event_time;
mod failures;
mod fan_out;
mod fan_out_http;
mod lineage;
mod metrics;
mod positions;
mod reading;
mod requests;
mod retention;
mod status;
mod streams;
mod support;
