//! Aggregates that are broken or hostile (F17).
//!
//! Written by hand at the level of bytes, since no sound encoder writes what is wanted here. The layout is that of
//! `aggregation-format.md` and `messages.proto` (KPL): magic bytes, protobuf message, MD5 of the message.

use bytes::Bytes;
use kinesis_core::RandomStream;
use md5::{Digest, Md5};

const MAGIC: [u8; 4] = [0xF3, 0x89, 0x9A, 0xC2];
const DIGEST_BYTES: usize = 16;
/// What a Kinesis record holds unless its stream allows more.
const RECORD_BYTES: usize = 1024 * 1024;

// Protobuf keys: number of the field, and how its value is written.
const PARTITION_KEYS: u8 = 1 << 3 | LENGTH;
const RECORDS: u8 = 3 << 3 | LENGTH;
const KEY_INDEX: u8 = 1 << 3;
const HASH_KEY_INDEX: u8 = 2 << 3;
const DATA: u8 = 3 << 3 | LENGTH;
const LENGTH: u8 = 2;

/// How an aggregate is broken.
///
/// All but [`Digest`](Self::Digest) carry the digest of their broken message, so that they pass for aggregates until
/// the message itself is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Corruption {
    /// A byte of the MD5 is wrong: the record is a plain one, by the KCL's rule.
    Digest,
    /// The message ends in the middle of a field.
    Truncated,
    /// A record's partition key is one that the table does not have.
    KeyIndex,
    /// A record's explicit hash key is one that the table does not have.
    HashKeyIndex,
    /// A field says that it is longer than the message, by up to an exabyte.
    Length,
    /// A number goes on for more bytes than 64 bits have.
    Varint,
    /// A record has no data.
    MissingData,
    /// A partition key is not UTF-8.
    KeyNotUtf8,
    /// The message has no records.
    NoRecords,
    /// As many of the smallest legal records as fit into one mebibyte, some 170 thousand: sound, but absurd.
    Count,
}

impl Corruption {
    /// Every way, in the order of the variants.
    pub const ALL: &'static [Self] = &[
        Self::Digest,
        Self::Truncated,
        Self::KeyIndex,
        Self::HashKeyIndex,
        Self::Length,
        Self::Varint,
        Self::MissingData,
        Self::KeyNotUtf8,
        Self::NoRecords,
        Self::Count,
    ];

    /// Whether what comes of it is an aggregate with records after all; true for [`Count`](Self::Count) alone.
    pub const fn is_decodable(self) -> bool {
        matches!(self, Self::Count)
    }
}

/// Breaks an aggregate of the KPL's; what varies is drawn from `random`.
///
/// What is not framed as an aggregate, or is shorter than a frame, is taken as a message without frame. Broken records
/// are put behind those that are there, so that a decoder that keeps what it has read so far is found out.
pub fn corrupt_aggregate(aggregate: &[u8], how: Corruption, random: &mut RandomStream) -> Bytes {
    let is_framed = aggregate.len() >= MAGIC.len() + DIGEST_BYTES && aggregate.starts_with(&MAGIC);
    let message = if is_framed { &aggregate[MAGIC.len()..aggregate.len() - DIGEST_BYTES] } else { aggregate };
    let mut message = message.to_vec();
    match how {
        Corruption::Digest => {}
        Corruption::Truncated => {
            // Behind a field that is announced with more bytes than follow, so that any cut is in the middle of one.
            let data = [b"data".as_slice(), &[0; 60]].concat();
            let record = record(&[field(KEY_INDEX, &varint(0)), bytes_field(DATA, &data)]);
            let cut = 1 + random.below(record.len() as u64 - 2) as usize;
            message.extend(&record[..record.len() - cut]);
        }
        Corruption::KeyIndex => {
            let index = far_index(random);
            message.extend(record(&[field(KEY_INDEX, &varint(index)), bytes_field(DATA, b"data")]));
        }
        Corruption::HashKeyIndex => {
            let index = far_index(random);
            let fields =
                [field(KEY_INDEX, &varint(0)), field(HASH_KEY_INDEX, &varint(index)), bytes_field(DATA, b"data")];
            message.extend(record(&fields));
        }
        Corruption::Length => {
            message.push(RECORDS);
            message.extend(varint(message.len() as u64 + (1 << (20 + random.below(41)))));
            message.extend(field(KEY_INDEX, &varint(0)));
        }
        Corruption::Varint => message.extend(record(&[field(KEY_INDEX, &[0xff; 11])])),
        Corruption::MissingData => message.extend(record(&[field(KEY_INDEX, &varint(0))])),
        Corruption::KeyNotUtf8 => message.extend(bytes_field(PARTITION_KEYS, &[0xc3, 0x28])),
        Corruption::NoRecords => message = bytes_field(PARTITION_KEYS, b"key"),
        Corruption::Count => fill(&mut message),
    }
    let mut bytes = [&MAGIC[..], &message, &Md5::digest(&message)].concat();
    if how == Corruption::Digest {
        let at = bytes.len() - 1 - random.below(DIGEST_BYTES as u64) as usize;
        bytes[at] ^= 1 + random.below(255) as u8;
    }
    Bytes::from(bytes)
}

