//! Replies as trees, and the large ones as JSON.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kinesis_core::{HashKeyRange, Shard, unix_millis};
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

pub(super) fn put_record(stored: &StoredAt) -> String {
    json!({
        "ShardId": stored.shard.as_str(),
        "SequenceNumber": stored.sequence_number.to_string(),
        "EncryptionType": encryption(stored.encrypted),
    })
    .to_string()
}

/// Writes text that only grows; `String` never fails to.
fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    let written = out.write_fmt(text);
    debug_assert!(written.is_ok());
}

fn put_quoted(out: &mut String, text: &str) {
    let plain = text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
    if plain {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        put(out, format_args!("{}", Value::from(text)));
    }
}

pub(super) fn put_records(outcomes: &[PutOutcome]) -> String {
    let failed = outcomes.iter().filter(|outcome| outcome.is_err()).count();
    let mut out = String::with_capacity(64 + outcomes.len() * 128);
    put(&mut out, format_args!("{{\"FailedRecordCount\":{failed},\"Records\":["));
    for (index, outcome) in outcomes.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        match outcome {
            Ok(stored) => put(
                &mut out,
                format_args!("{{\"SequenceNumber\":\"{}\",\"ShardId\":\"{}\"}}", stored.sequence_number, stored.shard),
            ),
            Err(error) => {
                out.push_str("{\"ErrorCode\":");
                put_quoted(&mut out, error.code());
                out.push_str(",\"ErrorMessage\":");
                put_quoted(&mut out, error.message());
                out.push('}');
            }
        }
    }
    let encrypted = outcomes.iter().flatten().any(|stored| stored.encrypted);
    put(&mut out, format_args!("],\"EncryptionType\":\"{}\"}}", encryption(encrypted)));
    out
}

pub(super) fn records(reply: &GetRecordsReply) -> String {
    let mut out = read(&reply.records, reply.millis_behind_latest);
    if let Some(iterator) = &reply.next_iterator {
        out.push_str(",\"NextShardIterator\":");
        put_quoted(&mut out, iterator);
    }
    put_child_shards(&mut out, &reply.child_shards);
    out.push('}');
    out
}

/// The payload of an event of SubscribeToShard.
pub(super) fn pushed_event(event: &PushedEvent) -> String {
    let mut out = read(&event.records, event.millis_behind_latest);
    if let Some(number) = &event.continuation {
        put(&mut out, format_args!(",\"ContinuationSequenceNumber\":\"{number}\""));
    }
    put_child_shards(&mut out, &event.child_shards);
    out.push('}');
    out
}

/// What a reply of GetRecords and an event of SubscribeToShard begin with.
fn read(records: &[ReadRecord], millis_behind_latest: u64) -> String {
    let size: u64 = records.iter().map(|record| record.body.size_bytes()).sum();
    let mut out = String::with_capacity(512 + size as usize / 3 * 4 + records.len() * 180);
    out.push_str("{\"Records\":[");
    for (index, record) in records.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        put_record_read(&mut out, record);
    }
    put(&mut out, format_args!("],\"MillisBehindLatest\":{millis_behind_latest}"));
    out
}

fn put_child_shards(out: &mut String, child_shards: &[ChildShard]) {
    if child_shards.is_empty() {
        return;
    }
    put(out, format_args!(",\"ChildShards\":{}", child_shards_tree(child_shards)));
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

fn put_record_read(out: &mut String, record: &ReadRecord) {
    let arrived_millis = unix_millis(record.arrived_at);
    put(
        out,
        format_args!(
            "{{\"SequenceNumber\":\"{}\",\"ApproximateArrivalTimestamp\":{}.{:03},",
            record.sequence_number,
            arrived_millis / 1000,
            arrived_millis % 1000
        ),
    );
    if let Some(key) = record.body.partition_key() {
        out.push_str("\"PartitionKey\":");
        put_quoted(out, key);
        out.push(',');
    }
    out.push_str("\"Data\":\"");
    STANDARD.encode_string(record.body.data(), out);
    // Recorded by LocalStack: a record that is not encrypted does not say so.
    out.push_str(if record.encrypted { "\",\"EncryptionType\":\"KMS\"}" } else { "\"}" });
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
