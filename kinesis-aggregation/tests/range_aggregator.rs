//! Packing by hash key ranges, as a function or a script uses it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use kinesis_aggregation::{
    KinesisRecord, PackingLimits, RangeAggregator, RangesError, RecordError, Tag, UserRecord, decode,
};
use kinesis_core::{HashKey, HashKeyRange, RandomStream, Randomness};

const KIB: usize = 1024;

fn one_range(limits: PackingLimits) -> RangeAggregator {
    RangeAggregator::new([HashKeyRange::FULL], limits).unwrap()
}

fn range(start: u128, end: u128) -> HashKeyRange {
    HashKeyRange::new(HashKey::new(start), HashKey::new(end)).unwrap()
}

/// The user records in a Kinesis record: key, explicit hash key, data.
fn user_records(record: &KinesisRecord) -> Vec<(String, Option<HashKey>, Bytes)> {
    let Some(aggregate) = decode(&record.data).unwrap() else {
        assert_eq!(record.members, 1);
        return vec![(record.partition_key.clone(), None, record.data.clone())];
    };
    assert_eq!(aggregate.len(), record.members);
    let members = aggregate.members();
    members.map(|member| (member.partition_key().to_owned(), member.explicit_hash_key(), member.data())).collect()
}

fn counts(records: &[KinesisRecord]) -> Vec<usize> {
    records.iter().map(|record| record.members).collect()
}

#[test]
fn a_record_alone_goes_as_it_is_with_its_hash_key() {
    // KPL, kinesis_record_test.cc: one record without and with an explicit hash key.
    let mut aggregator = one_range(PackingLimits::default());
    assert_eq!(aggregator.add("abcd", None, b"data"), Ok(None));
    let records = aggregator.flush();
    assert_eq!((records[0].data.as_ref(), records[0].partition_key.as_str()), (&b"data"[..], "abcd"));
    assert_eq!(records[0].explicit_hash_key.to_string(), "301716283811389038011477436469853762335");
    assert_eq!(aggregator.add("abcd", Some("123"), b""), Ok(None));
    let records = aggregator.flush();
    assert_eq!((records[0].data.len(), records[0].explicit_hash_key, records[0].members), (0, HashKey::new(123), 1));
}

#[test]
fn an_aggregate_goes_with_the_letter_a_and_the_first_members_hash_key() {
    let mut aggregator = one_range(PackingLimits::default());
    for (key, explicit) in [("abcd", None), ("a", Some("7")), ("abcd", Some("7"))] {
        assert_eq!(aggregator.add(key, explicit, b"x"), Ok(None));
    }
    assert_eq!((aggregator.len(), aggregator.is_empty()), (3, false));
    let records = aggregator.flush();
    assert_eq!((aggregator.len(), aggregator.is_empty()), (0, true));
    assert_eq!((records.len(), records[0].partition_key.as_str()), (1, "a"));
    assert_eq!(records[0].explicit_hash_key, HashKey::of_partition_key("abcd"));
    let explicit: Vec<_> = user_records(&records[0]).into_iter().map(|(_, explicit, _)| explicit).collect();
    assert_eq!(explicit, [None, Some(HashKey::new(7)), Some(HashKey::new(7))], "an absent one stays absent");
}

#[test]
fn a_flush_of_nothing_yields_nothing() {
    let mut aggregator = one_range(PackingLimits::default());
    assert!(aggregator.is_empty() && aggregator.flush().is_empty());
}

#[test]
fn a_hundred_records_of_each_shard_make_one_aggregate_each() {
    // KPL, aggregator_test.cc: its three shards and hash keys, with a count limit of 100.
    let (low, high) = (85_070_591_730_234_615_865_843_651_857_942_052_862, u128::MAX >> 1);
    let ranges = [range(high + 1, u128::MAX), range(0, low), range(low + 1, high)];
    let mut aggregator = RangeAggregator::new(ranges, PackingLimits::default().max_count(100)).unwrap();
    let keys = [high + 1, 0, low + 1];
    let mut full = Vec::new();
    for index in 0..300 {
        let key = keys[index % 3].to_string();
        full.extend(aggregator.add("key", Some(&key), index.to_string().as_bytes()).unwrap());
        assert_eq!(full.len(), (index + 1).saturating_sub(297), "{index}");
    }
    assert!(aggregator.is_empty());
    for (record, (shard, expected)) in full.iter().zip(ranges.iter().zip(keys)) {
        assert_eq!((record.members, record.explicit_hash_key), (100, HashKey::new(expected)));
        assert!(decode(&record.data).unwrap().unwrap().is_within(shard));
    }
}

