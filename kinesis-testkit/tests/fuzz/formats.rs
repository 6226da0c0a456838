//! Formats and settings that come from outside: aggregates, checkpoints, dates with their patterns, property files.
//!
//! None may panic or take more memory than its input warrants, and what is read has to be written and read again as it is.

use bytes::Bytes;
use kinesis_aggregation::{AggregateBuilder, MAGIC, decode};
use kinesis_consumer::Checkpoint;
use kinesis_core::{ConsumerConfig, HashKey, Properties, RandomStream, Randomness};
use md5::{Digest, Md5};

use crate::mutate;
use crate::targets::setting;

const RUNS: u64 = 4000;
/// A key that is not known is compared with all that are, in a debug build at some milliseconds for each.
const RUNS_OF_SETTINGS: u64 = 300;

/// Runs a target with spoiled samples; a panic of it shows the seed, the run and the bytes.
fn fuzz(target: &str, runs: u64, samples: &[Vec<u8>], check: impl Fn(&[u8])) {
    let (seed, runs) = (setting("FUZZ_SEED", 1), setting("FUZZ_RUNS", runs));
    let mut random = Randomness::from_seed(seed).stream(target);
    samples.iter().for_each(|sample| check(sample));
    for run in 0..runs {
        let pick = |random: &mut RandomStream| &samples[random.below(samples.len() as u64) as usize];
        let (mut bytes, other) = (pick(&mut random).clone(), pick(&mut random));
        mutate::bytes(&mut random, &mut bytes, other);
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&bytes)));
        assert!(checked.is_ok(), "{target}: seed {seed}, run {run}: {}", bytes.escape_ascii());
    }
}

/// The frame of an aggregate's message, with the digest that it has to have.
fn framed(message: &[u8]) -> Bytes {
    Bytes::from([&MAGIC, message, &Md5::digest(message)].concat())
}

#[test]
fn an_aggregate_is_read_as_a_whole_or_not_at_all() {
    let mut random = Randomness::from_seed(7).stream("samples");
    let samples = (0..50).map(|_| {
        let mut builder = AggregateBuilder::new();
        for member in 0..1 + random.below(8) {
            let explicit = (random.below(3) == 0).then(|| HashKey::new(u128::from(random.next_u64())));
            builder.add(&format!("key-{}", random.below(4)), explicit, format!("data-{member}").as_bytes());
        }
        let aggregate = builder.finish();
        aggregate[MAGIC.len()..aggregate.len() - 16].to_vec()
    });
    let samples: Vec<Vec<u8>> = samples.collect();
    fuzz("aggregates", RUNS, &samples, |message| {
        let Ok(Some(aggregate)) = decode(&framed(message)) else { return };
        let members: Vec<_> = aggregate.members().map(|member| (member.index(), member.data())).collect();
        assert_eq!(members.len(), aggregate.len());
        assert!(members.iter().zip(0..).all(|((index, _), at)| *index == at));
        assert!(members.iter().map(|(_, data)| data.len()).sum::<usize>() <= message.len(), "data out of nothing");
    });
}

#[test]
fn a_checkpoint_is_read_as_it_was_written_or_refused() {
    const HEADER: usize = 18;
    let golden: [&[u8]; 2] = [
        include_bytes!("../../../kinesis-consumer/src/state/golden/v1.checkpoint"),
        include_bytes!("../../../kinesis-consumer/src/state/golden/v1-empty.checkpoint"),
    ];
    let samples = golden.map(|golden| golden[HEADER..].to_vec());
    fuzz("checkpoints", RUNS, &samples, |body| {
        let (sum, length) = (crc32fast::hash(body).to_be_bytes(), (body.len() as u64).to_be_bytes());
        let bytes = Bytes::from([&golden[0][..6], &sum, &length, body].concat());
        if let Ok(checkpoint) = Checkpoint::decode(bytes) {
            let again = Checkpoint::decode(checkpoint.encode());
            assert_eq!(again, Ok(checkpoint));
        }
    });
}

/// As text, whatever the bytes are.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_date_with_its_pattern_is_a_time_or_an_error() {
    let samples = [
        "yyyy-MM-dd'T'HH:mm:ss.SSSXXX|2026-11-25T22:00:00.000+01:00",
        "yyyy-MM-dd'T'HH:mm:ss.SSSZ|2026-11-25T22:00:00.000-0800",
        "EEE, d MMM yyyy HH:mm:ss z|Wed, 25 Nov 2026 22:00:00 GMT",
        "yy/M/d h:m a|26/11/25 10:00 PM",
        "D yyyy G W w F u k K|329 2026 AD 4 48 4 3 22 10",
        "'quoted '''|quoted '",
        "|1764108000.123",
    ];
    let samples: Vec<Vec<u8>> = samples.iter().map(|sample| sample.as_bytes().to_vec()).collect();
    fuzz("dates", RUNS, &samples, |bytes| {
        let text = text(bytes);
        let (pattern, date) = text.split_once('|').unwrap_or((&text, "0"));
        let mut properties = Properties::new();
        properties.insert("flink.stream.initpos", "AT_TIMESTAMP");
        properties.insert("flink.stream.initpos.timestamp", date);
        if !pattern.is_empty() {
            properties.insert("flink.stream.initpos.timestamp.format", pattern);
        }
        let read = ConsumerConfig::from_properties(&properties);
        assert_eq!(read.is_ok(), ConsumerConfig::from_properties(&properties).is_ok());
    });
}

#[test]
fn settings_are_read_or_refused_with_their_keys() {
    let samples = [
        "flink.shard.getrecords.intervalmillis=200\nflink.stream.initpos=LATEST\nflink.list.shards.maxretries=10",
        "flink.stream.recordpublisher=EFO\nflink.stream.efo.consumername=app\nflink.stream.efo.registration=LAZY",
        "flink.shard.getrecords.backoff.expconst=1.5\nflink.shard.adaptivereads=true\nflink.shard.discovery.intervalmillis=10000",
    ];
    let samples: Vec<Vec<u8>> = samples.iter().map(|sample| sample.as_bytes().to_vec()).collect();
    fuzz("settings", RUNS_OF_SETTINGS, &samples, |bytes| {
        let Ok(properties) = Properties::from_file_bytes(bytes) else { return };
        if let Err(errors) = ConsumerConfig::from_properties(&properties) {
            assert!(!errors.to_string().is_empty());
        }
    });
}
