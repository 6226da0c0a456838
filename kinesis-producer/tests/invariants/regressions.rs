//! Violations that were found, each as small as it could be made.

use aws_sdk_kinesis::types::{RecordDistributionStrategy, StreamMode, StreamModeDetails};
use kinesis_core::Randomness;
use kinesis_producer::{FailureCause, KinesisProducer, Outcome, ProducerConfig, TryPutError, UserRecord};
use kinesis_testkit::FakeKinesis;
use tokio::time::sleep;

use crate::run::client;
use crate::wire::Wire;
use crate::workload::{STREAMS, millis};

async fn producer(fake: &FakeKinesis, config: ProducerConfig) -> KinesisProducer {
    let builder = KinesisProducer::builder().client(client(fake, &Wire::default(), millis(5000))).config(config);
    builder.randomness(Randomness::from_seed(1)).build().await.unwrap()
}

/// P7: a record that is larger than the queue takes all of its room, and gave back its whole size.
#[tokio::test(start_paused = true)]
async fn a_record_larger_than_the_queue_gives_back_what_it_took() {
    let fake = FakeKinesis::builder().stream(STREAMS[0], 1).latency(millis(20)).virtual_time().build();
    let producer = producer(&fake, ProducerConfig::default().queue_limit_bytes(1000)).await;
    let of = |size: usize| UserRecord::new(STREAMS[0], "k", vec![b'x'; size - 1]);
    assert!(producer.put(of(5000)).await.unwrap().await.is_stored());
    producer.try_put(of(1000)).unwrap();
    assert!(matches!(producer.try_put(of(1)), Err(TryPutError::QueueFull(_))), "1000 bytes are the limit");
}

/// Lets an on-demand stream of four shards place records by itself, after a producer has begun to write to it.
async fn switched(config: ProducerConfig) -> (FakeKinesis, KinesisProducer) {
    let fake = FakeKinesis::builder().latency(millis(20)).virtual_time().build();
    let mode = StreamModeDetails::builder().stream_mode(StreamMode::OnDemand).build().unwrap();
    let sdk = fake.client();
    let create = sdk.create_stream().stream_name(STREAMS[0]).stream_mode_details(mode);
    create.send().await.unwrap();
    let producer = producer(&fake, config).await;
    assert!(producer.put(UserRecord::new(STREAMS[0], "key", "before")).await.unwrap().await.is_stored());
    let arn = "arn:aws:kinesis:us-east-1:123456789012:stream/orders";
    let switch = sdk.update_stream_record_distribution_strategy().stream_arn(arn);
    switch.record_distribution_strategy(RecordDistributionStrategy::Auto).send().await.unwrap();
    sleep(millis(1000)).await;
    (fake, producer)
}

/// P4: aggregates for a shard were sent again and again, since they land on any shard, until one happened to fit.
#[tokio::test(start_paused = true)]
async fn a_stream_that_begins_to_spread_records_is_noticed() {
    let (fake, producer) = switched(ProducerConfig::default()).await;
    let mut handles = Vec::new();
    for index in 0..300 {
        let record = UserRecord::new(STREAMS[0], format!("key-{}", index % 50), format!("{index}"));
        handles.push(producer.put(record).await.unwrap());
        if index % 7 == 6 {
            sleep(millis(200)).await;
        }
    }
    let mut most = 0;
    for handle in handles {
        let outcome = handle.await;
        assert!(outcome.is_stored(), "{outcome:?}");
        most = most.max(outcome.attempts().count());
    }
    // One that was on its way, one that the wrong shard tells of.
    assert!(most <= 3, "a record was sent {most} times, {} Kinesis records", fake.journal().records.len());
}

/// P5: in ordered mode the records went on to any shard, as if that were their order.
#[tokio::test(start_paused = true)]
async fn a_stream_that_begins_to_spread_records_ends_their_order_by_name() {
    let (_fake, producer) = switched(ProducerConfig::default().ordered(true)).await;
    let mut shards = std::collections::BTreeSet::new();
    for index in 0..20 {
        let record = UserRecord::new(STREAMS[0], "key", format!("{index}"));
        match producer.put(record).await.unwrap().await {
            Outcome::Stored { shard, .. } => drop(shards.insert(shard)),
            Outcome::Failed { cause: FailureCause::OrderUnavailable, .. } => return,
            other => panic!("{other:?}"),
        }
    }
    panic!("twenty records of a key are stored in {shards:?}, and nobody was told that they have no order");
}

/// P1: aggregates were judged by the shards of a stream that was gone, so that a reader by the KCL's rule dropped what was
/// acknowledged.
#[tokio::test(start_paused = true)]
async fn a_stream_that_was_created_again_unseen_is_not_judged_by_its_old_shards() {
    let fake = FakeKinesis::builder().stream(STREAMS[0], 2).latency(millis(20)).virtual_time().build();
    let producer = producer(&fake, ProducerConfig::default()).await;
    let record = |id: u64| UserRecord::new(STREAMS[0], format!("key-{id}"), id.to_be_bytes().to_vec());
    assert!(producer.put(record(0)).await.unwrap().await.is_stored());
    fake.client().delete_stream().stream_name(STREAMS[0]).send().await.unwrap();
    fake.create_stream(STREAMS[0], 3).unwrap();
    sleep(millis(60_000)).await;
    let mut handles = Vec::new();
    for id in 1..=50 {
        handles.push((id, producer.put(record(id)).await.unwrap()));
    }
    let mut stored = Vec::new();
    for (id, handle) in handles {
        stored.extend(handle.await.is_stored().then_some(id));
    }
    let copies = crate::truth::copies(&fake);
    let is_met = |id: &u64| copies.iter().any(|copy| copy.id == *id && copy.is_visible);
    let lost: Vec<u64> = stored.into_iter().filter(|id| !is_met(id)).collect();
    assert!(lost.is_empty(), "acknowledged, and dropped by a reader: {lost:?}");
}
