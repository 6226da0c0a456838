//! The producer against a fake Kinesis, under virtual time.
//!
//! P1 to P9 in comments are the invariants of an at-least-once producer: no lost acknowledgement, everything answered,
//! definite means definite, bounded duplicates, order, limits, bounded memory, economy of retries, close.

mod basics;
mod faults;
mod limits;
mod order;
mod reshard;
mod support;
