//! Items together with what is known of their records.

use std::time::SystemTime;

use kinesis_core::{HashKey, RecordPosition};

use super::{BoxError, ErrorPolicy, Schema};
use crate::record::{PartitionKey, Record, StreamShard};

/// What is known of a record besides its data.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordMetadata {
    /// The stream and shard that it was read from.
    pub shard: StreamShard,
    /// Its sequence number, and its sub-sequence number: the index in its aggregate, 0 where it came in none.
    pub position: RecordPosition,
    /// The partition key; nothing on streams that distribute records themselves.
    pub partition_key: Option<PartitionKey>,
    /// The explicit hash key, where the aggregate carries one; the service does not return it for plain records.
    pub explicit_hash_key: Option<HashKey>,
    /// When the service stored it, by its own clock; not always ascending.
    pub arrived_at: Option<SystemTime>,
}

/// An item with its record's metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Described<T> {
    /// What is known of the record.
    pub metadata: RecordMetadata,
    /// What the schema made of it.
    pub item: T,
}

/// Hands each item of another schema on with its record's metadata; see [`Schema::with_metadata`].
#[derive(Clone, Copy, Debug, Default)]
pub struct WithMetadata<S>(pub S);

impl<S: Schema> Schema for WithMetadata<S> {
    type Item = Described<S::Item>;

    fn decode(&self, record: Record) -> Result<Option<Self::Item>, BoxError> {
        let metadata = record.metadata();
        let item = self.0.decode(record)?;
        Ok(item.map(|item| Described { metadata, item }))
    }

    fn event_time(&self, item: &Self::Item, arrived_at: Option<SystemTime>) -> Option<SystemTime> {
        self.0.event_time(&item.item, arrived_at)
    }

    fn error_policy(&self) -> ErrorPolicy {
        self.0.error_policy()
    }
}
