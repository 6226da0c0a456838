//! The records of one range.

use bytes::Bytes;
use kinesis_core::{HashKey, HashKeyRange};

use super::{KinesisRecord, PackingLimits};
use crate::encode::{AGGREGATE_PARTITION_KEY, AggregateBuilder};
use crate::user_record::UserRecord;

/// The smallest member there is: a known key with an index of one byte, and no data.
const SMALLEST_MEMBER_BYTES: usize = 6;

/// What the first record decides, and what is sent of it where no other joins.
#[derive(Debug)]
struct First {
    partition_key: String,
    hash_key: HashKey,
    data_bytes: usize,
    has_tags: bool,
}

/// Packs the records of one range, in the order they come.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) range: HashKeyRange,
    /// There is one exactly where the builder is not empty.
    first: Option<First>,
    builder: AggregateBuilder,
}

impl Lane {
    pub(super) fn new(range: HashKeyRange) -> Self {
        Self { range, first: None, builder: AggregateBuilder::new() }
    }

    pub(super) const fn len(&self) -> usize {
        self.builder.len()
    }

    /// Adds a record, and yields what is full by it, or what it does not fit into.
    pub(super) fn add(
        &mut self,
        record: &UserRecord<'_>,
        hash_key: HashKey,
        limits: &PackingLimits,
    ) -> Option<KinesisRecord> {
        let limit_bytes = limits.aggregate_bytes();
        if let Ok(size_bytes) = self.builder.try_add(record, limit_bytes) {
            self.first.get_or_insert_with(|| First::of(record, hash_key));
            let is_full = self.len() >= limits.max_count || size_bytes + SMALLEST_MEMBER_BYTES > limit_bytes;
            return if is_full { self.finish() } else { None };
        }
        let full = self.finish();
        // It fits into the empty builder, or goes alone: a builder of one record is sent as that record.
        self.builder.add_record(record);
        self.first = Some(First::of(record, hash_key));
        full.or_else(|| self.finish())
    }

    /// Yields what waits.
    pub(super) fn finish(&mut self) -> Option<KinesisRecord> {
        let first = self.first.take()?;
        let members = self.len();
        let explicit_hash_key = first.hash_key;
        if members > 1 {
            let partition_key = AGGREGATE_PARTITION_KEY.to_owned();
            return Some(KinesisRecord { data: self.builder.finish(), partition_key, explicit_hash_key, members });
        }
        let data = self.single(&first);
        Some(KinesisRecord { data, partition_key: first.partition_key, explicit_hash_key, members })
    }

    /// The only record as it is; in a frame where it has tags, which have no place elsewhere.
    fn single(&mut self, first: &First) -> Bytes {
        if first.has_tags {
            return self.builder.finish();
        }
        let data = self.builder.tail(first.data_bytes);
        self.builder.clear();
        data
    }
}

impl First {
    fn of(record: &UserRecord<'_>, hash_key: HashKey) -> Self {
        Self {
            partition_key: record.partition_key.to_owned(),
            hash_key,
            data_bytes: record.data.len(),
            has_tags: !record.tags.is_empty(),
        }
    }
}
