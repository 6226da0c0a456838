//! Operations on streams and shards, on tags and consumers.

use serde_json::{Value, json};

use super::{Generator, NAMES};
use crate::model::{HOUR, Model, State, Stream, shard_id};

impl Generator {
    pub(super) fn create_stream(&mut self, model: &Model) -> Value {
        let names = &NAMES[..self.names];
        let free: Vec<&str> = names.iter().copied().filter(|name| model.named(name).is_none()).collect();
        let name = if self.one_in(8) { None } else { self.pick(&free) };
        let name = name.or_else(|| self.pick(names)).unwrap_or_default();
        let mut input = json!({ "StreamName": name, "ShardCount": 1 + self.below(4) });
        match self.below(60) {
            0 => input["ShardCount"] = json!(0),
            1 => input = json!({ "StreamName": name }),
            2..5 => input = json!({ "StreamName": name, "StreamModeDetails": { "StreamMode": "ON_DEMAND" } }),
            5..10 => input["StreamModeDetails"] = json!({ "StreamMode": "PROVISIONED" }),
            10..15 => input["MaxRecordSizeInKiB"] = json!(self.of([1024, 1025, 10_240])),
            _ => {}
        }
        input
    }

    pub(super) fn delete_stream(&mut self, model: &Model) -> Value {
        let mut input = self.address(model);
        match self.below(3) {
            0 => input["EnforceConsumerDeletion"] = json!(true),
            1 => input["EnforceConsumerDeletion"] = json!(false),
            _ => {}
        }
        input
    }

    pub(super) fn describe_stream(&mut self, model: &Model) -> Value {
        let mut input = self.address(model);
        if self.one_in(2) {
            input["Limit"] = json!(self.of([0, 1, 1, 2, 2, 3, 3, 100, 10_000, 10_001]));
        }
        if self.one_in(3) {
            input["ExclusiveStartShardId"] = json!(shard_id(self.below(8) as usize));
        }
        input
    }

    pub(super) fn summary(&mut self, model: &Model) -> Option<Value> {
        Some(self.address(model))
    }

    pub(super) fn list_streams(&mut self, model: &Model) -> Option<Value> {
        let mut input = json!({});
        if self.one_in(2) {
            input["Limit"] = json!(self.of([0, 1, 1, 1, 2, 2, 2, 100, 10_000, 10_001]));
        }
        match (self.below(4), self.token(model)) {
            (0, _) => input["ExclusiveStartStreamName"] = json!(self.of(["alpha", "beta", "aaa", "gamma", "between"])),
            (1 | 2, Some(token)) => input["NextToken"] = json!(token),
            _ => {}
        }
        Some(input)
    }

    /// One of the newest page tokens, or any.
    fn token(&mut self, model: &Model) -> Option<String> {
        let tokens = &model.tokens[if self.one_in(4) { 0 } else { model.tokens.len().saturating_sub(2) }..];
        self.pick(tokens).map(|(text, _)| text)
    }

    pub(super) fn list_shards(&mut self, model: &Model) -> Value {
        let token = self.token(model);
        let mut input = match token {
            Some(token) if self.one_in(3) => json!({ "NextToken": token }),
            _ => {
                let (stream, it) = self.stream(model);
                let name = it.name.clone();
                let mut input = self.address_of(&name);
                match self.below(10) {
                    0..5 => input["ShardFilter"] = self.shard_filter(model, stream),
                    5..7 => input["ExclusiveStartShardId"] = json!(shard_id(self.below(8) as usize)),
                    7 => {
                        let times: Vec<u64> = model.streams.iter().map(|it| it.created).collect();
                        let created = self.pick(&times).unwrap_or_default();
                        input["StreamCreationTimestamp"] = json!(created as f64 / 1000.0);
                    }
                    _ => {}
                }
                input
            }
        };
        match self.below(40) {
            0 => input["MaxResults"] = json!(0),
            1 => input["MaxResults"] = json!(10_001),
            2 => input["NextToken"] = json!("bm8gdG9rZW4gYXQgYWxs"),
            3..25 => input["MaxResults"] = json!(1 + self.below(4)),
            _ => {}
        }
        input
    }

