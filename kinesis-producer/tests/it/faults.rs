use kinesis_core::Randomness;
use kinesis_producer::{FailureCause, Outcome, ProducerConfig};
use kinesis_testkit::{Entries, FakeKinesis, Fault, FaultRule, Operation};
use tokio::time::Instant;

use crate::support::{check, copies, excused, kinesis, millis, producer, puts, record};

/// Puts records with a pause every hundred, and returns them with their outcomes.
async fn run(kinesis: &FakeKinesis, config: ProducerConfig, seed: u64, count: usize) -> Vec<(String, Outcome)> {
    let producer = producer(kinesis, config, seed).await;
    let mut handles = Vec::new();
    for index in 0..count {
        let key = format!("key-{}", index % 97);
        let handle = producer.put(record(&key, index)).await.unwrap();
        handles.push((format!("{key}/{index}"), handle));
        if index % 100 == 99 {
            tokio::time::sleep(millis(50)).await;
        }
    }
    producer.flush().await.unwrap();
    let mut outcomes = Vec::new();
    for (name, handle) in handles {
        outcomes.push((name, handle.await));
    }
    let stats = producer.close().await.unwrap();
    // P2
    assert_eq!((stats.outstanding(), outcomes.len()), (0, count), "seed {seed}");
    outcomes
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_leads_to_one_copy_more_and_an_acknowledgement() {
    let kinesis = kinesis(2).build();
    kinesis.inject(FaultRule::on(Operation::PutRecords).fault(Fault::LoseReply).nth(3));
    let outcomes = run(&kinesis, ProducerConfig::default(), 1, 2000).await;
    assert!(outcomes.iter().all(|(_, outcome)| outcome.is_stored()));
    check(&kinesis, &outcomes, 1);
    let duplicates = copies(&kinesis).len() - 2000;
    let excuses: usize = outcomes.iter().map(|(_, outcome)| excused(outcome)).sum();
    assert!(duplicates > 0 && duplicates == excuses, "{duplicates} duplicates, {excuses} lost answers");
}

#[tokio::test(start_paused = true)]
async fn entries_that_fail_are_sent_again_and_no_others() {
    let kinesis = kinesis(4).build();
    let failing = FaultRule::on(Operation::PutRecords).fault(Fault::FailEntries(Entries::EveryNth(2)));
    let fault = kinesis.inject(failing.times(10));
    let config = ProducerConfig::default().aggregation(false);
    let outcomes = run(&kinesis, config, 1, 2000).await;
    assert_eq!(fault.fired(), 10);
    assert!(outcomes.iter().all(|(_, outcome)| outcome.is_stored()));
    check(&kinesis, &outcomes, 1);
    assert_eq!(copies(&kinesis).len(), 2000, "a whole request is never repeated for an entry");
}

// P3
#[tokio::test(start_paused = true)]
async fn what_never_reached_the_service_fails_definitely_when_its_time_is_up() {
    let kinesis = kinesis(1).build();
    kinesis.inject(FaultRule::on(Operation::PutRecords).fault(Fault::throttle()).always());
    let started = Instant::now();
    let outcomes = run(&kinesis, ProducerConfig::default(), 1, 10).await;
    let elapsed = started.elapsed();
    assert!(elapsed >= millis(30_000) && elapsed < millis(41_000), "{elapsed:?}");
    for (_, outcome) in &outcomes {
        let Outcome::Failed { cause, .. } = outcome else {
            panic!("{outcome:?}");
        };
        assert!(matches!(cause, FailureCause::Expired { .. }), "{cause}");
        assert!(cause.to_string().contains("ProvisionedThroughputExceededException"), "{cause}");
    }
    check(&kinesis, &outcomes, 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_never_comes_ends_as_unknown() {
    let kinesis = kinesis(1).build();
    kinesis.inject(FaultRule::on(Operation::PutRecords).fault(Fault::Hang).always());
    let outcomes = run(&kinesis, ProducerConfig::default(), 1, 10).await;
    assert!(outcomes.iter().all(|(_, outcome)| matches!(outcome, Outcome::Unknown { .. })), "{outcomes:?}");
}

// P8
#[tokio::test(start_paused = true)]
async fn a_service_that_fails_is_not_stormed() {
    let kinesis = kinesis(4).build();
    kinesis.inject(FaultRule::on(Operation::PutRecords).fault(Fault::internal_failure()).always());
    run(&kinesis, ProducerConfig::default(), 1, 1000).await;
    let calls = puts(&kinesis);
    assert!(calls < 120, "{calls} calls in 30 s; the wait grows to 5 s");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_cannot_be_looked_up_is_tried_again() {
    let kinesis = kinesis(2).build();
    kinesis.inject(FaultRule::on(Operation::DescribeStreamSummary).fault(Fault::internal_failure()).times(2));
    kinesis.inject(FaultRule::on(Operation::ListShards).fault(Fault::Reset).times(2));
    let outcomes = run(&kinesis, ProducerConfig::default(), 1, 100).await;
    assert!(outcomes.iter().all(|(_, outcome)| outcome.is_stored()));
}

#[tokio::test(start_paused = true)]
async fn a_producer_that_may_not_describe_still_writes() {
    let kinesis = kinesis(2).build();
    let denied = Fault::Error { code: "AccessDeniedException".to_owned(), message: "no".to_owned(), status: 400 };
    kinesis.inject(FaultRule::on(Operation::DescribeStreamSummary).fault(denied).always());
    let outcomes = run(&kinesis, ProducerConfig::default(), 1, 100).await;
    assert!(outcomes.iter().all(|(_, outcome)| outcome.is_stored()));
}

fn random_fault(random: &mut kinesis_core::RandomStream) -> Fault {
    match random.below(6) {
        0 => Fault::LoseReply,
        1 => Fault::internal_failure(),
        2 => Fault::throttle(),
        3 => Fault::Reset,
        4 => Fault::FailEntries(Entries::EveryNth(1 + random.below(3) as usize)),
        _ => Fault::Delay(millis(random.below(15_000))),
    }
}

/// P1 to P4 under faults at random calls, with and without aggregation.
#[tokio::test(start_paused = true)]
async fn every_mix_of_faults_keeps_the_invariants() {
    for seed in 0..60 {
        let mut random = Randomness::from_seed(seed).stream("faults");
        let kinesis = kinesis(1 + random.below(5) as u32).build();
        for _ in 0..1 + random.below(8) {
            let nth = 1 + random.below(25);
            let rule = FaultRule::on(Operation::PutRecords).fault(random_fault(&mut random));
            kinesis.inject(rule.nth(nth).times(1 + random.below(4)));
        }
        let config = ProducerConfig::default()
            .aggregation(random.below(3) > 0)
            .ordered(random.below(3) == 0)
            .record_ttl(millis(1000 + random.below(30_000)));
        let outcomes = run(&kinesis, config, seed, 1500).await;
        check(&kinesis, &outcomes, seed);
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_journal() {
    let mut journals = Vec::new();
    for _ in 0..2 {
        let kinesis = kinesis(3).build();
        kinesis.inject(FaultRule::on(Operation::PutRecords).fault(Fault::LoseReply).nth(2).times(3));
        kinesis.inject(FaultRule::on(Operation::PutRecords).fault(Fault::throttle()).nth(6).times(2));
        run(&kinesis, ProducerConfig::default(), 7, 1000).await;
        journals.push(kinesis.journal());
    }
    assert_eq!(journals[0], journals[1]);
}
