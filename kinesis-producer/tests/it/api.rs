//! What a producer offers beside putting: looking ahead, looking in, and ending in time.

use kinesis_core::{ClientOptions, KinesisClient, RequestErrorKind, StreamName};
use kinesis_producer::{
    AttemptResult, CloseError, FailureCause, FlushError, KinesisProducer, OpenError, Outcome, ProducerConfig, PutError,
    TryPutError, UserRecord,
};
use kinesis_testkit::{Entries, EntryFaults, Fault, FaultRule, Operation};
use tokio::time::Instant;

use crate::support::{check, copies, kinesis, millis, outcomes, producer, puts, record, stream};

fn throttled() -> FaultRule {
    FaultRule::on(Operation::PutRecords).fault(Fault::throttle())
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_opened_is_not_looked_up_by_its_first_record() {
    let kinesis = kinesis(2).build();
    let producer = producer(&kinesis, ProducerConfig::default().record_max_buffered_time(millis(0)), 1).await;
    producer.open(&stream()).await.unwrap();
    let started = Instant::now();
    assert!(producer.put(record("k", 0)).await.unwrap().await.is_stored());
    assert!(started.elapsed() < millis(25), "one call of 20 ms: {:?}", started.elapsed());
    assert_eq!(producer.stats().shard_map_reads, 1);
    producer.open(&stream()).await.unwrap();
    assert_eq!(producer.stats().shard_map_reads, 1, "it is open");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_cannot_be_opened_says_why_and_may_be_opened_later() {
    let kinesis = kinesis(1).build();
    let producer = producer(&kinesis, ProducerConfig::default(), 1).await;
    let later: StreamName = "later".parse().unwrap();
    let OpenError::Request { source, .. } = producer.open(&later).await.unwrap_err() else { panic!("not closed") };
    assert_eq!(source.kind(), RequestErrorKind::NotFound);
    kinesis.create_stream("later", 1).unwrap();
    tokio::time::sleep(millis(60_000)).await;
    producer.open(&later).await.unwrap();
    producer.close().await.unwrap();
    assert!(matches!(producer.open(&later).await, Err(OpenError::Closed { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_flush_of_one_stream_leaves_the_others_their_company() {
    let kinesis = kinesis(1).stream("payments", 1).build();
    let config = ProducerConfig::default().record_max_buffered_time(millis(20_000));
    let producer = producer(&kinesis, config, 1).await;
    let waits = producer.put(UserRecord::new("payments", "k", "x")).await.unwrap();
    let goes = producer.put(record("k", 0)).await.unwrap();
    let started = Instant::now();
    producer.flush_stream(&stream()).await.unwrap();
    assert!(started.elapsed() < millis(100), "{:?}", started.elapsed());
    assert!(goes.outcome().is_some_and(|outcome| outcome.is_stored()));
    assert!(waits.outcome().is_none());
    producer.flush_stream(&"unheard".parse().unwrap()).await.unwrap();
    assert!(waits.await.is_stored());
    assert!(started.elapsed() >= millis(20_000));
}

#[tokio::test(start_paused = true)]
async fn what_is_outstanding_is_told_with_the_age_of_the_oldest() {
    let kinesis = kinesis(1).build();
    let producer = producer(&kinesis, ProducerConfig::default(), 1).await;
    assert_eq!(producer.outstanding(), Default::default());
    let throttle = kinesis.inject(throttled().always());
    producer.put(UserRecord::new("orders", "k", "12345")).await.unwrap();
    tokio::time::sleep(millis(2000)).await;
    producer.put(UserRecord::new("orders", "k", "1")).await.unwrap();
    tokio::time::sleep(millis(50)).await;
    let outstanding = producer.outstanding();
    assert_eq!((outstanding.records, outstanding.bytes), (2, 8));
    let oldest = outstanding.oldest.unwrap();
    assert!(oldest >= millis(2050) && oldest <= millis(2055), "{oldest:?}");
    assert!(throttle.fired() > 0);
    kinesis.heal();
    producer.flush().await.unwrap();
    assert_eq!(producer.outstanding(), Default::default());
}

#[tokio::test(start_paused = true)]
async fn a_close_in_time_tells_what_it_gave_up_and_nothing_is_sent_afterwards() {
    let kinesis = kinesis(1).stream("throttled", 1).build();
    let producer = producer(&kinesis, ProducerConfig::default(), 1).await;
    assert!(producer.put(record("k", 0)).await.unwrap().await.is_stored());
    kinesis.inject(throttled().stream("throttled".parse().unwrap()).always());
    kinesis.inject(FaultRule::on(Operation::PutRecords).fault(Fault::Delay(millis(5000))).times(1));
    let hanging = producer.put(record("k", 1)).await.unwrap();
    tokio::time::sleep(millis(130)).await;
    let refused = producer.put(UserRecord::new("throttled", "k", "x")).await.unwrap();
    let missing = producer.put(UserRecord::new("throttled", "k", "y")).await.unwrap();
    let started = Instant::now();
    let error = producer.close_within(millis(1000)).await.unwrap_err();
    assert_eq!(started.elapsed(), millis(1000));
    let CloseError::DeadlinePassed { failed, unknown, .. } = error else { panic!("{error}") };
    assert_eq!((failed, unknown), (2, 1));
    let Outcome::Unknown { cause: FailureCause::Closed { .. }, attempts } = hanging.await else { panic!("cut off") };
    assert!(matches!(attempts.iter().next_back().unwrap().result, AttemptResult::Ambiguous { .. }));
    for handle in [refused, missing] {
        assert!(matches!(handle.await, Outcome::Failed { cause: FailureCause::Closed { .. }, .. }));
    }
    let calls = puts(&kinesis);
    kinesis.heal();
    tokio::time::sleep(millis(60_000)).await;
    assert_eq!(puts(&kinesis), calls);
    assert!(matches!(producer.put(record("k", 2)).await, Err(PutError::Closed)));
    assert_eq!(producer.outstanding(), Default::default());
}

#[tokio::test(start_paused = true)]
async fn a_close_that_is_done_in_time_is_a_close() {
    let kinesis = kinesis(1).build();
    let producer = producer(&kinesis, ProducerConfig::default(), 1).await;
    let handle = producer.put(record("k", 0)).await.unwrap();
    let stats = producer.close_within(millis(10_000)).await.unwrap();
    assert_eq!(stats.user_records_put, 1);
    assert!(handle.await.is_stored());
    producer.close_within(std::time::Duration::MAX).await.unwrap();
}

/// C5: the KPL's setting is about the throughput of a shard, of a request or of an entry, and about nothing else.
#[tokio::test(start_paused = true)]
async fn with_fail_if_throttled_that_code_alone_fails_at_once() {
    let error = |code: &str| Fault::Error { code: code.to_owned(), message: "no".to_owned(), status: 400 };
    let throughput = "ProvisionedThroughputExceededException";
    for (fault, fails) in [
        (error(throughput), true),
        (Fault::FailMixed(EntryFaults::none().throttled(Entries::All)), true),
        (Fault::FailMixed(EntryFaults::none().failed(Entries::All)), false),
        (error("LimitExceededException"), false),
        (error("KMSThrottlingException"), false),
        (error("InternalFailure"), false),
    ] {
        let kinesis = kinesis(1).build();
        let producer = producer(&kinesis, ProducerConfig::default().fail_if_throttled(true), 1).await;
        kinesis.inject(FaultRule::on(Operation::PutRecords).fault(fault.clone()).times(1));
        let outcome = producer.put(record("k", 0)).await.unwrap().await;
        if fails {
            let Outcome::Failed { cause: FailureCause::Throttled { code, .. }, attempts } = outcome else {
                panic!("{fault:?}: {outcome:?}")
            };
            assert_eq!((&*code, attempts.count()), (throughput, 1));
            assert_eq!(copies(&kinesis).len(), 0);
        } else {
            assert!(outcome.is_stored() && outcome.attempts().count() == 2, "{fault:?}: {outcome:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn data_above_the_users_own_limit_is_refused_by_the_put() {
    let kinesis = kinesis(1).build();
    let producer = producer(&kinesis, ProducerConfig::default().max_user_record_size_bytes(100), 1).await;
    let of = |size| UserRecord::new("orders", "key", vec![b'x'; size]);
    producer.put(of(100)).await.unwrap();
    let error = producer.put(of(101)).await.unwrap_err();
    assert_eq!(error.to_string(), "record for orders not accepted: 101 bytes of data; at most 100 are allowed");
}

// P7
#[tokio::test(start_paused = true)]
async fn a_record_larger_than_the_queue_leaves_no_more_room_than_there_was() {
    let kinesis = kinesis(1).build();
    let producer = producer(&kinesis, ProducerConfig::default().queue_limit_bytes(1000), 1).await;
    let of = |size: usize| UserRecord::new("orders", "k", vec![b'x'; size - 1]);
    assert!(producer.put(of(50_000)).await.unwrap().await.is_stored());
    producer.flush().await.unwrap();
    producer.try_put(of(600)).unwrap();
    assert!(matches!(producer.try_put(of(600)), Err(TryPutError::QueueFull(_))), "1,200 bytes are too many");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_comes_to_distribute_records_by_itself_is_found_out() {
    let kinesis = kinesis(1).on_demand_stream("spread").build();
    let producer = producer(&kinesis, ProducerConfig::default(), 1).await;
    let spread: StreamName = "spread".parse().unwrap();
    let put = async |from: usize| {
        let mut handles = Vec::new();
        for index in from..from + 200 {
            let data = format!("{index}");
            handles.push(producer.put(UserRecord::new(&spread, format!("key-{}", index % 2), data)).await.unwrap());
        }
        let names = (from..from + 200).map(|index| index.to_string());
        names.zip(outcomes(handles).await).collect::<Vec<_>>()
    };
    let mut all = put(0).await;
    assert!(kinesis.journal().records.len() < 10, "aggregates");
    let strategy = aws_sdk_kinesis::types::RecordDistributionStrategy::Auto;
    let update = kinesis.client().update_stream_record_distribution_strategy();
    let arn = kinesis.client().describe_stream_summary().stream_name("spread").send().await.unwrap();
    let arn = arn.stream_description_summary.unwrap().stream_arn;
    update.stream_arn(arn).record_distribution_strategy(strategy).send().await.unwrap();
    tokio::time::sleep(millis(60_000)).await;
    all.extend(put(200).await);
    tokio::time::sleep(millis(1000)).await;
    let before = kinesis.journal().records.len();
    all.extend(put(400).await);
    assert_eq!(kinesis.journal().records.len() - before, 200, "each record goes alone, once");
    assert!(all.iter().all(|(_, outcome)| outcome.is_stored()));
    let reads = producer.stats().shard_map_reads;
    all.extend(put(600).await);
    assert_eq!(producer.stats().shard_map_reads, reads, "where a record lands means nothing any more");
    check(&kinesis, &all, 1);
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

#[test]
fn a_runtime_that_ends_before_the_engine_began_ends_the_producer() {
    let kinesis = kinesis(1).build();
    let builder = KinesisProducer::builder().client(KinesisClient::new(kinesis.client(), ClientOptions::default()));
    let first = runtime();
    let producer = first.block_on(builder.build()).unwrap();
    drop(first);
    let flushed = runtime().block_on(async { tokio::time::timeout(millis(1000), producer.flush()).await });
    assert!(matches!(flushed, Ok(Err(FlushError::Closed))), "{flushed:?}");
    assert!(matches!(producer.try_put(record("k", 0)), Err(TryPutError::Put(PutError::Closed))));
}

#[test]
fn a_runtime_that_ends_leaves_nothing_outstanding() {
    let kinesis = kinesis(1).build();
    let first = runtime();
    let (producer, handle) = first.block_on(async {
        let producer = producer(&kinesis, ProducerConfig::default(), 1).await;
        let handle = producer.put(record("k", 0)).await.unwrap();
        tokio::task::yield_now().await;
        (producer, handle)
    });
    drop(first);
    assert!(matches!(handle.outcome(), Some(Outcome::Unknown { cause: FailureCause::Abandoned, .. })));
    assert_eq!(producer.outstanding(), Default::default());
}

#[tokio::test(start_paused = true)]
async fn a_second_close_at_the_end_of_the_first_is_a_close() {
    let kinesis = kinesis(1).build();
    // Each record asks for a reading of the map, which is on its way when the first close ends.
    let config = ProducerConfig::default().shard_map_max_age(millis(1)).aggregation(false);
    let producer = producer(&kinesis, config, 1).await;
    producer.put(record("k", 0)).await.unwrap().await;
    tokio::time::sleep(millis(400)).await;
    let handle = producer.put(record("k", 1)).await.unwrap();
    let second = {
        let producer = producer.clone();
        tokio::spawn(async move {
            handle.await;
            (producer.flush().await, producer.close().await)
        })
    };
    producer.close().await.unwrap();
    let (flushed, closed) = second.await.unwrap();
    assert!(closed.is_ok(), "{closed:?}");
    assert!(matches!(flushed, Ok(()) | Err(FlushError::Closed)), "{flushed:?}");
}
