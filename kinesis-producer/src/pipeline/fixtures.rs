//! Records and instants for the tests of the decisions.

use std::sync::OnceLock;

use kinesis_core::{HashKey, StreamName};
use tokio::time::Instant;

use super::ledger::Ledger;
use super::unit::{QueuedRecord, Tracker};
use crate::acknowledgement::{Places, PutHandle};

/// The instant that all tests of a process count from.
pub(crate) fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

pub(crate) fn stream() -> StreamName {
    "orders".parse().unwrap()
}

/// Accounts of one stream.
pub(crate) fn ledger() -> Ledger {
    let mut ledger = Ledger::new(usize::MAX);
    ledger.add_account();
    ledger
}

/// A record that nobody waits for.
pub(crate) fn record(sequence: u64, key: &str, data: &[u8]) -> QueuedRecord {
    record_at(sequence, key, data, start())
}

pub(crate) fn record_at(sequence: u64, key: &str, data: &[u8], accepted_at: Instant) -> QueuedRecord {
    awaited_record(sequence, key, data, accepted_at).0
}

/// A record, and where its outcome arrives.
pub(crate) fn awaited_record(sequence: u64, key: &str, data: &[u8], accepted_at: Instant) -> (QueuedRecord, PutHandle) {
    let (responder, outcome) = Places::default().next();
    let record = QueuedRecord {
        partition_key: key.to_owned(),
        explicit_hash_key: None,
        hash_key: HashKey::of_partition_key(key),
        data: data.to_vec().into(),
        tracker: Tracker {
            responder,
            accepted_at,
            sequence,
            account: 0,
            generation: 0,
            size_bytes: (key.len() + data.len()) as u32,
            data_bytes: data.len() as u32,
            history: None,
        },
    };
    (record, outcome)
}
