//! What a put accepts of a record (KPL, addUserRecord).

use kinesis_core::{ClientOptions, HashKey, KinesisClient};
use kinesis_producer::{FailureCause, KinesisProducer, Outcome, PutError, UserRecord};
use kinesis_testkit::FakeKinesis;

const MEBIBYTE: usize = 1024 * 1024;

async fn start() -> (FakeKinesis, KinesisProducer) {
    let kinesis = FakeKinesis::builder().stream("orders", 2).virtual_time().build();
    let client = KinesisClient::new(kinesis.client(), ClientOptions::default());
    let producer = KinesisProducer::builder().client(client).build().await.unwrap();
    (kinesis, producer)
}

#[tokio::test(start_paused = true)]
async fn names_of_streams_are_taken_as_they_are() {
    let (_kinesis, producer) = start().await;
    for name in ["", " ", " orders", "orders ", "my stream", "arn:aws:kinesis:us-east-1:1:stream/orders"] {
        let error = producer.put(UserRecord::new(name, "k", "x")).await.unwrap_err();
        assert!(matches!(error, PutError::InvalidStream(_)), "{name:?}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn partition_keys_have_one_to_256_characters_of_any_plane() {
    let (_kinesis, producer) = start().await;
    for key in ["k".to_owned(), "é".repeat(256), "😀".repeat(256), " ".to_owned(), "\0".to_owned()] {
        let outcome = producer.put(UserRecord::new("orders", key.as_str(), "x")).await.unwrap().await;
        assert!(outcome.is_stored(), "{key:?}: {outcome:?}");
    }
    let error = producer.put(UserRecord::new("orders", "😀".repeat(257), "x")).await.unwrap_err();
    assert!(matches!(error, PutError::PartitionKeyTooLong { characters: 257, .. }), "{error}");
    assert!(matches!(producer.put(UserRecord::new("orders", "", "x")).await, Err(PutError::EmptyPartitionKey { .. })));
}

#[tokio::test(start_paused = true)]
async fn an_explicit_hash_key_is_a_number_of_128_bits_and_decides_the_shard() {
    let (kinesis, producer) = start().await;
    let shards = kinesis.shards("orders").unwrap();
    for (text, shard) in [("0", 0), ("00123", 0), ("340282366920938463463374607431768211455", 1)] {
        let key: HashKey = text.parse().unwrap();
        let record = UserRecord::new("orders", "k", "x").explicit_hash_key(key);
        let Outcome::Stored { shard: landed, .. } = producer.put(record).await.unwrap().await else {
            panic!("{text} is a hash key");
        };
        assert_eq!(landed, shards[shard].id, "{text}");
    }
    for text in ["+5", " 5", "-1", "340282366920938463463374607431768211456", ""] {
        assert!(text.parse::<HashKey>().is_err(), "{text:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn data_may_be_empty_alone_and_in_an_aggregate() {
    let (kinesis, producer) = start().await;
    assert!(producer.put(UserRecord::new("orders", "k", "")).await.unwrap().await.is_stored());
    let first = producer.put(UserRecord::new("orders", "k", "")).await.unwrap();
    let second = producer.put(UserRecord::new("orders", "k", "")).await.unwrap();
    assert!(first.await.is_stored());
    let Outcome::Stored { sub_sequence_number: 1, .. } = second.await else {
        panic!("it is the second of an aggregate");
    };
    assert!(kinesis.journal().records.iter().any(|record| record.data().is_empty()));
}

#[tokio::test(start_paused = true)]
async fn the_streams_limit_counts_data_and_partition_key() {
    let (kinesis, producer) = start().await;
    let put = async |size: usize| producer.put(UserRecord::new("orders", "key", vec![0; size])).await.unwrap().await;
    assert!(put(MEBIBYTE - 3).await.is_stored(), "1 MiB with its key");
    let Outcome::Failed { cause: FailureCause::RecordTooLarge { size_bytes, limit_bytes }, .. } =
        put(MEBIBYTE - 2).await
    else {
        panic!("one byte more is too large");
    };
    assert_eq!((size_bytes, limit_bytes), (MEBIBYTE + 1, MEBIBYTE));
    assert_eq!(kinesis.journal().records.len(), 1);
}
