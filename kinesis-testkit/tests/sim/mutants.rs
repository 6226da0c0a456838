//! The simulation against jobs that misbehave on purpose: known bugs of others, each found within a few seeds.

use kinesis_consumer::Mutant;
use kinesis_core::RecordPublisher;

use crate::c09_idle_progress;
use crate::draw::draw;
use crate::plan::{Plan, Reader};
use crate::play::{Played, in_paused_time, play_set_up, play_with};
use crate::suite::judge;

/// The most seeds that it may take.
const WITHIN: u64 = 50;

/// Says how many seeds it took to find a mutant, and which invariant did.
fn found(mutant: Mutant, by: Option<Reader>) {
    search(&format!("{mutant:?}"), by, |plan| play_with(plan, |builder| builder.mutant(mutant)));
}

/// The same, of a producer.
fn found_in_producer(mutant: kinesis_producer::Mutant) {
    let play = |plan: &Plan| play_set_up(plan, |builder| builder, |config| config.mutant(mutant));
    search(&format!("{mutant:?}"), None, play);
}

fn search(name: &str, by: Option<Reader>, play: impl Fn(&Plan) -> Played) {
    let plans = (0..).map(draw).filter(|plan| by.is_none_or(|reader| plan.reader == reader));
    for (count, plan) in (1..=WITHIN).zip(plans) {
        let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| play(&plan)));
        // An assertion of the product itself is as good.
        let broken = played.map_or(Some("an assertion"), |played| judge(&played).map(|violation| violation.invariant));
        if let Some(invariant) = broken {
            println!("{name}: found by {count} seeds, {invariant}");
            return;
        }
    }
    panic!("{name} was not found by {WITHIN} seeds");
}

#[test]
fn output_that_is_not_durable_before_the_checkpoint_is_found() {
    found(Mutant::CheckpointBeforePreCommit, None);
}

#[test]
fn output_that_is_visible_before_the_checkpoint_is_found() {
    found(Mutant::PublishBeforeCheckpoint, None);
}

#[test]
fn pending_commits_that_a_restore_forgets_are_found() {
    found(Mutant::ForgetPendingCommits, None);
}

#[test]
fn states_that_children_do_not_inherit_are_found() {
    found(Mutant::ForgetParentStates, None);
}

#[test]
fn an_expired_iterator_that_begins_again_is_found() {
    found(Mutant::ExpiredIteratorFromStart, Some(Reader::Polling));
}

#[test]
fn finished_shards_that_are_forgotten_are_found() {
    found(Mutant::ForgetFinishedShards, None);
}

#[test]
fn a_closed_shard_that_is_taken_for_a_new_one_is_found() {
    found(Mutant::ClosedShardIsNew, None);
}

#[test]
fn a_shard_that_is_begun_twice_is_found() {
    found(Mutant::BeginTwice, None);
}

#[test]
fn a_subscription_that_is_not_begun_again_is_found() {
    found(Mutant::StopWhenInUse, Some(Reader::FanOut));
}

#[test]
fn a_half_open_subscription_is_found() {
    found(Mutant::WaitForSilence, Some(Reader::FanOut));
}

#[test]
fn children_that_begin_before_their_parents_end_are_found() {
    found(Mutant::BeginChildrenEarly, None);
}

#[test]
fn a_listing_that_is_taken_for_all_of_it_is_found() {
    found(Mutant::PartialListing, None);
}

#[test]
fn what_is_left_of_a_broken_aggregate_is_found() {
    found(Mutant::PartialAggregate, None);
}

/// Idle shards have runs of their own.
#[test]
fn an_idle_shard_that_stands_still_is_found() {
    let play = c09_idle_progress::play_with(RecordPublisher::Polling, 0, |it| it.mutant(Mutant::IdleStandsStill));
    // The job may see itself that retention has passed it by, and ends, which the run takes for a panic.
    let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| in_paused_time(0, play)));
    assert!(played.is_err() || c09_idle_progress::check(&played.unwrap()).is_err());
}

#[test]
fn a_request_that_is_repeated_as_a_whole_is_found() {
    found_in_producer(kinesis_producer::Mutant::RepeatWholeRequest);
}

#[test]
fn silence_that_is_called_definite_is_found() {
    found_in_producer(kinesis_producer::Mutant::SilenceIsDefinite);
}

#[test]
fn an_aggregate_in_the_wrong_shard_is_found() {
    found_in_producer(kinesis_producer::Mutant::LeaveMisplaced);
}
