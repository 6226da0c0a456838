//! How subscriptions begin and end.

use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::{Blob, DateTime};
use aws_sdk_kinesis::types::{ShardIteratorType, StartingPosition};
use kinesis_core::unix_millis;
use kinesis_testkit::{FakeKinesis, Fault, FaultRule, Limits, Operation, OperatorEvent};
use tokio::time::{Instant, advance, sleep};

use crate::support::{
    Events, Received, SHARD_0, SHARD_1, STREAM, after, code, fake, from, pushed_texts, put_at, refusal, register,
    subscribe, try_subscribe,
};

const SECOND: Duration = Duration::from_secs(1);

fn latest() -> StartingPosition {
    from(ShardIteratorType::Latest)
}

fn trim_horizon() -> StartingPosition {
    from(ShardIteratorType::TrimHorizon)
}

fn at(kind: ShardIteratorType, number: impl ToString) -> StartingPosition {
    StartingPosition::builder().r#type(kind).sequence_number(number.to_string()).build().unwrap()
}

fn at_time(fake: &FakeKinesis, seconds_from_now: f64) -> StartingPosition {
    let time = unix_millis(fake.clock().now()) as f64 / 1000.0 + seconds_from_now;
    let position = StartingPosition::builder().r#type(ShardIteratorType::AtTimestamp);
    position.timestamp(DateTime::from_secs_f64(time)).build().unwrap()
}

/// What comes of a stream that is waited for when something happens, at that very time.
async fn while_waiting(events: &mut Events, happens: impl AsyncFnOnce()) -> Received {
    let waiting = async {
        let received = events.next().await;
        (received, Instant::now())
    };
    let happening = async {
        tokio::task::yield_now().await;
        happens().await;
        Instant::now()
    };
    let ((received, at), happened_at) = tokio::join!(biased; waiting, happening);
    assert_eq!(at, happened_at, "{received:?}");
    received
}

async fn put(client: &Client, data: &str) {
    put_at(client, 0, data).await;
}

