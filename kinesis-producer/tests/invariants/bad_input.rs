//! What cannot be stored fails by name, at once where nothing changes it, and alone.
//!
//! Empty and over-long keys, names of no stream, records over the limit and a stream that never was are in `tests/it`.

use std::time::Duration;

use aws_sdk_kinesis::types::{RecordDistributionStrategy, StreamMode, StreamModeDetails};
use kinesis_core::{HashKey, Randomness, RequestErrorKind};
use kinesis_producer::{FailureCause, KinesisProducer, Outcome, ProducerConfig, PutError, UserRecord};
use kinesis_testkit::{FakeKinesis, Fault, FaultRule, Operation};
use tokio::time::Instant;

use crate::run::client;
use crate::wire::Wire;
use crate::workload::{RECORD_LIMIT, STREAMS, millis};

const ARN: &str = "arn:aws:kinesis:us-east-1:123456789012:stream/orders";
/// What a record takes at most that nothing holds up: its buffering time, a look-up, and a few calls.
const AT_ONCE: Duration = Duration::from_millis(400);

fn fake() -> FakeKinesis {
    FakeKinesis::builder().stream(STREAMS[0], 2).stream(STREAMS[1], 2).latency(millis(20)).virtual_time().build()
}

async fn producer(fake: &FakeKinesis, config: ProducerConfig) -> KinesisProducer {
    let builder = KinesisProducer::builder().client(client(fake, &Wire::default(), millis(5000))).config(config);
    builder.randomness(Randomness::from_seed(1)).build().await.unwrap()
}

fn record(stream: &str, key: &str) -> UserRecord {
    UserRecord::new(stream, key, vec![b'x'; 100])
}

async fn outcome(producer: &KinesisProducer, record: UserRecord) -> Outcome {
    let started = Instant::now();
    let outcome = producer.put(record).await.unwrap().await;
    assert!(started.elapsed() < AT_ONCE, "{:?}: {outcome:?}", started.elapsed());
    outcome
}