    fn shard_filter(&mut self, model: &Model, stream: usize) -> Value {
        let kinds = ["AFTER_SHARD_ID", "AT_TRIM_HORIZON", "FROM_TRIM_HORIZON", "AT_LATEST"];
        let kind = if self.one_in(2) { self.of(["AT_TIMESTAMP", "FROM_TIMESTAMP"]) } else { self.of(kinds) };
        let mut filter = json!({ "Type": kind });
        if kind.ends_with("_TIMESTAMP") && !self.one_in(30) {
            filter["Timestamp"] = json!(self.time(model, stream) as f64 / 1000.0);
        }
        if kind == "AFTER_SHARD_ID" && !self.one_in(30) {
            filter["ShardId"] = json!(shard_id(self.below(8) as usize));
        }
        filter
    }

    /// An instant at or beside one that matters to a stream, rarely one in the future.
    pub(super) fn time(&mut self, model: &Model, stream: usize) -> u64 {
        let it = &model.streams[stream];
        let mut instants = vec![it.created, model.now, model.now, it.horizon];
        instants.extend(it.shards.iter().flat_map(|shard| [Some(shard.created), shard.closed]).flatten());
        instants.extend(it.records.iter().map(|record| record.arrival));
        let instant = self.pick(&instants).unwrap_or(model.now);
        match self.below(40) {
            0 => model.now + 1 + self.below(1000),
            1..12 => instant - 1,
            12..23 if instant < model.now => instant + 1,
            23..28 => instant - self.below(10_000),
            _ => instant.min(model.now),
        }
    }

    /// A shard of a stream, mostly an open one, rarely one that never was.
    pub(super) fn shard(&mut self, it: &Stream) -> usize {
        match self.below(40) {
            0 => 99,
            1..12 => self.below(it.shards.len() as u64) as usize,
            _ => self.pick(&it.open_shards()).unwrap_or_default(),
        }
    }

    pub(super) fn split_shard(&mut self, model: &Model) -> Option<Value> {
        let (_, it) = self.stream(model);
        let shard = self.shard(it);
        let (start, end) = it.shards.get(shard).map_or((0, u128::MAX), |shard| (shard.start, shard.end));
        let key = match self.below(20) {
            0 => start,
            1 => start.saturating_add(1),
            2 | 3 => start.saturating_add(2),
            4 | 5 => end - 1,
            6 => end,
            7 => u128::from(self.below(1000)),
            8 => start.saturating_add(3),
            _ => start + (end - start) / 2 + 1,
        };
        let name = it.name.clone();
        let mut input = self.address_of(&name);
        input["ShardToSplit"] = json!(shard_id(shard));
        input["NewStartingHashKey"] = json!(key.to_string());
        match self.below(100) {
            0 => input["NewStartingHashKey"] = json!("007"),
            1 => input["NewStartingHashKey"] = json!("340282366920938463463374607431768211456"),
            2 => input["ShardToSplit"] = json!("none"),
            3 => input["ShardToSplit"] = json!("a b"),
            _ => {}
        }
        Some(input)
    }

    pub(super) fn merge_shards(&mut self, model: &Model) -> Option<Value> {
        let (_, it) = self.stream(model);
        let mut open = it.open_shards();
        open.sort_by_key(|shard| it.shards[*shard].start);
        let pairs: Vec<(usize, usize)> = open.windows(2).map(|pair| (pair[0], pair[1])).collect();
        let any = (self.shard(it), self.shard(it));
        let (first, second) = if self.one_in(6) { any } else { self.pick(&pairs).unwrap_or(any) };
        let (first, second) = if self.one_in(3) { (second, first) } else { (first, second) };
        let name = it.name.clone();
        let mut input = self.address_of(&name);
        input["ShardToMerge"] = json!(shard_id(first));
        input["AdjacentShardToMerge"] = json!(shard_id(second));
        Some(input)
    }

    pub(super) fn longer_retention(&mut self, model: &Model) -> Option<Value> {
        Some(self.retention(model))
    }

    pub(super) fn retention(&mut self, model: &Model) -> Value {
        let mut input = self.address(model);
        input["RetentionPeriodHours"] = json!(self.of([0, 23, 24, 24, 25, 26, 36, 48, 72, 8760, 8761]));
        input
    }

