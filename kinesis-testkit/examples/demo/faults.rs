//! Known ways to get exactly-once wrong, each of which the verdict has to see.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use bytes::Bytes;
use kinesis_consumer::{
    Checkpoint, CheckpointStore, ConsumerHandle, FileSink, FileStore, Incarnation, KinesisConsumer, Mutant, OpenedJob,
    StoreError,
};
use kinesis_core::{ConsumerConfig, Epoch, Randomness, StartingPosition};
use kinesis_testkit::FakeKinesis;
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::dedup::Dedup;
use crate::input::Input;
use crate::line::{Content, partition_key, seal};
use crate::observer::Observer;
use crate::verdict::{Verdict, compare};

const RUN: u64 = 7;
const LINES: u64 = 60;
const SEEDS: std::ops::Range<u64> = 0..5;

/// The moment of a checkpoint at which the job dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Crash {
    /// The output is durable, the checkpoint is not.
    BeforeCheckpoint,
    /// The checkpoint is durable, the output is not visible.
    AfterCheckpoint,
}

/// A store at which a job hangs in its second checkpoint, until it is killed.
struct CrashingStore {
    inner: FileStore,
    crash: Crash,
    reached: Arc<Notify>,
}

#[async_trait]
impl CheckpointStore for CrashingStore {
    async fn open(&self, job: &str) -> Result<OpenedJob, StoreError> {
        self.inner.open(job).await
    }

    async fn put(&self, incarnation: Incarnation, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        if checkpoint.epoch == Epoch(0) {
            return self.inner.put(incarnation, checkpoint).await;
        }
        if self.crash == Crash::AfterCheckpoint {
            self.inner.put(incarnation, checkpoint).await?;
        }
        self.reached.notify_one();
        std::future::pending().await
    }

    async fn latest_epoch(&self, job: &str) -> Result<Option<Epoch>, StoreError> {
        self.inner.latest_epoch(job).await
    }
}

/// Lines, a stream, and a directory for the output.
struct World {
    fake: FakeKinesis,
    directory: TempDir,
    input: Input,
    lines: Vec<Bytes>,
    store: FileStore,
}

impl World {
    fn new(seed: u64) -> Self {
        let directory = TempDir::new().unwrap();
        let mut random = Randomness::from_seed(seed).stream("lines");
        let line = |number| Bytes::from(format!("key-{} {number}", random.below(9)));
        let lines: Vec<Bytes> = (0..LINES).map(line).collect();
        let file = directory.path().join("input");
        std::fs::write(&file, lines.join(&b'\n')).unwrap();
        Self {
            fake: FakeKinesis::builder().stream("demo", 2).virtual_time().seed(seed).build(),
            store: FileStore::open(directory.path().join("state")).unwrap(),
            input: Input::File(file),
            directory,
            lines,
        }
    }

    fn output(&self) -> PathBuf {
        self.directory.path().join("out")
    }

    async fn put(&self, numbers: std::ops::Range<u64>) {
        let entry = |number: u64| {
            let text = self.lines[number as usize].clone();
            let key = partition_key(&text, number);
            let data = seal(RUN, &Content::Line { number, text });
            PutRecordsRequestEntry::builder().partition_key(key).data(Blob::new(data)).build().unwrap()
        };
        let request = self.fake.client().put_records().stream_name("demo");
        request.set_records(Some(numbers.map(entry).collect())).send().await.unwrap();
    }

    fn start(
        &self,
        store: impl CheckpointStore + 'static,
        mutant: Option<Mutant>,
    ) -> (JoinHandle<Result<Epoch, kinesis_consumer::ConsumerError>>, ConsumerHandle) {
        let config = ConsumerConfig::builder().starting_position(StartingPosition::TrimHorizon).build().unwrap();
        let mut builder = KinesisConsumer::builder()
            .sdk_client(self.fake.client())
            .clock(self.fake.clock())
            .streams(["demo"])
            .config(config)
            .parallelism(2)
            .max_batch(5)
            .seed(1)
            .checkpoints(store, Duration::from_secs(1));
        let mut sink = FileSink::open(self.output()).unwrap();
        if let Some(mutant) = mutant {
            builder = builder.mutant(mutant);
            sink = sink.mutant(mutant);
        }
        let consumer = builder.build().unwrap();
        let handle = consumer.handle();
        let observer = Arc::new(Observer::new(RUN, u64::MAX, Vec::new()));
        observer.begin_incarnation(handle.clone());
        let factory = move |context: &_| Dedup::new(Arc::clone(&observer), context);
        (tokio::spawn(async move { consumer.run_into(Arc::new(sink), factory).await }), handle)
    }

