//! Rates of the control plane and quotas, under virtual time.

use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::types::{
    EncryptionType, MinimumThroughputBillingCommitmentInput, MinimumThroughputBillingCommitmentInputStatus,
    ScalingType, StreamMode, StreamModeDetails,
};
use kinesis_testkit::{FakeKinesis, FakeKinesisBuilder, Limits, Operation};
use tokio::time::advance;

use crate::support::{STREAM, code, refusal};

const ARN: &str = "arn:aws:kinesis:us-east-1:123456789012:stream/orders";
const SECOND: Duration = Duration::from_secs(1);

fn aws() -> FakeKinesisBuilder {
    FakeKinesis::builder().limits(Limits::aws()).virtual_time()
}

fn mode(mode: StreamMode) -> StreamModeDetails {
    StreamModeDetails::builder().stream_mode(mode).build().unwrap()
}

/// How many of `calls` at once are not throttled.
async fn admitted(fake: &FakeKinesis, operation: &str, body: &str, calls: usize) -> usize {
    let mut admitted = 0;
    for _ in 0..calls {
        let reply = fake.call(operation, body).await.unwrap();
        admitted += usize::from(!reply.body.contains("Rate exceeded"));
    }
    admitted
}

#[tokio::test(start_paused = true)]
async fn every_rate_of_the_control_plane_is_the_documented_one() {
    let named = r#"{"StreamName":"orders"}"#;
    let consumer = format!(r#"{{"StreamARN":"{ARN}","ConsumerName":"app"}}"#);
    let of_arn = format!(r#"{{"StreamARN":"{ARN}"}}"#);
    let tags = r#"{"StreamName":"orders","Tags":{"a":"b"}}"#;
    let split = r#"{"StreamName":"orders","ShardToSplit":"shardId-000000000000","NewStartingHashKey":"1000"}"#;
    let scale = r#"{"StreamName":"orders","TargetShardCount":2,"ScalingType":"UNIFORM_SCALING"}"#;
    let rates = [
        ("ListShards", named, 1000),
        ("DescribeStreamSummary", named, 20),
        ("DescribeStream", named, 10),
        ("DescribeStreamConsumer", &*consumer, 20),
        ("DescribeLimits", "{}", 1),
        ("UpdateShardCount", scale, 10),
        ("ListStreams", "{}", 5),
        ("CreateStream", r#"{"StreamName":"orders","ShardCount":1}"#, 5),
        ("DeleteStream", r#"{"StreamName":"none"}"#, 5),
        ("SplitShard", split, 5),
        ("AddTagsToStream", tags, 5),
        ("ListTagsForStream", named, 5),
        ("RegisterStreamConsumer", &*consumer, 5),
        ("DeregisterStreamConsumer", &*consumer, 5),
        ("ListStreamConsumers", &*of_arn, 5),
        ("DescribeAccountSettings", "{}", 5),
    ];
    for (operation, body, rate) in rates {
        let fake = aws().stream(STREAM, 2).build();
        assert_eq!(admitted(&fake, operation, body, rate + 7).await, rate, "{operation}");
        advance(SECOND).await;
        assert_eq!(admitted(&fake, operation, body, rate + 7).await, rate, "{operation}, a second later");
    }
}

#[tokio::test(start_paused = true)]
async fn a_throttled_call_of_the_control_plane_says_so() {
    let fake = aws().stream(STREAM, 1).build();
    let describe = || fake.client().describe_stream().stream_name(STREAM).send();
    for _ in 0..10 {
        describe().await.unwrap();
    }
    assert_eq!(
        refusal(describe().await),
        ("LimitExceededException".to_owned(), "Rate exceeded for stream orders under account 123456789012.".to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn rates_count_per_stream_where_the_documentation_says_so_and_can_be_set() {
    let limits =
        Limits::off().calls_per_second(Operation::ListShards, 2).calls_per_second(Operation::DescribeStream, 2);
    let fake = FakeKinesis::builder().limits(limits).virtual_time().stream("a", 1).stream("b", 1).build();
    for (operation, second) in [("ListShards", 2), ("DescribeStream", 0)] {
        assert_eq!(admitted(&fake, operation, r#"{"StreamName":"a"}"#, 5).await, 2, "{operation}");
        assert_eq!(admitted(&fake, operation, r#"{"StreamName":"b"}"#, 5).await, second, "{operation}");
    }
    assert_eq!(admitted(&fake, "ListStreams", "{}", 50).await, 50, "all other rates are off");
    let elsewhere = fake.in_region("eu-west-1").unwrap();
    assert_eq!(admitted(&elsewhere, "DescribeStream", r#"{"StreamName":"a"}"#, 5).await, 2);
}

#[tokio::test(start_paused = true)]
async fn no_more_than_five_streams_are_created_at_once() {
    let fake = aws().creating(10 * SECOND).build();
    let client = fake.client();
    let create = |n: u32| client.create_stream().stream_name(format!("s{n}")).shard_count(1).send();
    for n in 0..5 {
        create(n).await.unwrap();
    }
    advance(SECOND).await;
    assert_eq!(code(create(5).await), "LimitExceededException");
    advance(9 * SECOND).await;
    create(5).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_account_has_its_regions_shards_and_fifty_on_demand_streams() {
    let fake = aws().build();
    for (region, quota) in [("us-east-1", 20_000), ("us-west-2", 20_000), ("eu-west-1", 20_000), ("eu-north-1", 6000)] {
        let client = fake.in_region(region).unwrap().client();
        let create = |name: &str, shards: i32| client.create_stream().stream_name(name).shard_count(shards).send();
        create("all", quota - 1).await.unwrap();
        create("last", 1).await.unwrap();
        let (code, message) = refusal(create("more", 1).await);
        assert_eq!(code, "LimitExceededException");
        assert!(message.contains(&format!("{region}. Current shard count for the account: {quota}.")), "{message}");
        let split = client.split_shard().stream_name("last").shard_to_split("shardId-000000000000");
        assert_eq!(crate::support::code(split.new_starting_hash_key("9").send().await), "LimitExceededException");
        let limits = client.describe_limits().send().await.unwrap();
        assert_eq!((limits.shard_limit(), limits.open_shard_count()), (quota, quota));
        assert_eq!(limits.channel_count(), Some(0));
    }
    let client = fake.client();
    for n in 0..50 {
        advance(SECOND).await;
        let create = client.create_stream().stream_name(format!("busy-{n}"));
        create.stream_mode_details(mode(StreamMode::OnDemand)).send().await.unwrap();
    }
    advance(SECOND).await;
    let limits = client.describe_limits().send().await.unwrap();
    assert_eq!((limits.on_demand_stream_count(), limits.on_demand_stream_count_limit()), (50, 50));
    let create = client.create_stream().stream_name("busy").stream_mode_details(mode(StreamMode::OnDemand));
    assert_eq!(code(create.send().await), "LimitExceededException");
}

async fn scale(client: &Client, target: i32) -> Result<(i32, i32), String> {
    let update = client.update_shard_count().stream_name(STREAM).target_shard_count(target);
    match update.scaling_type(ScalingType::UniformScaling).send().await {
        Ok(reply) => Ok((reply.current_shard_count().unwrap(), reply.target_shard_count().unwrap())),
        refused => Err(code(refused)),
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_scaled_ten_times_a_day_by_no_more_than_two() {
    let fake = aws().stream(STREAM, 4).build();
    let client = fake.client();
    assert_eq!(scale(&client, 9).await, Err("LimitExceededException".to_owned()));
    assert_eq!(scale(&client, 1).await, Err("LimitExceededException".to_owned()));
    for round in 0..5 {
        advance(SECOND).await;
        assert_eq!(scale(&client, 8).await, Ok((4, 8)), "{round}");
        assert_eq!(scale(&client, 4).await, Ok((8, 4)), "{round}");
    }
    advance(SECOND).await;
    assert_eq!(scale(&client, 8).await, Err("LimitExceededException".to_owned()));
    advance(24 * 3600 * SECOND).await;
    assert_eq!(scale(&client, 8).await, Ok((4, 8)));
}

#[tokio::test(start_paused = true)]
async fn a_stream_has_no_more_than_ten_thousand_shards() {
    let fake = FakeKinesis::builder().stream(STREAM, 6000).virtual_time().build();
    assert_eq!(scale(&fake.client(), 10_001).await, Err("LimitExceededException".to_owned()));
    assert_eq!(scale(&fake.client(), 10_000).await, Ok((6000, 10_000)));
}

async fn register(client: &Client, name: String) -> Result<(), String> {
    let reply = client.register_stream_consumer().stream_arn(ARN).consumer_name(name).send().await;
    if reply.is_ok() { Ok(()) } else { Err(code(reply)) }
}

#[tokio::test(start_paused = true)]
async fn a_stream_has_twenty_consumers_fifty_with_a_commitment_five_of_them_at_once_being_created() {
    let fake = aws().stream(STREAM, 1).creating(SECOND).build();
    advance(SECOND).await;
    let client = fake.client();
    for batch in 0..4 {
        for n in 0..5 {
            register(&client, format!("app-{batch}-{n}")).await.unwrap();
        }
        advance(SECOND / 5).await;
        assert_eq!(register(&client, "sixth".to_owned()).await, Err("LimitExceededException".to_owned()));
        advance(SECOND).await;
    }
    assert_eq!(register(&client, "more".to_owned()).await, Err("LimitExceededException".to_owned()));
    let enabled = MinimumThroughputBillingCommitmentInputStatus::Enabled;
    let commitment = MinimumThroughputBillingCommitmentInput::builder().status(enabled).build().unwrap();
    client.update_account_settings().minimum_throughput_billing_commitment(commitment).send().await.unwrap();
    for n in 0..30 {
        advance(SECOND).await;
        register(&client, format!("more-{n}")).await.unwrap();
    }
    advance(SECOND).await;
    assert_eq!(register(&client, "yet-more".to_owned()).await, Err("LimitExceededException".to_owned()));
    let summary = client.describe_stream_summary().stream_name(STREAM).send().await.unwrap();
    assert_eq!(summary.stream_description_summary().unwrap().consumer_count(), Some(50));
}

#[tokio::test(start_paused = true)]
async fn modes_and_keys_change_so_often_a_day() {
    let fake = aws().stream(STREAM, 1).build();
    let client = fake.client();
    let switch = |to: StreamMode| client.update_stream_mode().stream_arn(ARN).stream_mode_details(mode(to)).send();
    switch(StreamMode::OnDemand).await.unwrap();
    switch(StreamMode::Provisioned).await.unwrap();
    assert_eq!(code(switch(StreamMode::OnDemand).await), "LimitExceededException");
    let start = || {
        let start = client.start_stream_encryption().stream_name(STREAM).encryption_type(EncryptionType::Kms);
        start.key_id("alias/aws/kinesis").send()
    };
    for _ in 0..25 {
        advance(SECOND).await;
        start().await.unwrap();
    }
    advance(SECOND).await;
    assert_eq!(code(start().await), "LimitExceededException");
    advance(24 * 3600 * SECOND).await;
    start().await.unwrap();
    switch(StreamMode::OnDemand).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn retention_is_a_day_to_a_year() {
    let fake = FakeKinesis::builder().stream(STREAM, 1).virtual_time().build();
    let client = fake.client();
    let longer =
        |hours: i32| client.increase_stream_retention_period().stream_name(STREAM).retention_period_hours(hours).send();
    for (hours, refused) in [(23, true), (8761, true), (8760, false)] {
        let result = longer(hours).await;
        assert_eq!(result.is_err(), refused, "{hours}");
        if refused {
            assert_eq!(code(result), "InvalidArgumentException");
        }
    }
}
