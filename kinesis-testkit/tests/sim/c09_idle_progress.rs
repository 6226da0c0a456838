//! C9: a shard without data moves its saved position in time, so that retention cannot strand it.

use std::time::Duration;

use kinesis_consumer::{ConsumerBuilder, RawRecords};
use kinesis_core::{ConsumerConfig, FanOutConfig, Randomness, RecordPublisher, StartingPosition};
use kinesis_testkit::FakeKinesis;

use crate::account::{Account, Step};
use crate::play::in_paused_time;
use crate::workload;
use crate::world::{STREAM, World};

/// Two calls, the checkpoint's interval, and the margin of a minute that the position keeps.
const OLDEST: Duration = Duration::from_secs(2 * 290 + 600 + 60 + 20);

/// Two days with a few records here and there, and a crash.
async fn play(publisher: RecordPublisher, seed: u64) -> Account {
    play_with(publisher, seed, |builder| builder).await
}

/// The same with consumers that are built otherwise.
pub(crate) async fn play_with(
    publisher: RecordPublisher,
    seed: u64,
    adapt: impl Fn(ConsumerBuilder<RawRecords>) -> ConsumerBuilder<RawRecords>,
) -> Account {
    let randomness = Randomness::from_seed(seed);
    let mut random = randomness.stream("idle");
    let fake = FakeKinesis::builder().stream(STREAM, 3).seed(seed).virtual_time().build();
    let mut world = World::read_by(publisher, fake.clone());
    let config = ConsumerConfig::builder()
        .starting_position(StartingPosition::TrimHorizon)
        .get_records_interval(Duration::from_secs(290))
        .discovery_interval(Duration::from_secs(3600))
        .record_publisher(publisher)
        .fan_out(FanOutConfig::named("idle"))
        .build()
        .unwrap();
    for day in 0..2 {
        let builder = adapt(world.consumer(StartingPosition::TrimHorizon)).config(config.clone()).seed(seed);
        let running = world.start(builder, Duration::from_secs(600), Duration::ZERO);
        let hours = 20 + random.below(8);
        let putting =
            workload::put(&fake, randomness.stream(&format!("day {day}")), 3, Duration::from_secs(hours * 3600));
        let (ended, ()) = tokio::join!(running.crash_after(Duration::from_secs(hours * 3600)), putting);
        assert!(ended.is_none(), "{ended:?}");
    }
    world.account(true)
}

pub(crate) fn check(account: &Account) -> Result<(), String> {
    // The first hour is for the start, and for what was put before.
    for checkpoint in account.checkpoints().skip(6) {
        for state in &checkpoint.streams[0].shards {
            let Some(progress) = state.progress.as_ref().filter(|progress| !progress.position.is_ended()) else {
                continue;
            };
            let arrival = progress.position.last().map(|at| account.arrivals[&at.sequence_number]);
            let reached = progress.position.not_before().max(arrival);
            let age = reached.and_then(|time| checkpoint.taken_at.duration_since(time).ok());
            if age.is_none_or(|age| age > OLDEST) {
                return Err(format!("epoch {}: {} stands {age:?} back", checkpoint.epoch, state.shard.id));
            }
        }
    }
    Ok(())
}

#[test]
fn c9_idle_shards_do_not_age() {
    for (publisher, seed) in
        (0..6).map(|run| ([RecordPublisher::Polling, RecordPublisher::EnhancedFanOut][run % 2], run as u64 / 2))
    {
        let account = in_paused_time(seed, play(publisher, seed));
        assert!(account.checkpoints().count() > 200, "{publisher:?}, seed {seed}");
        check(&account).unwrap_or_else(|problem| panic!("C9: {publisher:?}, seed {seed}: {problem}"));
    }
}

#[test]
fn c9_sees_a_position_that_stands_still() {
    let mut account = in_paused_time(0, play(RecordPublisher::Polling, 0));
    let first = account.checkpoints().nth(6).unwrap().streams.clone();
    account.steps.iter_mut().for_each(|step| {
        if let Step::Saved { checkpoint, .. } = step {
            checkpoint.streams.clone_from(&first);
        }
    });
    assert!(check(&account).unwrap_err().contains("stands"));
}
