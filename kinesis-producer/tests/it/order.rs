use std::collections::BTreeMap;

use kinesis_core::{Randomness, Shard};
use kinesis_producer::{FailureCause, Outcome, ProducerConfig};
use kinesis_testkit::{Entries, FakeKinesis, Fault, FaultRule, Operation};

use crate::support::{STREAM, check, copies, kinesis, millis, producer, record, stream};

/// P5: first copies in the order of the puts, and any other copy in a run of what was stored before.
///
/// The journal's order is a reader's order: a shard is closed before its children take anything.
fn check_order(kinesis: &FakeKinesis, seed: u64) -> usize {
    let mut highest = BTreeMap::<String, usize>::new();
    let mut previous = BTreeMap::<String, usize>::new();
    let mut replayed = 0;
    for copy in copies(kinesis).into_iter().filter(|copy| copy.is_visible) {
        let index: usize = copy.data.rsplit('/').next().unwrap().parse().unwrap();
        let highest = highest.entry(copy.key.clone()).or_default();
        let previous = previous.entry(copy.key.clone()).or_default();
        if index <= *highest {
            replayed += 1;
            let begins = *previous >= *highest || index <= *previous;
            assert!(begins || index == *previous + 1, "seed {seed}: {} after {previous} of {highest}", copy.data);
        }
        *previous = index;
        *highest = index.max(*highest);
    }
    replayed
}

/// Splits a shard, or merges two; several at a time make one map tell of shards whose records are still on their way.
fn reshard(kinesis: &FakeKinesis, random: &mut kinesis_core::RandomStream) {
    let shards = kinesis.shards(STREAM).unwrap();
    let open: Vec<_> = shards.into_iter().filter(Shard::is_open).collect();
    let shard = &open[random.below(open.len() as u64) as usize];
    let neighbour = open.iter().find(|other| other.hash_key_range.is_adjacent(&shard.hash_key_range));
    match neighbour {
        Some(other) if random.below(2) == 0 || open.len() > 6 => {
            // The service wants the lower one first.
            let [low, high] = if shard.hash_key_range < other.hash_key_range { [shard, other] } else { [other, shard] };
            kinesis.merge(STREAM, low.id.as_str(), high.id.as_str()).unwrap();
        }
        _ => drop(kinesis.split(STREAM, shard.id.as_str()).unwrap()),
    }
}

async fn run(kinesis: &FakeKinesis, config: ProducerConfig, seed: u64, reshards: bool) -> Vec<(String, Outcome)> {
    let mut random = Randomness::from_seed(seed).stream("load");
    let producer = producer(kinesis, config.ordered(true), seed).await;
    let mut handles = Vec::new();
    for index in 1..=300 {
        for key in 0..10 {
            let key = format!("key-{key}");
            let handle = producer.put(record(&key, index)).await.unwrap();
            handles.push((format!("{key}/{index}"), handle));
        }
        tokio::time::sleep(millis(random.below(30))).await;
        if reshards && index % 40 == 0 {
            (0..1 + random.below(3)).for_each(|_| reshard(kinesis, &mut random));
        }
    }
    producer.close().await.unwrap();
    let mut outcomes = Vec::new();
    for (name, handle) in handles {
        outcomes.push((name, handle.await));
    }
    outcomes
}

#[tokio::test(start_paused = true)]
async fn order_holds_through_faults_and_reshards() {
    let mut replayed = 0;
    for seed in 0..40 {
        let mut random = Randomness::from_seed(seed).stream("faults");
        let kinesis = kinesis(1 + random.below(4) as u32).build();
        for _ in 0..random.below(6) {
            let fault = match random.below(5) {
                0 => Fault::LoseReply,
                1 => Fault::internal_failure(),
                2 => Fault::throttle(),
                3 => Fault::FailEntries(Entries::EveryNth(1 + random.below(2) as usize)),
                _ => Fault::Delay(millis(random.below(4000))),
            };
            let rule = FaultRule::on(Operation::PutRecords).fault(fault);
            kinesis.inject(rule.nth(1 + random.below(40)).times(1 + random.below(4)));
        }
        let config = ProducerConfig::default().aggregation(random.below(4) > 0);
        let outcomes = run(&kinesis, config, seed, random.below(3) > 0).await;
        check(&kinesis, &outcomes, seed);
        replayed += check_order(&kinesis, seed);
    }
    assert!(replayed > 0, "the runs meet replays");
}

#[tokio::test(start_paused = true)]
async fn order_holds_where_records_expire() {
    let (mut broken, mut expired) = (0, 0);
    for seed in 0..40 {
        let mut random = Randomness::from_seed(seed).stream("faults");
        let kinesis = kinesis(2).build();
        for fault in [Fault::Hang, Fault::throttle(), Fault::LoseReply] {
            let rule = FaultRule::on(Operation::PutRecords).fault(fault);
            kinesis.inject(rule.nth(1 + random.below(20)).times(1 + random.below(10)));
        }
        let config = ProducerConfig::default().record_ttl(millis(200 + random.below(2000)));
        let outcomes = run(&kinesis, config, seed, false).await;
        check(&kinesis, &outcomes, seed);
        check_order(&kinesis, seed);
        for (_, outcome) in &outcomes {
            match outcome {
                Outcome::Failed { cause: FailureCause::OrderBroken, .. } => broken += 1,
                Outcome::Failed { .. } => expired += 1,
                _ => {}
            }
        }
    }
    assert!(broken > 0 && expired > 0, "{broken} broken, {expired} expired");
}

#[tokio::test(start_paused = true)]
async fn a_key_with_an_unknown_outcome_waits_for_its_acknowledgement() {
    let kinesis = kinesis(1).build();
    let config = ProducerConfig::default().ordered(true).record_ttl(millis(5000));
    let producer = producer(&kinesis, config, 1).await;
    kinesis.inject(FaultRule::on(Operation::PutRecords).fault(Fault::Hang));
    let first = producer.put(record("k", 1)).await.unwrap();
    assert!(matches!(first.await, Outcome::Unknown { .. }));
    let second = producer.put(record("k", 2)).await.unwrap();
    assert!(matches!(second.await, Outcome::Failed { cause: FailureCause::OrderBroken, .. }));
    assert!(producer.put(record("other", 1)).await.unwrap().await.is_stored());
    producer.acknowledge_unknown(&stream(), "k");
    assert!(producer.put(record("k", 3)).await.unwrap().await.is_stored());
}

#[tokio::test(start_paused = true)]
async fn ordered_mode_still_fills_a_shard() {
    let kinesis = kinesis(1).journal(false).build();
    let config = ProducerConfig::default().ordered(true).rate_limit(1000);
    let producer = producer(&kinesis, config, 1).await;
    let started = tokio::time::Instant::now();
    for index in 0..20_000 {
        let data = vec![b'x'; 100];
        drop(producer.put(kinesis_producer::UserRecord::new(stream(), format!("key-{}", index % 100), data)).await);
    }
    let stats = producer.close().await.unwrap();
    assert_eq!(stats.user_records_put, 20_000);
    // 2.1 MB in aggregates of 50 KB, each a round trip of 20 ms.
    assert!(started.elapsed() < millis(1500), "{:?}, {stats:?}", started.elapsed());
}
