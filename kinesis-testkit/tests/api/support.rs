//! What the tests share.

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::operation::get_records::GetRecordsOutput;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, ShardIteratorType};
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
