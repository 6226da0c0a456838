//! What schemas make of records, and what becomes of those that they refuse.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use kinesis_aggregation::AggregateBuilder;
use kinesis_consumer::{
    BoxError, ConsumerBuilder, ConsumerError, ConsumerEvent, DeadLetter, DeadLetters, Described, ErrorPolicy, Json,
    JsonError, JsonErrorKind, Positions, RawBytes, RawRecords, Record, Schema, StreamShard, Utf8,
};
use kinesis_core::HashKey;
use parking_lot::Mutex;
use serde::Deserialize;

use crate::support::{STREAM, World, pull_all, pull_by_single_polls};

#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Order {
    id: u32,
}

/// What is refused, in the order in which it was taken.
type Taken = Arc<Mutex<Vec<(StreamShard, u64, Bytes, String)>>>;

fn keep_in(taken: &Taken) -> impl Fn(DeadLetter) -> Result<(), BoxError> + use<> {
    let taken = Arc::clone(taken);
    move |DeadLetter { record, error, .. }| {
        let sub_sequence_number = record.position.sub_sequence_number;
        taken.lock().push((record.shard, sub_sequence_number, record.data, error.to_string()));
        Ok(())
    }
}

async fn drain<S: Schema>(builder: ConsumerBuilder<S>) -> Result<(Vec<S::Item>, Positions), ConsumerError> {
    let consumer = builder.build_pull().unwrap();
    consumer.handle().drain();
    let mut subtasks = consumer.into_subtasks().await.unwrap();
    let items = pull_all(&mut subtasks[0]).await?;
    Ok((items, subtasks[0].snapshot()))
}

/// One aggregate: good, bad, good, bad.
async fn put_mixed(world: &World) {
    let mut builder = AggregateBuilder::new();
    for data in [r#"{"id":1}"#, "secret", r#"{"id":2}"#, r#"{"id":"secret"}"#] {
        builder.add("key", None, data.as_bytes());
    }
    world.put("key", &builder.finish()).await;
}

#[tokio::test(start_paused = true)]
async fn records_bytes_text_and_closures_are_delivered() {
    let world = World::new(1);
    world.put_aggregate("key", 0..3).await;
    assert_eq!(drain(world.consumer().schema(RawBytes)).await.unwrap().0, ["0", "1", "2"]);
    assert_eq!(drain(world.consumer().schema(Utf8)).await.unwrap().0, ["0", "1", "2"]);
    let even = |record: Record| {
        let number: u32 = std::str::from_utf8(&record.data)?.parse()?;
        Ok(number.is_multiple_of(2).then_some(number))
    };
    let (items, positions) = drain(world.consumer().schema(even)).await.unwrap();
    assert_eq!(items, [0, 2]);
    assert_eq!(last_sub_sequence_numbers(&positions), [2]);
}

fn last_sub_sequence_numbers(positions: &Positions) -> Vec<u64> {
    positions.shards().map(|(_, position)| position.last().unwrap().sub_sequence_number).collect()
}

