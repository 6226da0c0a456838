//! Random sequences of calls, answered alike by the fake and by a naive model of the documents.
//!
//! The model knows nothing of the fake's code: both follow the API reference and what others have recorded of the
//! service. It keeps everything in lists and compares whole replies; opaque values (sequence numbers, iterators, page
//! tokens) it checks by their properties, and by using them. `NAIVE_SEED=n` runs the sequence of one seed.

#[cfg(test)]
mod compare;
#[cfg(test)]
mod generate;
#[cfg(test)]
mod model;
#[cfg(test)]
mod run;
#[cfg(test)]
mod sequences;
