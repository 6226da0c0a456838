use bytes::Bytes;
use kinesis_core::{HashKey, HashKeyRange, RandomStream, Randomness};
use prost::Message;

use super::{DecodeOptions, DigestRule, Member, MemberCursor, RangeRule, decode};
use crate::encode::AggregateBuilder;
use crate::error::{DecodeError, Table};
use crate::frame::{MAGIC, digest};
use crate::tag::Tag;
use crate::user_record::UserRecord;
use crate::wire::{WireAggregate, WireRecord, WireTag};

fn framed(message: &[u8]) -> Bytes {
    [&MAGIC[..], message, &digest(message)].concat().into()
}

fn record(key: u64, data: &[u8]) -> WireRecord {
    WireRecord { partition_key_index: key, data: data.to_vec(), ..WireRecord::default() }
}

fn wire(keys: &[&str], explicit: &[&str], records: Vec<WireRecord>) -> WireAggregate {
    WireAggregate {
        partition_key_table: keys.iter().map(|key| (*key).to_owned()).collect(),
        explicit_hash_key_table: explicit.iter().map(|key| (*key).to_owned()).collect(),
        records,
    }
}

fn error_of(message: &[u8]) -> DecodeError {
    decode(&framed(message)).expect_err("a corrupt aggregate")
}

type Output = (u64, String, Option<HashKey>, Vec<u8>, Vec<Tag>);

fn output(member: Member<'_>) -> Output {
    assert_eq!(member.data(), member.data_bytes());
    assert_eq!(member.partition_key_bytes(), member.partition_key().as_bytes());
    let key = member.partition_key().to_owned();
    (member.index(), key, member.explicit_hash_key(), member.data().to_vec(), member.tags())
}

/// What prost makes of a message, where all that the format requires is there.
fn reference(message: &[u8]) -> Option<Vec<Output>> {
    let wire = WireAggregate::decode(message).ok()?;
    let explicit: Option<Vec<HashKey>> = wire.explicit_hash_key_table.iter().map(|key| key.parse().ok()).collect();
    let explicit = explicit?;
    let outputs = wire.records.iter().enumerate().map(|(index, record)| {
        let key = wire.partition_key_table.get(record.partition_key_index as usize)?;
        let explicit = match record.explicit_hash_key_index {
            Some(index) => Some(*explicit.get(index as usize)?),
            None => None,
        };
        let tags = record.tags.iter().map(|tag| Some(Tag { key: tag.key.clone()?, value: tag.value.clone() }));
        Some((index as u64, key.clone(), explicit, record.data.clone(), tags.collect::<Option<_>>()?))
    });
    outputs.collect()
}

#[test]
fn plain_records_are_not_aggregates() {
    let aggregate = framed(&wire(&["pk"], &[], vec![record(0, b"x")]).encode_to_vec());
    assert!(decode(&aggregate).unwrap().is_some());
    for plain in [
        Bytes::new(),
        Bytes::from_static(b"hi"),
        Bytes::from_static(&MAGIC),
        framed(b""),
        aggregate.slice(1..),
        aggregate.slice(..aggregate.len() - 1),
        aggregate.slice(..MAGIC.len() + 15),
    ] {
        assert!(decode(&plain).unwrap().is_none(), "{plain:?}");
    }
}

#[test]
fn members_come_in_wire_order_with_their_hash_keys() {
    let mut builder = AggregateBuilder::new();
    builder.add("abcd", None, b"first");
    builder.add("a", Some(HashKey::new(7)), b"second");
    builder.add("abcd", None, b"");
    let aggregate = decode(&builder.finish()).unwrap().unwrap();
    assert_eq!((aggregate.len(), aggregate.members().len()), (3, 3));
    let hash_keys: Vec<_> = aggregate.members().map(|member| member.hash_key().value()).collect();
    let abcd = 301_716_283_811_389_038_011_477_436_469_853_762_335;
    assert_eq!(hash_keys, [abcd, 7, abcd]);
    let indices: Vec<_> = aggregate.members().map(|member| member.index()).collect();
    assert_eq!(indices, [0, 1, 2]);
    let data: Vec<_> = aggregate.members().map(|member| member.data()).collect();
    assert_eq!(data, ["first", "second", ""]);
}

#[test]
fn data_is_a_slice_of_the_input() {
    let mut builder = AggregateBuilder::new();
    builder.add("pk", None, b"some data");
    let input = builder.finish();
    let aggregate = decode(&input).unwrap().unwrap();
    let data = aggregate.members().next().unwrap().data();
    assert!(input.as_ptr_range().contains(&data.as_ptr()));
}

