//! Replies as CBOR.

use cbor4ii::core::enc::Encode;
use cbor4ii::core::types::{Array, Bytes, Map, Null, Tag};
use cbor4ii::core::utils::BufWriter;
use kinesis_core::SequenceNumber;
use serde_json::Value;

use crate::engine::{ChildShard, GetRecordsReply, PushedEvent, PutOutcome, ReadRecord, StoredAt};
use crate::protocol::apply::Reply;
use crate::protocol::json;

/// The tag of a time (RFC 8949); the service counts milliseconds where the RFC has seconds.
const TIME: u64 = 1;

/// Bytes that only grow.
struct Writer(BufWriter);

impl Writer {
    fn with_capacity(bytes: usize) -> Self {
        Self(BufWriter::new(Vec::with_capacity(bytes)))
    }

    fn put(&mut self, item: impl Encode) {
        let written = item.encode(&mut self.0);
        debug_assert!(written.is_ok(), "memory is there");
    }

    fn map(&mut self, entries: usize) {
        let written = Map::bounded(entries, &mut self.0);
        debug_assert!(written.is_ok(), "memory is there");
    }

    fn list(&mut self, items: usize) {
        let written = Array::bounded(items, &mut self.0);
        debug_assert!(written.is_ok(), "memory is there");
    }

    /// A sequence number as text.
    fn number(&mut self, number: SequenceNumber) {
        let mut buffer = [0; _];
        let digits = std::str::from_utf8(number.write_digits(&mut buffer));
        debug_assert!(digits.is_ok(), "digits are ASCII");
        self.put(digits.unwrap_or_default());
    }

    fn entry(&mut self, name: &str, value: impl Encode) {
        self.put(name);
        self.put(value);
    }

    fn into_bytes(self) -> Vec<u8> {
        self.0.into_inner()
    }
}

/// Writes a reply; an operation that returns nothing has no body.
pub(in crate::protocol) fn reply(reply: &Reply) -> Vec<u8> {
    match reply {
        Reply::Put(stored) => put_record(stored),
        Reply::PutAll(outcomes) => put_records(outcomes),
        Reply::Records(reply) => records(reply),
        Reply::Body(tree) => value(tree),
        Reply::Subscribed(_) | Reply::Empty => Vec::new(),
    }
}

/// Writes a tree whose fractions are times: the API has no other.
pub(in crate::protocol) fn value(tree: &Value) -> Vec<u8> {
    let mut out = Writer::with_capacity(512);
    put_value(&mut out, tree);
    out.into_bytes()
}

fn put_value(out: &mut Writer, value: &Value) {
    match value {
        Value::Null => out.put(Null),
        Value::Bool(value) => out.put(*value),
        Value::String(text) => out.put(text.as_str()),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => out.put(number),
            (None, Some(number)) => out.put(number),
            (None, None) => put_time(out, (number.as_f64().unwrap_or_default() * 1000.0).round() as u64),
        },
        Value::Array(items) => {
            out.list(items.len());
            items.iter().for_each(|item| put_value(out, item));
        }
        Value::Object(entries) => {
            out.map(entries.len());
            for (key, value) in entries {
                out.put(key.as_str());
                put_value(out, value);
            }
        }
    }
}

fn put_time(out: &mut Writer, millis: u64) {
    out.put(Tag(TIME, millis));
}

fn put_record(stored: &StoredAt) -> Vec<u8> {
    let mut out = Writer::with_capacity(192);
    out.map(3);
    out.entry("ShardId", stored.shard.as_str());
    out.put("SequenceNumber");
    out.number(stored.sequence_number);
    out.entry("EncryptionType", json::encryption(stored.encrypted));
    out.into_bytes()
}

fn put_records(outcomes: &[PutOutcome]) -> Vec<u8> {
    let failed = outcomes.iter().filter(|outcome| outcome.is_err()).count();
    let mut out = Writer::with_capacity(64 + outcomes.len() * 112);
    out.map(3);
    out.entry("FailedRecordCount", failed as u64);
    out.put("Records");
    out.list(outcomes.len());
    for outcome in outcomes {
        out.map(2);
        match outcome {
            Ok(stored) => {
                out.put("SequenceNumber");
                out.number(stored.sequence_number);
                out.entry("ShardId", stored.shard.as_str());
            }
            Err(error) => {
                out.entry("ErrorCode", error.code());
                out.entry("ErrorMessage", error.message());
            }
        }
    }
    let encrypted = outcomes.iter().flatten().any(|stored| stored.encrypted);
    out.entry("EncryptionType", json::encryption(encrypted));
    out.into_bytes()
}

fn records(reply: &GetRecordsReply) -> Vec<u8> {
    let next = reply.next_iterator.as_deref().map(|iterator| ("NextShardIterator", iterator));
    read(&reply.records, reply.millis_behind_latest, next, &reply.child_shards)
}

/// The payload of an event of SubscribeToShard.
pub(in crate::protocol) fn pushed_event(event: &PushedEvent) -> Vec<u8> {
    let number = event.continuation.as_ref().map(ToString::to_string);
    let next = number.as_deref().map(|number| ("ContinuationSequenceNumber", number));
    read(&event.records, event.millis_behind_latest, next, &event.child_shards)
}

/// What was read, and where it goes on.
fn read(
    records: &[ReadRecord],
    millis_behind_latest: u64,
    next: Option<(&str, &str)>,
    child_shards: &[ChildShard],
) -> Vec<u8> {
    let size: u64 = records.iter().map(|record| record.body.size_bytes()).sum();
    let mut out = Writer::with_capacity(512 + size as usize + records.len() * 160);
    let has_children = !child_shards.is_empty();
    out.map(2 + usize::from(next.is_some()) + usize::from(has_children));
    out.put("Records");
    out.list(records.len());
    records.iter().for_each(|record| put_record_read(&mut out, record));
    out.entry("MillisBehindLatest", millis_behind_latest);
    if let Some((member, next)) = next {
        out.entry(member, next);
    }
    if has_children {
        out.put("ChildShards");
        put_value(&mut out, &json::child_shards_tree(child_shards));
    }
    out.into_bytes()
}

fn put_record_read(out: &mut Writer, record: &ReadRecord) {
    let key = record.body.partition_key();
    out.map(3 + usize::from(key.is_some()) + usize::from(record.encrypted));
    out.put("SequenceNumber");
    out.number(record.sequence_number);
    out.put("ApproximateArrivalTimestamp");
    put_time(out, record.arrived_millis);
    if let Some(key) = key {
        out.entry("PartitionKey", key);
    }
    out.entry("Data", Bytes(record.body.data()));
    if record.encrypted {
        out.entry("EncryptionType", json::encryption(true));
    }
}
