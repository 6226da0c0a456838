//! The rules by which metrics are emitted, against the fake under virtual time.

use kinesis_producer::{KinesisProducer, MetricsConfig, Outcome, ProducerConfig, UserRecord};
use kinesis_testkit::{Entries, EntryFaults, Fault, FaultRule, Operation};

use crate::recorder::{Kept, Recorded};
use crate::support::{STREAM, builder, kinesis, measured, millis, record};

const SHARD: &str = "stream=orders shard=shardId-000000000000";

async fn put(producer: &KinesisProducer, count: usize) -> Vec<Outcome> {
    let mut handles = Vec::new();
    for index in 0..count {
        handles.push(producer.put(record(&format!("key-{index}"))).await.unwrap());
    }
    let mut outcomes = Vec::new();
    for handle in handles {
        outcomes.push(handle.await);
    }
    outcomes
}

fn on_shard(kept: &Kept, metric: &str) -> u64 {
    kept.counter(&format!("{metric} {SHARD}")).unwrap_or_else(|| panic!("{metric}: {:?}", kept.all()))
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

#[tokio::test(start_paused = true)]
async fn three_records_of_one_aggregate() {
    let kinesis = kinesis(1);
    let kept = measured(&kinesis, ProducerConfig::default(), MetricsConfig::default(), async |producer| {
        put(producer, 3).await;
    })
    .await;
    let data_bytes = kinesis.journal().records[0].data().len() as u64;
    let counter = Recorded::Counter;
    let histogram = |values: &[f64]| Recorded::Histogram(values.to_vec());
    let expected = [
        (format!("all_errors {SHARD}"), counter(0)),
        // The buffering time, and a fifth of it for others of the request.
        (format!("buffering_time_ms {SHARD}"), histogram(&[120.0; 3])),
        (format!("kinesis_records_data_put_bytes {SHARD}"), counter(data_bytes)),
        ("kinesis_records_per_put_records_request stream=orders".to_owned(), histogram(&[1.0])),
        (format!("kinesis_records_put {SHARD}"), counter(1)),
        ("request_time_ms stream=orders".to_owned(), histogram(&[20.0])),
        (format!("retries_per_record {SHARD}"), histogram(&[0.0; 3])),
        (format!("user_records_data_put_bytes {SHARD}"), counter(30)),
        ("user_records_pending stream=orders".to_owned(), Recorded::Gauge(0.0)),
        (format!("user_records_per_kinesis_record {SHARD}"), histogram(&[3.0])),
        ("user_records_per_put_records_request stream=orders".to_owned(), histogram(&[3.0])),
        (format!("user_records_put {SHARD}"), counter(3)),
        ("user_records_received stream=orders".to_owned(), counter(3)),
    ];
    assert_eq!(kept.all(), expected.into_iter().collect());
}

#[tokio::test(start_paused = true)]
async fn entries_that_fail_are_errors_of_the_shard_they_were_meant_for() {
    let kinesis = kinesis(1);
    let entries = EntryFaults::none().throttled(Entries::At(vec![0])).failed(Entries::At(vec![2]));
    kinesis.inject(FaultRule::on(Operation::PutRecords).fault(Fault::FailMixed(entries)));
    let config = ProducerConfig::default().aggregation(false);
    let kept = measured(&kinesis, config, MetricsConfig::default(), async |producer| {
        put(producer, 4).await;
    })
    .await;
    let by_code = |code: &str| kept.counter(&format!("errors_by_code error_code={code} {SHARD}"));
    assert_eq!(by_code("ProvisionedThroughputExceededException"), Some(1));
    assert_eq!(by_code("InternalFailure"), Some(1));
    assert_eq!((on_shard(&kept, "all_errors"), kept.total("all_errors")), (2, 2));
    assert_eq!(on_shard(&kept, "kinesis_records_put"), 4, "each in the end");
    assert_eq!(on_shard(&kept, "user_records_put"), 4);
    assert_eq!(sorted(kept.histogram(&format!("retries_per_record {SHARD}"))), [0.0, 0.0, 1.0, 1.0]);
    let waits = kept.histogram(&format!("buffering_time_ms {SHARD}"));
    assert_eq!(waits.len(), 6, "one for each attempt: {waits:?}");
    let requests = kept.histogram("kinesis_records_per_put_records_request stream=orders");
    assert_eq!(requests.iter().sum::<f64>(), 6.0);
    assert_eq!(kept.histogram(&format!("user_records_per_kinesis_record {SHARD}")), [1.0; 6]);
    assert_eq!(kept.counter(&format!("user_record_expired {SHARD}")), None);
}

#[tokio::test(start_paused = true)]
async fn a_second_attempts_buffering_time_begins_with_the_firsts_end() {
    let kinesis = kinesis(1);
    kinesis.inject(FaultRule::on(Operation::PutRecords).fault(Fault::internal_failure()));
    let mut gap = millis(0);
    let kept = measured(&kinesis, ProducerConfig::default(), MetricsConfig::default(), async |producer| {
        let outcomes = put(producer, 1).await;
        let attempts: Vec<_> = outcomes[0].attempts().iter().collect();
        gap = attempts[1].started - (attempts[0].started + attempts[0].duration);
    })
    .await;
    assert!(gap > millis(0));
    assert_eq!(kept.histogram(&format!("buffering_time_ms {SHARD}")), [120.0, gap.as_millis() as f64]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_request_is_one_error_of_the_stream() {
    for (fault, code) in [(Fault::internal_failure(), "InternalFailure"), (Fault::Reset, "ConnectionLost")] {
        let kinesis = kinesis(1);
        kinesis.inject(FaultRule::on(Operation::PutRecords).fault(fault));
        let kept = measured(&kinesis, ProducerConfig::default(), MetricsConfig::default(), async |producer| {
            put(producer, 5).await;
        })
        .await;
        assert_eq!(
            kept.counter(&format!("errors_by_code error_code={code} stream=orders")),
            Some(1),
            "{:?}",
            kept.all()
        );
        assert_eq!(kept.total("errors_by_code"), 1);
        assert_eq!(kept.counter("all_errors stream=orders"), Some(1));
        assert_eq!(on_shard(&kept, "all_errors"), 0, "of the second request's entry");
        assert_eq!(kept.total("kinesis_records_put"), 1, "a failed request has no entries");
        assert_eq!(kept.histogram("request_time_ms stream=orders").len(), 2);
        assert_eq!(kept.histogram(&format!("user_records_per_kinesis_record {SHARD}")), [5.0, 5.0]);
        assert_eq!(kept.histogram("user_records_per_put_records_request stream=orders"), [5.0, 5.0]);
        assert_eq!(kept.histogram(&format!("retries_per_record {SHARD}")), [1.0; 5]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_shard_is_no_error() {
    let kinesis = kinesis(1);
    let kept = measured(&kinesis, ProducerConfig::default(), MetricsConfig::default(), async |producer| {
        let writing = put(producer, 100);
        let splitting = async {
            tokio::time::sleep(millis(50)).await;
            kinesis.split(STREAM, "shardId-000000000000").unwrap();
        };
        let (outcomes, ()) = tokio::join!(writing, splitting);
        assert!(outcomes.iter().all(Outcome::is_stored));
    })
    .await;
    let of = |metric: &str, shard: u32| kept.counter(&format!("{metric} stream=orders shard=shardId-{shard:012}"));
    assert_eq!((kept.total("errors_by_code"), kept.total("all_errors")), (0, 0));
    assert_eq!(of("kinesis_records_put", 0), Some(1), "the shard that it was meant for");
    assert_eq!(kept.total("kinesis_records_put"), 3);
    assert_eq!(of("user_records_put", 0), None, "a record counts where it is stored");
    assert_eq!(of("user_records_put", 1).unwrap() + of("user_records_put", 2).unwrap(), 100);
    for shard in 1..=2 {
        let retries = kept.histogram(&format!("retries_per_record stream=orders shard=shardId-{shard:012}"));
        assert!(!retries.is_empty() && retries.iter().all(|retries| *retries == 1.0), "{retries:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_merge_a_record_counts_where_it_is_stored() {
    let kinesis = kinesis(2);
    let config = ProducerConfig::default().aggregation(false);
    let kept = measured(&kinesis, config, MetricsConfig::default(), async |producer| {
        let merging = async {
            tokio::time::sleep(millis(50)).await;
            kinesis.merge(STREAM, "shardId-000000000000", "shardId-000000000001").unwrap();
        };
        tokio::join!(put(producer, 20), merging);
    })
    .await;
    let of = |metric: &str, shard: u32| kept.counter(&format!("{metric} stream=orders shard=shardId-{shard:012}"));
    assert_eq!(of("user_records_put", 2), Some(20));
    assert_eq!((of("user_records_put", 0), of("user_records_put", 1)), (None, None));
    assert_eq!(of("kinesis_records_put", 0).unwrap() + of("kinesis_records_put", 1).unwrap(), 20, "as predicted");
}

#[tokio::test(start_paused = true)]
async fn a_record_that_expires_is_counted_as_one() {
    let kinesis = kinesis(1);
    kinesis.inject(FaultRule::on(Operation::PutRecords).fault(Fault::throttle()).always());
    let config = ProducerConfig::default().record_ttl(millis(2000));
    let mut attempts = 0.0;
    let kept = measured(&kinesis, config, MetricsConfig::default(), async |producer| {
        let outcomes = put(producer, 3).await;
        attempts = f64::from(outcomes[0].attempts().count());
    })
    .await;
    assert!(attempts > 1.0);
    assert_eq!(on_shard(&kept, "user_record_expired"), 3);
    assert_eq!(on_shard(&kept, "user_records_put"), 0);
    assert_eq!(kept.counter(&format!("user_records_data_put_bytes {SHARD}")), None);
    // As with the KPL the expiry is an attempt more, and has a time before it.
    assert_eq!(kept.histogram(&format!("retries_per_record {SHARD}")), [attempts; 3]);
    let waits = kept.histogram(&format!("buffering_time_ms {SHARD}"));
    assert_eq!(waits.len() as f64, 3.0 * (attempts + 1.0));
    let calls = kept.histogram("request_time_ms stream=orders");
    // Waits are cut to whole milliseconds.
    let life = waits.iter().sum::<f64>() / 3.0 + calls.iter().sum::<f64>();
    assert!((2000.0 - attempts..2100.0).contains(&life), "waits and calls are the record's whole life: {life} ms");
    let code = "ProvisionedThroughputExceededException";
    let by_code = kept.counter(&format!("errors_by_code error_code={code} stream=orders"));
    assert_eq!(by_code, Some(calls.len() as u64));
    assert_eq!(kept.gauge("user_records_pending stream=orders"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_refused_is_a_failure_and_no_expiry() {
    let kinesis = kinesis(1);
    let kept = measured(&kinesis, ProducerConfig::default(), MetricsConfig::default(), async |producer| {
        let large = UserRecord::new(STREAM, "key", vec![0; 2 * 1024 * 1024]);
        assert!(!producer.put(large).await.unwrap().await.is_stored());
        let missing = UserRecord::new("missing", "key", "x");
        assert!(!producer.put(missing).await.unwrap().await.is_stored());
    })
    .await;
    assert_eq!(on_shard(&kept, "user_records_put"), 0);
    assert_eq!(kept.counter("user_records_put stream=missing"), Some(0), "a stream without shards");
    assert_eq!(kept.total("user_record_expired"), 0);
    assert_eq!(kept.histogram(&format!("retries_per_record {SHARD}")), [0.0]);
    assert_eq!(kept.total("user_records_received"), 2);
    assert_eq!(
        (kept.gauge("user_records_pending stream=orders"), kept.gauge("user_records_pending stream=missing")),
        (0.0, 0.0)
    );
}

#[tokio::test(start_paused = true)]
async fn pending_records_are_those_without_an_outcome() {
    let kinesis = kinesis(1);
    let kept = Kept::default();
    let _guard = metrics::set_default_local_recorder(&kept);
    let producer =
        builder(&kinesis, ProducerConfig::default()).metrics(MetricsConfig::default()).build().await.unwrap();
    let mut handles = Vec::new();
    for _ in 0..7 {
        handles.push(producer.put(record("key")).await.unwrap());
    }
    tokio::time::sleep(millis(50)).await;
    assert_eq!(kept.gauge("user_records_pending stream=orders"), 7.0);
    let missing = producer.put(UserRecord::new("missing", "key", "x")).await.unwrap();
    assert!(!missing.await.is_stored());
    assert_eq!(kept.gauge("user_records_pending stream=missing"), 0.0, "a record that was given up is not pending");
    drop(producer);
    for handle in handles {
        assert!(matches!(handle.await, Outcome::Unknown { .. }));
    }
    tokio::task::yield_now().await;
    assert_eq!(kept.gauge("user_records_pending stream=orders"), 0.0, "a producer that was dropped leaves none");
}
