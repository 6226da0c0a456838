//! Programs that are not asynchronous.
//!
//! The consumer's thread has a runtime of its own, whose time is the machine's: these tests wait for it, and never for
//! a fixed time.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use kinesis_consumer::{BlockingBatches, ConsumerBuilder, ConsumerError, Json, Pulled, RawRecords, Record, Schema};
use kinesis_core::{ConsumerConfig, StartingPosition};
use kinesis_testkit::FakeKinesis;
use kinesis_testkit::testing::assert_exactly_once;

use crate::support::{Database, STREAM, World, number, numbers};

fn world(shards: u32) -> World {
    World { fake: FakeKinesis::builder().stream(STREAM, shards).build(), events: <_>::default() }
}

/// Runs what a test needs of the asynchronous world.
fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn consumer(world: &World) -> ConsumerBuilder<RawRecords> {
    let config = ConsumerConfig::builder().starting_position(StartingPosition::TrimHorizon);
    let config = config.get_records_interval(Duration::from_millis(1)).build().unwrap();
    world.consumer().config(config)
}

fn drained<S: Schema>(builder: ConsumerBuilder<S>) -> BlockingBatches<S::Item> {
    let consumer = builder.build_pull().unwrap();
    consumer.handle().drain();
    consumer.blocking().unwrap()
}

fn all(batches: BlockingBatches<Record>) -> Vec<u32> {
    let mut seen = Vec::new();
    for batch in batches {
        seen.extend(numbers(&batch.unwrap()));
    }
    seen
}

#[test]
fn a_plain_for_loop_reads_the_stream() {
    let world = world(3);
    run(async {
        world.put_many(0..40).await;
        world.fake.split(STREAM, "shardId-000000000001").unwrap();
        world.put_many(40..80).await;
    });
    assert_exactly_once(0..80, all(drained(consumer(&world).parallelism(2).max_batch(3))));
}

#[test]
fn positions_go_with_what_was_handed_out() {
    let world = world(2);
    run(world.put_many(0..40));
    let database = Database::default();
    for parallelism in [1, 3, 2] {
        let builder = consumer(&world).parallelism(parallelism).max_batch(2).positions(database.positions());
        let mut batches = builder.build_pull().unwrap().blocking().unwrap();
        let mut rows = Vec::new();
        for _ in 0..3 {
            rows.extend(numbers(&batches.next().unwrap().unwrap()));
        }
        database.commit(0, &mut rows, &batches.snapshot().unwrap());
        // Pulled and not kept, as before a crash.
        batches.next().unwrap().unwrap();
    }
    let before = database.rows().len();
    let mut batches = drained(consumer(&world).positions(database.positions()));
    let mut rows: Vec<u32> =
        batches.by_ref().flat_map(|batch| batch.unwrap().items).map(|record| number(&record)).collect();
    database.commit(0, &mut rows, &batches.snapshot().unwrap());
    assert!((9..=18).contains(&before), "{before} rows of nine batches");
    assert_exactly_once(0..40, database.rows());
    assert_eq!(all(drained(consumer(&world).positions(database.positions()))), Vec::<u32>::new());
}

#[test]
fn a_time_limit_loses_nothing() {
    let world = world(1);
    let mut batches = consumer(&world).build_pull().unwrap().blocking().unwrap();
    for round in 0..3 {
        assert_eq!(batches.next_within(Duration::from_millis(5)).unwrap(), Pulled::Nothing);
        run(world.put_many(round..round + 1));
        let batch = loop {
            match batches.next_within(Duration::from_millis(1)).unwrap() {
                Pulled::Batch(batch) => break batch,
                other => assert_eq!(other, Pulled::Nothing),
            }
        };
        assert_eq!(numbers(&batch), [round]);
    }
    batches.handle().stop();
    assert_eq!(batches.next_within(Duration::from_secs(60)).unwrap(), Pulled::Ended);
    assert!(batches.next().is_none());
}

#[test]
fn a_stop_from_another_thread_ends_the_loop() {
    let world = world(2);
    run(world.put_many(0..1));
    let mut batches = consumer(&world).parallelism(2).build_pull().unwrap().blocking().unwrap();
    let handle = batches.handle();
    batches.next().unwrap().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| handle.stop());
        assert!(batches.next().is_none());
    });
}

#[test]
fn an_error_comes_once_and_ends_the_loop() {
    let world = world(1);
    run(world.put("key", b"{"));
    let mut batches = drained(consumer(&world).schema(Json::<u32>::new()));
    assert!(matches!(batches.next(), Some(Err(ConsumerError::Schema { .. }))));
    assert!(batches.next().is_none());
    run(world.fake.client().delete_stream().stream_name(STREAM).send()).unwrap();
    let refused = consumer(&world).streams(["other"]).build_pull().unwrap().blocking();
    assert!(matches!(refused, Err(ConsumerError::Request(_))), "{refused:?}");
}

#[test]
fn inside_of_a_runtime_it_refuses_without_a_panic() {
    let world = world(1);
    run(world.put_many(0..3));
    run(async {
        let refused = consumer(&world).build_pull().unwrap().blocking();
        assert!(matches!(refused, Err(ConsumerError::InsideRuntime)), "{refused:?}");
    });
    let mut batches = drained(consumer(&world));
    run(async {
        assert!(matches!(batches.next(), Some(Err(ConsumerError::InsideRuntime))));
        assert!(matches!(batches.snapshot(), Err(ConsumerError::InsideRuntime)));
    });
    assert_eq!(numbers(&batches.next().unwrap().unwrap()), [0, 1, 2], "nothing was lost by it");
    run(async move { drop(batches) });
}

#[test]
fn dropping_it_ends_the_job() {
    let world = world(2);
    run(world.put_many(0..10));
    let mut batches = consumer(&world).build_pull().unwrap().blocking().unwrap();
    batches.next().unwrap().unwrap();
    assert!(Arc::strong_count(&world.events) > 1, "the job tells its events");
    drop(batches);
    assert_eq!(Arc::strong_count(&world.events), 1, "nothing of the job is left");
}
