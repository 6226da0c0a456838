//! The ground truth: what was applied, and what was answered.

mod call;
mod json;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use kinesis_core::{HashKey, SequenceNumber, ShardId, StreamName};

pub use call::{CallName, CallOutcome, Delivery, FaultMark, JournalCall, RequestId};

use crate::engine::{Place, RecordBody};
use crate::faults::OperatorEvent;
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
    pub(crate) elsewhere: Option<Arc<Place>>,
}

impl JournalRecord {
    /// The account and the region of the stream, where they are not those that the fake was built for.
    pub fn elsewhere(&self) -> Option<(&str, &str)> {
        self.elsewhere.as_deref().map(Place::names)
    }

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

/// What the fake knows and its callers may not.
///
/// Records stand in the order in which they were stored, calls in the order in which they were carried out. A call
/// takes 128 bytes, and no more where it is of a known operation and not refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Journal {
    /// Every record that was stored, also those that retention has removed.
    pub records: Vec<JournalRecord>,
    /// Every call, and every delivery of a request again.
    pub calls: Vec<JournalCall>,
    /// What operators did by [`Fault::Operate`](crate::Fault::Operate), in the order in which they did it.
    pub events: Vec<JournalEvent>,
}

/// Something that an operator did between two calls.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JournalEvent {
    /// The [id](JournalCall::id) of the call that it came just before.
    pub before_call: u64,
    /// How many calls stand before it in the journal.
    pub(crate) after_calls: usize,
    /// When it happened, which for a jump of the clock is the time before.
    pub at: SystemTime,
    /// The index of the rule, counted from 0 over all that were ever injected into the fake.
    pub rule: u32,
    /// What was asked for; shards that were left open stand here as they were chosen.
    pub event: OperatorEvent,
    /// The error code, where the service refused it.
    pub refused: Option<String>,
}

/// How often an operation was called.
///
/// Requests that a fault delivered again, or late, are counted once, when they came in; their records always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallCounts {
    /// All calls, those that were never answered too.
    pub calls: u64,
    /// Calls that were refused as a whole.
    pub refused: u64,
    /// Calls whose answer was kept back by a fault, or replaced by an error although they were applied.
    pub unanswered: u64,
    /// Records that were stored.
    pub stored_records: u64,
    /// Records that were refused one by one.
    pub failed_records: u64,
    /// Records that were stored although the reply says that they failed.
    pub misreported_records: u64,
    /// Records that readers were given: those of replies, also of lost ones, and of events once they were taken.
    pub read_records: u64,
}

/// The counters of every operation, which are always kept.
pub(crate) type Counters = BTreeMap<Operation, CallCounts>;
