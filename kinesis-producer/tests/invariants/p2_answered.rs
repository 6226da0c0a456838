//! P2: every record that was accepted ends in exactly one of the three, and the counters say the same.

use kinesis_producer::{FailureCause, Outcome};

use crate::account::{Account, Fate, Verdict, Violation};
use crate::seeds::{check_all, sound};

pub(crate) fn check(account: &Account) -> Verdict {
    let mut counts = [0u64; 4];
    for (id, put) in account.puts.iter().enumerate() {
        let outcome = match &put.fate {
            Fate::NotAccepted => continue,
            Fate::Unwatched => {
                counts[3] += 1;
                continue;
            }
            Fate::Pending => return Err(Violation::of(id as u64, "it has no outcome")),
            Fate::Resolved(outcome, _) => outcome,
        };
        match outcome {
            Outcome::Stored { .. } => counts[0] += 1,
            Outcome::Failed { .. } => counts[1] += 1,
            Outcome::Unknown { cause, attempts } => {
                counts[2] += 1;
                let may_be_stored = |attempt: &kinesis_producer::Attempt| {
                    use kinesis_producer::AttemptResult as Result;
                    matches!(attempt.result, Result::Ambiguous { .. } | Result::WrongShard { .. })
                };
                let is_abandoned = matches!(cause, FailureCause::Abandoned);
                if account.stats.is_some() && is_abandoned {
                    return Err(Violation::of(id as u64, "it was abandoned by a close"));
                }
                // Attempts beyond the latest 32 are not kept.
                let has_all = attempts.iter().count() == attempts.count() as usize;
                if !is_abandoned && has_all && !attempts.iter().any(may_be_stored) {
                    return Err(Violation::of(id as u64, "it is unknown without a reason"));
                }
            }
        }
    }
    let Some(stats) = account.stats else { return Ok(()) };
    let [stored, failed, unknown, unwatched] = counts;
    let ends = [stats.user_records_put, stats.user_records_failed, stats.user_records_unknown];
    let total: u64 = counts.iter().sum();
    if stats.user_records_received != total || ends.iter().sum::<u64>() != total {
        return Err(Violation::of_run(format!("{total} records were accepted: {stats:?}")));
    }
    let fits =
        ends.iter().zip([stored, failed, unknown]).all(|(end, count)| *end >= count && *end <= count + unwatched);
    if fits { Ok(()) } else { Err(Violation::of_run(format!("{counts:?} is counted as {stats:?}"))) }
}

#[test]
fn p2_every_record_has_one_outcome() {
    check_all("P2", check);
}

#[test]
fn p2_sees_a_record_without_an_outcome() {
    let mut account = sound(false);
    let id = account.resolved().next().unwrap().0;
    account.puts[id as usize].fate = Fate::Pending;
    assert!(check(&account).unwrap_err().what.contains("no outcome"));
}

#[test]
fn p2_sees_a_record_that_was_counted_twice() {
    let mut account = sound(false);
    account.stats.as_mut().unwrap().user_records_put += 1;
    assert!(check(&account).unwrap_err().what.contains("were accepted"));
}

#[test]
fn p2_sees_an_outcome_that_was_miscounted() {
    let mut account = sound(false);
    let stats = account.stats.as_mut().unwrap();
    (stats.user_records_put, stats.user_records_failed) = (stats.user_records_failed, stats.user_records_put);
    assert!(check(&account).unwrap_err().what.contains("is counted as"));
}

#[test]
fn p2_sees_a_record_that_is_unknown_without_a_reason() {
    let mut account = sound(false);
    let (id, cause, attempts) = account
        .resolved()
        .find_map(|(id, _, outcome)| match outcome {
            Outcome::Failed { cause, attempts } => Some((id, cause.clone(), attempts.clone())),
            _ => None,
        })
        .unwrap();
    account.puts[id as usize].fate = Fate::Resolved(Outcome::Unknown { cause, attempts }, None);
    assert!(check(&account).unwrap_err().what.contains("without a reason"));
}
