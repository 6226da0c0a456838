//! Known bytes, known hash keys, known packing: what other implementations wrote or would write.
//!
//! Aggregates that the KPL itself wrote are given by their inputs, their length and their last 16 bytes, which are the
//! MD5 of everything between the magic bytes and themselves. They come from `awslabs/kinesis-aggregation`, which has
//! them whole in `python/test/test_agg.py` and `python/test/test_deagg.py`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use kinesis_aggregation::{AggregateBuilder, PackingLimits, RangeAggregator, decode};
use kinesis_core::{HashKey, HashKeyRange};

type Input<'a> = (&'a str, Option<u128>, &'a str);

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Encodes, with exact sizes all the way, and sees that what is decoded is what was encoded.
fn encode(inputs: &[Input<'_>]) -> Bytes {
    let mut builder = AggregateBuilder::new();
    for (key, explicit, data) in inputs {
        let explicit = explicit.map(HashKey::new);
        let expected = builder.size_with(key, explicit, data.len());
        builder.add(key, explicit, data.as_bytes());
        assert_eq!(builder.size_bytes(), expected);
    }
    let size = builder.size_bytes();
    let data = builder.finish();
    assert_eq!(data.len(), size);
    let aggregate = decode(&data).unwrap().unwrap();
    let decoded: Vec<_> = aggregate
        .members()
        .map(|member| (member.partition_key(), member.explicit_hash_key().map(HashKey::value), member.data()))
        .collect();
    let expected: Vec<_> =
        inputs.iter().map(|(key, explicit, data)| (*key, *explicit, Bytes::copy_from_slice(data.as_bytes()))).collect();
    assert_eq!(decoded, expected);
    data
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
    // test_agg.py, test_single_record_agg_matches_real_kpl_with_ehks.
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
    assert_eq!((aggregate.len(), hex(&aggregate[479..]).as_str()), (495, "51c153d0de0a34ca9e18ea4bccd2add5"));
}

#[test]
fn the_kpls_own_output_without_explicit_hash_keys_is_met() {
    // test_agg.py, test_single_record_agg_matches_real_kpl_no_ehks.
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
    assert_eq!((aggregate.len(), hex(&aggregate[612..]).as_str()), (628, "bd5d6bacb754f92cb6bfcc64819e5868"));
}

#[test]
fn the_kpls_own_output_of_one_key_and_one_explicit_hash_key_is_met() {
    // test_deagg.py, kpl_generated_ka_rec.
    let data: Vec<_> = (2005..=2008).map(|number| format!("RECORD {number} pjqrcfbxafzdndzmbgane")).collect();
    let explicit = Some(339606600942967391854603552402021847292);
    let inputs: Vec<_> = data.iter().map(|data| ("1562602074896", explicit, data.as_str())).collect();
    let aggregate = encode(&inputs);
    assert_eq!((aggregate.len(), hex(&aggregate[224..]).as_str()), (240, "07acba97020a49393f2fd65a7cd6033f"));
}

#[test]
fn hash_keys_are_those_of_the_references() {
    // KPL, user_record_test.cc and kinesis_record.cc; kinesis-aggregation, AggRecordTest.java: 256 letters, and a key
    // with NULs and replacement characters.
    let letters = "LBpUxDst3pfL2wFS0WMh4HVTvxhD04WbZdKFkJyQxmqlIDgoqj18g6kODL57cUHYk6EAk8hGwyuBMzJ102rRthyGdWgw5iyi\
                   OLu6Gihs47AEEChW7KBIcTR8CzI7tY9QOuY5rV0SlPN3sl9GxIeVNi6y8FT0PrWWR05a2rMK81PFGYIYlviSXgJDolOiH13Z\
                   h3JiTmtA2jJMhdDx1Tab3Gr3itWq8kg6UavBBgAUtCnQUxhVpatNMrl28W0dKaqZ";
    assert_eq!(letters.len(), 256);
    let cases = [
        ("abcd", 301_716_283_811_389_038_011_477_436_469_853_762_335),
        ("a", 16_955_237_001_963_240_173_058_271_559_858_726_497),
        (letters, 172_594_259_002_226_224_236_906_634_103_870_180_349),
        ("BET\0\0\0\0.E\u{fffd}\u{fffd}", 184_807_870_262_572_495_302_211_851_344_884_645_144),
    ];
    let mut aggregator = RangeAggregator::new([HashKeyRange::FULL], PackingLimits::default()).unwrap();
    for (key, expected) in cases {
        let mut builder = AggregateBuilder::new();
        builder.add(key, None, b"dummy data");
        let aggregate = decode(&builder.finish()).unwrap().unwrap();
        assert_eq!(aggregate.members().next().unwrap().hash_key().value(), expected, "{key:?}");
        assert_eq!(aggregator.add(key, None, b"dummy data"), Ok(None));
        assert_eq!(aggregator.flush()[0].explicit_hash_key.value(), expected, "{key:?}");
    }
}

#[test]
fn the_kpls_sequences_of_keys_come_back() {
    // KPL, kinesis_record_test.cc: 1000 records, then its sequences of repeated keys.
    let numbers: Vec<_> = (0..1000).map(|number| number.to_string()).collect();
    let all = |key: fn(&str) -> &str, explicit: fn(u128) -> Option<u128>| {
        let inputs: Vec<_> = numbers.iter().zip(0..).map(|(text, n)| (key(text), explicit(n), text.as_str())).collect();
        encode(&inputs);
    };
    all(|_| "a", |_| None);
    all(|number| number, |_| None);
    all(|_| "a", |_| Some(123));
    all(|_| "a", Some);
    let keys = ["a", "b", "b", "a", "a", "c", "b", "a", "d", "e", "e", "d", "d", "d"];
    let explicit = [1, 2, 2, 1, 1, 3, 2, 1, 4, 5, 5, 4, 4, 4];
    encode(&keys.map(|key| (key, None, "data")));
    encode(&explicit.map(|explicit| ("a", Some(explicit), "data")));
}

#[test]
fn a_builder_refilled_five_times_is_as_new() {
    // KPL, kinesis_record_test.cc: clear and refill.
    let mut builder = AggregateBuilder::new();
    let mut first = None;
    for round in 0..5 {
        builder.add("left", Some(HashKey::MAX), b"behind");
        builder.clear();
        for number in 0..1000_u128 {
            builder.add(&number.to_string(), Some(HashKey::new(number)), b"data");
        }
        let aggregate = builder.finish();
        assert_eq!(first.get_or_insert_with(|| aggregate.clone()), &aggregate, "round {round}");
    }
}

/// What the KPL makes of a row of equal records.
#[derive(Debug, PartialEq, Eq)]
struct Flush {
    /// The add that fills the buffer by the KPL's estimate.
    on_add: usize,
    out: usize,
    out_bytes: usize,
    kept: usize,
}

/// The KPL's reducer: adds until its estimate reaches the limit, then takes records off until the size fits.
///
/// The estimate is that of `kinesis_record.cc`: data + 5 for a record, length + 3 for a new key, without the frame.
fn kpl_packs(key: impl Fn(usize) -> String, data: &[u8], limit: usize) -> Flush {
    let mut builder = AggregateBuilder::new();
    let (mut estimate, mut sizes) = (0, Vec::new());
    let mut seen = std::collections::BTreeSet::new();
    while estimate < limit {
        let key = key(sizes.len());
        estimate += data.len() + 5 + if seen.insert(key.clone()) { key.len() + 3 } else { 0 };
        builder.add(&key, None, data);
        sizes.push(builder.size_bytes());
    }
    let out = sizes.iter().take_while(|size| **size <= limit).count();
    Flush { on_add: sizes.len(), out, out_bytes: sizes[out - 1], kept: sizes.len() - out }
}

#[test]
fn as_many_records_fit_as_the_kpl_packs() {
    type Key = fn(usize) -> String;
    let rows: [(Key, usize, Flush); 3] = [
        (|index| format!("{index:05}"), 100, Flush { on_add: 454, out: 450, out_bytes: 51_192, kept: 4 }),
        (|index| format!("{index:036}"), 128, Flush { on_add: 298, out: 293, out_bytes: 51_167, kept: 5 }),
        (|_| "key-1".to_owned(), 10, Flush { on_add: 3413, out: 3198, out_bytes: 51_195, kept: 215 }),
    ];
    for (key, data_bytes, expected) in rows {
        let data = vec![0; data_bytes];
        assert_eq!(kpl_packs(key, &data, 51_200), expected);
        let mut aggregator = RangeAggregator::new([HashKeyRange::FULL], PackingLimits::default()).unwrap();
        let full = (0..).find_map(|index| aggregator.add(&key(index), None, &data).unwrap()).unwrap();
        assert_eq!((full.members, full.data.len()), (expected.out, expected.out_bytes));
    }
}
