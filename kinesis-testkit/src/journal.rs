//! The ground truth: what was applied, and what was answered.

use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::Bytes;
use kinesis_core::{HashKey, SequenceNumber, ShardId, StreamName};

use crate::engine::RecordBody;
use crate::operation::Operation;

/// A record that was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalRecord {
    pub(crate) call: u64,
    pub(crate) stream: StreamName,
    pub(crate) shard: ShardId,
    pub(crate) sequence_number: SequenceNumber,
    pub(crate) explicit_hash_key: Option<HashKey>,
    pub(crate) body: RecordBody,
    pub(crate) arrived_at: SystemTime,
}

impl JournalRecord {
    /// The [id](JournalCall::id) of the call that stored the record.
    pub const fn call(&self) -> u64 {
        self.call
    }

    /// The stream that holds the record.
    pub const fn stream(&self) -> &StreamName {
        &self.stream
    }

    /// The shard that took the record.
    pub const fn shard(&self) -> &ShardId {
        &self.shard
    }

    /// The record's sequence number.
    pub const fn sequence_number(&self) -> SequenceNumber {
        self.sequence_number
    }

    /// The partition key; empty where the writer gave none.
    pub fn partition_key(&self) -> &str {
        self.body.partition_key().unwrap_or_default()
    }

    /// The explicit hash key, where the writer gave one.
    pub const fn explicit_hash_key(&self) -> Option<HashKey> {
        self.explicit_hash_key
    }

    /// The record's data; shares the memory of the stored record.
    pub fn data(&self) -> Bytes {
        self.body.data_bytes()
    }

    /// When the record arrived, as readers are told.
    pub const fn arrived_at(&self) -> SystemTime {
        self.arrived_at
    }
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallOutcome {
    /// It was carried out.
    Applied,
    /// It was refused, with this error code.
    Refused(String),
    /// The connection broke before anything was applied.
    Reset,
    /// It was never answered, and nothing was applied.
    Hung,
}

/// A call that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JournalCall {
    /// The call's number, counted from 1 in the order in which calls came in.
    pub id: u64,
    /// The operation's name, as the caller wrote it.
    pub operation: String,
    /// The stream that the call was about, where it named one.
    pub stream: Option<StreamName>,
    /// When it was carried out or refused.
    pub at: SystemTime,
    /// How it ended.
    pub outcome: CallOutcome,
    /// How many of its records were stored.
    pub stored_records: u64,
    /// How many of its records were refused one by one.
    pub failed_records: u64,
    /// Whether a fault kept the answer from the caller.
    pub reply_lost: bool,
}

/// What the fake knows and its callers may not.
///
/// Records stand in the order in which they were stored, calls in the order in which they were carried out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Journal {
    /// Every record that was stored, also those that retention has removed.
    pub records: Vec<JournalRecord>,
    /// Every call.
    pub calls: Vec<JournalCall>,
}

/// How often an operation was called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallCounts {
    /// All calls, those that were never answered too.
    pub calls: u64,
    /// Calls that were refused as a whole.
    pub refused: u64,
    /// Calls whose answer was kept back by a fault: lost replies, resets, hangs.
    pub unanswered: u64,
    /// Records that were stored.
    pub stored_records: u64,
    /// Records that were refused one by one.
    pub failed_records: u64,
}

/// The counters of every operation, which are always kept.
pub(crate) type Counters = BTreeMap<Operation, CallCounts>;
