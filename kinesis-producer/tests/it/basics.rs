use kinesis_core::{CheckpointParticipant, Epoch, StreamName};
use kinesis_producer::{
    CloseError, FailureCause, FlushError, Outcome, ProducerConfig, ProducerParticipant, PutError, TryPutError,
    UserRecord,
};
use kinesis_testkit::{Fault, FaultRule, Operation};
use tokio::time::Instant;

use crate::support::{check, copies, kinesis, millis, outcomes, producer, puts, record, stream};

#[tokio::test(start_paused = true)]
async fn every_record_is_stored_once_where_its_outcome_says() {
    let kinesis = kinesis(4).build();
    let producer = producer(&kinesis, ProducerConfig::default(), 1).await;
    let mut handles = Vec::new();
    for index in 0..10_000 {
        handles.push(producer.put(record(&format!("key-{}", index % 700), index)).await.unwrap());
    }
    let names = (0..10_000).map(|index| format!("key-{}/{index}", index % 700));
    let outcomes: Vec<_> = names.zip(outcomes(handles).await).collect();
    assert!(outcomes.iter().all(|(_, outcome)| outcome.is_stored()));
    check(&kinesis, &outcomes, 1);
    let stats = producer.close().await.unwrap();
    assert_eq!((stats.user_records_received, stats.user_records_put), (10_000, 10_000));
    assert_eq!(copies(&kinesis).len(), 10_000);
    assert!(stats.kinesis_records_put < 20, "they are aggregated: {stats:?}");
    assert!(stats.put_records_calls <= stats.kinesis_records_put, "and collected: {stats:?}");
}

