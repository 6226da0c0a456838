//! Where reading starts, and that a restart does not move it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kinesis_consumer::{Checkpoint, CheckpointStore, ConsumerError, LossPolicy, ShardPosition};
use kinesis_core::{Clock, ConsumerConfig, SharedClock, StartingPosition};
use kinesis_testkit::{ClockSkew, FakeKinesis, Fault, FaultRule, Operation};

use crate::support::{STREAM, World, texts};

#[tokio::test(start_paused = true)]
async fn latest_is_the_moment_of_the_first_start_also_after_a_restart() {
    let world = World::new(2);
    world.put_many(0..10).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let consumer = || world.consumer_from(StartingPosition::Latest);
    let running = world.start(consumer());
    // Killed with checkpoint 0 alone, before anything was delivered.
    while world.saved_epoch().await.is_none() {
        tokio::task::yield_now().await;
    }
    running.kill().await;
    world.put_many(10..20).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    world.start(consumer()).drain().await.unwrap();
    assert_eq!(world.seen.sorted(), texts(10..20));
}

#[tokio::test(start_paused = true)]
async fn latest_reads_the_children_of_a_split_from_their_beginning() {
    let world = World::new(1);
    world.put_many(0..5).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let running = world.start(world.consumer_from(StartingPosition::Latest));
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.fake.split(STREAM, "shardId-000000000000").unwrap();
    world.put_many(5..15).await;
    running.drain().await.unwrap();
    assert_eq!(world.seen.sorted(), texts(5..15));
}

#[tokio::test(start_paused = true)]
async fn latest_does_not_read_old_records_of_shards_that_were_split_before() {
    let world = World::new(1);
    world.fake.split(STREAM, "shardId-000000000000").unwrap();
    world.put_many(0..10).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let running = world.start(world.consumer_from(StartingPosition::Latest));
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.put_many(10..20).await;
    running.drain().await.unwrap();
    assert_eq!(world.seen.sorted(), texts(10..20));
}

#[tokio::test(start_paused = true)]
async fn a_timestamp_starts_at_the_first_record_at_or_after_it() {
    let world = World::new(2);
    world.put_many(0..10).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let time = world.fake.clock().now();
    world.put_many(10..20).await;
    world.start(world.consumer_from(StartingPosition::AtTimestamp(time))).drain().await.unwrap();
    assert_eq!(world.seen.sorted(), texts(10..20));
}

