//! Replies as trees, and the large ones as JSON.

use std::collections::BTreeSet;
use std::time::SystemTime;

use kinesis_core::{HashKeyRange, SequenceNumber, Shard, unix_millis};
use serde_json::{Map, Value, json};

use crate::engine::{
    AccountLimits, ChildShard, Commitment, ConsumerPage, ConsumerView, GetRecordsReply, Metric, PushedEvent,
    PutOutcome, ReadRecord, ScaleReply, ShardPage, StoredAt, StreamMode, StreamView, TagPage,
};

fn millis_as_seconds(millis: u64) -> f64 {
    millis as f64 / 1000.0
}

/// A time as the protocol has it: seconds since the epoch, with milliseconds.
fn seconds(time: SystemTime) -> f64 {
    millis_as_seconds(unix_millis(time))
}

fn mode(view: &StreamView) -> Value {
    json!({ "StreamMode": view.settings.mode.as_str() })
}

pub(super) const fn encryption(encrypted: bool) -> &'static str {
    if encrypted { "KMS" } else { "NONE" }
}

fn metrics(metrics: &BTreeSet<Metric>) -> Value {
    metrics.iter().map(|metric| metric.as_str()).collect()
}

/// What both descriptions of a stream share.
fn description(view: &StreamView) -> Map<String, Value> {
    let settings = &view.settings;
    let members = [
        ("StreamName", json!(view.arn.name().as_str())),
        ("StreamARN", json!(view.arn.to_string())),
        ("StreamStatus", json!(view.status.as_str())),
        ("StreamModeDetails", mode(view)),
        ("RetentionPeriodHours", json!(settings.retention_hours)),
        ("StreamCreationTimestamp", json!(seconds(view.created_at))),
        ("EnhancedMonitoring", json!([{ "ShardLevelMetrics": metrics(&settings.metrics) }])),
        ("EncryptionType", json!(encryption(settings.encryption_key.is_some()))),
    ];
    let mut members: Map<_, _> = members.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
    if let Some(key) = &settings.encryption_key {
        members.insert("KeyId".to_owned(), json!(key));
    }
    members
}

pub(super) fn stream_description(view: &StreamView, shards: &[Shard], more: bool) -> Value {
    let mut members = description(view);
    members.insert("Shards".to_owned(), shards.iter().map(shard).collect());
    members.insert("HasMoreShards".to_owned(), json!(more));
    json!({ "StreamDescription": members })
}

pub(super) fn stream_summary(view: &StreamView) -> Value {
    let mut members = description(view);
    members.insert("OpenShardCount".to_owned(), json!(view.open_shards));
    members.insert("ConsumerCount".to_owned(), json!(view.consumers));
    members.insert("MaxRecordSizeInKiB".to_owned(), json!(view.settings.max_record_kib));
    members.insert("ChannelCount".to_owned(), json!(0));
    members.insert("QueueCount".to_owned(), json!(0));
    if view.settings.mode == StreamMode::OnDemand {
        members.insert("RecordDistributionStrategy".to_owned(), json!(view.settings.distribution.as_str()));
    }
    if let Some(warm) = view.settings.warm {
        let warm = json!({ "TargetMiBps": warm.target_mibps, "CurrentMiBps": warm.current_mibps });
        members.insert("WarmThroughput".to_owned(), warm);
    }
    json!({ "StreamDescriptionSummary": members })
}

pub(super) fn streams(views: &[StreamView], next_token: Option<&str>) -> Value {
    let names: Vec<&str> = views.iter().map(|view| view.arn.name().as_str()).collect();
    let summaries: Vec<Value> = views
        .iter()
        .map(|view| {
            json!({
                "StreamName": view.arn.name().as_str(),
                "StreamARN": view.arn.to_string(),
                "StreamStatus": view.status.as_str(),
                "StreamModeDetails": mode(view),
                "StreamCreationTimestamp": seconds(view.created_at),
            })
        })
        .collect();
    let mut reply = json!({
        "StreamNames": names,
        "HasMoreStreams": next_token.is_some(),
        "StreamSummaries": summaries,
    });
    if let Some(token) = next_token {
        reply["NextToken"] = json!(token);
    }
    reply
}

fn hash_key_range(range: &HashKeyRange) -> Value {
    json!({
        "StartingHashKey": range.start().to_string(),
        "EndingHashKey": range.end().to_string(),
    })
}

fn shard(shard: &Shard) -> Value {
    let mut numbers = json!({ "StartingSequenceNumber": shard.starting_sequence_number.to_string() });
    if let Some(ending) = shard.ending_sequence_number {
        numbers["EndingSequenceNumber"] = json!(ending.to_string());
    }
    let mut value = json!({
        "ShardId": shard.id.as_str(),
        "HashKeyRange": hash_key_range(&shard.hash_key_range),
        "SequenceNumberRange": numbers,
    });
    if let Some(parent) = &shard.parent {
        value["ParentShardId"] = json!(parent.as_str());
    }
    if let Some(parent) = &shard.adjacent_parent {
        value["AdjacentParentShardId"] = json!(parent.as_str());
    }
    value
}

