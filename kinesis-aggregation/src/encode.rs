//! Packing records into an aggregate.

use std::fmt::Write;

use bytes::Bytes;
use kinesis_core::HashKey;
use prost::encoding::{encode_varint, encoded_len_varint};

use crate::frame::{FRAME_OVERHEAD_BYTES, MAGIC, digest};
use crate::string_table::StringTable;

/// The partition key that the KPL gives to an aggregate of two or more members.
///
/// It places nothing: the aggregate goes where the explicit hash key beside it says, that of its first member.
pub const AGGREGATE_PARTITION_KEY: &str = "a";

/// The key bytes of the fields: number << 3 | wire type.
const RECORDS: u8 = 3 << 3 | 2;
const PARTITION_KEY_INDEX: u8 = 1 << 3;
const EXPLICIT_HASH_KEY_INDEX: u8 = 2 << 3;
const DATA: u8 = 3 << 3 | 2;

/// Packs records into one aggregate, with an exact size at every step.
///
/// Keys and explicit hash keys stand in tables, each text once, in the order of their first use; only explicit hash
/// keys that were given are written. All members should belong to one shard: readers that follow the KCL drop an
/// aggregate whole if one member is outside the range of the shard it is read from.
#[derive(Clone, Debug)]
pub struct AggregateBuilder {
    partition_keys: StringTable,
    explicit_hash_keys: StringTable,
    records: Vec<u8>,
    len: usize,
    /// The decimal of the explicit hash key at hand, kept for its memory.
    decimal: String,
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

    /// The exact size after a record of that key and of `data_bytes` would be added.
    pub fn size_with(&mut self, partition_key: &str, explicit_hash_key: Option<HashKey>, data_bytes: usize) -> usize {
        let (key_index, key_bytes) = self.partition_keys.probe(partition_key);
        let explicit = explicit_hash_key.map(|key| {
            write_decimal(&mut self.decimal, key);
            self.explicit_hash_keys.probe(&self.decimal)
        });
        let record = record_len(key_index, explicit.map(|(index, _)| index), data_bytes);
        self.size_bytes()
            + key_bytes
            + explicit.map_or(0, |(_, bytes)| bytes)
            + 1
            + encoded_len_varint(record as u64)
            + record
    }

    /// Adds a record as the next member.
    pub fn add(&mut self, partition_key: &str, explicit_hash_key: Option<HashKey>, data: &[u8]) {
        let key_index = self.partition_keys.insert(partition_key);
        let explicit_index = explicit_hash_key.map(|key| {
            write_decimal(&mut self.decimal, key);
            self.explicit_hash_keys.insert(&self.decimal)
        });
        let out = &mut self.records;
        out.push(RECORDS);
        encode_varint(record_len(key_index, explicit_index, data.len()) as u64, out);
        out.push(PARTITION_KEY_INDEX);
        encode_varint(key_index, out);
        if let Some(index) = explicit_index {
            out.push(EXPLICIT_HASH_KEY_INDEX);
            encode_varint(index, out);
        }
        out.push(DATA);
        encode_varint(data.len() as u64, out);
        out.extend_from_slice(data);
        self.len += 1;
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
}

fn record_len(key_index: u64, explicit_index: Option<u64>, data_bytes: usize) -> usize {
    let explicit = explicit_index.map_or(0, |index| 1 + encoded_len_varint(index));
    1 + encoded_len_varint(key_index) + explicit + 1 + encoded_len_varint(data_bytes as u64) + data_bytes
}

fn write_decimal(buffer: &mut String, key: HashKey) {
    buffer.clear();
    // Writing to a String cannot fail.
    let _ = write!(buffer, "{key}");
}

#[cfg(test)]
mod tests {
    use kinesis_core::Randomness;
    use prost::Message;

    use super::*;
    use crate::wire::{WireAggregate, WireRecord};

    type Input = (String, Option<HashKey>, Vec<u8>);

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn encode(inputs: &[(&str, Option<u128>, &str)]) -> Bytes {
        let mut builder = AggregateBuilder::new();
        for (key, explicit, data) in inputs {
            let explicit = explicit.map(HashKey::new);
            let expected = builder.size_with(key, explicit, data.len());
            builder.add(key, explicit, data.as_bytes());
            assert_eq!(builder.size_bytes(), expected);
        }
        let size = builder.size_bytes();
        let aggregate = builder.finish();
        assert_eq!(aggregate.len(), size);
        aggregate
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
        for (key, explicit, data) in inputs {
            let record = WireRecord {
                partition_key_index: intern(&mut wire.partition_key_table, key.clone()),
                explicit_hash_key_index: explicit.map(|key| intern(&mut wire.explicit_hash_key_table, key.to_string())),
                data: data.clone(),
                tags: Vec::new(),
            };
            wire.records.push(record);
        }
        let message = wire.encode_to_vec();
        [&MAGIC[..], &message, &digest(&message)].concat()
    }

    #[test]
    fn two_records_of_one_key_encode_as_known() {
        let aggregate = encode(&[("pk", None, "hello"), ("pk", None, "world")]);
        assert_eq!(
            hex(&aggregate),
            "f3899ac20a02706b1a0908001a0568656c6c6f1a0908001a05776f726c644747b0d63591c416fdae617529bdda27"
        );
    }

