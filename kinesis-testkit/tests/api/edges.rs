//! Where something is as large, as early, as many or as far away as can be.

use std::time::Duration;

use aws_sdk_kinesis::types::ShardIteratorType;
use kinesis_testkit::testing::assert_stored_once;
use kinesis_testkit::{BuildError, CallOutcome, FakeKinesis, Fault, FaultRule, Limits, Operation, OperatorEvent};
use tokio::time::{advance, timeout};

use crate::support::{SHARD_0, STREAM, code, entry, fake, iterator, put_at};

const SECOND: Duration = Duration::from_secs(1);

/// The code of a refusal, or nothing.
async fn call(fake: &FakeKinesis, operation: &str, body: &str) -> String {
    let reply = fake.call(operation, body).await.unwrap();
    let body: serde_json::Value = serde_json::from_str(&reply.body).unwrap_or_default();
    body["__type"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_request_cannot_ask_for_more_shards_than_there_may_be() {
    let fake = FakeKinesis::builder().virtual_time().build();
    let commit = r#"{"MinimumThroughputBillingCommitment":{"Status":"ENABLED"}}"#;
    assert_eq!(call(&fake, "UpdateAccountSettings", commit).await, "");
    let warm = |mibps: u32| {
        format!(
            r#"{{"StreamName":"warm{mibps}","StreamModeDetails":{{"StreamMode":"ON_DEMAND"}},"WarmThroughputMiBps":{mibps}}}"#
        )
    };
    assert_eq!(call(&fake, "CreateStream", &warm(2_147_483_647)).await, "InvalidArgumentException");
    assert_eq!(call(&fake, "CreateStream", &warm(10_241)).await, "InvalidArgumentException");
    assert_eq!(call(&fake, "CreateStream", &warm(10)).await, "");
    assert_eq!(fake.shards("warm10").unwrap().len(), 10);
    let many = r#"{"StreamName":"many","ShardCount":2147483647}"#;
    assert_eq!(call(&fake, "CreateStream", many).await, "LimitExceededException");
}

#[tokio::test(start_paused = true)]
async fn what_comes_after_a_trim_is_kept_in_the_same_millisecond_too() {
    let (fake, client) = fake(1);
    put_at(&client, 0, "before").await;
    let trim = OperatorEvent::TrimAll { stream: STREAM.parse().unwrap() };
    fake.inject(FaultRule::on(Operation::PutRecords).fault(Fault::Operate(trim)));
    client.put_records().stream_name(STREAM).records(entry("k", "after")).send().await.unwrap();
    assert_eq!(fake.stored(STREAM).unwrap().records, 1);
    fake.trim(STREAM, fake.clock().now() + Duration::from_millis(1)).unwrap();
    assert_eq!(fake.stored(STREAM).unwrap().records, 0);
    put_at(&client, 0, "last").await;
    fake.split(STREAM, SHARD_0).unwrap();
    assert_eq!((fake.stored(STREAM).unwrap().records, fake.shards(STREAM).unwrap().len()), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn time_may_begin_with_the_epoch() {
    let fake = FakeKinesis::builder().stream(STREAM, 1).virtual_time_from(std::time::SystemTime::UNIX_EPOCH).build();
    put_at(&fake.client(), 0, "x").await;
    fake.split(STREAM, SHARD_0).unwrap();
    assert_eq!((fake.stored(STREAM).unwrap().records, fake.shards(STREAM).unwrap().len()), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn tokens_of_one_region_are_none_of_another() {
    let (fake, client) = fake(1);
    let elsewhere = fake.in_region("eu-west-1").unwrap();
    elsewhere.create_stream(STREAM, 1).unwrap();
    let theirs = iterator(&client, SHARD_0, ShardIteratorType::TrimHorizon).await;
    let read = elsewhere.client().get_records().shard_iterator(theirs).send().await;
    assert_eq!(code(read), "InvalidArgumentException");
}

#[tokio::test(start_paused = true)]
async fn another_accounts_stream_is_listed_page_by_page() {
    let (fake, _) = fake(3);
    let stranger = fake.in_account("000000000007").unwrap().client();
    let arn = "arn:aws:kinesis:us-east-1:123456789012:stream/orders";
    let first = stranger.list_shards().stream_arn(arn).max_results(2).send().await.unwrap();
    let token = first.next_token().unwrap();
    let rest = stranger.list_shards().stream_arn(arn).next_token(token).send().await.unwrap();
    assert_eq!((first.shards().len(), rest.shards().len()), (2, 1));
    let china = r#"{"StreamARN":"arn:aws-cn:kinesis:us-east-1:123456789012:stream/orders"}"#;
    assert_eq!(call(&fake, "ListShards", china).await, "ResourceNotFoundException", "the partition counts, too");
}

#[tokio::test(start_paused = true)]
async fn places_that_no_arn_could_name_are_refused() {
    let (fake, _) = fake(1);
    assert!(matches!(fake.in_account("7"), Err(BuildError::Identity { .. })));
    assert!(matches!(fake.in_region("Mars"), Err(BuildError::Identity { .. })));
}

#[tokio::test(start_paused = true)]
async fn records_of_one_name_in_two_regions_are_told_apart() {
    let (fake, client) = fake(1);
    let elsewhere = fake.in_region("eu-west-1").unwrap();
    elsewhere.create_stream(STREAM, 1).unwrap();
    put_at(&client, 0, "here").await;
    put_at(&elsewhere.client(), 0, "there").await;
    assert_stored_once(&fake, STREAM, ["here"]);
    assert_stored_once(&elsewhere, STREAM, ["there"]);
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_nothing_lets_nothing_through() {
    let limits = Limits::off().write_records_per_second(0).calls_per_second(Operation::DescribeLimits, 0);
    let fake = FakeKinesis::builder().stream(STREAM, 1).limits(limits).virtual_time().build();
    let put = r#"{"StreamName":"orders","PartitionKey":"k","Data":""}"#;
    assert_eq!(call(&fake, "PutRecord", put).await, "ProvisionedThroughputExceededException");
    assert_eq!(call(&fake, "DescribeLimits", "{}").await, "LimitExceededException");
}

#[tokio::test(start_paused = true)]
async fn pages_count_with_their_stream() {
    let limits = Limits::off().calls_per_second(Operation::ListShards, 1);
    let fake = FakeKinesis::builder().stream(STREAM, 3).limits(limits).virtual_time().build();
    let list = |token: String| fake.client().list_shards().next_token(token).max_results(1).send();
    let first = fake.client().list_shards().stream_name(STREAM).max_results(1).send().await.unwrap();
    let token = first.next_token.unwrap();
    assert_eq!(code(list(token.clone()).await), "LimitExceededException");
    advance(SECOND).await;
    list(token).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_mode_passes_no_quota() {
    let limits = Limits::off().on_demand_streams(1).shards_per_account(1);
    let fake = FakeKinesis::builder().stream(STREAM, 1).on_demand_stream("busy").limits(limits).virtual_time().build();
    let switch = |stream: &str, mode: &str| {
        let arn = format!("arn:aws:kinesis:us-east-1:123456789012:stream/{stream}");
        format!(r#"{{"StreamARN":"{arn}","StreamModeDetails":{{"StreamMode":"{mode}"}}}}"#)
    };
    assert_eq!(call(&fake, "UpdateStreamMode", &switch(STREAM, "ON_DEMAND")).await, "LimitExceededException");
    assert_eq!(call(&fake, "UpdateStreamMode", &switch("busy", "PROVISIONED")).await, "LimitExceededException");
}

#[tokio::test(start_paused = true)]
async fn deleting_again_does_not_take_longer() {
    let fake = FakeKinesis::builder().stream(STREAM, 1).deleting(10 * SECOND).virtual_time().build();
    let delete = r#"{"StreamName":"orders"}"#;
    assert_eq!(call(&fake, "DeleteStream", delete).await, "");
    advance(9 * SECOND).await;
    assert_eq!(call(&fake, "DeleteStream", delete).await, "");
    advance(SECOND).await;
    assert_eq!(call(&fake, "DescribeStreamSummary", delete).await, "ResourceNotFoundException");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_its_caller_gave_up_is_in_the_journal() {
    let (fake, client) = fake(1);
    fake.inject(FaultRule::on(Operation::PutRecord).fault(Fault::Delay(Duration::MAX)));
    let put = client.put_record().stream_name(STREAM).partition_key("k").data(b"x".as_slice().into()).send();
    assert!(timeout(SECOND, put).await.is_err());
    let journal = fake.journal();
    assert_eq!((journal.calls.len(), journal.records.len()), (1, 0));
    assert_eq!(journal.calls[0].outcome, CallOutcome::Abandoned);
}

#[test]
fn no_step_of_the_clock_is_lost() {
    let fake = FakeKinesis::builder().virtual_time_from(std::time::SystemTime::UNIX_EPOCH);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let fake = runtime.block_on(async { fake.build() });
    let begin = runtime.block_on(async { fake.clock().now() });
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..10_000).for_each(|_| fake.advance(Duration::from_micros(1))));
        }
    });
    let passed = runtime.block_on(async { fake.clock().now().duration_since(begin).unwrap() });
    assert_eq!(passed, Duration::from_millis(40));
}

#[tokio::test(start_paused = true)]
async fn structures_are_objects() {
    let (fake, _) = fake(1);
    let as_list = r#"["eA==","k",null,null,"orders",null,null,null]"#;
    assert_eq!(call(&fake, "PutRecord", as_list).await, "SerializationException");
    assert_eq!(
        call(&fake, "PutRecords", r#"[[["eA==","k",null]],"orders",null,null,null]"#).await,
        "SerializationException"
    );
    let entry = r#"{"StreamName":"orders","Records":[["eA==","k",null]]}"#;
    assert_eq!(call(&fake, "PutRecords", entry).await, "SerializationException");
    assert_eq!(fake.stored(STREAM).unwrap().records, 0);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_not_much_longer_than_its_request_is_allowed_to_be() {
    let (fake, _) = fake(1);
    let records = format!(r#"{{"StreamName":"orders","Records":[{}{{}}]}}"#, "{},".repeat(200_000));
    let reply = fake.call("PutRecords", &records).await.unwrap();
    assert!(reply.status == 400 && reply.body.len() < 100_000, "{} bytes", reply.body.len());
    let arn = format!(r#"{{"ResourceARN":"{}"}}"#, "a".repeat(1_000_000));
    let reply = fake.call("ListTagsForResource", &arn).await.unwrap();
    assert!(reply.status == 400 && reply.body.len() < 100_000, "{} bytes", reply.body.len());
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_is_registered_again_has_an_arn_of_its_own() {
    let (_, client) = fake(1);
    let arn = "arn:aws:kinesis:us-east-1:123456789012:stream/orders";
    let register = || client.register_stream_consumer().stream_arn(arn).consumer_name("app").send();
    let first = register().await.unwrap().consumer.unwrap();
    client.deregister_stream_consumer().consumer_arn(first.consumer_arn()).send().await.unwrap();
    let second = register().await.unwrap().consumer.unwrap();
    assert_ne!(first.consumer_arn(), second.consumer_arn());
    let old = client.describe_stream_consumer().consumer_arn(first.consumer_arn()).send().await;
    assert_eq!(code(old), "ResourceNotFoundException");
}

#[tokio::test(start_paused = true)]
async fn only_a_real_throttle_lets_a_stream_grow_and_by_the_shard_that_was_slow() {
    let limits = Limits::off().write_records_per_second(3);
    let fake = FakeKinesis::builder().on_demand_stream(STREAM).limits(limits).virtual_time().build();
    let client = fake.client();
    let entropy = kinesis_testkit::EntryFaults::none().throttled(kinesis_testkit::Entries::All);
    fake.inject(FaultRule::on(Operation::PutRecords).fault(Fault::FailMixed(entropy)));
    client.put_records().stream_name(STREAM).records(entry("k", "x")).send().await.unwrap();
    assert_eq!(fake.shards(STREAM).unwrap().len(), 4, "a fault is no load");
    let entries = (0..5).map(|_| {
        let mut entry = entry("k", "x");
        entry.explicit_hash_key = Some(u128::MAX.to_string());
        entry
    });
    client.put_records().stream_name(STREAM).set_records(Some(entries.collect())).send().await.unwrap();
    let shards = fake.shards(STREAM).unwrap();
    assert_eq!((shards.len(), shards[3].is_open()), (6, false));
}
