//! Packing records for whoever puts them himself, shard by shard.

mod error;
mod lane;

use bytes::Bytes;
use kinesis_core::{HashKey, HashKeyRange};

pub use self::error::{RangesError, RecordError};
use self::lane::Lane;
use crate::encode::AggregateBuilder;
use crate::user_record::UserRecord;

/// The most characters of a partition key (API reference, PutRecordsRequestEntry).
const MAX_PARTITION_KEY_CHARACTERS: usize = 256;

/// How large records may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackingLimits {
    max_bytes: usize,
    max_count: usize,
    max_record_bytes: usize,
}

impl Default for PackingLimits {
    fn default() -> Self {
        Self { max_bytes: 51_200, max_count: u32::MAX as usize, max_record_bytes: 1024 * 1024 }
    }
}

impl PackingLimits {
    /// The largest aggregate, with its frame; 51,200 bytes by default, as the KPL's `AggregationMaxSize`.
    ///
    /// A record that does not fit goes alone. With the partition key beside it an aggregate never has more than
    /// [`max_record_bytes`](Self::max_record_bytes).
    pub const fn max_bytes(mut self, limit: usize) -> Self {
        self.max_bytes = limit;
        self
    }

    /// The most user records of an aggregate; 4,294,967,295 by default, as the KPL's `AggregationMaxCount`.
    ///
    /// With 0 or 1 every record goes alone. Firehose takes aggregates of more than 500 apart wrongly, says its
    /// documentation.
    pub const fn max_count(mut self, limit: usize) -> Self {
        self.max_count = limit;
        self
    }

    /// The largest Kinesis record, data and partition key; 1 MiB by default, as the service's.
    ///
    /// Streams may be set to take up to 10 MiB.
    pub const fn max_record_bytes(mut self, limit: usize) -> Self {
        self.max_record_bytes = limit;
        self
    }

    /// What an aggregate may have: its partition key is one letter.
    fn aggregate_bytes(&self) -> usize {
        self.max_bytes.min(self.max_record_bytes.saturating_sub(crate::encode::AGGREGATE_PARTITION_KEY.len()))
    }
}

/// A Kinesis record that is ready to be put.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KinesisRecord {
    /// The data: an aggregate, or the data of the only user record as it is.
    pub data: Bytes,
    /// The partition key to put it with: `a` for an aggregate, as the KPL does, else the user record's own.
    pub partition_key: String,
    /// The explicit hash key to put it with, which places it: that of the first user record.
    ///
    /// Without it an aggregate would land wherever its partition key hashes to.
    pub explicit_hash_key: HashKey,
    /// How many user records it holds; at least one.
    pub members: usize,
}

/// Packs records by the hash key ranges of a stream's shards.
///
/// Every aggregate holds records of one range only and is to be put with a hash key of that range: readers that follow
/// the KCL drop an aggregate of which one record belongs to another shard. Records of one range leave in the order they
/// came. A record that is alone when its time comes goes as it is, as with the KPL; only where it has tags is it an
/// aggregate of one.
///
/// The ranges are those of the open shards, as ListShards tells. When the stream is resharded, [`flush`](Self::flush)
/// and make a new aggregator of the new ranges. Memory: an aggregate per range, or one record that is larger.
///
/// ```
/// use kinesis_aggregation::{PackingLimits, RangeAggregator};
/// use kinesis_core::HashKeyRange;
///
/// let shards = HashKeyRange::uniform(2);
/// let mut aggregator = RangeAggregator::new(shards, PackingLimits::default())?;
/// let mut to_put = Vec::new();
/// for order in 0..10 {
///     to_put.extend(aggregator.add(&format!("customer-{order}"), None, b"ordered")?);
/// }
/// to_put.extend(aggregator.flush());
/// assert_eq!(to_put.len(), 2, "one for each shard");
/// assert_eq!(to_put.iter().map(|record| record.members).sum::<usize>(), 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RangeAggregator {
    /// By range, which do not overlap.
    lanes: Vec<Lane>,
    limits: PackingLimits,
}

