//! Reading: all shards, through resharding, in order, at the service's pace.

use std::time::Duration;

use kinesis_consumer::{ConsumerEvent, ForeignMembers};
use kinesis_core::HashKey;
use kinesis_testkit::{FakeKinesis, Fault, FaultRule, Limits, Operation};

use crate::support::{STREAM, World, text, texts};

#[tokio::test(start_paused = true)]
async fn every_record_of_every_shard_is_read_once() {
    // C1, C2
    let world = World::new(4);
    world.put_many(0..200).await;
    world.start(world.consumer().parallelism(3)).drain().await.unwrap();
    assert_eq!(world.seen.sorted(), texts(0..200));
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_read_through_a_split_and_a_merge() {
    // C1, C2, C6, F14
    let world = World::new(2);
    let running = world.start(world.consumer().parallelism(2));
    world.put_many(0..50).await;
    let [low, high] = world.fake.split(STREAM, "shardId-000000000000").unwrap();
    world.put_many(50..100).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    let merged = world.fake.merge(STREAM, low.as_str(), high.as_str()).unwrap();
    world.fake.split(STREAM, merged.as_str()).unwrap();
    world.put_many(100..150).await;
    running.drain().await.unwrap();
    assert_eq!(world.seen.sorted(), texts(0..150));
}

#[tokio::test(start_paused = true)]
async fn no_record_of_a_child_comes_before_its_parents_end() {
    // C5: one key, so that all its records are in one line of descent.
    let world = World::new(1);
    for number in 0..30 {
        world.put("one-key", &text(number)).await;
        if number % 10 == 9 {
            let shard = HashKey::of_partition_key("one-key");
            let shards = world.fake.shards(STREAM).unwrap();
            let open = shards.iter().find(|other| other.is_open() && other.hash_key_range.contains(shard)).unwrap();
            world.fake.split(STREAM, open.id.as_str()).unwrap();
        }
    }
    world.start(world.consumer().parallelism(4)).drain().await.unwrap();
    assert_eq!(world.seen.texts(), texts(0..30));
}

#[tokio::test(start_paused = true)]
async fn aggregates_are_taken_apart() {
    let world = World::new(2);
    world.put_aggregate("a", 0..40).await;
    world.put("b", &text(40)).await;
    world.drain().await;
    assert_eq!(world.seen.sorted(), texts(0..41));
}

#[tokio::test(start_paused = true)]
async fn an_aggregate_in_the_wrong_shard_is_dropped_as_the_kcl_does() {
    // F18: its key hashes to one shard, it was sent to the other.
    let world = World::new(2);
    let other = match HashKey::of_partition_key("a").value() >> 127 {
        0 => HashKey::MAX,
        _ => HashKey::MIN,
    };
    let mut builder = kinesis_aggregation::AggregateBuilder::new();
    builder.add("a", None, b"one");
    builder.add("a", None, b"two");
    let request = world.fake.client().put_record().stream_name(STREAM).partition_key("a");
    let data = aws_sdk_kinesis::primitives::Blob::new(builder.finish());
    request.explicit_hash_key(other.to_string()).data(data).send().await.unwrap();
    world.drain().await;
    assert_eq!(world.seen.len(), 0);
    let dropped = |event: &ConsumerEvent| matches!(event, ConsumerEvent::MembersDropped { count: 2, .. });
    assert_eq!(world.events().iter().filter(|event| dropped(event)).count(), 1);

    let tolerant = World { store: Default::default(), ..world };
    tolerant.start(tolerant.consumer().foreign_members(ForeignMembers::Deliver)).drain().await.unwrap();
    assert_eq!(tolerant.seen.texts(), ["one", "two"]);
}

#[tokio::test(start_paused = true)]
async fn an_expired_iterator_is_replaced_from_the_last_record() {
    // F6: the first call after ten minutes finds its iterator expired.
    let world = World::new(1);
    world.put_many(0..10).await;
    let running = world.start(world.consumer());
    world.wait_for(10).await;
    let hang = FaultRule::on(Operation::GetRecords).fault(Fault::Delay(Duration::from_secs(9))).times(60);
    let handle = world.fake.inject(hang);
    world.put_many(10..20).await;
    tokio::time::sleep(Duration::from_secs(700)).await;
    assert!(handle.fired() > 0);
    running.drain().await.unwrap();
    assert_eq!(world.seen.texts(), texts(0..20));
}

#[tokio::test(start_paused = true)]
async fn reads_keep_within_the_services_limits() {
    let fake = FakeKinesis::builder().stream(STREAM, 1).limits(Limits::aws()).virtual_time().build();
    let world = World::of(fake);
    for number in 0..30 {
        world.put_bytes("key", text(number).repeat(20_000).as_bytes()).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    world.drain().await;
    assert_eq!(world.seen.len(), 30);
    let throttled = world.fake.call_counts()[&Operation::GetRecords].refused;
    assert_eq!(throttled, 0, "the pacer, not the service, sets the pace");
}

#[tokio::test(start_paused = true)]
async fn throttled_reads_are_tried_again_and_lose_nothing() {
    // F1
    let world = World::new(2);
    world.put_many(0..40).await;
    let throttle = FaultRule::on(Operation::GetRecords).fault(Fault::throttle()).times(50);
    let handle = world.fake.inject(throttle);
    world.drain().await;
    assert_eq!(handle.fired(), 50);
    assert_eq!(world.seen.sorted(), texts(0..40));
}

#[tokio::test(start_paused = true)]
async fn several_streams_are_read_by_one_job() {
    let fake = FakeKinesis::builder().stream(STREAM, 2).stream("payments", 1).virtual_time().build();
    let world = World::of(fake);
    world.put_many(0..10).await;
    let request = world.fake.client().put_record().stream_name("payments").partition_key("p");
    request.data(aws_sdk_kinesis::primitives::Blob::new(text(10))).send().await.unwrap();
    world.start(world.consumer().streams([STREAM, "payments"])).drain().await.unwrap();
    assert_eq!(world.seen.sorted(), texts(0..11));
}

#[tokio::test(start_paused = true)]
async fn one_seed_gives_one_journal() {
    assert_eq!(journal_of_a_run().await, journal_of_a_run().await);
}

/// What the fake wrote down of a run with resharding, throttles and a crash.
async fn journal_of_a_run() -> String {
    let world = World::of(FakeKinesis::builder().stream(STREAM, 3).virtual_time().seed(7).build());
    world.put_many(0..40).await;
    world.fake.inject(FaultRule::on(Operation::GetRecords).fault(Fault::throttle()).times(9));
    let running = world.start(world.consumer().parallelism(2));
    tokio::time::sleep(Duration::from_secs(3)).await;
    world.fake.split(STREAM, "shardId-000000000001").unwrap();
    world.put_many(40..60).await;
    running.kill().await;
    world.start(world.consumer().parallelism(3)).drain().await.unwrap();
    format!("{:#?}", world.fake.journal())
}

#[tokio::test(start_paused = true)]
async fn a_listing_of_several_pages_is_read_whole() {
    let world = World::new(1200);
    world.put_many(0..30).await;
    world.drain().await;
    let started = |event: &&ConsumerEvent| matches!(event, ConsumerEvent::ShardStarted { .. });
    assert_eq!(world.events().iter().filter(started).count(), 1200);
    assert_eq!(world.seen.sorted(), texts(0..30));
    // A thousand shards are a page: two calls for the start, two for the drain.
    assert_eq!(world.fake.call_counts()[&Operation::ListShards].calls, 4);
}

#[tokio::test(start_paused = true)]
async fn throttled_iterators_slow_their_shard_and_do_not_fail_the_job() {
    let world = World::new(2);
    world.put_many(0..20).await;
    world.fake.inject(FaultRule::on(Operation::GetShardIterator).fault(Fault::throttle()).times(20));
    world.drain().await;
    assert_eq!(world.seen.sorted(), texts(0..20));
}

#[tokio::test(start_paused = true)]
async fn shards_whose_calls_hang_do_not_stop_the_others() {
    // More than the memory has room for, and more than there are calls at once.
    for (shards, hanging, memory_bytes) in [(40, 25, 256 << 20), (90, 70, 2 << 30)] {
        others_are_read(shards, hanging, memory_bytes).await;
    }
}

async fn others_are_read(shards: u32, hanging: u64, memory_bytes: usize) {
    let world = World::new(shards);
    world.put_many(0..400).await;
    for shard in 0..hanging {
        let rule = FaultRule::on(Operation::GetRecords).shard(kinesis_core::ShardId::from_index(shard));
        world.fake.inject(rule.fault(Fault::Hang).times(1));
    }
    let running = world.start(world.consumer().memory_bytes(memory_bytes));
    tokio::time::sleep(Duration::from_secs(9)).await;
    let early = world.seen.len();
    running.drain().await.unwrap();
    assert_eq!(world.seen.len(), 400);
    assert!(early > 0, "{} shards are well, and nothing was read of them in nine seconds", shards as u64 - hanging);
}
