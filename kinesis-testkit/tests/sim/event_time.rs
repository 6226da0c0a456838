//! Event time over all of that: nothing is late, and no watermark goes back.

use std::collections::BTreeMap;
use std::time::SystemTime;

use kinesis_consumer::{Checkpoint, ShardState};

use crate::account::{Account, Step};
use crate::suite::sound;

/// Without idle shards, a record that is older than the watermark has been forgotten by somebody.
pub(crate) fn nothing_is_late(account: &Account) -> Result<(), String> {
    if account.event_time.as_ref().is_none_or(|config| config.idle_interval.is_some()) {
        return Ok(());
    }
    let late = account.steps.iter().find_map(|step| match step {
        Step::Late { run, place } => Some(format!("run {run}: {place:?} is late")),
        _ => None,
    });
    late.map_or(Ok(()), Err)
}

/// Where a job goes on that is restored from the checkpoint: the shards that are read, and the ends without children.
fn floor(checkpoint: &Checkpoint) -> Option<SystemTime> {
    let shards = &checkpoint.streams[0].shards;
    let holds = |state: &&ShardState| {
        let mut children = shards.iter().filter(|child| child.shard.parents().any(|parent| *parent == state.shard.id));
        let is_ended = state.progress.as_ref().is_some_and(|progress| progress.position.is_ended());
        !is_ended || children.clone().next().is_none() || children.any(|child| child.progress.is_none())
    };
    let progress = shards.iter().filter(holds).filter_map(|state| state.progress.as_ref());
    progress.map(|progress| progress.watermark).min().flatten()
}

pub(crate) fn nothing_goes_back(account: &Account) -> Result<(), String> {
    let (mut saved, mut restored) = (None, None);
    let mut told: BTreeMap<_, SystemTime> = BTreeMap::new();
    for step in &account.steps {
        match step {
            Step::Saved { checkpoint, .. } => {
                let floor = floor(checkpoint);
                if floor < saved {
                    return Err(format!("checkpoint {} goes back from {saved:?} to {floor:?}", checkpoint.epoch));
                }
                saved = floor;
            }
            Step::Opened { restored: found, .. } => restored = found.as_ref().and_then(floor),
            Step::Reached { run, shard, watermark } => {
                let before = told.insert((*run, shard.clone()), *watermark);
                if before >= Some(*watermark) || restored > Some(*watermark) {
                    return Err(format!("{step:?} after {before:?}, restored at {restored:?}"));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

#[test]
fn falsified_accounts_do_not_pass() {
    let mut account = sound();
    account.event_time = Some(kinesis_core::EventTimeConfig::default());
    let places: Vec<_> = account.truth.iter().map(|item| item.place.clone()).collect();
    account.steps.push(Step::Late { run: 1, place: places[0].clone() });
    nothing_is_late(&account).unwrap_err();
    let reached = |seconds| Step::Reached {
        run: 1,
        shard: places[0].0.clone(),
        watermark: SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds),
    };
    account.steps.push(reached(u64::from(u32::MAX)));
    nothing_goes_back(&account).unwrap();
    account.steps.push(reached(u64::from(u32::MAX)));
    nothing_goes_back(&account).unwrap_err();
}