#[test]
fn one_member_outside_puts_the_whole_aggregate_outside() {
    let mut builder = AggregateBuilder::new();
    builder.add("a", Some(HashKey::new(5)), b"x");
    builder.add("b", Some(HashKey::new(10)), b"y");
    let aggregate = decode(&builder.finish()).unwrap().unwrap();
    let range = |start, end| HashKeyRange::new(HashKey::new(start), HashKey::new(end)).unwrap();
    assert!(aggregate.is_within(&range(5, 10)));
    assert!(!aggregate.is_within(&range(5, 9)));
    let inside: Vec<_> = aggregate.members().map(|member| member.is_within(&range(6, 10))).collect();
    assert_eq!(inside, [false, true]);
}

#[test]
fn corrupt_structure_is_named() {
    let one = |record: WireRecord| wire(&["pk"], &["1"], vec![record]).encode_to_vec();
    let out_of_range = |table, index| DecodeError::IndexOutOfRange { member: 0, table, index, entries: 1 };
    assert_eq!(error_of(&one(record(1, b"x"))), out_of_range(Table::PartitionKeys, 1));
    assert_eq!(error_of(&one(record(u64::MAX, b"x"))), out_of_range(Table::PartitionKeys, u64::MAX));
    let explicit = WireRecord { explicit_hash_key_index: Some(1), ..record(0, b"x") };
    assert_eq!(error_of(&one(explicit)), out_of_range(Table::ExplicitHashKeys, 1));
    assert_eq!(error_of(&wire(&["pk"], &[], vec![]).encode_to_vec()), DecodeError::NoMembers);
    let missing = |field| DecodeError::MissingField { member: 0, field };
    assert_eq!(error_of(b"\x0a\x02pk\x1a\x03\x1a\x01x"), missing("partition_key_index"));
    assert_eq!(error_of(b"\x0a\x02pk\x1a\x02\x08\x00"), missing("data"));
    assert_eq!(error_of(b"\x0a\x02pk\x1a\x07\x08\x00\x1a\x01x\x22\x00"), missing("tag key"));
    assert_eq!(error_of(b"\x0a\x02\xff\xfe\x1a\x05\x08\x00\x1a\x01x"), DecodeError::InvalidPartitionKey { entry: 0 });
}

#[test]
fn an_index_is_not_cut_to_32_bits() {
    // The KCL casts the index to an int and would read entry 0.
    let index = 1 << 32;
    let error = error_of(&wire(&["pk"], &[], vec![record(index, b"x")]).encode_to_vec());
    assert_eq!(error, DecodeError::IndexOutOfRange { member: 0, table: Table::PartitionKeys, index, entries: 1 });
}

#[test]
fn explicit_hash_keys_must_be_numbers_of_128_bits() {
    for bad in ["", "x", "-1", "+5", "340282366920938463463374607431768211456"] {
        let message = wire(&["pk"], &["1", bad], vec![record(0, b"x")]).encode_to_vec();
        let error = error_of(&message);
        assert!(matches!(error, DecodeError::InvalidExplicitHashKey { entry: 1, source: Some(_) }), "{bad}: {error}");
    }
}

