//! The records of one shard.

use std::collections::VecDeque;

use bytes::Bytes;
use kinesis_core::{HashKey, SequenceNumber};

/// The most bytes that one reply of GetRecords holds (API reference): 10 MiB.
pub(super) const MAX_REPLY_BYTES: u64 = 10 * 1024 * 1024;

/// Partition key and data of a record, in one buffer.
///
/// The records of one request share their allocation, so that a stored record costs little beyond its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordBody {
    bytes: Bytes,
    key_length: u16,
}

impl RecordBody {
    /// Makes a body of a buffer that begins with a partition key of `key_length` bytes.
    ///
    /// The key must be UTF-8 and end within the buffer; a length of zero is no key.
    pub(crate) fn new(bytes: Bytes, key_length: u16) -> Self {
        debug_assert!(std::str::from_utf8(&bytes[..usize::from(key_length)]).is_ok());
        Self { bytes, key_length }
    }

    pub(crate) fn partition_key(&self) -> Option<&str> {
        let key = &self.bytes[..usize::from(self.key_length)];
        let key = std::str::from_utf8(key).expect("invariant: the key was copied from a str");
        (!key.is_empty()).then_some(key)
    }

    pub(crate) fn data(&self) -> &[u8] {
        &self.bytes[usize::from(self.key_length)..]
    }

    pub(crate) fn data_bytes(&self) -> Bytes {
        self.bytes.slice(usize::from(self.key_length)..)
    }

    /// The bytes of key and data together, as the service counts them.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// How many bytes of the buffer are the partition key.
    pub(crate) const fn key_length(&self) -> u16 {
        self.key_length
    }

    /// Partition key and data.
    pub(crate) fn key_and_data(&self) -> &[u8] {
        &self.bytes
    }

    /// The same body in memory of its own.
    pub(crate) fn detached(&self) -> Self {
        Self { bytes: Bytes::copy_from_slice(&self.bytes), key_length: self.key_length }
    }
}

/// A record that someone wants to put.
#[derive(Clone, Debug)]
pub(crate) struct PutEntry {
    pub(crate) body: RecordBody,
    pub(crate) explicit_hash_key: Option<HashKey>,
}

impl PutEntry {
    pub(crate) fn hash_key(&self) -> HashKey {
        let of_key = || HashKey::of_partition_key(self.body.partition_key().unwrap_or_default());
        self.explicit_hash_key.unwrap_or_else(of_key)
    }
}

#[derive(Debug)]
struct StoredRecord {
    index: u64,
    arrived_millis: u64,
    body: RecordBody,
    encrypted: bool,
}

/// A record that was read.
#[derive(Clone, Debug)]
pub(crate) struct ReadRecord {
    pub(crate) sequence_number: SequenceNumber,
    pub(crate) arrived_millis: u64,
    pub(crate) body: RecordBody,
    pub(crate) encrypted: bool,
}

/// What a read found in the log.
#[derive(Debug)]
pub(super) struct LogRead<'a> {
    records: Vec<&'a StoredRecord>,
    pub(super) size_bytes: u64,
    /// The index to go on from.
    pub(super) next_index: u64,
    /// When the next record that was not read arrived; nothing where there is none.
    pub(super) next_arrived_millis: Option<u64>,
}

impl LogRead<'_> {
    /// When the last record that was read arrived.
    pub(super) fn last_read_millis(&self) -> Option<u64> {
        self.records.last().map(|record| record.arrived_millis)
    }

    /// How far behind the tip a reader is after the read: as old as the last record that was read while there is more,
    /// at least 1; zero is kept for the tip.
    pub(super) fn millis_behind(&self, now_millis: u64) -> u64 {
        self.next_arrived_millis.map_or(0, |arrived_millis| {
            now_millis.saturating_sub(self.last_read_millis().unwrap_or(arrived_millis)).max(1)
        })
    }

    /// The records that were read, numbered by `number(index, arrived_millis)`.
    pub(super) fn numbered(&self, number: impl Fn(u64, u64) -> SequenceNumber) -> Vec<ReadRecord> {
        self.records
            .iter()
            .map(|record| ReadRecord {
                sequence_number: number(record.index, record.arrived_millis),
                arrived_millis: record.arrived_millis,
                body: record.body.clone(),
                encrypted: record.encrypted,
            })
            .collect()
    }
}

/// The records of one shard in order, oldest first.
#[derive(Debug, Default)]
pub(super) struct RecordLog {
    records: VecDeque<StoredRecord>,
    size_bytes: u64,
    last_arrived_millis: u64,
}

