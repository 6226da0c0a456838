//! Streams: creation, description, settings, deletion.

use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::types::{StreamMode, StreamModeDetails, StreamStatus};
use kinesis_testkit::{BuildError, FakeKinesis};
use tokio::time::advance;

use crate::support::{SHARD_0, STREAM, code, entry, fake, refusal};

const ARN: &str = "arn:aws:kinesis:us-east-1:123456789012:stream/orders";

async fn status(client: &Client) -> StreamStatus {
    let output = client.describe_stream_summary().stream_name(STREAM).send().await.unwrap();
    output.stream_description_summary().unwrap().stream_status().clone()
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_created_described_and_deleted() {
    let (fake, client) = fake(1);
    client.create_stream().stream_name("new").shard_count(3).send().await.unwrap();
    let summary = client.describe_stream_summary().stream_name("new").send().await.unwrap();
    let summary = summary.stream_description_summary().unwrap();
    assert_eq!(summary.stream_arn(), "arn:aws:kinesis:us-east-1:123456789012:stream/new");
    assert_eq!((summary.open_shard_count(), summary.retention_period_hours()), (3, 24));
    assert_eq!(summary.max_record_size_in_kib(), Some(1024));
    let created: std::time::SystemTime = (*summary.stream_creation_timestamp()).try_into().unwrap();
    assert_eq!(created, fake.clock().now());
    client.delete_stream().stream_name("new").send().await.unwrap();
    let gone = refusal(client.describe_stream_summary().stream_name("new").send().await);
    let message = "Stream new under account 123456789012 not found.";
    assert_eq!(gone, ("ResourceNotFoundException".to_owned(), message.to_owned()));
    client.create_stream().stream_name("new").shard_count(1).send().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stream_answers_to_its_arn_and_to_no_other() {
    let (_, client) = fake(1);
    let by_arn = |arn: &str| client.describe_stream_summary().stream_arn(arn).send();
    assert!(by_arn(ARN).await.is_ok());
    for foreign in [ARN.replace("us-east-1", "eu-west-1"), ARN.replace("123456789012", "210987654321")] {
        assert_eq!(code(by_arn(&foreign).await), "ResourceNotFoundException", "{foreign}");
    }
    assert_eq!(code(by_arn(&ARN.replace("123456789012", "12345678901x")).await), "ValidationException");
    assert_eq!(code(client.describe_stream_summary().send().await), "InvalidArgumentException");
    let both = client.describe_stream_summary().stream_name("payments").stream_arn(ARN);
    assert_eq!(code(both.send().await), "InvalidArgumentException");
}

#[tokio::test(start_paused = true)]
async fn creation_refuses_what_is_no_stream() {
    let (fake, client) = fake(1);
    let create = |name: &str, shards: i32| client.create_stream().stream_name(name).shard_count(shards).send();
    assert_eq!(code(create(STREAM, 1).await), "ResourceInUseException");
    assert_eq!(code(create("a b", 1).await), "ValidationException");
    assert_eq!(code(create("ok", 0).await), "ValidationException");
    client.create_stream().stream_name("four").send().await.unwrap();
    assert_eq!(fake.shards("four").unwrap().len(), 4, "the service's own default");
    let too_large = client.create_stream().stream_name("ok").shard_count(1).max_record_size_in_kib(10_241);
    assert_eq!(code(too_large.send().await), "ValidationException");
}

#[tokio::test(start_paused = true)]
async fn an_on_demand_stream_begins_with_four_shards() {
    let (fake, client) = fake(1);
    let mode = StreamModeDetails::builder().stream_mode(StreamMode::OnDemand).build().unwrap();
    client.create_stream().stream_name("busy").stream_mode_details(mode).send().await.unwrap();
    assert_eq!(fake.shards("busy").unwrap().len(), 4);
    let summary = client.describe_stream_summary().stream_name("busy").send().await.unwrap();
    let mode = summary.stream_description_summary().unwrap().stream_mode_details().unwrap();
    assert_eq!(mode.stream_mode(), &StreamMode::OnDemand);
}

#[tokio::test(start_paused = true)]
async fn states_last_as_long_as_they_are_told_to() {
    let fake = FakeKinesis::builder()
        .virtual_time()
        .creating(Duration::from_secs(10))
        .updating(Duration::from_secs(5))
        .deleting(Duration::from_secs(3))
        .build();
    let client = fake.client();
    client.create_stream().stream_name(STREAM).shard_count(1).send().await.unwrap();
    assert_eq!(status(&client).await, StreamStatus::Creating);
    let put = || client.put_records().stream_name(STREAM).records(entry("k", "v")).send();
    assert_eq!(code(put().await), "ResourceNotFoundException");
    assert_eq!(code(client.list_shards().stream_name(STREAM).send().await), "ResourceInUseException");
    assert_eq!(
        code(client.split_shard().stream_name(STREAM).shard_to_split(SHARD_0).new_starting_hash_key("9").send().await),
        "ResourceInUseException"
    );
    advance(Duration::from_secs(10)).await;
    assert_eq!(status(&client).await, StreamStatus::Active);

    let children = fake.split(STREAM, SHARD_0).unwrap();
    assert_eq!(status(&client).await, StreamStatus::Updating);
    assert_eq!(fake.shards(STREAM).unwrap().len(), 1, "the children come when the update is done");
    let landed = put().await.unwrap().records()[0].shard_id().unwrap().to_owned();
    assert_eq!(landed, SHARD_0);
    assert_eq!(fake.split(STREAM, SHARD_0).unwrap_err().code(), "ResourceInUseException");
    advance(Duration::from_secs(5)).await;
    assert_eq!(status(&client).await, StreamStatus::Active);
    let shards = fake.shards(STREAM).unwrap();
    assert_eq!([&shards[1].id, &shards[2].id], [&children[0], &children[1]]);

    client.delete_stream().stream_name(STREAM).send().await.unwrap();
    assert_eq!(status(&client).await, StreamStatus::Deleting);
    assert_eq!(code(put().await), "ResourceNotFoundException");
    advance(Duration::from_secs(3)).await;
    assert_eq!(code(client.describe_stream_summary().stream_name(STREAM).send().await), "ResourceNotFoundException");
}

#[tokio::test(start_paused = true)]
async fn streams_are_listed_in_pages_by_name() {
    let builder =
        ["d", "b", "a", "c", "e"].iter().fold(FakeKinesis::builder().virtual_time(), |it, name| it.stream(*name, 1));
    let client = builder.build().client();
    let first = client.list_streams().limit(2).send().await.unwrap();
    assert_eq!((first.stream_names(), first.has_more_streams()), (["a".to_owned(), "b".to_owned()].as_slice(), true));
    let next = client.list_streams().next_token(first.next_token().unwrap()).send().await.unwrap();
    assert_eq!((next.stream_names().join(""), next.has_more_streams()), ("cde".to_owned(), false));
    assert_eq!(next.stream_summaries()[0].stream_name(), "c");
    let after = client.list_streams().exclusive_start_stream_name("d").send().await.unwrap();
    assert_eq!(after.stream_names(), ["e"]);
    assert_eq!(code(client.list_streams().limit(0).send().await), "ValidationException");
}

#[tokio::test(start_paused = true)]
async fn describe_stream_pages_through_the_shards() {
    let (_, client) = fake(5);
    let first = client.describe_stream().stream_name(STREAM).limit(3).send().await.unwrap();
    let first = first.stream_description().unwrap();
    assert_eq!((first.shards().len(), first.has_more_shards()), (3, true));
    let last = first.shards()[2].shard_id();
    let rest = client.describe_stream().stream_name(STREAM).exclusive_start_shard_id(last).send().await.unwrap();
    let rest = rest.stream_description().unwrap();
    assert_eq!((rest.shards().len(), rest.has_more_shards()), (2, false));
    assert_eq!(rest.shards()[0].shard_id(), "shardId-000000000003");
}

#[tokio::test(start_paused = true)]
async fn retention_moves_within_a_day_and_a_year() {
    let (_, client) = fake(1);
    let increase =
        |hours| client.increase_stream_retention_period().stream_name(STREAM).retention_period_hours(hours).send();
    let decrease =
        |hours| client.decrease_stream_retention_period().stream_name(STREAM).retention_period_hours(hours).send();
    increase(48).await.unwrap();
    for (result, text) in [(increase(47).await, "can not be shorter"), (increase(8761).await, "too long")] {
        let (code, message) = refusal(result);
        assert_eq!(code, "InvalidArgumentException");
        assert!(message.contains(text), "{message}");
    }
    for (result, text) in [(decrease(49).await, "can not be longer"), (decrease(23).await, "too short")] {
        let (code, message) = refusal(result);
        assert_eq!(code, "InvalidArgumentException");
        assert!(message.contains(text), "{message}");
    }
    decrease(24).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_record_size_limit_of_a_stream_can_be_changed() {
    let (_, client) = fake(1);
    let put = || client.put_records().stream_name(STREAM).records(entry("k", vec![0; 1024 * 1024])).send();
    assert_eq!(code(put().await), "InvalidArgumentException");
    client.update_max_record_size().stream_arn(ARN).max_record_size_in_kib(2048).send().await.unwrap();
    put().await.unwrap();
    let refused = client.update_max_record_size().stream_arn(ARN).max_record_size_in_kib(1023).send().await;
    assert_eq!(code(refused), "ValidationException");
}

#[test]
fn a_fake_that_cannot_be_set_up_says_why() {
    let refused = FakeKinesis::builder().stream("a b", 1).try_build().unwrap_err();
    assert!(matches!(&refused, BuildError::Stream { name, .. } if name == "a b"), "{refused}");
    assert!(matches!(FakeKinesis::builder().stream("a", 0).try_build(), Err(BuildError::Stream { .. })));
    assert!(matches!(FakeKinesis::builder().account("12").try_build(), Err(BuildError::Identity { .. })));
}