#[tokio::test(start_paused = true)]
async fn an_idle_shard_does_not_age_out() {
    // C9: nothing for three days, with records kept for one.
    let world = World::new(1);
    world.put_many(0..3).await;
    let slow = ConsumerConfig::builder()
        .starting_position(StartingPosition::TrimHorizon)
        .get_records_interval(Duration::from_secs(120))
        .discovery_interval(Duration::from_secs(600))
        .build()
        .unwrap();
    let consumer = || world.consumer().config(slow.clone()).checkpoints(world.store.clone(), Duration::from_secs(600));
    let running = world.start(consumer());
    world.wait_for(3).await;
    tokio::time::sleep(Duration::from_secs(3 * 24 * 3600)).await;
    running.kill().await;
    let position = position_of_first_shard(&world).await;
    let age = world.fake.clock().now().duration_since(position.not_before().unwrap()).unwrap();
    assert!(age < Duration::from_secs(1800), "{position:?}");
    world.put_many(3..6).await;
    world.drain().await;
    assert_eq!(world.saved(), texts(0..6));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_was_away_for_longer_than_retention_says_so_also_of_idle_shards() {
    // C8: the position is a time, at which there was nothing to prove by reading it again.
    let world = World::new(1);
    let running = world.start(world.consumer_from(StartingPosition::Latest));
    tokio::time::sleep(Duration::from_secs(5)).await;
    running.kill().await;
    world.put_many(0..3).await;
    tokio::time::sleep(Duration::from_secs(2 * 24 * 3600)).await;
    let error = world.start(world.consumer()).drain().await.unwrap_err();
    assert!(matches!(error, ConsumerError::PossibleLoss(_)), "{error}");
    world.put_many(3..6).await;
    world.start(world.consumer().loss(LossPolicy::Continue)).drain().await.unwrap();
    assert_eq!(world.seen.texts(), texts(3..6));
}

/// A clock that is ahead of the service's.
#[derive(Debug)]
struct Ahead(SharedClock);

impl Clock for Ahead {
    fn now(&self) -> SystemTime {
        self.0.now() + Duration::from_secs(180)
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_ahead_of_the_services_skips_nothing_on_an_idle_shard() {
    let world = World::new(1);
    let ahead = || world.consumer().clock(Arc::new(Ahead(world.fake.clock())));
    let running = world.start(ahead());
    tokio::time::sleep(Duration::from_secs(90)).await;
    running.kill().await;
    world.put_many(0..3).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    world.start(ahead()).drain().await.unwrap();
    assert_eq!(world.seen.texts(), texts(0..3));
}

#[tokio::test(start_paused = true)]
async fn the_start_of_a_stream_added_to_a_restored_job_is_as_fixed_as_any() {
    let fake = FakeKinesis::builder().stream(STREAM, 1).stream("payments", 1).virtual_time().build();
    let world = World::of(fake);
    world.drain().await;
    let both = || world.consumer_from(StartingPosition::Latest).streams([STREAM, "payments"]);
    let long = || both().checkpoints(world.store.clone(), Duration::from_secs(3600));
    let running = world.start(long());
    tokio::time::sleep(Duration::from_secs(5)).await;
    let request = world.fake.client().put_record().stream_name("payments").partition_key("p");
    request.data(aws_sdk_kinesis::primitives::Blob::new("paid")).send().await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    // Killed before any checkpoint of its own.
    running.kill().await;
    world.start(both()).drain().await.unwrap();
    assert_eq!(world.saved(), ["paid"]);
}

#[tokio::test(start_paused = true)]
async fn a_start_before_everything_that_is_kept_is_no_loss() {
    let world = World::new(1);
    world.put_many(0..3).await;
    let time = world.fake.clock().now() - Duration::from_secs(30 * 24 * 3600);
    let consumer = || world.consumer_from(StartingPosition::AtTimestamp(time));
    world.fake.inject(FaultRule::on(Operation::GetRecords).fault(Fault::throttle()).times(20));
    let running = world.start(consumer());
    tokio::time::sleep(Duration::from_secs(3)).await;
    running.kill().await;
    world.fake.heal();
    world.start(consumer()).drain().await.unwrap();
    assert_eq!(world.saved(), texts(0..3));
}

async fn position_of_first_shard(world: &World) -> ShardPosition {
    let checkpoint: Checkpoint = world.store.open("consumer").await.unwrap().latest.unwrap();
    checkpoint.streams[0].shards[0].progress.as_ref().unwrap().position
}

#[tokio::test(start_paused = true)]
async fn a_reply_whose_date_is_ahead_skips_nothing_on_an_idle_shard() {
    // F12: the clock of one of the service's hosts; what arrives until its date must not be skipped by a restore.
    let world = World::new(1);
    let ahead = Fault::SkewedClock(ClockSkew::Ahead(Duration::from_secs(240)));
    let running = world.start(world.consumer());
    tokio::time::sleep(Duration::from_secs(15)).await;
    world.fake.inject(FaultRule::on(Operation::GetRecords).fault(ahead).times(40));
    tokio::time::sleep(Duration::from_secs(9)).await;
    running.kill().await;
    world.put_many(0..3).await;
    world.start(world.consumer()).drain().await.unwrap();
    assert_eq!(world.seen.texts(), texts(0..3));
}

/// A clock that is off the service's by a fixed time, ahead or behind.
#[derive(Debug)]
struct Off {
    service: SharedClock,
    ahead: Duration,
    behind: Duration,
}

impl Clock for Off {
    fn now(&self) -> SystemTime {
        self.service.now() + self.ahead - self.behind
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_twenty_minutes_off_neither_moves_the_start_nor_loses_what_came_before_a_crash() {
    // F12: LATEST is the service's time; the job is killed before its first record.
    let (off, on) = (Duration::from_secs(20 * 60), Duration::ZERO);
    for (ahead, behind) in [(off, on), (on, off)] {
        let world = World::new(1);
        world.put_many(0..5).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        let clock = || Arc::new(Off { service: world.fake.clock(), ahead, behind });
        let consumer = || world.consumer_from(StartingPosition::Latest).clock(clock());
        let running = world.start(consumer());
        while world.saved_epoch().await.is_none() {
            tokio::task::yield_now().await;
        }
        running.kill().await;
        world.put_many(5..10).await;
        tokio::time::sleep(Duration::from_secs(300)).await;
        world.start(consumer()).drain().await.unwrap();
        assert_eq!(world.seen.texts(), texts(5..10), "{ahead:?} ahead, {behind:?} behind");
    }
}
