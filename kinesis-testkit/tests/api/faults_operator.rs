//! What operators do between two calls: F10, F14, F15, F18.

use std::time::Duration;

use aws_sdk_kinesis::types::ShardIteratorType;
use kinesis_testkit::{FakeKinesis, Fault, FaultRule, Operation, OperatorEvent};

use crate::support::{SHARD_0, SHARD_1, SHARD_2, STREAM, code, fake, iterator, put_at, read, texts};

fn stream() -> kinesis_core::StreamName {
    STREAM.parse().unwrap()
}

fn before(operation: Operation, event: OperatorEvent) -> FaultRule {
    FaultRule::on(operation).fault(Fault::Operate(event))
}

fn open(fake: &FakeKinesis) -> Vec<String> {
    let shards = fake.shards(STREAM).unwrap().into_iter().filter(|it| it.ending_sequence_number.is_none());
    shards.map(|it| it.id.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn f18_a_shard_is_split_just_before_the_write() {
    let (fake, client) = fake(1);
    put_at(&client, 0, "before").await;
    fake.inject(before(Operation::PutRecord, OperatorEvent::Split { stream: stream(), shard: None }));
    put_at(&client, 0, "after").await;
    let journal = fake.journal();
    let shards: Vec<_> = journal.records.iter().map(|it| it.shard().as_str()).collect();
    assert_eq!(shards, [SHARD_0, SHARD_1]);
    let event = &journal.events[0];
    assert_eq!((event.before_call, event.rule, &event.refused), (2, 0, &None));
    let split = OperatorEvent::Split { stream: stream(), shard: Some(SHARD_0.parse().unwrap()) };
    assert_eq!(event.event, split, "the journal names the shard that was chosen");
    assert_eq!(journal.calls[1].fault.map(|mark| mark.kind()), Some("operate"));
}

#[tokio::test(start_paused = true)]
async fn f14_shards_are_merged_and_split_while_a_reader_reads() {
    let (fake, client) = fake(2);
    put_at(&client, 0, "x").await;
    let merge = OperatorEvent::Merge { stream: stream(), shard: None, adjacent: None };
    fake.inject(before(Operation::GetRecords, merge));
    let split = OperatorEvent::Split { stream: stream(), shard: Some(SHARD_2.parse().unwrap()) };
    fake.inject(before(Operation::GetRecords, split).nth(2));
    let start = iterator(&client, SHARD_0, ShardIteratorType::TrimHorizon).await;
    let end = read(&client, start).await;
    assert_eq!((texts(&end), end.next_shard_iterator()), (vec!["x"], None));
    assert_eq!(end.child_shards()[0].shard_id(), SHARD_2);
    let start = iterator(&client, SHARD_2, ShardIteratorType::TrimHorizon).await;
    assert_eq!(read(&client, start).await.child_shards().len(), 2);
    assert_eq!(open(&fake), ["shardId-000000000003", "shardId-000000000004"]);
}

#[tokio::test(start_paused = true)]
async fn f14_a_merge_finds_the_neighbour() {
    let merged = async |shards: u32, shard: Option<&str>| {
        let (fake, client) = fake(shards);
        let shard = shard.map(|it| it.parse().unwrap());
        let merge = OperatorEvent::Merge { stream: stream(), shard, adjacent: None };
        fake.inject(before(Operation::PutRecord, merge));
        put_at(&client, 0, "x").await;
        (open(&fake), fake.journal().events[0].refused.clone())
    };
    let child = "shardId-000000000003".to_owned();
    assert_eq!(merged(3, None).await, (vec![SHARD_2.to_owned(), child.clone()], None));
    assert_eq!(merged(3, Some(SHARD_2)).await, (vec![SHARD_0.to_owned(), child], None));
    let refused = Some("InvalidArgumentException".to_owned());
    assert_eq!(merged(1, None).await, (vec![SHARD_0.to_owned()], refused));
}

#[tokio::test(start_paused = true)]
async fn f14_a_stream_is_scaled_between_two_calls() {
    let (fake, client) = fake(2);
    let scale = |shards| OperatorEvent::UpdateShardCount { stream: stream(), shards };
    for (shards, open_shards, refused) in [(4, 4, None), (9, 4, Some("LimitExceededException".to_owned()))] {
        fake.inject(before(Operation::PutRecord, scale(shards)));
        put_at(&client, 0, "x").await;
        assert_eq!((open(&fake).len(), fake.journal().events.pop().unwrap().refused), (open_shards, refused));
    }
}

#[tokio::test(start_paused = true)]
async fn f15_retention_removes_records_and_closed_shards() {
    let (fake, client) = fake(1);
    put_at(&client, 0, "gone").await;
    fake.split(STREAM, SHARD_0).unwrap();
    let start = iterator(&client, SHARD_0, ShardIteratorType::TrimHorizon).await;
    fake.inject(before(Operation::GetRecords, OperatorEvent::TrimAll { stream: stream() }));
    assert_eq!(code(client.get_records().shard_iterator(start).send().await), "ResourceNotFoundException");
    assert_eq!(fake.stored(STREAM).unwrap().records, 0);
    let listed = client.list_shards().stream_name(STREAM).send().await.unwrap();
    assert_eq!(listed.shards().iter().map(|it| it.shard_id()).collect::<Vec<_>>(), [SHARD_1, SHARD_2]);
    tokio::time::advance(Duration::from_millis(1)).await;
    put_at(&client, 0, "new").await;
    let start = iterator(&client, SHARD_1, ShardIteratorType::TrimHorizon).await;
    assert_eq!(texts(&read(&client, start).await), ["new"]);
    assert_eq!(fake.journal().records.len(), 2, "the journal keeps what retention removed");
}

#[tokio::test(start_paused = true)]
async fn f15_days_pass_between_two_calls() {
    let (fake, client) = fake(1);
    put_at(&client, 0, "gone").await;
    let start = iterator(&client, SHARD_0, ShardIteratorType::TrimHorizon).await;
    let (days, begin) = (Duration::from_secs(2 * 86_400), fake.clock().now());
    fake.inject(before(Operation::GetRecords, OperatorEvent::AdvanceClock(days)));
    assert_eq!(code(client.get_records().shard_iterator(start).send().await), "ExpiredIteratorException");
    assert_eq!(fake.clock().now(), begin + days);
    assert_eq!(fake.stored(STREAM).unwrap().records, 0);
    let journal = fake.journal();
    assert_eq!((journal.events[0].at, journal.calls.last().unwrap().at), (begin, begin + days));
}

#[tokio::test(start_paused = true)]
async fn f15_a_late_request_falls_due_when_the_clock_jumps() {
    let (fake, client) = fake(1);
    let (hour, begin) = (Duration::from_secs(3600), fake.clock().now());
    fake.inject(FaultRule::on(Operation::PutRecord).fault(Fault::ApplyTwice { after: hour / 2 }));
    fake.inject(before(Operation::PutRecord, OperatorEvent::AdvanceClock(hour)).nth(2));
    put_at(&client, 0, "a").await;
    put_at(&client, 0, "b").await;
    let journal = fake.journal();
    let arrived: Vec<_> = journal.records.iter().map(|it| (it.data(), it.arrived_at())).collect();
    let expected = [("a", begin), ("a", begin + hour / 2), ("b", begin + hour)];
    assert_eq!(arrived, expected.map(|(data, at)| (data.into(), at)));
}

#[tokio::test(start_paused = true)]
async fn f10_a_stream_is_created_again_under_its_name() {
    let (fake, client) = fake(2);
    let number = put_at(&client, 0, "old").await;
    let start = iterator(&client, SHARD_0, ShardIteratorType::TrimHorizon).await;
    fake.inject(before(Operation::GetRecords, OperatorEvent::DeleteAndRecreate { stream: stream() }));
    assert!(texts(&read(&client, start).await).is_empty(), "the service takes an iterator of the earlier stream");
    assert_eq!(open(&fake), [SHARD_0, SHARD_1]);
    let request = client.get_shard_iterator().stream_name(STREAM).shard_id(SHARD_0);
    let request = request.shard_iterator_type(ShardIteratorType::AfterSequenceNumber);
    let refused = request.starting_sequence_number(number.to_string()).send().await;
    assert_eq!(code(refused), "InvalidArgumentException", "the old position is none of the new stream");
}

#[tokio::test(start_paused = true)]
async fn an_event_can_be_refused() {
    let fake = FakeKinesis::builder()
        .stream(STREAM, 1)
        .updating(Duration::from_secs(30))
        .deleting(Duration::from_secs(30))
        .virtual_time()
        .build();
    let client = fake.client();
    fake.split(STREAM, SHARD_0).unwrap();
    for event in [
        OperatorEvent::Split { stream: stream(), shard: None },
        OperatorEvent::TrimAll { stream: stream() },
        OperatorEvent::Split { stream: "payments".parse().unwrap(), shard: None },
        OperatorEvent::DeleteAndRecreate { stream: stream() },
    ] {
        fake.inject(before(Operation::ListStreams, event));
        client.list_streams().send().await.unwrap();
        fake.heal();
    }
    let refused: Vec<_> = fake.journal().events.into_iter().map(|it| it.refused.unwrap_or_default()).collect();
    let in_use = "ResourceInUseException";
    assert_eq!(refused, [in_use, "", "ResourceNotFoundException", in_use], "retention passes in any state");
}
