//! P1 to P4, P6 and P9: what the producers said of their records, against the journal.

use std::collections::BTreeMap;

use kinesis_testkit::{CallOutcome, Delivery, Journal};

use crate::account::{Account, Fate, Place, Produced};

/// P1, P2, P3 and P4 of every record.
pub(crate) fn check(account: &Account, journal: &Journal) -> Result<(), String> {
    let copies = copies(account);
    let replays = replays(account, journal);
    for record in &account.produced {
        let places = copies.get(&*record.text).map(Vec::as_slice).unwrap_or_default();
        let replayed = places.iter().filter(|place| replays.contains_key(*place)).count();
        check_one(record, places, replayed).map_err(|what| format!("{what}: {record:?}, copies {places:?}"))?;
    }
    Ok(())
}

fn check_one(record: &Produced, copies: &[Place], replayed: usize) -> Result<(), String> {
    let at_most = match &record.fate {
        Fate::NotAccepted if copies.is_empty() => return Ok(()),
        Fate::NotAccepted => return Err("P2: it was not accepted, and is stored".to_owned()),
        Fate::Pending => return Err("P2: it has no outcome".to_owned()),
        Fate::Stored { place, .. } if !copies.contains(place) => return Err("P1: it is not there".to_owned()),
        Fate::Stored { may_have_left, .. } => 1 + may_have_left,
        Fate::Failed if copies.is_empty() => return Ok(()),
        Fate::Failed => return Err("P3: it is stored, and was called definitely not stored".to_owned()),
        Fate::Unknown { may_have_left: None } => return Ok(()),
        Fate::Unknown { may_have_left: Some(may_have_left) } => *may_have_left,
    };
    if copies.len() > at_most + replayed {
        return Err(format!(
            "P4: {} copies, {at_most} attempts may have left one, {replayed} were replayed",
            copies.len()
        ));
    }
    Ok(())
}

/// Where the copies of every record stand that a consumer by the KCL's rule is given.
fn copies(account: &Account) -> BTreeMap<&str, Vec<Place>> {
    let mut copies: BTreeMap<&str, Vec<Place>> = BTreeMap::new();
    for item in &account.stored {
        copies.entry(&item.text).or_default().push(item.place.clone());
    }
    copies
}

/// The places that a call has written that the fake was given twice (F21).
fn replays(account: &Account, journal: &Journal) -> BTreeMap<Place, ()> {
    let repeated: BTreeMap<u64, ()> =
        journal.calls.iter().filter(|call| call.delivery == Delivery::Repeated).map(|call| (call.id, ())).collect();
    let records = journal.records.iter().filter(|record| repeated.contains_key(&record.call()));
    let numbers: BTreeMap<_, ()> = records.map(|record| ((record.shard(), record.sequence_number()), ())).collect();
    let is_of = |place: &Place| numbers.contains_key(&(&place.0, place.1.sequence_number));
    account
        .stored
        .iter()
        .map(|item| &item.place)
        .filter(|place| is_of(place))
        .map(|place| (place.clone(), ()))
        .collect()
}

/// P6: no request is refused for its form.
pub(crate) fn limits(journal: &Journal) -> Result<(), String> {
    let invalid =
        |code: &str| ["InvalidArgumentException", "ValidationException", "SerializationException"].contains(&code);
    let refused = journal
        .calls
        .iter()
        .find(|call| call.fault.is_none() && matches!(&call.outcome, CallOutcome::Refused(code) if invalid(code)));
    refused.map_or(Ok(()), |call| Err(format!("{call:?}")))
}

/// P9: once the last producer is closed, nothing more of one reaches the wire; what is late was sent before.
pub(crate) fn close(account: &Account, journal: &Journal) -> Result<(), String> {
    let Some(closed_at) = account.closed_at else { return Ok(()) };
    let after = journal.calls.iter().find(|call| {
        call.operation.as_str() == "PutRecords" && call.at > closed_at && call.delivery == Delivery::First
    });
    after.map_or(Ok(()), |call| Err(format!("after {closed_at:?}: {call:?}")))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::job::shard;
    use crate::suite::{sound, sound_run};
    use kinesis_core::RecordPosition;
    use kinesis_testkit::JournalCall;

    fn place(number: u128) -> Place {
        (shard(0), RecordPosition::new(number.into(), 0))
    }

    fn record(fate: Fate) -> Produced {
        Produced { text: "made-1.0".to_owned(), fate }
    }

    fn stored(may_have_left: usize) -> Produced {
        record(Fate::Stored { place: place(1), may_have_left })
    }

    #[test]
    fn what_is_told_right_passes() {
        check_one(&record(Fate::NotAccepted), &[], 0).unwrap();
        check_one(&stored(0), &[place(1)], 0).unwrap();
        check_one(&stored(1), &[place(1), place(2)], 0).unwrap();
        check_one(&stored(0), &[place(1), place(2)], 1).unwrap();
        check_one(&record(Fate::Failed), &[], 0).unwrap();
        check_one(&record(Fate::Unknown { may_have_left: Some(1) }), &[place(1)], 0).unwrap();
        check_one(&record(Fate::Unknown { may_have_left: None }), &[place(1), place(2)], 0).unwrap();
    }

    #[test]
    fn what_is_told_wrong_is_seen() {
        let problem = |record: Produced, copies: &[Place]| check_one(&record, copies, 0).unwrap_err();
        assert!(problem(record(Fate::NotAccepted), &[place(1)]).starts_with("P2"));
        assert!(problem(record(Fate::Pending), &[place(1)]).starts_with("P2"));
        assert!(problem(stored(0), &[place(2)]).starts_with("P1"));
        assert!(problem(stored(0), &[place(1), place(2)]).starts_with("P4"));
        assert!(problem(record(Fate::Failed), &[place(1)]).starts_with("P3"));
        assert!(problem(record(Fate::Unknown { may_have_left: Some(0) }), &[place(1)]).starts_with("P4"));
    }

    /// A call of a producer, in a journal of its own.
    fn one_call(change: impl Fn(&mut JournalCall)) -> Journal {
        let mut journal = sound_run().journal.clone();
        journal.calls.retain(|call| call.operation.as_str() == "PutRecords" && call.fault.is_none());
        journal.calls.truncate(1);
        journal.calls.iter_mut().for_each(change);
        journal
    }

    #[test]
    fn p1_sees_a_record_of_a_run_that_is_lost() {
        let (mut account, journal) = (sound(), &sound_run().journal);
        let is_stored = |record: &&Produced| matches!(record.fate, Fate::Stored { .. });
        let text = account.produced.iter().find(is_stored).unwrap().text.clone();
        account.stored.retain(|item| item.text != text);
        assert!(check(&account, journal).unwrap_err().starts_with("P1"));
    }

    #[test]
    fn p6_sees_a_request_that_is_refused_for_its_form() {
        let refused = one_call(|call| call.outcome = CallOutcome::Refused("ValidationException".into()));
        assert!(limits(&refused).unwrap_err().contains("ValidationException"));
        limits(&one_call(|_| {})).unwrap();
    }

    #[test]
    fn p9_sees_a_request_after_the_close() {
        let account = sound();
        let closed_at = account.closed_at.unwrap();
        close(&account, &one_call(|call| call.at = closed_at)).unwrap();
        close(&account, &one_call(|call| call.at = closed_at + Duration::from_millis(1))).unwrap_err();
    }
}
