//! What a job reads from, behind one seam.

use std::time::{Duration, SystemTime};

use kinesis_core::{
    GetRecordsReply, IteratorStart, KinesisClient, ListShardsScope, RequestError, Shard, ShardId, StreamArn, StreamName,
};

#[cfg(feature = "dynamodb-streams")]
use crate::dynamodb_streams::DynamoDbStreams;

/// The service that keeps the records.
#[derive(Clone, Debug)]
pub(crate) enum Service {
    Kinesis(KinesisClient),
    #[cfg(feature = "dynamodb-streams")]
    DynamoDb(DynamoDbStreams),
}

/// What a job has to know of a stream.
#[derive(Clone, Debug)]
pub(crate) struct StreamFacts {
    pub(crate) arn: StreamArn,
    /// With the ARN, what tells the stream from a later one of the same name.
    pub(crate) created_at: SystemTime,
    pub(crate) retention: Duration,
    /// The service's clock when it answered.
    pub(crate) served_at: Option<SystemTime>,
}

impl Service {
    pub(crate) async fn describe(&self, stream: &StreamName) -> Result<StreamFacts, RequestError> {
        match self {
            Self::Kinesis(client) => {
                let summary = client.describe_stream_summary(stream).await?;
                let (arn, created_at, retention) = (summary.arn, summary.created_at, summary.retention);
                Ok(StreamFacts { arn, created_at, retention, served_at: summary.served_at })
            }
            #[cfg(feature = "dynamodb-streams")]
            Self::DynamoDb(streams) => streams.describe(stream).await,
        }
    }

    /// A complete listing, or an error: never a part.
    pub(crate) async fn list_shards(&self, stream: &StreamName) -> Result<Vec<Shard>, RequestError> {
        match self {
            Self::Kinesis(client) => client.list_shards(stream, ListShardsScope::All).await,
            #[cfg(feature = "dynamodb-streams")]
            Self::DynamoDb(streams) => streams.list_shards(stream).await,
        }
    }

    pub(crate) async fn get_shard_iterator(
        &self,
        stream: &StreamName,
        shard: &ShardId,
        start: IteratorStart,
    ) -> Result<String, RequestError> {
        match self {
            Self::Kinesis(client) => client.get_shard_iterator(stream, shard, start).await,
            #[cfg(feature = "dynamodb-streams")]
            Self::DynamoDb(streams) => streams.get_shard_iterator(stream, shard, start).await,
        }
    }

    pub(crate) async fn get_records(
        &self,
        stream: &StreamName,
        shard: &ShardId,
        iterator: &str,
        limit: u32,
    ) -> Result<GetRecordsReply, RequestError> {
        match self {
            Self::Kinesis(client) => client.get_records(stream, shard, iterator, limit).await,
            #[cfg(feature = "dynamodb-streams")]
            Self::DynamoDb(streams) => streams.get_records(stream, shard, iterator, limit).await,
        }
    }
}
