//! ListShards: pages, tokens, filters.

use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::operation::list_shards::ListShardsOutput;
use aws_sdk_kinesis::types::{ShardFilter, ShardFilterType};
use kinesis_testkit::FakeKinesis;
use tokio::time::advance;

use crate::support::{SHARD_0, SHARD_1, SHARD_2, STREAM, code, fake, refusal};

fn indices(output: &ListShardsOutput) -> Vec<u64> {
    let id = |text: &str| text.parse::<kinesis_core::ShardId>().unwrap().index().unwrap();
    output.shards().iter().map(|shard| id(shard.shard_id())).collect()
}

#[tokio::test(start_paused = true)]
async fn pages_add_up_to_the_whole_listing() {
    let (_, client) = fake(7);
    let mut output = client.list_shards().stream_name(STREAM).max_results(3).send().await.unwrap();
    let mut pages = vec![indices(&output)];
    while let Some(token) = output.next_token() {
        output = client.list_shards().next_token(token).max_results(3).send().await.unwrap();
        pages.push(indices(&output));
    }
    assert_eq!(pages, [vec![0, 1, 2], vec![3, 4, 5], vec![6]]);
    let after = client.list_shards().stream_name(STREAM).exclusive_start_shard_id("shardId-000000000004");
    assert_eq!(indices(&after.send().await.unwrap()), [5, 6]);
}

#[tokio::test(start_paused = true)]
async fn a_page_token_expires_after_five_minutes() {
    let (_, client) = fake(3);
    let page = client.list_shards().stream_name(STREAM).max_results(1).send().await.unwrap();
    let more = || client.list_shards().next_token(page.next_token().unwrap()).send();
    advance(Duration::from_secs(300)).await;
    assert_eq!(indices(&more().await.unwrap()), [1, 2]);
    advance(Duration::from_millis(1)).await;
    assert_eq!(code(more().await), "ExpiredNextTokenException");
}

#[tokio::test(start_paused = true)]
async fn a_token_stands_alone_and_is_not_made_up() {
    let (_, client) = fake(3);
    let page = client.list_shards().stream_name(STREAM).max_results(1).send().await.unwrap();
    let token = page.next_token().unwrap();
    let both = refusal(client.list_shards().stream_name(STREAM).next_token(token).send().await);
    assert_eq!(both.1, "NextToken and StreamName cannot be provided together.");
    let neither = refusal(client.list_shards().send().await);
    assert_eq!(neither.1, "Either NextToken or StreamName should be provided.");
    for (made_up, expected) in [("abc", "InvalidArgumentException"), (&token[1..], "InvalidArgumentException")] {
        assert_eq!(code(client.list_shards().next_token(made_up).send().await), expected);
    }
    assert_eq!(code(client.list_shards().stream_name(STREAM).max_results(10_001).send().await), "ValidationException");
    assert_eq!(code(client.list_shards().stream_name("none").send().await), "ResourceNotFoundException");
}

/// Shards 0 and 1 are closed at 100 s and 200 s, 2 and 3 are 0's children, 4 is the merger of 1 and 3.
async fn resharded() -> (FakeKinesis, Client, Vec<std::time::SystemTime>) {
    let (fake, client) = fake(2);
    let begin = fake.clock().now();
    advance(Duration::from_secs(100)).await;
    fake.split(STREAM, SHARD_0).unwrap();
    advance(Duration::from_secs(100)).await;
    fake.merge(STREAM, "shardId-000000000003", SHARD_1).unwrap();
    advance(Duration::from_secs(100)).await;
    let times = (0..4).map(|n| begin + Duration::from_secs(100 * n)).collect();
    (fake, client, times)
}

async fn filtered(client: &Client, filter: ShardFilter) -> Vec<u64> {
    indices(&client.list_shards().stream_name(STREAM).shard_filter(filter).send().await.unwrap())
}

