//! C5: no record of a child comes before every parent has ended.

use std::collections::BTreeSet;

use kinesis_core::ShardId;

use crate::account::{Account, Step};
use crate::suite::sound;

pub(crate) fn check(account: &Account) -> Result<(), String> {
    let mut ended: BTreeSet<ShardId> = BTreeSet::new();
    let mut known: BTreeSet<ShardId> = BTreeSet::new();
    for step in &account.steps {
        match step {
            Step::Opened { restored, .. } => {
                let shards = || restored.iter().flat_map(|checkpoint| &checkpoint.streams[0].shards);
                let is_ended = |progress: &kinesis_consumer::ShardProgress| progress.position.is_ended();
                ended = shards()
                    .filter(|state| state.progress.as_ref().is_some_and(is_ended))
                    .map(|state| state.shard.id.clone())
                    .collect();
                known = shards().map(|state| state.shard.id.clone()).collect();
            }
            Step::Started { shard, .. } => {
                known.insert(shard.clone());
            }
            Step::Ended { shard, .. } => {
                ended.insert(shard.clone());
            }
            Step::Record { run, place: (shard, at), .. } => {
                let of = &account.shards[shard];
                if let Some(parent) = of.parents().find(|parent| known.contains(*parent) && !ended.contains(*parent)) {
                    return Err(format!("run {run}: {shard} at {at} before the end of its parent {parent}"));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

#[test]
fn c5_sees_a_child_before_its_parent() {
    let mut account = sound();
    let of_child = |account: &Account, step: &Step| matches!(step, Step::Record { place, .. } if account.shards[&place.0].parent.is_some());
    let first = account.steps.iter().position(|step| of_child(&account, step)).unwrap();
    let Step::Record { place, .. } = account.steps[first].clone() else { unreachable!() };
    let parent = account.shards[&place.0].parent.clone().unwrap();
    account.steps.retain(|step| !matches!(step, Step::Ended { shard, .. } if *shard == parent));
    account.steps.iter_mut().for_each(|step| {
        if let Step::Opened { restored, .. } = step {
            *restored = None;
        }
    });
    // Without the end of the parent, wherever it was written down.
    let run = account.steps.iter().find(|step| matches!(step, Step::Started { shard, .. } if *shard == parent));
    assert!(run.is_some());
    assert!(check(&account).is_err());
}
