//! PutRecord and PutRecords.

use md5::{Digest, Md5};
use serde_json::{Value, json};

use super::{Answer, Answered, Learn, Model, Record, Refusal, State, refuse, shard_id};

impl Model {
    pub(super) fn put_record(&mut self, input: &Value) -> Answered {
        let stream = self.writable(input)?;
        self.check_size(stream, input)?;
        let shard = self.target(stream, input)?;
        self.check_ordering_number(stream, &input["SequenceNumberForOrdering"])?;
        let number = self.store(stream, shard, input);
        let body = json!({
            "ShardId": shard_id(shard),
            "SequenceNumber": "$0",
            "EncryptionType": self.encryption(stream),
        });
        Ok(Answer::Body(body, vec![number]))
    }

    pub(super) fn put_records(&mut self, input: &Value) -> Answered {
        let stream = self.writable(input)?;
        let entries = input["Records"].as_array().unwrap();
        entries.iter().try_for_each(|entry| self.check_size(stream, entry))?;
        let shards: Result<Vec<usize>, Refusal> = entries.iter().map(|entry| self.target(stream, entry)).collect();
        let (mut learn, mut results) = (Vec::new(), Vec::new());
        for (entry, shard) in entries.iter().zip(shards?) {
            results.push(json!({ "ShardId": shard_id(shard), "SequenceNumber": format!("${}", learn.len()) }));
            learn.push(self.store(stream, shard, entry));
        }
        let body = json!({ "FailedRecordCount": 0, "Records": results, "EncryptionType": self.encryption(stream) });
        Ok(Answer::Body(body, learn))
    }

    fn writable(&self, input: &Value) -> Result<usize, Refusal> {
        let stream = self.resolve(input)?;
        if self.streams[stream].takes_data() { Ok(stream) } else { refuse("ResourceNotFoundException") }
    }

    /// Key and data count together; base64 has four letters for three bytes.
    fn check_size(&self, stream: usize, entry: &Value) -> Result<(), Refusal> {
        let (key, data) = (entry["PartitionKey"].as_str().unwrap(), entry["Data"].as_str().unwrap());
        let padding = data.bytes().rev().take_while(|byte| *byte == b'=').count();
        let size = (key.len() + data.len() / 4 * 3 - padding) as u64;
        if size <= self.streams[stream].max_record_kib * 1024 { Ok(()) } else { refuse("InvalidArgumentException") }
    }

    fn encryption(&self, stream: usize) -> &'static str {
        if self.streams[stream].key_id.is_some() { "KMS" } else { "NONE" }
    }

    /// The shard that a record goes to.
    fn target(&self, stream: usize, entry: &Value) -> Result<usize, Refusal> {
        let key = entry["PartitionKey"].as_str().unwrap();
        let hash = match explicit(entry) {
            Some(Some(explicit)) => explicit,
            Some(None) => return refuse("InvalidArgumentException"),
            None => u128::from_be_bytes(Md5::digest(key.as_bytes()).into()),
        };
        let it = &self.streams[stream];
        let holds = |shard: &usize| it.shards[*shard].start <= hash && hash <= it.shards[*shard].end;
        let holders: Vec<usize> = it.open_shards().into_iter().filter(holds).collect();
        assert_eq!(holders.len(), 1, "the model's open shards do not tile the key space");
        Ok(holders[0])
    }

    fn check_ordering_number(&self, stream: usize, number: &Value) -> Result<(), Refusal> {
        let Some(number) = number.as_str() else { return Ok(()) };
        let known = self.streams[stream].records.iter().any(|record| record.number == number);
        if known { Ok(()) } else { refuse("InvalidArgumentException") }
    }

    fn store(&mut self, stream: usize, shard: usize, entry: &Value) -> Learn {
        let text = |field: &str| entry[field].as_str().unwrap().to_owned();
        let large = text("Data").len() > 1024 * 1024;
        let it = &mut self.streams[stream];
        it.records.push(Record {
            shard,
            arrival: self.now,
            key: text("PartitionKey"),
            data: text("Data"),
            number: String::new(),
            encrypted: it.key_id.is_some(),
            trimmed: false,
        });
        let learn = Learn::Number(stream, it.records.len() - 1);
        let (updating, child) = (matches!(it.state, State::Updating(_)), !it.shards[shard].parents.is_empty());
        self.count("records put");
        if large {
            self.count("records as large as can be");
        }
        if updating {
            self.count("records put while UPDATING");
        }
        if child {
            self.count("records put into children");
        }
        learn
    }
}

/// The explicit hash key of a record, if there is one; nothing in its place where it is out of range.
fn explicit(entry: &Value) -> Option<Option<u128>> {
    entry["ExplicitHashKey"].as_str().map(|text| text.parse().ok())
}
