//! C8: what retention removed before it was read is named by a loss event; without that there is none.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use kinesis_consumer::LossPolicy;
use kinesis_core::{RandomStream, Randomness, RecordPublisher, StartingPosition};
use kinesis_testkit::FakeKinesis;

use crate::account::{Account, Place, Step};
use crate::plan::EventTime;
use crate::play::in_paused_time;
use crate::suite::{sound, story};
use crate::workload;
use crate::world::{STREAM, World};

const RETENTION: Duration = Duration::from_secs(24 * 3600);
const HOUR: u64 = 3600;
const SEEDS: u64 = 60;

/// Puts, reads, stops, crashes, reshards; and days pass, with the job away or in the middle of reading.
async fn play(publisher: RecordPublisher, seed: u64) -> Account {
    let randomness = Randomness::from_seed(seed);
    let mut random = randomness.stream("loss");
    let fake = FakeKinesis::builder().stream(STREAM, 1 + random.below(2) as u32).seed(seed).virtual_time().build();
    let mut world = World::read_by(publisher, fake.clone());
    world.event_time = event_time(seed);
    for round in 0..4 {
        let span = Duration::from_secs(random.below(4));
        workload::put(&fake, randomness.stream(&format!("round {round}")), 6, span).await;
        let running = start(&mut world, &mut random);
        // A job that has no checkpoint yet is owed nothing: what is gone by then it never asked for.
        while !world.log.lock().iter().any(|step| matches!(step, Step::Saved { .. })) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let runs_for = Duration::from_millis(random.below(10_000));
        if random.below(2) == 0 {
            tokio::time::sleep(Duration::from_millis(100 + random.below(4000))).await;
            workload::put(&fake, randomness.stream(&format!("late {round}")), 6, span).await;
            fake.advance(Duration::from_secs(random.below(40 * HOUR)));
        }
        if random.below(3) == 0 {
            // A split of what is split already is refused, which is as good.
            let _ = fake.split(STREAM, &format!("shardId-{:012}", random.below(4)));
        }
        running.crash_after(runs_for).await;
        if random.below(2) == 0 {
            workload::put(&fake, randomness.stream(&format!("away {round}")), 6, span).await;
            fake.advance(Duration::from_secs(random.below(40 * HOUR)));
        }
    }
    let last = start(&mut world, &mut random);
    last.handle.drain();
    let drained = matches!(last.crash_after(Duration::from_secs(120)).await, Some(Ok(_)));
    world.account(drained)
}

fn start(world: &mut World, random: &mut RandomStream) -> crate::world::Running {
    let builder = world
        .consumer(StartingPosition::TrimHorizon)
        .loss(LossPolicy::Continue)
        .seed(random.next_u64())
        .parallelism(1 + random.below(3) as usize);
    // A slow processor holds up what was read: shards are begun and waited for while days pass.
    let pace = Duration::from_millis(random.below(2) * random.below(2000));
    world.start(builder.max_batch(2), Duration::from_millis(300 + random.below(3000)), pace)
}

/// Where retention takes nothing, no loss is reported.
pub(crate) fn none_is_made_up(account: &Account) -> Result<(), String> {
    let is_loss = |step: &&Step| matches!(step, Step::Loss { .. } | Step::ShardLost { .. });
    account.steps.iter().find(is_loss).map_or(Ok(()), |step| Err(format!("{step:?}")))
}

/// Half of the runs keep event time, and half of these know idle shards.
fn event_time(seed: u64) -> Option<kinesis_core::EventTimeConfig> {
    crate::plan::event_time(match seed % 4 {
        1 => EventTime::Waiting,
        3 => EventTime::Idle,
        _ => EventTime::None,
    })
}

/// The records that are in no state at the end.
fn missing(account: &Account) -> Result<Vec<&Place>, String> {
    let found: BTreeSet<Place> = account.final_places()?.into_values().flatten().collect();
    Ok(account.truth.iter().map(|item| &item.place).filter(|place| !found.contains(*place)).collect())
}

