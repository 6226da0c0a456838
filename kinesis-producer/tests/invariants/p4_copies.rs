//! P4: no more copies than there are reasons for, each of them counted: by the wire, by the journal, by the producer.

use kinesis_producer::{AttemptResult, Outcome};
use kinesis_testkit::Delivery;

use crate::account::{Account, Copy, End, Put, Verdict, Violation};
use crate::seeds::{check_all, sound};
use crate::wire::{Seen, Try};

pub(crate) fn check(account: &Account) -> Verdict {
    let by_id = account.copies_by_id();
    for (id, put) in account.puts.iter().enumerate().filter(|(_, put)| put.was_accepted()) {
        let id = id as u64;
        let copies = by_id.get(&id).map(Vec::as_slice).unwrap_or_default();
        check_copies(account.tries_of(id), put, copies).map_err(|what| Violation::of(id, what))?;
        // Those of a producer that was dropped are gone with it.
        if account.setup.end == End::Close {
            check_attempts(account.tries_of(id), put, copies).map_err(|what| Violation::of(id, what))?;
        }
    }
    Ok(())
}

/// The bound, from the wire and the journal alone.
fn check_copies(tries: &[Try], put: &Put, copies: &[&Copy]) -> Result<(), String> {
    let count = |wanted: fn(&Seen) -> bool| tries.iter().filter(|tried| wanted(&tried.seen)).count();
    let acknowledged = count(|seen| matches!(seen, Seen::Stored(..)));
    let ambiguous = count(|seen| matches!(seen, Seen::Ambiguous(_)));
    let replays = copies.iter().filter(|copy| copy.delivery == Delivery::Repeated).count();
    if copies.len() > acknowledged + ambiguous + replays {
        let reasons = format!("{acknowledged} acknowledged, {ambiguous} ambiguous, {replays} replayed");
        return Err(format!("{} copies of {reasons}", copies.len()));
    }
    let is_stored = put.outcome().is_some_and(Outcome::is_stored);
    if is_stored && (acknowledged, ambiguous, replays) == (1, 0, 0) && copies.len() != 1 {
        return Err(format!("{} copies without a reason for more than one", copies.len()));
    }
    Ok(())
}

/// Whether the producer tells what it tried as the wire has it, and sent nothing again that stands where it belongs.
fn check_attempts(tries: &[Try], put: &Put, copies: &[&Copy]) -> Result<(), String> {
    let Some(outcome) = put.outcome() else { return Ok(()) };
    let attempts = outcome.attempts();
    if attempts.count() as usize != tries.len() {
        return Err(format!("{} attempts, {} tries on the wire", attempts.count(), tries.len()));
    }
    let kept = attempts.iter().count();
    for (index, (attempt, tried)) in attempts.iter().zip(&tries[tries.len() - kept..]).enumerate() {
        let agrees = match (&attempt.result, &tried.seen) {
            (AttemptResult::Stored, Seen::Stored(..)) => outcome.is_stored() && index + 1 == kept,
            (AttemptResult::WrongShard { shard }, Seen::Stored(landed, number)) => {
                let copy = copies.iter().find(|copy| copy.sequence_number.to_string() == *number);
                if index + 1 < kept && copy.is_some_and(|copy| copy.is_visible) {
                    return Err(format!("sent again, although a reader takes it from {landed}"));
                }
                shard.as_str() == landed
            }
            (AttemptResult::Refused { .. }, Seen::Refused(_))
            | (AttemptResult::Ambiguous { .. }, Seen::Ambiguous(_)) => true,
            // The map that would have judged it did not come in time.
            (AttemptResult::Ambiguous { code, .. }, Seen::Stored(..)) => {
                &**code == "UnknownShard" && index + 1 == kept && !outcome.is_stored()
            }
            // A time-out before anything was sent, which the producer cannot tell from another.
            (AttemptResult::Ambiguous { .. }, Seen::Refused(code)) => code == "not sent",
            _ => false,
        };
        if !agrees || attempt.started != tried.at {
            return Err(format!("{attempt:?} was {tried:?}"));
        }
    }
    Ok(())
}

#[test]
fn p4_no_more_copies_than_reasons() {
    check_all("P4", check);
}

/// The id of a record that is stored at the first try.
fn stored_at_once(account: &Account) -> u64 {
    let is_one = |id: &u64| account.tries_of(*id).len() == 1 && account.copies_of(*id).count() == 1;
    account.resolved().filter(|(_, _, outcome)| outcome.is_stored()).map(|(id, ..)| id).find(is_one).unwrap()
}

#[test]
fn p4_sees_a_copy_too_many() {
    let mut account = sound(false);
    let id = stored_at_once(&account);
    let mut copy = account.copies_of(id).next().unwrap().clone();
    copy.delivery = Delivery::First;
    account.copies.push(copy);
    assert!(check(&account).unwrap_err().what.contains("2 copies of 1 acknowledged, 0 ambiguous, 0 replayed"));
}

#[test]
fn p4_counts_a_replay_as_one() {
    let mut account = sound(false);
    let id = stored_at_once(&account);
    let mut copy = account.copies_of(id).next().unwrap().clone();
    copy.delivery = Delivery::Repeated;
    account.copies.push(copy.clone());
    check(&account).unwrap();
    account.copies.push(Copy { delivery: Delivery::First, ..copy });
    check(&account).unwrap_err();
}

#[test]
fn p4_sees_a_copy_that_is_missing() {
    let mut account = sound(false);
    let id = stored_at_once(&account);
    account.copies.retain(|copy| copy.id != id);
    assert!(check(&account).unwrap_err().what.contains("0 copies without a reason"));
}

#[test]
fn p4_sees_an_attempt_that_is_not_told() {
    let mut account = sound(false);
    let id = stored_at_once(&account);
    let tried = account.tries_of(id)[0].clone();
    account.tries.get_mut(&id).unwrap().insert(0, Try { seen: Seen::Refused("x".to_owned()), ..tried });
    assert!(check(&account).unwrap_err().what.contains("1 attempts, 2 tries"));
}

#[test]
fn p4_sees_an_answer_that_is_told_wrong() {
    let mut account = sound(false);
    let id = stored_at_once(&account);
    account.tries.get_mut(&id).unwrap()[0].seen = Seen::Ambiguous("x".to_owned());
    assert!(check(&account).unwrap_err().what.contains(" was "));
}