impl RecordLog {
    /// Appends a record and returns when it arrived; arrival never goes back, whatever the clock does.
    pub(super) fn append(&mut self, index: u64, now_millis: u64, body: RecordBody, encrypted: bool) -> u64 {
        self.last_arrived_millis = self.last_arrived_millis.max(now_millis);
        self.size_bytes += body.size_bytes();
        self.records.push_back(StoredRecord { index, arrived_millis: self.last_arrived_millis, body, encrypted });
        self.last_arrived_millis
    }

    /// Drops what arrived before `millis`.
    pub(super) fn trim_before(&mut self, millis: u64) {
        while let Some(oldest) = self.records.front().filter(|record| record.arrived_millis < millis) {
            self.size_bytes -= oldest.body.size_bytes();
            self.records.pop_front();
        }
        if self.records.is_empty() {
            self.records.shrink_to(0);
        }
    }

    /// The index of the first record that arrived at `millis` or later.
    pub(super) fn index_at(&self, millis: u64) -> Option<u64> {
        let at = self.records.partition_point(|record| record.arrived_millis < millis);
        self.records.get(at).map(|record| record.index)
    }

    /// Reads from the record `from_index` on: at most `limit` records and 10 MiB, but one if there is one.
    pub(super) fn read(&self, from_index: u64, limit: usize) -> LogRead<'_> {
        self.read_within(from_index, limit, MAX_REPLY_BYTES)
    }

    /// Whether there is the record `from_index` or a later one.
    pub(super) fn has_from(&self, from_index: u64) -> bool {
        self.records.back().is_some_and(|last| last.index >= from_index)
    }

    /// Reads from the record `from_index` on: at most `limit` records and `max_bytes`, but one if there is one.
    pub(super) fn read_within(&self, from_index: u64, limit: usize, max_bytes: u64) -> LogRead<'_> {
        let start = self.records.partition_point(|record| record.index < from_index);
        let mut read = LogRead {
            records: Vec::with_capacity(limit.min(self.records.len() - start)),
            size_bytes: 0,
            next_index: from_index,
            next_arrived_millis: None,
        };
        for record in self.records.range(start..) {
            let size_bytes = read.size_bytes + record.body.size_bytes();
            if read.records.len() == limit || (!read.records.is_empty() && size_bytes > max_bytes) {
                read.next_arrived_millis = Some(record.arrived_millis);
                break;
            }
            read.size_bytes = size_bytes;
            read.next_index = record.index + 1;
            read.records.push(record);
        }
        read
    }

    /// The index of the first record that is there.
    pub(super) fn oldest_index(&self) -> Option<u64> {
        self.records.front().map(|record| record.index)
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(data: &[u8]) -> RecordBody {
        RecordBody::new(Bytes::from([b"key".as_slice(), data].concat()), 3)
    }

    fn log(count: u64) -> RecordLog {
        let mut log = RecordLog::default();
        for index in 0..count {
            log.append(index * 3, 1000 + index, body(b"data"), false);
        }
        log
    }

    #[test]
    fn a_body_is_key_then_data() {
        let body = body(b"data");
        assert_eq!((body.partition_key(), body.data(), body.size_bytes()), (Some("key"), b"data".as_slice(), 7));
        assert_eq!(body.detached(), body);
    }

    #[test]
    fn a_read_goes_on_where_the_last_one_ended() {
        let log = log(5);
        let first = log.read(0, 2);
        assert_eq!((first.records.len(), first.next_index, first.next_arrived_millis), (2, 4, Some(1002)));
        let rest = log.read(first.next_index, 100);
        assert_eq!((rest.records.len(), rest.next_index, rest.next_arrived_millis), (3, 13, None));
        assert_eq!(log.read(13, 100).next_index, 13);
    }

    #[test]
    fn a_reply_holds_ten_mebibytes_but_always_one_record() {
        let mut log = RecordLog::default();
        for index in 0..4 {
            log.append(index, 0, body(&vec![0; 4 * 1024 * 1024]), false);
        }
        assert_eq!(log.read(0, 100).records.len(), 2);
        log.append(4, 0, body(&vec![0; 10 * 1024 * 1024]), false);
        assert_eq!(log.read(4, 100).records.len(), 1);
    }

    #[test]
    fn trimming_keeps_what_arrived_since() {
        let mut log = log(5);
        log.trim_before(1003);
        assert_eq!((log.len(), log.size_bytes(), log.index_at(0)), (2, 14, Some(9)));
    }

    #[test]
    fn arrival_never_goes_back() {
        let mut log = RecordLog::default();
        assert_eq!(log.append(0, 1000, body(b""), false), 1000);
        assert_eq!(log.append(1, 400, body(b""), false), 1000);
        assert_eq!((log.index_at(1000), log.index_at(1001)), (Some(0), None));
    }
}