#[tokio::test(start_paused = true)]
async fn metadata_travels_with_the_item() {
    let world = World::new(1);
    let mut builder = AggregateBuilder::new();
    builder.add("first", None, b"a");
    builder.add("second", Some(HashKey::new(77)), b"b");
    world.put("first", &builder.finish()).await;
    world.put("third", b"c").await;
    let (items, _) = drain(world.consumer().schema(Utf8.with_metadata())).await.unwrap();
    let seen: Vec<_> = items
        .iter()
        .map(|Described { metadata, item, .. }| {
            let key = metadata.partition_key.as_ref().unwrap().as_str();
            (item.as_str(), key, metadata.explicit_hash_key, metadata.position.sub_sequence_number)
        })
        .collect();
    assert_eq!(seen, [("a", "first", None, 0), ("b", "second", Some(HashKey::new(77)), 1), ("c", "third", None, 0)]);
    let stored = &world.fake.journal().records;
    for (item, record) in items.iter().zip([&stored[0], &stored[0], &stored[1]]) {
        assert_eq!(item.metadata.shard.to_string(), format!("{STREAM}/shardId-000000000000"));
        assert_eq!(item.metadata.position.sequence_number, record.sequence_number());
        assert!(item.metadata.arrived_at.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_record_fails_the_job_and_is_named_without_its_data() {
    let cases = [
        ("{secret", JsonErrorKind::Syntax),
        (r#"{"id":"secret"}"#, JsonErrorKind::Data),
        (r#"{"id":1"#, JsonErrorKind::Truncated),
    ];
    for (data, kind) in cases {
        let world = World::new(1);
        world.put("key", data.as_bytes()).await;
        let error = drain(world.consumer().schema(Json::<Order>::new())).await.unwrap_err();
        let sequence_number = world.fake.journal().records[0].sequence_number();
        let expected =
            format!("record {sequence_number}.0 of orders/shardId-000000000000 could not be decoded by the schema");
        assert_eq!(error.to_string(), expected);
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        let ConsumerError::Schema { source, .. } = error else { panic!("{error:?}") };
        let cause = source.downcast::<JsonError>().unwrap();
        assert_eq!((cause.kind, cause.line), (kind, 1));
        assert!(cause.to_string().contains("Order"), "{cause}");
        assert!(!cause.to_string().contains("secret"), "{cause}");
    }
}

#[tokio::test(start_paused = true)]
async fn skipped_records_are_counted_and_passed() {
    let world = World::new(1);
    put_mixed(&world).await;
    let schema = Json::<Order>::new().or_skip();
    let (items, positions) = drain(world.consumer().schema(schema.clone())).await.unwrap();
    assert_eq!(items, [Order { id: 1 }, Order { id: 2 }]);
    assert_eq!(last_sub_sequence_numbers(&positions), [3], "the skipped ones are passed too");
    let skipped = |world: &World| -> Vec<(u64, u64)> {
        let events = world.events();
        let skipped = events.iter().filter_map(|event| match event {
            ConsumerEvent::RecordsSkipped { position, count, .. } => Some((position.sub_sequence_number, *count)),
            _ => None,
        });
        skipped.collect()
    };
    assert_eq!(skipped(&world), [(1, 2)]);
    let (items, _) = drain(world.consumer().schema(schema).positions([positions])).await.unwrap();
    assert_eq!((items, skipped(&world).len()), (Vec::new(), 1), "none is met again");
}

#[tokio::test(start_paused = true)]
async fn dead_letters_are_taken_with_all_that_is_known_before_the_batch_is_delivered() {
    let world = World::new(1);
    put_mixed(&world).await;
    let taken = Taken::default();
    let schema = Json::<Order>::new().on_error(ErrorPolicy::dead_letter_sync(keep_in(&taken)));
    let (items, _) = drain(world.consumer().schema(schema)).await.unwrap();
    assert_eq!(items, [Order { id: 1 }, Order { id: 2 }]);
    let taken = taken.lock().clone();
    let shard =
        StreamShard { stream: STREAM.parse().unwrap(), shard: world.fake.shards(STREAM).unwrap()[0].id.clone() };
    let records: Vec<_> = taken.iter().map(|(shard, sub, data, _)| (shard, *sub, data.as_ref())).collect();
    assert_eq!(records, [(&shard, 1, b"secret".as_ref()), (&shard, 3, br#"{"id":"secret"}"#.as_ref())]);
    assert!(taken[0].3.contains("no JSON"), "{}", taken[0].3);
    let counted = world.events().into_iter().find_map(|event| match event {
        ConsumerEvent::RecordsDeadLettered { shard, position, count } => {
            Some((shard, position.sub_sequence_number, count))
        }
        _ => None,
    });
    assert_eq!(counted, Some((shard, 1, 2)));
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_refused_records_alone_moves_the_position() {
    let world = World::new(1);
    world.put("key", b"\xff").await;
    let (items, positions) = drain(world.consumer().schema(Utf8.or_skip())).await.unwrap();
    assert_eq!(items, Vec::<String>::new());
    let again = drain(world.consumer().schema(Utf8).positions([positions])).await;
    assert_eq!(again.unwrap().0, Vec::<String>::new(), "the record is behind the position");
}

/// Refuses the second record that it is given, for the first time.
struct FailsOnce {
    calls: AtomicUsize,
    taken: Taken,
}

#[async_trait::async_trait]
impl DeadLetters for FailsOnce {
    async fn take(&self, letter: DeadLetter) -> Result<(), BoxError> {
        if self.calls.fetch_add(1, Ordering::Relaxed) == 1 {
            return Err("the queue is full".into());
        }
        keep_in(&self.taken)(letter)
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_hook_that_fails_ends_the_job_before_the_record() {
    let world = World::new(1);
    world.put("key", br#"{"id":0}"#).await;
    put_mixed(&world).await;
    let taken = Taken::default();
    let hook = Arc::new(FailsOnce { calls: AtomicUsize::new(0), taken: Arc::clone(&taken) });
    let policy = ErrorPolicy::DeadLetter(hook);
    let schema = || Json::<Order>::new().on_error(policy.clone());
    let consumer = world.consumer().schema(schema()).max_batch(1).build_pull().unwrap();
    let mut subtask = consumer.into_subtasks().await.unwrap().remove(0);
    let first = subtask.next_batch().await.unwrap().unwrap();
    assert_eq!(first.items, [Order { id: 0 }]);
    assert_eq!(subtask.next_batch().await.unwrap().unwrap().items, [Order { id: 1 }]);
    // The first refused record stands alone in its batch, and is taken.
    assert_eq!(subtask.next_batch().await.unwrap().unwrap().items, [Order { id: 2 }]);
    let error = subtask.next_batch().await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("of orders/shardId-000000000000") && text.contains("dead-letter"), "{text}");
    let ConsumerError::DeadLetter { position, source, .. } = error else { panic!("{text}") };
    assert_eq!((position.sub_sequence_number, source.to_string()), (3, "the queue is full".to_owned()));
    let positions = subtask.snapshot();
    assert_eq!(last_sub_sequence_numbers(&positions), [2]);
    let (items, positions) = drain(world.consumer().schema(schema()).positions([positions])).await.unwrap();
    assert_eq!(items, []);
    assert_eq!(last_sub_sequence_numbers(&positions), [3]);
    let data: Vec<_> = taken.lock().iter().map(|(_, sub, _, _)| *sub).collect();
    assert_eq!(data, [1, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_takes_its_time_is_called_once_though_every_poll_is_dropped() {
    let world = World::new(1);
    for number in 0..5u8 {
        world.put("key", &[0xff, number]).await;
        world.put("key", &[b'0' + number]).await;
    }
    let (taken, begun) = (Taken::default(), Arc::new(AtomicUsize::new(0)));
    let (keep, began) = (Arc::new(keep_in(&taken)), Arc::clone(&begun));
    let hook = move |letter: DeadLetter| {
        let keep = Arc::clone(&keep);
        began.fetch_add(1, Ordering::Relaxed);
        async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            keep(letter)
        }
    };
    let consumer = world.consumer().schema(Utf8.or_dead_letter(hook)).max_batch(3).build_pull().unwrap();
    consumer.handle().drain();
    let mut subtask = consumer.into_subtasks().await.unwrap().remove(0);
    let (items, dropped) = pull_by_single_polls(&mut subtask).await.unwrap();
    assert_eq!(items, ["0", "1", "2", "3", "4"]);
    assert_eq!((taken.lock().len(), begun.load(Ordering::Relaxed)), (5, 5));
    assert!(dropped > 100, "the hook alone takes 100 ms of polls, {dropped} were dropped");
}

#[tokio::test(start_paused = true)]
async fn the_innermost_failure_is_judged_by_the_outermost_policy() {
    let world = World::new(1);
    world.put("key", b"\xff").await;
    let strict = Utf8.or_skip().on_error(ErrorPolicy::Fail);
    assert!(matches!(drain(world.consumer().schema(strict)).await, Err(ConsumerError::Schema { .. })));
    let lenient = Utf8.or_skip().with_metadata();
    assert_eq!(drain(world.consumer().schema(lenient)).await.unwrap().0.len(), 0);
    let raw: Vec<Record> = drain(world.consumer().schema(RawRecords.or_skip())).await.unwrap().0;
    assert_eq!(raw[0].data, b"\xff".as_ref());
}
