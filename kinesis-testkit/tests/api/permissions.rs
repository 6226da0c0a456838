//! What the README says about permissions is what the crates call.

use std::collections::BTreeSet;
use std::time::Duration;

use kinesis_consumer::{Batch, BoxError, KinesisConsumer, MemoryStore, RawRecords, Record, Stateless};
use kinesis_core::{ClientOptions, ConsumerConfig, FanOutConfig, KinesisClient, RecordPublisher, StartingPosition};
use kinesis_producer::{KinesisProducer, UserRecord};
use kinesis_testkit::FakeKinesis;

use crate::support::{SHARD_0, STREAM, fake};

/// The actions of Kinesis in the README's row of a feature.
fn documented(feature: &str) -> BTreeSet<String> {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    let mut rows = readme.lines().filter(|line| line.starts_with(&format!("| {feature} |")));
    let row = rows.next().unwrap_or_else(|| panic!("the README has no row of permissions for {feature}"));
    row.split('`').filter_map(|word| word.strip_prefix("kinesis:")).map(str::to_owned).collect()
}

/// What the fake was asked for since `from`.
fn called(fake: &FakeKinesis, from: usize) -> BTreeSet<String> {
    let journal = fake.journal();
    journal.calls[from..].iter().map(|call| call.operation.to_string()).collect()
}

fn nothing(_: Batch<Record>) -> Result<Vec<()>, BoxError> {
    Ok(Vec::new())
}

async fn consume(fake: &FakeKinesis, store: &MemoryStore, publisher: RecordPublisher) {
    let config = ConsumerConfig::builder()
        .starting_position(StartingPosition::TrimHorizon)
        .record_publisher(publisher)
        .fan_out(FanOutConfig::named("app"))
        .build()
        .unwrap();
    let consumer = KinesisConsumer::builder()
        .sdk_client(fake.client())
        .streams([STREAM])
        .config(config)
        .schema(RawRecords)
        .checkpoints(store.clone(), Duration::from_secs(5))
        .build()
        .unwrap();
    consumer.handle().drain();
    consumer.run(|_shard| Stateless(nothing)).await.unwrap();
}

async fn produce(fake: &FakeKinesis) {
    let client = KinesisClient::new(fake.client(), ClientOptions::default());
    let producer = KinesisProducer::builder().client(client).build().await.unwrap();
    let pending = producer.put(UserRecord::new(STREAM, "customer-7", "paid")).await.unwrap();
    pending.await.into_result().unwrap();
    producer.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_producer_needs_the_actions_that_the_readme_lists() {
    let (fake, _) = fake(2);
    produce(&fake).await;
    fake.split(STREAM, SHARD_0).unwrap();
    let from = fake.journal().calls.len();
    assert_eq!(called(&fake, 0), documented("producer"), "a fresh stream");
    produce(&fake).await;
    assert!(called(&fake, from).is_subset(&documented("producer")), "after a split");
}

/// Read from the start, follow a split, and go on from a checkpoint, whose last record is looked for again.
async fn read_through_a_split(publisher: RecordPublisher, row: &str) {
    let (fake, _) = fake(2);
    let store = MemoryStore::new();
    produce(&fake).await;
    let from = fake.journal().calls.len();
    consume(&fake, &store, publisher).await;
    fake.split(STREAM, SHARD_0).unwrap();
    consume(&fake, &store, publisher).await;
    assert_eq!(called(&fake, from), documented(row));
}

#[tokio::test(start_paused = true)]
async fn a_polling_consumer_needs_the_actions_that_the_readme_lists() {
    read_through_a_split(RecordPublisher::Polling, "consumer, polling").await;
}

#[tokio::test(start_paused = true)]
async fn a_fan_out_consumer_needs_the_actions_that_the_readme_lists() {
    read_through_a_split(RecordPublisher::EnhancedFanOut, "consumer, fan-out").await;
}
