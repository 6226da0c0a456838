//! P3: what failed definitely has no copy, and neither has what was not accepted.

use kinesis_producer::Outcome;

use crate::account::{Account, Fate, Verdict, Violation};
use crate::seeds::{check_all, sound};
use crate::wire::Seen;

pub(crate) fn check(account: &Account) -> Verdict {
    let by_id = account.copies_by_id();
    for (id, put) in account.puts.iter().enumerate() {
        let id = id as u64;
        let is_failed = matches!(put.outcome(), Some(Outcome::Failed { .. }));
        if !is_failed && put.was_accepted() {
            continue;
        }
        let what = if is_failed { "it failed" } else { "it was not accepted" };
        if by_id.contains_key(&id) {
            return Err(Violation::of(id, format!("{what}, and is stored")));
        }
        if !is_failed && !account.tries_of(id).is_empty() {
            return Err(Violation::of(id, "it was not accepted, and was sent"));
        }
        // By luck an ambiguous attempt may have stored nothing; to call that a failure is a guess.
        let is_clear = account.tries_of(id).iter().all(|tried| matches!(tried.seen, Seen::Refused(_)));
        if !is_clear {
            return Err(Violation::of(id, "it failed, and nobody can know that"));
        }
    }
    Ok(())
}

#[test]
fn p3_what_failed_is_not_stored() {
    check_all("P3", check);
}

/// A copy of another record, as one of this.
fn copied(account: &mut Account, id: u64) {
    let mut copy = account.copies[0].clone();
    copy.id = id;
    account.copies.push(copy);
}

#[test]
fn p3_sees_a_failed_record_that_is_stored() {
    let mut account = sound(false);
    let failed = account.resolved().find(|(_, _, outcome)| matches!(outcome, Outcome::Failed { .. })).unwrap().0;
    copied(&mut account, failed);
    assert!(check(&account).unwrap_err().what.contains("it failed, and is stored"));
}

#[test]
fn p3_sees_a_record_that_was_not_accepted_and_is_stored() {
    let mut account = sound(false);
    let refused = account.puts.iter().position(|put| matches!(put.fate, Fate::NotAccepted)).unwrap();
    copied(&mut account, refused as u64);
    assert!(check(&account).unwrap_err().what.contains("not accepted, and is stored"));
}

#[test]
fn p3_sees_a_guess() {
    let mut account = sound(false);
    let failed = account.resolved().find(|(_, _, outcome)| matches!(outcome, Outcome::Failed { .. })).unwrap().0;
    let mut tried = account.tries.values().next().unwrap()[0].clone();
    tried.seen = Seen::Ambiguous("InternalFailure".to_owned());
    account.tries.entry(failed).or_default().push(tried);
    assert!(check(&account).unwrap_err().what.contains("nobody can know"));
}
