//! Resharding in every order with reading, checkpoints and restores; state that moves with it.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use kinesis_consumer::{
    Batch, BoxError, CheckpointStore, ConsumerBuilder, ConsumerEvent, LossPolicy, Processor, RawRecords, Record,
    SavedState, ShardAssigner,
};
use kinesis_core::{HashKey, Shard, StreamName};
use kinesis_testkit::{Fault, FaultRule, Operation};

use crate::support::{STREAM, World, text, texts};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A job whose timers are so far apart that days pass quickly.
fn sparse(world: &World) -> ConsumerBuilder<RawRecords> {
    let config = kinesis_core::ConsumerConfig::builder()
        .starting_position(kinesis_core::StartingPosition::TrimHorizon)
        .get_records_interval(Duration::from_secs(120))
        .discovery_interval(Duration::from_secs(600))
        .build()
        .unwrap();
    world.consumer().config(config).checkpoints(world.store.clone(), Duration::from_secs(300))
}

#[tokio::test(start_paused = true)]
async fn split_finish_prune_discover_restore_reads_nothing_twice() {
    let world = World::new(1);
    world.put_many(0..20).await;
    let running = world.start(sparse(&world));
    world.wait_for(20).await;
    let [low, high] = world.fake.split(STREAM, "shardId-000000000000").unwrap();
    world.put_many(20..40).await;
    // The parent is read to its end, then retention takes it out of the listing, then it leaves the state.
    tokio::time::sleep(2 * DAY).await;
    world.fake.merge(STREAM, low.as_str(), high.as_str()).unwrap();
    world.put_many(40..60).await;
    tokio::time::sleep(Duration::from_secs(1800)).await;
    running.kill().await;
    let saved = world.store.open("consumer").await.unwrap().latest.unwrap();
    let parent = "shardId-000000000000";
    assert!(saved.streams[0].shards.iter().all(|state| state.shard.id.as_str() != parent), "{parent} was pruned");
    world.put_many(60..80).await;
    world.start(sparse(&world).parallelism(3)).drain().await.unwrap();
    assert_eq!(world.seen.sorted(), texts(0..80));
    assert_eq!(world.fake.shards(STREAM).unwrap().iter().filter(|shard| shard.is_open()).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn per_key_totals_hold_through_a_split_a_merge_and_a_split_of_the_merge() {
    let world = World::new(1);
    let running = world.start(world.consumer().parallelism(2));
    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let keys: Vec<String> = (0..12).map(|key| format!("key-{key}")).collect();
    for step in 0..4u32 {
        for (index, key) in keys.iter().enumerate() {
            let number = step * 100 + index as u32;
            world.put(key, &text(number)).await;
            expected.entry(key.clone()).or_default().push(text(number));
        }
        match step {
            0 => drop(world.fake.split(STREAM, "shardId-000000000000").unwrap()),
            1 => drop(world.fake.merge(STREAM, "shardId-000000000001", "shardId-000000000002").unwrap()),
            2 => drop(world.fake.split_at(STREAM, "shardId-000000000003", HashKey::new(u128::MAX / 5)).unwrap()),
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    running.drain().await.unwrap();
    // What was seen of a key, in its order, whatever shards it went through.
    let journal = world.fake.journal();
    let key_of: BTreeMap<String, String> = journal
        .records
        .iter()
        .map(|record| (String::from_utf8(record.data().to_vec()).unwrap(), record.partition_key().to_owned()))
        .collect();
    let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for text in world.seen.texts() {
        seen.entry(key_of[&text].clone()).or_default().push(text);
    }
    assert_eq!(seen, expected);
}

/// Gives every shard to one subtask.
#[derive(Debug)]
struct AllTo(i32);

impl ShardAssigner for AllTo {
    fn assign(&self, _stream: &StreamName, _shard: &Shard, _parallelism: usize) -> i32 {
        self.0
    }
}

#[tokio::test(start_paused = true)]
async fn an_assigner_of_ones_own_decides_and_any_number_will_do() {
    // Flink, KinesisDataFetcherTest: a constant sends all shards to one subtask; negative numbers count as well.
    for (number, subtask) in [(0, 0), (1, 1), (13, 3), (-7, 2)] {
        let world = World::new(3);
        world.put_many(0..6).await;
        world
            .start(world.consumer().assigner(AllTo(number)).parallelism(if number < 0 { 5 } else { 10 }))
            .drain()
            .await
            .unwrap();
        let subtasks: Vec<usize> = world
            .events()
            .into_iter()
            .filter_map(
                |event| if let ConsumerEvent::ShardStarted { subtask, .. } = event { Some(subtask) } else { None },
            )
            .collect();
        assert_eq!(subtasks, [subtask; 3], "{number}");
        assert_eq!(world.seen.sorted(), texts(0..6));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_no_timer() {
    // Flink, KinesisDataFetcherTest: cancelling wakes a discovery that sleeps for 10,000 s.
    let world = World::new(1);
    let config = kinesis_core::ConsumerConfig::builder().discovery_interval(Duration::from_secs(10_000));
    let running = world.start(world.consumer().config(config.build().unwrap()));
    tokio::time::sleep(Duration::from_secs(5)).await;
    let asked = tokio::time::Instant::now();
    running.handle.stop();
    running.job.await.unwrap().unwrap();
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
}

/// Counts, and takes no state that it did not write.
struct Strict(u64);

#[async_trait::async_trait]
impl Processor<Record> for Strict {
    type Output = ();

    async fn process(&mut self, batch: Batch<Record>, _output: &mut Vec<()>) -> Result<(), BoxError> {
        self.0 += batch.items.len() as u64;
        Ok(())
    }

    fn snapshot(&self) -> Result<Bytes, BoxError> {
        Ok(Bytes::copy_from_slice(&self.0.to_be_bytes()))
    }

    fn restore(&mut self, states: &[SavedState]) -> Result<(), BoxError> {
        for state in states {
            let bytes: [u8; 8] = state.bytes.as_ref().try_into()?;
            self.0 = self.0.max(u64::from_be_bytes(bytes));
        }
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn children_of_a_shard_that_was_lost_before_it_began_are_given_a_state_that_was_saved() {
    let world = World::new(1);
    world.put_many(0..10).await;
    let consumer = world.consumer().max_batch(1).build().unwrap();
    consumer.handle().drain();
    consumer.run(|_| Strict(0)).await.unwrap();
    // The reads fail, so that the children are known and wait; then the job goes down.
    world.put_many(10..20).await;
    world.fake.split(STREAM, "shardId-000000000000").unwrap();
    let hold = world.fake.inject(FaultRule::on(Operation::GetRecords).fault(Fault::throttle()).always());
    let consumer = world.consumer().build().unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(30), consumer.run(|_| Strict(0))).await;
    assert!(ended.is_err() && hold.fired() > 0, "{ended:?}");
    world.fake.heal();
    world.fake.split(STREAM, "shardId-000000000001").unwrap();
    tokio::time::sleep(2 * DAY).await;
    world.put_many(20..40).await;
    let consumer = world.consumer().loss(LossPolicy::Continue).build().unwrap();
    consumer.handle().drain();
    consumer.run(|_| Strict(0)).await.unwrap();
    let saved = world.store.open("consumer").await.unwrap().latest.unwrap();
    let counts: Vec<u64> = saved.streams[0]
        .shards
        .iter()
        .filter_map(|state| state.progress.as_ref().filter(|progress| !progress.position.is_ended()))
        .map(|progress| u64::from_be_bytes(progress.user_state.as_ref().try_into().unwrap()))
        .collect();
    // Three leaves went on from the ten records that were counted of shard 0.
    assert_eq!((counts.len(), counts.iter().sum::<u64>()), (3, 3 * 10 + 20), "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn grandchildren_of_a_lost_shard_wait_for_what_was_fetched_of_it() {
    // C5
    let mut world = World::new(1);
    world.pace = Duration::from_secs(2);
    for number in 0..40 {
        world.put("one key", &text(number)).await;
    }
    let running = world.start(world.consumer().parallelism(3).loss(LossPolicy::Continue).max_batch(1));
    world.wait_for(1).await;
    let [low, high] = world.fake.split(STREAM, "shardId-000000000000").unwrap();
    tokio::time::sleep(Duration::from_secs(12)).await;
    world.fake.split(STREAM, low.as_str()).unwrap();
    world.fake.split(STREAM, high.as_str()).unwrap();
    tokio::time::sleep(Duration::from_secs(12)).await;
    world.fake.advance(2 * DAY);
    for number in 40..50 {
        world.put("one key", &text(number)).await;
    }
    running.drain().await.unwrap();
    assert_eq!(world.seen.sorted(), texts(0..50));
    assert_eq!(world.seen.texts(), texts(0..50), "one key in its order");
}
