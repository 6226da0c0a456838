//! A consumer that retention overtakes while it reads, and those that it does not.

use std::time::Duration;

use aws_sdk_kinesis::primitives::Blob;
use kinesis_consumer::{ConsumerBuilder, ConsumerError, ConsumerEvent, LossPolicy, PossibleLoss, RawRecords};
use kinesis_core::{ConsumerConfig, StartingPosition};
use kinesis_testkit::{FakeKinesis, Fault, FaultHandle, FaultRule, Limits, Operation};

use crate::support::{Running, STREAM, World, text, texts};

const HOUR: Duration = Duration::from_secs(3600);
const OTHER: &str = "payments";

/// A stream with a record every two minutes for so long.
async fn backlog(hours: u32) -> World {
    let world = World::new(1);
    for number in 0..hours * 30 {
        world.put("key", &text(number)).await;
        world.fake.advance(Duration::from_secs(120));
    }
    world
}

/// Reads a record every four minutes, often enough for its iterators to live on.
fn slow(world: &World) -> ConsumerBuilder<RawRecords> {
    let config = ConsumerConfig::builder()
        .starting_position(StartingPosition::TrimHorizon)
        .get_records_limit(1)
        .get_records_interval(Duration::from_secs(240))
        .discovery_interval(HOUR)
        .build()
        .unwrap();
    world.consumer().config(config).checkpoints(world.store.clone(), HOUR)
}

/// The error that ends a job within two days.
async fn failure(running: Running) -> ConsumerError {
    let ended = tokio::time::timeout(48 * HOUR, running.job).await;
    ended.expect("the job fails within two days").unwrap().unwrap_err()
}