#[tokio::test(start_paused = true)]
async fn every_starting_position_starts_where_it_says() {
    let (fake, client) = fake(1);
    let mut numbers = Vec::new();
    for data in ["a", "b", "c"] {
        numbers.push(put_at(&client, 0, data).await);
        advance(SECOND).await;
    }
    let cases = [
        ("trim", trim_horizon(), "abcd"),
        ("latest", latest(), "d"),
        ("at", at(ShardIteratorType::AtSequenceNumber, numbers[1]), "bcd"),
        ("after", at(ShardIteratorType::AfterSequenceNumber, numbers[1]), "cd"),
        ("time", at_time(&fake, -2.0), "bcd"),
        ("early", at_time(&fake, -1000.0), "abcd"),
        ("now", at_time(&fake, 0.0), "d"),
    ];
    let mut subscriptions = Vec::new();
    for (name, start, expected) in cases {
        let consumer = register(&client, name).await;
        subscriptions.push((name, subscribe(&client, &consumer, SHARD_0, start).await, expected));
    }
    put(&client, "d").await;
    for (name, mut events, expected) in subscriptions {
        assert_eq!(events.take(expected.len()).await.concat(), expected, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_position_is_refused_as_that_of_an_iterator_is() {
    let (fake, client) = fake(2);
    let consumer = register(&client, "app").await;
    let elsewhere = put_at(&client, u128::MAX, "x").await;
    fake.split(STREAM, SHARD_1).unwrap();
    let end = fake.shards(STREAM).unwrap()[1].ending_sequence_number.unwrap();
    let cases = [
        (SHARD_0, at(ShardIteratorType::AtSequenceNumber, elsewhere), "InvalidArgumentException"),
        (SHARD_0, at(ShardIteratorType::AfterSequenceNumber, "0"), "InternalFailure"),
        (SHARD_1, at(ShardIteratorType::AfterSequenceNumber, end), "InvalidArgumentException"),
        (SHARD_0, at_time(&fake, 1.0), "InvalidArgumentException"),
        (SHARD_0, from(ShardIteratorType::AtTimestamp), "InvalidArgumentException"),
        ("shardId-000000000009", latest(), "ResourceNotFoundException"),
    ];
    for (shard, start, expected) in cases {
        let refused = code(try_subscribe(&client, &consumer, shard, start.clone()).await);
        assert_eq!(refused, expected, "{shard} {start:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_consumer_that_is_active_subscribes() {
    let fake = FakeKinesis::builder().stream(STREAM, 1).creating(SECOND).deleting(SECOND).virtual_time().build();
    let client = fake.client();
    sleep(SECOND).await;
    let consumer = register(&client, "app").await;
    let (refused, message) = refusal(try_subscribe(&client, &consumer, SHARD_0, latest()).await);
    assert_eq!(refused, "ResourceInUseException");
    assert!(message.ends_with("is not in ACTIVE status."), "{message}");
    sleep(SECOND).await;
    let mut events = subscribe(&client, &consumer, SHARD_0, latest()).await;
    let deregistering = async || {
        client.deregister_stream_consumer().consumer_arn(&consumer).send().await.unwrap();
    };
    assert_eq!(code(while_waiting(&mut events, deregistering).await), "ResourceNotFoundException");
    assert_eq!(code(try_subscribe(&client, &consumer, SHARD_0, latest()).await), "ResourceInUseException");
    sleep(SECOND).await;
    assert_eq!(code(try_subscribe(&client, &consumer, SHARD_0, latest()).await), "ResourceNotFoundException");
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_begins_nothing_and_is_not_counted() {
    let fake = FakeKinesis::builder().stream(STREAM, 1).limits(Limits::aws()).virtual_time().build();
    let client = fake.client();
    let consumer = register(&client, "app").await;
    let body = format!(
        r#"{{"ConsumerARN":"{consumer}","ShardId":"{SHARD_0}","StartingPosition":{{"Type":"LATEST"}},"DryRun":true}}"#
    );
    let dry_run = async || fake.call("SubscribeToShard", &body).await.unwrap().body;
    for _ in 0..3 {
        assert!(dry_run().await.contains("DryRunOperationException"));
    }
    let mut events = subscribe(&client, &consumer, SHARD_0, latest()).await;
    assert!(dry_run().await.contains("ResourceInUseException"), "it would be refused");
    sleep(5 * SECOND).await;
    assert!(dry_run().await.contains("DryRunOperationException"));
    put(&client, "x").await;
    assert_eq!(events.take(1).await, ["x"], "it was not taken over");
}

#[tokio::test(start_paused = true)]
async fn one_call_a_second_for_a_consumer_and_a_shard() {
    let fake = FakeKinesis::builder().stream(STREAM, 2).limits(Limits::aws()).virtual_time().build();
    let client = fake.client();
    let (one, other) = (register(&client, "one").await, register(&client, "other").await);
    let _first = subscribe(&client, &one, SHARD_0, latest()).await;
    let _shard = subscribe(&client, &one, SHARD_1, latest()).await;
    let _consumer = subscribe(&client, &other, SHARD_0, latest()).await;
    let again = async || code(try_subscribe(&client, &one, SHARD_0, latest()).await);
    assert_eq!(again().await, "LimitExceededException");
    sleep(SECOND).await;
    assert_eq!(again().await, "ResourceInUseException");
    assert_eq!(again().await, "LimitExceededException", "a call that is refused counts");
}

#[tokio::test(start_paused = true)]
async fn a_subscription_is_protected_for_five_seconds_and_then_taken_over() {
    let (_fake, client) = fake(1);
    let consumer = register(&client, "app").await;
    let mut second = None;
    let mut first = subscribe(&client, &consumer, SHARD_0, latest()).await;
    sleep(Duration::from_millis(4999)).await;
    let (refused, message) = refusal(try_subscribe(&client, &consumer, SHARD_0, latest()).await);
    assert_eq!(refused, "ResourceInUseException");
    assert!(message.starts_with("Another active subscription exists for this consumer"), "{message}");
    put(&client, "for the first").await;
    sleep(Duration::from_millis(1)).await;
    assert_eq!(first.take(1).await, ["for the first"]);
    let taking_over = async || second = Some(subscribe(&client, &consumer, SHARD_0, latest()).await);
    assert_eq!(code(while_waiting(&mut first, taking_over).await), "ResourceInUseException");
    put(&client, "for the second").await;
    assert_eq!(second.unwrap().take(1).await, ["for the second"]);
    assert!(first.next().await.unwrap().is_none(), "nothing comes after an error");
}

#[tokio::test(start_paused = true)]
async fn five_seconds_count_from_a_call_that_succeeded_whatever_became_of_it() {
    let (_fake, client) = fake(1);
    let consumer = register(&client, "app").await;
    drop(subscribe(&client, &consumer, SHARD_0, latest()).await);
    for (wait, expected) in [(0, false), (3, false), (2, true), (4, false), (1, true)] {
        sleep(wait * SECOND).await;
        let result = try_subscribe(&client, &consumer, SHARD_0, latest()).await;
        assert_eq!(result.is_ok(), expected, "after {wait} s more: {result:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscription_ends_after_five_minutes_without_an_error() {
    let (_fake, client) = fake(1);
    let consumer = register(&client, "app").await;
    let begin = Instant::now();
    let mut events = subscribe(&client, &consumer, SHARD_0, latest()).await;
    let mut last = String::new();
    while let Some(event) = events.next().await.unwrap() {
        event.continuation_sequence_number().clone_into(&mut last);
    }
    assert_eq!(begin.elapsed(), 300 * SECOND);
    put(&client, "between two").await;
    let mut next = subscribe(&client, &consumer, SHARD_0, after(last)).await;
    assert_eq!(next.take(1).await, ["between two"]);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_stream_is_an_error() {
    let fake = FakeKinesis::builder().stream(STREAM, 1).deleting(SECOND).virtual_time().build();
    let client = fake.client();
    let consumer = register(&client, "app").await;
    let mut events = subscribe(&client, &consumer, SHARD_0, latest()).await;
    let deleting = async || {
        client.delete_stream().stream_name(STREAM).enforce_consumer_deletion(true).send().await.unwrap();
    };
    assert_eq!(code(while_waiting(&mut events, deleting).await), "ResourceNotFoundException");
}

#[tokio::test(start_paused = true)]
async fn a_later_stream_of_the_name_is_another() {
    let (fake, client) = fake(1);
    let consumer = register(&client, "app").await;
    let mut events = subscribe(&client, &consumer, SHARD_0, latest()).await;
    let event = OperatorEvent::DeleteAndRecreate { stream: STREAM.parse().unwrap() };
    fake.inject(FaultRule::on(Operation::PutRecord).fault(Fault::Operate(event)));
    put(&client, "x").await;
    // Within one second even the ARN is the same.
    assert_eq!(register(&client, "app").await, consumer);
    assert_eq!(code(events.next().await), "ResourceNotFoundException");
}

#[tokio::test(start_paused = true)]
async fn a_shard_ends_behind_its_records_with_its_children() {
    let (fake, client) = fake(2);
    let consumer = register(&client, "app").await;
    let mut low = subscribe(&client, &consumer, SHARD_0, trim_horizon()).await;
    let mut high = subscribe(&client, &consumer, SHARD_1, trim_horizon()).await;
    put(&client, "low").await;
    let child = fake.merge(STREAM, SHARD_0, SHARD_1).unwrap();
    for (events, texts) in [(&mut low, vec!["low".to_owned()]), (&mut high, vec![])] {
        for text in texts {
            let event = events.event().await;
            assert_eq!((pushed_texts(&event), event.child_shards().len()), (vec![text], 0));
        }
        let end = events.event().await;
        assert_eq!((end.records().len(), end.continuation_sequence_number()), (0, ""));
        assert_eq!(end.millis_behind_latest(), 0);
        let [merged] = end.child_shards() else { panic!("{end:?}") };
        assert_eq!(
            (merged.shard_id(), merged.parent_shards()),
            (child.as_str(), &[SHARD_0.into(), SHARD_1.into()][..])
        );
        assert!(events.next().await.unwrap().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_reshard_that_takes_time_ends_the_shard_when_it_is_done() {
    for (updating, heartbeats) in [(3, 0), (7, 1)] {
        let fake = FakeKinesis::builder().stream(STREAM, 1).updating(updating * SECOND).virtual_time().build();
        let client = fake.client();
        let consumer = register(&client, "app").await;
        let mut events = subscribe(&client, &consumer, SHARD_0, latest()).await;
        let begin = Instant::now();
        let reading = async {
            for _ in 0..heartbeats {
                assert_eq!((events.event().await.child_shards().len(), begin.elapsed()), (0, 5 * SECOND));
            }
            events.event().await
        };
        let splitting = async {
            tokio::task::yield_now().await;
            fake.split(STREAM, SHARD_0).unwrap();
        };
        let (end, ()) = tokio::join!(biased; reading, splitting);
        assert_eq!((end.child_shards().len(), begin.elapsed()), (2, updating * SECOND));
    }
}

#[tokio::test(start_paused = true)]
async fn a_jump_of_the_clock_is_noticed_by_whoever_waits() {
    let (fake, client) = fake(1);
    let consumer = register(&client, "app").await;
    let mut events = subscribe(&client, &consumer, SHARD_0, latest()).await;
    let ended = while_waiting(&mut events, async || fake.advance(300 * SECOND)).await;
    assert!(ended.unwrap().is_none());
    let mut events = subscribe(&client, &consumer, SHARD_0, latest()).await;
    let jump = Fault::Operate(OperatorEvent::AdvanceClock(300 * SECOND));
    fake.inject(FaultRule::on(Operation::ListStreams).fault(jump));
    let ended = while_waiting(&mut events, async || drop(client.list_streams().send().await.unwrap())).await;
    assert!(ended.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn calls_are_in_the_journal_and_counted() {
    let (fake, client) = fake(1);
    let consumer = register(&client, "app").await;
    let _events = subscribe(&client, &consumer, SHARD_0, latest()).await;
    assert!(try_subscribe(&client, &consumer, SHARD_0, latest()).await.is_err());
    let counts = fake.call_counts()[&Operation::SubscribeToShard];
    assert_eq!((counts.calls, counts.refused), (2, 1));
    let journal = fake.journal();
    let lines = journal.to_json_lines();
    assert_eq!(lines.matches(r#""operation":"SubscribeToShard","stream":"orders""#).count(), 2, "{lines}");
}

#[tokio::test(start_paused = true)]
async fn another_account_subscribes_by_the_arn() {
    let (fake, client) = fake(1);
    let consumer = register(&client, "app").await;
    let foreign = fake.in_account("999999999999").unwrap().client();
    let mut events = subscribe(&foreign, &consumer, SHARD_0, latest()).await;
    let put = client.put_record().stream_name(STREAM).partition_key("k").data(Blob::new("x"));
    put.send().await.unwrap();
    assert_eq!(events.take(1).await, ["x"]);
}
