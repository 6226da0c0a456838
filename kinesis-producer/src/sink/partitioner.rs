//! Which partition key an element gets.

use kinesis_core::{HashKey, RandomStream, Randomness};
use parking_lot::Mutex;
use thiserror::Error;

/// Gives each element its partition key, and with it its shard.
///
/// A closure from `&T` to a text is a partitioner too.
pub trait Partitioner<T: ?Sized>: Send + Sync + 'static {
    /// The partition key, of 1 to 256 characters; another fails the element's write.
    fn partition_key(&self, element: &T) -> String;

    /// The hash key that decides the shard instead of the partition key's; none by default.
    fn explicit_hash_key(&self, element: &T) -> Option<HashKey> {
        let _ = element;
        None
    }
}

impl<T, K, F> Partitioner<T> for F
where
    T: ?Sized,
    K: Into<String>,
    F: Fn(&T) -> K + Send + Sync + 'static,
{
    fn partition_key(&self, element: &T) -> String {
        self(element).into()
    }
}

/// Gives all elements of a subtask one key, so that each subtask writes to one shard.
///
/// The key is the subtask's index in decimal, from `0`, as with the reference connector's `FixedKinesisPartitioner`.
/// Several subtasks may meet in one shard, and a shard may get none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedPartitioner {
    key: String,
}

impl FixedPartitioner {
    /// Makes the partitioner of a subtask, from 0, of so many.
    ///
    /// # Errors
    /// [`InvalidSubtaskError`] where there is no such subtask.
    pub fn new(subtask: usize, parallelism: usize) -> Result<Self, InvalidSubtaskError> {
        if subtask >= parallelism {
            return Err(InvalidSubtaskError { subtask, parallelism });
        }
        Ok(Self { key: subtask.to_string() })
    }
}

impl<T: ?Sized> Partitioner<T> for FixedPartitioner {
    fn partition_key(&self, _element: &T) -> String {
        self.key.clone()
    }
}

/// There is no such subtask.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("no subtask {subtask} among {parallelism}; they are counted from 0")]
#[non_exhaustive]
pub struct InvalidSubtaskError {
    /// The subtask that was named.
    pub subtask: usize,
    /// How many there are.
    pub parallelism: usize,
}

/// Gives each element a random key, so that all shards get the same share; there is no order then.
///
/// The key is a random UUID as text, as with the reference connector's `RandomKinesisPartitioner`.
#[derive(Debug)]
pub struct RandomPartitioner(Mutex<RandomStream>);

impl RandomPartitioner {
    /// Makes a partitioner that repeats itself for the same seed.
    pub fn new(randomness: &Randomness) -> Self {
        Self(Mutex::new(randomness.stream("partition key")))
    }
}

/// Seeded from the operating system's entropy.
impl Default for RandomPartitioner {
    fn default() -> Self {
        Self::new(&Randomness::from_entropy())
    }
}

impl<T: ?Sized> Partitioner<T> for RandomPartitioner {
    fn partition_key(&self, _element: &T) -> String {
        let (high, low) = {
            let mut random = self.0.lock();
            (random.next_u64(), random.next_u64())
        };
        uuid(high, low)
    }
}

/// A UUID of version 4 (RFC 9562, 5.4) from that many random bits.
fn uuid(high: u64, low: u64) -> String {
    let high = high & !0xf000 | 0x4000;
    let low = low & !(0b11 << 62) | 0b10 << 62;
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn key(partitioner: &impl Partitioner<u8>) -> String {
        partitioner.partition_key(&7)
    }

    #[test]
    fn a_fixed_key_is_the_index_of_the_subtask() {
        let keys = [0, 1, 11].map(|subtask| key(&FixedPartitioner::new(subtask, 12).unwrap()));
        assert_eq!(keys, ["0", "1", "11"]);
        let fixed = FixedPartitioner::new(0, 1).unwrap();
        assert_eq!(Partitioner::<u8>::explicit_hash_key(&fixed, &7), None);
    }

    #[test]
    fn a_subtask_that_does_not_exist_is_named() {
        let error = FixedPartitioner::new(4, 4).unwrap_err();
        assert_eq!(error.to_string(), "no subtask 4 among 4; they are counted from 0");
        assert!(FixedPartitioner::new(0, 0).is_err());
    }

    #[test]
    fn random_keys_are_uuids_of_version_4() {
        assert_eq!(uuid(0, 0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(uuid(u64::MAX, u64::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(uuid(0x0123_4567_89ab_cdef, 0x0123_4567_89ab_cdef), "01234567-89ab-4def-8123-456789abcdef");
    }

    #[test]
    fn random_keys_repeat_by_seed_and_not_otherwise() {
        let keys = |seed| {
            let random = RandomPartitioner::new(&Randomness::from_seed(seed));
            std::iter::repeat_with(|| key(&random)).take(1000).collect::<BTreeSet<_>>()
        };
        assert_eq!(keys(1).len(), 1000);
        assert_eq!(keys(1), keys(1));
        assert!(keys(1).is_disjoint(&keys(2)));
    }

    #[test]
    fn random_keys_reach_all_shards_alike() {
        let random = RandomPartitioner::new(&Randomness::from_seed(1));
        let mut shards = [0u32; 4];
        for _ in 0..4000 {
            shards[(HashKey::of_partition_key(&key(&random)).value() >> 126) as usize] += 1;
        }
        // 1000 each; five standard deviations are 137.
        assert!(shards.iter().all(|count| (863..=1137).contains(count)), "{shards:?}");
    }

    #[test]
    fn a_closure_is_a_partitioner() {
        let partitioner = |element: &u8| format!("customer-{element}");
        assert_eq!(key(&partitioner), "customer-7");
        assert_eq!(key(&|_: &u8| "same"), "same");
    }
}