fn losses(world: &World) -> Vec<PossibleLoss> {
    let loss = |event: ConsumerEvent| if let ConsumerEvent::PossibleLoss(loss) = event { Some(loss) } else { None };
    world.events().into_iter().filter_map(loss).collect()
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_is_overtaken_while_it_reads_fails_with_what_may_be_lost() {
    // C8, F15: two minutes of records every four minutes, from 23 hours behind on.
    let world = backlog(23).await;
    let running = world.start(slow(&world));
    let error = failure(running).await;
    assert!(matches!(error, ConsumerError::PossibleLoss(_)), "{error}");
    let read = world.seen.texts();
    assert_eq!(read, texts(0..read.len() as u32), "up to the gap all were read");
    let losses = losses(&world);
    let journal = world.fake.journal().records;
    assert_eq!(losses.len(), 1);
    assert_eq!(losses[0].after.unwrap().sequence_number, journal[read.len() - 1].sequence_number());
    let first_seen = journal
        .iter()
        .find(|record| Some(record.sequence_number()) == losses[0].first_seen.map(|at| at.sequence_number));
    assert_eq!(losses[0].first_seen_at, first_seen.map(|record| record.arrived_at()));
}

#[tokio::test(start_paused = true)]
async fn every_gap_of_a_consumer_that_goes_on_is_reported_once() {
    let world = backlog(23).await;
    let running = world.start(slow(&world).loss(LossPolicy::Continue));
    tokio::time::sleep(5 * HOUR + Duration::from_secs(60)).await;
    running.kill().await;
    let read = world.seen.texts();
    let journal = world.fake.journal().records;
    let number = |at: kinesis_core::RecordPosition| {
        journal.iter().position(|record| record.sequence_number() == at.sequence_number).unwrap()
    };
    let reported: Vec<(usize, usize)> =
        losses(&world).iter().map(|loss| (number(loss.after.unwrap()), number(loss.first_seen.unwrap()))).collect();
    let numbers: Vec<usize> = read.iter().map(|text| text["text-".len()..].parse().unwrap()).collect();
    let gaps: Vec<(usize, usize)> =
        numbers.windows(2).map(|pair| (pair[0], pair[1])).filter(|(one, next)| one + 1 != *next).collect();
    assert!(!gaps.is_empty(), "{reported:?} {numbers:?}");
    // Where retention took the last record alone, nothing is missing, but nobody can know.
    assert!(gaps.iter().all(|gap| reported.contains(gap)), "{gaps:?} {reported:?}");
    assert!(
        reported.iter().all(|gap| numbers.windows(2).any(|pair| (pair[0], pair[1]) == *gap)),
        "{reported:?} {gaps:?}"
    );
    assert!(reported.windows(2).all(|pair| pair[0] < pair[1]), "{reported:?}");
}

#[tokio::test(start_paused = true)]
async fn a_consumer_close_to_retention_that_catches_up_reports_nothing_and_repeats_nothing() {
    let world = backlog(23).await;
    world.fake.advance(Duration::from_secs(3590));
    world.drain().await;
    assert_eq!(world.seen.texts(), texts(0..690));
    assert_eq!(losses(&world), []);
}

#[tokio::test(start_paused = true)]
async fn one_record_a_read_is_progress_also_close_to_retention() {
    // The record that proves that nothing is missing takes the whole reply.
    let world = World::new(1);
    world.put_many(0..5).await;
    world.fake.advance(24 * HOUR - Duration::from_secs(300));
    let config = ConsumerConfig::builder().starting_position(StartingPosition::TrimHorizon).get_records_limit(1);
    world.start(world.consumer().config(config.build().unwrap())).drain().await.unwrap();
    assert_eq!(world.seen.texts(), texts(0..5));
    assert_eq!(losses(&world), []);
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_keeps_up_makes_no_call_for_it() {
    let world = World::new(2);
    let running = world.start(world.consumer());
    for number in 0..20 {
        world.put(&format!("key-{number}"), &text(number)).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    running.drain().await.unwrap();
    let counts = world.fake.call_counts();
    let calls = [Operation::DescribeStreamSummary, Operation::GetShardIterator].map(|it| counts[&it].calls);
    assert_eq!(calls, [1, 2], "one look at the stream, one iterator per shard");
}

#[tokio::test(start_paused = true)]
async fn a_longer_retention_is_looked_up_and_lets_a_backlog_be_read_without_more_calls() {
    let world = World::new(1);
    let client = world.fake.client();
    client.increase_stream_retention_period().stream_name(STREAM).retention_period_hours(168).send().await.unwrap();
    for number in 0..20 {
        world.put("key", &text(number)).await;
        world.fake.advance(4 * HOUR);
    }
    let config = ConsumerConfig::builder().starting_position(StartingPosition::TrimHorizon).get_records_limit(1);
    world.start(world.consumer().config(config.build().unwrap())).drain().await.unwrap();
    assert_eq!(world.seen.texts(), texts(0..20));
    let counts = world.fake.call_counts();
    let calls = [Operation::DescribeStreamSummary, Operation::GetShardIterator].map(|it| counts[&it].calls);
    assert_eq!(calls, [1, 1], "what was looked up at the start is believed for a while");
}

#[tokio::test(start_paused = true)]
async fn a_silent_shard_whose_reader_stood_still_for_longer_than_retention_is_reported() {
    // Its position is a time, so that there is no record that could come back and prove it.
    let world = World::new(1);
    let config = ConsumerConfig::builder().get_records_interval(Duration::from_secs(10));
    let running = world.start(world.consumer().config(config.build().unwrap()));
    tokio::time::sleep(Duration::from_secs(95)).await;
    world.put_many(0..3).await;
    world.fake.advance(30 * HOUR);
    let error = failure(running).await;
    assert!(matches!(error, ConsumerError::PossibleLoss(_)), "{error}");
    assert_eq!(losses(&world).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_loss_that_a_restore_has_reported_is_not_reported_again_by_the_reader() {
    let world = World::new(1);
    let running = world.start(world.consumer_from(StartingPosition::Latest));
    tokio::time::sleep(Duration::from_secs(90)).await;
    running.kill().await;
    world.put_many(0..3).await;
    tokio::time::sleep(30 * HOUR).await;
    world.put_many(3..6).await;
    world.start(world.consumer().loss(LossPolicy::Continue)).drain().await.unwrap();
    assert_eq!(world.seen.texts(), texts(3..6));
    assert_eq!(losses(&world).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_child_that_was_begun_and_not_read_when_the_job_stopped_is_reported_when_it_aged_out() {
    // C8: its position is the oldest record, which is another one by now.
    let world = World::new(1);
    world.put_many(0..3).await;
    let running = world.start(world.consumer());
    world.wait_for(3).await;
    let [low, high] = world.fake.split(STREAM, "shardId-000000000000").unwrap();
    let hang = FaultRule::on(Operation::GetRecords).fault(Fault::Hang).always();
    for child in [low, high] {
        world.fake.inject(hang.clone().shard(child));
    }
    tokio::time::sleep(Duration::from_secs(20)).await;
    running.kill().await;
    world.fake.heal();
    world.put_many(3..9).await;
    tokio::time::sleep(30 * HOUR).await;
    let error = world.start(world.consumer()).drain().await.unwrap_err();
    assert!(matches!(error, ConsumerError::PossibleLoss(_)), "{error}");
}

/// The shards of the other stream that a loss was reported of when it was put back after 31 hours.
async fn losses_of_the_other_stream(read_meanwhile: bool) -> Vec<String> {
    let world = World::of(FakeKinesis::builder().stream(STREAM, 1).stream(OTHER, 1).virtual_time().build());
    let both = || world.consumer().streams([STREAM, OTHER]).loss(LossPolicy::Continue);
    world.start(both()).drain().await.unwrap();
    tokio::time::sleep(HOUR).await;
    world.fake.split(OTHER, "shardId-000000000000").unwrap();
    for number in 0..20 {
        let put = world.fake.client().put_record().stream_name(OTHER).partition_key(format!("key-{number}"));
        put.data(Blob::new(text(number))).send().await.unwrap();
    }
    for _ in 0..3 {
        tokio::time::sleep(10 * HOUR).await;
        if read_meanwhile {
            world.drain().await;
        }
    }
    world.events.lock().clear();
    world.start(both()).drain().await.unwrap();
    assert_eq!(world.seen.len(), 0, "all twenty are gone");
    let name = |event: ConsumerEvent| match event {
        ConsumerEvent::PossibleLoss(loss) if loss.shard.stream.as_str() == OTHER => Some(loss.shard.shard.to_string()),
        _ => None,
    };
    world.events().into_iter().filter_map(name).collect()
}

#[tokio::test(start_paused = true)]
async fn what_aged_out_of_new_shards_of_a_stream_that_was_taken_out_is_reported() {
    // C8
    let away = losses_of_the_other_stream(false).await;
    assert_eq!(away, ["shardId-000000000001", "shardId-000000000002"], "the whole job was away");
    assert_eq!(losses_of_the_other_stream(true).await, away, "the job read the first stream meanwhile");
}

/// Nearly a day behind with a record a read, and what the service said of the retention at first is not believed any more.
async fn nearly_a_day_behind(world: &World, limit: u32, look_ups: Option<FaultRule>) -> (Running, Option<FaultHandle>) {
    world.fake.advance(24 * HOUR - Duration::from_secs(1200));
    let config = ConsumerConfig::builder().starting_position(StartingPosition::TrimHorizon).get_records_limit(limit);
    let running = world.start(world.consumer().config(config.build().unwrap()));
    world.wait_for(1).await;
    let fault = look_ups.map(|rule| world.fake.inject(rule));
    // In steps that iterators survive.
    for _ in 0..4 {
        tokio::time::advance(Duration::from_secs(225)).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    (running, fault)
}

#[tokio::test(start_paused = true)]
async fn a_reply_is_not_fetched_again_because_the_retention_could_not_be_looked_up() {
    let fake = FakeKinesis::builder().stream(STREAM, 1).limits(Limits::aws()).virtual_time().build();
    let world = World::of(fake);
    for number in 0..30 {
        world.put_bytes("key", text(number).repeat(80_000).as_bytes()).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let rule = FaultRule::on(Operation::DescribeStreamSummary).fault(Fault::throttle()).times(50);
    let (running, outage) = nearly_a_day_behind(&world, 2, Some(rule)).await;
    running.drain().await.unwrap();
    assert_eq!((outage.unwrap().fired(), world.seen.len()), (50, 30));
    let refused = world.fake.call_counts()[&Operation::GetRecords].refused;
    assert_eq!(refused, 0, "the pacer, not the service, sets the pace");
}

#[tokio::test(start_paused = true)]
async fn a_look_up_that_keeps_failing_ends_the_job_and_one_that_is_throttled_does_not() {
    for (fault, limit, is_over) in [(Fault::internal_failure(), HOUR, true), (Fault::throttle(), HOUR / 30, false)] {
        let world = World::new(1);
        world.put_many(0..10).await;
        let rule = FaultRule::on(Operation::DescribeStreamSummary).fault(fault).always();
        let (mut running, _) = nearly_a_day_behind(&world, 1, Some(rule)).await;
        let ended = tokio::time::timeout(limit, &mut running.job).await;
        assert_eq!(ended.is_ok(), is_over, "{ended:?}");
        world.fake.heal();
        if let Ok(ended) = ended {
            let error = ended.unwrap().unwrap_err();
            assert!(matches!(error, ConsumerError::Request(_)), "{error}");
        } else {
            running.drain().await.unwrap();
            assert_eq!(world.seen.sorted(), texts(0..10));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_look_up_tells_all_shards_the_retention_of_their_stream() {
    let world = World::new(40);
    world.put_many(0..200).await;
    nearly_a_day_behind(&world, 1, None).await.0.drain().await.unwrap();
    let describes = world.fake.call_counts()[&Operation::DescribeStreamSummary].calls;
    assert_eq!((describes, world.seen.len()), (2, 200), "one at the start, and one for those who are behind");
}

#[tokio::test(start_paused = true)]
async fn a_retention_raised_in_time_loses_nothing_of_children_that_wait() {
    let mut world = World::new(1);
    world.pace = 2 * HOUR;
    world.put_many(0..20).await;
    let config = ConsumerConfig::builder()
        .starting_position(StartingPosition::TrimHorizon)
        .get_records_interval(Duration::from_secs(120))
        .discovery_interval(Duration::from_secs(600))
        .build()
        .unwrap();
    let running = world.start(world.consumer().config(config).checkpoints(world.store.clone(), HOUR).max_batch(1));
    tokio::time::sleep(HOUR).await;
    world.fake.split(STREAM, "shardId-000000000000").unwrap();
    world.put_many(20..30).await;
    tokio::time::sleep(HOUR).await;
    let raise = world.fake.client().increase_stream_retention_period().stream_name(STREAM);
    raise.retention_period_hours(168).send().await.unwrap();
    let ended = running.drain().await;
    assert!(ended.is_ok(), "nothing is lost: {ended:?}");
    assert_eq!(world.seen.sorted(), texts(0..30));
}

/// A clock that is behind the service's.
#[derive(Debug)]
struct Behind(kinesis_core::SharedClock, Duration);

impl kinesis_core::Clock for Behind {
    fn now(&self) -> std::time::SystemTime {
        self.0.now() - self.1
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_behind_makes_no_loss_up() {
    let world = World::new(1);
    let consumer = || world.consumer().clock(std::sync::Arc::new(Behind(world.fake.clock(), 25 * HOUR)));
    world.put_many(0..5).await;
    world.start(consumer()).drain().await.unwrap();
    world.fake.split(STREAM, "shardId-000000000000").unwrap();
    world.put_many(5..10).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let ended = world.start(consumer()).drain().await;
    assert!(ended.is_ok(), "{ended:?}");
}
