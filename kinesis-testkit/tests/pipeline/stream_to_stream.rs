use crate::account::Account;
use crate::run::{Play, play};

const SEEDS: u64 = 24;

type Check = fn(&Account) -> Result<(), String>;

/// Every seed's account, checked; and that there was something to check.
fn check(how: Play, checks: &[Check]) -> Vec<Account> {
    let accounts: Vec<Account> = (0..SEEDS).map(|seed| play(seed, how)).collect();
    for account in &accounts {
        for check in checks {
            if let Err(problem) = check(account) {
                panic!("seed {}: {problem}; failures of the job: {:#?}", account.seed, account.failures());
            }
        }
    }
    let weights: Vec<[usize; 3]> = accounts.iter().map(Account::weight).collect();
    let least = |index: usize| weights.iter().map(|weight| weight[index]).min().unwrap();
    let total: usize = weights.iter().map(|weight| weight[2]).sum();
    assert!(least(0) > 50 && least(1) >= 3 && total > 100, "nothing to check: {weights:?}");
    accounts
}

/// Without faults of the service, duplicates come of crashes alone.
#[test]
fn crashes_lose_nothing_and_repeat_only_what_follows_the_last_checkpoint() {
    let accounts = check(
        Play { faults: false, takes_part: true },
        &[
            Account::nothing_is_lost,
            Account::checkpoints_vouch_for_outputs,
            Account::only_what_follows_a_checkpoint_is_written_again,
            Account::no_run_repeats_itself,
        ],
    );
    for account in accounts {
        assert_eq!(account.failures(), Vec::<&str>::new(), "seed {}", account.seed);
    }
}

/// A record that fails takes its job down, and the restored job writes it again.
#[test]
fn neither_do_crashes_and_a_service_that_fails() {
    let accounts = check(
        Play { faults: true, takes_part: true },
        &[
            Account::nothing_is_lost,
            Account::checkpoints_vouch_for_outputs,
            Account::only_what_follows_a_checkpoint_is_written_again,
        ],
    );
    let failed_on = |action: &str| {
        let failures = accounts.iter().flat_map(Account::failures);
        failures.filter(|failure| failure.contains(action)).count()
    };
    assert!(failed_on("write of epoch") > 0, "some failure surfaces at a write");
    assert!(failed_on("pre-commit of epoch") > 0, "and some at a checkpoint");
}

/// The checks can fail.
#[test]
fn a_sink_that_takes_no_part_in_checkpoints_is_found() {
    let found = (0..SEEDS).any(|seed| {
        let account = play(seed, Play { faults: false, takes_part: false });
        account.checkpoints_vouch_for_outputs().is_err() && account.nothing_is_lost().is_err()
    });
    assert!(found);
}
