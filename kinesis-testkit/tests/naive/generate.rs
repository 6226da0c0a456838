//! Random operations, drawn with an eye on the model so that they reach deep states.

mod control;
mod data;

use kinesis_core::{RandomStream, Randomness};
use serde_json::{Value, json};

use crate::model::{ARN_PREFIX, Call, Delays, HOUR, LIFE, Model, State, Stream};

const NAMES: [&str; 3] = ["alpha", "beta", "gamma"];

/// How often an operation is drawn, out of their sum.
const WEIGHTS: &[(&str, u64)] = &[
    ("advance", 190),
    ("CreateStream", 30),
    ("DeleteStream", 10),
    ("DescribeStream", 30),
    ("DescribeStreamSummary", 20),
    ("ListStreams", 25),
    ("ListShards", 100),
    ("PutRecord", 100),
    ("PutRecords", 120),
    ("GetShardIterator", 160),
    ("GetRecords", 270),
    ("SplitShard", 70),
    ("MergeShards", 60),
    ("IncreaseStreamRetentionPeriod", 12),
    ("DecreaseStreamRetentionPeriod", 12),
    ("UpdateMaxRecordSize", 6),
    ("UpdateShardCount", 25),
    ("AddTagsToStream", 10),
    ("ListTagsForStream", 10),
    ("RemoveTagsFromStream", 6),
    ("RegisterStreamConsumer", 10),
    ("ListStreamConsumers", 8),
    ("DescribeStreamConsumer", 8),
    ("DeregisterStreamConsumer", 6),
    ("StartStreamEncryption", 10),
    ("StopStreamEncryption", 8),
    ("UpdateStreamMode", 4),
];

/// The next thing that happens.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Milliseconds pass.
    Advance(u64),
    Call(Call),
}

