//! Batches that are asked for, and positions that the user keeps.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use futures_core::Stream;
use kinesis_consumer::{
    BuildError, ConsumerBuilder, ConsumerError, ConsumerEvent, LossPolicy, MemoryStore, Positions, RawRecords, Subtask,
    Utf8,
};
use kinesis_core::{ConsumerConfig, StartingPosition};
use kinesis_testkit::testing::{ReshardSchedule, assert_exactly_once};
use kinesis_testkit::{FakeKinesis, Fault, FaultRule, Operation};

use crate::support::{Database, STREAM, World, crash_after, drain, number, numbers, poll_once, pull_by_single_polls};

const HOUR: Duration = Duration::from_secs(3600);

async fn one_subtask(world: &World, max_batch: usize) -> Subtask<RawRecords> {
    let consumer = world.consumer().max_batch(max_batch).build_pull().unwrap();
    consumer.into_subtasks().await.unwrap().remove(0)
}

#[tokio::test(start_paused = true)]
async fn the_users_snapshot_is_enough_to_go_on_exactly_once() {
    // Down to the member of an aggregate: a batch of one record each, and a snapshot after every one of them.
    let world = World::new(1);
    world.put_aggregate("a", 0..7).await;
    world.put_many(7..10).await;
    for handed_out in 0..10 {
        let mut subtask = one_subtask(&world, 1).await;
        let mut seen = Vec::new();
        for _ in 0..handed_out {
            seen.extend(numbers(&subtask.next_batch().await.unwrap().unwrap()));
        }
        let database = Database::default();
        database.commit(0, &mut seen, &subtask.snapshot());
        drop(subtask);
        drain(world.consumer(), &database).await;
        assert_eq!(database.rows(), (0..10).collect::<Vec<_>>(), "after {handed_out} batches");
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_moment_loses_and_repeats_nothing_that_was_committed() {
    let mut partial = 0;
    for step in 0..20u32 {
        let world = World::new(2);
        world.put_many(0..60).await;
        let database = Database::default();
        let lifetime = Duration::from_millis(u64::from(step) * 73);
        let consumer = || world.consumer().parallelism(2).max_batch(2).memory_bytes(20 << 20);
        crash_after(consumer(), &database, lifetime).await;
        world.fake.split(STREAM, "shardId-000000000000").unwrap();
        world.put_many(60..100).await;
        crash_after(consumer(), &database, lifetime).await;
        partial += usize::from((1..100).contains(&database.rows().len()));
        drain(consumer(), &database).await;
        assert_exactly_once(0..100, database.rows());
    }
    assert!(partial > 10, "only {partial} crashes fell into the reading");
}

#[tokio::test(start_paused = true)]
async fn futures_that_are_dropped_at_every_poll_lose_nothing() {
    for seed in 0..5 {
        let world = World::new(2);
        let mut schedule = ReshardSchedule::random(seed, 4);
        for part in 0..4 {
            world.put_many(part * 25..(part + 1) * 25).await;
            schedule.apply_next(&world.fake, STREAM).unwrap();
        }
        let consumer = world.consumer().max_batch(3).build_pull().unwrap();
        consumer.handle().drain();
        let mut subtask = consumer.into_subtasks().await.unwrap().remove(0);
        let (records, dropped) = pull_by_single_polls(&mut subtask).await.unwrap();
        let report = kinesis_testkit::testing::ExactlyOnce::compare(0..100, records.iter().map(number));
        assert!(report.is_ok(), "{schedule:?}: {report}");
        assert!(dropped > 5, "{dropped} futures were dropped");
    }
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_does_not_see_what_was_not_handed_out() {
    let world = World::new(1);
    world.put_many(0..20).await;
    let mut subtask = one_subtask(&world, 5).await;
    let fresh = subtask.snapshot();
    let first = subtask.next_batch().await.unwrap().unwrap();
    let after_first = subtask.snapshot();
    // Long enough that everything else waits in the queue; the future is dropped before it hands anything out.
    tokio::time::sleep(Duration::from_secs(60)).await;
    let last = |positions: &Positions| positions.shards().next().unwrap().1.last();
    assert_eq!(last(&fresh), None);
    assert_eq!(last(&after_first), Some(first.items[4].position));
    assert_eq!(last(&subtask.snapshot()), last(&after_first));
}

#[tokio::test(start_paused = true)]
async fn batches_come_as_a_stream() {
    let world = World::new(1);
    world.put_many(0..10).await;
    let consumer = world.consumer().max_batch(4).build_pull().unwrap();
    consumer.handle().drain();
    let mut subtask = consumer.into_subtasks().await.unwrap().remove(0);
    let mut seen = Vec::new();
    while let Some(batch) = poll_fn(|context| Pin::new(&mut subtask).poll_next(context)).await {
        seen.extend(numbers(&batch.unwrap()));
    }
    assert_eq!(seen, (0..10).collect::<Vec<_>>());
    assert!(poll_fn(|context| Pin::new(&mut subtask).poll_next(context)).await.is_none(), "it stays ended");
}

#[tokio::test(start_paused = true)]
async fn nobody_pulls_and_nothing_is_fetched_beyond_the_memory_budget() {
    let world = World { fake: FakeKinesis::builder().stream(STREAM, 1).virtual_time().build(), events: <_>::default() };
    let megabyte = vec![b'x'; 1_000_000];
    for _ in 0..45 {
        world.put("key", &megabyte).await;
    }
    let calls = || world.fake.call_counts().get(&Operation::GetRecords).map_or(0, |counts| counts.calls);
    let hour = Duration::from_secs(3600);
    let consumer = world.consumer().max_batch(1).memory_bytes(10 << 20).build_pull().unwrap();
    consumer.handle().drain();
    let mut subtask = consumer.into_subtasks().await.unwrap().remove(0);
    tokio::time::sleep(hour).await;
    assert_eq!(calls(), 0, "nobody has asked yet");
    assert!(poll_once(subtask.next_batch()).await.is_none());
    tokio::time::sleep(hour).await;
    // A reply is up to 10 MiB, which is all of the budget.
    assert_eq!(calls(), 1);
    for handed_out in 1..=10 {
        subtask.next_batch().await.unwrap().unwrap();
        tokio::time::sleep(hour).await;
        assert_eq!(calls(), 1, "{handed_out}: the batch at the user, and those that wait, are of the first reply");
    }
    let mut rest = 0;
    while subtask.next_batch().await.unwrap().is_some() {
        rest += 1;
    }
    assert_eq!(rest, 35);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_before_the_first_batch_fixes_a_start_at_latest() {
    let world = World::new(2);
    world.put_many(0..10).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let latest = || world.consumer_from(StartingPosition::Latest);
    let database = Database::default();
    let subtasks = latest().build_pull().unwrap().into_subtasks().await.unwrap();
    database.commit(0, &mut Vec::new(), &subtasks[0].snapshot());
    drop(subtasks);
    tokio::time::sleep(Duration::from_secs(10)).await;
    world.put_many(10..20).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let forgetful = Database::default();
    drain(latest(), &forgetful).await;
    assert_eq!(forgetful.rows(), Vec::<u32>::new(), "without positions the start is now");
    drain(latest(), &database).await;
    assert_exactly_once(10..20, database.rows());
}

#[tokio::test(start_paused = true)]
async fn an_idle_streams_positions_move_while_the_call_waits() {
    // Else a stream that is silent for longer than its retention could not be taken up again.
    let world = World::new(1);
    world.put_many(0..1).await;
    let pause = Duration::from_secs(290);
    let config = ConsumerConfig::builder().starting_position(StartingPosition::TrimHorizon);
    let config = config.get_records_interval(pause).discovery_interval(pause).build().unwrap();
    let consumer = world.consumer().config(config).build_pull().unwrap();
    let mut subtask = consumer.into_subtasks().await.unwrap().remove(0);
    subtask.next_batch().await.unwrap().unwrap();
    let kept_at_once = subtask.snapshot();
    for _ in 0..3 {
        let waiting = tokio::time::timeout(Duration::from_secs(20 * 3600), subtask.next_batch());
        assert!(waiting.await.is_err(), "nothing was put");
    }
    let database = Database::default();
    database.commit(0, &mut vec![0], &subtask.snapshot());
    drop(subtask);
    world.put_many(1..5).await;
    drain(world.consumer(), &database).await;
    assert_eq!(database.rows(), [0, 1, 2, 3, 4]);
    let mut overtaken = world.consumer().positions([kept_at_once]).build_pull().unwrap().into_subtasks().await.unwrap();
    let error = overtaken[0].next_batch().await.unwrap_err();
    assert!(matches!(error, ConsumerError::PossibleLoss(_)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn one_subtasks_error_ends_the_others_with_its_text() {
    let world = World::new(4);
    world.put_many(0..40).await;
    world.put("key", b"\xff").await;
    let consumer = world.consumer().schema(Utf8).parallelism(4).build_pull().unwrap();
    let subtasks = consumer.into_subtasks().await.unwrap();
    let tasks: Vec<_> = subtasks
        .into_iter()
        .map(|mut subtask| {
            tokio::spawn(async move {
                loop {
                    if let Err(error) = subtask.next_batch().await {
                        return (error, subtask.next_batch().await.unwrap_err());
                    }
                }
            })
        })
        .collect();
    let mut originals = 0;
    for task in tasks {
        let (first, second) = task.await.unwrap();
        originals += usize::from(matches!(first, ConsumerError::Schema { .. }));
        let ConsumerError::JobFailed { cause } = &second else { panic!("{second:?}") };
        assert!(cause.contains("could not be decoded by the schema: the data is no UTF-8 text"), "{cause}");
    }
    assert_eq!(originals, 1);
}

#[tokio::test(start_paused = true)]
async fn the_services_refusal_reaches_whoever_pulls() {
    let world = World::new(1);
    let mut subtask = one_subtask(&world, 10).await;
    let client = world.fake.client();
    let deleting = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        client.delete_stream().stream_name(STREAM).send().await.unwrap();
    };
    let (error, ()) = tokio::join!(subtask.next_batch(), deleting);
    assert!(matches!(error, Err(ConsumerError::Request(_))), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_subtask_that_is_dropped_fails_the_others() {
    let world = World::new(2);
    let consumer = world.consumer().parallelism(2).build_pull().unwrap();
    let mut subtasks = consumer.into_subtasks().await.unwrap();
    drop(subtasks.remove(1));
    let error = tokio::time::timeout(Duration::from_secs(60), subtasks[0].next_batch()).await.unwrap().unwrap_err();
    assert!(matches!(error, ConsumerError::SubtaskDropped { subtask: 1 }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_called_any_more_once_all_subtasks_are_dropped() {
    let world = World::new(2);
    let consumer = world.consumer().parallelism(2).build_pull().unwrap();
    let mut subtasks = consumer.into_subtasks().await.unwrap();
    let waiting = tokio::time::timeout(Duration::from_secs(30), subtasks[0].next_batch());
    assert!(waiting.await.is_err());
    drop(subtasks);
    tokio::task::yield_now().await;
    let calls = world.fake.journal().calls.len();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(world.fake.journal().calls.len(), calls);
}

#[tokio::test(start_paused = true)]
async fn settings_of_the_other_way_are_refused() {
    let world = World::new(1);
    let store = || (MemoryStore::new(), Duration::from_secs(1));
    let (memory, interval) = store();
    let error = world.consumer().checkpoints(memory, interval).build_pull().unwrap_err();
    assert!(matches!(error, BuildError::Conflict { what: "checkpoints", .. }));
    let positions = one_subtask(&world, 1).await.snapshot();
    let (memory, interval) = store();
    let error = world.consumer().checkpoints(memory, interval).positions([positions]).build().unwrap_err();
    assert!(matches!(error, BuildError::Conflict { what: "positions", .. }));
}

#[tokio::test(start_paused = true)]
async fn positions_of_a_stream_that_was_created_anew_are_refused() {
    let world = World::new(1);
    let old = one_subtask(&world, 1).await.snapshot();
    world.fake.client().delete_stream().stream_name(STREAM).send().await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    world.fake.create_stream(STREAM, 1).unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let taken_up = world.consumer().positions([old.clone()]).build_pull().unwrap().into_subtasks().await;
    assert!(matches!(taken_up, Err(ConsumerError::StreamReplaced { .. })), "{taken_up:?}");
    let new = one_subtask(&world, 1).await.snapshot();
    let error = world.consumer().positions([old, new]).build_pull().unwrap_err();
    assert!(matches!(error, BuildError::Positions(_)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn every_subtask_is_told_what_the_service_said() {
    let world = World::new(2);
    let denied =
        Fault::Error { code: "AccessDeniedException".into(), message: "no such permission".into(), status: 400 };
    world.fake.inject(
        FaultRule::on(Operation::GetRecords).shard("shardId-000000000000".parse().unwrap()).fault(denied).always(),
    );
    let consumer = world.consumer().parallelism(2).build_pull().unwrap();
    let mut subtasks = consumer.into_subtasks().await.unwrap();
    let (mut second, mut first) = (subtasks.remove(1), subtasks.remove(0));
    let (one, two) = tokio::join!(first.next_batch(), second.next_batch());
    for error in [one.unwrap_err(), two.unwrap_err()] {
        let mut text = String::new();
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(error) = cause {
            text += &format!("{error}: ");
            cause = error.source();
        }
        assert!(text.contains("AccessDenied"), "{text}");
    }
}

fn sparse(world: &World) -> ConsumerBuilder<RawRecords> {
    let config = ConsumerConfig::builder()
        .starting_position(StartingPosition::TrimHorizon)
        .get_records_interval(Duration::from_secs(120))
        .discovery_interval(Duration::from_secs(600))
        .build()
        .unwrap();
    world.consumer().config(config)
}

/// Reads on with one subtask for so long, keeping positions every hour.
async fn read_for(world: &World, database: &Database, hours: u32) {
    let consumer = sparse(world).positions(database.positions()).parallelism(1).build_pull().unwrap();
    let mut subtask = consumer.into_subtasks().await.unwrap().remove(0);
    let end = tokio::time::Instant::now() + hours * HOUR;
    while tokio::time::Instant::now() < end {
        let mut rows = Vec::new();
        if let Ok(batch) = tokio::time::timeout(HOUR, subtask.next_batch()).await {
            rows = numbers(&batch.unwrap().unwrap());
        }
        database.commit(0, &mut rows, &subtask.snapshot());
    }
}

#[tokio::test(start_paused = true)]
async fn positions_kept_before_a_shard_left_the_stream_do_not_bring_it_back() {
    let world = World::new(1);
    let database = Database::default();
    world.put_many(0..10).await;
    // Two subtasks keep their first positions; from then on there is one.
    let consumer = world.consumer().parallelism(2).build_pull().unwrap();
    let subtasks = consumer.into_subtasks().await.unwrap();
    for subtask in &subtasks {
        database.commit(subtask.index(), &mut Vec::new(), &subtask.snapshot());
    }
    drop(subtasks);
    read_for(&world, &database, 1).await;
    world.fake.split(STREAM, "shardId-000000000000").unwrap();
    world.put_many(10..30).await;
    read_for(&world, &database, 1).await;
    assert_exactly_once(0..30, database.rows());
    // A restart, and the parent leaves the listing, and then the state.
    read_for(&world, &database, 48).await;
    drain(world.consumer().parallelism(1), &database).await;
    assert_exactly_once(0..30, database.rows());
}

#[tokio::test(start_paused = true)]
async fn the_loss_of_a_shard_is_reported_once_also_to_one_who_pulls() {
    // C8
    let world = World::new(1);
    let database = Database::default();
    world.put_many(0..10).await;
    drain(world.consumer(), &database).await;
    world.fake.split(STREAM, "shardId-000000000000").unwrap();
    tokio::time::sleep(48 * HOUR).await;
    world.put_many(10..20).await;
    let lost = |world: &World| {
        let lost = |event: &&ConsumerEvent| matches!(event, ConsumerEvent::ShardLost { .. });
        world.events().iter().filter(lost).count()
    };
    for _ in 0..3 {
        drain(world.consumer().loss(LossPolicy::Continue), &database).await;
    }
    assert_exactly_once(0..20, database.rows());
    assert_eq!(lost(&world), 1);
}
