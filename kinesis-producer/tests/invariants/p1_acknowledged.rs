//! P1: a record that is reported as stored is stored there, and a reader by the KCL's rule gets it from there.

use kinesis_producer::Outcome;

use crate::account::{Account, Verdict, Violation};
use crate::seeds::{check_all, sound};

pub(crate) fn check(account: &Account) -> Verdict {
    let by_id = account.copies_by_id();
    for (id, put, outcome) in account.resolved() {
        let Outcome::Stored { shard, sequence_number, sub_sequence_number, .. } = outcome else { continue };
        let place = (put.stream.as_str(), shard, *sequence_number, *sub_sequence_number);
        let copies = by_id.get(&id).map(Vec::as_slice).unwrap_or_default();
        let found = copies
            .iter()
            .find(|copy| (copy.stream.as_str(), &copy.shard, copy.sequence_number, copy.sub_sequence_number) == place);
        match found {
            None => return Err(Violation::of(id, format!("it is not at {place:?}"))),
            Some(copy) if !copy.is_visible => return Err(Violation::of(id, "it is where the KCL drops it")),
            Some(_) => {}
        }
    }
    for request in &account.wire {
        let ids = || request.entries.iter().flat_map(|entry| &entry.ids);
        let of = |id: &u64| account.puts.get(*id as usize).map(|put| put.stream.as_str());
        if let Some(id) = ids().find(|id| of(id) != Some(request.stream.as_str())) {
            return Err(Violation::of(*id, format!("sent to {}", request.stream)));
        }
    }
    // Every copy is a record that was put, unchanged.
    for copy in &account.copies {
        let Some(put) = account.puts.get(copy.id as usize) else {
            return Err(Violation::of(copy.id, "nobody has put it"));
        };
        let of_copy = (&copy.stream, &copy.key, copy.hash_key, copy.data_bytes);
        if of_copy != (&put.stream, &put.key, put.hash_key, put.data_bytes) {
            return Err(Violation::of(copy.id, format!("another record than was put: {copy:?}")));
        }
    }
    Ok(())
}

#[test]
fn p1_what_is_reported_as_stored_is_stored_there() {
    check_all("P1", check);
}

/// The id of a record that is stored once.
fn stored_once(account: &Account) -> u64 {
    let by_id = account.copies_by_id();
    let is_one = |id: &u64| by_id.get(id).is_some_and(|copies| copies.len() == 1);
    account.resolved().filter(|(_, _, outcome)| outcome.is_stored()).map(|(id, ..)| id).find(is_one).unwrap()
}

#[test]
fn p1_sees_a_record_that_is_lost() {
    let mut account = sound(false);
    let id = stored_once(&account);
    account.copies.retain(|copy| copy.id != id);
    let violation = check(&account).unwrap_err();
    assert!(violation.id == Some(id) && violation.what.contains("not at"), "{violation:?}");
}

#[test]
fn p1_sees_a_record_at_another_place() {
    let mut account = sound(false);
    let id = stored_once(&account);
    account.copies.iter_mut().filter(|copy| copy.id == id).for_each(|copy| copy.sub_sequence_number += 1);
    assert!(check(&account).unwrap_err().what.contains("not at"));
}

#[test]
fn p1_sees_a_record_that_the_kcl_drops() {
    let mut account = sound(false);
    let id = stored_once(&account);
    account.copies.iter_mut().filter(|copy| copy.id == id).for_each(|copy| copy.is_visible = false);
    assert!(check(&account).unwrap_err().what.contains("KCL drops"));
}

#[test]
fn p1_sees_a_record_on_its_way_to_another_stream() {
    let mut account = sound(false);
    account.wire[0].stream = "elsewhere".to_owned();
    assert!(check(&account).unwrap_err().what.contains("sent to elsewhere"));
}

#[test]
fn p1_sees_a_record_that_was_changed() {
    let mut account = sound(false);
    account.copies[0].data_bytes += 1;
    assert!(check(&account).unwrap_err().what.contains("another record"));
}
