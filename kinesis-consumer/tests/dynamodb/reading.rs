//! What is read, in what order, from where on, and through what.

use std::time::Duration;

use kinesis_consumer::{CheckpointStore, ConsumerError, ConsumerEvent, LossPolicy};
use kinesis_core::{Clock, ConsumerConfig, StartingPosition};

use crate::support::World;

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn every_change_once_and_in_order_through_generations_and_crashes() {
    let world = World::new();
    for round in 0..8u32 {
        let running = world.start(world.consumer().parallelism(1 + round as usize % 3).max_batch(3));
        world.put(0..40, 2);
        tokio::time::sleep(Duration::from_millis(700 * u64::from(round))).await;
        match round {
            1 | 4 => world.table.split(),
            2 | 5 => world.table.roll(),
            _ => {}
        }
        world.put(0..40, 1);
        tokio::time::sleep(Duration::from_millis(300 * u64::from(round))).await;
        running.kill().await;
    }
    let before = world.count();
    world.drain().await.unwrap();
    assert_eq!(world.last_seen(), world.table.versions(), "the state is the fold of every change");
    assert_eq!(world.table.open().len(), 4, "two splits and two generations more");
    assert!(before > 0 && world.count() - before < 24 * 40, "{before}: the last run went on from a checkpoint");
}

#[tokio::test(start_paused = true)]
async fn a_generation_every_four_hours_for_three_days() {
    let world = World::new();
    // Seldom, as three days have many seconds.
    let config = ConsumerConfig::builder()
        .starting_position(StartingPosition::TrimHorizon)
        .get_records_interval(Duration::from_secs(240))
        .discovery_interval(Duration::from_secs(600))
        .build();
    let consumer = world.consumer().config(config.unwrap()).checkpoints(world.store.clone(), HOUR);
    let running = world.start(consumer.parallelism(2));
    for _ in 0..18 {
        world.put(0..10, 3);
        tokio::time::sleep(4 * HOUR).await;
        world.table.roll();
    }
    running.drain().await.unwrap();
    assert_eq!(world.last_seen(), world.table.versions());
    assert_eq!(world.count(), 540, "each once, without a restart");
    let saved = world.store.open("consumer").await.unwrap().latest.unwrap();
    assert!(saved.streams[0].shards.len() <= 9, "finished shards are forgotten: {saved:?}");
}

#[tokio::test(start_paused = true)]
async fn latest_is_the_time_of_the_first_start() {
    let world = World { begins_anywhere: true, ..World::new() };
    world.put(0..5, 4);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let running = world.start(world.consumer_from(StartingPosition::Latest));
    tokio::time::sleep(Duration::from_millis(500)).await;
    running.kill().await;
    world.put(0..5, 2);
    tokio::time::sleep(HOUR).await;
    world.start(world.consumer_from(StartingPosition::Latest)).drain().await.unwrap();
    assert!(world.seen.lock().values().all(|versions| versions == &[5, 6]), "{:?}", world.seen);
}

#[tokio::test(start_paused = true)]
async fn a_time_is_found_among_the_records_of_all_generations() {
    let world = World { begins_anywhere: true, ..World::new() };
    let mut start = None;
    for round in 0..6 {
        if round == 3 {
            start = Some(world.table.clock().now());
        }
        world.put(0..5, 7);
        tokio::time::sleep(HOUR).await;
        if round % 2 == 1 {
            world.table.roll();
        }
    }
    world.start(world.consumer_from(StartingPosition::AtTimestamp(start.unwrap()))).drain().await.unwrap();
    let expected: Vec<u64> = (22..=42).collect();
    assert!(world.seen.lock().values().all(|versions| versions == &expected), "{:?}", world.seen);
}

#[tokio::test(start_paused = true)]
async fn replies_without_records_are_not_taken_for_the_tip() {
    let world = World::new();
    world.table.faults(|faults| faults.empty_before_records = 4);
    world.put(0..5, 10);
    world.drain().await.unwrap();
    assert_eq!(world.last_seen(), world.table.versions());
}

