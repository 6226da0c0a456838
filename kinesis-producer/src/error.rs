//! The errors of the producer's calls; what became of a record is its [`Outcome`](crate::Outcome).

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use kinesis_core::{ParseStreamNameError, RequestError, StreamName};
use thiserror::Error;

use crate::outcome::FailureCause;
use crate::record::UserRecord;

/// Why a record was not accepted; it is not stored.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PutError {
    /// The stream's name has not the form of one.
    #[error(transparent)]
    InvalidStream(ParseStreamNameError),
    /// The partition key is empty.
    #[error("record for {stream} not accepted: its partition key is empty; it must have 1 to 256 characters")]
    EmptyPartitionKey {
        /// The stream it was for.
        stream: StreamName,
    },
    /// The partition key is too long.
    #[error("record for {stream} not accepted: its partition key has {characters} characters; at most 256 are allowed")]
    PartitionKeyTooLong {
        /// The stream it was for.
        stream: StreamName,
        /// The key's characters.
        characters: usize,
    },
    /// The record is larger than the service takes on any stream.
    #[error("record for {stream} not accepted: {size_bytes} bytes with its key exceed the service's {limit_bytes}")]
    RecordTooLarge {
        /// The stream it was for.
        stream: StreamName,
        /// Data and partition key.
        size_bytes: usize,
        /// The service's limit.
        limit_bytes: usize,
    },
    /// The record's data is larger than `max_user_record_size_bytes`.
    #[error("record for {stream} not accepted: {size_bytes} bytes of data; at most {limit_bytes} are allowed")]
    DataTooLarge {
        /// The stream it was for.
        stream: StreamName,
        /// The data alone.
        size_bytes: usize,
        /// The setting.
        limit_bytes: usize,
    },
    /// The producer is closed, or its runtime has ended.
    #[error("record not accepted: the producer is closed")]
    Closed,
    /// Earlier records were not stored, and `fail_on_error` is set; this record was not accepted.
    #[error("record not accepted: earlier records were not stored (fail_on_error)")]
    Earlier(#[source] DeliveryError),
}

/// Why [`try_put`](crate::KinesisProducer::try_put) did not accept a record.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TryPutError {
    /// There is no room; the record comes back.
    #[error("record not accepted: the queue is full; wait, or use put")]
    QueueFull(Box<UserRecord>),
    /// The record is refused for another reason.
    #[error(transparent)]
    Put(#[from] PutError),
}

/// Why a flush is no success; all records that it waited for have an outcome.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FlushError {
    /// The producer's runtime ended, or it was closed before.
    #[error("nothing flushed: the producer is closed")]
    Closed,
    /// Records were not stored, and `fail_on_error` is set.
    #[error("flushed, but records were not stored (fail_on_error)")]
    Delivery(#[source] DeliveryError),
}

/// Why a stream was not opened; the producer goes on, and looks it up again for its next record.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The producer is closed, or its runtime has ended.
    #[error("{stream} not opened: the producer is closed")]
    Closed {
        /// The stream.
        stream: StreamName,
    },
    /// The stream could not be looked up; whether a retry may help is the request's error to say.
    #[error("{stream} not opened: it could not be looked up")]
    Request {
        /// The stream.
        stream: StreamName,
        /// Why.
        #[source]
        source: Arc<RequestError>,
    },
}

/// Why a close is no success; the producer is closed all the same.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CloseError {
    /// The time to close was over before all records had an outcome.
    #[error("closed after {limit:?} with {failed} records given up that are not stored, and {unknown} that may be")]
    DeadlinePassed {
        /// The time that it had.
        limit: Duration,
        /// How many are definitely not stored; they may be put again.
        failed: u64,
        /// How many may be stored.
        unknown: u64,
    },
    /// The producer's runtime ended before all outcomes were known.
    #[error("closed before all outcomes were known: the runtime ended")]
    Abandoned,
    /// Records were not stored, and `fail_on_error` is set.
    #[error("closed, but records were not stored (fail_on_error)")]
    Delivery(#[source] DeliveryError),
}

/// Why a producer was not built.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The system gave no thread, or no runtime for it.
    #[error("producer not built: no thread of its own")]
    Thread(#[source] io::Error),
    /// No client was given.
    #[error("producer not built: it has no client; give it one")]
    NoClient,
    /// A setting has a value that is not allowed.
    #[error("producer not built: {setting} = {value}; allowed: {allowed}")]
    OutOfRange {
        /// The setting's name.
        setting: &'static str,
        /// The value; milliseconds for a time.
        value: u64,
        /// What is allowed.
        allowed: &'static str,
    },
    /// A setting has a text or a time that is not allowed.
    #[error("producer not built: {setting} = {value:?}; allowed: {allowed}")]
    Invalid {
        /// The setting's name.
        setting: &'static str,
        /// The value, or its beginning.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
}

/// Records that were not stored, since the last time that this was surfaced.
#[derive(Clone, Debug, Error)]
#[error("{failed} records not stored, {unknown} may or may not be, the first of them on {stream}")]
#[non_exhaustive]
pub struct DeliveryError {
    /// How many are definitely not stored.
    pub failed: u64,
    /// How many may be stored.
    pub unknown: u64,
    /// The stream of the first.
    pub stream: StreamName,
    /// Why the first was given up.
    #[source]
    pub first: FailureCause,
}

impl DeliveryError {
    pub(crate) const fn new(stream: StreamName, first: FailureCause) -> Self {
        Self { failed: 0, unknown: 0, stream, first }
    }

    /// The error as a boxed cause.
    pub(crate) fn boxed(self) -> Box<dyn StdError + Send + Sync> {
        Box::new(self)
    }
}