pub(super) fn shards(page: &ShardPage) -> Value {
    let mut reply = json!({ "Shards": page.shards.iter().map(shard).collect::<Value>() });
    if let Some(token) = &page.next_token {
        reply["NextToken"] = json!(token);
    }
    reply
}

pub(super) fn iterator(iterator: &str) -> Value {
    json!({ "ShardIterator": iterator })
}

pub(super) fn put_record(stored: &StoredAt) -> Vec<u8> {
    let mut out = Vec::with_capacity(160);
    out.extend_from_slice(b"{\"EncryptionType\":\"");
    out.extend_from_slice(encryption(stored.encrypted).as_bytes());
    out.extend_from_slice(b"\",\"SequenceNumber\":\"");
    out.extend_from_slice(stored.sequence_number.write_digits(&mut [0; _]));
    out.extend_from_slice(b"\",\"ShardId\":\"");
    out.extend_from_slice(stored.shard.as_str().as_bytes());
    out.extend_from_slice(b"\"}");
    out
}

// Replies of many records are written byte by byte: the formatting of the standard library took longer than all else.

fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

fn put_number(out: &mut Vec<u8>, number: u64) {
    put(out, itoa::Buffer::new().format(number));
}

fn put_quoted(out: &mut Vec<u8>, text: &str) {
    let plain = text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
    if plain {
        out.push(b'"');
        put(out, text);
        out.push(b'"');
    } else {
        put(out, &Value::from(text).to_string());
    }
}

pub(super) fn put_records(outcomes: &[PutOutcome]) -> Vec<u8> {
    let failed = outcomes.iter().filter(|outcome| outcome.is_err()).count();
    let mut out = Vec::with_capacity(64 + outcomes.len() * 128);
    put(&mut out, "{\"FailedRecordCount\":");
    put_number(&mut out, failed as u64);
    put(&mut out, ",\"Records\":[");
    for (index, outcome) in outcomes.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        match outcome {
            Ok(stored) => {
                put(&mut out, "{\"SequenceNumber\":\"");
                out.extend_from_slice(stored.sequence_number.write_digits(&mut [0; _]));
                put(&mut out, "\",\"ShardId\":\"");
                put(&mut out, stored.shard.as_str());
                put(&mut out, "\"}");
            }
            Err(error) => {
                put(&mut out, "{\"ErrorCode\":");
                put_quoted(&mut out, error.code());
                put(&mut out, ",\"ErrorMessage\":");
                put_quoted(&mut out, error.message());
                out.push(b'}');
            }
        }
    }
    let encrypted = outcomes.iter().flatten().any(|stored| stored.encrypted);
    put(&mut out, "],\"EncryptionType\":\"");
    put(&mut out, encryption(encrypted));
    put(&mut out, "\"}");
    out
}

pub(super) fn records(reply: &GetRecordsReply) -> Vec<u8> {
    let mut out = read(&reply.records, reply.millis_behind_latest);
    if let Some(iterator) = &reply.next_iterator {
        put(&mut out, ",\"NextShardIterator\":");
        put_quoted(&mut out, iterator);
    }
    put_child_shards(&mut out, &reply.child_shards);
    out.push(b'}');
    out
}

/// The payload of an event of SubscribeToShard.
pub(super) fn pushed_event(event: &PushedEvent) -> Vec<u8> {
    let mut out = read(&event.records, event.millis_behind_latest);
    if let Some(number) = &event.continuation {
        put(&mut out, ",\"ContinuationSequenceNumber\":\"");
        out.extend_from_slice(number.write_digits(&mut [0; _]));
        out.push(b'"');
    }
    put_child_shards(&mut out, &event.child_shards);
    out.push(b'}');
    out
}

/// What a reply of GetRecords and an event of SubscribeToShard begin with.
fn read(records: &[ReadRecord], millis_behind_latest: u64) -> Vec<u8> {
    let size: u64 = records.iter().map(|record| record.body.size_bytes()).sum();
    let mut out = Vec::with_capacity(512 + size as usize / 3 * 4 + records.len() * 180);
    put(&mut out, "{\"Records\":[");
    let mut digits = [0; _];
    for (index, record) in records.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        put_record_read(&mut out, record, &mut digits);
    }
    put(&mut out, "],\"MillisBehindLatest\":");
    put_number(&mut out, millis_behind_latest);
    out
}

fn put_child_shards(out: &mut Vec<u8>, child_shards: &[ChildShard]) {
    if !child_shards.is_empty() {
        put(out, ",\"ChildShards\":");
        put(out, &child_shards_tree(child_shards).to_string());
    }
}