#[test]
fn malformed_protobuf_is_found_where_it_begins() {
    let good = b"\x0a\x02pk\x1a\x05\x08\x00\x1a\x01x";
    let cases: [(&str, &[u8]); 6] = [
        ("trailing bytes", b"\x1a"),
        ("a length past the end", b"\x1a\x7f\x08"),
        ("a varint of 11 bytes", b"\x1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        ("field number 0", b"\x00\x00"),
        ("wire type 7", b"\x0f\x00"),
        ("a table entry that is a varint", b"\x08\x00"),
    ];
    for (what, tail) in cases {
        let offset = MAGIC.len() + good.len();
        assert_eq!(error_of(&[&good[..], tail].concat()), DecodeError::Malformed { offset }, "{what}");
    }
    let overflow = b"\x0a\x02pk\x1a\x0f\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02\x1a\x02xy";
    assert_eq!(error_of(overflow), DecodeError::Malformed { offset: 8 });
}

#[test]
fn unknown_fields_are_skipped_and_tables_may_stand_behind_the_records() {
    let message = b"\x1a\x0a\x08\x00\x1a\x01x\x78\x05\x2a\x01z\x0a\x02pk\x4a\x03abc\x55abcd";
    let aggregate = decode(&framed(message)).unwrap().unwrap();
    let members: Vec<_> = aggregate.members().map(output).collect();
    assert_eq!(members, [(0, "pk".to_owned(), None, b"x".to_vec(), vec![])]);
}

#[test]
fn a_digest_that_does_not_match_is_what_the_caller_says() {
    let message = wire(&["pk"], &[], vec![record(0, b"x")]).encode_to_vec();
    let mut damaged = framed(&message).to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    let damaged = Bytes::from(damaged);
    let read = |rule, data: &Bytes| {
        let read = DecodeOptions::default().digest(rule).decode(data);
        read.map(|aggregate| aggregate.map(|aggregate| aggregate.len()))
    };
    assert_eq!(read(DigestRule::Plain, &damaged), Ok(None), "as the KCL");
    assert_eq!(read(DigestRule::Refuse, &damaged), Err(DecodeError::DigestMismatch));
    assert_eq!(read(DigestRule::Skip, &damaged), Ok(Some(1)));
    for rule in [DigestRule::Plain, DigestRule::Refuse, DigestRule::Skip] {
        assert_eq!(read(rule, &framed(&message)), Ok(Some(1)), "{rule:?}");
        assert_eq!(read(rule, &damaged.slice(1..)), Ok(None), "{rule:?}: no rule without the magic bytes");
    }
    let no_message = Bytes::from([&MAGIC[..], &[0xff; 40]].concat());
    assert_eq!(read(DigestRule::Skip, &no_message), Err(DecodeError::Malformed { offset: 4 }));
}

#[test]
fn members_outside_the_range_are_what_the_caller_says() {
    // KCL, ProcessTaskTest.testDiscardReshardedKplData: 5 in the range, 5 below, 5 above give nothing.
    let (start, end) = (1_u128 << 60, 1_u128 << 68);
    let mut builder = AggregateBuilder::new();
    for index in 0..5 {
        for hash_key in [start + index, start - 1 - index, end + 1 + index] {
            builder.add("key", Some(HashKey::new(hash_key)), b"x");
        }
    }
    let aggregate = decode(&builder.finish()).unwrap().unwrap();
    let range = HashKeyRange::new(HashKey::new(start), HashKey::new(end)).unwrap();
    let delivered =
        |range, rule| aggregate.members_within(range, rule).map(|member| member.index()).collect::<Vec<_>>();
    assert_eq!(delivered(range, RangeRule::WholeAggregate), [0; 0]);
    assert_eq!(delivered(range, RangeRule::PerMember), [0, 3, 6, 9, 12]);
    assert_eq!(delivered(range, RangeRule::Deliver).len(), 15);
    assert_eq!(delivered(HashKeyRange::FULL, RangeRule::WholeAggregate).len(), 15);
}

#[test]
fn tags_are_readable() {
    let tag = |key: &str, value: Option<&str>| WireTag { key: Some(key.to_owned()), value: value.map(str::to_owned) };
    let tagged = WireRecord { tags: vec![tag("origin", Some("eu")), tag("bare", None)], ..record(0, b"x") };
    let aggregate = decode(&framed(&wire(&["pk"], &[], vec![tagged]).encode_to_vec())).unwrap().unwrap();
    let tags = aggregate.members().next().unwrap().tags();
    let texts: Vec<_> = tags.iter().map(|tag| (tag.key.as_str(), tag.value.as_deref())).collect();
    assert_eq!(texts, [("origin", Some("eu")), ("bare", None)]);
}

#[test]
fn members_and_table_entries_are_capped() {
    let options = DecodeOptions::default().max_members(3);
    let members = |count| wire(&["pk"], &[], vec![record(0, b""); count]).encode_to_vec();
    assert!(options.decode(&framed(&members(3))).unwrap().is_some());
    let refused = Err(DecodeError::TooManyMembers { limit: 3 });
    assert_eq!(options.decode(&framed(&members(4))).map(|_| ()), refused);
    let keys = wire(&["", "", "", ""], &[], vec![record(0, b"")]).encode_to_vec();
    assert_eq!(options.decode(&framed(&keys)).map(|_| ()), refused);
}

fn random_message(random: &mut RandomStream) -> Vec<u8> {
    let keys: Vec<_> = (0..1 + random.below(4)).map(|index| format!("kéy{index}")).collect();
    let records = (0..1 + random.below(5)).map(|index| WireRecord {
        partition_key_index: random.below(keys.len() as u64),
        explicit_hash_key_index: (random.below(2) == 0).then(|| random.below(2)),
        data: vec![index as u8; random.below(200) as usize],
        tags: vec![WireTag { key: Some("k".to_owned()), value: None }; random.below(2) as usize],
    });
    let records = records.collect();
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    wire(&keys, &["0", "170141183460469231731687303715884105728"], records).encode_to_vec()
}

#[test]
fn random_messages_decode_as_prost_decodes_them() {
    for seed in 0..200 {
        let message = random_message(&mut Randomness::from_seed(seed).stream("message"));
        let aggregate = decode(&framed(&message)).unwrap().unwrap();
        let members: Vec<_> = aggregate.members().map(output).collect();
        assert_eq!(Some(members), reference(&message), "seed {seed}");
    }
}

/// Hostile input: our decoder is at least as strict as prost's, equal where it accepts, and never panics.
fn compare(message: &[u8], what: &str) -> bool {
    match decode(&framed(message)) {
        Err(_) => false,
        Ok(None) => message.is_empty(),
        Ok(Some(aggregate)) => {
            let members: Vec<_> = aggregate.members().map(output).collect();
            assert_eq!(Some(members), reference(message), "{what}");
            true
        }
    }
}

#[test]
fn every_truncation_and_every_flipped_bit_is_survived() {
    let mut random = Randomness::from_seed(3).stream("message");
    let message = random_message(&mut random);
    let truncated = (0..message.len()).filter(|end| compare(&message[..*end], &format!("cut at {end}"))).count();
    assert!(truncated > 0, "a cut between records leaves a valid aggregate");
    for index in 0..message.len() {
        for bit in 0..8 {
            let mut flipped = message.clone();
            flipped[index] ^= 1 << bit;
            compare(&flipped, &format!("bit {bit} of byte {index}"));
        }
    }
}

#[test]
fn random_bytes_are_survived() {
    for seed in 0..20_000 {
        let mut random = Randomness::from_seed(seed).stream("bytes");
        let alphabet = [0x0a, 0x12, 0x1a, 0x08, 0x10, 0x22, 0, 1, 2, 3, 0x31, 0x80, 0xff];
        let bytes: Vec<_> =
            (0..random.below(40)).map(|_| alphabet[random.below(alphabet.len() as u64) as usize]).collect();
        compare(&bytes, &format!("seed {seed}"));
    }
}

fn random_tag(random: &mut RandomStream) -> Tag {
    let tag = Tag::new("é".repeat(random.below(100) as usize));
    if random.below(2) == 0 { tag } else { tag.value("v".repeat(random.below(200) as usize)) }
}

#[test]
fn encoded_records_decode_to_themselves() {
    let mut builder = AggregateBuilder::new();
    for seed in 0..100 {
        let mut random = Randomness::from_seed(seed).stream("records");
        let inputs: Vec<_> = (0..1 + random.below(400))
            .map(|index| {
                let key = format!("key-{}", random.below(150));
                let explicit = (random.below(2) == 0).then(|| HashKey::new(u128::from(random.next_u64())));
                let tags: Vec<_> = (0..random.below(3)).map(|_| random_tag(&mut random)).collect();
                (index, key, explicit, vec![index as u8; random.below(300) as usize], tags)
            })
            .collect();
        for (_, partition_key, explicit_hash_key, data, tags) in &inputs {
            builder.add_record(&UserRecord { partition_key, explicit_hash_key: *explicit_hash_key, data, tags });
        }
        let aggregate = decode(&builder.finish()).unwrap().unwrap();
        assert!(aggregate.members().map(output).eq(inputs), "seed {seed}");
    }
}

#[test]
fn members_go_on_from_a_cursor_as_if_they_had_not_stopped() {
    let mut builder = AggregateBuilder::new();
    for index in 0..50 {
        builder.add(&format!("key-{}", index % 7), None, format!("{index}").as_bytes());
    }
    let aggregate = decode(&builder.finish()).unwrap().unwrap();
    let whole: Vec<_> = aggregate.members().map(|member| (member.index(), member.data())).collect();
    let (mut cursor, mut pieces) = (MemberCursor::default(), Vec::new());
    while pieces.len() < whole.len() {
        assert_eq!(cursor.index(), pieces.len() as u64);
        let mut members = aggregate.members_from(cursor);
        pieces.extend(members.by_ref().take(3).map(|member| (member.index(), member.data())));
        cursor = members.cursor();
    }
    assert_eq!(pieces, whole);
    assert_eq!(aggregate.members_from(cursor).len(), 0);
}
