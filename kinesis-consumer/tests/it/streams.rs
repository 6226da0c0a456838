//! The streams of a job: added, taken out, put back.

use std::time::Duration;

use aws_sdk_kinesis::primitives::Blob;
use kinesis_consumer::{ConsumerBuilder, ConsumerError, RawRecords};
use kinesis_core::StartingPosition;
use kinesis_testkit::FakeKinesis;

use crate::support::{STREAM, World, text, texts};

const OTHER: &str = "payments";

fn two_streams() -> World {
    World::of(FakeKinesis::builder().stream(STREAM, 2).stream(OTHER, 2).virtual_time().build())
}

fn both(world: &World) -> ConsumerBuilder<RawRecords> {
    world.consumer().streams([STREAM, OTHER])
}

async fn put_other(world: &World, range: std::ops::Range<u32>) {
    for number in range {
        let request = world.fake.client().put_record().stream_name(OTHER).partition_key(format!("key-{number}"));
        request.data(Blob::new(text(number))).send().await.unwrap();
    }
}

/// How many calls named the other stream so far.
fn calls_to_other(world: &World) -> usize {
    let journal = world.fake.journal();
    journal.calls.iter().filter(|call| call.stream.as_ref().is_some_and(|name| name.as_str() == OTHER)).count()
}

#[tokio::test(start_paused = true)]
async fn a_stream_taken_out_and_put_back_goes_on_where_it_stopped() {
    let world = two_streams();
    world.put_many(0..10).await;
    put_other(&world, 100..110).await;
    world.start(both(&world)).drain().await.unwrap();
    // Split while nobody reads it, so that its lineage, too, has to be kept.
    world.fake.split(OTHER, "shardId-000000000000").unwrap();
    put_other(&world, 110..120).await;
    let calls = calls_to_other(&world);
    for restart in 0..3 {
        let running = world.start(world.consumer());
        tokio::time::sleep(Duration::from_millis(3_300)).await;
        if restart == 1 {
            running.kill().await;
        } else {
            running.drain().await.unwrap();
        }
    }
    assert_eq!(calls_to_other(&world), calls, "nothing is asked about a stream that is not read");
    assert_eq!(world.seen.len(), 20);
    world.start(both(&world)).drain().await.unwrap();
    let expected = [texts(0..10), texts(100..120)].concat();
    assert_eq!((world.seen.sorted(), world.saved()), (expected.clone(), expected), "nothing twice, nothing lost");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_put_back_after_its_retention_reports_the_loss() {
    // C8
    let world = two_streams();
    put_other(&world, 0..3).await;
    world.start(both(&world)).drain().await.unwrap();
    put_other(&world, 3..6).await;
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_secs(20 * 3600)).await;
        world.drain().await;
    }
    let error = world.start(both(&world)).drain().await.unwrap_err();
    assert!(matches!(error, ConsumerError::PossibleLoss(_)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_replaced_while_it_was_taken_out_is_refused_when_it_is_put_back() {
    // F10
    let world = two_streams();
    world.start(both(&world)).drain().await.unwrap();
    world.fake.client().delete_stream().stream_name(OTHER).send().await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    world.fake.create_stream(OTHER, 2).unwrap();
    world.drain().await;
    let error = world.start(both(&world)).drain().await.unwrap_err();
    assert!(matches!(error, ConsumerError::StreamReplaced { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_added_to_a_restored_job_starts_where_the_job_is_configured_to() {
    // FLINK-35299: the reference reads it from its oldest record, whatever is configured.
    let world = two_streams();
    put_other(&world, 0..5).await;
    world.drain().await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let latest = || world.consumer_from(StartingPosition::Latest).streams([STREAM, OTHER]);
    let running = world.start(latest());
    tokio::time::sleep(Duration::from_secs(5)).await;
    put_other(&world, 5..8).await;
    running.drain().await.unwrap();
    assert_eq!(world.seen.sorted(), texts(5..8));
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_progress_that_aged_out_since_checkpoint_zero_is_reported() {
    // C8: its records from the start on were promised, and nothing of them was read.
    let world = World::new(1);
    let running = world.start(world.consumer_from(StartingPosition::Latest).streams([STREAM]));
    while world.saved_epoch().await.is_none() {
        tokio::task::yield_now().await;
    }
    running.kill().await;
    world.put_many(0..3).await;
    tokio::time::sleep(Duration::from_secs(30 * 3600)).await;
    let error = world.start(world.consumer()).drain().await.unwrap_err();
    assert!(matches!(error, ConsumerError::PossibleLoss(_)), "{error}");
}
