//! What concerns subscriptions alone: who registers, how long is waited, and who gives way.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kinesis::types::ConsumerStatus;
use kinesis_consumer::{
    BuildError, ConsumerBuilder, ConsumerError, ConsumerEvent, KinesisConsumer, RawRecords, StoreError,
};
use kinesis_core::{
    ConsumerConfig, FanOutConfig, FanOutRegistration, Properties, RecordPublisher, RequestErrorKind, StartingPosition,
};
use kinesis_testkit::{EventFault, Fault, FaultRule, Operation};
use tokio::time::sleep;

use crate::support::{STREAM, World, texts};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn config(fan_out: FanOutConfig) -> ConsumerConfig {
    ConsumerConfig::builder()
        .starting_position(StartingPosition::TrimHorizon)
        .record_publisher(RecordPublisher::EnhancedFanOut)
        .fan_out(fan_out)
        .build()
        .unwrap()
}

fn registered_by(registration: FanOutRegistration) -> FanOutConfig {
    let mut fan_out = FanOutConfig::named("app");
    fan_out.registration = registration;
    fan_out
}

fn fan_out(world: &World) -> ConsumerBuilder<RawRecords> {
    world.consumer().config(config(FanOutConfig::named("app")))
}

fn calls(world: &World, operation: Operation) -> u64 {
    world.fake.call_counts().get(&operation).map_or(0, |counts| counts.calls)
}

async fn stream_arn(world: &World) -> String {
    let described = world.fake.client().describe_stream_summary().stream_name(STREAM).send().await.unwrap();
    described.stream_description_summary.unwrap().stream_arn
}

/// The consumers of the stream, by name.
async fn consumers(world: &World) -> Vec<(String, ConsumerStatus)> {
    let listed = world.fake.client().list_stream_consumers().stream_arn(stream_arn(world).await).send().await.unwrap();
    let listed = listed.consumers.unwrap_or_default();
    listed.into_iter().map(|consumer| (consumer.consumer_name, consumer.consumer_status)).collect()
}

async fn register(world: &World, name: &str) -> String {
    let arn = stream_arn(world).await;
    let registered = world.fake.client().register_stream_consumer().stream_arn(arn).consumer_name(name).send().await;
    let arn = registered.unwrap().consumer.unwrap().consumer_arn;
    while consumers(world).await.iter().any(|(_, status)| *status != ConsumerStatus::Active) {
        sleep(SECOND).await;
    }
    arn
}

