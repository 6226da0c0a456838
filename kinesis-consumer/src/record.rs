//! Records and batches, as they are delivered.

use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use kinesis_core::{HashKey, RecordPosition, ShardId, StreamName};

use crate::schema::RecordMetadata;

/// A shard of a stream.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamShard {
    /// The stream.
    pub stream: StreamName,
    /// The shard within it.
    pub shard: ShardId,
}

impl fmt::Display for StreamShard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.stream, self.shard)
    }
}

/// A user record: what a producer put, taken out of its aggregate if it came in one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// The stream and shard that the record was read from.
    pub shard: StreamShard,
    /// Where the record stands in its shard.
    pub position: RecordPosition,
    /// The partition key; nothing on streams that distribute records themselves.
    pub partition_key: Option<PartitionKey>,
    /// The explicit hash key, where the aggregate carries one; the service does not return it for plain records.
    pub explicit_hash_key: Option<HashKey>,
    /// What the producer wrote.
    pub data: Bytes,
    /// When the service stored the record, by its own clock; not always ascending.
    pub arrived_at: Option<SystemTime>,
}

impl Record {
    /// What is known of the record besides its data; texts are shared, not copied.
    pub fn metadata(&self) -> RecordMetadata {
        RecordMetadata {
            shard: self.shard.clone(),
            position: self.position,
            partition_key: self.partition_key.clone(),
            explicit_hash_key: self.explicit_hash_key,
            arrived_at: self.arrived_at,
        }
    }

    #[cfg(test)]
    pub(crate) fn for_tests(sequence: u128, data: Bytes) -> Self {
        Self {
            shard: StreamShard { stream: "orders".parse().unwrap(), shard: ShardId::from_index(0) },
            position: RecordPosition::new(sequence.into(), 0),
            partition_key: Some(PartitionKey::new("key")),
            explicit_hash_key: None,
            data,
            arrived_at: None,
        }
    }
}

/// A partition key, sharing the memory of the record that it came with.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionKey(Bytes);

impl PartitionKey {
    /// Takes a key's text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Bytes::from(text.into()))
    }

    /// Takes bytes that are UTF-8; nothing where they are not.
    pub(crate) fn from_utf8(bytes: Bytes) -> Option<Self> {
        std::str::from_utf8(&bytes).is_ok().then_some(Self(bytes))
    }

    /// The key's text.
    pub fn as_str(&self) -> &str {
        // Checked when the key was made; the alternative without a second check needs unsafe code.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for PartitionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// Items of one shard, in the order of the shard.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Batch<T> {
    /// The shard that the items come from.
    pub shard: StreamShard,
    /// What the schema made of the records; never empty.
    pub items: Vec<T>,
    /// How far the reply that held the items was behind the tip of the shard.
    pub behind_latest: Option<Duration>,
    /// The job's watermark: no record before it is expected any more; nothing while that is not known, or without a
    /// [strategy](crate::WatermarkStrategy).
    pub watermark: Option<SystemTime>,
}
