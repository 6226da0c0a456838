//! What the tests share.

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::operation::get_records::GetRecordsOutput;
use aws_sdk_kinesis::operation::subscribe_to_shard::{SubscribeToShardError, SubscribeToShardOutput};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::error::SubscribeToShardEventStreamError;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, ShardIteratorType, StartingPosition, SubscribeToShardEvent};
use aws_smithy_types::event_stream::RawMessage;
use kinesis_core::SequenceNumber;
use kinesis_testkit::FakeKinesis;

/// The stream that most tests use.
pub(crate) const STREAM: &str = "orders";
pub(crate) const SHARD_0: &str = "shardId-000000000000";
pub(crate) const SHARD_1: &str = "shardId-000000000001";
pub(crate) const SHARD_2: &str = "shardId-000000000002";

/// A fake under virtual time with one stream, and its client.
pub(crate) fn fake(shards: u32) -> (FakeKinesis, Client) {
    let fake = FakeKinesis::builder().stream(STREAM, shards).virtual_time().build();
    let client = fake.client();
    (fake, client)
}

/// Code and message of the service's refusal.
pub(crate) fn refusal<T, E, R>(result: Result<T, SdkError<E, R>>) -> (String, String)
where
    T: std::fmt::Debug,
    E: ProvideErrorMetadata + std::fmt::Debug,
    R: std::fmt::Debug,
{
    match result {
        Err(SdkError::ServiceError(context)) => {
            let error = context.err();
            let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
            (text(error.code()), text(error.message()))
        }
        other => panic!("not refused: {other:?}"),
    }
}

/// The code of the service's refusal.
pub(crate) fn code<T, E, R>(result: Result<T, SdkError<E, R>>) -> String
where
    T: std::fmt::Debug,
    E: ProvideErrorMetadata + std::fmt::Debug,
    R: std::fmt::Debug,
{
    refusal(result).0
}

pub(crate) fn entry(key: impl Into<String>, data: impl Into<Vec<u8>>) -> PutRecordsRequestEntry {
    PutRecordsRequestEntry::builder().partition_key(key).data(Blob::new(data)).build().unwrap()
}

/// Puts one record into whichever shard holds the hash key.
pub(crate) async fn put_at(client: &Client, hash_key: u128, data: &str) -> SequenceNumber {
    let put = client.put_record().stream_name(STREAM).partition_key("key");
    let put = put.explicit_hash_key(hash_key.to_string()).data(Blob::new(data));
    put.send().await.unwrap().sequence_number().parse().unwrap()
}

/// An iterator of a type that needs no more than its name.
pub(crate) async fn iterator(client: &Client, shard: &str, kind: ShardIteratorType) -> String {
    let request = client.get_shard_iterator().stream_name(STREAM).shard_id(shard);
    let output = request.shard_iterator_type(kind).send().await.unwrap();
    output.shard_iterator().unwrap().to_owned()
}

pub(crate) async fn read(client: &Client, iterator: impl Into<String>) -> GetRecordsOutput {
    client.get_records().shard_iterator(iterator).send().await.unwrap()
}

/// The data of a reply's records as texts.
pub(crate) fn texts(output: &GetRecordsOutput) -> Vec<&str> {
    let records = output.records().iter();
    records.map(|record| std::str::from_utf8(record.data().as_ref()).unwrap()).collect()
}

/// Everything that a shard holds now, oldest first.
pub(crate) async fn drain(client: &Client, shard: &str) -> Vec<(SequenceNumber, Vec<u8>)> {
    let mut next = Some(iterator(client, shard, ShardIteratorType::TrimHorizon).await);
    let mut records = Vec::new();
    while let Some(iterator) = next {
        let output = read(client, iterator).await;
        let read = output.records().iter();
        records.extend(read.map(|it| (it.sequence_number().parse().unwrap(), it.data().as_ref().to_vec())));
        let at_the_tip = output.millis_behind_latest() == Some(0);
        next = output.next_shard_iterator().filter(|_| !at_the_tip).map(str::to_owned);
    }
    records
}

/// A consumer with enhanced fan-out, registered and active; its ARN.
pub(crate) async fn register(client: &Client, name: &str) -> String {
    let stream = format!("arn:aws:kinesis:us-east-1:123456789012:stream/{STREAM}");
    let output = client.register_stream_consumer().stream_arn(stream).consumer_name(name).send().await.unwrap();
    output.consumer().unwrap().consumer_arn().to_owned()
}

/// Where a subscription begins that needs no more than a type.
pub(crate) fn from(kind: ShardIteratorType) -> StartingPosition {
    StartingPosition::builder().r#type(kind).build().unwrap()
}

/// Where a subscription begins that goes on behind a number.
pub(crate) fn after(number: impl Into<String>) -> StartingPosition {
    let position = StartingPosition::builder().r#type(ShardIteratorType::AfterSequenceNumber);
    position.sequence_number(number).build().unwrap()
}

pub(crate) type Subscribed = Result<SubscribeToShardOutput, SdkError<SubscribeToShardError>>;

pub(crate) async fn try_subscribe(client: &Client, consumer: &str, shard: &str, start: StartingPosition) -> Subscribed {
    client.subscribe_to_shard().consumer_arn(consumer).shard_id(shard).starting_position(start).send().await
}

pub(crate) async fn subscribe(client: &Client, consumer: &str, shard: &str, start: StartingPosition) -> Events {
    Events(try_subscribe(client, consumer, shard, start).await.unwrap())
}

/// The events of a subscription.
#[derive(Debug)]
pub(crate) struct Events(SubscribeToShardOutput);

/// What an event stream did next.
pub(crate) type Received =
    Result<Option<SubscribeToShardEvent>, SdkError<SubscribeToShardEventStreamError, RawMessage>>;

impl Events {
    pub(crate) const fn of(output: SubscribeToShardOutput) -> Self {
        Self(output)
    }

    /// The next event, or how the stream ended.
    pub(crate) async fn next(&mut self) -> Received {
        let received = self.0.event_stream.recv().await?;
        Ok(received.map(|event| event.as_subscribe_to_shard_event().unwrap().clone()))
    }

    /// The next event, which there must be.
    pub(crate) async fn event(&mut self) -> SubscribeToShardEvent {
        self.next().await.unwrap().expect("the stream has ended")
    }

    /// The data of that many records, from as many events as it takes.
    pub(crate) async fn take(&mut self, count: usize) -> Vec<String> {
        let mut taken = Vec::new();
        while taken.len() < count {
            taken.extend(pushed_texts(&self.event().await));
        }
        taken
    }
}

/// The data of an event's records as texts.
pub(crate) fn pushed_texts(event: &SubscribeToShardEvent) -> Vec<String> {
    event.records().iter().map(|record| String::from_utf8(record.data().as_ref().to_vec()).unwrap()).collect()
}
