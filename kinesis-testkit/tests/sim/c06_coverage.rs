//! C6: at every checkpoint the hash key space is tiled by what is unfinished, or finished without known children.

use kinesis_consumer::{Checkpoint, ShardState};
use kinesis_core::HashKeyRange;

use crate::account::{Account, Step};
use crate::suite::sound;

pub(crate) fn check(account: &Account) -> Result<(), String> {
    account.checkpoints().try_for_each(|checkpoint| {
        let shards = &checkpoint.streams[0].shards;
        if let Some(hole) = hole(shards.iter().filter(|state| counts(state, shards)).map(range)) {
            return Err(format!("epoch {}: nobody is to read {hole:x}", checkpoint.epoch));
        }
        let reading = |state: &&ShardState| state.progress.is_some() && !is_ended(state);
        let mut read: Vec<HashKeyRange> = shards.iter().filter(reading).map(range).collect();
        read.sort();
        let apart = read.windows(2).all(|pair| pair[0].end() < pair[1].start());
        if apart { Ok(()) } else { Err(format!("epoch {}: two shards of one key are read", checkpoint.epoch)) }
    })
}

fn range(state: &ShardState) -> HashKeyRange {
    state.shard.hash_key_range
}

fn is_ended(state: &ShardState) -> bool {
    state.progress.as_ref().is_some_and(|progress| progress.position.is_ended())
}

/// Whether the shard accounts for its keys itself, and not through its children.
fn counts(state: &ShardState, all: &[ShardState]) -> bool {
    let mut children = all.iter().filter(|child| child.shard.parents().any(|parent| *parent == state.shard.id));
    !is_ended(state) || children.next().is_none()
}

/// The first key that no range has.
fn hole(ranges: impl Iterator<Item = HashKeyRange>) -> Option<u128> {
    let mut ranges: Vec<HashKeyRange> = ranges.collect();
    ranges.sort();
    let mut next = 0u128;
    for range in ranges {
        if range.start().value() > next {
            return Some(next);
        }
        match range.end().value().checked_add(1) {
            Some(behind) => next = next.max(behind),
            None => return None,
        }
    }
    Some(next)
}

fn last_checkpoint(account: &mut Account) -> &mut Checkpoint {
    let saved = account.steps.iter_mut().rev().find_map(|step| match step {
        Step::Saved { checkpoint, .. } => Some(checkpoint),
        _ => None,
    });
    saved.unwrap()
}

#[test]
fn c6_sees_a_shard_that_was_forgotten() {
    let mut account = sound();
    let shards = &mut last_checkpoint(&mut account).streams[0].shards;
    let unfinished = shards.iter().position(|state| !is_ended(state)).unwrap();
    shards.remove(unfinished);
    // A parent that is still listed would account for the child.
    shards.retain(|state| !is_ended(state));
    assert!(check(&account).unwrap_err().contains("nobody"));
}

#[test]
fn c6_sees_a_shard_that_is_read_beside_its_parent() {
    let mut account = sound();
    let shards = &mut last_checkpoint(&mut account).streams[0].shards;
    let mut twin = shards.iter().find(|state| !is_ended(state)).unwrap().clone();
    twin.shard.id = crate::job::shard(99);
    shards.push(twin);
    assert!(check(&account).unwrap_err().contains("two shards"));
}
