//! A job from stream to stream: a consumer whose outputs go through a producer's sink, crashed and restored by seed.
//!
//! C1 (no loss) and P1 (a checkpoint's acknowledgement holds) end to end; duplicates only for what is written again after
//! a checkpoint.

#[cfg(test)]
mod account;
#[cfg(test)]
mod job;
#[cfg(test)]
mod run;
#[cfg(test)]
mod stream_to_stream;
