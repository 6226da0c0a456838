//! Reads a shard or a stream from its oldest record to its tip.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::SdkError;
use aws_sdk_kinesis::operation::get_records::{GetRecordsError, GetRecordsOutput};
use aws_sdk_kinesis::operation::get_shard_iterator::GetShardIteratorError;
use aws_sdk_kinesis::operation::list_shards::ListShardsError;
use aws_sdk_kinesis::types::{Record, ShardIteratorType};
use bytes::Bytes;
use kinesis_core::{SequenceNumber, ShardId};
use thiserror::Error;

use super::calls::retry_throttled;

/// A record that was read; an aggregate of the KPL is one record here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadRecord {
    /// The shard that held it.
    pub shard: ShardId,
    /// Its number there.
    pub sequence_number: SequenceNumber,
    /// The partition key; nothing on streams that distribute records themselves.
    pub partition_key: Option<String>,
    /// What is stored.
    pub data: Bytes,
    /// When it was stored, by the service's clock.
    pub arrived_at: Option<SystemTime>,
}

/// What a shard held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShardContents {
    /// The records, oldest first.
    pub records: Vec<ReadRecord>,
    /// Whether the shard is closed and was read to its end.
    pub ended: bool,
    /// The shards that follow it and their parents, where its end was read.
    pub children: BTreeMap<ShardId, Vec<ShardId>>,
}

/// A shard that could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadShardError {
    /// There was no iterator to be had.
    #[error("GetShardIterator for shard {shard} of stream `{stream}` failed")]
    Iterator {
        /// The stream.
        stream: String,
        /// The shard.
        shard: String,
        /// What the SDK says.
        source: Box<SdkError<GetShardIteratorError>>,
    },
    /// A read failed.
    #[error("GetRecords from shard {shard} of stream `{stream}` failed after {read} records")]
    Records {
        /// The stream.
        stream: String,
        /// The shard.
        shard: String,
        /// How many records had been read.
        read: usize,
        /// What the SDK says.
        source: Box<SdkError<GetRecordsError>>,
    },
    /// A reply does not hold what the API promises.
    #[error("a reply about shard {shard} of stream `{stream}` has no valid `{field}`, but `{value}`")]
    Malformed {
        /// The stream.
        stream: String,
        /// The shard.
        shard: String,
        /// The field's name in the API.
        field: &'static str,
        /// What is there instead.
        value: String,
    },
}

/// A stream that could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadAllError {
    /// The shards could not be listed.
    #[error("ListShards of stream `{stream}` failed")]
    List {
        /// The stream.
        stream: String,
        /// What the SDK says.
        source: Box<SdkError<ListShardsError>>,
    },
    /// A listing names a shard by an id that is none.
    #[error("ListShards of stream `{stream}` names `{value}`, which is no shard id")]
    Malformed {
        /// The stream.
        stream: String,
        /// What is there instead.
        value: String,
    },
    /// A shard could not be read.
    #[error("stream `{stream}` could not be read in full")]
    Shard {
        /// The stream.
        stream: String,
        /// What was wrong with the shard.
        source: ReadShardError,
    },
}

/// Reads every record of every shard, a shard's parents before itself, to the tip or the end.
///
/// Closed shards and those that come up meanwhile, by ChildShards or in a later listing, are read too. The tip is an
/// empty reply that is not behind; with a writer that never pauses it may never come. Throttled calls are made up to 20
/// times, 100 ms to 1 s of tokio's time apart.
///
/// Cancel safety: nothing is changed by a read.
///
/// # Errors
/// [`ReadAllError`]; a retry is safe.
pub async fn read_all(client: &Client, stream: &str) -> Result<Vec<ReadRecord>, ReadAllError> {
    let mut records = Vec::new();
    let mut waiting: BTreeMap<ShardId, Vec<ShardId>> = BTreeMap::new();
    let mut known = BTreeSet::new();
    loop {
        let Some(shard) = next_of(&waiting) else {
            waiting = list(client, stream).await?;
            waiting.retain(|shard, _| known.insert(shard.clone()));
            if waiting.is_empty() {
                return Ok(records);
            }
            continue;
        };
        let read = read_shard(client, stream, shard.as_str()).await;
        let read = read.map_err(|source| ReadAllError::Shard { stream: stream.to_owned(), source })?;
        waiting.remove(&shard);
        records.extend(read.records);
        waiting.extend(read.children.into_iter().filter(|(child, _)| known.insert(child.clone())));
    }
}

/// The first shard that has no parent to be read before it; one that retention has removed is none.
fn next_of(waiting: &BTreeMap<ShardId, Vec<ShardId>>) -> Option<ShardId> {
    let is_ready = |parents: &Vec<ShardId>| !parents.iter().any(|parent| waiting.contains_key(parent));
    let ready = waiting.iter().find(|(_, parents)| is_ready(parents));
    // A listing in which every shard waits for another is no lineage; then any order is as good.
    ready.or_else(|| waiting.first_key_value()).map(|(shard, _)| shard.clone())
}