    #[test]
    fn an_explicit_hash_key_is_written_only_where_given() {
        let aggregate = encode(&[("a", None, "x"), ("b", Some(123), "y")]);
        assert_eq!(
            hex(&aggregate),
            "f3899ac20a01610a016212033132331a0508001a01781a07080110001a01796d6e688d6e55c29fd03c24dc09e3d8af"
        );
    }

    #[test]
    fn equal_records_share_their_table_entries() {
        let aggregate = encode(&[("pk", Some(123), "data"), ("pk", Some(123), "data")]);
        assert_eq!(
            hex(&aggregate),
            "f3899ac20a02706b12033132331a0a080010001a04646174611a0a080010001a0464617461d7bcc49e4638ee97f6bd37ba639063cb"
        );
    }

    #[test]
    fn the_kpls_own_output_with_explicit_hash_keys_is_met() {
        // Inputs: awslabs/kinesis-aggregation, python/test/test_agg.py, first case. The digest covers every byte.
        let aggregate = encode(&[
            (
                "fc03dd88-3e79-448a-b01a-7cf1bd47b784",
                Some(38486495867508399078159723846051807020),
                "RECORD 22 peeobhczbzdmskboupgyq\n",
            ),
            (
                "cae41b1c-ea61-43f2-90be-b8755ebf88e2",
                Some(193787600037681706952143357071916352604),
                "RECORD 23 uswkxftxroeusscxsjhno\n",
            ),
            (
                "d490690c-e74d-4db2-a3c8-d8f2f184fd23",
                Some(266880436964932424265466916734068684439),
                "RECORD 24 casehdgivfaxeustlyszy\n",
            ),
            (
                "c924bc09-b85e-47f1-b32e-336522ee53c8",
                Some(339606600942967391854603552402021847292),
                "RECORD 25 nvffvpmuogdopjhamevrk\n",
            ),
        ]);
        assert_eq!(aggregate.len(), 495);
        assert_eq!(hex(&aggregate[479..]), "51c153d0de0a34ca9e18ea4bccd2add5");
    }

    #[test]
    fn the_kpls_own_output_without_explicit_hash_keys_is_met() {
        // Inputs: awslabs/kinesis-aggregation, python/test/test_agg.py, second case.
        let aggregate = encode(&[
            ("78feb12a-dba0-45ca-a91e-bb1f2f1819b4", None, "RECORD 18 iklrpsvyhxnerodfeheru\n"),
            ("c2a75787-469b-4310-840d-d486dca7eb5e", None, "RECORD 19 lnmnudyhvpvcgrokfmzdh\n"),
            ("650e9362-572b-4427-b3fc-13549d7e5ae5", None, "RECORD 20 pjqrcfbxafzdndzmbgane\n"),
            ("1d8d9600-00b7-46f3-a983-de83477540c0", None, "RECORD 21 aafreyrntwuwxliygkbhk\n"),
            ("f2e718a0-389b-494a-b796-3355b07569cc", None, "RECORD 22 qsaadhbsgmvqgdifguyou\n"),
            ("965b8da4-a6bd-4755-81c9-e7181ab7dc9a", None, "RECORD 23 wjokoiwvzzhlftlzhqfjk\n"),
            ("d693c5f0-5772-46c9-8d86-08c7055bdb75", None, "RECORD 24 zopcascrthbbpnjiwuhjb\n"),
            ("8d92476b-eb89-4e81-99fb-c2ba63ad6d90", None, "RECORD 25 txbbvnozrwsboxuomqboq\n"),
        ]);
        assert_eq!(hex(&aggregate[aggregate.len() - 16..]), "bd5d6bacb754f92cb6bfcc64819e5868");
    }

    /// How many records of that shape fit into 51,200 bytes, and what they come to.
    fn pack(key: impl Fn(usize) -> String, data: &[u8]) -> (usize, usize) {
        let mut builder = AggregateBuilder::new();
        while builder.size_with(&key(builder.len()), None, data.len()) <= 51_200 {
            builder.add(&key(builder.len()), None, data);
        }
        (builder.len(), builder.size_bytes())
    }

    #[test]
    fn as_many_records_fit_as_the_kpl_packs() {
        assert_eq!(pack(|index| format!("{index:05}"), &[0; 100]), (450, 51_192));
        assert_eq!(pack(|index| format!("{index:036}"), &[0; 128]), (293, 51_167));
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
                (key, explicit, data)
            })
            .collect()
    }

    #[test]
    fn random_records_encode_as_prost_does_with_exact_sizes() {
        let mut builder = AggregateBuilder::new();
        for seed in 0..40 {
            let inputs = random_inputs(seed);
            for (key, explicit, data) in &inputs {
                let expected = builder.size_with(key, *explicit, data.len());
                builder.add(key, *explicit, data);
                assert_eq!(builder.size_bytes(), expected, "seed {seed}");
            }
            assert_eq!(builder.len(), inputs.len());
            assert!(builder.finish() == reference(&inputs), "seed {seed}");
            assert!(builder.is_empty());
        }
    }
}