#[test]
fn with_a_count_of_one_every_record_goes_alone() {
    for count in [0, 1] {
        let mut aggregator = one_range(PackingLimits::default().max_count(count));
        for data in [b"x", b"y"] {
            let record = aggregator.add("key", None, data).unwrap().expect("at once");
            assert_eq!((record.data.as_ref(), record.members), (&data[..], 1));
        }
        assert!(aggregator.is_empty());
    }
}

#[test]
fn a_record_too_large_for_an_aggregate_goes_alone_and_in_its_order() {
    // KPL, reducer_test.cc: 11000 bytes with a limit of 10000 go at once, unaggregated.
    let mut aggregator = one_range(PackingLimits::default().max_bytes(10_000));
    let large = [7; 11_000];
    let alone = aggregator.add("key", None, &large).unwrap().expect("nothing waits");
    assert_eq!((alone.data.len(), alone.members), (11_000, 1));
    assert_eq!(aggregator.add("key", None, b"x"), Ok(None));
    assert_eq!(aggregator.add("key", None, b"y"), Ok(None));
    let mut records = vec![aggregator.add("key", None, &large).unwrap().expect("what waited")];
    records.extend(aggregator.add("key", None, &large).unwrap());
    records.extend(aggregator.add("key", None, b"z").unwrap());
    records.extend(aggregator.flush());
    assert_eq!(counts(&records), [2, 1, 1, 1]);
    let sizes: Vec<_> = records[1..].iter().map(|record| record.data.len()).collect();
    assert_eq!(sizes, [11_000, 11_000, 1]);
}

#[test]
fn an_aggregate_that_nothing_fits_into_any_more_leaves_at_once() {
    // Frame 20, key 3, the first member 6 and 71 bytes of data: 100 with nothing added, 106 with the smallest member.
    for (limit, is_full) in [(105, true), (106, false)] {
        let mut aggregator = one_range(PackingLimits::default().max_bytes(limit));
        assert_eq!(aggregator.add("k", None, &[0; 71]).unwrap().is_some(), is_full, "{limit}");
        let second = aggregator.add("k", None, b"").unwrap();
        assert_eq!(second.map(|record| record.data.len()), (!is_full).then_some(limit));
    }
}

#[test]
fn the_pythons_limits_hold_where_they_are_not_stricter_than_the_service() {
    // kinesis-aggregation, python/test/test_agg.py: a second 200 KiB with a limit of 300 KiB, and 2 MiB.
    let mut aggregator = one_range(PackingLimits::default().max_bytes(300 * KIB));
    let data = vec![0; 200 * KIB];
    assert_eq!(aggregator.add("pk", None, &data), Ok(None));
    let full = aggregator.add("pk", None, &data).unwrap().expect("the first one");
    assert_eq!((full.data.len(), full.members, aggregator.len()), (200 * KIB, 1, 1));
    let error = aggregator.add("pk", None, &vec![0; 2048 * KIB]);
    assert_eq!(error, Err(RecordError::TooLarge { size_bytes: 2048 * KIB + 2, limit_bytes: 1024 * KIB }));
    // The Python refuses 200 KiB with a limit of 100 KiB; the KPL, and this, send it alone.
    let mut aggregator = one_range(PackingLimits::default().max_bytes(100 * KIB));
    assert!(aggregator.add("pk", None, &data).unwrap().is_some_and(|record| record.data == data));
}

#[test]
fn no_aggregate_is_larger_than_a_kinesis_record_may_be() {
    // kinesis-aggregation, node: 1600 and 1028 records of 1 KiB in base64 make 3 and 2 aggregates of at most 1 MiB.
    let limits = PackingLimits::default().max_bytes(10 * KIB * KIB);
    for (records, expected) in [(1600, 3), (1028, 2)] {
        let mut aggregator = one_range(limits);
        let mut full = Vec::new();
        for index in 0..records {
            full.extend(aggregator.add(&format!("key-{index}"), None, &[b'A'; 1368]).unwrap());
        }
        full.extend(aggregator.flush());
        assert_eq!(full.len(), expected);
        assert_eq!(counts(&full).iter().sum::<usize>(), records);
        assert!(full.iter().all(|record| record.data.len() + record.partition_key.len() <= 1024 * KIB));
    }
}

