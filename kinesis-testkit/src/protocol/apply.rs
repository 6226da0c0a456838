//! From a checked request through the engine to a reply.

use std::time::SystemTime;

use kinesis_core::{Shard as ShardDescription, StreamName, from_unix_millis};

use super::json;
use super::request::Request;
use crate::engine::{Engine, GetRecordsReply, PutOutcome, ServiceError, ShardPage, StoredAt, StreamRef, StreamView};

/// A reply before it is written.
#[derive(Debug)]
pub(crate) enum Reply {
    Empty,
    Stream { view: StreamView, shards: Vec<ShardDescription>, more: bool },
    Summary(StreamView),
    Streams { views: Vec<StreamView>, next_token: Option<String> },
    Shards(ShardPage),
    Put(StoredAt),
    PutAll(Vec<PutOutcome>),
    Iterator(String),
    Records(GetRecordsReply),
}

impl Reply {
    /// Writes the reply as the body of an answer.
    pub(crate) fn to_json(&self) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Stream { view, shards, more } => json::stream_description(view, shards, *more),
            Self::Summary(view) => json::stream_summary(view),
            Self::Streams { views, next_token } => json::streams(views, next_token.as_deref()),
            Self::Shards(page) => json::shards(page),
            Self::Put(stored) => json::put_record(stored),
            Self::PutAll(outcomes) => json::put_records(outcomes),
            Self::Iterator(iterator) => json::iterator(iterator),
            Self::Records(reply) => json::records(reply),
        }
    }

    /// Where the entries of a put were stored, each with its index.
    pub(crate) fn stored(&self) -> Vec<(usize, &StoredAt)> {
        match self {
            Self::Put(stored) => vec![(0, stored)],
            Self::PutAll(outcomes) => {
                let outcomes = outcomes.iter().enumerate();
                outcomes.filter_map(|(index, outcome)| Some((index, outcome.as_ref().ok()?))).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// Carries out a request; `fails(index)` names the error of a PutRecords entry that is not to be applied.
pub(crate) fn apply(
    engine: &mut Engine,
    now: SystemTime,
    request: &mut Request,
    fails: impl Fn(usize) -> Option<ServiceError>,
) -> Result<Reply, ServiceError> {
    match request {
        Request::PutRecord { stream, entry } => {
            let mut outcomes = engine.put(now, stream, std::slice::from_mut(entry), |_| None)?;
            let outcome = outcomes.pop();
            outcome
                .unwrap_or_else(|| Err(ServiceError::new("InternalFailure", "Internal service failure.", 500)))
                .map(Reply::Put)
        }
        Request::PutRecords { stream, entries } => engine.put(now, stream, entries, fails).map(Reply::PutAll),
        Request::GetRecords { iterator, limit } => engine.get_records(now, iterator, *limit).map(Reply::Records),
        Request::GetShardIterator { stream, shard, start } => {
            engine.get_shard_iterator(now, stream, shard, start).map(Reply::Iterator)
        }
        Request::CreateStream { name, options } => engine.create_stream(now, name, options).map(|()| Reply::Empty),
        Request::DeleteStream(stream) => engine.delete_stream(now, stream).map(|()| Reply::Empty),
        Request::SplitShard { stream, shard, at } => engine.split(now, stream, shard, Some(*at)).map(|_| Reply::Empty),
        Request::MergeShards { stream, shard, adjacent } => {
            engine.merge(now, stream, shard, adjacent).map(|_| Reply::Empty)
        }
        Request::SetRetention { stream, hours, longer } => {
            engine.set_retention(now, stream, *hours, *longer).map(|()| Reply::Empty)
        }
        Request::UpdateMaxRecordSize { stream, kib } => {
            engine.set_max_record_kib(now, stream, *kib).map(|()| Reply::Empty)
        }
        Request::DescribeStream { stream, exclusive_start, limit } => {
            let view = engine.describe(now, stream)?;
            let (shards, more) = engine.describe_shards(now, stream, exclusive_start.as_deref(), *limit)?;
            Ok(Reply::Stream { view, shards, more })
        }
        Request::DescribeStreamSummary(stream) => engine.describe(now, stream).map(Reply::Summary),
        Request::ListStreams { exclusive_start, next_token, limit } => {
            list_streams(engine, now, exclusive_start.as_deref(), next_token.as_deref(), *limit)
        }
        Request::ListShards { stream, created_millis, filter, exclusive_start, max_results } => {
            require_creation(engine, now, stream, *created_millis)?;
            engine
                .list_shards(now, stream, filter.as_ref(), exclusive_start.as_deref(), *max_results)
                .map(Reply::Shards)
        }
        Request::ListMoreShards { next_token, max_results } => {
            engine.list_more_shards(now, next_token, *max_results).map(Reply::Shards)
        }
    }
}

/// Refuses a listing that means an earlier stream of the same name.
fn require_creation(
    engine: &mut Engine,
    now: SystemTime,
    stream: &StreamRef,
    created_millis: Option<u64>,
) -> Result<(), ServiceError> {
    let Some(created) = created_millis.map(from_unix_millis) else { return Ok(()) };
    let view = engine.describe(now, stream)?;
    if view.created_at != created {
        return Err(ServiceError::stream_not_found(stream.name.as_str(), view.arn.account()));
    }
    Ok(())
}

fn list_streams(
    engine: &mut Engine,
    now: SystemTime,
    exclusive_start: Option<&str>,
    next_token: Option<&str>,
    limit: usize,
) -> Result<Reply, ServiceError> {
    let from_token: Option<StreamName> = next_token.map(|token| engine.read_stream_page_token(token)).transpose()?;
    let after = from_token.as_ref().map(StreamName::as_str).or(exclusive_start);
    let (views, more) = engine.list_streams(now, after, limit);
    let next_token = views.last().filter(|_| more).map(|last| engine.stream_page_token(now, last.arn.name()));
    Ok(Reply::Streams { views, next_token })
}
