//! The whole stack under simulation: a real producer and a real consumer, through the real SDK, on one thread whose time is
//! paused.
//!
//! A seed makes a [plan](plan): what is put and when, what the service does wrong, when the stream is resharded, and when
//! the job is killed and started with another parallelism; then all faults end and the job drains. What was done is
//! written down, and each module of an invariant checks one of it against the fake's journal. Each check is itself
//! checked: an account that was falsified must not pass. `docs/simulation.md` has the method, the commands and the last
//! results.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod account;
mod c01_no_loss;
mod c02_no_double_effect;
mod c03_prefix;
mod c04_monotone;
mod c05_lineage_order;
mod c06_coverage;
mod c07_one_reader;
mod c08_honest_loss;
mod c09_idle_progress;
mod c11_backpressure;
mod c12_liveness;
mod draw;
mod event_time;
mod job;
mod k03_secrets;
#[cfg(tokio_unstable)]
mod meta;
#[cfg(tokio_unstable)]
mod mutants;
mod plan;
mod play;
mod producer;
mod producing;
mod seeds;
mod shrink;
mod sink;
mod suite;
mod tally;
mod truth;
mod workload;
mod world;
