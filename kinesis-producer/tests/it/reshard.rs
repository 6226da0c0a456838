use kinesis_core::{Randomness, Shard};
use kinesis_producer::{Outcome, ProducerConfig};
use kinesis_testkit::{FakeKinesis, Fault, FaultRule, Operation};

use crate::support::{STREAM, check, copies, kinesis, millis, producer, record};

/// Splits the widest open shard, or merges two neighbours.
fn reshard(kinesis: &FakeKinesis, random: &mut kinesis_core::RandomStream) {
    let mut open: Vec<Shard> = kinesis.shards(STREAM).unwrap().into_iter().filter(Shard::is_open).collect();
    open.sort_by_key(|shard| shard.hash_key_range.start());
    let index = random.below(open.len() as u64) as usize;
    if open.len() > 1 && index + 1 < open.len() && (random.below(2) == 0 || open.len() > 6) {
        kinesis.merge(STREAM, open[index].id.as_str(), open[index + 1].id.as_str()).unwrap();
    } else {
        kinesis.split(STREAM, open[index].id.as_str()).unwrap();
    }
}

async fn run(kinesis: &FakeKinesis, config: ProducerConfig, seed: u64) -> Vec<(String, Outcome)> {
    let mut random = Randomness::from_seed(seed).stream("reshard");
    let producer = producer(kinesis, config, seed).await;
    let mut handles = Vec::new();
    for index in 0..4000 {
        let key = format!("key-{}", index % 211);
        let handle = producer.put(record(&key, index)).await.unwrap();
        handles.push((format!("{key}/{index}"), handle));
        if index % 50 == 49 {
            tokio::time::sleep(millis(random.below(60))).await;
        }
        if index % 500 == 499 {
            reshard(kinesis, &mut random);
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
async fn after_a_split_no_acknowledged_record_is_one_that_the_kcl_drops() {
    let kinesis = kinesis(1).build();
    let producer = producer(&kinesis, ProducerConfig::default(), 1).await;
    let mut handles = Vec::new();
    for index in 0..100 {
        handles.push((
            format!("key-{index}/{index}"),
            producer.put(record(&format!("key-{index}"), index)).await.unwrap(),
        ));
    }
    tokio::time::sleep(millis(50)).await;
    kinesis.split(STREAM, "shardId-000000000000").unwrap();
    let stats = producer.close().await.unwrap();
    assert_eq!((stats.wrong_shard, stats.shard_map_reads), (1, 2), "{stats:?}");
    let mut outcomes = Vec::new();
    for (name, handle) in handles {
        outcomes.push((name, handle.await));
    }
    assert!(outcomes.iter().all(|(_, outcome)| outcome.is_stored()));
    check(&kinesis, &outcomes, 1);
    assert_eq!(copies(&kinesis).len(), 200, "every record has a copy that is dropped and one that counts");
}

#[tokio::test(start_paused = true)]
async fn after_a_merge_nothing_is_sent_twice() {
    let kinesis = kinesis(2).build();
    let producer = producer(&kinesis, ProducerConfig::default(), 1).await;
    for index in 0..100 {
        drop(producer.put(record(&format!("key-{index}"), index)).await.unwrap());
    }
    tokio::time::sleep(millis(50)).await;
    kinesis.merge(STREAM, "shardId-000000000000", "shardId-000000000001").unwrap();
    let stats = producer.close().await.unwrap();
    assert_eq!((stats.user_records_put, stats.wrong_shard), (100, 0), "{stats:?}");
    assert_eq!(copies(&kinesis).len(), 100);
}

#[tokio::test(start_paused = true)]
async fn random_reshards_lose_nothing_for_a_reader_by_the_kcls_rule() {
    let mut wrong = 0;
    for seed in 0..16 {
        let kinesis = kinesis(2).build();
        // In ordered mode single records take a round trip each, so that the last ones wait long.
        let config = ProducerConfig::default().aggregation(seed % 5 > 0).ordered(seed % 3 == 0);
        let config = config.record_ttl(millis(600_000));
        let outcomes = run(&kinesis, config, seed).await;
        assert!(outcomes.iter().all(|(_, outcome)| outcome.is_stored()), "seed {seed}");
        check(&kinesis, &outcomes, seed);
        wrong += copies(&kinesis).iter().filter(|copy| !copy.is_visible).count();
        let visible = copies(&kinesis).iter().filter(|copy| copy.is_visible).count();
        assert_eq!(visible, 4000, "seed {seed}: without faults a reader sees each record once");
    }
    assert!(wrong > 0, "the runs meet wrong shards");
}

#[tokio::test(start_paused = true)]
async fn reshards_and_faults_together_keep_the_invariants() {
    for seed in 0..24 {
        let mut random = Randomness::from_seed(seed).stream("faults");
        let kinesis = kinesis(2).build();
        for operation in [Operation::PutRecords, Operation::PutRecords, Operation::ListShards] {
            let fault = [Fault::LoseReply, Fault::internal_failure(), Fault::Reset, Fault::throttle()];
            let fault = fault[random.below(4) as usize].clone();
            kinesis.inject(FaultRule::on(operation).fault(fault).nth(1 + random.below(12)).times(1 + random.below(3)));
        }
        let outcomes = run(&kinesis, ProducerConfig::default().ordered(seed % 2 == 0), seed).await;
        check(&kinesis, &outcomes, seed);
    }
}
