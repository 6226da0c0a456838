//! Bodies that nobody meant, in JSON and CBOR, put to the server; and formats and settings that come from outside (`formats`).
//!
//! The corpus are the inputs of the conformance cases, and what once broke (`regressions`). Each run takes one, spoils it,
//! and sends it; the answer has to be one of the service's, in its format, and the server has to go on. A few thousand
//! runs are part of every test; for more: `FUZZ_RUNS=1000000 FUZZ_SEED=7 cargo test --release -p kinesis-testkit --test fuzz`.
//! What breaks is written to `target/fuzz`, from where it goes to `regressions`.

#[cfg(test)]
mod cbor;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod events;
#[cfg(test)]
mod formats;
#[cfg(test)]
mod mutate;
#[cfg(test)]
mod service;
#[cfg(test)]
mod targets;