#[tokio::test(start_paused = true)]
async fn filters_choose_as_the_api_reference_says() {
    let (_, client, times) = resharded().await;
    let of = |kind: ShardFilterType| ShardFilter::builder().r#type(kind);
    let at = |time| of(ShardFilterType::AtTimestamp).timestamp(aws_sdk_kinesis::primitives::DateTime::from(time));
    let from = |time| of(ShardFilterType::FromTimestamp).timestamp(aws_sdk_kinesis::primitives::DateTime::from(time));
    let second = Duration::from_secs(1);
    let cases = [
        ("AT_LATEST", of(ShardFilterType::AtLatest), vec![2, 4]),
        ("AT_TRIM_HORIZON", of(ShardFilterType::AtTrimHorizon), vec![0, 1]),
        ("FROM_TRIM_HORIZON", of(ShardFilterType::FromTrimHorizon), vec![0, 1, 2, 3, 4]),
        ("AFTER_SHARD_ID", of(ShardFilterType::AfterShardId).shard_id(SHARD_2), vec![3, 4]),
        ("AT before the split", at(times[1] - second), vec![0, 1]),
        ("AT the split", at(times[1]), vec![0, 1, 2, 3]),
        ("AT after the split", at(times[1] + second), vec![1, 2, 3]),
        ("AT after the merge", at(times[2] + second), vec![2, 4]),
        ("AT before the stream", at(times[0] - second), vec![0, 1]),
        ("FROM the split on", from(times[1] + second), vec![1, 2, 3, 4]),
        ("FROM the merge on", from(times[2] + second), vec![2, 4]),
        ("FROM before the stream", from(times[0] - second), vec![0, 1, 2, 3, 4]),
    ];
    for (name, filter, expected) in cases {
        assert_eq!(filtered(&client, filter.build().unwrap()).await, expected, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_filter_without_what_it_needs_is_refused() {
    let (fake, client) = fake(1);
    let list = |filter: ShardFilter| client.list_shards().stream_name(STREAM).shard_filter(filter).send();
    for kind in [ShardFilterType::AtTimestamp, ShardFilterType::FromTimestamp, ShardFilterType::AfterShardId] {
        let filter = ShardFilter::builder().r#type(kind.clone()).build().unwrap();
        assert_eq!(code(list(filter).await), "InvalidArgumentException", "{kind}");
    }
    let future = fake.clock().now() + Duration::from_secs(1);
    let filter = ShardFilter::builder().r#type(ShardFilterType::AtTimestamp).timestamp(future.into());
    assert_eq!(code(list(filter.build().unwrap()).await), "InvalidArgumentException");
    let unknown = ShardFilter::builder().r#type(ShardFilterType::from("SOMETIMES")).build().unwrap();
    assert_eq!(code(list(unknown).await), "ValidationException");
}

#[tokio::test(start_paused = true)]
async fn pages_of_a_filtered_listing_keep_its_filter() {
    let (fake, client) = fake(4);
    fake.split(STREAM, SHARD_0).unwrap();
    let open = ShardFilter::builder().r#type(ShardFilterType::AtLatest).build().unwrap();
    let first = client.list_shards().stream_name(STREAM).shard_filter(open).max_results(2).send().await.unwrap();
    let rest = client.list_shards().next_token(first.next_token().unwrap()).send().await.unwrap();
    assert_eq!((indices(&first), indices(&rest)), (vec![1, 2], vec![3, 4, 5]));
}

#[tokio::test(start_paused = true)]
async fn a_listing_can_mean_a_stream_of_a_certain_creation() {
    let (fake, client) = fake(1);
    let created = fake.clock().now();
    advance(Duration::from_secs(1)).await;
    client.delete_stream().stream_name(STREAM).send().await.unwrap();
    fake.create_stream(STREAM, 1).unwrap();
    let list = |time: std::time::SystemTime| {
        client.list_shards().stream_name(STREAM).stream_creation_timestamp(time.into()).send()
    };
    assert!(list(fake.clock().now()).await.is_ok());
    assert_eq!(code(list(created).await), "ResourceNotFoundException");
}
