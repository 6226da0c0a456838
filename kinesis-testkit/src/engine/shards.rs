//! One shard: what it holds, where it came from, what became of it.

use kinesis_core::{HashKeyRange, SequenceNumber, Shard as ShardDescription, ShardId};
use serde::{Deserialize, Serialize};

use super::limits::Meters;
use super::records::RecordLog;
use super::saved::{optional_text, range, text};
use super::sequence::{LAST_INDEX, SequenceParts};
use super::waiting::Waiting;

/// The shards that a shard was made of.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Parents {
    #[serde(with = "optional_text")]
    pub(super) parent: Option<ShardId>,
    #[serde(with = "optional_text")]
    pub(super) adjacent: Option<ShardId>,
}

/// How a shard ended.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Closed {
    pub(super) at_millis: u64,
    pub(super) children: Vec<u32>,
}

/// The shard that a text names: the service reads what stands behind the first hyphen, or the whole where there is
/// none, as a number (recorded by kinesalite, `db/index.js`).
pub(crate) fn resolve_shard_id(text: &str) -> Option<ShardId> {
    let behind = text.split('-').nth(1).filter(|behind| !behind.is_empty());
    let digits = behind.unwrap_or(text);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let index: u64 = digits.parse().ok().filter(|_| is_number)?;
    (index <= i32::MAX as u64).then(|| ShardId::from_index(index))
}

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Shard {
    pub(super) index: u32,
    #[serde(with = "text")]
    pub(super) id: ShardId,
    #[serde(with = "range")]
    pub(super) range: HashKeyRange,
    pub(super) parents: Parents,
    pub(super) created_millis: u64,
    /// The second that the shard's sequence numbers carry: higher than its parents', so that its numbers are too.
    pub(super) created_secs: u64,
    pub(super) closed: Option<Closed>,
    #[serde(skip)]
    pub(super) log: RecordLog,
    #[serde(skip, default = "full")]
    pub(super) meters: Meters,
    #[serde(skip)]
    pub(super) waiting: Waiting,
}

/// What the meters of a shard that comes back show.
const fn full() -> Meters {
    Meters::FULL
}

impl Shard {
    pub(super) fn open(
        index: u32,
        range: HashKeyRange,
        parents: Parents,
        created_millis: u64,
        created_secs: u64,
    ) -> Self {
        Self {
            index,
            id: ShardId::from_index(u64::from(index)),
            range,
            parents,
            created_millis,
            created_secs,
            closed: None,
            log: RecordLog::default(),
            meters: Meters::FULL,
            waiting: Waiting::default(),
        }
    }

    pub(super) const fn is_open(&self) -> bool {
        self.closed.is_none()
    }

    /// Whether the shard was open at `millis` or later.
    pub(super) fn lasted_until(&self, millis: u64) -> bool {
        self.closed.as_ref().is_none_or(|closed| closed.at_millis >= millis)
    }

    pub(super) fn number(&self, index: u64, arrived_millis: u64) -> SequenceNumber {
        SequenceParts {
            shard_created_secs: self.created_secs,
            shard_index: self.index,
            index,
            time_secs: arrived_millis / 1000,
        }
        .encode()
    }

    fn starting_number(&self) -> SequenceNumber {
        self.number(0, self.created_secs * 1000)
    }

    fn ending_number(&self) -> Option<SequenceNumber> {
        let closed = self.closed.as_ref()?;
        Some(self.number(LAST_INDEX, closed.at_millis))
    }

    pub(super) fn describe(&self) -> ShardDescription {
        ShardDescription {
            id: self.id.clone(),
            hash_key_range: self.range,
            parent: self.parents.parent.clone(),
            adjacent_parent: self.parents.adjacent.clone(),
            starting_sequence_number: self.starting_number(),
            ending_sequence_number: self.ending_number(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_named_by_its_number_alone() {
        for text in ["5", "shardId-000000000005", "a-5", "-5", "a-5-b", "00000000000000000005"] {
            assert_eq!(resolve_shard_id(text), Some(ShardId::from_index(5)), "{text}");
        }
        for text in ["", "a", "a-", "2147483648", "2.14E4", "a-b", "+5", "99999999999999999999999"] {
            assert_eq!(resolve_shard_id(text), None, "{text}");
        }
    }
}
