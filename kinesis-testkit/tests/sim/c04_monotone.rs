//! C4: per shard and run positions rise, and a restored run goes on right behind the saved position.

use std::collections::BTreeMap;

use kinesis_consumer::Checkpoint;
use kinesis_core::{RecordPosition, ShardId};

use crate::account::{Account, Place, Step};
use crate::suite::sound;

pub(crate) fn check(account: &Account) -> Result<(), String> {
    let mut restored: BTreeMap<u64, Option<&Checkpoint>> = BTreeMap::new();
    let mut last: BTreeMap<(u64, &ShardId), RecordPosition> = BTreeMap::new();
    for step in &account.steps {
        match step {
            Step::Opened { run, restored: found } => {
                restored.insert(*run, found.as_ref());
            }
            Step::Record { run, place: (shard, at), .. } => {
                let before = last.insert((*run, shard), *at);
                let expected = match before {
                    Some(before) => next(account, shard, Some(before)),
                    None => next(account, shard, saved(restored.get(run).copied().flatten(), shard)),
                };
                if expected != Some(&(shard.clone(), *at)) {
                    return Err(format!("run {run}: {shard} at {at}, after {before:?}; next is {expected:?}"));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn saved(checkpoint: Option<&Checkpoint>, shard: &ShardId) -> Option<RecordPosition> {
    let state = checkpoint?.streams[0].shards.iter().find(|state| state.shard.id == *shard)?;
    state.progress.as_ref()?.position.last()
}

/// The first record of the shard behind a position.
fn next<'a>(account: &'a Account, shard: &ShardId, after: Option<RecordPosition>) -> Option<&'a Place> {
    let places = account.truth.iter().map(|item| &item.place);
    places.filter(|(of, at)| of == shard && Some(*at) > after).min_by_key(|(_, at)| *at)
}

#[test]
fn c4_sees_a_record_that_comes_again() {
    let mut account = sound();
    let record = account.steps.iter().position(|step| matches!(step, Step::Record { .. })).unwrap();
    account.steps.insert(record, account.steps[record].clone());
    assert!(check(&account).is_err());
}

#[test]
fn c4_sees_a_gap_within_a_run() {
    let mut account = sound();
    let records: Vec<usize> = (0..account.steps.len())
        .filter(|index| matches!(&account.steps[*index], Step::Record { place, .. } if place.0 == crate::job::shard(0)))
        .collect();
    account.steps.remove(records[0]);
    assert!(check(&account).is_err());
}
