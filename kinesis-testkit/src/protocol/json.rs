//! Replies as JSON.

use std::fmt::Write;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kinesis_core::{HashKeyRange, Shard, unix_millis};
use serde_json::{Map, Value, json};

use crate::engine::{GetRecordsReply, PutOutcome, ReadRecord, ShardPage, StoredAt, StreamMode, StreamView};

/// A time as the protocol has it: seconds since the epoch, with milliseconds.
fn seconds(time: SystemTime) -> f64 {
    unix_millis(time) as f64 / 1000.0
}

fn mode(view: &StreamView) -> Value {
    let mode = match view.mode {
        StreamMode::Provisioned => "PROVISIONED",
        StreamMode::OnDemand => "ON_DEMAND",
    };
    json!({ "StreamMode": mode })
}

/// What both descriptions of a stream share.
fn description(view: &StreamView) -> Map<String, Value> {
    let members = [
        ("StreamName", json!(view.arn.name().as_str())),
        ("StreamARN", json!(view.arn.to_string())),
        ("StreamStatus", json!(view.status.as_str())),
        ("StreamModeDetails", mode(view)),
        ("RetentionPeriodHours", json!(view.retention_hours)),
        ("StreamCreationTimestamp", json!(seconds(view.created_at))),
        ("EnhancedMonitoring", json!([{ "ShardLevelMetrics": [] }])),
        ("EncryptionType", json!("NONE")),
    ];
    members.map(|(name, value)| (name.to_owned(), value)).into_iter().collect()
}

pub(super) fn stream_description(view: &StreamView, shards: &[Shard], more: bool) -> String {
    let mut members = description(view);
    members.insert("Shards".to_owned(), shards.iter().map(shard).collect());
    members.insert("HasMoreShards".to_owned(), json!(more));
    json!({ "StreamDescription": members }).to_string()
}

pub(super) fn stream_summary(view: &StreamView) -> String {
    let mut members = description(view);
    members.insert("OpenShardCount".to_owned(), json!(view.open_shards));
    members.insert("ConsumerCount".to_owned(), json!(0));
    members.insert("MaxRecordSizeInKiB".to_owned(), json!(view.max_record_kib));
    json!({ "StreamDescriptionSummary": members }).to_string()
}

pub(super) fn streams(views: &[StreamView], next_token: Option<&str>) -> String {
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
    reply.to_string()
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

pub(super) fn shards(page: &ShardPage) -> String {
    let mut reply = json!({ "Shards": page.shards.iter().map(shard).collect::<Value>() });
    if let Some(token) = &page.next_token {
        reply["NextToken"] = json!(token);
    }
    reply.to_string()
}

pub(super) fn iterator(iterator: &str) -> String {
    json!({ "ShardIterator": iterator }).to_string()
}

pub(super) fn put_record(stored: &StoredAt) -> String {
    json!({
        "ShardId": stored.shard.as_str(),
        "SequenceNumber": stored.sequence_number.to_string(),
        "EncryptionType": "NONE",
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
    out.push_str("],\"EncryptionType\":\"NONE\"}");
    out
}

pub(super) fn records(reply: &GetRecordsReply) -> String {
    let size: u64 = reply.records.iter().map(|record| record.body.size_bytes()).sum();
    let mut out = String::with_capacity(512 + size as usize / 3 * 4 + reply.records.len() * 180);
    out.push_str("{\"Records\":[");
    for (index, record) in reply.records.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        put_record_read(&mut out, record);
    }
    put(&mut out, format_args!("],\"MillisBehindLatest\":{}", reply.millis_behind_latest));
    if let Some(iterator) = &reply.next_iterator {
        out.push_str(",\"NextShardIterator\":");
        put_quoted(&mut out, iterator);
    }
    if !reply.child_shards.is_empty() {
        let children: Value = reply
            .child_shards
            .iter()
            .map(|child| {
                json!({
                    "ShardId": child.id.as_str(),
                    "ParentShards": child.parents.iter().map(AsRef::<str>::as_ref).collect::<Vec<_>>(),
                    "HashKeyRange": hash_key_range(&child.range),
                })
            })
            .collect();
        put(&mut out, format_args!(",\"ChildShards\":{children}"));
    }
    out.push('}');
    out
}

fn put_record_read(out: &mut String, record: &ReadRecord) {
    let arrived_millis = unix_millis(record.arrived_at);
    put(
        out,
        format_args!(
            "{{\"SequenceNumber\":\"{}\",\"ApproximateArrivalTimestamp\":{}.{:03},\"PartitionKey\":",
            record.sequence_number,
            arrived_millis / 1000,
            arrived_millis % 1000
        ),
    );
    put_quoted(out, record.body.partition_key());
    out.push_str(",\"Data\":\"");
    STANDARD.encode_string(record.body.data(), out);
    out.push_str("\",\"EncryptionType\":\"NONE\"}");
}