fn check(account: &Account) -> Result<(), String> {
    if !account.drained {
        return Err("the last run did not end".to_owned());
    }
    let is_named = |place: &Place| {
        account.steps.iter().any(|step| match step {
            Step::ShardLost { shard, .. } => account.line_of(&place.0).contains(&shard.shard),
            Step::Loss { loss, .. } if loss.shard.shard == place.0 => {
                loss.after.is_none_or(|after| place.1 > after) && loss.first_seen.is_none_or(|seen| place.1 < seen)
            }
            // Of an ancestor of which nothing was left to see: the gap may go on into its children.
            Step::Loss { loss, .. } => {
                loss.first_seen.is_none() && account.line_of(&place.0).contains(&loss.shard.shard)
            }
            _ => false,
        })
    };
    if let Some(silent) = missing(account)?.into_iter().find(|place| !is_named(place)) {
        return Err(format!("{silent:?} was lost in silence"));
    }
    account.steps.iter().try_for_each(|step| match step {
        Step::Loss { loss, at, .. } if !is_possible(account, loss, *at) => {
            Err(format!("nothing was removed: {step:?}"))
        }
        _ => Ok(()),
    })
}

/// Whether retention had reached the record that the event is about, by then.
fn is_possible(account: &Account, loss: &kinesis_consumer::PossibleLoss, at: SystemTime) -> bool {
    let Some(after) = loss.after else { return true };
    account.arrivals[&after.sequence_number] < at - RETENTION
}

#[test]
fn c8_loss_is_never_silent_and_never_made_up() {
    never_silent_and_never_made_up(RecordPublisher::Polling);
}

#[test]
fn c8_loss_is_never_silent_and_never_made_up_with_fan_out() {
    never_silent_and_never_made_up(RecordPublisher::EnhancedFanOut);
}

fn never_silent_and_never_made_up(publisher: RecordPublisher) {
    let seeds = std::env::var("LOSS_SEEDS").map_or(SEEDS, |seeds| seeds.parse().unwrap());
    let mut lossy = 0;
    for seed in 0..seeds {
        let account = in_paused_time(seed, play(publisher, seed));
        check(&account)
            .unwrap_or_else(|problem| panic!("C8: {publisher:?}, seed {seed}: {problem}\n{}", story(&account)));
        lossy += usize::from(!missing(&account).unwrap().is_empty());
    }
    assert!(lossy > seeds as usize / 4, "only {lossy} of {seeds} runs lost anything");
}

#[test]
fn c8_sees_a_silent_loss() {
    let mut account = sound();
    let mut lost = account.truth[0].clone();
    lost.place.1.sub_sequence_number += 1000;
    account.truth.push(lost);
    assert!(check(&account).unwrap_err().contains("silence"));
}

#[test]
fn c8_sees_a_loss_that_is_made_up() {
    let account = (0..SEEDS).map(|seed| in_paused_time(seed, play(RecordPublisher::Polling, seed)));
    let has_loss = |step: &Step| matches!(step, Step::Loss { loss, .. } if loss.after.is_some());
    let mut account = account.into_iter().find(|account| account.steps.iter().any(has_loss)).unwrap();
    account.steps.iter_mut().for_each(|step| {
        if let Step::Loss { at, .. } = step {
            *at -= RETENTION * 10;
        }
    });
    assert!(check(&account).unwrap_err().contains("nothing was removed"));
}

#[test]
fn c8_sees_a_loss_where_retention_takes_nothing() {
    let mut account = sound();
    none_is_made_up(&account).unwrap();
    let place = account.truth[0].place.0.clone();
    let shard = kinesis_consumer::StreamShard { stream: STREAM.parse().unwrap(), shard: place };
    account.steps.push(Step::ShardLost { run: 1, shard });
    none_is_made_up(&account).unwrap_err();
}
