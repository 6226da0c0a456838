//! The checks against jobs that misbehave on purpose: each known bug is found within a few seeds.

use kinesis_consumer::Mutant;
use kinesis_core::RecordPublisher;

use crate::account::Account;
use crate::run::play_with;
use crate::seeds::in_paused_time;
use crate::{c01_no_loss, c02_no_double_effect, c03_prefix};

/// The most seeds that it may take.
const WITHIN: u64 = 60;

/// The first seed whose run the check rejects.
fn found(mutant: Mutant, check: impl Fn(&Account) -> Result<(), String>) -> u64 {
    let rejected = |seed: &u64| {
        let account =
            in_paused_time(*seed, play_with(RecordPublisher::Polling, *seed, move |builder| builder.mutant(mutant)));
        check(&account).is_err()
    };
    let seed = (0..WITHIN).find(rejected);
    let seed = seed.unwrap_or_else(|| panic!("{mutant:?} was not found within {WITHIN} seeds"));
    println!("{mutant:?}: found by seed {seed}");
    seed
}

#[test]
fn output_that_is_not_durable_before_the_checkpoint_is_found() {
    found(Mutant::CheckpointBeforePreCommit, c02_no_double_effect::check);
}

#[test]
fn output_that_is_visible_before_the_checkpoint_is_found() {
    found(Mutant::PublishBeforeCheckpoint, c02_no_double_effect::check);
}

#[test]
fn pending_commits_that_a_restore_forgets_are_found() {
    found(Mutant::ForgetPendingCommits, c02_no_double_effect::check);
}

#[test]
fn states_that_children_do_not_inherit_are_found() {
    found(Mutant::ForgetParentStates, c01_no_loss::check);
    found(Mutant::ForgetParentStates, c03_prefix::check);
}