/// The kind of the request that a record definitely failed with.
fn kind(outcome: &Outcome) -> RequestErrorKind {
    match outcome {
        Outcome::Failed { cause: FailureCause::Request(error), .. } => error.kind(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_hash_key_is_plain_digits_within_128_bits() {
    let largest = "340282366920938463463374607431768211455";
    assert_eq!(largest.parse(), Ok(HashKey::MAX));
    assert_eq!("007".parse(), Ok(HashKey::new(7)));
    for bad in ["", " ", "+5", "-1", " 5", "5 ", "0x10", "1e3", "٣", "340282366920938463463374607431768211456"] {
        let error = bad.parse::<HashKey>().unwrap_err();
        assert!(error.to_string().contains(bad), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_empty_or_none_is_refused_by_the_put() {
    let fake = fake();
    let producer = producer(&fake, ProducerConfig::default()).await;
    for name in ["", " ", "orders/1", "ö", &"n".repeat(129)] {
        let refused = producer.put(record(name, "k")).await;
        assert!(matches!(refused, Err(PutError::InvalidStream(_))), "{name}");
        assert!(matches!(producer.try_put(record(name, "k")), Err(kinesis_producer::TryPutError::Put(_))), "{name}");
    }
    assert_eq!(fake.journal().calls.len(), 0, "nothing is asked for it");
}

#[tokio::test(start_paused = true)]
async fn the_largest_record_is_stored_and_one_byte_more_is_refused_alone() {
    let fake = fake();
    let producer = producer(&fake, ProducerConfig::default()).await;
    let of = |bytes: usize| UserRecord::new(STREAMS[0], "key", vec![0; bytes - 3]);
    let small = producer.put(record(STREAMS[0], "key")).await.unwrap();
    let over = outcome(&producer, of(RECORD_LIMIT + 1)).await;
    assert!(
        matches!(over, Outcome::Failed { cause: FailureCause::RecordTooLarge { size_bytes, limit_bytes }, .. }
            if (size_bytes, limit_bytes) == (RECORD_LIMIT + 1, RECORD_LIMIT)),
        "{over:?}"
    );
    assert!(small.await.is_stored());
    assert!(outcome(&producer, of(RECORD_LIMIT)).await.is_stored());
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_was_lowered_fails_the_record_that_is_over_it_and_no_other() {
    let fake = fake();
    let limit = |kib: i32| fake.client().update_max_record_size().stream_arn(ARN).max_record_size_in_kib(kib).send();
    limit(2048).await.unwrap();
    let producer = producer(&fake, ProducerConfig::default().aggregation(false)).await;
    let large = || UserRecord::new(STREAMS[0], "large", vec![0; 3 << 19]);
    assert!(producer.put(large()).await.unwrap().await.is_stored());
    limit(1024).await.unwrap();
    let started = Instant::now();
    let mut others = Vec::new();
    for index in 0..40 {
        others.push(producer.put(record(STREAMS[0], &format!("key-{index}"))).await.unwrap());
    }
    let poison = producer.put(large()).await.unwrap();
    for index in 40..80 {
        others.push(producer.put(record(STREAMS[0], &format!("key-{index}"))).await.unwrap());
    }
    assert_eq!(kind(&poison.await), RequestErrorKind::InvalidArgument);
    for other in others {
        assert!(other.await.is_stored());
    }
    // The record of 1.5 MiB waits for its shard's limit; then it is halved out in seven steps.
    assert!(started.elapsed() < millis(3000), "{:?}", started.elapsed());
    assert_eq!(fake.journal().records.len(), 81);
}

fn denied() -> Fault {
    Fault::Error { code: "AccessDeniedException".to_owned(), message: "no".to_owned(), status: 400 }
}

#[tokio::test(start_paused = true)]
async fn a_missing_permission_fails_the_records_of_its_stream_alone() {
    for operation in [Operation::ListShards, Operation::PutRecords] {
        let fake = fake();
        fake.inject(FaultRule::on(operation).stream(STREAMS[0].parse().unwrap()).fault(denied()).always());
        let producer = producer(&fake, ProducerConfig::default()).await;
        let other = producer.put(record(STREAMS[1], "key")).await.unwrap();
        let refused = outcome(&producer, record(STREAMS[0], "key")).await;
        assert_eq!(kind(&refused), RequestErrorKind::AccessDenied, "{operation:?}");
        let Outcome::Failed { cause, .. } = refused else { unreachable!() };
        assert!(cause.to_string().contains("orders") && cause.to_string().contains("permissions"), "{cause}");
        assert!(other.await.is_stored());
        // Granted in the meantime, the next record is stored, once a refused look-up is a second old.
        fake.heal();
        tokio::time::sleep(millis(1000)).await;
        assert!(outcome(&producer, record(STREAMS[0], "key")).await.is_stored());
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_deleted_fails_its_records_and_one_of_its_name_takes_them_again() {
    let fake = fake();
    let producer = producer(&fake, ProducerConfig::default()).await;
    assert!(outcome(&producer, record(STREAMS[0], "key")).await.is_stored());
    fake.client().delete_stream().stream_name(STREAMS[0]).send().await.unwrap();
    let other = producer.put(record(STREAMS[1], "key")).await.unwrap();
    assert_eq!(kind(&outcome(&producer, record(STREAMS[0], "key")).await), RequestErrorKind::NotFound);
    assert!(other.await.is_stored());
    fake.create_stream(STREAMS[0], 3).unwrap();
    let mut handles = Vec::new();
    for index in 0..50 {
        handles.push(producer.put(record(STREAMS[0], &format!("key-{index}"))).await.unwrap());
    }
    for handle in handles {
        // The map of the stream that is gone may not judge where they are.
        let Outcome::Stored { shard, .. } = handle.await else { panic!("the stream is there again") };
        let range = fake.shards(STREAMS[0]).unwrap().into_iter().find(|other| other.id == shard);
        assert!(range.is_some(), "{shard}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_may_not_be_used_fails_at_once_and_one_that_throttles_is_waited_for() {
    let fake = fake();
    let producer = producer(&fake, ProducerConfig::default()).await;
    assert!(outcome(&producer, record(STREAMS[0], "key")).await.is_stored());
    for fault in [
        Fault::kms_disabled(),
        Fault::kms_access_denied(),
        Fault::kms_invalid_state(),
        Fault::kms_not_found(),
        Fault::kms_opt_in_required(),
    ] {
        fake.inject(FaultRule::on(Operation::PutRecords).stream(STREAMS[0].parse().unwrap()).fault(fault).always());
        let other = producer.put(record(STREAMS[1], "key")).await.unwrap();
        assert_eq!(kind(&outcome(&producer, record(STREAMS[0], "key")).await), RequestErrorKind::Kms);
        assert!(other.await.is_stored());
        fake.heal();
        assert!(outcome(&producer, record(STREAMS[0], "key")).await.is_stored(), "healed");
    }
    fake.inject(FaultRule::on(Operation::PutRecords).fault(Fault::kms_throttled()).times(5));
    let throttled = producer.put(record(STREAMS[0], "key")).await.unwrap().await;
    assert!(throttled.is_stored() && throttled.attempts().count() == 6, "{throttled:?}");
}

/// Creates an on-demand stream that places records by that strategy.
async fn on_demand(fake: &FakeKinesis, name: &str, strategy: RecordDistributionStrategy) {
    let mode = StreamModeDetails::builder().stream_mode(StreamMode::OnDemand).build().unwrap();
    let sdk = fake.client();
    let create = sdk.create_stream().stream_name(name).stream_mode_details(mode);
    create.record_distribution_strategy(strategy).send().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_spreads_records_takes_them_one_by_one_and_in_no_order() {
    let fake = fake();
    on_demand(&fake, "spread", RecordDistributionStrategy::Auto).await;
    let unordered = producer(&fake, ProducerConfig::default()).await;
    let mut handles = Vec::new();
    for index in 0..200 {
        handles.push(unordered.put(record("spread", &format!("key-{index}"))).await.unwrap());
    }
    for handle in handles {
        let outcome = handle.await;
        assert!(outcome.is_stored() && outcome.attempts().count() == 1, "{outcome:?}");
    }
    assert_eq!(fake.journal().records.len(), 200);

    let ordered = producer(&fake, ProducerConfig::default().ordered(true)).await;
    let refused = outcome(&ordered, record("spread", "key")).await;
    assert!(matches!(refused, Outcome::Failed { cause: FailureCause::OrderUnavailable, .. }), "{refused:?}");
    assert!(outcome(&ordered, record(STREAMS[0], "key")).await.is_stored());
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_delays_and_fails_nothing() {
    let fake = fake();
    let producer = producer(&fake, ProducerConfig::default()).await;
    assert!(outcome(&producer, record(STREAMS[0], "key")).await.is_stored());
    for days in [0, 1, 400] {
        // While a record is being packed, and while a request is on its way.
        let waiting = producer.put(record(STREAMS[0], "key")).await.unwrap();
        fake.advance(Duration::from_secs(days * 86_400 + 3600));
        tokio::time::sleep(millis(130)).await;
        fake.advance(Duration::from_secs(3600));
        assert!(waiting.await.is_stored());
        assert!(outcome(&producer, record(STREAMS[1], "key")).await.is_stored());
    }
    // Of the service's clock alone, within what a signature may be off.
    let skewed = Fault::signature_expired(Duration::from_secs(290));
    fake.inject(FaultRule::on(Operation::PutRecords).fault(skewed).times(1));
    assert!(outcome(&producer, record(STREAMS[0], "key")).await.is_stored());
    // Beyond that it is sent again, with the date that the refusal shows, and it is no storm.
    let skewed = Fault::signature_expired(Duration::from_secs(1200));
    fake.inject(FaultRule::on(Operation::PutRecords).fault(skewed).always());
    let stored = outcome(&producer, record(STREAMS[0], "key")).await;
    assert!(stored.is_stored() && stored.attempts().count() == 2, "{stored:?}");
    fake.heal();
    assert!(outcome(&producer, record(STREAMS[0], "key")).await.is_stored());
}
