//! Positions of the user's at another parallelism, through splits and merges.

use std::sync::Arc;
use std::time::Duration;

use kinesis_consumer::{ConsumerEvent, RawRecords, ShardAssigner, Subtask};
use kinesis_core::{Shard, StreamName};
use kinesis_testkit::testing::{ExactlyOnce, ReshardSchedule, assert_exactly_once, assert_in_order_per_key};
use parking_lot::Mutex;

use crate::support::{Database, STREAM, World, crash_after, drain, number, numbers};

#[tokio::test(start_paused = true)]
async fn one_three_and_two_subtasks_take_turns_through_splits_and_merges() {
    for seed in 0..10u64 {
        let world = World::new(2);
        let mut schedule = ReshardSchedule::random(seed, 12).max_open_shards(5);
        let database = Database::default();
        let mut put = 0;
        for round in 0..6u64 {
            for _ in 0..2 {
                world.put_many(put..put + 15).await;
                put += 15;
                schedule.apply_next(&world.fake, STREAM).unwrap();
            }
            let parallelism = [1, 3, 2][round as usize % 3];
            // From just after the start to long after everything was read.
            let lifetime = Duration::from_millis((seed * 7 + round * 13) % 10 * 300);
            crash_after(world.consumer().parallelism(parallelism).max_batch(2), &database, lifetime).await;
        }
        drain(world.consumer().parallelism(3), &database).await;
        let report = ExactlyOnce::compare(0..put, database.rows());
        assert!(report.is_ok(), "{schedule:?}: {report}");
    }
}

#[tokio::test(start_paused = true)]
async fn children_are_handed_out_after_their_parents_also_by_other_subtasks() {
    for seed in 0..10 {
        let world = World::new(3);
        let handed_out: Arc<Mutex<Vec<(String, u32)>>> = Arc::default();
        let consumer = world.consumer().parallelism(3).max_batch(2).build_pull().unwrap();
        let handle = consumer.handle();
        let subtasks = consumer.into_subtasks().await.unwrap();
        let pull = |mut subtask: Subtask<RawRecords>| {
            let handed_out = Arc::clone(&handed_out);
            tokio::spawn(async move {
                while let Some(batch) = subtask.next_batch().await.unwrap() {
                    let key = |record: &kinesis_consumer::Record| record.partition_key.clone().unwrap();
                    handed_out
                        .lock()
                        .extend(batch.items.iter().map(|record| (format!("{:?}", key(record)), number(record))));
                    // Work that takes its time: a child must wait for it.
                    tokio::time::sleep(Duration::from_millis(70)).await;
                }
            })
        };
        let tasks: Vec<_> = subtasks.into_iter().map(pull).collect();
        let mut schedule = ReshardSchedule::random(seed, 6);
        for part in 0..6 {
            world.put_many(part * 20..(part + 1) * 20).await;
            schedule.apply_next(&world.fake, STREAM).unwrap();
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
        handle.drain();
        for task in tasks {
            task.await.unwrap();
        }
        let handed_out = handed_out.lock().clone();
        assert_in_order_per_key(handed_out.iter().cloned());
        assert_exactly_once(0..120, handed_out.into_iter().map(|(_, number)| number));
    }
}

/// Even shards to the first subtask, odd ones to the second.
#[derive(Debug)]
struct ByIndex;

impl ShardAssigner for ByIndex {
    fn assign(&self, _stream: &StreamName, shard: &Shard, _parallelism: usize) -> i32 {
        shard.id.index().unwrap() as i32
    }
}

#[tokio::test(start_paused = true)]
async fn a_child_that_was_kept_further_than_its_parent_waits_for_it_again() {
    let world = World::new(1);
    world.put_many(0..20).await;
    let consumer = world.consumer().parallelism(2).assigner(ByIndex).max_batch(2).build_pull().unwrap();
    let mut subtasks = consumer.into_subtasks().await.unwrap();
    let (mut second, mut first) = (subtasks.remove(1), subtasks.remove(0));
    let database = Database::default();
    let mut rows = numbers(&first.next_batch().await.unwrap().unwrap());
    database.commit(0, &mut rows, &first.snapshot());
    world.fake.split(STREAM, "shardId-000000000000").unwrap();
    world.put_many(20..60).await;

    // The parent is read to its end and into a child, and nothing of it is kept; the other child is kept.
    let forgetful = tokio::spawn(async move { while first.next_batch().await.unwrap().is_some() {} });
    let mut kept = numbers(&second.next_batch().await.unwrap().unwrap());
    kept.extend(numbers(&second.next_batch().await.unwrap().unwrap()));
    assert!(kept.iter().all(|number| *number >= 20), "{kept:?} is of the child");
    database.commit(1, &mut kept, &second.snapshot());
    forgetful.abort();
    drop((forgetful.await, second));

    world.events.lock().clear();
    let before = database.rows().len();
    drain(world.consumer().parallelism(1).max_batch(2), &database).await;
    let rows = database.rows();
    assert_exactly_once(0..60, rows.iter().copied());
    let parents: Vec<_> = rows[before..before + 18].to_vec();
    assert_eq!(parents, (2..20).collect::<Vec<_>>(), "the parent's rest comes first");
    let order: Vec<_> = world
        .events()
        .into_iter()
        .filter_map(|event| match event {
            ConsumerEvent::ShardStarted { shard, .. } => Some(("started", shard.shard.index()?)),
            ConsumerEvent::ShardEnded { shard } => Some(("ended", shard.shard.index()?)),
            _ => None,
        })
        .collect();
    assert_eq!(order, [("started", 0), ("ended", 0), ("started", 1), ("started", 2)]);
}

#[tokio::test(start_paused = true)]
async fn positions_of_one_subtask_alone_are_enough_where_the_others_kept_nothing() {
    let world = World::new(4);
    world.put_many(0..40).await;
    for keeper in 0..4 {
        let consumer = world.consumer().parallelism(4).build_pull().unwrap();
        let subtasks = consumer.into_subtasks().await.unwrap();
        let database = Database::default();
        let pulls = subtasks.into_iter().map(|mut subtask| {
            let database = database.clone();
            tokio::spawn(async move {
                let pulled = tokio::time::timeout(Duration::from_secs(5), subtask.next_batch()).await;
                if let (Ok(batch), true) = (pulled, subtask.index() == keeper) {
                    database.commit(keeper, &mut numbers(&batch.unwrap().unwrap()), &subtask.snapshot());
                }
                // Not dropped before the others are done: that would fail them.
                subtask
            })
        });
        let pulls: Vec<_> = pulls.collect();
        let mut done = Vec::new();
        for pull in pulls {
            done.push(pull.await.unwrap());
        }
        drop(done);
        drain(world.consumer().parallelism(2), &database).await;
        assert_exactly_once(0..40, database.rows());
    }
}
