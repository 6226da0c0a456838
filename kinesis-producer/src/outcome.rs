//! What became of a record.

use std::sync::Arc;
use std::time::Duration;

use kinesis_core::{RequestError, SequenceNumber, ShardId};
use thiserror::Error;
use tokio::time::Instant;

/// How many attempts a record keeps: the latest.
const KEPT_ATTEMPTS: usize = 32;

/// What became of a record: exactly one of three.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The record is stored, in that place.
    Stored {
        /// The shard.
        shard: ShardId,
        /// The number of the Kinesis record.
        sequence_number: SequenceNumber,
        /// The place within an aggregate, from 0; 0 for a record that went alone.
        sub_sequence_number: u64,
        /// What was tried.
        attempts: Attempts,
    },
    /// The record is definitely not stored; it may be put again.
    Failed {
        /// Why.
        cause: FailureCause,
        /// What was tried.
        attempts: Attempts,
    },
    /// The record may be stored, once or more often: an attempt had no clear answer.
    Unknown {
        /// Why it was given up.
        cause: FailureCause,
        /// What was tried.
        attempts: Attempts,
    },
}

impl Outcome {
    /// Whether the record is stored for certain.
    pub const fn is_stored(&self) -> bool {
        matches!(self, Self::Stored { .. })
    }

    /// The same for the member at that place of an aggregate.
    pub(crate) fn at(&self, index: u32) -> Self {
        let mut outcome = self.clone();
        if let Self::Stored { sub_sequence_number, .. } = &mut outcome {
            *sub_sequence_number = u64::from(index);
        }
        outcome
    }

    /// What was tried.
    pub const fn attempts(&self) -> &Attempts {
        match self {
            Self::Stored { attempts, .. } | Self::Failed { attempts, .. } | Self::Unknown { attempts, .. } => attempts,
        }
    }

    /// The outcome as a result, for `?`.
    ///
    /// # Errors
    /// [`RecordError`] where the record is not stored for certain; it says which of the two it is.
    pub fn into_result(self) -> Result<StoredRecord, RecordError> {
        match self {
            Self::Stored { shard, sequence_number, sub_sequence_number, .. } => {
                Ok(StoredRecord { shard, sequence_number, sub_sequence_number })
            }
            Self::Failed { cause, attempts } => Err(RecordError::Failed { attempts: attempts.count(), cause }),
            Self::Unknown { cause, attempts } => Err(RecordError::Unknown { attempts: attempts.count(), cause }),
        }
    }
}

/// Where a record is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredRecord {
    /// The shard.
    pub shard: ShardId,
    /// The number of the Kinesis record.
    pub sequence_number: SequenceNumber,
    /// The place within an aggregate, from 0.
    pub sub_sequence_number: u64,
}

/// A record that is not stored for certain.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The record is definitely not stored; a put again is safe.
    #[error("record not stored after {attempts} attempts")]
    Failed {
        /// How often it was tried.
        attempts: u32,
        /// Why it was given up.
        #[source]
        cause: FailureCause,
    },
    /// The record may be stored; a put again may store it twice.
    #[error("record may or may not be stored after {attempts} attempts; put it again if a duplicate does no harm")]
    Unknown {
        /// How often it was tried.
        attempts: u32,
        /// Why it was given up.
        #[source]
        cause: FailureCause,
    },
}

/// Why a record was given up.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum FailureCause {
    /// The service refused the whole request, or it could not be made.
    #[error(transparent)]
    Request(Arc<RequestError>),
    /// The service refused this record for good.
    #[error("the service refused the record: {code}: {message}")]
    Refused {
        /// The service's error code.
        code: Arc<str>,
        /// The service's message.
        message: Arc<str>,
    },
    /// The record's time ran out.
    #[error("not stored within {ttl:?} (record_ttl); the last attempt: {last}")]
    Expired {
        /// The time that it had.
        ttl: Duration,
        /// What the last attempt came to, or that there was none.
        last: Arc<str>,
    },
    /// The record is larger than its stream allows, data and partition key together.
    #[error("record of {size_bytes} bytes exceeds the stream's limit of {limit_bytes}; split it or raise the limit")]
    RecordTooLarge {
        /// Data and partition key.
        size_bytes: usize,
        /// The stream's limit.
        limit_bytes: usize,
    },
    /// An earlier record of the key has an unknown outcome, so that the order can no longer be kept.
    #[error("an earlier record of this partition key may be stored late; acknowledge that before putting more")]
    OrderBroken,
    /// The stream does not place records by partition key, so that they have no order.
    #[error("the stream distributes records by itself (AUTO), so that ordered mode is not possible; switch it off")]
    OrderUnavailable,
    /// The service throttled the record, and `fail_if_throttled` is set.
    #[error("the service throttled the record (fail_if_throttled): {code}: {message}")]
    Throttled {
        /// The service's error code.
        code: Arc<str>,
        /// The service's message.
        message: Arc<str>,
    },
    /// The producer was closed with a deadline, which passed before the record was stored.
    #[error("not stored within the {limit:?} that closing the producer was allowed to take")]
    Closed {
        /// The time that it had.
        limit: Duration,
    },
    /// The producer was dropped or its runtime ended before the outcome was known.
    #[error("the producer ended before the outcome was known; close it to wait for all outcomes")]
    Abandoned,
}

