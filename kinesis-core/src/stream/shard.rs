//! Shards: their ids, their ranges, their lineage.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use super::hash_key::HashKeyRange;
use super::sequence_number::SequenceNumber;

/// The most characters that the service allows in a shard id.
const MAX_SHARD_ID_LENGTH: usize = 128;

/// The id of a shard within its stream, such as `shardId-000000000000`.
///
/// Clones share the text. Ids order as the texts do, which is the order of creation while they have twelve digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(Arc<str>);

impl ShardId {
    /// The id that the service gives to the shard `index` of a stream: twelve digits, zero-padded.
    pub fn from_index(index: u64) -> Self {
        Self(format!("shardId-{index:012}").into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number in the id, where it has the service's form.
    pub fn index(&self) -> Option<u64> {
        self.0.strip_prefix("shardId-")?.parse().ok()
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for ShardId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for ShardId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Text that is no shard id.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` is no shard id: it must be 1 to 128 of the characters A-Z a-z 0-9 _ . -")]
pub struct ParseShardIdError {
    text: String,
}

impl FromStr for ShardId {
    type Err = ParseShardIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        if text.is_empty() || text.len() > MAX_SHARD_ID_LENGTH || !text.bytes().all(allowed) {
            return Err(ParseShardIdError { text: text.to_owned() });
        }
        Ok(Self(text.into()))
    }
}

/// A shard as a listing describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// The shard's id.
    pub id: ShardId,
    /// The hash keys whose records the shard takes.
    pub hash_key_range: HashKeyRange,
    /// The shard that was split, or the first of the two that were merged, to make this one.
    pub parent: Option<ShardId>,
    /// The second of the two shards that were merged to make this one.
    pub adjacent_parent: Option<ShardId>,
    /// The first number that the shard can hold.
    pub starting_sequence_number: SequenceNumber,
    /// The last number that the shard can hold; nothing while it is open.
    pub ending_sequence_number: Option<SequenceNumber>,
}

impl Shard {
    /// The shards that this one was made of: none, one after a split, two after a merge.
    pub fn parents(&self) -> impl Iterator<Item = &ShardId> {
        self.parent.iter().chain(&self.adjacent_parent)
    }

    /// Whether the shard still takes records.
    pub const fn is_open(&self) -> bool {
        self.ending_sequence_number.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_made_and_read_as_the_service_writes_them() {
        let id = ShardId::from_index(12);
        assert_eq!(id.as_str(), "shardId-000000000012");
        assert_eq!(id.index(), Some(12));
        assert_eq!("shardId-00000001536805703746-69688cb1".parse::<ShardId>().unwrap().index(), None);
    }

    #[test]
    fn ids_with_foreign_characters_are_refused() {
        for bad in ["", "shard id", "shard/1", &"x".repeat(129)] {
            assert!(bad.parse::<ShardId>().is_err(), "{bad:?} was accepted");
        }
    }
}