#[tokio::test(start_paused = true)]
async fn a_flush_sends_at_once_and_waits_for_the_outcomes() {
    let kinesis = kinesis(2).build();
    let config = ProducerConfig::default().record_max_buffered_time(millis(20_000));
    let producer = producer(&kinesis, config, 1).await;
    let started = Instant::now();
    let mut handle = producer.put(record("key", 0)).await.unwrap();
    producer.flush().await.unwrap();
    // Looking up the stream takes two calls of 20 ms, and writing one.
    assert!(started.elapsed() < millis(70), "{:?}", started.elapsed());
    let waker = std::task::Waker::noop();
    let outcome = std::pin::Pin::new(&mut handle).poll(&mut std::task::Context::from_waker(waker));
    assert!(outcome.is_ready(), "the outcome is in");
    producer.flush().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_record_alone_waits_its_buffering_time_and_a_little_for_its_request() {
    let kinesis = kinesis(1).build();
    let producer = producer(&kinesis, ProducerConfig::default(), 1).await;
    producer.put(record("key", 0)).await.unwrap().await;
    let started = Instant::now();
    producer.put(record("key", 1)).await.unwrap().await;
    let elapsed = started.elapsed();
    assert!(elapsed >= millis(140) && elapsed < millis(150), "100 + 20 + 20 of the call: {elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn bad_records_are_refused_by_name() {
    let kinesis = kinesis(1).build();
    let producer = producer(&kinesis, ProducerConfig::default(), 1).await;
    let refused = async |record| producer.put(record).await.unwrap_err();
    assert!(matches!(refused(UserRecord::new("orders", "", "x")).await, PutError::EmptyPartitionKey { .. }));
    let long = refused(UserRecord::new("orders", "k".repeat(257), "x")).await;
    assert!(matches!(long, PutError::PartitionKeyTooLong { characters: 257, .. }));
    assert!(matches!(refused(UserRecord::new("no name", "k", "x")).await, PutError::InvalidStream(_)));

    let large = producer.put(UserRecord::new("orders", "k", vec![0; 1024 * 1024])).await.unwrap();
    let missing = producer.put(UserRecord::new("missing", "k", "x")).await.unwrap();
    let good = producer.put(record("k", 0)).await.unwrap();
    assert!(matches!(large.await, Outcome::Failed { cause: FailureCause::RecordTooLarge { .. }, .. }));
    let Outcome::Failed { cause, .. } = missing.await else {
        panic!("the stream does not exist");
    };
    assert!(cause.to_string().contains("missing"), "{cause}");
    assert!(good.await.is_stored(), "the others are not touched");
    assert_eq!(copies(&kinesis).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn several_streams_share_a_producer() {
    let kinesis = kinesis(1).stream("payments", 2).build();
    let producer = producer(&kinesis, ProducerConfig::default(), 1).await;
    let payments: StreamName = "payments".parse().unwrap();
    for index in 0..100 {
        producer.put(record("k", index)).await.unwrap();
        producer.put(UserRecord::new(&payments, "k", format!("payment {index}"))).await.unwrap();
    }
    producer.close().await.unwrap();
    let journal = kinesis.journal();
    let of = |name: &StreamName| journal.records.iter().filter(|record| record.stream() == name).count();
    assert_eq!((of(&stream()), of(&payments)), (1, 1), "one aggregate each");
}

// P7
#[tokio::test(start_paused = true)]
async fn a_full_queue_makes_puts_wait_and_try_puts_come_back() {
    let kinesis = kinesis(1).build();
    let producer = producer(&kinesis, ProducerConfig::default().queue_limit_records(3), 1).await;
    let handles = [0, 1, 2].map(|index| producer.try_put(record("k", index)).unwrap());
    let Err(TryPutError::QueueFull(back)) = producer.try_put(record("k", 3)) else {
        panic!("three records are the limit");
    };
    assert!(back.size_bytes() > 0);
    let mut waiting = Box::pin(producer.put(*back));
    assert!(tokio::time::timeout(millis(100), &mut waiting).await.is_err(), "nothing has an outcome yet");
    let handle = waiting.await.unwrap();
    assert!(producer.stats().user_records_put > 0, "there is room because of outcomes");
    assert!(handle.await.is_stored());
    assert_eq!(outcomes(handles.into()).await.iter().filter(|outcome| outcome.is_stored()).count(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_limited_by_bytes_too() {
    let kinesis = kinesis(1).build();
    let producer = producer(&kinesis, ProducerConfig::default().queue_limit_bytes(1000), 1).await;
    let of = |size: usize| UserRecord::new("orders", "k", vec![b'x'; size - 1]);
    producer.try_put(of(600)).unwrap();
    assert!(matches!(producer.try_put(of(401)), Err(TryPutError::QueueFull(_))));
    producer.try_put(of(400)).unwrap();
    producer.flush().await.unwrap();
    let handle = producer.put(of(5000)).await.unwrap();
    assert!(handle.await.is_stored(), "one that is larger than the limit passes alone");
}

#[tokio::test(start_paused = true)]
async fn a_put_that_is_cancelled_while_it_waits_has_put_nothing() {
    let kinesis = kinesis(1).build();
    let producer = producer(&kinesis, ProducerConfig::default().queue_limit_records(1), 1).await;
    producer.try_put(record("k", 0)).unwrap();
    assert!(tokio::time::timeout(millis(1), producer.put(record("k", 1))).await.is_err());
    producer.flush().await.unwrap();
    producer.try_put(record("k", 2)).unwrap();
    producer.close().await.unwrap();
    let data: Vec<_> = copies(&kinesis).into_iter().map(|copy| copy.data).collect();
    assert_eq!(data, ["k/0", "k/2"]);
}

// P9
#[tokio::test(start_paused = true)]
async fn after_close_nothing_reaches_the_wire() {
    let kinesis = kinesis(2).build();
    kinesis.inject(FaultRule::on(Operation::PutRecords).fault(Fault::internal_failure()).times(3));
    let producer = producer(&kinesis, ProducerConfig::default(), 1).await;
    let clone = producer.clone();
    let handle = producer.put(record("k", 0)).await.unwrap();
    let stats = producer.close().await.unwrap();
    assert_eq!((stats.outstanding(), stats.user_records_put), (0, 1));
    let calls = puts(&kinesis);
    assert_eq!(calls, 4);
    assert!(matches!(clone.put(record("k", 1)).await, Err(PutError::Closed)));
    assert!(matches!(clone.flush().await, Err(FlushError::Closed)));
    assert_eq!(clone.close().await.unwrap(), stats, "closing again is no error");
    tokio::time::sleep(millis(60_000)).await;
    assert_eq!(puts(&kinesis), calls);
    assert!(handle.await.is_stored());
}

#[tokio::test(start_paused = true)]
async fn dropping_the_producer_ends_it_with_unknown_outcomes() {
    let kinesis = kinesis(1).build();
    let producer = producer(&kinesis, ProducerConfig::default(), 1).await;
    let handle = producer.put(record("k", 0)).await.unwrap();
    drop(producer);
    let outcome = handle.await;
    assert!(matches!(outcome, Outcome::Unknown { cause: FailureCause::Abandoned, .. }), "{outcome:?}");
    tokio::time::sleep(millis(60_000)).await;
    assert_eq!(puts(&kinesis), 0);
}

fn broken() -> FaultRule {
    let denied = Fault::Error { code: "AccessDeniedException".to_owned(), message: "no".to_owned(), status: 400 };
    FaultRule::on(Operation::PutRecords).fault(denied)
}

#[tokio::test(start_paused = true)]
async fn with_fail_on_error_a_failure_surfaces_once_at_the_next_call() {
    let kinesis = kinesis(1).build();
    let producer = producer(&kinesis, ProducerConfig::default().fail_on_error(true), 1).await;
    kinesis.inject(broken().times(3));
    drop(producer.put(record("k", 0)).await.unwrap());
    let Err(FlushError::Delivery(error)) = producer.flush().await else {
        panic!("the record was not stored");
    };
    assert_eq!((error.failed, error.unknown, error.stream.as_str()), (1, 0, "orders"));
    producer.flush().await.unwrap();

    producer.put(record("k", 1)).await.unwrap().await;
    assert!(matches!(producer.put(record("k", 2)).await, Err(PutError::Earlier(_))));
    producer.put(record("k", 3)).await.unwrap();
    assert!(matches!(producer.close().await, Err(CloseError::Delivery(_))));
    assert_eq!(copies(&kinesis).len(), 0, "the record of the refused put was not accepted");
}

#[tokio::test(start_paused = true)]
async fn without_it_failures_are_counted() {
    let kinesis = kinesis(1).build();
    let producer = producer(&kinesis, ProducerConfig::default(), 1).await;
    kinesis.inject(broken().always());
    drop(producer.put(record("k", 0)).await.unwrap());
    producer.flush().await.unwrap();
    assert_eq!(producer.close().await.unwrap().user_records_failed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_waits_for_the_records_before_it_and_fails_with_them() {
    let kinesis = kinesis(1).build();
    let producer = producer(&kinesis, ProducerConfig::default(), 1).await;
    let participant = ProducerParticipant::new(producer.clone());
    producer.put(record("k", 0)).await.unwrap();
    assert!(participant.pre_commit(Epoch(1)).await.unwrap().is_none());
    assert_eq!(copies(&kinesis).len(), 1);
    kinesis.inject(broken());
    producer.put(record("k", 1)).await.unwrap();
    let error = participant.pre_commit(Epoch(2)).await.unwrap_err();
    assert_eq!(error.to_string(), "pre-commit of epoch 2 failed on orders");
    assert!(participant.pre_commit(Epoch(3)).await.is_ok(), "each failure fails one checkpoint");
    producer.close().await.unwrap();
    assert!(participant.pre_commit(Epoch(4)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn an_idle_producer_makes_no_calls() {
    let kinesis = kinesis(1).build();
    let producer = producer(&kinesis, ProducerConfig::default(), 1).await;
    producer.put(record("k", 0)).await.unwrap().await;
    let calls = |kinesis: &kinesis_testkit::FakeKinesis| kinesis.journal().calls.len();
    let before = calls(&kinesis);
    tokio::time::sleep(millis(24 * 3600 * 1000)).await;
    assert_eq!(calls(&kinesis), before);
    producer.put(record("k", 1)).await.unwrap().await;
    assert_eq!(producer.stats().shard_map_reads, 2, "the first record after a long time renews the map");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_share_a_producer() {
    let kinesis = kinesis(3).build();
    let producer = producer(&kinesis, ProducerConfig::default(), 1).await;
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8 {
        let producer = producer.clone();
        tasks.spawn(async move {
            let mut handles = Vec::new();
            for index in 0..500 {
                let handle = producer.put(record(&format!("task-{task}"), index)).await.unwrap();
                handles.push((format!("task-{task}/{index}"), handle));
            }
            let mut outcomes = Vec::new();
            for (name, handle) in handles {
                outcomes.push((name, handle.await));
            }
            outcomes
        });
    }
    let outcomes = tasks.join_all().await.concat();
    assert!(outcomes.iter().all(|(_, outcome)| outcome.is_stored()));
    check(&kinesis, &outcomes, 1);
    assert_eq!(producer.close().await.unwrap().user_records_put, 4000);
}
