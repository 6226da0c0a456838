//! A shard that is throttled: the others do not notice, and what it holds up clears at the limit and without a storm.

use std::time::Duration;

use aws_sdk_kinesis::primitives::Blob;
use kinesis_core::{HashKey, HashKeyRange, Randomness};
use kinesis_producer::{KinesisProducer, ProducerConfig, UserRecord};
use kinesis_testkit::{FakeKinesis, Limits};
use tokio::time::{Instant, sleep, sleep_until};

use crate::run::{client, runtime};
use crate::wire::{Seen, Wire};
use crate::workload::{STREAMS, millis};

const SHARDS: u32 = 4;
/// How long another writer uses the hot shard up.
const HOT: Duration = Duration::from_secs(20);
/// The load of each shard: 25 KB every 50 ms are 500 KB/s, about half of what it takes.
const RECORD_BYTES: usize = 25_000;
const EVERY: Duration = Duration::from_millis(50);
/// What a shard takes per second.
const LIMIT: f64 = 1024.0 * 1024.0;
/// The partition key of the other writer.
const OTHER: &str = "other";

/// The first hash key of each shard.
fn hash_keys() -> Vec<HashKey> {
    HashKeyRange::uniform(SHARDS).iter().map(|range| range.start()).collect()
}

/// Uses the first shard up: its burst at once, and then all that comes back.
async fn use_up(fake: FakeKinesis, until: Instant) {
    let sdk = fake.client();
    let put = async |bytes: usize| {
        let request = sdk.put_record().stream_name(STREAMS[0]).partition_key(OTHER).explicit_hash_key("0");
        // What is refused leaves as little for others.
        let _ = request.data(Blob::new(vec![0; bytes])).send().await;
    };
    tokio::join!(put(500_000), put(500_000));
    // A call takes 20 ms, so that this is a little more than the limit, and less than one record is left at any time.
    while Instant::now() < until {
        put(22_000).await;
    }
}

#[derive(Debug)]
struct Put {
    shard: usize,
    at: Instant,
    took: Duration,
}

/// Puts to every shard at the same rate for as long as the first is used up; returns the records as they were stored.
async fn load(producer: &KinesisProducer, until: Instant) -> Vec<Put> {
    let (hash_keys, mut watched) = (hash_keys(), tokio::task::JoinSet::new());
    while Instant::now() < until {
        for (shard, hash_key) in hash_keys.iter().enumerate() {
            let record = UserRecord::new(STREAMS[0], "key", vec![0; RECORD_BYTES]).explicit_hash_key(*hash_key);
            let (handle, at) = (producer.put(record).await.unwrap(), Instant::now());
            watched.spawn(async move {
                assert!(handle.await.is_stored());
                Put { shard, at, took: at.elapsed() }
            });
        }
        sleep(EVERY).await;
    }
    watched.join_all().await
}

#[test]
fn a_hot_shard_slows_no_other_and_clears_at_its_limit() {
    runtime().block_on(async {
        let fake = FakeKinesis::builder().stream(STREAMS[0], SHARDS).limits(Limits::aws()).latency(millis(20));
        let fake = fake.virtual_time().build();
        let (wire, config) = (Wire::default(), ProducerConfig::default().record_ttl(millis(120_000)));
        let builder = KinesisProducer::builder().client(client(&fake, &wire, millis(5000))).config(config);
        let producer = builder.randomness(Randomness::from_seed(1)).build().await.unwrap();
        let (start, end) = (Instant::now() + millis(2000), Instant::now() + millis(2000) + HOT);
        let other = tokio::spawn(use_up(fake.clone(), end));
        sleep_until(start).await;
        let puts = load(&producer, end).await;
        other.await.unwrap();
        producer.close().await.unwrap();

        check_others(&puts);
        check_clearing(&puts, end);
        check_economy(&wire, start, end);
    });
}

/// The others go on at their full rate, each record within a buffering time and a round trip or two.
fn check_others(puts: &[Put]) {
    let expected = HOT.as_millis() / EVERY.as_millis();
    for shard in 1..SHARDS as usize {
        let of_shard: Vec<&Put> = puts.iter().filter(|put| put.shard == shard).collect();
        assert_eq!(of_shard.len() as u128, expected, "shard {shard} is offered its whole load");
        let slowest = of_shard.iter().map(|put| put.took).max().unwrap();
        assert!(slowest < millis(250), "shard {shard}: {slowest:?}");
    }
}

/// What has piled up goes at the shard's limit, once the other writer is gone.
fn check_clearing(puts: &[Put], end: Instant) {
    let stored_late: Vec<Instant> =
        puts.iter().filter(|put| put.shard == 0 && put.at + put.took > end).map(|put| put.at + put.took).collect();
    let backlog = (stored_late.len() * RECORD_BYTES) as f64;
    let took = stored_late.iter().max().unwrap().duration_since(end).as_secs_f64();
    let (least, pause) = (backlog / LIMIT, 5.0);
    println!("{backlog} bytes behind, cleared in {took} s; the limit allows {least} s");
    assert!(backlog > 6e6, "the shard was held up: {backlog}");
    // The last pause may go on for as long as a pause can, and a burst of what was saved meanwhile comes on top.
    assert!(took > least - 1.5 && took < least * 1.1 + pause, "{took} s for {least} s");
}

/// P8: while the shard is throttled it is tried seldom, and afterwards hardly anything is refused.
fn check_economy(wire: &Wire, start: Instant, end: Instant) {
    let requests = wire.requests();
    let mut tries = Vec::new();
    for request in &requests {
        for (index, entry) in request.entries.iter().enumerate() {
            let throttled = matches!(request.seen(index), Seen::Refused(_));
            tries.push((request.at, throttled, entry.size_bytes));
        }
    }
    let throttled = |from: Instant, to: Instant| {
        let is_within = |(at, throttled, _): &&(Instant, bool, usize)| *throttled && *at >= from && *at < to;
        tries.iter().filter(is_within).count()
    };
    let (early, late) = (throttled(start, start + HOT / 2), throttled(start + HOT / 2, end));
    let after = throttled(end, end + millis(60_000));
    let hot = requests.iter().filter(|request| request.at >= start && request.at < end).count();
    let calls = requests.len();
    println!(
        "{early} and {late} throttled entries while it is hot, {after} after; {hot} of {calls} requests while hot"
    );
    // A try is a burst of a quarter of a second, six entries of 50 KB, and the wait grows to 5 s, 2.5 s on average.
    assert!(early > 0 && early <= 120, "{early} entries throttled in the first half");
    assert!(late <= 60, "{late} entries throttled in the second half");
    assert!(after <= 20, "{after} entries throttled after it was over");
    // The three others make a request every 120 ms, or one each of them.
    assert!(hot <= 700, "{hot} requests in {HOT:?}");
}
