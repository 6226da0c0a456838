//! CBOR on the wire, as the SDKs for Java write and read it.

use cbor4ii::core::Value;
use cbor4ii::core::dec::Decode;
use cbor4ii::core::enc::Encode;
use cbor4ii::core::utils::{BufWriter, SliceReader};
use kinesis_testkit::{FakeKinesis, Server};
use serde_json::json;

use crate::serving::{Serving, exchange, parts, post};
use crate::support::{SHARD_0, STREAM};

const CBOR: &str = "application/x-amz-cbor-1.1";

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn map(entries: &[(&str, Value)]) -> Value {
    Value::Map(entries.iter().map(|(key, value)| (text(key), value.clone())).collect())
}

fn written(value: &Value) -> Vec<u8> {
    let mut out = BufWriter::new(Vec::new());
    value.encode(&mut out).unwrap();
    out.into_inner()
}

/// Status and members of the reply.
async fn call(serving: &Serving, operation: &str, body: &[u8]) -> (u16, Value) {
    let (head, body) = parts(&exchange(serving.address, &post(operation, CBOR, body)).await);
    assert!(head.contains(&format!("content-type: {CBOR}")), "{head}");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let value = if body.is_empty() { Value::Null } else { Value::decode(&mut SliceReader::new(&body)).unwrap() };
    (status, value)
}

fn member<'a>(value: &'a Value, name: &str) -> &'a Value {
    let Value::Map(entries) = value else { panic!("no map: {value:?}") };
    let found = entries.iter().find(|(key, _)| *key == text(name));
    &found.unwrap_or_else(|| panic!("no {name}: {value:?}")).1
}

fn of_text(value: &Value) -> &str {
    let Value::Text(text) = value else { panic!("no text: {value:?}") };
    text
}

fn items(value: &Value) -> &[Value] {
    let Value::Array(items) = value else { panic!("no list: {value:?}") };
    items
}

async fn serve(fake: &FakeKinesis) -> Serving {
    Serving::start(Server::bind(fake, "127.0.0.1:0").await.unwrap())
}

#[tokio::test]
async fn what_is_put_as_bytes_is_read_as_bytes() {
    let fake = FakeKinesis::builder().stream(STREAM, 1).build();
    let serving = serve(&fake).await;
    let before = millis(&fake);
    let entry = |data: &[u8]| map(&[("Data", Value::Bytes(data.to_vec())), ("PartitionKey", text("k"))]);
    let put = map(&[("StreamName", text(STREAM)), ("Records", Value::Array(vec![entry(b"\x00\xff"), entry(b"")]))]);
    let (status, reply) = call(&serving, "PutRecords", &written(&put)).await;
    assert_eq!((status, member(&reply, "FailedRecordCount")), (200, &Value::Integer(0)));
    assert_eq!(member(&reply, "EncryptionType"), &text("NONE"));
    // As the SDKs for Java write it: every map without a length.
    let body =
        b"\xbf\x6aStreamName\x66orders\x67ShardId\x74shardId-000000000000\x71ShardIteratorType\x6cTRIM_HORIZON\xff";
    let (_, reply) = call(&serving, "GetShardIterator", body).await;
    let iterator = member(&reply, "ShardIterator").clone();
    let (_, read) = call(&serving, "GetRecords", &written(&map(&[("ShardIterator", iterator)]))).await;
    let records = items(member(&read, "Records"));
    let data: Vec<&Value> = records.iter().map(|record| member(record, "Data")).collect();
    assert_eq!(data, [&Value::Bytes(vec![0, 255]), &Value::Bytes(Vec::new())]);
    assert_eq!(of_text(member(&records[0], "SequenceNumber")).len(), 56);
    // Tag 1 on whole milliseconds.
    let Value::Tag(1, arrived) = member(&records[0], "ApproximateArrivalTimestamp") else { panic!("{records:?}") };
    let Value::Integer(arrived) = **arrived else { panic!("{arrived:?}") };
    assert!((before..=millis(&fake)).contains(&arrived), "{arrived}");
    assert_eq!(member(&read, "MillisBehindLatest"), &Value::Integer(0));
    serving.stop().await;
}

fn millis(fake: &FakeKinesis) -> i128 {
    i128::from(kinesis_core::unix_millis(fake.clock().now()))
}

