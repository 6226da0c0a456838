//! The ground truth as lines of JSON.

use std::time::Duration;

use kinesis_testkit::{Fault, FaultRule, Journal, JournalCall, Operation, OperatorEvent, Unanswered};
use serde_json::{Value, json};

use crate::support::{SHARD_0, STREAM, code, fake, put_at};

/// A run in which everything that a line can say is said.
async fn run() -> Journal {
    let (fake, client) = fake(1);
    let put = || FaultRule::on(Operation::PutRecord);
    let late = Fault::ApplyLate { after: Duration::ZERO, answer: Unanswered::Reset };
    fake.inject(
        put().nth(2).fault(Fault::Operate(OperatorEvent::Split { stream: STREAM.parse().unwrap(), shard: None })),
    );
    fake.inject(put().nth(3).fault(late));
    put_at(&client, 7, "one").await;
    put_at(&client, 0, "two").await;
    let lost = client.put_record().stream_name(STREAM).partition_key("ä").data(b"three".as_slice().into());
    lost.send().await.unwrap_err();
    assert_eq!(code(client.list_shards().stream_name("none").send().await), "ResourceNotFoundException");
    fake.journal()
}

#[tokio::test(start_paused = true)]
async fn lines_stand_in_the_order_of_what_happened() {
    let text = run().await.to_json_lines();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<_> = lines.iter().map(|line| line["line"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["call", "record", "event", "call", "record", "call", "call", "record", "call"]);
    assert_eq!(
        lines[1],
        json!({
            "line": "record", "call": 1, "stream": STREAM, "shard": SHARD_0, "partition_key": "key",
            "sequence_number": lines[1]["sequence_number"], "explicit_hash_key": "7",
            "arrived_at_millis": 1_767_225_600_000u64, "data": "b25l",
        })
    );
    let split = json!({ "split": { "stream": STREAM, "shard": SHARD_0 } });
    let event =
        json!({ "line": "event", "before_call": 2, "at_millis": 1_767_225_600_000u64, "rule": 0, "event": split });
    assert_eq!(lines[2], event);
    assert_eq!(
        lines[5],
        json!({
            "line": "call", "id": 3, "request": 3, "request_id": lines[5]["request_id"], "operation": "PutRecord",
            "stream": STREAM, "at_millis": 1_767_225_600_000u64, "outcome": "deferred", "stored_records": 0,
            "failed_records": 0, "misreported_records": 0, "fault": "apply_late", "rule": 1, "reply_lost": true,
            "delivery": "first",
        })
    );
    let late = &lines[6];
    assert_eq!((&late["delivery"], &late["request"], &late["outcome"]), (&json!("late"), &json!(3), &json!("applied")));
    assert_eq!(late["request_id"], lines[5]["request_id"]);
    assert_eq!((&lines[8]["outcome"], &lines[8]["error"]), (&json!("refused"), &json!("ResourceNotFoundException")));
}

#[tokio::test(start_paused = true)]
async fn one_seed_gives_the_same_bytes() {
    let (first, second) = (run().await, run().await);
    assert_eq!(first.to_json_lines(), second.to_json_lines());
    let mut written = Vec::new();
    first.write_json_lines(&mut written).unwrap();
    assert_eq!(String::from_utf8(written).unwrap(), second.to_json_lines());
}

#[tokio::test(start_paused = true)]
async fn a_request_id_is_that_of_the_reply() {
    use aws_sdk_kinesis::operation::RequestId;
    let (fake, client) = fake(1);
    let output = client.list_shards().stream_name(STREAM).send().await.unwrap();
    let id = fake.journal().calls[0].request_id.to_string();
    assert_eq!(output.request_id(), Some(id.as_str()));
}

#[tokio::test(start_paused = true)]
async fn unknown_operations_keep_their_names() {
    let (fake, _) = fake(1);
    fake.call("PutPizza", "{}").await.unwrap();
    assert_eq!(fake.journal().calls[0].operation.as_str(), "PutPizza");
}

#[test]
fn millions_of_calls_fit_into_memory() {
    // 1.8 million calls, as a day of 100 shards read every five seconds makes them, take 245 MB.
    assert!(size_of::<JournalCall>() <= 136, "{} bytes", size_of::<JournalCall>());
}
