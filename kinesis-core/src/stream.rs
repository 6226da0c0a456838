//! The vocabulary of streams: names, shards, hash keys, sequence numbers.

mod arn;
mod hash_key;
mod sequence_number;
mod shard;

pub use arn::{ParseStreamArnError, ParseStreamNameError, StreamArn, StreamName};
pub use hash_key::{HashKey, HashKeyRange, InvertedRangeError, ParseHashKeyError};
pub use sequence_number::{ParseSequenceNumberError, RecordPosition, SequenceNumber};
pub use shard::{ParseShardIdError, Shard, ShardId};