impl RangeAggregator {
    /// Makes an empty aggregator for those ranges, in any order and with gaps or without.
    ///
    /// # Errors
    /// [`RangesError`] where there is no range, or where two overlap.
    pub fn new(ranges: impl IntoIterator<Item = HashKeyRange>, limits: PackingLimits) -> Result<Self, RangesError> {
        let mut lanes: Vec<_> = ranges.into_iter().map(Lane::new).collect();
        if lanes.is_empty() {
            return Err(RangesError::NoRanges);
        }
        lanes.sort_by_key(|lane| lane.range);
        for pair in lanes.windows(2) {
            let (first, second) = (pair[0].range, pair[1].range);
            if first.overlaps(&second) {
                return Err(RangesError::Overlapping { first, second });
            }
        }
        Ok(Self { lanes, limits })
    }

    /// Adds a record; returns the Kinesis record that is full by it.
    ///
    /// A record that is too large for an aggregate is returned at once, alone. Where others of its range wait, they are
    /// returned first, and it comes with the next record or [`flush`](Self::flush). The explicit hash key is a decimal
    /// integer from 0 to 2^128 - 1. Empty data is allowed, as by the service.
    ///
    /// # Errors
    /// [`RecordError`] where the service would not take the record, or no range holds it. It concerns that record
    /// alone: what waits stays as it is.
    pub fn add(
        &mut self,
        partition_key: &str,
        explicit_hash_key: Option<&str>,
        data: &[u8],
    ) -> Result<Option<KinesisRecord>, RecordError> {
        let explicit_hash_key = explicit_hash_key.map(str::parse).transpose();
        let explicit_hash_key = explicit_hash_key.map_err(|source| RecordError::InvalidExplicitHashKey { source })?;
        self.add_record(&UserRecord { partition_key, explicit_hash_key, data, tags: &[] })
    }

    /// Adds a record that may have tags, as [`add`](Self::add) does.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn add_record(&mut self, record: &UserRecord<'_>) -> Result<Option<KinesisRecord>, RecordError> {
        check_partition_key(record.partition_key)?;
        self.check_size(record)?;
        let hash_key = record.hash_key();
        let at = self.lanes.partition_point(|lane| lane.range.end() < hash_key);
        match self.lanes.get_mut(at) {
            Some(lane) if lane.range.contains(hash_key) => Ok(lane.add(record, hash_key, &self.limits)),
            _ => Err(RecordError::OutsideRanges { hash_key }),
        }
    }

    /// Returns everything that waits, one Kinesis record for each range that has any, by range.
    pub fn flush(&mut self) -> Vec<KinesisRecord> {
        self.lanes.iter_mut().filter_map(Lane::finish).collect()
    }

    /// How many user records wait.
    pub fn len(&self) -> usize {
        self.lanes.iter().map(Lane::len).sum()
    }

    /// Whether no user record waits.
    pub fn is_empty(&self) -> bool {
        self.lanes.iter().all(|lane| lane.len() == 0)
    }

    /// The service counts data and partition key; a record with tags goes in a frame, also alone.
    fn check_size(&self, record: &UserRecord<'_>) -> Result<(), RecordError> {
        let data_bytes = match record.tags {
            [] => record.data.len(),
            _ => AggregateBuilder::new().size_with_record(record),
        };
        let size_bytes = data_bytes + record.partition_key.len();
        let limit_bytes = self.limits.max_record_bytes;
        if size_bytes > limit_bytes {
            return Err(RecordError::TooLarge { size_bytes, limit_bytes });
        }
        Ok(())
    }
}

fn check_partition_key(key: &str) -> Result<(), RecordError> {
    if key.is_empty() {
        return Err(RecordError::EmptyPartitionKey);
    }
    // A character takes at least a byte, so that most keys need not be counted.
    if key.len() > MAX_PARTITION_KEY_CHARACTERS {
        let characters = key.chars().count();
        if characters > MAX_PARTITION_KEY_CHARACTERS {
            return Err(RecordError::PartitionKeyTooLong { characters });
        }
    }
    Ok(())
}
