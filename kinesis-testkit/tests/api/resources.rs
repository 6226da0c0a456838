//! Tags, policies, consumers, encryption, modes, distribution, accounts and regions.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{
    ConsumerStatus, EncryptionType, MetricsName, PutRecordsRequestEntry, RecordDistributionStrategy, ShardIteratorType,
    StreamMode, StreamModeDetails,
};
use kinesis_core::{from_unix_millis, unix_millis};
use kinesis_testkit::{FakeKinesis, Limits};
use tokio::time::advance;

use crate::support::{SHARD_0, SHARD_1, STREAM, code, drain, entry, fake, iterator, put_at, read, refusal, texts};

const ARN: &str = "arn:aws:kinesis:us-east-1:123456789012:stream/orders";

#[tokio::test(start_paused = true)]
async fn tags_are_the_same_by_name_and_by_arn() {
    let (_, client) = fake(1);
    client.add_tags_to_stream().stream_name(STREAM).tags("team", "a").tags("cost", "b").send().await.unwrap();
    client.tag_resource().resource_arn(ARN).tags("team", "c").send().await.unwrap();
    let listed = client.list_tags_for_stream().stream_name(STREAM).limit(1).send().await.unwrap();
    assert_eq!((listed.tags()[0].key(), listed.has_more_tags()), ("cost", true));
    let rest = client.list_tags_for_stream().stream_name(STREAM).exclusive_start_tag_key("cost").send().await.unwrap();
    assert_eq!((rest.tags()[0].value(), rest.has_more_tags()), (Some("c"), false));
    client.remove_tags_from_stream().stream_name(STREAM).tag_keys("team").send().await.unwrap();
    client.untag_resource().resource_arn(ARN).tag_keys("none").send().await.unwrap();
    let left = client.list_tags_for_resource().resource_arn(ARN).send().await.unwrap();
    assert_eq!(left.tags().iter().map(|tag| tag.key()).collect::<Vec<_>>(), ["cost"]);
}