/// One try to store a record.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// When the request was made.
    pub started: Instant,
    /// How long its answer took.
    pub duration: Duration,
    /// What it came to.
    pub result: AttemptResult,
}

/// What an attempt came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttemptResult {
    /// The record was stored.
    Stored,
    /// The record was not stored.
    Refused {
        /// The service's error code, or the kind of failure.
        code: Arc<str>,
        /// The message with it.
        message: Arc<str>,
    },
    /// The record may have been stored.
    Ambiguous {
        /// The service's error code, or the kind of failure.
        code: Arc<str>,
        /// The message with it.
        message: Arc<str>,
    },
    /// The aggregate was stored in a shard that not all members belong to, so that the KCL drops it.
    WrongShard {
        /// The shard that it landed on.
        shard: ShardId,
    },
}

impl AttemptResult {
    /// Whether a copy of the record may have been left behind that does not count.
    pub(crate) const fn may_be_stored(&self) -> bool {
        matches!(self, Self::Ambiguous { .. } | Self::WrongShard { .. })
    }

    pub(crate) fn text(&self) -> String {
        match self {
            Self::Stored => "stored".to_owned(),
            Self::Refused { code, message } | Self::Ambiguous { code, message } => format!("{code}: {message}"),
            Self::WrongShard { shard } => format!("landed on {shard}, which not all members belong to"),
        }
    }
}

/// The tries to store a record, the latest 32 of them.
///
/// The members of an aggregate share them; cloning is cheap.
#[derive(Clone, Debug, Default)]
pub struct Attempts {
    kept: Arc<[Attempt]>,
    count: u32,
}

impl Attempts {
    /// How many there were in all.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Those that are kept, oldest first.
    pub fn iter(&self) -> std::slice::Iter<'_, Attempt> {
        self.kept.iter()
    }
}

impl<'a> IntoIterator for &'a Attempts {
    type Item = &'a Attempt;
    type IntoIter = std::slice::Iter<'a, Attempt>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The attempts while there may be more of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    attempts: Vec<Attempt>,
    count: u32,
    may_be_stored: bool,
}

impl History {
    pub(crate) fn push(&mut self, attempt: Attempt) {
        self.may_be_stored |= attempt.result.may_be_stored();
        self.count = self.count.saturating_add(1);
        if self.attempts.len() == KEPT_ATTEMPTS {
            self.attempts.remove(0);
        }
        self.attempts.push(attempt);
    }

    /// Appends what came after.
    pub(crate) fn extend(&mut self, later: &Self) {
        let count = self.count.saturating_add(later.count);
        let may_be_stored = self.may_be_stored || later.may_be_stored;
        later.attempts.iter().for_each(|attempt| self.push(attempt.clone()));
        (self.count, self.may_be_stored) = (count, may_be_stored);
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) const fn count(&self) -> u32 {
        self.count
    }

    /// Whether an attempt may have left a copy that is not acknowledged.
    pub(crate) const fn may_be_stored(&self) -> bool {
        self.may_be_stored
    }

    /// The attempts that are kept, each with whether the one before it is kept too or there was none.
    pub(crate) fn follow(&self) -> impl Iterator<Item = (&Attempt, bool)> {
        let is_whole = self.count as usize == self.attempts.len();
        self.attempts.iter().enumerate().map(move |(index, attempt)| (attempt, is_whole || index > 0))
    }

    /// What the last attempt came to.
    pub(crate) fn last(&self) -> Arc<str> {
        let last = self.attempts.last();
        last.map_or_else(|| "none was made".into(), |attempt| attempt.result.text().into())
    }

    pub(crate) fn to_attempts(&self) -> Attempts {
        Attempts { kept: self.attempts.as_slice().into(), count: self.count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(result: AttemptResult) -> Attempt {
        Attempt { started: Instant::now(), duration: Duration::from_millis(5), result }
    }

    fn refused(code: &str) -> AttemptResult {
        AttemptResult::Refused { code: code.into(), message: "x".into() }
    }

    #[test]
    fn a_long_history_keeps_the_latest_and_the_count() {
        let mut history = History::default();
        for index in 0..100 {
            history.push(attempt(refused(&index.to_string())));
        }
        let attempts = history.to_attempts();
        assert_eq!((attempts.count(), attempts.iter().count()), (100, KEPT_ATTEMPTS));
        assert_eq!(attempts.iter().next_back().unwrap().result, refused("99"));
    }

    #[test]
    fn one_ambiguous_attempt_is_never_forgotten() {
        let mut history = History::default();
        history.push(attempt(AttemptResult::Ambiguous { code: "Timeout".into(), message: "x".into() }));
        let mut record = History::default();
        record.extend(&history);
        for _ in 0..100 {
            record.push(attempt(refused("x")));
        }
        assert!(record.may_be_stored());
        assert_eq!(record.count(), 101);
    }
}
