//! What a user of the fake sees, through the SDK's own client.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod faults;
mod limits;
mod listing;
mod reading;
mod resharding;
mod server;
mod streams;
mod support;
mod time;
mod writing;
