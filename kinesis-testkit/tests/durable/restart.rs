//! What is there again.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kinesis_core::{Clock, from_unix_millis};
use kinesis_testkit::{FakeKinesis, FakeKinesisBuilder, Fault, FaultRule, Operation};
use parking_lot::Mutex;
use serde_json::{Value, json};

const NOW_MILLIS: u64 = 1_767_225_600_000;
const HOUR: Duration = Duration::from_secs(3600);

/// A clock that stands where it is put.
#[derive(Clone, Debug)]
struct Hands(Arc<Mutex<SystemTime>>);

impl Clock for Hands {
    fn now(&self) -> SystemTime {
        *self.0.lock()
    }
}

impl Hands {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(from_unix_millis(NOW_MILLIS))))
    }

    fn forward(&self, by: Duration) {
        *self.0.lock() += by;
    }

    fn builder(&self, directory: &Path) -> FakeKinesisBuilder {
        FakeKinesis::builder().directory(directory).clock(Arc::new(self.clone()))
    }
}

async fn call(fake: &FakeKinesis, operation: &str, body: Value) -> Value {
    let reply = fake.call(operation, &body.to_string()).await.unwrap();
    assert_eq!(reply.status, 200, "{operation}: {}", reply.body);
    serde_json::from_str(&reply.body).unwrap_or(Value::Null)
}

