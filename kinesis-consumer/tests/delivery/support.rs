//! A stream to read, and a user's database that keeps results and positions in one transaction.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use aws_sdk_kinesis::primitives::Blob;
use bytes::Bytes;
use kinesis_aggregation::AggregateBuilder;
use kinesis_consumer::{
    Batch, ConsumerBuilder, ConsumerError, ConsumerEvent, KinesisConsumer, Positions, RawRecords, Record, Schema,
    Subtask,
};
use kinesis_core::{ConsumerConfig, StartingPosition};
use kinesis_testkit::FakeKinesis;
use parking_lot::Mutex;
use tokio::task::JoinHandle;

pub(crate) const STREAM: &str = "orders";

/// A stream of the fake, and what its consumers told.
pub(crate) struct World {
    pub(crate) fake: FakeKinesis,
    pub(crate) events: Arc<Mutex<Vec<ConsumerEvent>>>,
}

impl World {
    pub(crate) fn new(shards: u32) -> Self {
        Self { fake: FakeKinesis::builder().stream(STREAM, shards).virtual_time().build(), events: Arc::default() }
    }

    pub(crate) async fn put(&self, key: &str, data: &[u8]) {
        let request = self.fake.client().put_record().stream_name(STREAM).partition_key(key);
        request.data(Blob::new(data)).send().await.unwrap();
    }

    /// Puts so many numbers, over ten keys.
    pub(crate) async fn put_many(&self, range: std::ops::Range<u32>) {
        for number in range {
            self.put(&format!("key-{}", number % 10), number.to_string().as_bytes()).await;
        }
    }

    /// Puts numbers as one aggregate of one key.
    pub(crate) async fn put_aggregate(&self, key: &str, range: std::ops::Range<u32>) {
        let mut builder = AggregateBuilder::new();
        range.for_each(|number| {
            builder.add(key, None, number.to_string().as_bytes());
        });
        self.put(key, &builder.finish()).await;
    }

    /// A consumer from the oldest record on.
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
            .on_event(move |event| events.lock().push(event.clone()))
    }

    pub(crate) fn events(&self) -> Vec<ConsumerEvent> {
        self.events.lock().clone()
    }
}

/// What the user keeps: rows, and the positions of each subtask, replaced together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Database(Arc<Mutex<Tables>>);

#[derive(Debug, Default)]
struct Tables {
    rows: Vec<u32>,
    positions: BTreeMap<usize, Bytes>,
}

impl Database {
    pub(crate) fn commit(&self, subtask: usize, rows: &mut Vec<u32>, positions: &Positions) {
        let mut tables = self.0.lock();
        tables.rows.append(rows);
        tables.positions.insert(subtask, positions.encode());
    }

    pub(crate) fn rows(&self) -> Vec<u32> {
        self.0.lock().rows.clone()
    }

    pub(crate) fn positions(&self) -> Vec<Positions> {
        self.0.lock().positions.values().map(|bytes| Positions::decode(bytes.clone()).unwrap()).collect()
    }
}

pub(crate) fn number(record: &Record) -> u32 {
    std::str::from_utf8(&record.data).unwrap().parse().unwrap()
}

pub(crate) fn numbers(batch: &Batch<Record>) -> Vec<u32> {
    batch.items.iter().map(number).collect()
}

/// Pulls a subtask to its end, with a transaction every so many batches.
pub(crate) fn work(
    mut subtask: Subtask<RawRecords>,
    database: Database,
    batches: usize,
) -> JoinHandle<Result<(), ConsumerError>> {
    tokio::spawn(async move {
        let (mut rows, mut pending) = (Vec::new(), 0);
        while let Some(batch) = subtask.next_batch().await? {
            rows.extend(numbers(&batch));
            pending += 1;
            if pending == batches {
                pending = 0;
                database.commit(subtask.index(), &mut rows, &subtask.snapshot());
            }
        }
        database.commit(subtask.index(), &mut rows, &subtask.snapshot());
        Ok(())
    })
}

/// Reads on from the database to the tips of the stream.
pub(crate) async fn drain(builder: ConsumerBuilder<RawRecords>, database: &Database) {
    let consumer = builder.positions(database.positions()).build_pull().unwrap();
    consumer.handle().drain();
    let subtasks = consumer.into_subtasks().await.unwrap();
    let tasks: Vec<_> = subtasks.into_iter().map(|subtask| work(subtask, database.clone(), 1)).collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
}

/// Reads on from the database, and goes down after `lifetime`.
pub(crate) async fn crash_after(builder: ConsumerBuilder<RawRecords>, database: &Database, lifetime: Duration) {
    let consumer = builder.positions(database.positions()).build_pull().unwrap();
    let subtasks = consumer.into_subtasks().await.unwrap();
    let tasks: Vec<_> = subtasks.into_iter().map(|subtask| work(subtask, database.clone(), 3)).collect();
    tokio::time::sleep(lifetime).await;
    tasks.iter().for_each(JoinHandle::abort);
    for task in tasks {
        assert!(task.await.is_err_and(|error| error.is_cancelled()), "it was to be running still");
    }
}

/// Polls the future once, and drops it where it is not ready.
pub(crate) async fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|context| {
        Poll::Ready(match future.as_mut().poll(context) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

/// Pulls to the end, by futures that are dropped after their first poll.
pub(crate) async fn pull_by_single_polls<S: Schema>(
    subtask: &mut Subtask<S>,
) -> Result<(Vec<S::Item>, usize), ConsumerError> {
    let (mut items, mut dropped) = (Vec::new(), 0);
    loop {
        match poll_once(subtask.next_batch()).await {
            Some(Ok(Some(batch))) => items.extend(batch.items),
            Some(Ok(None)) => return Ok((items, dropped)),
            Some(Err(error)) => return Err(error),
            None => {
                dropped += 1;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }
}

/// Pulls to the end.
pub(crate) async fn pull_all<S: Schema>(subtask: &mut Subtask<S>) -> Result<Vec<S::Item>, ConsumerError> {
    let mut items = Vec::new();
    while let Some(batch) = subtask.next_batch().await? {
        items.extend(batch.items);
    }
    Ok(items)
}
