//! The 128-bit hash key space and its ranges.

use std::fmt;
use std::str::FromStr;

use md5::{Digest, Md5};
use thiserror::Error;

/// A point in the 128-bit hash key space, `0` to `2^128 - 1`.
///
/// The service places a record by its explicit hash key where one is given, else by the MD5 of the partition key's
/// UTF-8 bytes, read as a big-endian unsigned integer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HashKey(u128);

impl HashKey {
    /// The lowest hash key.
    pub const MIN: Self = Self(0);
    /// The highest hash key, `2^128 - 1`.
    pub const MAX: Self = Self(u128::MAX);

    /// Makes a hash key of its number.
    pub const fn new(value: u128) -> Self {
        Self(value)
    }

    /// The hash key of a partition key: the MD5 of its UTF-8 bytes.
    pub fn of_partition_key(partition_key: &str) -> Self {
        Self(u128::from_be_bytes(Md5::digest(partition_key.as_bytes()).into()))
    }

    /// The number behind the key.
    pub const fn value(self) -> u128 {
        self.0
    }
}

impl fmt::Display for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<u128> for HashKey {
    fn from(value: u128) -> Self {
        Self(value)
    }
}

/// Text that is no hash key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` is no hash key: write a decimal integer from 0 to 2^128 - 1")]
pub struct ParseHashKeyError {
    text: String,
}

impl FromStr for HashKey {
    type Err = ParseHashKeyError;

    /// Reads decimal digits, without sign or blanks.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseHashKeyError { text: text.to_owned() };
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(error());
        }
        text.parse().map(Self).map_err(|_| error())
    }
}

/// An inclusive range of hash keys, as a shard owns one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HashKeyRange {
    start: HashKey,
    end: HashKey,
}

/// A hash key range that ends before it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("hash key range {start}..={end} ends before it starts")]
pub struct InvertedRangeError {
    start: HashKey,
    end: HashKey,
}

impl HashKeyRange {
    /// The whole key space.
    pub const FULL: Self = Self { start: HashKey::MIN, end: HashKey::MAX };

    /// Makes the range from `start` to `end`, both included.
    ///
    /// # Errors
    /// [`InvertedRangeError`] where `end` is below `start`.
    pub fn new(start: HashKey, end: HashKey) -> Result<Self, InvertedRangeError> {
        if end < start {
            return Err(InvertedRangeError { start, end });
        }
        Ok(Self { start, end })
    }

    /// The first key of the range.
    pub const fn start(&self) -> HashKey {
        self.start
    }

    /// The last key of the range, included.
    pub const fn end(&self) -> HashKey {
        self.end
    }

    /// Whether the range holds `key`.
    pub fn contains(&self, key: HashKey) -> bool {
        self.start <= key && key <= self.end
    }

    /// Whether the two ranges share a key.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.start <= other.end && other.start <= self.end
    }

    /// Whether one range begins right after the other ends.
    pub fn is_adjacent(&self, other: &Self) -> bool {
        let follows = |low: &Self, high: &Self| low.end.0.checked_add(1) == Some(high.start.0);
        follows(self, other) || follows(other, self)
    }

    /// The key in the middle, rounded down.
    pub fn midpoint(&self) -> HashKey {
        HashKey(self.start.0 + (self.end.0 - self.start.0) / 2)
    }

    /// Cuts the range in two, the upper one beginning with `at`; nothing where one half would be empty.
    pub fn split(&self, at: HashKey) -> Option<(Self, Self)> {
        if at <= self.start || at > self.end {
            return None;
        }
        let below = HashKey(at.0 - 1);
        Some((Self { start: self.start, end: below }, Self { start: at, end: self.end }))
    }

    /// Joins two adjacent ranges; nothing where they are not adjacent.
    pub fn merge(&self, other: &Self) -> Option<Self> {
        self.is_adjacent(other).then(|| Self { start: self.start.min(other.start), end: self.end.max(other.end) })
    }

    /// Cuts the whole key space into `count` ranges of width `2^128 / count`, the last one taking the remainder.
    ///
    /// That is how the service lays out a new stream.
    pub fn uniform(count: u32) -> Vec<Self> {
        if count < 2 {
            return vec![Self::FULL; count as usize];
        }
        let count = u128::from(count);
        // 2^128 does not fit: floor(2^128 / n) = floor((2^128 - 1) / n), plus one where n divides 2^128.
        let width = u128::MAX / count + u128::from(u128::MAX % count == count - 1);
        (0..count)
            .map(|index| Self {
                start: HashKey(index * width),
                end: if index + 1 == count { HashKey::MAX } else { HashKey((index + 1) * width - 1) },
            })
            .collect()
    }
}

impl fmt::Display for HashKeyRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..={}", self.start, self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partition_keys_hash_as_the_kpl_documents() {
        // `abcd` as in the KPL's user_record_test.cc.
        assert_eq!(HashKey::of_partition_key("abcd").value(), 0xE2FC_714C_4727_EE93_95F3_24CD_2E7F_331F);
        assert_eq!(HashKey::of_partition_key("a").to_string(), "16955237001963240173058271559858726497");
    }

    #[test]
    fn hash_keys_are_plain_decimals_within_128_bits() {
        let max = "340282366920938463463374607431768211455";
        assert_eq!(max.parse(), Ok(HashKey::MAX));
        for bad in ["", "+5", "-1", " 1", "1e3", "340282366920938463463374607431768211456"] {
            assert!(bad.parse::<HashKey>().is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn two_uniform_shards_meet_at_the_middle() {
        let ranges = HashKeyRange::uniform(2);
        assert_eq!(ranges[0].end().to_string(), "170141183460469231731687303715884105727");
        assert_eq!(ranges[1].start().to_string(), "170141183460469231731687303715884105728");
    }

    #[test]
    fn uniform_ranges_tile_the_space() {
        for count in [1, 2, 3, 4, 5, 7, 64, 1000] {
            let ranges = HashKeyRange::uniform(count);
            assert_eq!(ranges.len(), count as usize);
            assert_eq!((ranges[0].start(), ranges[ranges.len() - 1].end()), (HashKey::MIN, HashKey::MAX));
            assert!(ranges.windows(2).all(|pair| pair[0].is_adjacent(&pair[1])));
        }
        // As in the KPL's aggregator_test.cc: the last range takes the remainder of thirds.
        assert_eq!(HashKeyRange::uniform(3)[2].start().value(), u128::MAX / 3 * 2);
    }

    #[test]
    fn split_and_merge_are_inverse() {
        let (low, high) = HashKeyRange::FULL.split(HashKey::new(7)).unwrap();
        assert_eq!((low.end().value(), high.start().value()), (6, 7));
        assert_eq!(high.merge(&low), Some(HashKeyRange::FULL));
        assert_eq!(HashKeyRange::FULL.split(HashKey::MIN), None);
        assert_eq!(low.merge(&low), None);
    }
}
