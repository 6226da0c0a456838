//! What a user of the consumer sees, against the in-process fake under virtual time.

mod checkpoints;
mod failures;
mod positions;
mod reading;
mod support;