#[test]
fn a_record_over_the_limit_is_refused_and_the_others_are_sent() {
    // kinesis-aggregation, node: 1 MiB + 42. The service counts data and partition key.
    let limit_bytes = 1024 * KIB;
    let mut aggregator = one_range(PackingLimits::default());
    assert_eq!(aggregator.add("key", None, b"before"), Ok(None));
    let refused = aggregator.add("key", None, &vec![0; limit_bytes + 42]);
    assert_eq!(refused, Err(RecordError::TooLarge { size_bytes: limit_bytes + 45, limit_bytes }));
    assert_eq!(
        aggregator.add("key", None, &vec![0; limit_bytes - 2]),
        Err(RecordError::TooLarge { size_bytes: limit_bytes + 1, limit_bytes })
    );
    assert_eq!(aggregator.add("key", None, b"after"), Ok(None));
    let data: Vec<_> = user_records(&aggregator.flush()[0]).into_iter().map(|(_, _, data)| data).collect();
    assert_eq!(data, ["before", "after"]);
    let largest = aggregator.add("key", None, &vec![0; limit_bytes - 3]).unwrap();
    assert!(largest.is_some_and(|record| record.data.len() == limit_bytes - 3));
    let mut large_stream = one_range(PackingLimits::default().max_record_bytes(10 * limit_bytes));
    assert!(large_stream.add("key", None, &vec![0; 10 * limit_bytes - 3]).unwrap().is_some());
}

#[test]
fn each_bad_record_has_its_error_and_takes_nothing_along() {
    let mut aggregator = RangeAggregator::new([range(0, 9)], PackingLimits::default()).unwrap();
    assert_eq!(aggregator.add("first", Some("1"), b"x"), Ok(None));
    assert_eq!(aggregator.add("", Some("1"), b"x"), Err(RecordError::EmptyPartitionKey));
    assert_eq!(
        aggregator.add(&"é".repeat(257), Some("1"), b"x"),
        Err(RecordError::PartitionKeyTooLong { characters: 257 })
    );
    for bad in ["", "-1", "+5", " 7", "7 ", "0x7", "1e1", "340282366920938463463374607431768211456"] {
        let error = aggregator.add("key", Some(bad), b"x").unwrap_err();
        assert!(matches!(error, RecordError::InvalidExplicitHashKey { .. }), "{bad:?}: {error}");
        assert!(std::error::Error::source(&error).unwrap().to_string().contains(bad), "{bad:?}");
    }
    let outside = Err(RecordError::OutsideRanges { hash_key: HashKey::new(10) });
    assert_eq!(aggregator.add("key", Some("10"), b"x"), outside);
    assert_eq!(aggregator.len(), 1);
    assert_eq!(aggregator.add("second", Some("007"), b"y"), Ok(None), "written in plain decimal, as by the KPL");
    let members = user_records(&aggregator.flush()[0]);
    let expected = [("first", 1, "x"), ("second", 7, "y")].map(|(key, explicit, data)| {
        (key.to_owned(), Some(HashKey::new(explicit)), Bytes::from_static(data.as_bytes()))
    });
    assert_eq!(members, expected);
}

#[test]
fn keys_are_counted_in_characters_and_empty_data_is_data() {
    let mut aggregator = one_range(PackingLimits::default());
    let keys = ["k".repeat(256), "é".repeat(256), "𝄞".repeat(256)];
    for key in &keys {
        assert_eq!(aggregator.add(key, None, b""), Ok(None));
    }
    let members = user_records(&aggregator.flush()[0]);
    let expected: Vec<_> = keys.into_iter().map(|key| (key, None, Bytes::new())).collect();
    assert_eq!(members, expected);
}

#[test]
fn ranges_must_be_there_and_must_not_overlap() {
    let error = |ranges: &[HashKeyRange]| {
        RangeAggregator::new(ranges.iter().copied(), PackingLimits::default()).map(|_| ()).unwrap_err()
    };
    assert_eq!(error(&[]), RangesError::NoRanges);
    let (parent, child) = (range(0, 99), range(50, 99));
    assert_eq!(error(&[child, range(200, 300), parent]), RangesError::Overlapping { first: parent, second: child });
    assert_eq!(error(&[child, child]), RangesError::Overlapping { first: child, second: child });
}

#[test]
fn a_record_in_a_gap_between_ranges_is_refused() {
    let ranges = [range(20, 29), range(0, 9)];
    let mut aggregator = RangeAggregator::new(ranges, PackingLimits::default()).unwrap();
    for (hash_key, is_held) in [(0, true), (9, true), (10, false), (19, false), (20, true), (29, true), (30, false)] {
        let added = aggregator.add("key", Some(&hash_key.to_string()), b"x");
        assert_eq!(added.is_ok(), is_held, "{hash_key}");
    }
    let first_keys: Vec<_> = aggregator.flush().iter().map(|record| record.explicit_hash_key.value()).collect();
    assert_eq!(first_keys, [0, 20], "by range");
}

