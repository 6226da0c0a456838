//! Input that is random, damaged or hostile.
//!
//! What a matching digest hides is compared with another decoder beside the code (`decode::tests`), and what the
//! decoder keeps is counted there (`decode::check::tests`).

use bytes::Bytes;
use kinesis_aggregation::{
    Aggregate, AggregateBuilder, DecodeError, DecodeOptions, DigestRule, MAGIC, Tag, UserRecord, decode,
};
use kinesis_core::{HashKey, RandomStream, Randomness};

#[derive(Clone, Debug, PartialEq)]
struct Content {
    partition_key: String,
    explicit_hash_key: Option<HashKey>,
    data: Vec<u8>,
    tags: Vec<Tag>,
}

fn random_text(random: &mut RandomStream, characters: u64) -> String {
    let count = random.below(characters + 1);
    (0..count).filter_map(|_| char::from_u32(random.below(0x11_0000) as u32)).collect()
}

fn random_content(random: &mut RandomStream) -> Content {
    let bound = 1 << random.below(12);
    let explicit = u128::from(random.next_u64()) << random.below(65);
    Content {
        partition_key: random_text(random, 3),
        explicit_hash_key: (random.below(2) == 0).then(|| HashKey::new(explicit)),
        data: (0..random.below(bound)).map(|_| random.next_u64() as u8).collect(),
        tags: (0..random.below(3))
            .map(|_| {
                let tag = Tag::new(random_text(random, 20));
                if random.below(2) == 0 { tag } else { tag.value(random_text(random, 90)) }
            })
            .collect(),
    }
}

fn encode(contents: &[Content]) -> Bytes {
    let mut builder = AggregateBuilder::new();
    for content in contents {
        let record = UserRecord::new(&content.partition_key, &content.data).tags(&content.tags);
        let record = content.explicit_hash_key.map_or(record, |key| record.explicit_hash_key(key));
        let expected = builder.size_with_record(&record);
        assert_eq!(builder.try_add(&record, expected), Ok(expected));
    }
    builder.finish()
}

fn contents(aggregate: &Aggregate) -> Vec<Content> {
    let members = aggregate.members().map(|member| Content {
        partition_key: member.partition_key().to_owned(),
        explicit_hash_key: member.explicit_hash_key(),
        data: member.data().to_vec(),
        tags: member.tags(),
    });
    members.collect()
}

/// Reads whatever there is by every rule, for its panics.
fn read(data: &Bytes) -> Option<Vec<Content>> {
    for rule in [DigestRule::Refuse, DigestRule::Skip] {
        if let Ok(Some(aggregate)) = DecodeOptions::default().digest(rule).decode(data) {
            assert_eq!(aggregate.members().len(), contents(&aggregate).len());
            aggregate.members().for_each(|member| assert!(member.index() < aggregate.len() as u64));
        }
    }
    decode(data).ok().flatten().map(|aggregate| contents(&aggregate))
}

#[test]
fn random_records_come_back_with_their_tags() {
    for seed in 0..150 {
        let mut random = Randomness::from_seed(seed).stream("records");
        let count = 1 + random.below(200);
        let records: Vec<_> = (0..count).map(|_| random_content(&mut random)).collect();
        let read = read(&encode(&records));
        assert!(read.as_ref() == Some(&records), "seed {seed}: {read:?} of {records:?}");
    }
}

#[test]
fn every_truncation_reads_as_plain() {
    for seed in 0..20 {
        let mut random = Randomness::from_seed(seed).stream("records");
        let records: Vec<_> = (0..1 + random.below(6)).map(|_| random_content(&mut random)).collect();
        let data = encode(&records);
        for end in 0..data.len() {
            assert_eq!(decode(&data.slice(..end)).map(|read| read.is_none()), Ok(true), "seed {seed}, cut at {end}");
            assert_eq!(decode(&data.slice(end + 1..)).map(|read| read.is_none()), Ok(true), "seed {seed}, from {end}");
        }
    }
}

#[test]
fn every_change_of_a_byte_reads_as_plain() {
    let tags = vec![Tag::new("origin").value("eu")];
    let content = |key: &str, explicit: Option<u128>, tags| Content {
        partition_key: key.to_owned(),
        explicit_hash_key: explicit.map(HashKey::new),
        data: b"some data".to_vec(),
        tags,
    };
    let data = encode(&[content("pk", None, vec![]), content("kéy", Some(123), tags), content("pk", Some(7), vec![])]);
    for index in 0..data.len() {
        for change in 1..=u8::MAX {
            let mut changed = data.to_vec();
            changed[index] ^= change;
            let changed = Bytes::from(changed);
            assert_eq!(decode(&changed).map(|read| read.is_none()), Ok(true), "byte {index} ^ {change}");
            let refused =
                DecodeOptions::default().digest(DigestRule::Refuse).decode(&changed).map(|read| read.is_none());
            let expected = if index < MAGIC.len() { Ok(true) } else { Err(DecodeError::DigestMismatch) };
            assert_eq!(refused, expected, "byte {index} ^ {change}");
        }
    }
}

/// Bytes of any value, or pieces of the format in any order.
fn random_body(random: &mut RandomStream) -> Vec<u8> {
    let pieces: [&[u8]; 12] = [
        b"\x0a\x01k",
        b"\x12\x011",
        b"\x1a\x05\x08\x00\x1a\x01x",
        b"\x1a\x07\x08\x00\x10\x00\x1a\x01y",
        b"\x1a\x04\x08\x00\x1a\x00",
        b"\x78\x01",
        b"\x1a",
        b"\x0a",
        b"\x08",
        b"\x00",
        b"\x80",
        b"\xff",
    ];
    let (count, kinds) = (random.below(60), 6 + random.below(7));
    match random.below(2) {
        0 => (0..count).map(|_| random.next_u64() as u8).collect(),
        _ => (0..count / 4).flat_map(|_| pieces[random.below(kinds) as usize]).copied().collect(),
    }
}

#[test]
fn random_bytes_never_panic() {
    let mut parsed = 0;
    for seed in 0..30_000 {
        let body = random_body(&mut Randomness::from_seed(seed).stream("bytes"));
        assert_eq!(read(&Bytes::from(body.clone())), None, "seed {seed}");
        let with_magic = Bytes::from([&MAGIC[..], &body, &[0; 16]].concat());
        assert_eq!(read(&with_magic), None, "seed {seed}");
        let skipped = DecodeOptions::default().digest(DigestRule::Skip).decode(&with_magic);
        parsed += usize::from(skipped.is_ok_and(|read| read.is_some()));
    }
    assert!(parsed > 100, "some of it parses where the digest is not looked at: {parsed}");
}

#[test]
fn spliced_aggregates_without_digest_never_panic() {
    for seed in 0..3000 {
        let mut random = Randomness::from_seed(seed).stream("splices");
        let records: Vec<_> = (0..1 + random.below(8)).map(|_| random_content(&mut random)).collect();
        let mut data = encode(&records).to_vec();
        for _ in 0..1 + random.below(4) {
            let (at, from) = (random.below(data.len() as u64) as usize, random.below(data.len() as u64) as usize);
            let len = random.below(9).min((data.len() - at.max(from)) as u64) as usize;
            data.copy_within(from..from + len, at);
        }
        data[..MAGIC.len()].copy_from_slice(&MAGIC);
        let data = Bytes::from(data);
        let plain = read(&data);
        assert!(plain.is_none() || plain.as_ref() == Some(&records), "seed {seed}");
    }
}
