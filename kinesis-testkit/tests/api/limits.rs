//! Throughput limits under virtual time.

use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::types::ShardIteratorType;
use kinesis_testkit::{FakeKinesis, Limits};
use tokio::time::advance;

use crate::support::{SHARD_0, STREAM, code, entry, iterator, put_at, read, refusal};

fn limited(shards: u32, limits: Limits) -> (FakeKinesis, Client) {
    let fake = FakeKinesis::builder().stream(STREAM, shards).virtual_time().limits(limits).build();
    let client = fake.client();
    (fake, client)
}

#[tokio::test(start_paused = true)]
async fn of_three_thousand_records_at_once_a_shard_takes_a_thousand() {
    let (fake, client) = limited(1, Limits::aws());
    let (mut failed, mut throttled) = (0, 0);
    for _ in 0..6 {
        let entries = (0..500).map(|n| entry(format!("k{n}"), "x")).collect();
        let output = client.put_records().stream_name(STREAM).set_records(Some(entries)).send().await.unwrap();
        failed += output.failed_record_count().unwrap();
        for record in output.records().iter().filter(|it| it.error_code().is_some()) {
            assert_eq!(record.error_code(), Some("ProvisionedThroughputExceededException"));
            let message = "Rate exceeded for shard shardId-000000000000 in stream orders under account 123456789012.";
            assert_eq!(
                (record.error_message(), record.sequence_number(), record.shard_id()),
                (Some(message), None, None)
            );
            throttled += 1;
        }
    }
    assert_eq!((failed, throttled, fake.stored(STREAM).unwrap().records), (2000, 2000, 1000));
    assert_eq!(fake.call_counts()[&kinesis_testkit::Operation::PutRecords].failed_records, 2000);
}

#[tokio::test(start_paused = true)]
async fn of_ten_megabytes_at_once_a_shard_takes_one() {
    let (fake, client) = limited(2, Limits::aws());
    for _ in 0..2 {
        let entries = (0..108).map(|n| {
            let key = if n % 2 == 0 { "0" } else { "340282366920938463463374607431768211455" };
            let mut entry = entry("k", vec![0; 49_999]);
            entry.explicit_hash_key = Some(key.to_owned());
            entry
        });
        let output =
            client.put_records().stream_name(STREAM).set_records(Some(entries.collect())).send().await.unwrap();
        assert_eq!(output.records().len(), 108, "throttled entries keep their places");
    }
    // 1 MiB holds 20 records of 50,000 bytes, on each of the two shards.
    assert_eq!(fake.stored(STREAM).unwrap().bytes, 40 * 50_000);
    advance(Duration::from_millis(500)).await;
    let put = client.put_records().stream_name(STREAM).records(entry("k", vec![0; 500_000]));
    assert_eq!(put.send().await.unwrap().failed_record_count(), Some(0), "half a second refills half a MiB");
}

#[tokio::test(start_paused = true)]
async fn a_throttled_shard_does_not_throttle_its_neighbour() {
    let (_, client) = limited(2, Limits::off().write_records_per_second(1));
    put_at(&client, 0, "x").await;
    let put = |key: u128| {
        let put = client
            .put_record()
            .stream_name(STREAM)
            .partition_key("k")
            .data(aws_sdk_kinesis::primitives::Blob::new("x"));
        put.explicit_hash_key(key.to_string()).send()
    };
    let (code, message) = refusal(put(0).await);
    assert_eq!(code, "ProvisionedThroughputExceededException");
    assert!(message.starts_with("Rate exceeded for shard shardId-000000000000"), "{message}");
    assert!(put(u128::MAX).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn twelve_reads_in_a_quarter_second_meet_the_limit_of_five() {
    let (_, client) = limited(1, Limits::aws());
    let iterator = iterator(&client, SHARD_0, ShardIteratorType::TrimHorizon).await;
    let mut served = 0;
    for _ in 0..12 {
        match client.get_records().shard_iterator(&iterator).send().await {
            Ok(_) => served += 1,
            refused => assert_eq!(code(refused), "ProvisionedThroughputExceededException"),
        }
        advance(Duration::from_millis(20)).await;
    }
    assert_eq!(served, 6, "a full bucket of five, and one that refills");
}

#[tokio::test(start_paused = true)]
async fn ten_mebibytes_silence_the_shard_for_five_seconds() {
    let (_, client) = limited(1, Limits::off().read_bytes_per_second(2 * 1024 * 1024));
    let entries = (0..10).map(|_| entry("k", vec![0; 1024 * 1024 - 1])).collect();
    client.put_records().stream_name(STREAM).set_records(Some(entries)).send().await.unwrap();
    let start = iterator(&client, SHARD_0, ShardIteratorType::TrimHorizon).await;
    let output = read(&client, start).await;
    assert_eq!(output.records().len(), 10);
    let next = output.next_shard_iterator.unwrap();
    let again = || client.get_records().shard_iterator(&next).send();
    for _ in 0..5 {
        assert_eq!(code(again().await), "ProvisionedThroughputExceededException");
        advance(Duration::from_secs(1)).await;
    }
    advance(Duration::from_millis(1)).await;
    assert!(again().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn five_iterators_a_second_and_no_more() {
    let (_, client) = limited(1, Limits::aws());
    let get = || {
        client
            .get_shard_iterator()
            .stream_name(STREAM)
            .shard_id(SHARD_0)
            .shard_iterator_type(ShardIteratorType::Latest)
            .send()
    };
    for _ in 0..5 {
        get().await.unwrap();
    }
    assert_eq!(code(get().await), "ProvisionedThroughputExceededException");
    advance(Duration::from_millis(200)).await;
    get().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_limits_nothing_is_throttled() {
    let (fake, client) = limited(1, Limits::off());
    let iterator = iterator(&client, SHARD_0, ShardIteratorType::Latest).await;
    for _ in 0..10 {
        let entries = (0..500).map(|_| entry("k", "x")).collect();
        let output = client.put_records().stream_name(STREAM).set_records(Some(entries)).send().await.unwrap();
        assert_eq!(output.failed_record_count(), Some(0));
        read(&client, &iterator).await;
    }
    assert_eq!(fake.stored(STREAM).unwrap().records, 5000);
}
