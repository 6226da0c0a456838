//! What the events of a subscription hold, and when they come.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::types::{ShardIteratorType, SubscribeToShardEvent};
use kinesis_core::{Randomness, SequenceNumber};
use kinesis_testkit::testing::{ReshardEvery, ReshardSchedule, put_all};
use kinesis_testkit::{FakeKinesis, Fault, FaultRule, Limits, Operation, Unanswered};
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, advance, sleep, timeout};

use crate::support::{
    SHARD_0, SHARD_1, STREAM, after, drain, entry, fake, from, pushed_texts, put_at, register, subscribe,
};

const SECOND: Duration = Duration::from_secs(1);
const MIB: usize = 1024 * 1024;

fn number(event: &SubscribeToShardEvent) -> SequenceNumber {
    event.continuation_sequence_number().parse().unwrap()
}

async fn put_sized(client: &Client, bytes: usize) {
    client.put_records().stream_name(STREAM).records(entry("k", vec![b'x'; bytes - 1])).send().await.unwrap();
}

/// Bytes of data and keys.
fn size(event: &SubscribeToShardEvent) -> usize {
    let records = event.records().iter();
    records.map(|record| record.data().as_ref().len() + record.partition_key().map_or(0, str::len)).sum()
}

#[tokio::test(start_paused = true)]
async fn records_are_pushed_when_they_arrive() {
    let (_fake, client) = fake(1);
    let consumer = register(&client, "app").await;
    let mut events = subscribe(&client, &consumer, SHARD_0, from(ShardIteratorType::Latest)).await;
    let begin = Instant::now();
    let writing = async {
        sleep(Duration::from_millis(1234)).await;
        put_at(&client, 0, "x").await
    };
    let (event, stored) = tokio::join!(biased; events.event(), writing);
    assert_eq!((pushed_texts(&event), begin.elapsed()), (vec!["x".to_owned()], Duration::from_millis(1234)));
    assert_eq!((number(&event), event.millis_behind_latest()), (stored, 0));
}

