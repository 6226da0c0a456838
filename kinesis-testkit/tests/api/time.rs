//! Expiry, retention, latency, and the service's clock.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_sdk_kinesis::types::ShardIteratorType;
use kinesis_core::{ClientOptions, KinesisClient, from_unix_millis, unix_millis};
use kinesis_testkit::FakeKinesis;
use tokio::time::{Instant, advance};

use crate::support::{SHARD_0, SHARD_1, STREAM, code, drain, fake, iterator, put_at, read, refusal, texts};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn an_iterator_expires_after_five_minutes() {
    let (_, client) = fake(1);
    let old = iterator(&client, SHARD_0, ShardIteratorType::Latest).await;
    advance(Duration::from_secs(300)).await;
    let next = read(&client, &old).await.next_shard_iterator.unwrap();
    advance(Duration::from_millis(1)).await;
    let (code, message) = refusal(client.get_records().shard_iterator(old).send().await);
    assert_eq!(code, "ExpiredIteratorException");
    assert_eq!(
        message,
        "Iterator expired. The iterator was created at time Thu Jan 01 00:00:00 UTC 2026 while right now it is Thu Jan \
         01 00:05:00 UTC 2026 which is further in the future than the tolerated delay of 300000 milliseconds."
    );
    advance(Duration::from_secs(299)).await;
    read(&client, next).await;
}

#[tokio::test(start_paused = true)]
async fn records_are_gone_after_their_retention() {
    let (fake, client) = fake(1);
    put_at(&client, 0, "old").await;
    advance(HOUR).await;
    let young = put_at(&client, 0, "young").await;
    advance(23 * HOUR - Duration::from_millis(1)).await;
    assert_eq!(drain(&client, SHARD_0).await.len(), 2);
    advance(Duration::from_millis(1)).await;
    assert_eq!(drain(&client, SHARD_0).await, [(young, b"young".to_vec())]);
    advance(HOUR).await;
    assert_eq!(fake.stored(STREAM).unwrap(), kinesis_testkit::Stored::default());
    assert_eq!(fake.journal().records.len(), 2, "the journal keeps what retention removes");
}

#[tokio::test(start_paused = true)]
async fn an_iterator_before_the_horizon_reads_on_from_the_oldest_record() {
    let (_, client) = fake(1);
    let trimmed = put_at(&client, 0, "trimmed").await.to_string();
    advance(24 * HOUR).await;
    put_at(&client, 0, "kept").await;
    let after = client.get_shard_iterator().stream_name(STREAM).shard_id(SHARD_0).starting_sequence_number(trimmed);
    let after = after.shard_iterator_type(ShardIteratorType::AtSequenceNumber).send().await.unwrap();
    assert_eq!(texts(&read(&client, after.shard_iterator.unwrap()).await), ["kept"]);
}

#[tokio::test(start_paused = true)]
async fn a_longer_retention_keeps_records_longer() {
    let (_, client) = fake(1);
    put_at(&client, 0, "x").await;
    let increase = client.increase_stream_retention_period().stream_name(STREAM).retention_period_hours(48);
    increase.send().await.unwrap();
    advance(47 * HOUR).await;
    assert_eq!(drain(&client, SHARD_0).await.len(), 1);
    advance(HOUR).await;
    assert_eq!(drain(&client, SHARD_0).await.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_closed_shard_vanishes_when_its_retention_has_passed() {
    let (fake, client) = fake(2);
    put_at(&client, 0, "x").await;
    let ids = || fake.shards(STREAM).unwrap().iter().map(|it| it.id.index().unwrap()).collect::<Vec<_>>();
    advance(HOUR).await;
    fake.split(STREAM, SHARD_0).unwrap();
    advance(HOUR).await;
    fake.merge(STREAM, "shardId-000000000003", SHARD_1).unwrap();
    advance(23 * HOUR - Duration::from_millis(1)).await;
    assert_eq!(ids(), [0, 1, 2, 3, 4]);
    let last = iterator(&client, SHARD_0, ShardIteratorType::TrimHorizon).await;
    advance(Duration::from_millis(1)).await;
    assert_eq!(ids(), [1, 2, 3, 4]);
    let listed = client.list_shards().stream_name(STREAM).send().await.unwrap();
    assert_eq!(listed.shards()[1].parent_shard_id(), Some(SHARD_0), "a child still names a parent that is gone");
    assert_eq!(code(client.get_records().shard_iterator(last).send().await), "ResourceNotFoundException");
    let request = client.get_shard_iterator().stream_name(STREAM).shard_id(SHARD_0);
    assert_eq!(code(request.shard_iterator_type(ShardIteratorType::Latest).send().await), "ResourceNotFoundException");
    advance(HOUR).await;
    assert_eq!(ids(), [2, 4]);
}

#[tokio::test(start_paused = true)]
async fn replies_carry_the_services_date() {
    let epoch = from_unix_millis(1_800_000_000_900);
    let fake = FakeKinesis::builder().stream(STREAM, 1).virtual_time_from(epoch).build();
    let client = KinesisClient::new(fake.client(), ClientOptions::default());
    let summary = client.describe_stream_summary(&STREAM.parse().unwrap()).await.unwrap();
    assert_eq!(summary.served_at, Some(from_unix_millis(1_800_000_000_000)));
    assert_eq!(unix_millis(summary.created_at), unix_millis(epoch));
}

#[tokio::test(start_paused = true)]
async fn latency_passes_half_before_and_half_after_the_call_is_applied() {
    let fake = FakeKinesis::builder().stream(STREAM, 1).virtual_time().latency(Duration::from_millis(100)).build();
    let (client, begin, start) = (fake.client(), Instant::now(), fake.clock().now());
    put_at(&client, 0, "x").await;
    assert_eq!(begin.elapsed(), Duration::from_millis(100));
    assert_eq!(fake.journal().records[0].arrived_at(), start + Duration::from_millis(50));
}

/// A clock that its owner sets.
#[derive(Debug)]
struct HandClock(Mutex<SystemTime>);

impl kinesis_core::Clock for HandClock {
    fn now(&self) -> SystemTime {
        *self.0.lock().unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn arrival_does_not_go_back_where_the_clock_does() {
    let clock = Arc::new(HandClock(Mutex::new(from_unix_millis(1_800_000_000_000))));
    let fake = FakeKinesis::builder().stream(STREAM, 1).clock(Arc::<HandClock>::clone(&clock)).build();
    let client = fake.client();
    let first = put_at(&client, 0, "first").await;
    *clock.0.lock().unwrap() -= Duration::from_secs(60);
    assert!(put_at(&client, 0, "second").await > first);
    let arrivals: Vec<_> = fake.journal().records.iter().map(|it| unix_millis(it.arrived_at())).collect();
    assert_eq!(arrivals, [1_800_000_000_000; 2]);
}
