//! Packing records into an aggregate.

use std::fmt::Write;

use bytes::Bytes;
use kinesis_core::HashKey;
use prost::encoding::{encode_varint, encoded_len_varint};
use thiserror::Error;

use crate::frame::{FRAME_OVERHEAD_BYTES, MAGIC, digest};
use crate::string_table::{Probe, StringTable};
use crate::tag::Tag;
use crate::user_record::UserRecord;

/// The partition key that the KPL gives to an aggregate of two or more members.
///
/// It places nothing: the aggregate goes where the explicit hash key beside it says, that of its first member.
pub const AGGREGATE_PARTITION_KEY: &str = "a";

/// The key bytes of the fields: number << 3 | wire type.
const RECORDS: u8 = 3 << 3 | 2;
const PARTITION_KEY_INDEX: u8 = 1 << 3;
const EXPLICIT_HASH_KEY_INDEX: u8 = 2 << 3;
const DATA: u8 = 3 << 3 | 2;
const TAGS: u8 = 4 << 3 | 2;
const TAG_KEY: u8 = 1 << 3 | 2;
const TAG_VALUE: u8 = 2 << 3 | 2;

/// A record that was not added because the aggregate would be larger than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "aggregate full: with the record it would have {size_bytes} bytes, the limit is {limit_bytes}; finish it first"
)]
#[non_exhaustive]
pub struct AggregateFull {
    /// The exact size that the aggregate would have had.
    pub size_bytes: usize,
    /// The limit that was given.
    pub limit_bytes: usize,
}

/// Packs records into one aggregate, with an exact size at every step.
///
/// Keys and explicit hash keys stand in tables, each text once, in the order of their first use; only explicit hash
/// keys that were given are written. All members should belong to one shard: readers that follow the KCL drop an
/// aggregate whole if one member is outside the range of the shard it is read from.
/// [`RangeAggregator`](crate::RangeAggregator) sees to that; this type does not.
///
/// Adding a record takes the time of copying it, however many were added before.
#[derive(Clone, Debug)]
pub struct AggregateBuilder {
    partition_keys: StringTable,
    explicit_hash_keys: StringTable,
    records: Vec<u8>,
    len: usize,
    /// The decimal of the explicit hash key at hand, kept for its memory.
    decimal: String,
}

/// What a record would become.
#[derive(Clone, Copy, Debug)]
struct Measured {
    key: Probe,
    explicit: Option<Probe>,
    /// The encoded record, without its own key and length.
    record_bytes: usize,
    /// The aggregate with the record.
    size_bytes: usize,
}

impl Default for AggregateBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl AggregateBuilder {
    /// Makes an empty builder.
    pub fn new() -> Self {
        Self {
            partition_keys: StringTable::new(1),
            explicit_hash_keys: StringTable::new(2),
            records: Vec::new(),
            len: 0,
            decimal: String::new(),
        }
    }

    /// How many records were added.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether no record was added.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The exact size of what [`finish`](Self::finish) would return.
    pub fn size_bytes(&self) -> usize {
        FRAME_OVERHEAD_BYTES
            + self.partition_keys.encoded().len()
            + self.explicit_hash_keys.encoded().len()
            + self.records.len()
    }

    /// The exact size after a record of that key and of `data_bytes` would be added, without tags.
    pub fn size_with(&mut self, partition_key: &str, explicit_hash_key: Option<HashKey>, data_bytes: usize) -> usize {
        self.measure(partition_key, explicit_hash_key, data_bytes, &[]).size_bytes
    }

    /// The exact size after that record would be added, with its tags.
    pub fn size_with_record(&mut self, record: &UserRecord<'_>) -> usize {
        self.measure_record(record).size_bytes
    }

    /// Adds a record as the next member, without tags and whatever the size comes to.
    pub fn add(&mut self, partition_key: &str, explicit_hash_key: Option<HashKey>, data: &[u8]) {
        self.add_record(&UserRecord { partition_key, explicit_hash_key, data, tags: &[] });
    }

    /// Adds a record with its tags as the next member, whatever the size comes to.
    pub fn add_record(&mut self, record: &UserRecord<'_>) {
        let measured = self.measure_record(record);
        self.write(record, measured);
    }