#[tokio::test(start_paused = true)]
async fn a_job_registers_its_consumer_and_deregisters_it_when_it_ends_as_asked() {
    let world = World::new(2);
    world.put_many(0..20).await;
    let properties = Properties::from([
        ("aws.region", "us-east-1"),
        ("flink.stream.initpos", "TRIM_HORIZON"),
        ("flink.stream.recordpublisher", "EFO"),
        ("flink.stream.efo.consumername", "app"),
    ]);
    let running = world.start(world.consumer().config(ConsumerConfig::from_properties(&properties).unwrap()));
    world.wait_for(20).await;
    assert_eq!(consumers(&world).await, [("app".to_owned(), ConsumerStatus::Active)]);
    running.drain().await.unwrap();
    assert!(consumers(&world).await.iter().all(|(_, status)| *status == ConsumerStatus::Deleting));
    assert_eq!(calls(&world, Operation::GetRecords) + calls(&world, Operation::GetShardIterator), 0);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_fails_or_crashes_leaves_its_consumer_to_the_next_run() {
    let world = World::new(1);
    world.put_many(0..5).await;
    let running = world.start(fan_out(&world));
    world.wait_for(5).await;
    running.kill().await;
    let denied = FaultRule::on(Operation::SubscribeToShard).fault(Fault::kms_access_denied());
    let denied = world.fake.inject(denied.always());
    let error = world.start(fan_out(&world)).job.await.unwrap().unwrap_err();
    assert!(matches!(&error, ConsumerError::Request(error) if error.kind() == RequestErrorKind::Kms));
    assert!(denied.fired() > 0);
    world.fake.heal();
    assert_eq!(consumers(&world).await, [("app".to_owned(), ConsumerStatus::Active)]);
    world.put_many(5..9).await;
    world.start(fan_out(&world)).drain().await.unwrap();
    assert_eq!((world.saved(), calls(&world, Operation::RegisterStreamConsumer)), (texts(0..9), 1));
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_is_just_being_deregistered_is_waited_for_and_registered_again() {
    let world = World::new(1);
    world.put_many(0..3).await;
    world.start(fan_out(&world)).drain().await.unwrap();
    world.put_many(3..6).await;
    // At once: the consumer of the run before is on its way out.
    world.start(fan_out(&world)).drain().await.unwrap();
    assert_eq!((world.saved(), calls(&world, Operation::RegisterStreamConsumer)), (texts(0..6), 2));
}

#[tokio::test(start_paused = true)]
async fn an_eager_registration_stays_and_a_managed_one_is_never_touched() {
    let world = World::new(1);
    let eager = world.consumer().config(config(registered_by(FanOutRegistration::Eager)));
    world.start(eager).drain().await.unwrap();
    assert_eq!(consumers(&world).await, [("app".to_owned(), ConsumerStatus::Active)]);
    let managed = || world.consumer().config(config(registered_by(FanOutRegistration::SelfManaged)));
    world.start(managed()).drain().await.unwrap();
    let mut given = FanOutConfig::default();
    given.registration = FanOutRegistration::None;
    given.consumer_arns = [(STREAM.to_owned(), register(&world, "theirs").await)].into();
    let described = calls(&world, Operation::DescribeStreamConsumer);
    world.start(world.consumer().config(config(given))).drain().await.unwrap();
    assert_eq!(calls(&world, Operation::DescribeStreamConsumer), described, "an ARN is not looked up");
    assert_eq!(calls(&world, Operation::DeregisterStreamConsumer), 0);
    assert_eq!(consumers(&world).await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_managed_consumer_that_is_missing_fails_the_job_and_a_missing_arn_its_build() {
    let world = World::new(1);
    let managed = world.consumer().config(config(registered_by(FanOutRegistration::SelfManaged)));
    let error = world.start(managed).job.await.unwrap().unwrap_err();
    let ConsumerError::Request(error) = error else { panic!("{error:?}") };
    assert_eq!(error.kind(), RequestErrorKind::NotFound);
    assert!(error.to_string().contains("SELF_MANAGED"), "{error}");
    let mut none = FanOutConfig::default();
    none.registration = FanOutRegistration::None;
    let error = world.consumer().config(config(none)).build().unwrap_err();
    let BuildError::Config(problems) = &error else { panic!("{error:?}") };
    assert_eq!(problems.iter().next().unwrap().key, "flink.stream.efo.consumerarn.orders");
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_does_not_become_active_is_an_error_after_the_time_limit() {
    let world = World::new(1);
    let unseen = FaultRule::on(Operation::DescribeStreamConsumer).fault(Fault::resource_not_found()).always();
    world.fake.inject(unseen);
    let error = world.start(fan_out(&world)).job.await.unwrap().unwrap_err();
    let ConsumerError::Request(error) = error else { panic!("{error:?}") };
    assert_eq!((error.operation(), error.kind()), ("RegisterStreamConsumer", RequestErrorKind::Timeout));
}

#[tokio::test(start_paused = true)]
async fn a_half_open_connection_is_noticed_after_thirty_five_seconds() {
    let world = World::new(1);
    let stalls = Fault::AtEvent { nth: 2, fault: EventFault::Stall };
    world.fake.inject(FaultRule::on(Operation::SubscribeToShard).fault(stalls));
    world.put_many(0..1).await;
    let running = world.start(fan_out(&world));
    world.wait_for(1).await;
    let begin = tokio::time::Instant::now();
    world.put_many(1..2).await;
    world.wait_for(2).await;
    let silent_for = begin.elapsed();
    assert!((35 * SECOND..40 * SECOND).contains(&silent_for), "{silent_for:?}");
    running.drain().await.unwrap();
    assert_eq!(world.saved(), texts(0..2));
}

#[tokio::test(start_paused = true)]
async fn ten_minutes_of_back_pressure_are_not_silence() {
    let mut world = World::new(1);
    world.pace = 10 * MINUTE;
    // Every failure would end the job.
    let mut strict = FanOutConfig::named("app");
    strict.subscribe_retry.max_retries = 0;
    world.put_many(0..40).await;
    let running = world.start(world.consumer().config(config(strict)).max_batch(1).parallelism(1));
    // What came with the first event waits for hours; its subscription was left, and is not begun again before.
    world.wait_for(20).await;
    assert_eq!(calls(&world, Operation::SubscribeToShard), 1);
    world.wait_for(40).await;
    running.drain().await.unwrap();
    assert_eq!((world.saved(), world.seen.len()), (texts(0..40), 40));
}

#[tokio::test(start_paused = true)]
async fn an_idle_shard_is_subscribed_to_every_five_minutes() {
    let world = World::new(3);
    let running = world.start(fan_out(&world));
    sleep(60 * MINUTE).await;
    let subscriptions = calls(&world, Operation::SubscribeToShard);
    assert!((3 * 12..=3 * 14).contains(&subscriptions), "{subscriptions} in an hour");
    running.drain().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn subscriptions_are_renewed_before_they_end_and_not_all_at_once() {
    let world = World::new(8);
    let running = world.start(fan_out(&world));
    sleep(6 * MINUTE).await;
    let journal = world.fake.journal();
    let subscribed = journal.calls.iter().filter(|call| call.operation.as_str() == "SubscribeToShard");
    let at: Vec<_> = subscribed.map(|call| call.at).collect();
    let (first, renewals) = (at[0], &at[8..]);
    assert_eq!(renewals.len(), 8);
    let ages: Vec<_> = renewals.iter().map(|at| at.duration_since(first).unwrap()).collect();
    assert!(ages.iter().all(|age| (269 * SECOND..302 * SECOND).contains(age)), "{ages:?}");
    assert!(ages[7] - ages[0] > 5 * SECOND, "{ages:?}");
    running.drain().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_was_deregistered_fails_the_job_and_is_no_end_of_data() {
    let world = World::new(2);
    world.put_many(0..10).await;
    let running = world.start(fan_out(&world));
    world.wait_for(10).await;
    let deregister = world.fake.client().deregister_stream_consumer().stream_arn(stream_arn(&world).await);
    deregister.consumer_name("app").send().await.unwrap();
    let error = running.job.await.unwrap().unwrap_err();
    let ConsumerError::Request(error) = error else { panic!("{error:?}") };
    assert_eq!((error.operation(), error.kind()), ("SubscribeToShard", RequestErrorKind::NotFound));
    assert!(!world.events().iter().any(|event| matches!(event, ConsumerEvent::ShardEnded { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_successor_that_takes_a_shard_over_fences_the_job() {
    let world = World::new(1);
    world.put_many(0..10).await;
    // It would not notice for an hour by its checkpoints.
    let hourly = fan_out(&world).checkpoints(world.store.clone(), 60 * MINUTE);
    let stale = world.start(hourly);
    world.wait_for(10).await;
    sleep(MINUTE).await;
    let successor = world.start(fan_out(&world));
    let error = stale.job.await.unwrap().unwrap_err();
    assert!(matches!(error, ConsumerError::Store(StoreError::Fenced { .. })), "{error:?}");
    assert!(world.events().iter().any(|event| matches!(event, ConsumerEvent::TakenOver { .. })));
    world.put_many(10..20).await;
    successor.drain().await.unwrap();
    assert_eq!(world.saved(), texts(0..20));
}

#[tokio::test(start_paused = true)]
async fn two_jobs_with_one_consumer_lose_nothing_and_say_so() {
    let world = World::new(1);
    let other = World::of(world.fake.clone());
    let running = [world.start(fan_out(&world)), other.start(fan_out(&other))];
    for number in 0..30 {
        world.put_many(number..number + 1).await;
        sleep(10 * SECOND).await;
    }
    let taken_over =
        |world: &World| world.events().iter().filter(|event| matches!(event, ConsumerEvent::TakenOver { .. })).count();
    assert!(taken_over(&world) > 1 && taken_over(&other) > 1);
    // Each waits longer each time, up to a minute.
    assert!(taken_over(&world) + taken_over(&other) < 60);
    let [running, others] = running;
    others.kill().await;
    running.drain().await.unwrap();
    assert_eq!(world.saved(), texts(0..30));
}

#[tokio::test(start_paused = true)]
async fn a_job_goes_on_with_its_state_from_polling_to_fan_out_and_back() {
    let world = World::new(2);
    world.put_many(0..10).await;
    world.put_aggregate("key", 10..14).await;
    world.drain().await;
    world.put_many(14..20).await;
    world.put_aggregate("key", 20..24).await;
    world.start(fan_out(&world).max_batch(3)).drain().await.unwrap();
    world.fake.split(STREAM, "shardId-000000000000").unwrap();
    world.put_many(24..30).await;
    world.start(fan_out(&world)).drain().await.unwrap();
    world.put_many(30..40).await;
    world.drain().await;
    assert_eq!((world.saved(), world.seen.sorted()), (texts(0..40), texts(0..40)));
}

#[tokio::test(start_paused = true)]
async fn a_position_inside_an_aggregate_is_resumed_at_its_member() {
    let world = World::new(1);
    world.put_aggregate("key", 0..10).await;
    let mut slow = World::of(world.fake.clone());
    (slow.store, slow.seen, slow.states) = (world.store.clone(), world.seen.clone(), Arc::clone(&world.states));
    slow.pace = SECOND;
    let running = slow.start(fan_out(&slow).max_batch(1).checkpoints(world.store.clone(), Duration::from_millis(1500)));
    slow.wait_for(5).await;
    running.kill().await;
    let saved = world.saved().len();
    assert!((1..10).contains(&saved), "{saved}");
    world.start(fan_out(&world)).drain().await.unwrap();
    assert_eq!(world.saved(), texts(0..10));
}

#[tokio::test(start_paused = true)]
async fn a_pulled_consumer_reads_by_fan_out_too() {
    let world = World::new(2);
    world.put_many(0..20).await;
    let builder = KinesisConsumer::builder().sdk_client(world.fake.client()).clock(world.fake.clock());
    let pulled = builder.streams([STREAM]).config(config(FanOutConfig::named("app"))).build_pull().unwrap();
    let handle = pulled.handle();
    let [mut subtask] = <[_; 1]>::try_from(pulled.into_subtasks().await.unwrap()).unwrap();
    handle.drain();
    let mut read = 0;
    while let Some(batch) = subtask.next_batch().await.unwrap() {
        read += batch.items.len();
    }
    assert_eq!(read, 20);
}
