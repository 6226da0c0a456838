//! C1: every record at or after the start is in the final state.

use std::collections::BTreeSet;

use crate::account::{Account, Place};
use crate::suite::sound;

pub(crate) fn check(account: &Account) -> Result<(), String> {
    let found: BTreeSet<Place> = account.final_places()?.into_values().flatten().collect();
    let lost: Vec<_> = account.truth.iter().filter(|item| !found.contains(&item.place)).take(5).collect();
    if lost.is_empty() { Ok(()) } else { Err(format!("not in the final state: {lost:?}")) }
}

#[test]
fn c1_sees_a_record_that_is_missing() {
    let mut account = sound();
    let mut extra = account.truth[3].clone();
    extra.place.1.sub_sequence_number += 1000;
    account.truth.push(extra);
    assert!(check(&account).is_err());
}