#[derive(Debug)]
pub(crate) struct Generator {
    random: RandomStream,
    /// How many names of streams are used: few streams get deep, many get in each other's way.
    names: usize,
}

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        // A first draw keeps the sequences of neighbouring seeds from beginning alike.
        let mixed = Randomness::from_seed(seed).stream("seed").next_u64();
        let mut random = Randomness::from_seed(mixed).stream("operations");
        let names = [1, 1, 2, 3][random.below(4) as usize];
        Self { random, names }
    }

    /// Three of four sequences run without delays, as the fake does by default.
    pub(crate) fn delays(&mut self) -> Delays {
        if self.one_in(4) { Delays { creating: 1000, updating: 700, deleting: 900 } } else { Delays::default() }
    }

    pub(crate) fn next(&mut self, model: &Model) -> Step {
        if model.streams.is_empty() {
            return Step::Call(Call { operation: "CreateStream", input: self.create_stream(model) });
        }
        loop {
            let operation = self.operation();
            if operation == "advance" {
                return Step::Advance(self.millis(model));
            }
            if let Some(input) = self.input(operation, model) {
                return Step::Call(Call { operation, input });
            }
        }
    }

    fn operation(&mut self) -> &'static str {
        let mut drawn = self.below(WEIGHTS.iter().map(|(_, weight)| weight).sum());
        for (operation, weight) in WEIGHTS {
            if drawn < *weight {
                return operation;
            }
            drawn -= weight;
        }
        unreachable!("a draw is below the sum of the weights")
    }

    /// Nothing where the operation makes no sense now, or what it does then is not documented.
    fn input(&mut self, operation: &str, model: &Model) -> Option<Value> {
        match operation {
            "CreateStream" => Some(self.create_stream(model)),
            "DeleteStream" => Some(self.delete_stream(model)),
            "DescribeStream" => Some(self.describe_stream(model)),
            "DescribeStreamSummary" => self.summary(model),
            "ListStreams" => self.list_streams(model),
            "ListShards" => Some(self.list_shards(model)),
            "PutRecord" => Some(self.put_record(model)),
            "PutRecords" => Some(self.put_records(model)),
            "GetShardIterator" => Some(self.get_shard_iterator(model)),
            "GetRecords" => self.get_records(model),
            "SplitShard" => self.split_shard(model),
            "MergeShards" => self.merge_shards(model),
            "IncreaseStreamRetentionPeriod" => self.longer_retention(model),
            "DecreaseStreamRetentionPeriod" => Some(self.retention(model)),
            "UpdateMaxRecordSize" => Some(self.max_record_size(model)),
            "UpdateShardCount" => self.update_shard_count(model),
            "StartStreamEncryption" => self.encryption(model, true),
            "StopStreamEncryption" => self.encryption(model, false),
            "UpdateStreamMode" => self.stream_mode(model),
            _ => self.attachment(operation, model),
        }
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.random.below(limit)
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Clone>(&mut self, choices: &[T]) -> Option<T> {
        let index = self.below(choices.len() as u64) as usize;
        choices.get(index).cloned()
    }

    fn of<T: Clone, const N: usize>(&mut self, choices: [T; N]) -> T {
        let index = self.below(N as u64) as usize;
        choices[index].clone()
    }

    /// A stream that is there, if any, else one that was.
    fn stream<'m>(&mut self, model: &'m Model) -> (usize, &'m Stream) {
        let live: Vec<usize> =
            (0..model.streams.len()).filter(|stream| model.streams[*stream].state != State::Gone).collect();
        let stream = self.pick(&live).unwrap_or(model.streams.len() - 1);
        (stream, &model.streams[stream])
    }

    /// The fields that name a stream, mostly one that is there.
    fn address(&mut self, model: &Model) -> Value {
        let name = self.stream(model).1.name.clone();
        self.address_of(&name)
    }

    fn address_of(&mut self, name: &str) -> Value {
        let arn = format!("{ARN_PREFIX}{name}");
        match self.below(200) {
            0 => json!({}),
            1 => json!({ "StreamName": "no such name" }),
            2 => json!({ "StreamName": "delta" }),
            3 => json!({ "StreamARN": arn.replace("us-east-1", "eu-west-1") }),
            4 => json!({ "StreamName": "delta", "StreamARN": arn }),
            5..20 => json!({ "StreamName": name, "StreamARN": arn }),
            20..50 => json!({ "StreamARN": arn }),
            _ => json!({ "StreamName": name }),
        }
    }

    fn arn(&mut self, model: &Model) -> String {
        self.stream(model).1.arn()
    }

    fn millis(&mut self, model: &Model) -> u64 {
        match self.below(100) {
            0..10 => 0,
            10..35 => self.of([1, 2, 5, 10]),
            35..55 => self.of([699, 700, 701, 899, 900, 999, 1000, 1001]),
            55..70 => 1 + self.below(60_000),
            70..76 => self.of([LIFE - 1, LIFE, LIFE + 1, 360_000]),
            76..88 => self.until_expiry(model),
            88..91 => HOUR * (1 + self.below(23)),
            91..93 => self.of([24 * HOUR - 1, 24 * HOUR]),
            _ => self.until_trimming(model),
        }
    }

    /// Until just before or after an iterator or a page token expires.
    fn until_expiry(&mut self, model: &Model) -> u64 {
        let iterators = model.iterators.iter().map(|(_, position)| position.issued);
        let issued: Vec<u64> = iterators.chain(model.tokens.iter().map(|(_, token)| token.issued)).collect();
        let due: Vec<u64> = issued.into_iter().map(|at| at + LIFE).filter(|at| *at >= model.now).collect();
        self.pick(&due).map_or(1, |at| at - model.now + self.below(2))
    }

    /// Until just before or when a record is trimmed or a closed shard vanishes.
    fn until_trimming(&mut self, model: &Model) -> u64 {
        let (_, it) = self.stream(model);
        let ends = it.shards.iter().filter_map(|shard| shard.closed);
        let from: Vec<u64> = ends.chain(it.records.iter().map(|record| record.arrival)).collect();
        let due = from.into_iter().map(|at| at + it.retention_hours * HOUR);
        let due: Vec<u64> = due.filter(|at| *at > model.now).collect();
        self.pick(&due).map_or(1, |at| at - model.now - self.below(2))
    }
}
