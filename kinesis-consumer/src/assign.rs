//! Which subtask reads which shard.

use std::fmt::Debug;

use kinesis_core::{HashKey, Shard, StreamName};

/// Chooses the subtask that reads a shard.
///
/// The answer must depend on nothing but the arguments: a restored job asks again.
pub trait ShardAssigner: Debug + Send + Sync {
    /// Any number; its remainder modulo `parallelism`, without its sign, is the subtask.
    fn assign(&self, stream: &StreamName, shard: &Shard, parallelism: usize) -> i32;
}

/// Spreads shards by a hash of stream name and shard id, as the reference connector does.
///
/// The numbers are those of Flink's `StreamShardHandle.hashCode`, so that a job moved over keeps its assignment.
#[derive(Clone, Copy, Debug, Default)]
pub struct HashAssigner;

impl ShardAssigner for HashAssigner {
    fn assign(&self, stream: &StreamName, shard: &Shard, _parallelism: usize) -> i32 {
        let hash = 17i32.wrapping_mul(37).wrapping_add(java_hash(stream.as_str()));
        hash.wrapping_mul(37).wrapping_add(java_hash(shard.id.as_str()))
    }
}

/// Gives each subtask a contiguous part of the hash key space, by the middle of the shard's range.
///
/// Even after resharding, where ids are no longer consecutive (Flink, `UniformShardAssigner`).
#[derive(Clone, Copy, Debug, Default)]
pub struct UniformAssigner;

impl ShardAssigner for UniformAssigner {
    fn assign(&self, stream: &StreamName, shard: &Shard, parallelism: usize) -> i32 {
        let index = share(shard.hash_key_range.midpoint(), parallelism);
        (index as i32).wrapping_add(java_hash(stream.as_str()))
    }
}

/// `floor(key * parts / 2^128)`.
fn share(key: HashKey, parts: usize) -> u128 {
    let (high, low) = (key.value() >> 64, key.value() & u128::from(u64::MAX));
    let parts = parts as u128;
    (high * parts + ((low * parts) >> 64)) >> 64
}

/// Java's `String.hashCode`, over UTF-16 units.
fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// The subtask that an assigner's number stands for.
pub(crate) fn subtask_of(assigned: i32, parallelism: usize) -> usize {
    (i64::from(assigned) % parallelism as i64).unsigned_abs() as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use kinesis_core::{HashKeyRange, SequenceNumber, ShardId};

    fn shard(index: u64, range: HashKeyRange) -> Shard {
        Shard {
            id: ShardId::from_index(index),
            hash_key_range: range,
            parent: None,
            adjacent_parent: None,
            starting_sequence_number: SequenceNumber::ZERO,
            ending_sequence_number: None,
        }
    }

    #[test]
    fn hashes_and_owners_are_those_of_the_reference() {
        // Flink: StreamShardHandle.hashCode over ("fakeStream", "shardId-00000000000N").
        let stream: StreamName = "fakeStream".parse().unwrap();
        let expected = [
            (-1_450_717_882, [0, 1, 2, 2]),
            (-1_450_717_881, [1, 0, 1, 1]),
            (-1_450_717_880, [0, 2, 0, 0]),
            (-1_450_717_879, [1, 1, 3, 9]),
        ];
        for (index, (hash, owners)) in expected.into_iter().enumerate() {
            let shard = shard(index as u64, HashKeyRange::FULL);
            let assigned = HashAssigner.assign(&stream, &shard, 2);
            assert_eq!(assigned, hash);
            assert_eq!([2, 3, 4, 10].map(|parallelism| subtask_of(assigned, parallelism)), owners);
        }
    }

    #[test]
    fn uniform_shares_follow_the_hash_key_space() {
        // Flink, UniformShardAssignerTest, three subtasks; a one-letter stream name shifts all by its hash.
        let third = u128::MAX / 3;
        let cases =
            [(0, 0, 0), (0, third, 0), (third, 2 * third, 1), (2 * third, u128::MAX, 2), (u128::MAX, u128::MAX, 2)];
        for (start, end, expected) in cases {
            let range = HashKeyRange::new(HashKey::new(start), HashKey::new(end)).unwrap();
            assert_eq!(share(range.midpoint(), 3), expected, "{range}");
        }
    }
}
