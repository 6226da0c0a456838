//! What goes wrong, and what is said about it.

use std::time::Duration;

use kinesis_consumer::{
    BuildError, ConsumerError, ConsumerEvent, KinesisConsumer, LossPolicy, MemoryStore, RawRecords, Utf8,
};
use kinesis_core::RequestErrorKind;
use kinesis_testkit::{FakeKinesis, Fault, FaultRule, Operation};

use crate::support::{STREAM, World, texts};

async fn fails(world: &World) -> ConsumerError {
    world.start(world.consumer()).drain().await.unwrap_err()
}

fn request_kind(error: &ConsumerError) -> (RequestErrorKind, u32, String) {
    match error {
        ConsumerError::Request(error) => (error.kind(), error.attempts(), error.to_string()),
        other => panic!("another error: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_stream_is_named() {
    let world = World::of(FakeKinesis::builder().virtual_time().build());
    let (kind, attempts, text) = request_kind(&fails(&world).await);
    assert_eq!((kind, attempts), (RequestErrorKind::NotFound, 1));
    assert!(text.contains(STREAM), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_never_answers_is_given_up_after_all_retries() {
    let world = World::new(1);
    world.fake.inject(FaultRule::on(Operation::GetRecords).fault(Fault::Hang).always());
    let (kind, attempts, text) = request_kind(&fails(&world).await);
    // Flink's default: three retries of GetRecords.
    assert_eq!((kind, attempts), (RequestErrorKind::Timeout, 4));
    assert!(text.contains("orders/shardId-000000000000"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn the_sdk_makes_no_retries_of_its_own() {
    let world = World::new(1);
    let handle = world.fake.inject(FaultRule::on(Operation::GetRecords).fault(Fault::internal_failure()).always());
    let (kind, attempts, _) = request_kind(&fails(&world).await);
    assert_eq!((kind, attempts), (RequestErrorKind::Internal, 4));
    assert_eq!(handle.fired(), 4);
}

#[tokio::test(start_paused = true)]
async fn failures_that_pass_are_survived() {
    // F4
    let world = World::new(2);
    world.put_many(0..30).await;
    for (operation, fault) in [
        (Operation::GetRecords, Fault::Reset),
        (Operation::GetRecords, Fault::LoseReply),
        (Operation::ListShards, Fault::internal_failure()),
        (Operation::GetShardIterator, Fault::throttle()),
        (Operation::DescribeStreamSummary, Fault::throttle()),
    ] {
        world.fake.inject(FaultRule::on(operation).fault(fault).times(2));
    }
    world.drain().await;
    assert_eq!(world.seen.sorted(), texts(0..30));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_still_being_made_is_waited_for() {
    let fake = FakeKinesis::builder().creating(Duration::from_secs(8)).virtual_time().build();
    let world = World::of(fake);
    world.fake.client().create_stream().stream_name(STREAM).shard_count(1).send().await.unwrap();
    let running = world.start(world.consumer());
    tokio::time::sleep(Duration::from_secs(20)).await;
    world.put_many(0..3).await;
    running.drain().await.unwrap();
    assert_eq!(world.seen.sorted(), texts(0..3));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_made_again_is_refused() {
    // F10
    let world = World::new(1);
    world.put_many(0..3).await;
    world.drain().await;
    world.fake.client().delete_stream().stream_name(STREAM).send().await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    world.fake.create_stream(STREAM, 1).unwrap();
    let error = fails(&world).await;
    assert!(matches!(error, ConsumerError::StreamReplaced { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn records_that_retention_took_are_reported_once() {
    // C8, F15: the consumer is away for two days, with records kept for one.
    let world = World::new(1);
    world.put_many(0..3).await;
    let running = world.start(world.consumer());
    world.wait_for(3).await;
    running.handle.stop();
    running.job.await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    world.put_many(3..6).await;
    tokio::time::sleep(Duration::from_secs(2 * 24 * 3600)).await;
    world.put_many(6..9).await;
    let error = fails(&world).await;
    assert!(matches!(error, ConsumerError::PossibleLoss(_)), "{error}");
    world.start(world.consumer().loss(LossPolicy::Continue)).drain().await.unwrap();
    assert_eq!(world.saved(), [texts(0..3), texts(6..9)].concat());
    let losses = |event: &&ConsumerEvent| matches!(event, ConsumerEvent::PossibleLoss(_));
    assert_eq!(world.events().iter().filter(losses).count(), 2, "one per restore");
}

#[tokio::test(start_paused = true)]
async fn loss_is_seen_also_where_nothing_is_left_to_read() {
    // C8: the last record read is gone, and so is all that came after it.
    let world = World::new(1);
    world.put_many(0..3).await;
    let running = world.start(world.consumer());
    world.wait_for(3).await;
    running.handle.stop();
    running.job.await.unwrap().unwrap();
    world.put_many(3..6).await;
    tokio::time::sleep(Duration::from_secs(2 * 24 * 3600)).await;
    for _ in 0..2 {
        let error = fails(&world).await;
        assert!(matches!(error, ConsumerError::PossibleLoss(_)), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_parent_is_given_up_once_and_its_children_are_read() {
    // The parent was closed while the job was away, and left the stream with its records.
    let world = World::new(1);
    world.put_many(0..3).await;
    let running = world.start(world.consumer());
    world.wait_for(3).await;
    running.handle.stop();
    running.job.await.unwrap().unwrap();
    world.fake.split(STREAM, "shardId-000000000000").unwrap();
    tokio::time::sleep(Duration::from_secs(2 * 24 * 3600)).await;
    world.put_many(3..6).await;
    let error = fails(&world).await;
    assert!(matches!(error, ConsumerError::ShardLost { .. }), "{error}");
    world.start(world.consumer().loss(LossPolicy::Continue)).drain().await.unwrap();
    world.put_many(6..9).await;
    world.drain().await;
    assert_eq!(world.saved(), texts(0..9));
}

#[tokio::test(start_paused = true)]
async fn a_consumer_runs_again_after_a_stop() {
    let world = World::new(1);
    world.put_many(0..3).await;
    let consumer = world.consumer().schema(Utf8).checkpoints(MemoryStore::new(), Duration::MAX).build().unwrap();
    for _ in 0..2 {
        consumer.handle().drain();
        let error = consumer.run(|_| Panicking).await.unwrap_err();
        assert!(matches!(error, ConsumerError::Panicked { .. }), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_that_the_schema_refuses_fails_the_job_and_stays_unread() {
    let world = World::new(1);
    world.put_bytes("key", b"\xff").await;
    let consumer = world.consumer().schema(Utf8).build().unwrap();
    let error = consumer.run(|_| Panicking).await.unwrap_err();
    assert!(matches!(error, ConsumerError::Schema { .. }), "{error}");
    world.start(world.consumer().schema(RawRecords)).kill().await;
}

struct Panicking;

#[async_trait::async_trait]
impl kinesis_consumer::Processor<String> for Panicking {
    type Output = ();

    async fn process(
        &mut self,
        _batch: kinesis_consumer::Batch<String>,
        _output: &mut Vec<()>,
    ) -> Result<(), kinesis_consumer::BoxError> {
        panic!("user code");
    }

    fn snapshot(&self) -> Result<bytes::Bytes, kinesis_consumer::BoxError> {
        Ok(bytes::Bytes::new())
    }

    fn restore(&mut self, _states: &[kinesis_consumer::SavedState]) -> Result<(), kinesis_consumer::BoxError> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_a_processor_ends_the_job() {
    let world = World::new(1);
    world.put("key", "text").await;
    let consumer = world.consumer().schema(Utf8).build().unwrap();
    let error = consumer.run(|_| Panicking).await.unwrap_err();
    assert!(matches!(error, ConsumerError::Panicked { .. }), "{error}");
}

#[test]
fn a_consumer_without_its_parts_is_not_built() {
    let client = || FakeKinesis::builder().build().client();
    let store = || (MemoryStore::new(), Duration::from_secs(1));
    let with = |streams: &[&str], job: &str, parallelism| {
        let (store, interval) = store();
        KinesisConsumer::builder()
            .sdk_client(client())
            .checkpoints(store, interval)
            .streams(streams.iter().copied())
            .job(job)
            .parallelism(parallelism)
            .build()
            .map(drop)
    };
    assert_eq!(with(&["orders"], "job", 1), Ok(()));
    assert!(matches!(with(&[], "job", 1), Err(BuildError::Missing { .. })));
    for (streams, job, parallelism) in
        [(&["bad name"][..], "job", 1), (&["a", "a"], "job", 1), (&["a"], "../job", 1), (&["a"], "job", 0)]
    {
        let error = with(streams, job, parallelism).unwrap_err();
        assert!(matches!(error, BuildError::Invalid { .. }), "{error}");
    }
    let error = KinesisConsumer::builder().streams(["orders"]).build().map(drop).unwrap_err();
    assert_eq!(error.to_string(), "the consumer needs a client: call `client`");
}

#[tokio::test(start_paused = true)]
async fn a_stream_deleted_while_it_is_read_fails_the_job_and_is_no_end_of_data() {
    // The reference's new source takes ResourceNotFound for the end of a shard.
    let world = World::new(2);
    let running = world.start(world.consumer());
    tokio::time::sleep(Duration::from_secs(3)).await;
    world.fake.client().delete_stream().stream_name(STREAM).send().await.unwrap();
    let error = running.job.await.unwrap().unwrap_err();
    assert_eq!(request_kind(&error).0, RequestErrorKind::NotFound);
    let ended = |event: &ConsumerEvent| matches!(event, ConsumerEvent::ShardEnded { .. });
    assert!(!world.events().iter().any(ended));
}

#[tokio::test(start_paused = true)]
async fn a_missing_permission_fails_the_job_with_its_cause() {
    for operation in [Operation::GetRecords, Operation::GetShardIterator, Operation::ListShards] {
        let world = World::new(1);
        let denied = Fault::Error { code: "AccessDeniedException".into(), message: "no".into(), status: 400 };
        let handle = world.fake.inject(FaultRule::on(operation).fault(denied).always());
        let (kind, attempts, _) = request_kind(&fails(&world).await);
        assert_eq!((kind, attempts, handle.fired()), (RequestErrorKind::AccessDenied, 1, 1), "{operation}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_cannot_be_used_fails_the_job_by_its_name_and_one_that_is_throttled_does_not() {
    for code in ["KMSDisabledException", "KMSAccessDeniedException", "KMSInvalidStateException", "KMSNotFoundException"]
    {
        let world = World::new(1);
        let refused = Fault::Error { code: code.into(), message: "the key orders-key".into(), status: 400 };
        world.fake.inject(FaultRule::on(Operation::GetRecords).fault(refused).always());
        let (kind, attempts, text) = request_kind(&fails(&world).await);
        assert_eq!((kind, attempts), (RequestErrorKind::Kms, 1), "{code}");
        assert!(text.contains("orders/shardId-000000000000") && text.contains(code), "{text}");
    }
    let world = World::new(1);
    world.put_many(0..5).await;
    let throttled = Fault::Error { code: "KMSThrottlingException".into(), message: "slow".into(), status: 400 };
    world.fake.inject(FaultRule::on(Operation::GetRecords).fault(throttled).times(20));
    world.drain().await;
    assert_eq!(world.seen.sorted(), texts(0..5));
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_fails_or_is_cut_short_changes_nothing() {
    // F8: an expired token in the middle of a listing, and a service that has no time for another.
    let world = World::new(2);
    let running = world.start(world.consumer());
    tokio::time::sleep(Duration::from_secs(3)).await;
    world.fake.split(STREAM, "shardId-000000000000").unwrap();
    for fault in [Fault::expired_next_token(), Fault::limit_exceeded(), Fault::internal_failure()] {
        world.fake.inject(FaultRule::on(Operation::ListShards).fault(fault).times(30));
    }
    world.put_many(0..20).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let lost = |event: &ConsumerEvent| matches!(event, ConsumerEvent::ShardLost { .. });
    assert!(!world.events().iter().any(lost));
    world.fake.heal();
    running.drain().await.unwrap();
    assert_eq!(world.seen.sorted(), texts(0..20));
}

/// A job whose first shard was split, and left the stream with its records while the job was at work.
async fn overtaken(policy: LossPolicy, pace: Duration) -> (World, crate::support::Running) {
    let mut world = World::new(1);
    world.pace = pace;
    world.put_many(0..40).await;
    let running = world.start(world.consumer().loss(policy).max_batch(1));
    world.wait_for(1).await;
    world.fake.split(STREAM, "shardId-000000000000").unwrap();
    world.fake.advance(Duration::from_secs(2 * 24 * 3600));
    world.put_many(40..50).await;
    (world, running)
}

#[tokio::test(start_paused = true)]
async fn what_was_fetched_of_a_lost_shard_is_processed_before_its_end() {
    // C8, F14: more than the queue of a subtask holds is waiting when the listing no longer has the shard.
    let (world, running) = overtaken(LossPolicy::Continue, Duration::from_secs(2)).await;
    running.drain().await.unwrap();
    assert_eq!(world.seen.sorted(), texts(0..50));
    assert_eq!(world.saved(), texts(0..50));
    let events = world.events();
    let lost = events.iter().filter(|event| matches!(event, ConsumerEvent::ShardLost { .. })).count();
    let ended = |event: &&ConsumerEvent| matches!(event, ConsumerEvent::ShardEnded { .. });
    assert_eq!((lost, events.iter().filter(ended).count()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_vanishes_under_its_reader_is_lost_and_not_an_error_of_a_call() {
    // The reader may be told before the listing is: what it was told is put to the listing.
    let (world, running) = overtaken(LossPolicy::Continue, Duration::ZERO).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    running.drain().await.unwrap();
    assert!(world.events().iter().any(|event| matches!(event, ConsumerEvent::ShardLost { .. })));
    assert_eq!(world.seen.sorted(), texts(0..50));

    let (_world, running) = overtaken(LossPolicy::Fail, Duration::ZERO).await;
    let error = running.drain().await.unwrap_err();
    assert!(matches!(error, ConsumerError::ShardLost { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_is_listed_and_cannot_be_read_fails_the_job() {
    let world = World::new(2);
    let not_found = Fault::Error { code: "ResourceNotFoundException".into(), message: "no".into(), status: 400 };
    world.fake.inject(FaultRule::on(Operation::GetRecords).fault(not_found).always());
    let error = fails(&world).await;
    let (kind, attempts, text) = request_kind(&error);
    assert_eq!((kind, attempts), (RequestErrorKind::NotFound, 1));
    assert!(text.contains("GetRecords"), "{text}");
}