async fn records(fake: &FakeKinesis, stream: &str, shard: &str) -> Vec<Value> {
    let start = json!({ "StreamName": stream, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON" });
    let iterator = call(fake, "GetShardIterator", start).await;
    let read = call(fake, "GetRecords", json!({ "ShardIterator": iterator["ShardIterator"] })).await;
    read["Records"].as_array().unwrap().clone()
}

/// Everything that can be seen of all streams.
async fn picture(fake: &FakeKinesis) -> Value {
    let streams = call(fake, "ListStreams", json!({})).await;
    let mut seen = vec![call(fake, "DescribeAccountSettings", json!({})).await, streams.clone()];
    for name in streams["StreamNames"].as_array().unwrap() {
        let by_name = json!({ "StreamName": name });
        for operation in ["DescribeStream", "DescribeStreamSummary", "ListShards", "ListTagsForStream"] {
            seen.push(call(fake, operation, by_name.clone()).await);
        }
        let arn = format!("arn:aws:kinesis:us-east-1:123456789012:stream/{}", name.as_str().unwrap());
        let consumers = call(fake, "ListStreamConsumers", json!({ "StreamARN": arn })).await;
        for consumer in consumers["Consumers"].as_array().unwrap() {
            seen.push(call(fake, "ListTagsForResource", json!({ "ResourceARN": consumer["ConsumerARN"] })).await);
        }
        seen.push(consumers);
        // There may be none.
        let policy = fake.call("GetResourcePolicy", &json!({ "ResourceARN": arn }).to_string()).await.unwrap();
        seen.push(Value::String(policy.body));
        let shards = call(fake, "ListShards", by_name).await;
        for shard in shards["Shards"].as_array().unwrap() {
            let shard = shard["ShardId"].as_str().unwrap();
            seen.push(Value::Array(records(fake, name.as_str().unwrap(), shard).await));
        }
    }
    Value::Array(seen)
}

async fn put(fake: &FakeKinesis, stream: &str, count: usize) -> Vec<String> {
    let records: Vec<Value> =
        (0..count).map(|index| json!({ "PartitionKey": format!("key-{index}"), "Data": "AAECAw==" })).collect();
    let reply = call(fake, "PutRecords", json!({ "StreamName": stream, "Records": records })).await;
    assert_eq!(reply["FailedRecordCount"], 0);
    let numbers = reply["Records"].as_array().unwrap().iter();
    numbers.map(|record| record["SequenceNumber"].as_str().unwrap().to_owned()).collect()
}

/// A bit of everything.
async fn live(fake: &FakeKinesis, hands: &Hands) {
    let arn = "arn:aws:kinesis:us-east-1:123456789012:stream/orders";
    for (operation, body) in [
        ("CreateStream", json!({ "StreamName": "orders", "ShardCount": 2, "Tags": { "team": "a" } })),
        ("CreateStream", json!({ "StreamName": "elastic", "StreamModeDetails": { "StreamMode": "ON_DEMAND" } })),
        ("CreateStream", json!({ "StreamName": "gone", "ShardCount": 1 })),
        ("AddTagsToStream", json!({ "StreamName": "orders", "Tags": { "stage": "test" } })),
        ("IncreaseStreamRetentionPeriod", json!({ "StreamName": "orders", "RetentionPeriodHours": 48 })),
        ("EnableEnhancedMonitoring", json!({ "StreamName": "orders", "ShardLevelMetrics": ["IncomingBytes"] })),
        ("RegisterStreamConsumer", json!({ "StreamARN": arn, "ConsumerName": "app", "Tags": { "of": "app" } })),
        ("PutResourcePolicy", json!({ "ResourceARN": arn, "Policy": "{\"Version\":\"2012-10-17\"}" })),
    ] {
        call(fake, operation, body).await;
    }
    for stream in ["orders", "elastic", "gone"] {
        put(fake, stream, 20).await;
    }
    hands.forward(Duration::from_secs(1));
    let encryption = json!({ "StreamName": "orders", "EncryptionType": "KMS", "KeyId": "alias/aws/kinesis" });
    call(fake, "StartStreamEncryption", encryption).await;
    put(fake, "orders", 20).await;
    fake.split("orders", "shardId-000000000000").unwrap();
    fake.merge("orders", "shardId-000000000002", "shardId-000000000003").unwrap();
    put(fake, "orders", 20).await;
    call(fake, "DeleteStream", json!({ "StreamName": "gone" })).await;
    call(fake, "CreateStream", json!({ "StreamName": "gone", "ShardCount": 3 })).await;
    put(fake, "gone", 5).await;
}

#[tokio::test]
async fn everything_that_can_be_seen_is_there_again() {
    let directory = tempfile::tempdir().unwrap();
    let hands = Hands::new();
    let fake = hands.builder(directory.path()).build();
    live(&fake, &hands).await;
    let before = picture(&fake).await;
    let (first, last) = (put(&fake, "orders", 1).await, put(&fake, "orders", 1).await);
    drop(fake);
    let fake = hands.builder(directory.path()).stream("orders", 7).stream("new", 1).build();
    assert!(fake.call("DescribeStream", r#"{"StreamName":"new"}"#).await.unwrap().status == 200, "the builder's");
    call(&fake, "DeleteStream", json!({ "StreamName": "new" })).await;
    let after = picture(&fake).await;
    let parts = |picture: &Value| picture.as_array().unwrap().clone();
    let changed: Vec<(Value, Value)> =
        parts(&before).into_iter().zip(parts(&after)).filter(|(before, after)| before != after).collect();
    // What was put last went to the one shard that takes the key.
    assert_eq!(changed.len(), 1, "{changed:#?}");
    let (before, after) = &changed[0];
    assert_eq!(after.as_array().unwrap().len(), before.as_array().unwrap().len() + 2);
    // Numbers go on behind those of before.
    let next = put(&fake, "orders", 1).await;
    let numbers: Vec<u128> = [first, last, next].concat().iter().map(|number| digits(number)).collect();
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
}

/// What differs between the numbers of one shard.
fn digits(number: &str) -> u128 {
    number[number.len() - 38..].parse().unwrap()
}

#[tokio::test]
async fn iterators_and_consumers_of_before_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let hands = Hands::new();
    let fake = hands.builder(directory.path()).stream("orders", 1).build();
    put(&fake, "orders", 3).await;
    let start = json!({ "StreamName": "orders", "ShardId": "0", "ShardIteratorType": "TRIM_HORIZON" });
    let iterator = call(&fake, "GetShardIterator", start).await;
    let read = call(&fake, "GetRecords", json!({ "ShardIterator": iterator["ShardIterator"], "Limit": 2 })).await;
    drop(fake);
    let fake = hands.builder(directory.path()).build();
    let rest = call(&fake, "GetRecords", json!({ "ShardIterator": read["NextShardIterator"] })).await;
    assert_eq!(rest["Records"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_was_due_while_nobody_ran_has_happened() {
    let directory = tempfile::tempdir().unwrap();
    let hands = Hands::new();
    let build = || hands.builder(directory.path()).creating(HOUR).updating(HOUR).deleting(HOUR).build();
    let fake = build();
    for name in ["split", "deleted"] {
        call(&fake, "CreateStream", json!({ "StreamName": name, "ShardCount": 1 })).await;
    }
    hands.forward(HOUR);
    put(&fake, "split", 10).await;
    fake.split("split", "shardId-000000000000").unwrap();
    call(&fake, "DeleteStream", json!({ "StreamName": "deleted" })).await;
    call(&fake, "CreateStream", json!({ "StreamName": "created", "ShardCount": 1 })).await;
    drop(fake);
    hands.forward(2 * HOUR);
    // Records go to shards that were made meanwhile, and these are not saved before they are looked at.
    let fake = build();
    put(&fake, "split", 10).await;
    put(&fake, "created", 1).await;
    drop(fake);
    let fake = build();
    let streams = call(&fake, "ListStreams", json!({})).await;
    assert_eq!(streams["StreamNames"], json!(["created", "split"]));
    let mut counts = Vec::new();
    for shard in ["0", "1", "2"] {
        counts.push(records(&fake, "split", shard).await.len());
    }
    assert_eq!((counts[0], counts[1] + counts[2]), (10, 10), "{counts:?}");
    assert!(counts[1] > 0 && counts[2] > 0, "{counts:?}");
}

#[tokio::test]
async fn what_retention_removed_does_not_come_back_and_leaves_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let hands = Hands::new();
    let build = || hands.builder(directory.path()).stream("orders", 1).build();
    let big = "A".repeat(40_000);
    let fill = async |fake: &FakeKinesis| {
        for _ in 0..10 {
            let record = json!({ "PartitionKey": "key", "Data": big });
            let records: Vec<&Value> = std::iter::repeat_n(&record, 20).collect();
            call(fake, "PutRecords", json!({ "StreamName": "orders", "Records": records })).await;
        }
    };
    let size = || std::fs::metadata(directory.path().join("kinesis.redb")).unwrap().len();
    let fake = build();
    fill(&fake).await;
    let once = size();
    for _ in 0..6 {
        hands.forward(25 * HOUR);
        fill(&fake).await;
    }
    assert!(size() < 4 * once, "{} bytes, and {once} for one day's", size());
    drop(fake);
    let fake = build();
    assert_eq!(fake.stored("orders").unwrap().records, 200);
    fake.trim("orders", fake.clock().now() + HOUR).unwrap();
    drop(fake);
    assert_eq!(build().stored("orders").unwrap().records, 0);
}

/// The answer is lost, and what it was about is not.
#[tokio::test]
async fn what_a_fault_stored_is_there_too() {
    let directory = tempfile::tempdir().unwrap();
    let hands = Hands::new();
    let fake = hands.builder(directory.path()).stream("orders", 1).build();
    fake.inject(FaultRule::on(Operation::PutRecord).fault(Fault::LoseReply));
    let put = r#"{"StreamName":"orders","PartitionKey":"k","Data":"eA=="}"#;
    assert!(fake.call("PutRecord", put).await.is_err());
    // The answer to whatever comes next waits for it.
    call(&fake, "ListStreams", json!({})).await;
    drop(fake);
    assert_eq!(hands.builder(directory.path()).build().stored("orders").unwrap().records, 1);
}
