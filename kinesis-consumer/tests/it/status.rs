//! What a health check sees.

use std::time::Duration;

use kinesis_consumer::{ConsumerHandle, JobStatus};
use kinesis_core::{ConsumerConfig, Epoch, StartingPosition};
use kinesis_testkit::{Fault, FaultRule, Operation};

use crate::support::{STREAM, World, text};

const SECOND: Duration = Duration::from_secs(1);

fn shards(status: &JobStatus) -> Vec<String> {
    status.shards.iter().map(|shard| shard.shard.shard.to_string()).collect()
}

/// A stream with a record a second for ten minutes.
async fn backlog() -> World {
    let world = World::new(1);
    for number in 0..600 {
        world.put("key", &text(number)).await;
        tokio::time::sleep(SECOND).await;
    }
    world
}

#[tokio::test(start_paused = true)]
async fn a_job_that_catches_up_has_a_lag_that_falls() {
    let world = backlog().await;
    let config = ConsumerConfig::builder().starting_position(StartingPosition::TrimHorizon).get_records_limit(10);
    let consumer = world.consumer().config(config.build().unwrap());
    let running = world.start(consumer);
    let handle: ConsumerHandle = running.handle.clone();
    assert_eq!(handle.status().lag(), None, "nothing was read yet");
    let mut lags = Vec::new();
    for wanted in [20, 200, 400] {
        world.wait_for(wanted).await;
        lags.push(handle.lag().unwrap());
    }
    assert!(lags[0] > 500 * SECOND && lags.is_sorted_by(|early, late| early > late), "{lags:?}");
    world.wait_for(600).await;
    tokio::time::sleep(2 * SECOND).await;
    assert!(handle.lag().unwrap() < SECOND, "{:?}", handle.status());
    let status = handle.status();
    assert!(status.is_running);
    assert_eq!(shards(&status), ["shardId-000000000000"]);
    let checkpoint = status.last_checkpoint.unwrap();
    assert!(checkpoint.epoch > Epoch(0) && checkpoint.age <= SECOND, "{checkpoint:?}");
    running.drain().await.unwrap();
    let ended = handle.status();
    assert_eq!((ended.is_running, ended.shards.len(), ended.lag()), (false, 0, None));
}

#[tokio::test(start_paused = true)]
async fn a_shard_whose_calls_fail_falls_behind_although_nothing_says_so() {
    let world = World::new(2);
    world.put_many(0..10).await;
    let running = world.start(world.consumer());
    world.wait_for(10).await;
    let rule = FaultRule::on(Operation::GetRecords).shard("shardId-000000000001".parse().unwrap());
    world.fake.inject(rule.fault(Fault::throttle()).always());
    tokio::time::sleep(60 * SECOND).await;
    let status = running.handle.status();
    let [well, ill] = status.shards.as_slice() else { panic!("{status:?}") };
    assert!(well.silent_for < 2 * SECOND && ill.silent_for > 55 * SECOND, "{status:?}");
    assert_eq!(status.lag(), ill.lag());
    world.fake.heal();
    running.drain().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_ended_makes_room_for_its_children() {
    let world = World::new(1);
    world.put_many(0..5).await;
    let running = world.start(world.consumer());
    world.wait_for(5).await;
    world.fake.split(STREAM, "shardId-000000000000").unwrap();
    tokio::time::sleep(30 * SECOND).await;
    let status = running.handle.status();
    assert_eq!(shards(&status), ["shardId-000000000001", "shardId-000000000002"]);
    assert!(status.lag().unwrap() < 2 * SECOND, "{status:?}");
    running.kill().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_was_killed_reads_nothing() {
    let world = World::new(2);
    let running = world.start(world.consumer());
    tokio::time::sleep(5 * SECOND).await;
    let handle = running.handle.clone();
    assert!(handle.status().is_running && handle.status().shards.len() == 2);
    running.kill().await;
    tokio::time::sleep(SECOND).await;
    assert_eq!((handle.status().is_running, handle.status().shards.len()), (false, 0));
}

#[tokio::test(start_paused = true)]
async fn a_pulled_job_is_seen_too() {
    let world = World::new(1);
    world.put_many(0..5).await;
    let config = ConsumerConfig::builder().starting_position(StartingPosition::TrimHorizon).build().unwrap();
    let consumer = kinesis_consumer::KinesisConsumer::builder()
        .sdk_client(world.fake.client())
        .clock(world.fake.clock())
        .streams([STREAM])
        .config(config)
        .build_pull()
        .unwrap();
    let handle = consumer.handle();
    assert!(!handle.status().is_running);
    let mut subtask = consumer.into_subtasks().await.unwrap().remove(0);
    subtask.next_batch().await.unwrap().unwrap();
    let status = handle.status();
    assert!(status.is_running && status.last_checkpoint.is_none() && status.lag().is_some(), "{status:?}");
    handle.stop();
    while subtask.next_batch().await.unwrap().is_some() {}
    drop(subtask);
    tokio::time::sleep(SECOND).await;
    assert_eq!((handle.status().is_running, handle.status().shards.len()), (false, 0));
}