/// An index that no table has, some just past 32 bits or at the end of 64.
fn far_index(random: &mut RandomStream) -> u64 {
    [1 << 20, u64::from(u32::MAX), 1 << 32, 1 << 63, u64::MAX][random.below(5) as usize]
}

/// Fills up to a mebibyte, frame included, with empty records of the first partition key.
fn fill(message: &mut Vec<u8>) {
    message.extend(bytes_field(PARTITION_KEYS, b"k"));
    let smallest = record(&[field(KEY_INDEX, &varint(0)), bytes_field(DATA, b"")]);
    while message.len() + smallest.len() + MAGIC.len() + DIGEST_BYTES <= RECORD_BYTES {
        message.extend(&smallest);
    }
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn field(key: u8, value: &[u8]) -> Vec<u8> {
    [&[key], value].concat()
}

fn bytes_field(key: u8, value: &[u8]) -> Vec<u8> {
    [&[key], varint(value.len() as u64).as_slice(), value].concat()
}

fn record(fields: &[Vec<u8>]) -> Vec<u8> {
    bytes_field(RECORDS, &fields.concat())
}

#[cfg(test)]
mod tests {
    use kinesis_aggregation::{AggregateBuilder, decode, has_magic};
    use kinesis_core::Randomness;

    use super::*;

    fn aggregate() -> Bytes {
        let mut builder = AggregateBuilder::new();
        builder.add("customer-7", None, b"ordered");
        builder.add("customer-8", None, b"paid");
        builder.finish()
    }

    #[test]
    fn only_what_is_sound_is_decoded() {
        for seed in 0..300 {
            for how in Corruption::ALL {
                // Filling a mebibyte takes long in a debug build.
                if *how == Corruption::Count && seed > 0 {
                    continue;
                }
                let mut random = Randomness::from_seed(seed).stream("aggregate");
                let broken = corrupt_aggregate(&aggregate(), *how, &mut random);
                assert!(has_magic(&broken), "seed {seed}, {how:?}");
                let decoded = decode(&broken);
                if *how == Corruption::Digest {
                    assert!(matches!(decoded, Ok(None)), "seed {seed}: {decoded:?}");
                } else {
                    assert_eq!(decoded.is_ok(), how.is_decodable(), "seed {seed}, {how:?}: {:?}", decoded.err());
                }
            }
        }
    }

    #[test]
    fn absurdly_many_records_fit_into_one() {
        let mut random = Randomness::from_seed(0).stream("aggregate");
        let broken = corrupt_aggregate(&aggregate(), Corruption::Count, &mut random);
        assert!((RECORD_BYTES - 8..=RECORD_BYTES).contains(&broken.len()), "{} bytes", broken.len());
        let members = decode(&broken).unwrap().unwrap().members().count();
        assert!((170_000..180_000).contains(&members), "{members} members");
    }

    #[test]
    fn a_seed_breaks_in_one_way() {
        let broken = |seed, how| corrupt_aggregate(&aggregate(), how, &mut Randomness::from_seed(seed).stream("a"));
        for how in [Corruption::Digest, Corruption::Truncated, Corruption::KeyIndex, Corruption::Length] {
            assert_eq!(broken(1, how), broken(1, how), "{how:?}");
            assert!((2..50).any(|seed| broken(seed, how) != broken(1, how)), "{how:?} does not vary");
        }
    }
}