    pub(super) fn max_record_size(&mut self, model: &Model) -> Value {
        json!({ "StreamARN": self.arn(model), "MaxRecordSizeInKiB": self.of([1023, 1024, 1025, 10_240, 10_241]) })
    }

    pub(super) fn update_shard_count(&mut self, model: &Model) -> Option<Value> {
        let (_, it) = self.stream(model);
        let open = it.open_shards().len() as u64;
        let target = self.of([open / 2, open.div_ceil(2), open - 1, open + 1, open * 2, open * 2 + 1]);
        // What happens where nothing is to change is not documented.
        if target == open || target == 0 || target > 12 {
            return None;
        }
        let name = it.name.clone();
        let mut input = self.address_of(&name);
        input["TargetShardCount"] = json!(target);
        input["ScalingType"] = json!("UNIFORM_SCALING");
        Some(input)
    }

    /// A key is never set again, and never removed where there is none: what happens then is not documented.
    pub(super) fn encryption(&mut self, model: &Model, start: bool) -> Option<Value> {
        let (_, it) = self.stream(model);
        let key_id = match (&it.key_id, start) {
            (None, true) => "alias/one".to_owned(),
            (Some(current), true) => if current == "alias/one" { "alias/two" } else { "alias/one" }.to_owned(),
            (Some(current), false) => current.clone(),
            (None, false) => return None,
        };
        let name = it.name.clone();
        let mut input = self.address_of(&name);
        input["EncryptionType"] = json!("KMS");
        input["KeyId"] = json!(key_id);
        Some(input)
    }

    /// A mode is never set again, and not more than twice in a day.
    pub(super) fn stream_mode(&mut self, model: &Model) -> Option<Value> {
        let (_, it) = self.stream(model);
        let recent = it.mode_changes.iter().filter(|at| *at + 24 * HOUR > model.now).count();
        if recent >= 2 || matches!(it.state, State::Updating(_)) {
            return None;
        }
        let mode = if it.mode == "PROVISIONED" { "ON_DEMAND" } else { "PROVISIONED" };
        Some(json!({ "StreamARN": it.arn(), "StreamModeDetails": { "StreamMode": mode } }))
    }

    pub(super) fn attachment(&mut self, operation: &str, model: &Model) -> Option<Value> {
        let delayed = model.delays.updating > 0;
        if operation.ends_with("Consumer") || operation.ends_with("Consumers") {
            // How long a consumer stays in its states is not documented.
            return if delayed { None } else { self.consumer(operation, model) };
        }
        let mut input = self.address(model);
        match operation {
            "AddTagsToStream" => {
                let (key, value) = (format!("tag-{}", self.below(6)), format!("value-{}", self.below(3)));
                input["Tags"] = json!({ key: value, "always": "there" });
            }
            "RemoveTagsFromStream" => input["TagKeys"] = json!([format!("tag-{}", self.below(6))]),
            _ => {
                if self.one_in(2) {
                    input["Limit"] = json!(self.of([0, 1, 2, 50, 51]));
                }
                if self.one_in(2) {
                    input["ExclusiveStartTagKey"] = json!(format!("tag-{}", self.below(6)));
                }
            }
        }
        Some(input)
    }

    fn consumer(&mut self, operation: &str, model: &Model) -> Option<Value> {
        let (arn, name) = (self.arn(model), format!("reader-{}", self.below(4)));
        if operation == "ListStreamConsumers" {
            let mut input = json!({ "StreamARN": arn });
            if self.one_in(2) {
                input["MaxResults"] = json!(self.of([0, 1, 1, 2, 10_001]));
            }
            return Some(input);
        }
        let known: Vec<String> =
            model.streams.iter().flat_map(|it| it.consumers.iter().map(|it| it.arn.clone())).collect();
        match self.pick(&known) {
            Some(known) if operation != "RegisterStreamConsumer" && self.one_in(2) => {
                Some(json!({ "ConsumerARN": known }))
            }
            _ => Some(json!({ "StreamARN": arn, "ConsumerName": name })),
        }
    }
}