    async fn drain(&self, mutant: Option<Mutant>) {
        let (running, handle) = self.start(self.store.clone(), mutant);
        handle.drain();
        running.await.unwrap().unwrap();
    }

    fn verdict(&self) -> Verdict {
        compare(&self.input, &[], &self.output()).unwrap()
    }
}

/// The job dies at a moment of its first checkpoint, and is restored.
async fn crash_and_restore(seed: u64, crash: Crash, mutant: Option<Mutant>) -> Verdict {
    let world = World::new(seed);
    world.put(0..LINES).await;
    let reached = Arc::new(Notify::new());
    let store = CrashingStore { inner: world.store.clone(), crash, reached: Arc::clone(&reached) };
    let (running, _) = world.start(store, mutant);
    reached.notified().await;
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    world.drain(mutant).await;
    world.verdict()
}

async fn verdicts(crash: Crash, mutant: Option<Mutant>) -> Vec<(u64, Verdict)> {
    let mut verdicts = Vec::new();
    for seed in SEEDS {
        verdicts.push((seed, crash_and_restore(seed, crash, mutant).await));
    }
    verdicts
}

fn assert_all(verdicts: &[(u64, Verdict)], what: &str, holds: impl Fn(&Verdict) -> bool) {
    for (seed, verdict) in verdicts {
        assert!(holds(verdict), "seed {seed}: {what} expected, found {verdict:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_moment_of_a_checkpoint_costs_nothing() {
    for crash in [Crash::BeforeCheckpoint, Crash::AfterCheckpoint] {
        assert_all(&verdicts(crash, None).await, "nothing lost or repeated", |verdict| verdict.is_good(true));
    }
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_before_the_pre_commit_loses_output() {
    let verdicts = verdicts(Crash::AfterCheckpoint, Some(Mutant::CheckpointBeforePreCommit)).await;
    assert_all(&verdicts, "lost lines", |verdict| verdict.lost > 0);
}

#[tokio::test(start_paused = true)]
async fn output_published_before_the_checkpoint_is_repeated() {
    let verdicts = verdicts(Crash::BeforeCheckpoint, Some(Mutant::PublishBeforeCheckpoint)).await;
    assert_all(&verdicts, "duplicated lines", |verdict| verdict.duplicated > 0);
}

#[tokio::test(start_paused = true)]
async fn a_restore_that_forgets_pending_commits_loses_output() {
    let verdicts = verdicts(Crash::AfterCheckpoint, Some(Mutant::ForgetPendingCommits)).await;
    assert_all(&verdicts, "lost lines", |verdict| verdict.lost > 0);
}

#[tokio::test(start_paused = true)]
async fn a_restore_that_publishes_orphans_repeats_output() {
    let verdicts = verdicts(Crash::BeforeCheckpoint, Some(Mutant::PublishOrphans)).await;
    assert_all(&verdicts, "duplicated lines", |verdict| verdict.duplicated > 0);
}

/// Lines are written again, by a producer that lost the reply, after their shards were split.
async fn repeat_behind_a_split(seed: u64, mutant: Option<Mutant>) -> Verdict {
    let world = World::new(seed);
    world.put(0..LINES / 2).await;
    let (running, handle) = world.start(world.store.clone(), mutant);
    tokio::time::sleep(Duration::from_secs(3)).await;
    for shard in world.fake.shards("demo").unwrap() {
        world.fake.split("demo", shard.id.as_str()).unwrap();
    }
    world.put(0..LINES).await;
    handle.drain();
    running.await.unwrap().unwrap();
    world.verdict()
}

#[tokio::test(start_paused = true)]
async fn a_child_without_its_parents_state_repeats_output() {
    for seed in SEEDS {
        let verdict = repeat_behind_a_split(seed, Some(Mutant::ForgetParentStates)).await;
        assert!(verdict.duplicated > 0, "seed {seed}: duplicated lines expected, found {verdict:?}");
        let verdict = repeat_behind_a_split(seed, None).await;
        assert!(verdict.is_good(true), "seed {seed}: nothing lost or repeated expected, found {verdict:?}");
    }
}
