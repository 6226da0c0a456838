//! The job that is run: a processor whose state is the list of what it saw, and a store that writes down what is saved.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use kinesis_consumer::{
    Batch, BoxError, Checkpoint, CheckpointStore, Incarnation, MemoryStore, OpenedJob, Processor, Record, SavedState,
    ShardContext, StoreError,
};
use kinesis_core::{Epoch, HashKey, RecordPosition, ShardId};
use parking_lot::Mutex;

use crate::account::{Place, Step};

/// How long the store takes, before and after a checkpoint is durable: a crash can come in between.
const STORE_DELAY: Duration = Duration::from_millis(40);

/// What is written down, by all runs of a job.
pub(crate) type Log = Arc<Mutex<Vec<Step>>>;

/// Text that stands for a record's data; broken aggregates are shown by their length and a sum.
pub(crate) fn text_of(data: &[u8]) -> String {
    let sum = || data.iter().fold(7u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    match std::str::from_utf8(data) {
        Ok(text) if text.len() < 40 => text.to_owned(),
        _ => format!("{} bytes {:x}", data.len(), sum()),
    }
}

/// The places of every key, in the order in which they were processed.
type State = BTreeMap<String, Vec<Place>>;

/// Reads a saved state; one that does not parse fails the test.
pub(crate) fn read_state(bytes: &[u8]) -> State {
    let mut state = State::new();
    for line in std::str::from_utf8(bytes).unwrap().lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let position = RecordPosition::new(fields[2].parse().unwrap(), fields[3].parse().unwrap());
        state.entry(fields[0].to_owned()).or_default().push((fields[1].parse().unwrap(), position));
    }
    state
}

fn write_state(state: &State) -> Bytes {
    let mut text = String::new();
    for (key, places) in state {
        for (shard, at) in places {
            text += &format!("{key} {shard} {} {}\n", at.sequence_number, at.sub_sequence_number);
        }
    }
    Bytes::from(text)
}

/// Keeps, per key, the places of all records that it saw; a child takes the keys of its own range.
pub(crate) struct Lister {
    pub(crate) run: u64,
    pub(crate) context: ShardContext,
    pub(crate) log: Log,
    pub(crate) pace: Duration,
    pub(crate) state: State,
    pub(crate) watermark: Option<SystemTime>,
}

#[async_trait]
impl Processor<Record> for Lister {
    type Output = Place;

    async fn process(&mut self, batch: Batch<Record>, output: &mut Vec<Place>) -> Result<(), BoxError> {
        if !self.pace.is_zero() {
            tokio::time::sleep(self.pace).await;
        }
        for record in batch.items {
            let place = (batch.shard.shard.clone(), record.position);
            let key = record.partition_key.as_ref().map(|key| key.as_str().to_owned()).unwrap_or_default();
            self.state.entry(key).or_default().push(place.clone());
            output.push(place.clone());
            if record.arrived_at < self.watermark {
                self.log.lock().push(Step::Late { run: self.run, place: place.clone() });
            }
            self.log.lock().push(Step::Record { run: self.run, place, text: text_of(&record.data) });
        }
        Ok(())
    }

    fn on_watermark(&mut self, watermark: SystemTime, _output: &mut Vec<Place>) -> Result<(), BoxError> {
        self.watermark = Some(watermark);
        let shard = self.context.shard.shard.clone();
        self.log.lock().push(Step::Reached { run: self.run, shard, watermark });
        Ok(())
    }

    fn snapshot(&self) -> Result<Bytes, BoxError> {
        Ok(write_state(&self.state))
    }

    fn restore(&mut self, states: &[SavedState]) -> Result<(), BoxError> {
        let range = self.context.hash_key_range;
        for state in states {
            let own =
                read_state(&state.bytes).into_iter().filter(|(key, _)| range.contains(HashKey::of_partition_key(key)));
            self.state.extend(own);
        }
        Ok(())
    }
}

/// Writes down what is opened and saved.
#[derive(Clone)]
pub(crate) struct WatchedStore {
    pub(crate) inner: MemoryStore,
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
        tokio::time::sleep(STORE_DELAY).await;
        self.inner.put(incarnation, checkpoint).await?;
        self.log.lock().push(Step::Saved { run: self.run, checkpoint: checkpoint.clone() });
        tokio::time::sleep(STORE_DELAY).await;
        Ok(())
    }

    async fn latest_epoch(&self, job: &str) -> Result<Option<Epoch>, StoreError> {
        self.inner.latest_epoch(job).await
    }
}

/// Shards as the fake names them, for a test that counts.
pub(crate) fn shard(index: u64) -> ShardId {
    ShardId::from_index(index)
}
