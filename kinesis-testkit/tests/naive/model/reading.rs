//! GetShardIterator and GetRecords.

use serde_json::{Value, json};

use super::{
    Answer, Answered, LIFE, Learn, Model, Mutant, Position, Refusal, State, millis, refuse, seconds, shard_id,
};

const MOST_RECORDS: u64 = 10_000;

impl Model {
    pub(super) fn get_shard_iterator(&mut self, input: &Value) -> Answered {
        let (stream, shard) = self.shard_to_read(input)?;
        if !self.makes_sense(input) {
            return refuse("InvalidArgumentException");
        }
        let index = self.index(stream, shard, input)?;
        let position = Position { stream, shard, index, issued: self.now };
        Ok(Answer::Body(json!({ "ShardIterator": "$0" }), vec![Learn::Iterator(position)]))
    }

    fn shard_to_read(&self, input: &Value) -> Result<(usize, usize), Refusal> {
        let stream = self.resolve(input)?;
        if !self.streams[stream].takes_data() {
            return refuse("ResourceNotFoundException");
        }
        Ok((stream, self.shard(stream, &input["ShardId"])?))
    }

    /// Whether the type of an iterator goes with what else was given.
    fn makes_sense(&self, input: &Value) -> bool {
        let number = !input["StartingSequenceNumber"].is_null();
        match input["ShardIteratorType"].as_str().unwrap() {
            "AT_SEQUENCE_NUMBER" | "AFTER_SEQUENCE_NUMBER" => number,
            "AT_TIMESTAMP" => millis(&input["Timestamp"]).is_some_and(|time| time <= self.now),
            _ => !number,
        }
    }

    fn index(&mut self, stream: usize, shard: usize, input: &Value) -> Result<usize, Refusal> {
        let kind = input["ShardIteratorType"].as_str().unwrap();
        let number = input["StartingSequenceNumber"].as_str().unwrap_or_default();
        let time = millis(&input["Timestamp"]).unwrap_or_default();
        let records = self.streams[stream].records_of(shard);
        match kind {
            "AT_SEQUENCE_NUMBER" => self.index_of_number(stream, shard, number, false),
            "AFTER_SEQUENCE_NUMBER" => self.index_of_number(stream, shard, number, true),
            "TRIM_HORIZON" => Ok(0),
            "LATEST" if self.mutant == Some(Mutant::LatestOffByOne) => Ok(records.len().saturating_sub(1)),
            "LATEST" => Ok(records.len()),
            _ => Ok(records.iter().filter(|record| record.arrival < time).count()),
        }
    }

    fn index_of_number(&mut self, stream: usize, shard: usize, number: &str, after: bool) -> Result<usize, Refusal> {
        let it = &self.streams[stream];
        let records = it.records_of(shard);
        if let Some(index) = records.iter().position(|record| record.number == number) {
            if records[index].trimmed {
                self.count("iterators at trimmed records");
            }
            return Ok(index + usize::from(after));
        }
        let (index, shard) = (shard, &it.shards[shard]);
        if shard.first.as_deref() == Some(number) {
            return Ok(0);
        }
        if shard.last.as_deref() == Some(number) && !after {
            return Ok(records.len());
        }
        // Recorded by kinesalite: 0 is a number of the first layout and of shard 0, and the service fails inside.
        refuse(if number == "0" && index == 0 { "InternalFailure" } else { "InvalidArgumentException" })
    }

    pub(super) fn get_records(&mut self, input: &Value) -> Answered {
        let position = self.position(input)?;
        let limit = input["Limit"].as_u64().unwrap_or(MOST_RECORDS) as usize;
        let it = &self.streams[position.stream];
        let records = it.records_of(position.shard);
        let unread: Vec<usize> = (position.index..records.len()).filter(|index| !records[*index].trimmed).collect();
        let page = &unread[..unread.len().min(limit)];
        let rest = &unread[page.len()..];
        let record = |index: &usize| {
            let record = records[*index];
            let mut read = json!({
                "SequenceNumber": record.number,
                "ApproximateArrivalTimestamp": seconds(record.arrival),
                "PartitionKey": record.key,
                "Data": record.data,
            });
            if record.encrypted {
                read["EncryptionType"] = json!("KMS");
            }
            read
        };
        // At the tip nothing is behind; else it is the age of the last record that was read, and never nothing.
        let last = page.last().filter(|_| !rest.is_empty());
        let behind = last.map_or(0, |last| (self.now - records[*last].arrival).max(1));
        let mut body = json!({ "Records": page.iter().map(record).collect::<Vec<_>>(), "MillisBehindLatest": behind });
        let told_late = self.mutant == Some(Mutant::EndToldLate) && !page.is_empty();
        if rest.is_empty() && !it.is_open(position.shard) && !told_late {
            body["ChildShards"] = self.children(position.stream, position.shard);
            let how = if page.is_empty() { "ends without records" } else { "ends with the last records" };
            self.count("ends of closed shards");
            self.count(how);
            return Ok(Answer::Body(body, Vec::new()));
        }
        body["NextShardIterator"] = json!("$0");
        let index = page.last().map_or(records.len(), |last| last + 1);
        if behind > 0 {
            self.count("reads that leave records behind");
        }
        if page.len() > 1 {
            self.count("reads of several records");
        }
        let next = Position { index, issued: self.now, ..position };
        Ok(Answer::Body(body, vec![Learn::Iterator(next)]))
    }

    /// What an iterator stands for, where it still can be read.
    fn position(&mut self, input: &Value) -> Result<Position, Refusal> {
        let text = input["ShardIterator"].as_str().unwrap();
        let Some((_, found)) = self.iterators.iter().rev().find(|(known, _)| known == text) else {
            return refuse("InvalidArgumentException");
        };
        let mut position = found.clone();
        let longer = u64::from(self.mutant == Some(Mutant::IteratorOutlivesItsLife));
        if self.now - position.issued > LIFE + longer {
            self.count("expired iterators");
            return refuse("ExpiredIteratorException");
        }
        // Recorded by kinesalite (test/getRecords.js): a later stream of the name takes it, and has higher numbers.
        let later = self.named(&self.streams[position.stream].name).filter(|later| *later != position.stream);
        if let Some(later) = later.filter(|_| self.mutant != Some(Mutant::IteratorEndsWithItsStream)) {
            position = Position { stream: later, index: 0, ..position };
        }
        let it = &self.streams[position.stream];
        let shard = it.shards.get(position.shard).filter(|shard| !shard.gone);
        if !it.takes_data() || shard.is_none() {
            self.count(match it.state {
                State::Gone => "iterators of gone streams",
                State::Creating(_) | State::Deleting(_) => "iterators of streams in other states",
                _ => "iterators of gone shards",
            });
            return refuse("ResourceNotFoundException");
        }
        Ok(position)
    }

    fn children(&self, stream: usize, shard: usize) -> Value {
        let shards = &self.streams[stream].shards;
        let child = |child: &usize| {
            json!({
                "ShardId": shard_id(*child),
                "ParentShards": shards[*child].parents.iter().map(|parent| shard_id(*parent)).collect::<Vec<_>>(),
                "HashKeyRange": shards[*child].range(),
            })
        };
        shards[shard].children.iter().map(child).collect()
    }
}