#[tokio::test(start_paused = true)]
async fn a_consumer_is_registered_described_listed_tagged_and_gone() {
    let fake = FakeKinesis::builder().stream(STREAM, 1).creating(Duration::from_secs(2)).virtual_time().build();
    advance(Duration::from_secs(2)).await;
    let client = fake.client();
    let registered = client.register_stream_consumer().stream_arn(ARN).consumer_name("app").tags("a", "b").send();
    let consumer = registered.await.unwrap().consumer.unwrap();
    let created = unix_millis(consumer.consumer_creation_timestamp().to_owned().try_into().unwrap());
    assert_eq!(consumer.consumer_arn(), format!("{ARN}/consumer/app:{}", created / 1000));
    assert_eq!(consumer.consumer_status(), &ConsumerStatus::Creating);
    advance(Duration::from_secs(2)).await;
    let describe = || client.describe_stream_consumer().consumer_arn(consumer.consumer_arn()).send();
    let described = describe().await.unwrap().consumer_description.unwrap();
    assert_eq!((described.consumer_status(), described.stream_arn()), (&ConsumerStatus::Active, ARN));
    let again = client.register_stream_consumer().stream_arn(ARN).consumer_name("app").send().await;
    assert_eq!(code(again), "ResourceInUseException");
    let tags = client.list_tags_for_resource().resource_arn(consumer.consumer_arn()).send().await.unwrap();
    assert_eq!(tags.tags().len(), 1);
    client.register_stream_consumer().stream_arn(ARN).consumer_name("other").send().await.unwrap();
    let page = client.list_stream_consumers().stream_arn(ARN).max_results(1).send().await.unwrap();
    assert_eq!(page.consumers()[0].consumer_name(), "app");
    let next = client.list_stream_consumers().stream_arn(ARN).next_token(page.next_token().unwrap());
    let next = next.send().await.unwrap();
    assert_eq!((next.consumers()[0].consumer_name(), next.next_token()), ("other", None));
    assert_eq!(code(client.delete_stream().stream_name(STREAM).send().await), "ResourceInUseException");
    client.deregister_stream_consumer().stream_arn(ARN).consumer_name("app").send().await.unwrap();
    assert_eq!(code(describe().await), "ResourceNotFoundException");
    client.delete_stream().stream_name(STREAM).enforce_consumer_deletion(true).send().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_policy_is_kept_for_a_stream_and_for_a_consumer() {
    let (_, client) = fake(1);
    let registered = client.register_stream_consumer().stream_arn(ARN).consumer_name("app").send().await.unwrap();
    let consumer = registered.consumer.unwrap().consumer_arn;
    for arn in [ARN, &consumer] {
        let get = || client.get_resource_policy().resource_arn(arn).send();
        assert_eq!(code(get().await), "ResourceNotFoundException");
        let put = |policy: &str| client.put_resource_policy().resource_arn(arn).policy(policy).send();
        assert_eq!(code(put("no json").await), "InvalidArgumentException");
        put(r#"{"Version":"2012-10-17"}"#).await.unwrap();
        assert_eq!(get().await.unwrap().policy(), r#"{"Version":"2012-10-17"}"#);
        client.delete_resource_policy().resource_arn(arn).send().await.unwrap();
        assert_eq!(code(get().await), "ResourceNotFoundException");
    }
}

#[tokio::test(start_paused = true)]
async fn records_say_whether_they_were_encrypted_when_they_came() {
    let (_, client) = fake(1);
    put_at(&client, 0, "plain").await;
    let start = client.start_stream_encryption().stream_name(STREAM).encryption_type(EncryptionType::Kms);
    start.key_id("alias/aws/kinesis").send().await.unwrap();
    let put = client.put_records().stream_name(STREAM).records(entry("k", "secret")).send().await.unwrap();
    assert_eq!(put.encryption_type(), Some(&EncryptionType::Kms));
    let described = client.describe_stream().stream_name(STREAM).send().await.unwrap().stream_description.unwrap();
    assert_eq!(
        (described.encryption_type(), described.key_id()),
        (Some(&EncryptionType::Kms), Some("alias/aws/kinesis"))
    );
    let stop = client.stop_stream_encryption().stream_name(STREAM).encryption_type(EncryptionType::Kms);
    stop.key_id("alias/aws/kinesis").send().await.unwrap();
    put_at(&client, 0, "plain again").await;
    let start = iterator(&client, SHARD_0, ShardIteratorType::TrimHorizon).await;
    let output = read(&client, start).await;
    let encrypted: Vec<_> = output.records().iter().map(|record| record.encryption_type().cloned()).collect();
    assert_eq!(encrypted, [None, Some(EncryptionType::Kms), None]);
}

#[tokio::test(start_paused = true)]
async fn enhanced_monitoring_is_kept() {
    let (_, client) = fake(1);
    let enable = client.enable_enhanced_monitoring().stream_name(STREAM).shard_level_metrics(MetricsName::All);
    let enabled = enable.send().await.unwrap();
    assert_eq!((enabled.current_shard_level_metrics().len(), enabled.desired_shard_level_metrics().len()), (0, 7));
    let bytes = MetricsName::IncomingBytes;
    let disable = client.disable_enhanced_monitoring().stream_name(STREAM).shard_level_metrics(bytes);
    assert_eq!(disable.send().await.unwrap().desired_shard_level_metrics().len(), 6);
}

async fn on_demand(client: &Client, name: &str, strategy: RecordDistributionStrategy) {
    let mode = StreamModeDetails::builder().stream_mode(StreamMode::OnDemand).build().unwrap();
    let create = client.create_stream().stream_name(name).stream_mode_details(mode);
    create.record_distribution_strategy(strategy).send().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn records_are_spread_evenly_where_keys_do_not_count() {
    let (fake, client) = fake(1);
    on_demand(&client, "spread", RecordDistributionStrategy::Auto).await;
    let without_key = PutRecordsRequestEntry::builder().data(Blob::new("x")).build().unwrap();
    let with_key = entry("same", "y");
    let entries = (0..100).flat_map(|_| [without_key.clone(), with_key.clone()]).collect();
    client.put_records().stream_name("spread").set_records(Some(entries)).send().await.unwrap();
    let mut per_shard: HashMap<String, usize> = HashMap::new();
    let mut keys = 0;
    for record in &fake.journal().records {
        *per_shard.entry(record.shard().to_string()).or_default() += 1;
        keys += usize::from(!record.partition_key().is_empty());
    }
    assert_eq!((per_shard.len(), per_shard.values().all(|count| *count == 50), keys), (4, true, 100));
    let missing = client.put_records().stream_name(STREAM).records(without_key).send().await;
    let (code, message) = refusal(missing);
    assert_eq!(code, "ValidationException");
    assert!(
        message.contains("at 'records.1.member.partitionKey' failed to satisfy constraint: Member must not be null"),
        "{message}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_on_demand_stream_grows_where_it_is_too_slow_and_is_not_resharded_by_hand() {
    let fake = FakeKinesis::builder().limits(Limits::aws()).on_demand_stream(STREAM).virtual_time().build();
    let client = fake.client();
    let split = client.split_shard().stream_name(STREAM).shard_to_split(SHARD_0).new_starting_hash_key("9");
    assert_eq!(code(split.send().await), "ValidationException");
    let put = || {
        let entries = (0..500).map(|_| entry("same", "x")).collect();
        client.put_records().stream_name(STREAM).set_records(Some(entries)).send()
    };
    let open = || fake.shards(STREAM).unwrap().iter().filter(|shard| shard.is_open()).count();
    for _ in 0..3 {
        put().await.unwrap();
    }
    assert_eq!(open(), 5, "the shard that throttled was split");
    for _ in 0..3 {
        put().await.unwrap();
    }
    assert_eq!(open(), 5, "not again within a minute");
    advance(Duration::from_secs(60)).await;
    for _ in 0..3 {
        put().await.unwrap();
    }
    assert_eq!(open(), 6);
}

#[tokio::test(start_paused = true)]
async fn accounts_and_regions_have_streams_of_their_own() {
    let (fake, client) = fake(1);
    put_at(&client, 0, "home").await;
    let elsewhere = fake.in_region("eu-west-1").unwrap();
    let theirs = fake.in_account("000000000007").unwrap();
    assert_eq!((elsewhere.region().as_str(), theirs.account().as_str()), ("eu-west-1", "000000000007"));
    for other in [&elsewhere, &theirs] {
        let client = other.client();
        let missing = client.describe_stream_summary().stream_name(STREAM).send().await;
        assert_eq!(code(missing), "ResourceNotFoundException");
        other.create_stream(STREAM, 2).unwrap();
        put_at(&client, u128::MAX, "away").await;
        assert_eq!(drain(&client, SHARD_1).await.len(), 1);
        assert_eq!(other.stored(STREAM).unwrap().records, 1);
    }
    assert_eq!(fake.stored(STREAM).unwrap().records, 1);
    let places: Vec<_> = fake.journal().records.iter().map(|it| it.elsewhere().map(|it| it.1.to_owned())).collect();
    assert_eq!(places, [None, Some("eu-west-1".to_owned()), Some("us-east-1".to_owned())]);
    assert_eq!(fake.journal().calls.last().unwrap().elsewhere(), Some(("000000000007", "us-east-1")));
    // Another account's stream is reached by its ARN, that of another region is not.
    let put = |arn: String| client.put_record().stream_arn(arn).partition_key("k").data(Blob::new("x")).send();
    put(ARN.replace("123456789012", "000000000007")).await.unwrap();
    assert_eq!(theirs.stored(STREAM).unwrap().records, 2);
    assert_eq!(code(put(ARN.replace("us-east-1", "eu-west-1")).await), "ResourceNotFoundException");
}

#[tokio::test(start_paused = true)]
async fn the_services_clock_can_run_ahead_of_its_callers() {
    let (fake, client) = fake(1);
    put_at(&client, 0, "old").await;
    let old = iterator(&client, SHARD_0, ShardIteratorType::TrimHorizon).await;
    let before = (tokio::time::Instant::now(), fake.clock().now());
    fake.advance(Duration::from_secs(301));
    assert_eq!(tokio::time::Instant::now(), before.0);
    assert_eq!(fake.clock().now(), before.1 + Duration::from_secs(301));
    assert_eq!(code(client.get_records().shard_iterator(old).send().await), "ExpiredIteratorException");
    fake.advance(Duration::from_secs(24 * 3600));
    assert_eq!(fake.stored(STREAM).unwrap().records, 0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_can_be_trimmed_by_hand() {
    let (fake, client) = fake(1);
    put_at(&client, 0, "old").await;
    let [low, _] = fake.split(STREAM, SHARD_0).unwrap();
    advance(Duration::from_secs(1)).await;
    put_at(&client, 0, "young").await;
    let horizon = fake.clock().now();
    fake.trim(STREAM, horizon).unwrap();
    assert_eq!(fake.shards(STREAM).unwrap().len(), 2, "the closed parent is gone with its records");
    let start = iterator(&client, low.as_str(), ShardIteratorType::TrimHorizon).await;
    assert_eq!(texts(&read(&client, start).await), ["young"]);
    fake.trim(STREAM, horizon - Duration::from_secs(1)).unwrap();
    fake.trim(STREAM, from_unix_millis(unix_millis(horizon) + 1)).unwrap();
    assert_eq!(fake.stored(STREAM).unwrap().records, 0);
    advance(Duration::from_secs(1)).await;
    put_at(&client, 0, "new").await;
    assert_eq!(fake.stored(STREAM).unwrap().records, 1);
}