/// The same calls in both formats: the same members, apart from how blobs and times are written.
#[tokio::test]
async fn replies_have_the_members_of_json() {
    let fake = FakeKinesis::builder().stream(STREAM, 2).build();
    let arn = format!("arn:aws:kinesis:us-east-1:123456789012:stream/{STREAM}");
    let put = json!({"StreamName": STREAM, "PartitionKey": "k", "Data": "eA==", "ExplicitHashKey": "0"});
    fake.call("PutRecord", &put.to_string()).await.unwrap();
    fake.call("RegisterStreamConsumer", &json!({"StreamARN": arn, "ConsumerName": "c"}).to_string()).await.unwrap();
    fake.call("AddTagsToStream", &json!({"StreamName": STREAM, "Tags": {"a": "b"}}).to_string()).await.unwrap();
    let start = json!({"StreamName": STREAM, "ShardId": SHARD_0, "ShardIteratorType": "TRIM_HORIZON"});
    let start = fake.call("GetShardIterator", &start.to_string()).await.unwrap().body;
    let iterator = serde_json::from_str::<serde_json::Value>(&start).unwrap()["ShardIterator"].clone();
    fake.split(STREAM, SHARD_0).unwrap();
    let calls = [
        ("DescribeStream", json!({"StreamName": STREAM})),
        ("DescribeStreamSummary", json!({"StreamName": STREAM})),
        ("ListStreams", json!({})),
        ("ListShards", json!({"StreamName": STREAM})),
        ("ListStreamConsumers", json!({"StreamARN": arn})),
        ("DescribeStreamConsumer", json!({"StreamARN": arn, "ConsumerName": "c"})),
        ("ListTagsForStream", json!({"StreamName": STREAM})),
        ("DescribeLimits", json!({})),
        ("DescribeAccountSettings", json!({})),
        ("GetRecords", json!({"ShardIterator": iterator, "Limit": 1})),
        // Refusals: of the engine, of constraints, of what cannot be read.
        ("ListShards", json!({"StreamName": "none"})),
        ("GetRecords", json!({"ShardIterator": "x", "Limit": 10_001})),
        ("GetRecords", json!({"ShardIterator": 7})),
        ("PutPizza", json!({})),
        // And replies without a body.
        ("CreateStream", json!({"StreamName": STREAM, "ShardCount": 1})),
        ("DeleteStream", json!({"StreamName": STREAM, "EnforceConsumerDeletion": true})),
    ];
    let serving = serve(&fake).await;
    for (operation, input) in calls {
        let json = if operation == "DeleteStream" {
            None
        } else {
            Some(fake.call(operation, &input.to_string()).await.unwrap())
        };
        let (status, reply) = call(&serving, operation, &written(&of_json(&input))).await;
        let Some(json) = json else {
            assert_eq!((status, reply), (200, Value::Null));
            continue;
        };
        assert_eq!(status, json.status, "{operation}");
        let expected: serde_json::Value = serde_json::from_str(&json.body).unwrap();
        assert_eq!(as_json(&reply, ""), without_luck(expected), "{operation}");
    }
    serving.stop().await;
}

fn of_json(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::String(it) => text(it),
        serde_json::Value::Object(entries) => {
            Value::Map(entries.iter().map(|(key, value)| (text(key), of_json(value))).collect())
        }
        serde_json::Value::Bool(flag) => Value::Bool(*flag),
        other => Value::Integer(other.as_i64().unwrap().into()),
    }
}

/// A reply in CBOR as it would be in JSON.
fn as_json(value: &Value, name: &str) -> serde_json::Value {
    use base64::Engine as _;
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(flag) => json!(flag),
        Value::Integer(number) => json!(i64::try_from(*number).unwrap()),
        Value::Text(_) if name.ends_with("Token") || name == "NextShardIterator" => json!("drawn"),
        Value::Text(text) => json!(text),
        Value::Bytes(bytes) => json!(base64::engine::general_purpose::STANDARD.encode(bytes)),
        Value::Tag(1, millis) => {
            let Value::Integer(millis) = **millis else { panic!("{millis:?}") };
            json!(millis as f64 / 1000.0)
        }
        Value::Array(items) => items.iter().map(|item| as_json(item, "")).collect(),
        Value::Map(entries) => {
            entries.iter().map(|(key, value)| (of_text(key).to_owned(), as_json(value, of_text(key)))).collect()
        }
        other => panic!("no reply has {other:?}"),
    }
}

/// The reply without what differs from call to call.
fn without_luck(value: serde_json::Value) -> serde_json::Value {
    let serde_json::Value::Object(mut members) = value else { return value };
    for (name, value) in &mut members {
        if name.ends_with("Token") || name == "NextShardIterator" {
            *value = json!("drawn");
        }
    }
    members.into()
}