    /// Adds a record where the aggregate then has at most `limit_bytes`; returns its size.
    ///
    /// # Errors
    /// [`AggregateFull`] where it would have more; the builder is as before.
    pub fn try_add(&mut self, record: &UserRecord<'_>, limit_bytes: usize) -> Result<usize, AggregateFull> {
        let measured = self.measure_record(record);
        let size_bytes = measured.size_bytes;
        if size_bytes > limit_bytes {
            return Err(AggregateFull { size_bytes, limit_bytes });
        }
        self.write(record, measured);
        Ok(size_bytes)
    }

    /// Returns the aggregate of all records added, and empties the builder.
    ///
    /// A single record is framed too. The KPL sends that one plain, under its own partition key; whoever wants the
    /// same does so before coming here. An empty builder yields a frame that every reader takes for a plain record.
    pub fn finish(&mut self) -> Bytes {
        let mut out = Vec::with_capacity(self.size_bytes());
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(self.partition_keys.encoded());
        out.extend_from_slice(self.explicit_hash_keys.encoded());
        out.extend_from_slice(&self.records);
        let digest = digest(&out[MAGIC.len()..]);
        out.extend_from_slice(&digest);
        self.clear();
        out.into()
    }

    /// Drops all records added, and keeps the memory for the next.
    pub fn clear(&mut self) {
        self.partition_keys.clear();
        self.explicit_hash_keys.clear();
        self.records.clear();
        self.len = 0;
    }

    /// The last `data_bytes` of the records: the data of the last member where it has no tags.
    pub(crate) fn tail(&self, data_bytes: usize) -> Bytes {
        Bytes::copy_from_slice(&self.records[self.records.len() - data_bytes..])
    }

    fn measure_record(&mut self, record: &UserRecord<'_>) -> Measured {
        self.measure(record.partition_key, record.explicit_hash_key, record.data.len(), record.tags)
    }

    /// Leaves the decimal of the explicit hash key in its buffer, for [`write`](Self::write).
    fn measure(
        &mut self,
        partition_key: &str,
        explicit_hash_key: Option<HashKey>,
        data_bytes: usize,
        tags: &[Tag],
    ) -> Measured {
        let key = self.partition_keys.probe(partition_key);
        let explicit = explicit_hash_key.map(|key| {
            self.decimal.clear();
            // Writing to a String cannot fail.
            let _ = write!(self.decimal, "{key}");
            self.explicit_hash_keys.probe(&self.decimal)
        });
        let record_bytes = 1
            + encoded_len_varint(key.index)
            + explicit.map_or(0, |explicit| 1 + encoded_len_varint(explicit.index))
            + field_len(data_bytes)
            + tags.iter().map(|tag| field_len(tag_len(tag))).sum::<usize>();
        let tables_bytes = key.added_bytes + explicit.map_or(0, |explicit| explicit.added_bytes);
        let size_bytes = self.size_bytes() + tables_bytes + field_len(record_bytes);
        Measured { key, explicit, record_bytes, size_bytes }
    }

    fn write(&mut self, record: &UserRecord<'_>, measured: Measured) {
        self.partition_keys.insert(record.partition_key, measured.key);
        if let Some(explicit) = measured.explicit {
            self.explicit_hash_keys.insert(&self.decimal, explicit);
        }
        let out = &mut self.records;
        out.push(RECORDS);
        encode_varint(measured.record_bytes as u64, out);
        out.push(PARTITION_KEY_INDEX);
        encode_varint(measured.key.index, out);
        if let Some(explicit) = measured.explicit {
            out.push(EXPLICIT_HASH_KEY_INDEX);
            encode_varint(explicit.index, out);
        }
        write_field(DATA, record.data, out);
        for tag in record.tags {
            out.push(TAGS);
            encode_varint(tag_len(tag) as u64, out);
            write_field(TAG_KEY, tag.key.as_bytes(), out);
            if let Some(value) = &tag.value {
                write_field(TAG_VALUE, value.as_bytes(), out);
            }
        }
        self.len += 1;
    }
}

/// The length of a field of `bytes`, with its key and its length.
fn field_len(bytes: usize) -> usize {
    1 + encoded_len_varint(bytes as u64) + bytes
}

fn tag_len(tag: &Tag) -> usize {
    field_len(tag.key.len()) + tag.value.as_ref().map_or(0, |value| field_len(value.len()))
}

