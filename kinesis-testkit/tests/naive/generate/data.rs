//! Operations that write and read records.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Generator;
use crate::model::{Model, Stream, shard_id};

const TWO_TO_THE_128TH: &str = "340282366920938463463374607431768211456";
/// "", "x", "yy", "zzz", and three bytes that are no text, in base64.
const DATA: [&str; 5] = ["", "eA==", "eXk=", "enp6", "/wD+"];

/// One record in so many is as large as may be; each costs a debug build tens of milliseconds.
const LARGE_RECORDS: u64 = 4_000;
const MOST_KIB: u64 = 1025;

impl Generator {
    pub(super) fn put_record(&mut self, model: &Model) -> Value {
        let (_, it) = self.stream(model);
        let name = it.name.clone();
        let mut input = self.address_of(&name);
        self.entry(it, &mut input);
        if self.one_in(10)
            && let Some(record) = self.pick(&it.records)
        {
            input["SequenceNumberForOrdering"] = json!(record.number);
        }
        input
    }

    pub(super) fn put_records(&mut self, model: &Model) -> Value {
        let (_, it) = self.stream(model);
        let name = it.name.clone();
        let mut input = self.address_of(&name);
        let mut entries = Vec::new();
        for _ in 0..=self.below(4) {
            let mut entry = json!({});
            self.entry(it, &mut entry);
            entries.push(entry);
        }
        if self.one_in(5) {
            entries.push(entries[0].clone());
        }
        input["Records"] = json!(entries);
        input
    }

    fn entry(&mut self, it: &Stream, entry: &mut Value) {
        entry["PartitionKey"] = json!(format!("k{}", self.below(6)));
        entry["Data"] = json!(self.of(DATA));
        let open = it.open_shards();
        let edge = self.pick(&open).map(|shard| (it.shards[shard].start, it.shards[shard].end));
        let (start, end) = edge.unwrap_or_default();
        if self.one_in(LARGE_RECORDS) && it.max_record_kib <= MOST_KIB {
            // As large as the stream allows with the key, or a byte more.
            let key = entry["PartitionKey"].as_str().unwrap_or_default().len() as u64;
            let size = it.max_record_kib * 1024 - key + self.below(2);
            entry["Data"] = json!(STANDARD.encode(vec![b'x'; size as usize]));
        }
        match self.below(100) {
            0 => entry["PartitionKey"] = json!(self.of(["".to_owned(), "x".repeat(257)])),
            1 => entry["PartitionKey"] = json!("ä".repeat(256)),
            2 => entry["ExplicitHashKey"] = json!(self.of(["007", "-1", "1e9"])),
            3 => entry["ExplicitHashKey"] = json!(TWO_TO_THE_128TH),
            4..30 => entry["ExplicitHashKey"] = json!(start.to_string()),
            30..50 => entry["ExplicitHashKey"] = json!(end.to_string()),
            _ => {}
        }
    }

    pub(super) fn get_shard_iterator(&mut self, model: &Model) -> Value {
        let (stream, it) = self.stream(model);
        let shard = self.readable(it);
        let name = it.name.clone();
        let mut input = self.address_of(&name);
        input["ShardId"] = json!(shard_id(shard));
        match self.below(100) {
            0..30 => input["ShardIteratorType"] = json!("TRIM_HORIZON"),
            30..45 => input["ShardIteratorType"] = json!("LATEST"),
            45..65 => {
                input["ShardIteratorType"] = json!("AT_TIMESTAMP");
                input["Timestamp"] = json!(self.time(model, stream) as f64 / 1000.0);
            }
            65..97 => {
                input["ShardIteratorType"] = json!(self.of(["AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"]));
                if let Some(number) = self.number(model, it, shard) {
                    input["StartingSequenceNumber"] = json!(number);
                }
            }
            // What an iterator type needs is missing, or what it refuses is there.
            97 => input["ShardIteratorType"] = json!(self.of(["AT_TIMESTAMP", "AT_SEQUENCE_NUMBER"])),
            98 => {
                input["ShardIteratorType"] = json!(self.of(["TRIM_HORIZON", "LATEST"]));
                input["StartingSequenceNumber"] = json!("12345");
            }
            _ => {
                input["ShardIteratorType"] = json!("LATEST");
                input["ShardId"] = json!(self.of(["none", "a b"]));
            }
        }
        input
    }

    /// A shard to read: an open one, a closed one, one with records.
    fn readable(&mut self, it: &Stream) -> usize {
        let closed: Vec<usize> = (0..it.shards.len()).filter(|shard| !it.is_open(*shard)).collect();
        let drawn = match self.below(3) {
            0 => self.pick(&it.records).map(|record| record.shard),
            1 => self.pick(&closed),
            _ => None,
        };
        drawn.unwrap_or_else(|| self.shard(it))
    }

    /// A sequence number of the shard, its start or end, or one that belongs elsewhere.
    fn number(&mut self, model: &Model, it: &Stream, shard: usize) -> Option<String> {
        let own: Vec<String> = it.records_of(shard).into_iter().map(|record| record.number.clone()).collect();
        let bounds: Vec<String> = it
            .shards
            .get(shard)
            .map(|shard| shard.first.iter().chain(&shard.last).cloned().collect())
            .unwrap_or_default();
        let earlier = model.streams.iter().filter(|other| other.name == it.name && other.created <= it.created);
        let elsewhere: Vec<String> =
            earlier.flat_map(|other| other.records.iter().map(|record| record.number.clone())).collect();
        match self.below(20) {
            0 => Some(self.of(["0", "12345"]).to_owned()),
            1..5 => self.pick(&elsewhere),
            5..9 => self.pick(&bounds),
            _ => self.pick(&own),
        }
    }

    pub(super) fn get_records(&mut self, model: &Model) -> Option<Value> {
        let count = model.iterators.len();
        let newest = &model.iterators[count.saturating_sub(3)..];
        let (iterator, position) = if self.one_in(4) { self.pick(&model.iterators) } else { self.pick(newest) }?;
        let mut input = json!({ "ShardIterator": iterator });
        if self.one_in(20) {
            input["StreamARN"] = json!(model.streams[position.stream].arn());
        }
        match self.below(100) {
            0 => input["Limit"] = json!(self.of([0, 10_001])),
            1 => input["Limit"] = json!(10_000),
            2 => input["ShardIterator"] = json!(self.of(["garbage", "Z2FyYmFnZQ=="])),
            3..55 => input["Limit"] = json!(1 + self.below(3)),
            _ => {}
        }
        Some(input)
    }
}
