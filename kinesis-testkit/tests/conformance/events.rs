//! The events of a subscription as JSON.

use std::collections::BTreeMap;

use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::operation::subscribe_to_shard::SubscribeToShardOutput;
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::{ChildShard, Record, ShardIteratorType, StartingPosition, SubscribeToShardEvent};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kinesis_testkit::FakeKinesis;
use serde_json::{Map, Value, json};

/// The most events without records that are passed over on the way to another one.
const MOST_PASSED_OVER: usize = 100;

/// The subscriptions of a case, by their names.
#[derive(Default)]
pub(crate) struct Subscriptions(BTreeMap<String, SubscribeToShardOutput>);

impl Subscriptions {
    /// Begins a subscription and keeps it; an error where it is refused.
    pub(crate) async fn begin(&mut self, fake: &FakeKinesis, name: &str, input: &Value) -> Result<(), String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let position = &input["StartingPosition"];
        let start = StartingPosition::builder()
            .r#type(ShardIteratorType::from(text(&position["Type"]).as_str()))
            .set_sequence_number(position["SequenceNumber"].as_str().map(str::to_owned))
            .set_timestamp(position["Timestamp"].as_f64().map(DateTime::from_secs_f64));
        let call = fake.client().subscribe_to_shard();
        let call = call.consumer_arn(text(&input["ConsumerARN"])).shard_id(text(&input["ShardId"]));
        let call = call.starting_position(start.build().map_err(|error| error.to_string())?);
        let output = call.send().await.map_err(|error| format!("{error:?}"))?;
        self.0.insert(name.to_owned(), output);
        Ok(())
    }

    /// As many events as are expected; those without records are passed over where another is.
    pub(crate) async fn receive(&mut self, name: &str, expected: &[Value]) -> Result<Value, String> {
        let output = self.0.get_mut(name).ok_or_else(|| format!("there is no subscription `{name}`"))?;
        let mut received = Vec::new();
        for expected in expected {
            let mut event = next(output).await?;
            let mut passed_over = 0;
            while is_idle(&event) && !is_idle(expected) {
                passed_over += 1;
                if passed_over > MOST_PASSED_OVER {
                    return Err("nothing but events without records comes".to_owned());
                }
                event = next(output).await?;
            }
            received.push(event);
        }
        Ok(Value::Array(received))
    }
}

/// Whether an event holds no records and ends nothing.
fn is_idle(event: &Value) -> bool {
    event["event"]["Records"].as_array().is_some_and(Vec::is_empty) && event["event"]["ChildShards"].is_null()
}

async fn next(output: &mut SubscribeToShardOutput) -> Result<Value, String> {
    match output.event_stream.recv().await {
        Ok(None) => Ok(json!("end")),
        Ok(Some(received)) => {
            let event = received.as_subscribe_to_shard_event();
            event.map(|event| json!({ "event": event_json(event) })).map_err(|other| format!("{other:?}"))
        }
        Err(SdkError::ServiceError(context)) => {
            let error = context.err();
            Ok(json!({ "exception": { "type": error.code(), "message": error.message() } }))
        }
        Err(error) => Err(format!("{error:?}")),
    }
}

fn event_json(event: &SubscribeToShardEvent) -> Value {
    let mut members = Map::new();
    members.insert("Records".to_owned(), event.records().iter().map(record).collect());
    members.insert("MillisBehindLatest".to_owned(), json!(event.millis_behind_latest()));
    // The SDK fills in what is required and was not there.
    if !event.continuation_sequence_number().is_empty() {
        members.insert("ContinuationSequenceNumber".to_owned(), json!(event.continuation_sequence_number()));
    }
    if event.child_shards.is_some() {
        members.insert("ChildShards".to_owned(), event.child_shards().iter().map(child_shard).collect());
    }
    Value::Object(members)
}

fn record(record: &Record) -> Value {
    json!({
        "SequenceNumber": record.sequence_number(),
        "ApproximateArrivalTimestamp": record.approximate_arrival_timestamp().map(DateTime::as_secs_f64),
        "PartitionKey": record.partition_key(),
        "Data": STANDARD.encode(record.data()),
    })
}

fn child_shard(child: &ChildShard) -> Value {
    let range = child
        .hash_key_range()
        .map(|range| json!({ "StartingHashKey": range.starting_hash_key(), "EndingHashKey": range.ending_hash_key() }));
    json!({ "ShardId": child.shard_id(), "ParentShards": child.parent_shards(), "HashKeyRange": range })
}
