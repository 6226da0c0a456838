//! C12: once the last fault is over, the job reaches the tips within a minute, without another restart.

use kinesis_core::RecordPublisher;

use crate::account::{Account, Step};
use crate::seeds::{check_all, sound};

fn check(account: &Account) -> Result<(), String> {
    let last = account.steps.last().map_or(0, Step::run);
    let failure = account.steps.iter().find_map(|step| match step {
        Step::Failed { run, error } if *run == last => Some(error),
        _ => None,
    });
    match failure {
        None if account.drained => Ok(()),
        None => Err("the last run did not end".to_owned()),
        Some(error) => Err(format!("the last run failed: {error}")),
    }
}

#[test]
fn c12_without_faults_the_lag_ends() {
    check_all("C12", check);
}

#[test]
fn c12_sees_a_job_that_hangs() {
    let account = Account { drained: false, ..sound() };
    assert!(check(&account).is_err());
}

#[test]
fn the_runs_meet_what_they_are_to_meet() {
    // Figures below these would mean that the other checks look at very little.
    for publisher in [RecordPublisher::Polling, RecordPublisher::EnhancedFanOut] {
        let mut totals = [0usize; 9];
        crate::seeds::for_each(|account| {
            if account.publisher != publisher {
                return;
            }
            totals[0] += account.truth.len();
            totals[1] += account.shards.values().filter(|shard| shard.parent.is_some()).count();
            totals[2] += account.checkpoints().count();
            totals[3] += account.steps.iter().filter(|step| matches!(step, Step::Opened { .. })).count();
            totals[4] += account.steps.iter().filter(|step| matches!(step, Step::Failed { .. })).count();
            totals[5] += account.truth.iter().filter(|item| item.place.1.sub_sequence_number > 0).count();
            totals[6] += account.reads[0];
            totals[7] += account.reads[1];
            totals[8] += account.struck_subscriptions;
        });
        let [records, children, checkpoints, runs, failures, members, polls, subscriptions, struck] = totals;
        println!(
            "{publisher:?}: {records} records ({members} within aggregates), {children} children, {checkpoints} \
             checkpoints, {runs} runs, {failures} failed, {polls} polls, {subscriptions} subscriptions, {struck} struck"
        );
        assert!(records > 10_000 && members > 1_000, "{totals:?}");
        assert!(children > 300 && checkpoints > 2_000 && runs > 700 && failures > 25, "{totals:?}");
        let [reads, others] =
            if publisher == RecordPublisher::Polling { [polls, subscriptions] } else { [subscriptions, polls] };
        assert!(reads > 4_000 && others == 0, "{totals:?}");
        assert!(publisher == RecordPublisher::Polling || struck > 300, "{totals:?}");
    }
}
