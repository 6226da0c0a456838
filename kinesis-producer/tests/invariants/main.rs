//! The invariants of an at-least-once producer, each by its name, against seeded random runs.
//!
//! A run puts records of all sizes to two streams through one producer, flushes, cancels puts, reshards, injects a
//! generated fault plan, and ends by a close, by dropping the producer or by dropping its runtime. What the producer said
//! is written down beside what crossed the wire, as the SDK's own hooks saw it, and each module checks one invariant of
//! that against the fake's journal. Nothing that the producer says of itself is taken for granted: its attempts are
//! compared with the wire, its counters with the records. Each check is itself checked: an account that was falsified
//! must not pass.
//!
//! `PRODUCER_SEEDS=7` plays one seed, `PRODUCER_SEEDS=0..1000` a range.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod account;
mod bad_input;
mod coverage;
mod faults;
mod hot_shard;
mod p1_acknowledged;
mod p2_answered;
mod p3_definite;
mod p4_copies;
mod p5_order;
mod p6_limits;
mod p7_bounds;
mod p8_economy;
mod p9_close;
mod regressions;
mod reshards;
mod run;
mod seeds;
mod truth;
mod wire;
mod workload;
