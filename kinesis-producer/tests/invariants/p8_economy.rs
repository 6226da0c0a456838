//! P8: retries cost little, come apart from each other, and cease with the record's time.

use std::collections::BTreeMap;
use std::time::Duration;

use kinesis_core::{HashKeyRange, Randomness};
use kinesis_producer::{KinesisProducer, Outcome, ProducerConfig, UserRecord};
use kinesis_testkit::{Entries, EntryFaults, FakeKinesis, Fault, FaultRule, Operation};
use tokio::time::Instant;

use crate::run::{client, runtime};
use crate::wire::{Request, Wire};
use crate::workload::{STREAMS, millis};

const SHARDS: u32 = 32;
const LATENCY: Duration = Duration::from_millis(20);
/// The default back-off: 100 ms, doubling to 5 s, with full jitter.
const BOUNDS: [u64; 7] = [100, 200, 400, 800, 1600, 3200, 5000];

fn fake(shards: u32) -> FakeKinesis {
    FakeKinesis::builder().stream(STREAMS[0], shards).latency(LATENCY).virtual_time().build()
}

async fn producer(fake: &FakeKinesis, wire: &Wire, config: ProducerConfig, seed: u64) -> KinesisProducer {
    let builder = KinesisProducer::builder().client(client(fake, wire, millis(5000))).config(config);
    builder.randomness(Randomness::from_seed(seed)).build().await.unwrap()
}

/// How far the values lie apart.
fn spread(values: &[Duration]) -> Duration {
    *values.iter().max().unwrap() - *values.iter().min().unwrap()
}

/// One record for each shard, all throttled one by one for good.
fn throttled_shards() -> (Vec<Request>, usize) {
    runtime().block_on(async {
        let (fake, wire) = (fake(SHARDS), Wire::default());
        let throttled = Fault::FailMixed(EntryFaults::none().throttled(Entries::All));
        fake.inject(FaultRule::on(Operation::PutRecords).fault(throttled).always());
        let producer = producer(&fake, &wire, ProducerConfig::default().aggregation(false), 1).await;
        let mut handles = Vec::new();
        for (id, range) in HashKeyRange::uniform(SHARDS).iter().enumerate() {
            let record = UserRecord::new(STREAMS[0], "key", (id as u64).to_be_bytes().to_vec());
            handles.push(producer.put(record.explicit_hash_key(range.start())).await.unwrap());
        }
        producer.close().await.unwrap();
        let mut most = 0;
        for handle in handles {
            let outcome = handle.await;
            assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
            most = most.max(outcome.attempts().count() as usize);
        }
        (wire.requests(), most)
    })
}

#[test]
fn p8_throttled_shards_are_tried_again_apart_from_each_other() {
    let (requests, _) = throttled_shards();
    let mut tries = BTreeMap::<u64, Vec<Instant>>::new();
    for request in &requests {
        let ids = request.entries.iter().flat_map(|entry| &entry.ids);
        ids.for_each(|id| tries.entry(*id).or_default().push(request.at));
    }
    assert_eq!(tries.len(), SHARDS as usize);
    for (retry, bound) in BOUNDS.into_iter().enumerate() {
        // From the answer to the next try.
        let wait = |at: &Vec<Instant>| Some(*at.get(retry + 1)? - at[retry] - LATENCY);
        let waits: Vec<Duration> = tries.values().filter_map(wait).collect();
        assert_eq!(waits.len(), SHARDS as usize, "every shard is tried again");
        assert!(spread(&waits) > millis(bound) / 2, "retry {retry} within {bound} ms: {waits:?}");
        // Up to the wait for others of a request.
        assert!(waits.iter().all(|wait| *wait <= millis(bound + 25)), "retry {retry}: {waits:?}");
    }
}

