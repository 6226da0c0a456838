//! What is refused, and with what words.

use std::collections::BTreeSet;
use std::error::Error as StdError;
use std::time::Duration;

use kinesis_consumer::{BuildError, ConsumerError, DynamoDbStreamError, DynamoDbStreams};
use kinesis_core::{ConsumerConfig, FanOutConfig, RecordPublisher, RequestErrorKind};

use crate::support::World;
use crate::table::ARN;

fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text += &format!(": {cause}");
        next = cause.source();
    }
    text
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_switched_off_and_on_is_another_one() {
    let world = World::new();
    world.put(0..5, 1);
    world.drain().await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    world.table.recreate();
    let error = world.drain().await.unwrap_err();
    assert!(matches!(error, ConsumerError::StreamReplaced { .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_does_not_exist_is_named() {
    let world = World::new();
    let other = ARN.replace("2026-11-01", "2025-01-01");
    let streams = DynamoDbStreams::new(world.table.sdk()).stream("orders", &other).unwrap();
    let error = world.start(world.consumer().dynamodb_streams(streams)).drain().await.unwrap_err();
    let ConsumerError::Request(request) = &error else { panic!("{error:?}") };
    assert_eq!((request.kind(), request.operation()), (RequestErrorKind::NotFound, "DescribeStream"));
    assert!(chain(&error).contains("orders") && chain(&error).contains("Requested resource not found"), "{error:?}");
    assert_eq!(request.attempts(), 1, "it is not asked again");
}

/// The SDK client of the world would try three times.
#[tokio::test(start_paused = true)]
async fn retries_are_the_consumers_alone() {
    let world = World::new();
    world.table.faults(|faults| faults.limited = [("DescribeStream", u32::MAX)].into());
    let config = ConsumerConfig::builder().describe_stream_retry(kinesis_core::RetryPolicy {
        max_retries: 1,
        backoff: kinesis_core::Backoff::new(Duration::from_millis(1), Duration::from_millis(1), 1.0),
    });
    let consumer = world.consumer().config(config.build().unwrap());
    let error = world.start(consumer).drain().await.unwrap_err();
    assert!(matches!(&error, ConsumerError::Request(request) if request.attempts() == 2), "{error:?}");
    assert_eq!(world.table.calls("DescribeStream"), 2);
}

#[tokio::test(start_paused = true)]
async fn subscriptions_are_refused_when_the_consumer_is_built() {
    let world = World::new();
    let fan_out = FanOutConfig::named("app");
    let config = ConsumerConfig::builder().record_publisher(RecordPublisher::EnhancedFanOut).fan_out(fan_out);
    let error = world.consumer().config(config.build().unwrap()).build().unwrap_err();
    assert!(matches!(error, BuildError::Conflict { with: "streams of DynamoDB", .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn names_and_arns_are_checked_when_a_stream_is_added() {
    let streams = || DynamoDbStreams::new(World::new().table.sdk());
    let error = streams().stream("my orders", ARN).unwrap_err();
    assert!(matches!(error, DynamoDbStreamError::Name(_)) && chain(&error).contains("my orders"), "{error:?}");
    let error = streams().stream("orders", "arn:aws:dynamodb:eu-central-1:123456789012:table/Orders").unwrap_err();
    assert!(matches!(error, DynamoDbStreamError::Arn(_)) && chain(&error).contains("/stream/<label>"), "{error:?}");
    let error = streams().stream("orders", ARN).unwrap().stream("orders", ARN).unwrap_err();
    assert!(matches!(error, DynamoDbStreamError::NameTaken { .. }), "{error:?}");
}

/// The actions of DynamoDB in the README's row.
fn documented() -> BTreeSet<String> {
    let readme = include_str!("../../../README.md");
    let row = readme.lines().find(|line| line.starts_with("| consumer of DynamoDB Streams |"));
    let words = row.expect("the README has a row of permissions").split('`');
    words.filter_map(|word| word.strip_prefix("dynamodb:")).map(str::to_owned).collect()
}

#[tokio::test(start_paused = true)]
async fn nothing_is_called_that_the_readme_asks_no_permission_for() {
    let world = World::new();
    world.put(0..5, 1);
    world.drain().await.unwrap();
    assert_eq!(world.table.operations(), documented());
}
