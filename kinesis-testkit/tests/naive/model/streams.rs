//! Streams: creation, description, settings, deletion.

use serde_json::{Value, json};

use super::{Answer, Answered, Change, HOUR, Learn, Model, Page, Shard, State, Stream, Token, refuse, seconds};

const ON_DEMAND_SHARDS: u64 = 4;

impl Model {
    pub(super) fn create_stream(&mut self, input: &Value) -> Answered {
        let name = input["StreamName"].as_str().unwrap();
        let mode = input["StreamModeDetails"]["StreamMode"].as_str().unwrap_or("PROVISIONED");
        let count = match (mode, input["ShardCount"].as_u64()) {
            (_, Some(count)) => count,
            ("ON_DEMAND", None) => ON_DEMAND_SHARDS,
            // Recorded by LocalStack (test_create_stream_without_shard_count).
            (_, None) if input["StreamModeDetails"].is_null() => 4,
            _ => return refuse("InvalidArgumentException"),
        };
        if self.named(name).is_some() {
            return refuse("ResourceInUseException");
        }
        if self.streams.iter().any(|stream| stream.name == name) {
            self.count("streams created again");
        }
        // Decided: of two incarnations the later one is younger, even where both begin in the same millisecond.
        let earlier = self.streams.iter().filter(|stream| stream.name == name).map(|stream| stream.created);
        let created = earlier.max().map_or(self.now, |earlier| self.now.max(earlier + 1));
        let whole = u128::from(count.is_power_of_two());
        let width = (u128::MAX / u128::from(count)).wrapping_add(whole);
        let shards = (0..u128::from(count)).map(|n| {
            let end = if n + 1 == u128::from(count) { u128::MAX } else { width.wrapping_mul(n + 1) - 1 };
            Shard::new(width.wrapping_mul(n), end, Vec::new(), created)
        });
        self.streams.push(Stream {
            name: name.to_owned(),
            created,
            state: State::Creating(self.now + self.delays.creating),
            pending: None,
            retention_hours: 24,
            max_record_kib: input["MaxRecordSizeInKiB"].as_u64().unwrap_or(1024),
            mode: mode.to_owned(),
            key_id: None,
            shards: shards.collect(),
            records: Vec::new(),
            horizon: created,
            was_active: false,
            rescaled: None,
            rescalings: Vec::new(),
            mode_changes: Vec::new(),
            tags: std::collections::BTreeMap::new(),
            consumers: Vec::new(),
        });
        self.settle();
        Ok(Answer::Nothing)
    }

    pub(super) fn delete_stream(&mut self, input: &Value) -> Answered {
        let stream = self.resolve(input)?;
        let enforced = input["EnforceConsumerDeletion"].as_bool() == Some(true);
        if !self.streams[stream].consumers.is_empty() && !enforced {
            return refuse("ResourceInUseException");
        }
        // Decided: a stream can be deleted in every state; asking again does not prolong it.
        if !matches!(self.streams[stream].state, State::Deleting(_)) {
            self.streams[stream].state = State::Deleting(self.now + self.delays.deleting);
        }
        self.count("streams deleted");
        self.settle();
        Ok(Answer::Nothing)
    }

    pub(super) fn describe_stream(&self, input: &Value) -> Answered {
        let stream = self.resolve(input)?;
        let limit = input["Limit"].as_u64().unwrap_or(100).min(100) as usize;
        let after = input["ExclusiveStartShardId"].as_str();
        let it = &self.streams[stream];
        let mut learn = Vec::new();
        let listed: Vec<usize> = if it.was_active { self.listed(stream) } else { Vec::new() };
        let listed: Vec<usize> =
            listed.into_iter().filter(|shard| after.is_none_or(|after| *super::shard_id(*shard) > *after)).collect();
        let page = listed.iter().take(limit).map(|shard| self.describe_shard(stream, *shard, &mut learn)).collect();
        let mut body = self.describe(stream);
        body["Shards"] = Value::Array(page);
        body["HasMoreShards"] = json!(listed.len() > limit);
        Ok(Answer::Body(json!({ "StreamDescription": body }), learn))
    }

    pub(super) fn describe_stream_summary(&self, input: &Value) -> Answered {
        let stream = self.resolve(input)?;
        let it = &self.streams[stream];
        let mut body = self.describe(stream);
        body["OpenShardCount"] = json!(if it.was_active { it.open_shards().len() } else { 0 });
        body["ConsumerCount"] = json!(it.consumers.len());
        body["MaxRecordSizeInKiB"] = json!(it.max_record_kib);
        // There are neither queues nor channels in these sequences.
        body["ChannelCount"] = json!(0);
        body["QueueCount"] = json!(0);
        if it.mode == "ON_DEMAND" {
            body["RecordDistributionStrategy"] = json!("USER_PARTITION_KEY");
        }
        Ok(Answer::Body(json!({ "StreamDescriptionSummary": body }), Vec::new()))
    }

