//! C7: a run begins a shard once, and once it is over it processes nothing more.

use std::collections::BTreeSet;

use kinesis_core::ShardId;

use crate::account::{Account, Step};
use crate::suite::sound;

pub(crate) fn check(account: &Account) -> Result<(), String> {
    let mut started: BTreeSet<(u64, &ShardId)> = BTreeSet::new();
    let mut current = 0;
    for step in &account.steps {
        if let Step::Opened { run, .. } = step {
            current = *run;
        }
        if step.run() != current {
            return Err(format!("run {} goes on beside run {current}: {step:?}", step.run()));
        }
        match step {
            Step::Started { run, shard } if !started.insert((*run, shard)) => {
                return Err(format!("run {run} begins {shard} twice"));
            }
            Step::Record { run, place: (shard, _), .. } if !started.contains(&(*run, shard)) => {
                return Err(format!("run {run} reads {shard}, which it has not begun"));
            }
            _ => {}
        }
    }
    Ok(())
}

#[test]
fn c7_sees_a_shard_that_is_begun_twice() {
    let mut account = sound();
    let begun = account.steps.iter().position(|step| matches!(step, Step::Started { .. })).unwrap();
    account.steps.insert(begun, account.steps[begun].clone());
    assert!(check(&account).unwrap_err().contains("twice"));
}

#[test]
fn c7_sees_a_run_that_goes_on_after_its_crash() {
    let mut account = sound();
    let stray = account.steps.iter().find(|step| matches!(step, Step::Record { run: 1, .. })).unwrap().clone();
    account.steps.push(stray);
    assert!(check(&account).unwrap_err().contains("beside"));
}