#[test]
fn a_record_with_tags_keeps_them_also_alone() {
    let tags = [Tag::new("origin").value("eu"), Tag::new("bare")];
    let record = UserRecord::new("key", b"data").explicit_hash_key(HashKey::new(5)).tags(&tags);
    let mut aggregator = one_range(PackingLimits::default());
    assert_eq!(aggregator.add_record(&record), Ok(None));
    let alone = aggregator.flush().remove(0);
    assert_eq!((alone.members, alone.partition_key.as_str(), alone.explicit_hash_key), (1, "key", HashKey::new(5)));
    let aggregate = decode(&alone.data).unwrap().unwrap();
    assert_eq!(aggregate.members().next().unwrap().tags(), tags);
    // The frame counts: what goes alone in one must fit with it.
    let limits = PackingLimits::default().max_record_bytes(alone.data.len() + 3);
    assert!(one_range(limits).add_record(&record).is_ok());
    let limit_bytes = alone.data.len() + 2;
    let refused = one_range(limits.max_record_bytes(limit_bytes)).add_record(&record);
    assert_eq!(refused, Err(RecordError::TooLarge { size_bytes: limit_bytes + 1, limit_bytes }));
}

#[test]
fn two_keys_with_one_explicit_hash_key_come_back() {
    // kinesis-aggregation, node: also outside of ASCII.
    let mut aggregator = one_range(PackingLimits::default());
    for key in ["clé-é", "鍵"] {
        aggregator.add(key, Some("123"), "données".as_bytes()).unwrap();
    }
    let members = user_records(&aggregator.flush()[0]);
    let expected = ["clé-é", "鍵"].map(|key| (key.to_owned(), Some(HashKey::new(123)), Bytes::from("données")));
    assert_eq!(members, expected);
}

/// A record that may be bad: key, explicit hash key, and data that begins with its number.
fn random_record(random: &mut RandomStream, number: u64) -> (String, Option<String>, Vec<u8>) {
    let (length, shift, bound) = (random.below(12) * random.below(24), random.below(66), 1 << random.below(13));
    let explicit = (random.below(3) == 0).then(|| (u128::from(random.next_u64()) << shift).to_string());
    let padding = vec![b'.'; random.below(bound) as usize];
    ("k".repeat(length as usize), explicit, [format!("{number:06}").as_bytes(), &padding].concat())
}

#[test]
fn every_accepted_record_is_in_one_kinesis_record_of_its_range_and_in_its_order() {
    for seed in 0..60 {
        let mut random = Randomness::from_seed(seed).stream("records");
        let ranges = HashKeyRange::uniform(1 + random.below(7) as u32);
        let max_bytes = 64 + random.below(5000) as usize;
        let limits = PackingLimits::default().max_bytes(max_bytes).max_count(1 + random.below(60) as usize);
        let mut aggregator = RangeAggregator::new(ranges.clone(), limits).unwrap();
        let (mut full, mut accepted) = (Vec::new(), Vec::new());
        for number in 0..random.below(800) {
            let (key, explicit, data) = random_record(&mut random, number);
            if let Ok(record) = aggregator.add(&key, explicit.as_deref(), &data) {
                full.extend(record);
                accepted.push(Bytes::from(data));
            } else {
                assert!(key.is_empty() || key.len() > 256 || explicit.is_some_and(|key| key.len() > 38), "seed {seed}");
            }
        }
        full.extend(aggregator.flush());
        let mut delivered = vec![Vec::new(); ranges.len()];
        for record in &full {
            let shard = ranges.iter().position(|range| range.contains(record.explicit_hash_key)).unwrap();
            assert!(record.members == 1 || record.data.len() <= max_bytes, "seed {seed}");
            if let Some(aggregate) = decode(&record.data).unwrap() {
                assert!(aggregate.is_within(&ranges[shard]), "seed {seed}");
            }
            delivered[shard].extend(user_records(record).into_iter().map(|(_, _, data)| data));
        }
        assert!(delivered.iter().all(|shard| shard.is_sorted()), "seed {seed}: order within a range");
        let mut delivered = delivered.concat();
        delivered.sort();
        assert!(delivered == accepted, "seed {seed}: {} of {}", delivered.len(), accepted.len());
    }
}
