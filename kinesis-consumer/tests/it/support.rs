//! A stream to read, and a processor that remembers what it saw.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_kinesis::primitives::Blob;
use bytes::Bytes;
use kinesis_aggregation::AggregateBuilder;
use kinesis_consumer::{
    Batch, BoxError, CheckpointStore, ConsumerBuilder, ConsumerError, ConsumerEvent, ConsumerHandle, KinesisConsumer,
    MemoryStore, Processor, RawRecords, Record, SavedState, StreamShard,
};
use kinesis_core::{ConsumerConfig, Epoch, StartingPosition};
use kinesis_testkit::FakeKinesis;
use parking_lot::Mutex;
use tokio::task::JoinHandle;

pub(crate) const STREAM: &str = "orders";

/// What processors saw, over all incarnations of a job.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<(StreamShard, String)>>>);

impl Seen {
    /// Everything in the order of processing.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.0.lock().iter().map(|(_, text)| text.clone()).collect()
    }

    /// Everything, sorted.
    pub(crate) fn sorted(&self) -> Vec<String> {
        let mut texts = self.texts();
        texts.sort();
        texts
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().len()
    }
}

/// Keeps every text in its state, a line each, so that the state is the fold of what was read.
pub(crate) struct Recorder {
    seen: Seen,
    states: States,
    state: String,
    shard: StreamShard,
    pace: Duration,
}

/// The last snapshot of every shard.
pub(crate) type States = Arc<Mutex<BTreeMap<StreamShard, String>>>;

#[async_trait]
impl Processor<Record> for Recorder {
    type Output = ();

    async fn process(&mut self, batch: Batch<Record>, _output: &mut Vec<()>) -> Result<(), BoxError> {
        if !self.pace.is_zero() {
            tokio::time::sleep(self.pace).await;
        }
        for record in batch.items {
            let text = std::str::from_utf8(&record.data)?.to_owned();
            self.state += &text;
            self.state += "\n";
            self.seen.0.lock().push((batch.shard.clone(), text));
        }
        Ok(())
    }

    fn snapshot(&self) -> Result<Bytes, BoxError> {
        self.states.lock().insert(self.shard.clone(), self.state.clone());
        Ok(Bytes::from(self.state.clone()))
    }

    fn restore(&mut self, states: &[SavedState]) -> Result<(), BoxError> {
        // A child begins empty: its parents' texts stay with its parents.
        let own = states.iter().find(|state| state.shard == self.shard);
        self.state = own.map_or_else(|| Ok(String::new()), |state| String::from_utf8(state.bytes.to_vec()))?;
        Ok(())
    }
}

/// A stream of the fake, a store, and what was seen of both.
pub(crate) struct World {
    pub(crate) fake: FakeKinesis,
    pub(crate) store: MemoryStore,
    pub(crate) seen: Seen,
    pub(crate) states: States,
    pub(crate) events: Arc<Mutex<Vec<ConsumerEvent>>>,
    /// How long each batch takes.
    pub(crate) pace: Duration,
}

pub(crate) struct Running {
    pub(crate) job: JoinHandle<Result<Epoch, ConsumerError>>,
    pub(crate) handle: ConsumerHandle,
}

impl Running {
    /// Reads what the streams hold, and ends.
    pub(crate) async fn drain(self) -> Result<Epoch, ConsumerError> {
        self.handle.drain();
        self.job.await.unwrap()
    }

    /// Ends as a crash does.
    pub(crate) async fn kill(self) {
        self.job.abort();
        assert!(self.job.await.unwrap_err().is_cancelled());
    }
}

impl World {
    pub(crate) fn new(shards: u32) -> Self {
        Self::of(FakeKinesis::builder().stream(STREAM, shards).virtual_time().build())
    }

    pub(crate) fn of(fake: FakeKinesis) -> Self {
        Self {
            fake,
            store: MemoryStore::new(),
            seen: Seen::default(),
            states: States::default(),
            events: Arc::default(),
            pace: Duration::ZERO,
        }
    }

    pub(crate) async fn put(&self, key: &str, text: &str) {
        self.put_bytes(key, text.as_bytes()).await;
    }

    pub(crate) async fn put_bytes(&self, key: &str, data: &[u8]) {
        let request = self.fake.client().put_record().stream_name(STREAM).partition_key(key);
        request.data(Blob::new(data)).send().await.unwrap();
    }

    /// Puts so many texts, each under a key of its own.
    pub(crate) async fn put_many(&self, range: std::ops::Range<u32>) {
        for number in range {
            self.put(&format!("key-{number}"), &text(number)).await;
        }
    }

    /// Puts texts as one aggregate of one key.
    pub(crate) async fn put_aggregate(&self, key: &str, range: std::ops::Range<u32>) {
        let mut builder = AggregateBuilder::new();
        range.for_each(|number| {
            builder.add(key, None, text(number).as_bytes());
        });
        self.put_bytes(key, &builder.finish()).await;
    }

    /// A consumer from the oldest record on, checkpoints a second apart.
    pub(crate) fn consumer(&self) -> ConsumerBuilder<RawRecords> {
        self.consumer_from(StartingPosition::TrimHorizon)
    }

    pub(crate) fn consumer_from(&self, position: StartingPosition) -> ConsumerBuilder<RawRecords> {
        let config = ConsumerConfig::builder().starting_position(position).build().unwrap();
        let events = Arc::clone(&self.events);
        KinesisConsumer::builder()
            .sdk_client(self.fake.client())
            .clock(self.fake.clock())
            .streams([STREAM])
            .config(config)
            .seed(1)
            .checkpoints(self.store.clone(), Duration::from_secs(1))
            .on_event(move |event| events.lock().push(event.clone()))
    }

    pub(crate) fn start(&self, builder: ConsumerBuilder<RawRecords>) -> Running {
        let consumer = builder.build().unwrap();
        let handle = consumer.handle();
        let (seen, states, pace) = (self.seen.clone(), Arc::clone(&self.states), self.pace);
        let factory = move |context: &kinesis_consumer::ShardContext| Recorder {
            seen: seen.clone(),
            states: Arc::clone(&states),
            state: String::new(),
            shard: context.shard.clone(),
            pace,
        };
        Running { job: tokio::spawn(async move { consumer.run(factory).await }), handle }
    }

    /// Runs a consumer to the tips of the stream.
    pub(crate) async fn drain(&self) {
        self.start(self.consumer()).drain().await.unwrap();
    }

    /// The fold that was saved: every shard's state, as lines, sorted.
    pub(crate) fn saved(&self) -> Vec<String> {
        let states = self.states.lock();
        let mut lines: Vec<String> =
            states.values().flat_map(|state| state.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
        lines.sort();
        lines
    }

    pub(crate) fn events(&self) -> Vec<ConsumerEvent> {
        self.events.lock().clone()
    }

    pub(crate) async fn saved_epoch(&self) -> Option<Epoch> {
        self.store.latest_epoch("consumer").await.unwrap()
    }

    pub(crate) async fn wait_for(&self, records: usize) {
        while self.seen.len() < records {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

pub(crate) fn text(number: u32) -> String {
    format!("text-{number:05}")
}

pub(crate) fn texts(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(text).collect()
}
