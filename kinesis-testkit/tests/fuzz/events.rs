//! Events with any records, framed and read back.

use std::time::Duration;

use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, ShardIteratorType, StartingPosition};
use kinesis_core::{RandomStream, Randomness};
use kinesis_testkit::FakeKinesis;

const SEEDS: u64 = 60;

/// Any text with a length that the service takes, of one character at least.
fn key(random: &mut RandomStream) -> String {
    let characters = ['a', ' ', '"', '\\', '\n', '\u{7f}', 'ä', '\u{2028}', '\u{1f980}'];
    let most = if random.below(10) == 0 { 256 } else { 12 };
    let length = 1 + random.below(most);
    (0..length).map(|_| characters[random.below(characters.len() as u64) as usize]).collect()
}

fn data(random: &mut RandomStream) -> Vec<u8> {
    let most = if random.below(10) == 0 { 70_000 } else { 40 };
    let length = random.below(most);
    (0..length).map(|_| random.below(256) as u8).collect()
}

#[tokio::test(start_paused = true)]
async fn whatever_is_put_is_what_a_subscription_pushes() {
    for seed in 0..SEEDS {
        let mut random = Randomness::from_seed(seed).stream("events");
        let fake = FakeKinesis::builder().stream("orders", 1).virtual_time().build();
        let client = fake.client();
        let arn = "arn:aws:kinesis:us-east-1:123456789012:stream/orders";
        let registered = client.register_stream_consumer().stream_arn(arn).consumer_name("app").send().await.unwrap();
        let consumer = registered.consumer().unwrap().consumer_arn().to_owned();
        let mut written = Vec::new();
        for _ in 0..=random.below(5) {
            let records: Vec<(String, Vec<u8>)> =
                (0..=random.below(50)).map(|_| (key(&mut random), data(&mut random))).collect();
            let entry = |(key, data): &(String, Vec<u8>)| {
                PutRecordsRequestEntry::builder().partition_key(key).data(Blob::new(data.clone())).build().unwrap()
            };
            let put = client.put_records().stream_name("orders").set_records(Some(records.iter().map(entry).collect()));
            assert_eq!(put.send().await.unwrap().failed_record_count(), Some(0), "seed {seed}");
            written.extend(records);
        }
        let start = StartingPosition::builder().r#type(ShardIteratorType::TrimHorizon).build().unwrap();
        let subscribe = client.subscribe_to_shard().consumer_arn(consumer).shard_id("shardId-000000000000");
        let mut events = subscribe.starting_position(start).send().await.unwrap().event_stream;
        let mut pushed = Vec::new();
        while pushed.len() < written.len() {
            let event = tokio::time::timeout(Duration::from_secs(60), events.recv()).await.unwrap().unwrap().unwrap();
            let event = event.as_subscribe_to_shard_event().unwrap().clone();
            pushed.extend(
                event.records.into_iter().map(|record| (record.partition_key.unwrap(), record.data.into_inner())),
            );
        }
        assert!(pushed == written, "seed {seed}: {} records were put, and not these were pushed", written.len());
    }
}
