//! The producer in programs and threads that are not asynchronous.

use kinesis_core::{ClientOptions, KinesisClient};
use kinesis_producer::{BlockingProducer, KinesisProducer, ProducerConfig, PutError, TryPutError, UserRecord};
use kinesis_testkit::FakeKinesis;

use crate::support::{check, record, stream};

fn start(kinesis: &FakeKinesis, config: ProducerConfig) -> BlockingProducer {
    let client = KinesisClient::new(kinesis.client(), ClientOptions::default());
    KinesisProducer::builder().client(client).config(config).build_blocking().unwrap()
}

#[test]
fn a_program_without_a_runtime_puts_waits_and_closes() {
    let kinesis = FakeKinesis::builder().stream("orders", 2).build();
    let producer = start(&kinesis, ProducerConfig::default());
    producer.open(&stream()).unwrap();
    let handle = producer.put(record("k", 0)).unwrap();
    assert!(handle.wait().is_stored());
    let handle = producer.try_put(record("k", 1)).unwrap();
    producer.flush().unwrap();
    assert!(handle.outcome().is_some_and(|outcome| outcome.is_stored()));
    let stats = producer.close().unwrap();
    assert_eq!(stats.user_records_put, 2);
    assert!(matches!(producer.put(record("k", 2)), Err(PutError::Closed)));
}

#[test]
fn threads_share_a_producer_and_wait_for_room() {
    let kinesis = FakeKinesis::builder().stream("orders", 3).build();
    let producer = start(&kinesis, ProducerConfig::default().queue_limit_records(100));
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let producer = producer.clone();
                scope.spawn(move || {
                    let put = |index| {
                        let key = format!("thread-{thread}");
                        (format!("{key}/{index}"), producer.put(record(&key, index)).unwrap())
                    };
                    let handles: Vec<_> = (0..100).map(put).collect();
                    handles.into_iter().map(|(name, handle)| (name, handle.wait())).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(outcomes.len(), 400);
    assert!(outcomes.iter().all(|(_, outcome)| outcome.is_stored()));
    check(&kinesis, &outcomes, 1);
}

#[test]
fn the_thread_ends_with_the_last_clone_and_leaves_no_one_waiting() {
    let kinesis = FakeKinesis::builder().stream("orders", 1).build();
    let producer =
        start(&kinesis, ProducerConfig::default().record_max_buffered_time(std::time::Duration::from_secs(20)));
    let handle = producer.put(record("k", 0)).unwrap();
    // Returns once the thread has ended.
    drop(producer);
    assert!(matches!(handle.wait(), kinesis_producer::Outcome::Unknown { .. }));
}

#[test]
fn a_producer_behind_it_lives_on_and_the_drop_does_not_wait_for_it() {
    let kinesis = FakeKinesis::builder().stream("orders", 1).build();
    let producer = start(&kinesis, ProducerConfig::default());
    let behind = producer.producer().clone();
    drop(producer);
    let blocking = behind.blocking();
    assert!(blocking.put(record("k", 0)).unwrap().wait().is_stored(), "its thread is still there");
    assert_eq!(blocking.close().unwrap().user_records_put, 1);
}

#[test]
fn a_producer_may_be_dropped_as_soon_as_it_is_built() {
    let kinesis = FakeKinesis::builder().stream("orders", 1).build();
    // Each drop waits for a thread whose engine may not have begun.
    (0..300).for_each(|_| drop(start(&kinesis, ProducerConfig::default())));
}

#[test]
fn a_config_that_is_not_valid_is_refused_by_the_builder() {
    let kinesis = FakeKinesis::builder().stream("orders", 1).build();
    let client = KinesisClient::new(kinesis.client(), ClientOptions::default());
    let config = ProducerConfig::default().rate_limit(0);
    let error = KinesisProducer::builder().client(client).config(config).build_blocking().unwrap_err();
    assert!(error.to_string().contains("rate_limit"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threads_of_a_runtime_for_blocking_work_may_use_its_producer() {
    let kinesis = FakeKinesis::builder().stream("orders", 1).build();
    let client = KinesisClient::new(kinesis.client(), ClientOptions::default());
    let config = ProducerConfig::default().queue_limit_records(1);
    let producer = KinesisProducer::builder().client(client).config(config).build().await.unwrap();
    let blocking = producer.blocking();
    let stored = tokio::task::spawn_blocking(move || {
        (0..10).filter(|index| blocking.put(record("k", *index)).unwrap().wait().is_stored()).count()
    });
    assert_eq!(stored.await.unwrap(), 10);
    // An outcome is told before its room is given back; a flush comes after both.
    producer.flush().await.unwrap();
    let full = producer.blocking();
    drop(full.try_put(record("k", 10)).unwrap());
    assert!(matches!(full.try_put(UserRecord::new("orders", "k", "x")), Err(TryPutError::QueueFull(_))));
    producer.close().await.unwrap();
}

#[tokio::test]
#[should_panic(expected = "Cannot start a runtime from within a runtime")]
async fn asynchronous_code_is_told_that_it_must_not_block() {
    let kinesis = FakeKinesis::builder().stream("orders", 1).build();
    let client = KinesisClient::new(kinesis.client(), ClientOptions::default());
    let producer = KinesisProducer::builder().client(client).build().await.unwrap();
    let _ = producer.blocking().flush();
}
