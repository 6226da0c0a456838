//! The job: each record becomes one output, written through a sink that takes part in the checkpoints.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use kinesis_consumer::{
    Batch, BoxError, Checkpoint, CheckpointStore, Incarnation, MemoryStore, OpenedJob, Processor, Record, SavedState,
    StoreError,
};
use kinesis_core::{
    CheckpointParticipant, ClientOptions, CommitHandle, Epoch, KinesisClient, ParticipantError, Randomness,
    RecordPosition, ShardId,
};
use kinesis_producer::{KinesisProducer, KinesisSink, ProducerConfig};
use kinesis_testkit::FakeKinesis;
use parking_lot::Mutex;
use tokio::time::{Duration, sleep};

use crate::account::{Step, outputs};

pub(crate) const INPUT: &str = "orders";
pub(crate) const OUTPUT: &str = "invoices";

/// How long the store takes, before and after a checkpoint is durable: a crash can come in between.
const STORE_DELAY: Duration = Duration::from_millis(15);

pub(crate) type Log = Arc<Mutex<Vec<Step>>>;

/// What is written for a record: which run read it, where, and what it said.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Output {
    pub(crate) run: u64,
    pub(crate) shard: ShardId,
    pub(crate) position: RecordPosition,
    pub(crate) text: String,
}

impl Output {
    pub(crate) fn of(run: u64, record: &Record) -> Self {
        Self {
            run,
            shard: record.shard.shard.clone(),
            position: record.position,
            text: String::from_utf8(record.data.to_vec()).unwrap(),
        }
    }

    pub(crate) fn encode(&self) -> Bytes {
        let Self { run, shard, position, text } = self;
        format!("{run} {shard} {} {} {text}", position.sequence_number, position.sub_sequence_number).into()
    }

    pub(crate) fn decode(data: &[u8]) -> Self {
        let fields: Vec<&str> = std::str::from_utf8(data).unwrap().split(' ').collect();
        Self {
            run: fields[0].parse().unwrap(),
            shard: fields[1].parse().unwrap(),
            position: RecordPosition::new(fields[2].parse().unwrap(), fields[3].parse().unwrap()),
            text: fields[4].to_owned(),
        }
    }
}

/// Makes an output of each record.
pub(crate) struct Transform {
    pub(crate) run: u64,
}

#[async_trait]
impl Processor<Record> for Transform {
    type Output = Output;

    async fn process(&mut self, batch: Batch<Record>, output: &mut Vec<Output>) -> Result<(), BoxError> {
        output.extend(batch.items.iter().map(|record| Output::of(self.run, record)));
        Ok(())
    }

    fn snapshot(&self) -> Result<Bytes, BoxError> {
        Ok(Bytes::new())
    }

    fn restore(&mut self, _states: &[SavedState]) -> Result<(), BoxError> {
        Ok(())
    }
}

/// The sink of a process: a producer of its own, and the sink that writes through it.
pub(crate) async fn sink(fake: &FakeKinesis, config: ProducerConfig, seed: u64) -> KinesisSink<Output> {
    let client = KinesisClient::new(fake.client(), ClientOptions::default());
    let producer = KinesisProducer::builder().client(client).config(config).randomness(Randomness::from_seed(seed));
    KinesisSink::builder()
        .producer(producer.build().await.unwrap())
        .stream(OUTPUT)
        .schema(|output: &Output| Ok::<_, BoxError>(output.encode()))
        .partitioner(|output: &Output| output.text.clone())
        .queue_limit(20)
        .fail_on_error(true)
        .build()
        .await
        .unwrap()
}

/// The sink's part in a checkpoint.
#[derive(Clone)]
pub(crate) struct Part {
    pub(crate) sink: KinesisSink<Output>,
    /// Off, checkpoints do not wait for what was written: a mistake that the account must find.
    pub(crate) takes_part: bool,
}

#[async_trait]
impl CheckpointParticipant for Part {
    async fn pre_commit(&self, epoch: Epoch) -> Result<Option<CommitHandle>, ParticipantError> {
        if self.takes_part { self.sink.pre_commit(epoch).await } else { Ok(None) }
    }

    async fn commit(&self, handle: &CommitHandle) -> Result<(), ParticipantError> {
        self.sink.commit(handle).await
    }

    async fn recover(&self, last: Epoch, committed: &[CommitHandle]) -> Result<(), ParticipantError> {
        self.sink.recover(last, committed).await
    }
}

/// Writes down what is opened and saved, and what is stored by then.
pub(crate) struct WatchedStore {
    pub(crate) inner: MemoryStore,
    pub(crate) fake: FakeKinesis,
    pub(crate) log: Log,
    pub(crate) run: u64,
}

#[async_trait]
impl CheckpointStore for WatchedStore {
    async fn open(&self, job: &str) -> Result<OpenedJob, StoreError> {
        let opened = self.inner.open(job).await?;
        self.log.lock().push(Step::Opened { run: self.run, restored: opened.latest.clone() });
        Ok(opened)
    }

    async fn put(&self, incarnation: Incarnation, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        let stored = outputs(&self.fake);
        sleep(STORE_DELAY).await;
        self.inner.put(incarnation, checkpoint).await?;
        self.log.lock().push(Step::Saved { checkpoint: checkpoint.clone(), stored });
        sleep(STORE_DELAY).await;
        Ok(())
    }

    async fn latest_epoch(&self, job: &str) -> Result<Option<Epoch>, StoreError> {
        self.inner.latest_epoch(job).await
    }
}
