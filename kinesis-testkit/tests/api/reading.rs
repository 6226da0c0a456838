//! GetShardIterator and GetRecords.

use std::time::{Duration, SystemTime};

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::operation::get_shard_iterator::GetShardIteratorOutput;
use aws_sdk_kinesis::operation::get_shard_iterator::builders::GetShardIteratorFluentBuilder;
use aws_sdk_kinesis::types::ShardIteratorType;
use tokio::time::advance;

use crate::support::{SHARD_0, SHARD_1, STREAM, code, entry, fake, iterator, put_at, read, refusal, texts};

fn request(client: &Client, kind: ShardIteratorType) -> GetShardIteratorFluentBuilder {
    client.get_shard_iterator().stream_name(STREAM).shard_id(SHARD_0).shard_iterator_type(kind)
}

async fn read_from(client: &Client, request: GetShardIteratorFluentBuilder) -> Vec<String> {
    let output: GetShardIteratorOutput = request.send().await.unwrap();
    texts(&read(client, output.shard_iterator().unwrap()).await).into_iter().map(str::to_owned).collect()
}

#[tokio::test(start_paused = true)]
async fn the_five_types_begin_where_they_say() {
    let (fake, client) = fake(1);
    let begin = fake.clock().now();
    let mut numbers = Vec::new();
    for n in 0..4 {
        numbers.push(put_at(&client, 0, &format!("r{n}")).await);
        advance(Duration::from_secs(10)).await;
    }
    let at_number = |kind, n: usize| request(&client, kind).starting_sequence_number(numbers[n].to_string());
    let at_time = |time: SystemTime| request(&client, ShardIteratorType::AtTimestamp).timestamp(time.into());
    let second = Duration::from_secs(1);
    let cases = [
        (request(&client, ShardIteratorType::TrimHorizon), vec!["r0", "r1", "r2", "r3"]),
        (request(&client, ShardIteratorType::Latest), vec![]),
        (at_number(ShardIteratorType::AtSequenceNumber, 2), vec!["r2", "r3"]),
        (at_number(ShardIteratorType::AfterSequenceNumber, 2), vec!["r3"]),
        (at_number(ShardIteratorType::AfterSequenceNumber, 3), vec![]),
        (at_time(begin + 20 * second), vec!["r2", "r3"]),
        (at_time(begin + 20 * second + Duration::from_millis(1)), vec!["r3"]),
        (at_time(begin - second), vec!["r0", "r1", "r2", "r3"]),
        (at_time(begin + 40 * second), vec![]),
    ];
    for (index, (request, expected)) in cases.into_iter().enumerate() {
        assert_eq!(read_from(&client, request).await, expected, "case {index}");
    }
}

#[tokio::test(start_paused = true)]
async fn latest_and_now_read_what_comes_after_them() {
    let (fake, client) = fake(1);
    put_at(&client, 0, "before").await;
    let latest = iterator(&client, SHARD_0, ShardIteratorType::Latest).await;
    advance(Duration::from_millis(1)).await;
    let now = request(&client, ShardIteratorType::AtTimestamp).timestamp(fake.clock().now().into());
    let now = now.send().await.unwrap().shard_iterator.unwrap();
    put_at(&client, 0, "after").await;
    assert_eq!(texts(&read(&client, latest).await), ["after"]);
    assert_eq!(texts(&read(&client, now).await), ["after"]);
}

#[tokio::test(start_paused = true)]
async fn reading_goes_on_where_it_ended_and_an_iterator_can_be_used_twice() {
    let (_, client) = fake(1);
    for n in 0..5 {
        put_at(&client, 0, &n.to_string()).await;
    }
    let start = iterator(&client, SHARD_0, ShardIteratorType::TrimHorizon).await;
    let page = |iterator: String| client.get_records().shard_iterator(iterator).limit(2).send();
    let first = page(start.clone()).await.unwrap();
    assert_eq!(texts(&first), ["0", "1"]);
    assert_eq!(texts(&page(start).await.unwrap()), ["0", "1"]);
    let second = page(first.next_shard_iterator.unwrap()).await.unwrap();
    assert_eq!(texts(&second), ["2", "3"]);
    let third = page(second.next_shard_iterator.unwrap()).await.unwrap();
    assert_eq!(texts(&third), ["4"]);
    let tip = page(third.next_shard_iterator.unwrap()).await.unwrap();
    assert_eq!((texts(&tip).len(), tip.millis_behind_latest()), (0, Some(0)));
    put_at(&client, 0, "5").await;
    assert_eq!(texts(&page(tip.next_shard_iterator.unwrap()).await.unwrap()), ["5"]);
}