async fn list(client: &Client, stream: &str) -> Result<BTreeMap<ShardId, Vec<ShardId>>, ReadAllError> {
    let mut shards = BTreeMap::new();
    let mut token: Option<String> = None;
    loop {
        let request = match token.take() {
            Some(token) => client.list_shards().next_token(token),
            None => client.list_shards().stream_name(stream),
        };
        let page = retry_throttled(|| request.clone().send()).await;
        let page = page.map_err(|source| ReadAllError::List { stream: stream.to_owned(), source })?;
        for shard in page.shards() {
            let parents = [shard.parent_shard_id(), shard.adjacent_parent_shard_id()];
            let parents = parents.into_iter().flatten().map(|id| listed_id(stream, id));
            shards.insert(listed_id(stream, shard.shard_id())?, parents.collect::<Result<_, _>>()?);
        }
        token = page.next_token;
        if token.is_none() {
            return Ok(shards);
        }
    }
}

fn listed_id(stream: &str, id: &str) -> Result<ShardId, ReadAllError> {
    id.parse().map_err(|_| ReadAllError::Malformed { stream: stream.to_owned(), value: id.to_owned() })
}

/// Reads one shard from its oldest record to its tip, or to its end where it is closed.
///
/// The tip is an empty reply that is not behind; with a writer that never pauses it may never come. Throttled calls are
/// made up to 20 times, 100 ms to 1 s of tokio's time apart.
///
/// Cancel safety: nothing is changed by a read.
///
/// # Errors
/// [`ReadShardError`]; a retry is safe.
pub async fn read_shard(client: &Client, stream: &str, shard: &str) -> Result<ShardContents, ReadShardError> {
    let reader = Reader { client, stream, shard };
    let mut contents = ShardContents::default();
    let mut next = Some(reader.iterator().await?);
    while let Some(iterator) = next {
        let reply = reader.records(iterator, contents.records.len()).await?;
        let at_the_tip = reply.records().is_empty() && reply.millis_behind_latest().unwrap_or_default() == 0;
        contents.children.extend(reader.children(&reply)?);
        contents.ended = reply.next_shard_iterator().is_none();
        for record in reply.records {
            contents.records.push(reader.record(record)?);
        }
        next = reply.next_shard_iterator.filter(|_| !at_the_tip);
    }
    Ok(contents)
}

struct Reader<'a> {
    client: &'a Client,
    stream: &'a str,
    shard: &'a str,
}

impl Reader<'_> {
    async fn iterator(&self) -> Result<String, ReadShardError> {
        let request = self.client.get_shard_iterator().stream_name(self.stream).shard_id(self.shard);
        let request = request.shard_iterator_type(ShardIteratorType::TrimHorizon);
        let reply = retry_throttled(|| request.clone().send()).await.map_err(|source| ReadShardError::Iterator {
            stream: self.stream.to_owned(),
            shard: self.shard.to_owned(),
            source,
        })?;
        reply.shard_iterator.ok_or_else(|| self.malformed("ShardIterator", ""))
    }

    async fn records(&self, iterator: String, read: usize) -> Result<GetRecordsOutput, ReadShardError> {
        let request = self.client.get_records().shard_iterator(iterator);
        retry_throttled(|| request.clone().send()).await.map_err(|source| ReadShardError::Records {
            stream: self.stream.to_owned(),
            shard: self.shard.to_owned(),
            read,
            source,
        })
    }

    fn children(&self, reply: &GetRecordsOutput) -> Result<BTreeMap<ShardId, Vec<ShardId>>, ReadShardError> {
        let id = |text: &str| text.parse().map_err(|_| self.malformed("ChildShards", text));
        let children = reply.child_shards().iter().map(|child| {
            let parents = child.parent_shards().iter().map(|parent| id(parent));
            Ok((id(child.shard_id())?, parents.collect::<Result<_, _>>()?))
        });
        children.collect()
    }

    fn record(&self, record: Record) -> Result<ReadRecord, ReadShardError> {
        let shard = self.shard.parse().map_err(|_| self.malformed("ShardId", self.shard))?;
        let number = record.sequence_number();
        Ok(ReadRecord {
            shard,
            sequence_number: number.parse().map_err(|_| self.malformed("SequenceNumber", number))?,
            arrived_at: record.approximate_arrival_timestamp().and_then(|time| SystemTime::try_from(*time).ok()),
            data: Bytes::from(record.data.into_inner()),
            partition_key: record.partition_key,
        })
    }

    fn malformed(&self, field: &'static str, value: &str) -> ReadShardError {
        let (stream, shard) = (self.stream.to_owned(), self.shard.to_owned());
        ReadShardError::Malformed { stream, shard, field, value: value.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_waits_for_its_parents_and_not_for_those_that_are_gone() {
        let [zero, one, two, three] = [0, 1, 2, 3].map(ShardId::from_index);
        let mut waiting = BTreeMap::from([(one.clone(), vec![two.clone()]), (two.clone(), vec![zero])]);
        assert_eq!(next_of(&waiting), Some(two.clone()));
        waiting.remove(&two);
        assert_eq!(next_of(&waiting), Some(one));
        assert_eq!(next_of(&BTreeMap::from([(three.clone(), vec![three.clone()])])), Some(three), "no lineage");
        assert_eq!(next_of(&BTreeMap::new()), None);
    }
}
