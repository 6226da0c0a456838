//! A job on a table's stream, whose state is the last version of every item.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodbstreams::types::Record as ChangeRecord;
use bytes::Bytes;
use kinesis_consumer::{
    Batch, BoxError, ConsumerBuilder, ConsumerError, ConsumerEvent, ConsumerHandle, DynamoDbRecords, DynamoDbStreams,
    KinesisConsumer, MemoryStore, Processor, SavedState, ShardContext,
};
use kinesis_core::{ConsumerConfig, Epoch, StartingPosition};
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use crate::table::{ARN, Table};

/// Every version that was processed, by item, over all runs.
pub(crate) type Seen = Arc<Mutex<BTreeMap<u8, Vec<u64>>>>;

/// Fails where a version is not the one after the last.
struct Versions {
    last: BTreeMap<u8, u64>,
    /// Whether the first version of an item that is seen may be any.
    begins_anywhere: bool,
    seen: Seen,
}

#[async_trait]
impl Processor<ChangeRecord> for Versions {
    type Output = ();

    async fn process(&mut self, batch: Batch<ChangeRecord>, _: &mut Vec<()>) -> Result<(), BoxError> {
        for change in &batch.items {
            let (key, version) = item(change).ok_or("the change of no order")?;
            let last = self.last.insert(key, version);
            let expected = last.map_or(1, |last| last + 1);
            if version != expected && (last.is_some() || !self.begins_anywhere) {
                return Err(format!("{}: item {key} has version {version} after {last:?}", batch.shard).into());
            }
            self.seen.lock().entry(key).or_default().push(version);
        }
        Ok(())
    }

    fn snapshot(&self) -> Result<Bytes, BoxError> {
        Ok(serde_json::to_vec(&self.last)?.into())
    }

    fn restore(&mut self, states: &[SavedState]) -> Result<(), BoxError> {
        for state in states.iter().filter(|state| !state.bytes.is_empty()) {
            self.last.extend(serde_json::from_slice::<BTreeMap<u8, u64>>(&state.bytes)?);
        }
        Ok(())
    }
}

/// An item's key and its version.
fn item(change: &ChangeRecord) -> Option<(u8, u64)> {
    let item = change.dynamodb()?;
    let id = item.keys()?.get("id")?.as_s().ok()?;
    let version = item.new_image()?.get("version")?.as_n().ok()?;
    Some((id.strip_prefix("order-")?.parse().ok()?, version.parse().ok()?))
}

pub(crate) struct World {
    pub(crate) table: Table,
    pub(crate) store: MemoryStore,
    pub(crate) seen: Seen,
    pub(crate) events: Arc<Mutex<Vec<ConsumerEvent>>>,
    pub(crate) begins_anywhere: bool,
}

pub(crate) struct Running {
    pub(crate) job: JoinHandle<Result<Epoch, ConsumerError>>,
    pub(crate) handle: ConsumerHandle,
}

impl Running {
    pub(crate) async fn drain(self) -> Result<Epoch, ConsumerError> {
        self.handle.drain();
        self.job.await.unwrap()
    }

    pub(crate) async fn kill(self) {
        self.job.abort();
        assert!(self.job.await.unwrap_err().is_cancelled());
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let (table, store) = (Table::new(), MemoryStore::new());
        Self { table, store, seen: Seen::default(), events: Arc::default(), begins_anywhere: false }
    }

    /// From the oldest record on, checkpoints a second apart, listings ten seconds apart.
    pub(crate) fn consumer(&self) -> ConsumerBuilder<DynamoDbRecords> {
        self.consumer_from(StartingPosition::TrimHorizon)
    }

    pub(crate) fn consumer_from(&self, position: StartingPosition) -> ConsumerBuilder<DynamoDbRecords> {
        let config = ConsumerConfig::builder().starting_position(position).build().unwrap();
        let events = Arc::clone(&self.events);
        KinesisConsumer::builder()
            .dynamodb_streams(DynamoDbStreams::new(self.table.sdk()).stream("orders", ARN).unwrap())
            .clock(Arc::new(self.table.clock()))
            .config(config)
            .schema(DynamoDbRecords)
            .seed(1)
            .checkpoints(self.store.clone(), Duration::from_secs(1))
            .on_event(move |event| events.lock().push(event.clone()))
    }

    pub(crate) fn start(&self, builder: ConsumerBuilder<DynamoDbRecords>) -> Running {
        let consumer = builder.build().unwrap();
        let (handle, seen, begins_anywhere) = (consumer.handle(), Arc::clone(&self.seen), self.begins_anywhere);
        let factory =
            move |_: &ShardContext| Versions { last: BTreeMap::new(), begins_anywhere, seen: Arc::clone(&seen) };
        Running { job: tokio::spawn(async move { consumer.run(factory).await }), handle }
    }

    pub(crate) async fn drain(&self) -> Result<Epoch, ConsumerError> {
        self.start(self.consumer()).drain().await
    }

    /// The last version that was processed of every item.
    pub(crate) fn last_seen(&self) -> BTreeMap<u8, u64> {
        let seen = self.seen.lock();
        seen.iter().filter_map(|(key, versions)| Some((*key, *versions.last()?))).collect()
    }

    /// How many changes were processed, repetitions included.
    pub(crate) fn count(&self) -> usize {
        self.seen.lock().values().map(Vec::len).sum()
    }

    /// Changes each of these items so often.
    pub(crate) fn put(&self, keys: std::ops::Range<u8>, times: u32) {
        for _ in 0..times {
            keys.clone().for_each(|key| self.table.put(key));
        }
    }
}