    /// What both descriptions have in common.
    fn describe(&self, stream: usize) -> Value {
        let it = &self.streams[stream];
        let mut body = json!({
            "StreamName": it.name,
            "StreamARN": it.arn(),
            "StreamStatus": it.status(),
            "StreamModeDetails": { "StreamMode": it.mode },
            "RetentionPeriodHours": it.retention_hours,
            "StreamCreationTimestamp": seconds(it.created),
            "EnhancedMonitoring": [{ "ShardLevelMetrics": [] }],
            "EncryptionType": if it.key_id.is_some() { "KMS" } else { "NONE" },
        });
        if let Some(key_id) = &it.key_id {
            body["KeyId"] = json!(key_id);
        }
        body
    }

    pub(super) fn list_streams(&mut self, input: &Value) -> Answered {
        let limit = input["Limit"].as_u64().unwrap_or(100).min(100) as usize;
        let mut after = input["ExclusiveStartStreamName"].as_str().map(str::to_owned);
        if let Some(token) = input["NextToken"].as_str() {
            let page = self.redeem(token, |page| matches!(page, Page::Streams { .. }))?;
            let Page::Streams { after: last } = page else { unreachable!("{page:?}") };
            after = Some(last);
        }
        let mut live: Vec<&Stream> = self.streams.iter().filter(|it| it.state != State::Gone).collect();
        live.retain(|it| after.as_ref().is_none_or(|after| it.name > *after));
        live.sort_by(|one, other| one.name.cmp(&other.name));
        let (page, more) = (&live[..live.len().min(limit)], live.len() > limit);
        let summary = |it: &&Stream| {
            json!({
                "StreamName": it.name,
                "StreamARN": it.arn(),
                "StreamStatus": it.status(),
                "StreamModeDetails": { "StreamMode": it.mode },
                "StreamCreationTimestamp": seconds(it.created),
            })
        };
        let mut body = json!({
            "StreamNames": page.iter().map(|it| it.name.clone()).collect::<Vec<_>>(),
            "HasMoreStreams": more,
            "StreamSummaries": page.iter().map(summary).collect::<Vec<_>>(),
        });
        let mut learn = Vec::new();
        if more {
            body["NextToken"] = json!("$0");
            let page = Page::Streams { after: page[page.len() - 1].name.clone() };
            learn.push(Learn::Token(Token { page, issued: self.now }));
        }
        Ok(Answer::Body(body, learn))
    }

    pub(super) fn change_retention(&mut self, input: &Value, longer: bool) -> Answered {
        let stream = self.resolve(input)?;
        let hours = input["RetentionPeriodHours"].as_i64().unwrap();
        let current = self.streams[stream].retention_hours as i64;
        let wrong_way = if longer { hours < current } else { hours > current };
        if !(24..=8760).contains(&hours) || wrong_way {
            return refuse("InvalidArgumentException");
        }
        self.must_be_active(stream)?;
        self.streams[stream].retention_hours = hours as u64;
        self.count(if longer { "retention increased" } else { "retention decreased" });
        // Decided: the new retention holds at once, and the stream is UPDATING all the same.
        self.streams[stream].state = State::Updating(self.now + self.delays.updating);
        self.settle();
        Ok(Answer::Nothing)
    }

    pub(super) fn update_max_record_size(&mut self, input: &Value) -> Answered {
        let stream = self.resolve_active(input)?;
        self.streams[stream].max_record_kib = input["MaxRecordSizeInKiB"].as_u64().unwrap();
        self.count("record sizes updated");
        // Decided: as with the retention.
        self.streams[stream].state = State::Updating(self.now + self.delays.updating);
        self.settle();
        Ok(Answer::Nothing)
    }

    pub(super) fn change_encryption(&mut self, input: &Value, start: bool) -> Answered {
        let stream = self.resolve_active(input)?;
        let key_id = input["KeyId"].as_str().filter(|_| start).map(str::to_owned);
        self.count("encryption changed");
        self.begin(stream, Change::Encrypt(key_id));
        Ok(Answer::Nothing)
    }

    pub(super) fn update_stream_mode(&mut self, input: &Value) -> Answered {
        let stream = self.resolve_active(input)?;
        let (now, mode) = (self.now, input["StreamModeDetails"]["StreamMode"].as_str().unwrap());
        let changes = &mut self.streams[stream].mode_changes;
        changes.retain(|at| at + 24 * HOUR > now);
        if changes.len() >= 2 {
            return refuse("LimitExceededException");
        }
        changes.push(now);
        self.count("modes changed");
        self.begin(stream, Change::Mode(mode.to_owned()));
        Ok(Answer::Nothing)
    }
}