#[test]
fn p8_shards_that_are_throttled_for_good_cost_little() {
    let (requests, most) = throttled_shards();
    let first = requests[0].at;
    let entries = |from: u64, to: u64| {
        let is_within = |request: &&Request| (millis(from)..millis(to)).contains(&(request.at - first));
        requests.iter().filter(is_within).map(|request| request.entries.len()).sum::<usize>()
    };
    // In the first ten seconds the wait grows; then one try in 2.5 s on average.
    let (growing, steady) = (entries(0, 10_000), entries(10_000, 30_000));
    println!("{growing} entries in 10 s, {steady} in the 20 s after, {most} attempts of one record at most");
    assert!(steady <= SHARDS as usize * 12, "{steady} entries of {SHARDS} shards in 20 s");
    assert!(growing <= SHARDS as usize * 12, "{growing} entries of {SHARDS} shards in 10 s");
    assert!(most <= 30, "{most} attempts of a record");
    assert!(
        requests.iter().all(|request| request.at - first <= millis(30_000)),
        "nothing is tried when its time is up"
    );
}

#[test]
fn p8_producers_that_are_throttled_together_come_back_apart() {
    const PRODUCERS: u64 = 40;
    runtime().block_on(async {
        let fake = fake(2);
        fake.inject(FaultRule::on(Operation::PutRecords).fault(Fault::throttle()).until(millis(1000)).always());
        let mut running = Vec::new();
        for seed in 0..PRODUCERS {
            let wire = Wire::default();
            let producer = producer(&fake, &wire, ProducerConfig::default(), seed).await;
            let handle = producer.put(UserRecord::new(STREAMS[0], "key", seed.to_be_bytes().to_vec())).await.unwrap();
            running.push((producer, wire, handle));
        }
        let mut retries = Vec::new();
        for (producer, wire, handle) in running {
            assert!(handle.await.is_stored());
            producer.close().await.unwrap();
            let requests = wire.requests();
            retries.push((requests[0].at, requests[1].at));
        }
        assert!(retries.iter().all(|(first, _)| *first == retries[0].0), "they are throttled at the same instant");
        let waits: Vec<Duration> = retries.iter().map(|(first, second)| *second - *first - LATENCY).collect();
        assert!(spread(&waits) > millis(BOUNDS[0]) / 2, "{waits:?}");
        let instants: std::collections::BTreeSet<Duration> = waits.iter().copied().collect();
        assert!(instants.len() > PRODUCERS as usize / 2, "{instants:?}");
    });
}

/// A stream with much to send whose requests are all throttled as a whole: the requests per instant, and in all.
#[test]
fn p8_a_stream_that_is_throttled_as_a_whole_is_not_stormed() {
    const IN_FLIGHT: usize = 10;
    runtime().block_on(async {
        let (fake, wire) = (fake(8), Wire::default());
        fake.inject(FaultRule::on(Operation::PutRecords).fault(Fault::throttle()).always());
        let config = ProducerConfig::default().aggregation(false).collection_max_count(10);
        let producer = producer(&fake, &wire, config.max_requests_in_flight(IN_FLIGHT), 1).await;
        for id in 0..2000u64 {
            drop(
                producer
                    .put(UserRecord::new(STREAMS[0], format!("key-{id}"), id.to_be_bytes().to_vec()))
                    .await
                    .unwrap(),
            );
        }
        let stats = producer.close().await.unwrap();
        assert_eq!((stats.user_records_failed, stats.user_records_put), (2000, 0));
        let requests = wire.requests();
        let mut at = BTreeMap::<Instant, usize>::new();
        requests.iter().for_each(|request| *at.entry(request.at).or_default() += 1);
        println!("{} requests at {} instants, {:?} at most", requests.len(), at.len(), at.values().max());
        // About six tries while the wait grows, and one in 2.5 s after; each of up to ten requests.
        assert!(at.values().all(|requests| *requests <= IN_FLIGHT), "{at:?}");
        assert!(requests.len() <= 30 * IN_FLIGHT, "{} requests in 30 s", requests.len());
    });
}
