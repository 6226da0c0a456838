//! Stop and drain: what is guaranteed of each, for processors and for those who pull.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use kinesis_consumer::{
    Batch, BoxError, ConsumerError, MemoryStore, Processor, Record, SavedState, Schema, Stateless, Utf8,
};
use kinesis_testkit::testing::assert_exactly_once;
use parking_lot::Mutex;

use crate::support::{Database, STREAM, World, drain, numbers, pull_all, work};

#[tokio::test(start_paused = true)]
async fn a_stopped_job_hands_out_nothing_more_and_its_positions_are_good() {
    for handed_out in 0..6 {
        let world = World::new(1);
        world.put_many(0..50).await;
        let consumer = world.consumer().max_batch(5).build_pull().unwrap();
        let handle = consumer.handle();
        let mut subtask = consumer.into_subtasks().await.unwrap().remove(0);
        let mut rows = Vec::new();
        for _ in 0..handed_out {
            rows.extend(numbers(&subtask.next_batch().await.unwrap().unwrap()));
        }
        let while_running = subtask.snapshot();
        handle.stop();
        // By now the rest waits in the queue.
        tokio::time::sleep(Duration::from_secs(5)).await;
        let shards = |positions: kinesis_consumer::Positions| positions.shards().collect::<Vec<_>>();
        assert_eq!(shards(subtask.snapshot()), shards(while_running.clone()), "while it is stopping");
        for _ in 0..2 {
            assert_eq!(subtask.next_batch().await.unwrap(), None);
        }
        assert_eq!(shards(subtask.snapshot()), shards(while_running), "after the end");
        let database = Database::default();
        database.commit(0, &mut rows, &subtask.snapshot());
        drain(world.consumer(), &database).await;
        assert_eq!(database.rows(), (0..50).collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_every_call_that_waits() {
    let world = World::new(3);
    let consumer = world.consumer().parallelism(3).build_pull().unwrap();
    let handle = consumer.handle();
    let database = Database::default();
    let subtasks = consumer.into_subtasks().await.unwrap();
    let tasks: Vec<_> = subtasks.into_iter().map(|subtask| work(subtask, database.clone(), 1)).collect();
    tokio::time::sleep(Duration::from_secs(30)).await;
    handle.stop();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_before_the_start_hands_out_nothing() {
    let world = World::new(1);
    world.put_many(0..5).await;
    let consumer = world.consumer().build_pull().unwrap();
    consumer.handle().stop();
    let mut subtask = consumer.into_subtasks().await.unwrap().remove(0);
    assert_eq!(subtask.next_batch().await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_drained_job_hands_out_all_that_was_stored_before() {
    let world = World::new(2);
    world.put_many(0..30).await;
    let consumer = world.consumer().parallelism(2).max_batch(4).build_pull().unwrap();
    let handle = consumer.handle();
    let database = Database::default();
    let subtasks = consumer.into_subtasks().await.unwrap();
    let tasks: Vec<_> = subtasks.into_iter().map(|subtask| work(subtask, database.clone(), 1)).collect();
    tokio::time::sleep(Duration::from_secs(3)).await;
    world.fake.split(STREAM, "shardId-000000000001").unwrap();
    world.put_many(30..60).await;
    handle.drain();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_exactly_once(0..60, database.rows());
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_that_is_asked_of_a_pulled_job_holds_nothing_up() {
    let world = World::new(1);
    world.put_many(0..5).await;
    let consumer = world.consumer().parallelism(2).build_pull().unwrap();
    consumer.handle().checkpoint();
    consumer.handle().drain();
    let mut subtasks = consumer.into_subtasks().await.unwrap();
    let (left, right) = subtasks.split_at_mut(1);
    let (left, right) = tokio::join!(pull_all(&mut left[0]), pull_all(&mut right[0]));
    assert_eq!(left.unwrap().len() + right.unwrap().len(), 5);
}

/// What a processor was asked, over all shards.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    Begun(u32),
    Done(u32),
    Snapshot(u32),
}

/// Counts records, and takes 100 ms for each batch.
struct Slow {
    asked: Arc<Mutex<Vec<Asked>>>,
    count: u32,
}

#[async_trait]
impl Processor<Record> for Slow {
    type Output = ();

    async fn process(&mut self, batch: Batch<Record>, _: &mut Vec<()>) -> Result<(), BoxError> {
        for number in numbers(&batch) {
            self.asked.lock().push(Asked::Begun(number));
            tokio::time::sleep(Duration::from_millis(100)).await;
            self.asked.lock().push(Asked::Done(number));
            self.count += 1;
        }
        Ok(())
    }

    fn snapshot(&self) -> Result<Bytes, BoxError> {
        self.asked.lock().push(Asked::Snapshot(self.count));
        Ok(Bytes::copy_from_slice(&self.count.to_be_bytes()))
    }

    fn restore(&mut self, states: &[SavedState]) -> Result<(), BoxError> {
        self.count = u32::from_be_bytes(states[0].bytes.as_ref().try_into()?);
        Ok(())
    }
}

/// What the processors of a run were asked: it is stopped or drained after `lifetime`.
async fn run_slow(world: &World, store: &MemoryStore, lifetime: Duration, drains: bool) -> Vec<Asked> {
    let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
    let consumer = world.consumer().checkpoints(store.clone(), Duration::from_millis(450)).max_batch(1);
    let consumer = consumer.build().unwrap();
    let handle = consumer.handle();
    let seen = Arc::clone(&asked);
    let running = tokio::spawn(async move { consumer.run(move |_| Slow { asked: Arc::clone(&seen), count: 0 }).await });
    tokio::time::sleep(lifetime).await;
    if drains {
        handle.drain()
    } else {
        handle.stop()
    }
    running.await.unwrap().unwrap();
    asked.lock().clone()
}

#[tokio::test(start_paused = true)]
async fn a_stopped_processor_ends_its_batch_and_the_last_checkpoint_holds_it() {
    // At every phase of a batch of 100 ms and of a checkpoint every 450 ms.
    for step in 0..40 {
        let world = World::new(1);
        world.put_many(0..30).await;
        let store = MemoryStore::new();
        let asked = run_slow(&world, &store, Duration::from_millis(step * 23), false).await;
        let done: Vec<u32> = asked
            .iter()
            .filter_map(|asked| if let Asked::Done(number) = asked { Some(*number) } else { None })
            .collect();
        let begun = asked.iter().filter(|asked| matches!(asked, Asked::Begun(_))).count();
        assert_eq!(begun, done.len(), "nothing was broken off");
        assert_eq!(done, (0..done.len() as u32).collect::<Vec<_>>());
        assert!(done.len() < 30, "the rest was left for later");
        if !asked.is_empty() {
            assert_eq!(asked.last(), Some(&Asked::Snapshot(done.len() as u32)), "nothing follows the last snapshot");
        }
        let rest = run_slow(&world, &store, Duration::ZERO, true).await;
        assert_eq!(rest.last(), Some(&Asked::Snapshot(30)), "step {step}");
        assert_eq!(rest.iter().find(|asked| matches!(asked, Asked::Begun(_))), Some(&Asked::Begun(done.len() as u32)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_drained_processor_has_seen_all_that_was_stored_before() {
    let world = World::new(1);
    world.put_many(0..10).await;
    let (store, lifetime) = (MemoryStore::new(), Duration::from_millis(330));
    let asked = run_slow(&world, &store, lifetime, true).await;
    let done = asked.iter().filter(|asked| matches!(asked, Asked::Done(_))).count();
    assert_eq!((done, asked.last()), (10, Some(&Asked::Snapshot(10))));
    let again = run_slow(&world, &store, Duration::ZERO, true).await;
    assert_eq!(again.iter().find(|asked| matches!(asked, Asked::Begun(_))), None);
}

fn nothing(_: Batch<String>) -> Result<Vec<()>, BoxError> {
    Ok(Vec::new())
}

#[tokio::test(start_paused = true)]
async fn the_last_checkpoint_waits_for_the_dead_letter_hook() {
    let world = World::new(1);
    world.put("key", b"\xff").await;
    let (store, taken) = (MemoryStore::new(), Arc::new(Mutex::new(0)));
    let consumer = |refuses: bool| {
        let taken = Arc::clone(&taken);
        let hook = move |_| {
            let taken = Arc::clone(&taken);
            async move {
                tokio::time::sleep(Duration::from_secs(5)).await;
                if refuses {
                    return Err("the queue is full".into());
                }
                *taken.lock() += 1;
                Ok(())
            }
        };
        let checkpoints = world.consumer().checkpoints(store.clone(), Duration::from_secs(1));
        checkpoints.schema(Utf8.or_dead_letter(hook)).build().unwrap()
    };
    // It fails first: the checkpoints taken meanwhile must not have passed the record.
    let failing = consumer(true);
    let error =
        tokio::time::timeout(Duration::from_secs(60), failing.run(|_| Stateless(nothing))).await.unwrap().unwrap_err();
    assert!(matches!(error, ConsumerError::DeadLetter { .. }), "{error:?}");
    let good = consumer(false);
    let handle = good.handle();
    let running = tokio::spawn(async move { good.run(|_| Stateless(nothing)).await });
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(*taken.lock(), 0, "the hook is at work");
    handle.stop();
    running.await.unwrap().unwrap();
    assert_eq!(*taken.lock(), 1);
    let last = consumer(true);
    last.handle().drain();
    last.run(|_| Stateless(nothing)).await.unwrap();
}
