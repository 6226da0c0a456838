//! What is refused before it is packed.

use kinesis_core::{HashKey, HashKeyRange, ParseHashKeyError};
use thiserror::Error;

/// Hash key ranges that are not those of a stream's open shards.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RangesError {
    /// There is none.
    #[error("no hash key range was given; give those of the stream's open shards")]
    NoRanges,
    /// Two hold the same hash keys; a parent and its child do.
    #[error("hash key ranges {first} and {second} overlap; give those of open shards only")]
    Overlapping {
        /// The range that begins first.
        first: HashKeyRange,
        /// The range that begins before the other ends.
        second: HashKeyRange,
    },
}

/// A record that was not accepted; others are not concerned.
///
/// The same record fails again, [`OutsideRanges`](Self::OutsideRanges) aside where the ranges are not current.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The partition key is empty.
    #[error("record not accepted: its partition key is empty; it must have 1 to 256 characters")]
    EmptyPartitionKey,
    /// The partition key has more than 256 Unicode characters.
    #[error("record not accepted: its partition key has {characters} characters; at most 256 are allowed")]
    PartitionKeyTooLong {
        /// How many it has.
        characters: usize,
    },
    /// The explicit hash key is no decimal integer of 128 bits without sign.
    #[error("record not accepted: its explicit hash key is not readable")]
    InvalidExplicitHashKey {
        /// What is wrong with it.
        #[source]
        source: ParseHashKeyError,
    },
    /// Data and partition key are larger than a Kinesis record may be.
    #[error(
        "record not accepted: data and partition key have {size_bytes} bytes, the limit is {limit_bytes}; see \
         PackingLimits::max_record_bytes"
    )]
    TooLarge {
        /// What the service would count.
        size_bytes: usize,
        /// The limit that was set.
        limit_bytes: usize,
    },
    /// No range holds the record's hash key.
    #[error("record not accepted: no hash key range holds {hash_key}; give the ranges of all open shards")]
    OutsideRanges {
        /// The hash key that would place the record.
        hash_key: HashKey,
    },
}
