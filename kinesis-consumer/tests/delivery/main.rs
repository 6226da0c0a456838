//! How records are delivered: schemas, pulling with positions of one's own, blocking programs, and the end of a job.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod blocking;
mod pulling;
mod rescaling;
mod schemas;
mod stopping;
mod support;
