//! The producer against a fake Kinesis, under virtual time.
//!
//! P1 to P9 in comments are the invariants of an at-least-once producer: no lost acknowledgement, everything answered,
//! definite means definite, bounded duplicates, order, limits, bounded memory, economy of retries, close.

#[cfg(test)]
mod api;
#[cfg(test)]
mod basics;
#[cfg(test)]
mod blocking;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod order;
#[cfg(test)]
mod reshard;
#[cfg(test)]
mod support;
