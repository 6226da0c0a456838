//! P7: what has no outcome stays within the queue's limits, and has one before its time and one attempt are over.

use std::time::Duration;

use crate::account::{Account, Fate, Verdict, Violation};
use crate::seeds::{check_all, for_each, sound};
use crate::workload::millis;

/// Timers of tokio go by the millisecond.
const GRAIN: Duration = Duration::from_millis(2);

/// How long kinesis-core waits for a provider.
const PATIENCE: Duration = Duration::from_secs(25);

fn check_memory(account: &Account) -> Verdict {
    let (most, limit) = (account.most, account.setup.queue_limit);
    if most.0 > limit.0 || most.1 > limit.1 {
        return Err(Violation::of_run(format!("{most:?} records and bytes had no outcome, {limit:?} are allowed")));
    }
    Ok(())
}

pub(crate) fn check_time(account: &Account) -> Verdict {
    // An attempt begins with the wait for credentials, where a provider has to be asked.
    let credentials = if account.setup.provided { PATIENCE } else { Duration::ZERO };
    let longest = account.setup.ttl + credentials + account.setup.data_timeout + GRAIN;
    for (id, put) in account.puts.iter().enumerate() {
        let Fate::Resolved(_, Some(at)) = &put.fate else { continue };
        let took = at.duration_since(put.accepted_at);
        if took > longest {
            return Err(Violation::of(
                id as u64,
                format!("its outcome took {took:?}, at most {longest:?} are allowed"),
            ));
        }
    }
    Ok(())
}

#[test]
fn p7_what_has_no_outcome_stays_within_the_limits() {
    check_all("P7", check_memory);
}

#[test]
fn p7_every_outcome_comes_in_time() {
    check_all("P7", check_time);
}

#[test]
fn p7_the_limits_are_reached() {
    let mut full = 0;
    for_each(|account| full += usize::from(account.most.0 == account.setup.queue_limit.0));
    if crate::seeds::are_complete() {
        assert!(full > 5, "only {full} runs fill their queue");
    }
}

#[test]
fn p7_sees_a_record_too_many() {
    let mut account = sound(false);
    account.most.0 = account.setup.queue_limit.0 + 1;
    assert!(check_memory(&account).unwrap_err().what.contains("had no outcome"));
}

#[test]
fn p7_sees_an_outcome_that_comes_late() {
    let mut account = sound(false);
    let late = account.setup.ttl + account.setup.data_timeout + millis(10);
    let put = account.puts.iter_mut().find(|put| matches!(put.fate, Fate::Resolved(_, Some(_)))).unwrap();
    let at = put.accepted_at + late;
    if let Fate::Resolved(_, resolved_at) = &mut put.fate {
        *resolved_at = Some(at);
    }
    assert!(check_time(&account).unwrap_err().what.contains("its outcome took"));
}