/// The shards that follow the shard that a reply or an event ends.
pub(super) fn child_shards_tree(child_shards: &[ChildShard]) -> Value {
    let children = child_shards.iter().map(|child| {
        json!({
            "ShardId": child.id.as_str(),
            "ParentShards": child.parents.iter().map(AsRef::<str>::as_ref).collect::<Vec<_>>(),
            "HashKeyRange": hash_key_range(&child.range),
        })
    });
    children.collect()
}

/// Milliseconds as seconds with three digits behind the point.
fn put_seconds(out: &mut Vec<u8>, millis: u64) {
    put_number(out, millis / 1000);
    let rest = millis % 1000;
    put(
        out,
        if rest < 10 {
            ".00"
        } else if rest < 100 {
            ".0"
        } else {
            "."
        },
    );
    put_number(out, rest);
}

fn put_record_read(out: &mut Vec<u8>, record: &ReadRecord, digits: &mut [u8; SequenceNumber::MOST_DIGITS]) {
    put(out, "{\"SequenceNumber\":\"");
    out.extend_from_slice(record.sequence_number.write_digits(digits));
    put(out, "\",\"ApproximateArrivalTimestamp\":");
    put_seconds(out, record.arrived_millis);
    if let Some(key) = record.body.partition_key() {
        put(out, ",\"PartitionKey\":");
        put_quoted(out, key);
    }
    put(out, ",\"Data\":\"");
    base64_simd::STANDARD.encode_append(record.body.data(), out);
    // Recorded by LocalStack: a record that is not encrypted does not say so.
    put(out, if record.encrypted { "\",\"EncryptionType\":\"KMS\"}" } else { "\"}" });
}

pub(super) fn tags(page: &TagPage, paged: bool) -> Value {
    let tags: Value = page.tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
    let mut reply = json!({ "Tags": tags });
    if paged {
        reply["HasMoreTags"] = json!(page.more);
    }
    reply
}

pub(super) fn policy(policy: &str) -> Value {
    json!({ "Policy": policy })
}

pub(super) fn empty_list(member: &str) -> Value {
    json!({ member: [] })
}

fn consumer(consumer: &ConsumerView) -> Value {
    json!({
        "ConsumerName": consumer.arn.name,
        "ConsumerARN": consumer.arn.to_string(),
        "ConsumerStatus": consumer.status,
        "ConsumerCreationTimestamp": millis_as_seconds(consumer.created_millis),
    })
}

pub(super) fn registered(view: &ConsumerView) -> Value {
    json!({ "Consumer": consumer(view) })
}

pub(super) fn consumer_description(view: &ConsumerView) -> Value {
    let mut description = consumer(view);
    description["StreamARN"] = json!(view.arn.stream.to_string());
    json!({ "ConsumerDescription": description })
}

pub(super) fn consumers(page: &ConsumerPage) -> Value {
    let mut reply = json!({ "Consumers": page.consumers.iter().map(consumer).collect::<Value>() });
    if let Some(token) = &page.next_token {
        reply["NextToken"] = json!(token);
    }
    reply
}

/// What both operations of enhanced monitoring say, where `desired` comes to hold.
pub(super) fn monitoring(before: &StreamView, desired: &BTreeSet<Metric>) -> Value {
    json!({
        "StreamName": before.arn.name().as_str(),
        "StreamARN": before.arn.to_string(),
        "CurrentShardLevelMetrics": metrics(&before.settings.metrics),
        "DesiredShardLevelMetrics": metrics(desired),
    })
}

pub(super) fn warm_throughput(before: &StreamView, target_mibps: u32) -> Value {
    json!({
        "StreamName": before.arn.name().as_str(),
        "StreamARN": before.arn.to_string(),
        "WarmThroughput": {
            "TargetMiBps": target_mibps,
            "CurrentMiBps": before.settings.warm.map_or(0, |warm| warm.current_mibps),
        },
    })
}

pub(super) fn shard_count(view: &StreamView, reply: &ScaleReply) -> Value {
    json!({
        "StreamName": view.arn.name().as_str(),
        "StreamARN": view.arn.to_string(),
        "CurrentShardCount": reply.current,
        "TargetShardCount": reply.target,
    })
}

pub(super) fn limits(limits: &AccountLimits) -> Value {
    json!({
        "ShardLimit": limits.shard_limit,
        "OpenShardCount": limits.open_shards,
        "OnDemandStreamCount": limits.on_demand_streams,
        "OnDemandStreamCountLimit": limits.on_demand_limit,
        "ChannelCount": 0,
        "ChannelCountLimit": 0,
    })
}

pub(super) fn account_settings(commitment: &Commitment) -> Value {
    let mut settings = json!({ "Status": commitment.status });
    let times = [
        ("StartedAt", commitment.started_millis),
        ("EndedAt", commitment.ended_millis),
        ("EarliestAllowedEndAt", commitment.earliest_end_millis),
    ];
    for (name, millis) in times {
        if let Some(millis) = millis {
            settings[name] = json!(millis_as_seconds(millis));
        }
    }
    json!({ "MinimumThroughputBillingCommitment": settings })
}
