//! C3: at every checkpoint a shard's state is exactly what stands up to its saved position, sub-records included.

use std::collections::BTreeMap;

use kinesis_consumer::{Checkpoint, ShardState};
use kinesis_core::HashKey;

use crate::account::{Account, Place, Step};
use crate::job::read_state;
use crate::suite::sound;

pub(crate) fn check(account: &Account) -> Result<(), String> {
    account.checkpoints().try_for_each(|checkpoint| check_one(account, checkpoint))
}

fn check_one(account: &Account, checkpoint: &Checkpoint) -> Result<(), String> {
    for state in &checkpoint.streams[0].shards {
        let Some(progress) = &state.progress else { continue };
        let is_handed_on = progress.position.is_ended() && progress.user_state.is_empty();
        if is_handed_on {
            continue;
        }
        let (found, expected) = (read_state(&progress.user_state), up_to(account, state));
        if found != expected {
            let shard = &state.shard.id;
            return Err(format!("epoch {}, {shard}: state {found:?}, stored {expected:?}", checkpoint.epoch));
        }
    }
    Ok(())
}

/// What was stored for the keys of the shard, in all its ancestors and in itself up to its position.
fn up_to(account: &Account, state: &ShardState) -> BTreeMap<String, Vec<Place>> {
    let line = account.line_of(&state.shard.id);
    let last = state.progress.as_ref().and_then(|progress| progress.position.last());
    let is_ended = state.progress.as_ref().is_some_and(|progress| progress.position.is_ended());
    let mut expected: BTreeMap<String, Vec<Place>> = BTreeMap::new();
    for item in &account.truth {
        let (shard, at) = &item.place;
        let is_read = if *shard == state.shard.id { is_ended || Some(*at) <= last } else { line.contains(shard) };
        if is_read && state.shard.hash_key_range.contains(HashKey::of_partition_key(&item.key)) {
            expected.entry(item.key.clone()).or_default().push(item.place.clone());
        }
    }
    expected
}

#[test]
fn c3_sees_a_state_that_is_ahead_of_its_position() {
    let mut account = sound();
    let saved = account.steps.iter_mut().rev().find_map(|step| match step {
        Step::Saved { checkpoint, .. } => Some(checkpoint),
        _ => None,
    });
    let shards = &mut saved.unwrap().streams[0].shards;
    let states: Vec<usize> = (0..shards.len())
        .filter(|index| shards[*index].progress.as_ref().is_some_and(|progress| !progress.user_state.is_empty()))
        .collect();
    let progress = shards[states[0]].progress.as_mut().unwrap();
    let without_last = progress.user_state.len() - 1;
    let cut = progress.user_state[..without_last].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    progress.user_state.truncate(cut);
    assert!(check(&account).is_err());
}
