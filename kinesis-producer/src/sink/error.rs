//! The errors of a sink's calls.

use std::error::Error as StdError;
use std::sync::Arc;

use kinesis_core::{ParseStreamNameError, StreamName};
use thiserror::Error;

use super::BoxError;
use crate::error::{DeliveryError, PutError};

/// Why an element was not accepted; unless it says so itself, nothing of it is stored, and no other element is touched.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The schema failed on the element.
    #[error("element not written: its schema failed")]
    Schema(#[source] BoxError),
    /// Neither the schema nor the sink names a stream.
    #[error("element not written: its schema names no stream, and the sink has no stream of its own; give it one")]
    NoStream,
    /// The producer refused the record.
    #[error(transparent)]
    Put(#[from] PutError),
    /// Elements that were accepted earlier are lost to the stream; this one was not accepted.
    #[error("element not written: an earlier one was not delivered; restore the job from its last checkpoint")]
    Earlier(#[source] SinkFailure),
    /// The sink's task has ended, with its runtime or by a panic of the dead-letter hook.
    ///
    /// Whether the element was accepted is not known.
    #[error("the sink has ended: its runtime did, or its dead-letter hook panicked; build it again")]
    Ended,
}

/// Why a flush of a sink is no success; what it waited for has its outcomes, unless the sink has ended.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SinkFlushError {
    /// Elements that were accepted are lost to the stream.
    #[error("flushed, but not everything was delivered; restore the job from its last checkpoint")]
    Earlier(#[source] SinkFailure),
    /// The producer has `fail_on_error` set itself, and tells of records, whoever put them.
    #[error("flushed, but the producer, which has `fail_on_error` set itself, tells of records that were not stored")]
    Producer(#[source] DeliveryError),
    /// The sink's task has ended, with its runtime or by a panic of the dead-letter hook.
    #[error("the sink has ended: its runtime did, or its dead-letter hook panicked; build it again")]
    Ended,
}

/// What went wrong with elements after they were accepted, since the last time that this was told.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum SinkFailure {
    /// They were not stored, and `fail_on_error` is set.
    #[error(transparent)]
    Delivery(DeliveryError),
    /// They were not stored, and the dead-letter hook did not take them either.
    #[error(transparent)]
    DeadLetter(DeadLetterError),
}

impl SinkFailure {
    /// The stream of the first element concerned.
    pub const fn stream(&self) -> &StreamName {
        match self {
            Self::Delivery(error) => &error.stream,
            Self::DeadLetter(error) => &error.stream,
        }
    }

    /// Counts a later failure in.
    pub(super) const fn add(&mut self, later: &Self) {
        match (self, later) {
            (Self::Delivery(known), Self::Delivery(later)) => {
                known.failed += later.failed;
                known.unknown += later.unknown;
            }
            (Self::DeadLetter(known), Self::DeadLetter(later)) => known.letters += later.letters,
            // A sink has either a hook or `fail_on_error`, so that its failures are of one kind.
            (Self::Delivery(_), Self::DeadLetter(_)) | (Self::DeadLetter(_), Self::Delivery(_)) => {}
        }
    }
}

/// Records that were not stored and that the dead-letter hook did not take.
#[derive(Clone, Debug, Error)]
#[error("{letters} records were not stored, nor taken by the dead-letter hook; the first of them was for {stream}")]
#[non_exhaustive]
pub struct DeadLetterError {
    /// How many.
    pub letters: u64,
    /// The stream of the first.
    pub stream: StreamName,
    /// The hook's first error.
    #[source]
    pub first: Arc<dyn StdError + Send + Sync>,
}

impl DeadLetterError {
    pub(super) fn new(stream: StreamName, first: BoxError) -> Self {
        Self { letters: 1, stream, first: Arc::from(first) }
    }
}

/// Why a sink was not built.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SinkBuildError {
    /// Something that it needs was not given.
    #[error("sink not built: it has no {what}; call `{method}`")]
    Missing {
        /// What is missing.
        what: &'static str,
        /// The builder's method that takes it.
        method: &'static str,
    },
    /// The name of its stream has not the form of one.
    #[error(transparent)]
    InvalidStream(ParseStreamNameError),
    /// The queue limit is zero.
    #[error("sink not built: queue_limit = 0; allowed: at least 1, or `unbounded_queue`")]
    NoRoom,
    /// A dead-letter hook was given, and `fail_on_error` is set, so that it would never be called.
    #[error("sink not built: with `fail_on_error` a failure fails the job, so that `dead_letters` gets none; drop one")]
    DeadLettersUnused,
}
