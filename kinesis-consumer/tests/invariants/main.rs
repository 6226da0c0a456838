//! The invariants of the exactly-once source, each by its name, against seeded random runs.
//!
//! A run puts records (plain, aggregated, broken aggregates), reshards, injects a generated fault plan, drops the job at
//! random moments and starts it with another parallelism; then all faults end and the job drains. What the job did and
//! saved is written down, and each module checks one invariant of it against the fake's journal. Each check is itself
//! checked: an account that was falsified must not pass.

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
mod event_time;
mod job;
#[cfg(feature = "mutants")]
mod mutants;
mod run;
mod seeds;
mod sink;
mod truth;
mod workload;