fn write_field(key: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(key);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use kinesis_core::Randomness;
    use prost::Message;

    use super::*;
    use crate::wire::{WireAggregate, WireRecord, WireTag};

    type Input = (String, Option<HashKey>, Vec<u8>, Vec<Tag>);

    fn record(input: &Input) -> UserRecord<'_> {
        let (partition_key, explicit_hash_key, data, tags) = input;
        UserRecord { partition_key, explicit_hash_key: *explicit_hash_key, data, tags }
    }

    /// The same aggregate through prost's own encoder.
    fn reference(inputs: &[Input]) -> Vec<u8> {
        fn intern(table: &mut Vec<String>, text: String) -> u64 {
            let found = table.iter().position(|entry| *entry == text);
            found.unwrap_or_else(|| {
                table.push(text);
                table.len() - 1
            }) as u64
        }
        let mut wire = WireAggregate::default();
        for (key, explicit, data, tags) in inputs {
            let record = WireRecord {
                partition_key_index: intern(&mut wire.partition_key_table, key.clone()),
                explicit_hash_key_index: explicit.map(|key| intern(&mut wire.explicit_hash_key_table, key.to_string())),
                data: data.clone(),
                tags: tags.iter().map(|tag| WireTag { key: Some(tag.key.clone()), value: tag.value.clone() }).collect(),
            };
            wire.records.push(record);
        }
        let message = wire.encode_to_vec();
        [&MAGIC[..], &message, &digest(&message)].concat()
    }

    fn random_inputs(seed: u64) -> Vec<Input> {
        let mut random = Randomness::from_seed(seed).stream("inputs");
        let count = 1 + random.below(300);
        (0..count)
            .map(|_| {
                let key = "kéy-".repeat(1 + random.below(40) as usize) + &random.below(200).to_string();
                let explicit = match random.below(3) {
                    0 => None,
                    1 => Some(HashKey::new(u128::from(random.below(3)))),
                    _ => Some(HashKey::new(u128::from(random.next_u64()) << 64)),
                };
                let bound = [0, 10, 300, 20_000][random.below(4) as usize];
                let data = (0..random.below(bound)).map(|_| random.next_u64() as u8).collect();
                let tag = |text: String| match text.len() {
                    0 => Tag::new("bare"),
                    _ => Tag::new("origin").value(text),
                };
                let texts = (0..random.below(8).saturating_sub(5)).map(|_| "é".repeat(random.below(100) as usize));
                (key, explicit, data, texts.map(tag).collect())
            })
            .collect()
    }

    #[test]
    fn random_records_encode_as_prost_does_with_exact_sizes() {
        let mut builder = AggregateBuilder::new();
        for seed in 0..40 {
            let inputs = random_inputs(seed);
            for input in &inputs {
                let expected = builder.size_with_record(&record(input));
                builder.add_record(&record(input));
                assert_eq!(builder.size_bytes(), expected, "seed {seed}");
            }
            assert_eq!(builder.len(), inputs.len());
            assert!(builder.finish() == reference(&inputs), "seed {seed}");
            assert!(builder.is_empty());
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_and_leaves_no_trace() {
        let tags = [Tag::new("origin").value("eu")];
        let mut builder = AggregateBuilder::new();
        builder.add("first", None, b"x");
        let record = UserRecord::new("second", b"y").explicit_hash_key(HashKey::MAX).tags(&tags);
        let (before, size_bytes) = (builder.size_bytes(), builder.size_with_record(&record));
        let refused = builder.try_add(&record, size_bytes - 1);
        assert_eq!(refused, Err(AggregateFull { size_bytes, limit_bytes: size_bytes - 1 }));
        assert_eq!((builder.len(), builder.size_bytes()), (1, before));
        assert_eq!(builder.size_with_record(&record), size_bytes, "no table has its texts");
        assert_eq!(builder.try_add(&record, size_bytes), Ok(size_bytes), "the limit itself is allowed");
        assert_eq!(builder.finish().len(), size_bytes);
    }

    #[test]
    fn an_empty_builder_yields_what_every_reader_takes_for_a_plain_record() {
        let mut builder = AggregateBuilder::default();
        assert_eq!(builder.size_bytes(), FRAME_OVERHEAD_BYTES);
        let frame = builder.finish();
        assert_eq!(frame.len(), FRAME_OVERHEAD_BYTES);
        assert!(!crate::frame::has_magic(&frame));
    }
}
