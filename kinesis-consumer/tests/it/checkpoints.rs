//! Checkpoints: crash, restore, another parallelism, and the graceful end.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kinesis_consumer::{
    Batch, BoxError, Checkpoint, CheckpointStore, ConsumerError, ConsumerEvent, Incarnation, MemoryStore, OpenedJob,
    Stateless, StoreError, Utf8,
};
use kinesis_core::Epoch;
use parking_lot::Mutex;

use crate::support::{STREAM, Seen, World, text, texts};

#[tokio::test(start_paused = true)]
async fn state_after_a_crash_is_as_if_there_had_been_none() {
    // C2, F19: killed between checkpoints, restored with more and with fewer subtasks.
    let world = World::new(4);
    world.put_many(0..100).await;
    for parallelism in [1, 3, 2] {
        let running = world.start(world.consumer().parallelism(parallelism).max_batch(3));
        tokio::time::sleep(Duration::from_millis(1_700)).await;
        running.kill().await;
    }
    world.put_many(100..200).await;
    let before = world.seen.len();
    world.start(world.consumer().parallelism(5)).drain().await.unwrap();
    assert_eq!(world.saved(), texts(0..200));
    assert!(before >= 100, "{before} records were read before the last restore");
}

#[tokio::test(start_paused = true)]
async fn a_position_inside_an_aggregate_is_resumed_at_its_member() {
    // C3: a checkpoint of every batch of one record.
    let world = World { pace: Duration::from_millis(10), ..World::new(1) };
    world.put_aggregate("a", 0..40).await;
    let consumer = || world.consumer().max_batch(1);
    let running = world.start(consumer());
    world.wait_for(17).await;
    running.handle.checkpoint();
    world.wait_for(20).await;
    running.kill().await;
    let before = world.seen.len();
    world.start(consumer()).drain().await.unwrap();
    assert_eq!(world.saved(), texts(0..40));
    let read = world.seen.len() - before;
    assert!((15..24).contains(&read), "{read} reads after the restore, which has to begin inside the aggregate");
}

#[tokio::test(start_paused = true)]
async fn a_crash_around_a_split_loses_and_repeats_nothing() {
    // F14: killed at every half second around the split.
    for step in 0..12 {
        let world = World::new(1);
        let running = world.start(world.consumer().max_batch(2));
        world.put_many(0..30).await;
        world.fake.split(STREAM, "shardId-000000000000").unwrap();
        world.put_many(30..60).await;
        tokio::time::sleep(Duration::from_millis(500 * step)).await;
        running.kill().await;
        world.put_many(60..70).await;
        world.start(world.consumer().parallelism(2)).drain().await.unwrap();
        assert_eq!(world.saved(), texts(0..70), "killed at step {step}");
    }
}

#[tokio::test(start_paused = true)]
async fn checkpoint_zero_stands_before_the_first_record() {
    let world = World::new(1);
    world.put_many(0..5).await;
    let store = Watching { inner: world.store.clone(), seen: world.seen.clone(), puts: Arc::default() };
    let puts = Arc::clone(&store.puts);
    world.start(world.consumer().checkpoints(store, Duration::from_secs(1))).drain().await.unwrap();
    let puts = puts.lock().clone();
    assert_eq!((puts[0], puts[puts.len() - 1].1), ((Epoch(0), 0), 5), "{puts:?}");
}

/// Notes how much had been read when a checkpoint became durable.
struct Watching {
    inner: MemoryStore,
    seen: Seen,
    puts: Arc<Mutex<Vec<(Epoch, usize)>>>,
}

#[async_trait]
impl CheckpointStore for Watching {
    async fn open(&self, job: &str) -> Result<OpenedJob, StoreError> {
        self.inner.open(job).await
    }

    async fn put(&self, incarnation: Incarnation, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        self.inner.put(incarnation, checkpoint).await?;
        self.puts.lock().push((checkpoint.epoch, self.seen.len()));
        Ok(())
    }

    async fn latest_epoch(&self, job: &str) -> Result<Option<Epoch>, StoreError> {
        self.inner.latest_epoch(job).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_saves_everything_that_was_processed() {
    let world = World::new(2);
    world.put_many(0..20).await;
    let running = world.start(world.consumer());
    world.wait_for(20).await;
    running.handle.stop();
    let last = running.job.await.unwrap().unwrap();
    assert_eq!(world.saved_epoch().await, Some(last));
    let before = world.seen.len();
    world.drain().await;
    assert_eq!(world.seen.len(), before, "nothing was left to repeat");
}

#[tokio::test(start_paused = true)]
async fn checkpoints_are_numbered_without_a_gap_across_restores() {
    let world = World::new(1);
    for _ in 0..2 {
        let running = world.start(world.consumer());
        tokio::time::sleep(Duration::from_millis(3_500)).await;
        running.handle.stop();
        running.job.await.unwrap().unwrap();
    }
    let epochs: Vec<u64> = world
        .events()
        .iter()
        .filter_map(|event| if let ConsumerEvent::CheckpointCompleted { epoch } = event { Some(epoch.0) } else { None })
        .collect();
    assert_eq!(epochs, (1..=epochs.len() as u64).collect::<Vec<_>>());
    assert!(epochs.len() >= 8, "{epochs:?}");
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_asked_for_before_the_run_is_taken() {
    let world = World::new(1);
    let hour = Duration::from_secs(3600);
    let consumer = world.consumer().checkpoints(world.store.clone(), hour).schema(Utf8).build().unwrap();
    consumer.handle().checkpoint();
    let running = tokio::spawn(async move { consumer.run(|_| Stateless(nothing)).await });
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(world.saved_epoch().await, Some(Epoch(1)));
    running.abort();
}

fn nothing(_: Batch<String>) -> Result<Vec<()>, BoxError> {
    Ok(Vec::new())
}

#[tokio::test(start_paused = true)]
async fn a_stale_run_is_fenced_by_its_successor() {
    let world = World::new(1);
    world.put("key", &text(0)).await;
    let stale = world.start(world.consumer());
    world.wait_for(1).await;
    let current = world.start(world.consumer());
    let error = stale.job.await.unwrap().unwrap_err();
    assert!(matches!(error, ConsumerError::Store(StoreError::Fenced { .. })));
    current.drain().await.unwrap();
}
