//! C12: once the last fault is over, the job reaches the tips within a minute, without another restart.

use crate::account::{Account, Step};
use crate::suite::sound;

pub(crate) fn check(account: &Account) -> Result<(), String> {
    if account.behind > 0 {
        return Err(format!("{} records were not read a minute after the last fault", account.behind));
    }
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
fn c12_sees_a_job_that_stays_behind() {
    let account = Account { behind: 1, ..sound() };
    assert!(check(&account).unwrap_err().contains("1 records"));
}

#[test]
fn c12_sees_a_job_that_hangs() {
    let account = Account { drained: false, ..sound() };
    assert!(check(&account).is_err());
}