#[tokio::test(start_paused = true)]
async fn millis_behind_latest_is_the_age_of_the_last_record_read() {
    let (_, client) = fake(1);
    for n in 0..3 {
        put_at(&client, 0, &n.to_string()).await;
        advance(Duration::from_secs(60)).await;
    }
    let mut next = iterator(&client, SHARD_0, ShardIteratorType::TrimHorizon).await;
    for behind in [180_000, 120_000, 0, 0] {
        let output = client.get_records().shard_iterator(next).limit(1).send().await.unwrap();
        assert_eq!(output.millis_behind_latest(), Some(behind));
        next = output.next_shard_iterator.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_holds_at_most_ten_mebibytes() {
    let (_, client) = fake(1);
    for _ in 0..3 {
        let entries = (0..10).map(|_| entry("k", vec![7; 1_000_000])).collect();
        client.put_records().stream_name(STREAM).set_records(Some(entries)).send().await.unwrap();
    }
    let mut next = iterator(&client, SHARD_0, ShardIteratorType::TrimHorizon).await;
    for expected in [10, 10, 10, 0] {
        let output = read(&client, next).await;
        assert_eq!(output.records().len(), expected);
        next = output.next_shard_iterator.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn get_records_refuses_what_is_out_of_range() {
    let (_, client) = fake(1);
    let iterator = iterator(&client, SHARD_0, ShardIteratorType::TrimHorizon).await;
    assert!(iterator.len() <= 512);
    let limit = |limit| client.get_records().shard_iterator(&iterator).limit(limit).send();
    assert!(limit(10_000).await.is_ok());
    let (code_, message) = refusal(limit(10_001).await);
    assert_eq!(code_, "ValidationException");
    assert_eq!(
        message,
        "1 validation error detected: Value '10001' at 'limit' failed to satisfy constraint: Member must have value \
         less than or equal to 10000"
    );
    assert_eq!(code(limit(0).await), "ValidationException");
    for garbage in
        ["garbage".to_owned(), format!("{iterator}A"), iterator.replacen('A', "B", 1), iterator[4..].to_owned()]
    {
        let refused = refusal(client.get_records().shard_iterator(garbage).send().await);
        assert_eq!(refused, ("InvalidArgumentException".to_owned(), "Invalid ShardIterator.".to_owned()));
    }
    assert_eq!(code(client.get_records().shard_iterator("x".repeat(513)).send().await), "ValidationException");
}

#[tokio::test(start_paused = true)]
async fn get_shard_iterator_refuses_what_makes_no_sense() {
    let (fake, client) = fake(2);
    let number = put_at(&client, 0, "x").await.to_string();
    let other_shard = put_at(&client, u128::MAX, "x").await.to_string();
    fake.create_stream("other", 1).unwrap();
    advance(Duration::from_secs(1)).await;
    let from_zero =
        |number: &str| request(&client, ShardIteratorType::AtSequenceNumber).starting_sequence_number(number);
    let future = fake.clock().now() + Duration::from_millis(1);
    let cases = [
        (from_zero("12345"), "It encodes shardId-000000012345, while it was used"),
        (from_zero(&"9".repeat(56)), "is invalid."),
        (
            from_zero(&other_shard),
            "It encodes shardId-000000000001, while it was used in a call to a shard with shardId-000000000000",
        ),
        (
            request(&client, ShardIteratorType::Latest).starting_sequence_number(&number),
            "and also a StartingSequenceNumber.",
        ),
        (request(&client, ShardIteratorType::AtSequenceNumber), "and no StartingSequenceNumber."),
        (request(&client, ShardIteratorType::AtTimestamp), "Current request has no timestamp parameter."),
        (
            request(&client, ShardIteratorType::AtTimestamp).timestamp(future.into()),
            "cannot be greater than the currentTimestampInMillis",
        ),
    ];
    for (request, text) in cases {
        let (code, message) = refusal(request.send().await);
        assert_eq!(code, "InvalidArgumentException", "{message}");
        assert!(message.contains(text), "{message}");
    }
    assert_eq!(code(from_zero("0").send().await), "InternalFailure", "of the first layout, as the service has it");
    let unknown_type = request(&client, ShardIteratorType::from("SOMEWHERE")).send().await;
    assert_eq!(code(unknown_type), "ValidationException");
    let cases = [
        ("shardId-9", "Shard shardId-000000000009 in stream orders under account 123456789012 does not exist"),
        ("nonsense", "Could not find shard nonsense in stream orders under account 123456789012."),
    ];
    for (missing, text) in cases {
        let (code, message) = refusal(request(&client, ShardIteratorType::Latest).shard_id(missing).send().await);
        assert_eq!((code.as_str(), message.as_str()), ("ResourceNotFoundException", text));
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_stream_of_a_name_takes_iterators_of_the_old_one_but_not_its_numbers() {
    let (fake, client) = fake(1);
    let number = put_at(&client, 0, "old").await;
    let old = iterator(&client, SHARD_0, ShardIteratorType::TrimHorizon).await;
    client.delete_stream().stream_name(STREAM).send().await.unwrap();
    assert_eq!(code(client.get_records().shard_iterator(&old).send().await), "ResourceNotFoundException");
    fake.create_stream(STREAM, 1).unwrap();
    assert!(put_at(&client, 0, "new").await > number);
    // As recorded from the service: it looks for the shard, and every number of the new stream is higher.
    assert_eq!(texts(&read(&client, &old).await), ["new"]);
    let resumed = request(&client, ShardIteratorType::AfterSequenceNumber).starting_sequence_number(number.to_string());
    let (code, message) = refusal(resumed.send().await);
    assert_eq!(code, "InvalidArgumentException");
    assert!(message.ends_with("is invalid because it did not come from this stream."), "{message}");
}

#[tokio::test(start_paused = true)]
async fn an_iterator_needs_no_memory_of_the_server() {
    let (fake, client) = fake(2);
    put_at(&client, u128::MAX, "x").await;
    let theirs = iterator(&client, SHARD_1, ShardIteratorType::TrimHorizon).await;
    let twin = kinesis_testkit::FakeKinesis::builder().stream(STREAM, 2).clock(fake.clock()).build();
    put_at(&twin.client(), u128::MAX, "y").await;
    assert_eq!(texts(&read(&twin.client(), &theirs).await), ["y"]);
    let stranger =
        kinesis_testkit::FakeKinesis::builder().stream(STREAM, 2).clock(fake.clock()).account("210987654321").build();
    assert_eq!(code(stranger.client().get_records().shard_iterator(theirs).send().await), "InvalidArgumentException");
}