#[tokio::test(start_paused = true)]
async fn an_idle_shard_gets_an_event_without_records_every_five_seconds() {
    let (_fake, client) = fake(2);
    let consumer = register(&client, "app").await;
    let mut events = subscribe(&client, &consumer, SHARD_0, from(ShardIteratorType::TrimHorizon)).await;
    let begin = Instant::now();
    let mut numbers = Vec::new();
    for turn in 1..=6 {
        let event = events.event().await;
        assert_eq!((event.records().len(), event.millis_behind_latest()), (0, 0));
        assert_eq!(begin.elapsed(), 5 * turn * SECOND);
        numbers.push(number(&event));
        // The other shard is not idle.
        put_at(&client, u128::MAX, "elsewhere").await;
    }
    assert!(numbers.is_sorted_by(|one, next| one < next), "it moves: {numbers:?}");
    // An event puts the next heartbeat off.
    sleep(3 * SECOND).await;
    put_at(&client, 0, "here").await;
    assert_eq!(events.take(1).await, ["here"]);
    let event = events.event().await;
    assert_eq!((event.records().len(), begin.elapsed()), (0, 38 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn the_number_of_an_idle_shard_goes_on_without_loss_and_without_repetition() {
    let (fake, client) = fake(2);
    let consumer = register(&client, "app").await;
    put_at(&client, 0, "before").await;
    let mut events = subscribe(&client, &consumer, SHARD_0, from(ShardIteratorType::TrimHorizon)).await;
    assert_eq!(events.take(1).await, ["before"]);
    for _ in 0..20 {
        put_at(&client, u128::MAX, "elsewhere").await;
    }
    let idle = events.event().await;
    assert_eq!(idle.records().len(), 0);
    for data in ["a", "b"] {
        put_at(&client, 0, data).await;
    }
    let mut next = subscribe(&client, &consumer, SHARD_0, after(idle.continuation_sequence_number())).await;
    assert_eq!(next.take(2).await, ["a", "b"]);
    // The polling reader's iterator takes it, too.
    let iterator = client.get_shard_iterator().stream_name(STREAM).shard_id(SHARD_0);
    let iterator = iterator.shard_iterator_type(ShardIteratorType::AtSequenceNumber);
    let iterator = iterator.starting_sequence_number(idle.continuation_sequence_number()).send().await.unwrap();
    let read = client.get_records().set_shard_iterator(iterator.shard_iterator).send().await.unwrap();
    assert_eq!(crate::support::texts(&read), ["a", "b"]);
    assert_eq!(fake.stored(STREAM).unwrap().records, 23);
}

#[tokio::test(start_paused = true)]
async fn an_event_holds_ten_thousand_records_and_two_mebibytes_but_always_one_record() {
    let (_fake, client) = fake(1);
    let consumer = register(&client, "app").await;
    put_all(&client, STREAM, (0..12_000).map(|n| ("k", n.to_string()))).await.unwrap();
    let mut events = subscribe(&client, &consumer, SHARD_0, from(ShardIteratorType::TrimHorizon)).await;
    let mut counts = Vec::new();
    for _ in 0..2 {
        counts.push(events.event().await.records().len());
    }
    assert_eq!(counts, [10_000, 2000]);
    for _ in 0..5 {
        put_sized(&client, MIB).await;
    }
    client.update_max_record_size_to(10 * 1024).await;
    put_sized(&client, 9 * MIB).await;
    put_sized(&client, 1000).await;
    let mut sizes = Vec::new();
    for _ in 0..5 {
        sizes.push(size(&events.event().await));
    }
    assert_eq!(sizes, [2 * MIB, 2 * MIB, MIB, 9 * MIB, 1000]);
}

/// Calls that are long to write.
trait Short {
    async fn update_max_record_size_to(&self, kib: i32);
}

impl Short for Client {
    async fn update_max_record_size_to(&self, kib: i32) {
        let arn = format!("arn:aws:kinesis:us-east-1:123456789012:stream/{STREAM}");
        self.update_max_record_size().stream_arn(arn).max_record_size_in_kib(kib).send().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn two_mebibytes_a_second_for_each_consumer_and_shard() {
    let limits = Limits::aws().write_bytes_per_second(None);
    let fake = FakeKinesis::builder().stream(STREAM, 1).limits(limits).virtual_time().build();
    let client = fake.client();
    let (one, other) = (register(&client, "one").await, register(&client, "other").await);
    for _ in 0..20 {
        put_sized(&client, MIB).await;
    }
    let drain = async |consumer: &str| {
        let mut events = subscribe(&client, consumer, SHARD_0, from(ShardIteratorType::TrimHorizon)).await;
        let (begin, mut bytes) = (Instant::now(), 0);
        while bytes < 20 * MIB {
            bytes += size(&events.event().await);
        }
        begin.elapsed()
    };
    let (first, second) = tokio::join!(biased; drain(&one), drain(&other));
    // A full bucket of 2 MiB, the event that may empty it below zero, and then 2 MiB a second.
    for elapsed in [first, second] {
        assert!((7 * SECOND..=9 * SECOND).contains(&elapsed), "{elapsed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_throttled_subscription_says_that_it_is_alive_and_behind() {
    let limits = Limits::off().push_bytes_per_second(100);
    let fake = FakeKinesis::builder().stream(STREAM, 1).limits(limits).virtual_time().build();
    let client = fake.client();
    let consumer = register(&client, "app").await;
    put_sized(&client, 1000).await;
    let mut events = subscribe(&client, &consumer, SHARD_0, from(ShardIteratorType::TrimHorizon)).await;
    let first = events.event().await;
    put_sized(&client, 1).await;
    let begin = Instant::now();
    let heartbeat = events.event().await;
    assert_eq!((heartbeat.records().len(), begin.elapsed()), (0, 5 * SECOND));
    assert_eq!((heartbeat.millis_behind_latest(), number(&heartbeat)), (5000, number(&first)), "it skips nothing");
    assert_eq!(size(&events.event().await), 1);
    assert_eq!(begin.elapsed(), Duration::from_millis(9001), "900 bytes too many, and one to have");
}

#[tokio::test(start_paused = true)]
async fn an_event_says_how_far_behind_it_is() {
    let (_fake, client) = fake(1);
    let consumer = register(&client, "app").await;
    for _ in 0..3 {
        put_sized(&client, MIB).await;
        advance(SECOND).await;
    }
    let mut events = subscribe(&client, &consumer, SHARD_0, from(ShardIteratorType::TrimHorizon)).await;
    let behind = [events.event().await, events.event().await].map(|event| event.millis_behind_latest());
    assert_eq!(behind, [2000, 0]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_made_before_it_is_asked_for() {
    let (fake, client) = fake(1);
    let consumer = register(&client, "app").await;
    let mut events = subscribe(&client, &consumer, SHARD_0, from(ShardIteratorType::Latest)).await;
    put_at(&client, 0, "first").await;
    assert_eq!(events.take(1).await, ["first"]);
    // The reader is parked: all that comes and goes meanwhile is held nowhere.
    for _ in 0..12 {
        put_sized(&client, MIB).await;
        tokio::task::yield_now().await;
    }
    fake.trim(STREAM, fake.clock().now() + SECOND).unwrap();
    advance(SECOND).await;
    put_at(&client, 0, "last").await;
    let event = events.event().await;
    assert_eq!(pushed_texts(&event), ["last"]);
}

#[tokio::test(start_paused = true)]
async fn five_minutes_end_the_subscription_of_a_parked_reader_too() {
    let (_fake, client) = fake(1);
    let consumer = register(&client, "app").await;
    let mut events = subscribe(&client, &consumer, SHARD_0, from(ShardIteratorType::Latest)).await;
    put_at(&client, 0, "x").await;
    sleep(300 * SECOND).await;
    let _later = subscribe(&client, &consumer, SHARD_0, from(ShardIteratorType::Latest)).await;
    assert!(events.next().await.unwrap().is_none(), "it had ended when the other came");
    // And a parked reader who was overtaken in time learns that it was.
    sleep(5 * SECOND).await;
    let mut events = subscribe(&client, &consumer, SHARD_0, from(ShardIteratorType::Latest)).await;
    sleep(299 * SECOND).await;
    let _other = subscribe(&client, &consumer, SHARD_0, from(ShardIteratorType::Latest)).await;
    sleep(299 * SECOND).await;
    assert_eq!(crate::support::code(events.next().await), "ResourceInUseException");
}

#[tokio::test(start_paused = true)]
async fn retention_removes_what_was_not_read() {
    let (_fake, client) = fake(1);
    let consumer = register(&client, "app").await;
    put_at(&client, 0, "old").await;
    sleep(86_399 * SECOND).await;
    put_at(&client, 0, "new").await;
    let mut events = subscribe(&client, &consumer, SHARD_0, from(ShardIteratorType::TrimHorizon)).await;
    sleep(2 * SECOND).await;
    assert_eq!(events.take(1).await, ["new"]);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_stored_late_is_pushed_at_its_time() {
    let (fake, client) = fake(1);
    let consumer = register(&client, "app").await;
    let late = Fault::ApplyLate { after: 3 * SECOND, answer: Unanswered::Reset };
    fake.inject(FaultRule::on(Operation::PutRecords).fault(late));
    let mut events = subscribe(&client, &consumer, SHARD_0, from(ShardIteratorType::Latest)).await;
    let begin = Instant::now();
    let writing = async {
        tokio::task::yield_now().await;
        let put = client.put_records().stream_name(STREAM).records(entry("k", "late"));
        put.send().await.unwrap_err();
    };
    let (event, ()) = tokio::join!(biased; events.event(), writing);
    assert_eq!((pushed_texts(&event), begin.elapsed()), (vec!["late".to_owned()], 3 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn consumers_do_not_disturb_each_other() {
    let (_fake, client) = fake(1);
    let mut readers = Vec::new();
    for name in ["a", "b", "c"] {
        let consumer = register(&client, name).await;
        readers.push(subscribe(&client, &consumer, SHARD_0, from(ShardIteratorType::Latest)).await);
    }
    for n in 0..5 {
        put_at(&client, 0, &n.to_string()).await;
        let mut seen = BTreeSet::new();
        for reader in &mut readers {
            seen.insert(reader.take(1).await);
        }
        assert_eq!(seen, BTreeSet::from([vec![n.to_string()]]));
    }
}

/// What was read of each shard: numbers and data.
type Read = Arc<Mutex<BTreeMap<String, Vec<(SequenceNumber, String)>>>>;

/// Reads a shard to its end, five minutes at a time; its children, each with all of its parents.
async fn read_shard(client: Client, consumer: String, shard: String, read: Read) -> (String, Children) {
    let mut start = from(ShardIteratorType::TrimHorizon);
    loop {
        let mut events = subscribe(&client, &consumer, &shard, start).await;
        let mut reached = String::new();
        while let Some(event) = events.next().await.unwrap() {
            event.continuation_sequence_number().clone_into(&mut reached);
            let numbers = event.records().iter().map(|record| record.sequence_number().parse().unwrap());
            read.lock().entry(shard.clone()).or_default().extend(numbers.zip(pushed_texts(&event)));
            if !event.child_shards().is_empty() {
                assert!(events.next().await.unwrap().is_none(), "the end of {shard} is the end of the stream");
                let children = event.child_shards().iter();
                let children = children.map(|child| (child.shard_id().to_owned(), child.parent_shards().to_vec()));
                return (shard, children.collect());
            }
        }
        start = after(reached);
    }
}

type Children = Vec<(String, Vec<String>)>;

/// Reads shards as they are told of, children after all of their parents; ends when all have ended.
async fn read_stream(client: &Client, consumer: &str, read: &Read) {
    let (mut readers, mut ended, mut begun) = (JoinSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut ready = vec![SHARD_0.to_owned(), SHARD_1.to_owned()];
    loop {
        for shard in ready.drain(..).filter(|shard| begun.insert(shard.clone())) {
            readers.spawn(read_shard(client.clone(), consumer.to_owned(), shard, Arc::clone(read)));
        }
        let Some(result) = readers.join_next().await else { return };
        let (shard, children) = result.unwrap();
        ended.insert(shard);
        let is_ready = |(_, parents): &(String, Vec<String>)| parents.iter().all(|parent| ended.contains(parent));
        ready = children.into_iter().filter(is_ready).map(|(child, _)| child).collect();
    }
}

#[tokio::test(start_paused = true)]
async fn every_record_is_pushed_once_and_in_order_through_splits_and_merges() {
    for seed in 0..3 {
        let fake = FakeKinesis::builder().stream(STREAM, 2).updating(SECOND).virtual_time().build();
        let client = fake.client();
        let consumer = register(&client, "app").await;
        let mut random = Randomness::from_seed(seed).stream("writer");
        let mut schedule = ReshardSchedule::random(seed, 12);
        let writing = async {
            for n in 0..1000_u64 {
                let key = format!("key-{}", random.below(40));
                client.put_records().stream_name(STREAM).records(entry(key, n.to_string())).send().await.unwrap();
                sleep(Duration::from_millis(random.below(1000))).await;
            }
        };
        let read = Read::default();
        let mut reading = pin!(read_stream(&client, &consumer, &read));
        tokio::select! {
            biased;
            () = &mut reading => panic!("seed {seed}: all shards have ended"),
            written = schedule.run_during(&fake, STREAM, ReshardEvery::Records(70), writing) => written.unwrap(),
        }
        timeout(SECOND, reading).await.unwrap_err();
        let mut stored: BTreeMap<String, Vec<(SequenceNumber, String)>> = BTreeMap::new();
        for record in &fake.journal().records {
            let data = String::from_utf8(record.data().to_vec()).unwrap();
            stored.entry(record.shard().as_str().to_owned()).or_default().push((record.sequence_number(), data));
        }
        let mut read = read.lock().clone();
        read.retain(|_, records| !records.is_empty());
        assert_eq!(read, stored, "seed {seed}\n{schedule}");
        assert!(stored.len() > 8 && schedule.remaining() == 0, "seed {seed}: {} shards\n{schedule}", stored.len());
    }
}

#[tokio::test(start_paused = true)]
async fn records_count_as_read_once_their_reader_takes_them() {
    let (fake, client) = fake(1);
    let read = |operation| fake.call_counts().get(&operation).map_or(0, |counts| counts.read_records);
    let consumer = register(&client, "app").await;
    for data in ["a", "b", "c"] {
        put_at(&client, 0, data).await;
    }
    let mut events = subscribe(&client, &consumer, SHARD_0, from(ShardIteratorType::TrimHorizon)).await;
    assert_eq!(read(Operation::SubscribeToShard), 0, "nobody has asked for an event");
    events.take(3).await;
    assert_eq!((read(Operation::SubscribeToShard), read(Operation::GetRecords)), (3, 0));
    drain(&client, SHARD_0).await;
    assert_eq!((read(Operation::SubscribeToShard), read(Operation::GetRecords)), (3, 3));
}