#[tokio::test(start_paused = true)]
async fn an_iterator_of_no_more_use_is_replaced() {
    let world = World::new();
    let running = world.start(world.consumer());
    world.put(0..5, 3);
    tokio::time::sleep(Duration::from_secs(5)).await;
    world.table.faults(|faults| (faults.expired, faults.trimmed) = (3, 3));
    world.put(0..5, 3);
    running.drain().await.unwrap();
    assert_eq!(world.last_seen(), world.table.versions());
    assert_eq!(world.count(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_rate_that_is_exceeded_is_waited_out() {
    let world = World::new();
    world.put(0..5, 3);
    let limited = [("DescribeStream", 4), ("GetShardIterator", 30), ("GetRecords", 30)];
    world.table.faults(|faults| faults.limited = limited.into());
    world.drain().await.unwrap();
    assert_eq!(world.count(), 15);
    assert!(world.table.calls("GetRecords") > 30 && world.table.calls("GetShardIterator") > 30);
}

#[tokio::test(start_paused = true)]
async fn what_a_day_has_taken_is_told_and_the_job_fails() {
    let world = World::new();
    world.put(0..5, 2);
    let running = world.start(world.consumer());
    tokio::time::sleep(Duration::from_secs(5)).await;
    running.kill().await;
    world.put(0..5, 2);
    tokio::time::sleep(30 * HOUR).await;
    world.put(0..5, 1);
    let error = world.drain().await.unwrap_err();
    assert!(matches!(error, ConsumerError::PossibleLoss(_)), "{error:?}");
    let accepting = World { begins_anywhere: true, ..world };
    let error = accepting.start(accepting.consumer().loss(LossPolicy::Continue)).drain().await.unwrap_err();
    assert!(format!("{error:?}").contains("has version 5 after Some(2)"), "it goes on at the oldest: {error:?}");
    assert!(accepting.events.lock().iter().any(|event| matches!(event, ConsumerEvent::PossibleLoss(_))));
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_falls_out_of_the_listing_unread_is_told() {
    let world = World::new();
    world.put(0..5, 2);
    let running = world.start(world.consumer());
    tokio::time::sleep(Duration::from_secs(5)).await;
    running.kill().await;
    world.put(0..5, 2);
    world.table.roll();
    tokio::time::sleep(30 * HOUR).await;
    let error = world.drain().await.unwrap_err();
    assert!(matches!(error, ConsumerError::ShardLost { .. } | ConsumerError::PossibleLoss(_)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_lacks_a_parent_is_made_again_and_nothing_is_skipped() {
    let world = World::new();
    let first = world.table.open().remove(0);
    world.put(0..10, 5);
    world.table.split();
    world.put(0..10, 5);
    world.table.faults(|faults| faults.unlisted = [(first, 3)].into());
    world.drain().await.unwrap();
    assert_eq!(world.last_seen(), world.table.versions(), "the parent first, and all of it");
    assert_eq!(world.count(), 100);
}

#[tokio::test(start_paused = true)]
async fn a_parent_that_no_listing_has_counts_as_gone() {
    let world = World { begins_anywhere: true, ..World::new() };
    let first = world.table.open().remove(0);
    world.put(0..10, 5);
    world.table.split();
    world.put(0..10, 5);
    world.table.faults(|faults| faults.unlisted = [(first, u32::MAX)].into());
    let before = tokio::time::Instant::now();
    world.drain().await.unwrap();
    assert_eq!(world.count(), 50);
    assert!(before.elapsed() >= Duration::from_secs(5), "it was looked for");
    let calls = world.table.calls("DescribeStream");
    world.drain().await.unwrap();
    assert!(world.table.calls("DescribeStream") - calls > 6, "another process knows nothing of it");
}
