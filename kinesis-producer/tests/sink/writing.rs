use bytes::Bytes;
use kinesis_core::HashKey;
use kinesis_producer::{
    BoxError, KinesisSerializationSchema, KinesisSink, Partitioner, ProducerConfig, PutError, StreamTarget, WriteError,
};
use tokio::time::Instant;

use crate::support::{chain, data, element, kinesis, millis, producer, producer_with, sink, stored, write};

#[tokio::test(start_paused = true)]
async fn every_element_is_stored_once_under_its_key() {
    let kinesis = kinesis().build();
    let producer = producer(&kinesis).await;
    let sink = sink(&producer).build().await.unwrap();
    write(&sink, 0..5000).await;
    sink.flush().await.unwrap();
    let stats = sink.stats();
    assert_eq!((stats.written, stats.stored, stats.outstanding()), (5000, 5000, 0), "{stats:?}");
    let mut expected: Vec<_> = (0..5000).map(element).collect();
    expected.sort();
    assert_eq!(data(&kinesis, "orders"), expected);
    assert!(stored(&kinesis, "orders").iter().all(|(key, data)| key == data));
}

#[tokio::test(start_paused = true)]
async fn a_flush_does_not_wait_for_the_buffering_time() {
    let kinesis = kinesis().build();
    let config = ProducerConfig::default().record_max_buffered_time(millis(20_000));
    let producer = producer_with(&kinesis, config).await;
    let sink = sink(&producer).build().await.unwrap();
    let started = Instant::now();
    write(&sink, 0..10).await;
    sink.flush().await.unwrap();
    assert!(started.elapsed() < millis(100), "{:?}", started.elapsed());
    assert_eq!(sink.stats().stored, 10);
}

/// Sends odd numbers to another stream, and none to a third that does not exist.
struct ByParity;

impl KinesisSerializationSchema<u32> for ByParity {
    fn encode(&self, element: &u32) -> Result<Bytes, BoxError> {
        Ok(Bytes::from(element.to_string()))
    }

    fn target_stream(&self, element: &u32) -> Option<StreamTarget> {
        match element {
            99 => Some("no name".into()),
            odd if odd % 2 == 1 => Some("errors".into()),
            _ => None,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_schema_chooses_streams_and_none_means_the_default() {
    let kinesis = kinesis().build();
    let producer = producer(&kinesis).await;
    let new = || KinesisSink::builder().producer(producer.clone()).kinesis_schema(ByParity).default_partition("k");
    let sink = new().stream("orders").build().await.unwrap();
    for number in 0..6 {
        sink.write(&number).await.unwrap();
    }
    let error = sink.write(&99).await.unwrap_err();
    assert!(matches!(error, WriteError::Put(PutError::InvalidStream(_))), "{error}");
    sink.flush().await.unwrap();
    assert_eq!(data(&kinesis, "orders"), ["0", "2", "4"]);
    assert_eq!(data(&kinesis, "errors"), ["1", "3", "5"]);

    let without_default = new().build().await.unwrap();
    without_default.write(&7).await.unwrap();
    assert!(matches!(without_default.write(&8).await, Err(WriteError::NoStream)));
    without_default.flush().await.unwrap();
    assert_eq!(data(&kinesis, "errors"), ["1", "3", "5", "7"]);
}

#[tokio::test(start_paused = true)]
async fn an_element_that_cannot_be_serialised_fails_alone() {
    let kinesis = kinesis().build();
    let producer = producer(&kinesis).await;
    let odd = |number: &u32| match number % 2 {
        0 => Ok(Bytes::from(number.to_string())),
        _ => Err(BoxError::from(format!("{number} is odd"))),
    };
    let new = KinesisSink::builder().producer(producer).stream("orders").schema(odd).default_partition("k");
    let sink = new.fail_on_error(true).build().await.unwrap();
    sink.write(&0).await.unwrap();
    let error = sink.write(&1).await.unwrap_err();
    assert!(matches!(error, WriteError::Schema(_)));
    assert_eq!(chain(&error), "element not written: its schema failed: 1 is odd");
    sink.write(&2).await.unwrap();
    sink.flush().await.unwrap();
    assert_eq!(data(&kinesis, "orders"), ["0", "2"]);
    assert_eq!(sink.stats().written, 2);
}

/// Sends everything to the last shard, whatever its key.
struct ToTheEnd;

impl Partitioner<String> for ToTheEnd {
    fn partition_key(&self, element: &String) -> String {
        element.clone()
    }

    fn explicit_hash_key(&self, _element: &String) -> Option<HashKey> {
        Some(HashKey::MAX)
    }
}

#[tokio::test(start_paused = true)]
async fn an_explicit_hash_key_decides_the_shard() {
    let kinesis = kinesis().build();
    let producer = producer(&kinesis).await;
    let sink = sink(&producer).partitioner(ToTheEnd).build().await.unwrap();
    write(&sink, 0..20).await;
    sink.flush().await.unwrap();
    let journal = kinesis.journal();
    assert!(journal.records.iter().all(|record| record.shard().index() == Some(1)), "{:?}", journal.records);
    let mut keys: Vec<_> = stored(&kinesis, "orders").into_iter().map(|(key, _)| key.parse::<u32>().unwrap()).collect();
    keys.sort_unstable();
    assert_eq!(keys, (0..20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_none_fails_its_element() {
    let kinesis = kinesis().build();
    let producer = producer(&kinesis).await;
    let sink = sink(&producer).build().await.unwrap();
    let error = sink.write(&String::new()).await.unwrap_err();
    assert!(matches!(error, WriteError::Put(PutError::EmptyPartitionKey { .. })), "{error}");
    sink.write(&element(1)).await.unwrap();
    producer.close().await.unwrap();
    assert!(matches!(sink.write(&element(2)).await, Err(WriteError::Put(PutError::Closed))));
    sink.flush().await.unwrap();
    assert_eq!(data(&kinesis, "orders"), ["1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_share_a_sink() {
    let kinesis = kinesis().latency(millis(1)).build();
    // Time is not paused here.
    let config = ProducerConfig::default().record_max_buffered_time(millis(1));
    let producer = producer_with(&kinesis, config).await;
    let sink = sink(&producer).queue_limit(300).build().await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8 {
        let sink = sink.clone();
        tasks.spawn(async move { write(&sink, task * 500..(task + 1) * 500).await });
    }
    tasks.join_all().await;
    sink.flush().await.unwrap();
    assert_eq!(sink.stats().stored, 4000);
    let mut numbers: Vec<usize> = data(&kinesis, "orders").iter().map(|text| text.parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..4000).collect::<Vec<_>>());
}
