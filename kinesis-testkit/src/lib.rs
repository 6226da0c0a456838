//! A fake Kinesis.

mod engine;
mod fake;
mod faults;
mod journal;
mod protocol;
mod service;
mod transport;

pub use engine::{Limits, ServiceError};
pub use fake::{BuildError, FakeKinesis, FakeKinesisBuilder, Stored};
pub use faults::{Entries, Fault, FaultHandle, FaultRule};
pub use journal::{CallCounts, CallOutcome, Journal, JournalCall, JournalRecord};
pub use protocol::Operation;
pub use transport::{BindError, Server};
