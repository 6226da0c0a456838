//! What of the state is to be saved, found out after each change.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hasher};
use std::time::SystemTime;

use kinesis_core::StreamName;

use super::State;
use crate::engine::{Account, Engine, Place, Unsaved};
use crate::store::{Batch, Contents, OpenStoreError, SavedStream, Saver, Store, Ticket};

/// What was saved of a stream.
#[derive(Clone, Debug)]
struct Kept {
    number: u64,
    created_millis: u64,
    digest: u64,
    /// What was removed by hand of each shard: all before the index.
    oldest: BTreeMap<u32, u64>,
}

/// Follows what was saved, so that what has not changed is not saved again.
#[derive(Debug)]
pub(crate) struct Saving {
    saver: Saver,
    last_ticket: u64,
    last_number: u64,
    accounts: BTreeMap<Place, u64>,
    streams: BTreeMap<Place, BTreeMap<StreamName, Kept>>,
}

fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

impl Saving {
    /// Puts back what a directory holds, and goes on saving to it.
    pub(crate) fn resume(store: Store, engine: &mut Engine, now: SystemTime) -> Result<Self, OpenStoreError> {
        let Contents { accounts, streams } = store.read()?;
        let mut kept: BTreeMap<Place, BTreeMap<StreamName, Kept>> = BTreeMap::new();
        let mut shards: BTreeMap<u64, BTreeSet<u32>> = BTreeMap::new();
        for (place, json) in &accounts {
            engine.restore_account(place, json).map_err(|error| store.damaged(error))?;
        }
        for SavedStream { place, name, number, json, cursor, records } in streams {
            let restored = engine.restore_stream(&place, &json, cursor, records, now);
            shards.insert(number, restored.map_err(|error| store.damaged(error))?);
            let created_millis = engine.at(&place).stream_ages().find(|(it, _)| **it == name).map(|(_, age)| age);
            let created_millis = created_millis.ok_or_else(|| store.damaged(format!("{name} is another stream")))?;
            let (digest, oldest) = (digest(&json), BTreeMap::new());
            kept.entry(place).or_default().insert(name, Kept { number, created_millis, digest, oldest });
        }
        store.forget_shards(&shards)?;
        let last_number = shards.keys().next_back().copied().unwrap_or_default();
        let accounts = accounts.into_iter().map(|(place, json)| (place, digest(&json))).collect();
        Ok(Self { saver: store.write()?, last_ticket: 0, last_number, accounts, streams: kept })
    }

    /// Takes what changed of an account into a batch.
    fn take(&mut self, place: &Place, account: &Account, unsaved: Unsaved, batch: &mut Batch) {
        if unsaved.has_changed {
            self.take_account(place, account, batch);
        }
        let streams = self.streams.get(place);
        let number = |name: &StreamName, created_millis| {
            let kept = streams?.get(name).filter(|kept| kept.created_millis == created_millis)?;
            Some(kept.number)
        };
        let mut moved = BTreeMap::new();
        for appended in unsaved.appended {
            // What was put into a stream that is gone by now is gone with it.
            if let Some(number) = number(&appended.stream, appended.created_millis) {
                moved.insert(number, appended.stream.clone());
                batch.records.push((number, appended));
            }
        }
        let cursors = moved.into_iter().filter_map(|(number, name)| Some((number, account.cursor(&name)?)));
        batch.cursors.extend(cursors);
    }

    fn take_account(&mut self, place: &Place, account: &Account, batch: &mut Batch) {
        let json = account.save();
        if self.accounts.insert(place.clone(), digest(&json)) != Some(digest(&json)) {
            batch.accounts.push((place.clone(), json));
        }
        let before = self.streams.remove(place).unwrap_or_default();
        let mut now = BTreeMap::new();
        for (name, created_millis) in account.stream_ages() {
            let Some(json) = account.save_stream(name) else { continue };
            let digest = digest(&json);
            let known = before.get(name).filter(|kept| kept.created_millis == created_millis);
            let number = known.map_or_else(
                || {
                    self.last_number += 1;
                    self.last_number
                },
                |kept| kept.number,
            );
            let oldest = account.oldest_indices(name);
            let has_moved =
                |(shard, index): &(&u32, &u64)| known.and_then(|kept| kept.oldest.get(shard)) != Some(index);
            batch.trimmed.extend(oldest.iter().filter(has_moved).map(|(shard, index)| (number, *shard, *index)));
            now.insert(name.clone(), Kept { number, created_millis, digest, oldest });
            if known.is_none_or(|kept| kept.digest != digest) {
                batch.streams.push((place.clone(), name.clone(), number, json));
            }
        }
        let is_gone = |(name, kept): &(&StreamName, &Kept)| now.get(*name).is_none_or(|it| it.number != kept.number);
        let gone = before.iter().filter(is_gone).map(|(name, kept)| (place.clone(), name.clone(), kept.number));
        batch.removed.extend(gone);
        self.streams.insert(place.clone(), now);
    }
}

impl State {
    /// Has what changed saved; what to wait for before anything is said of the state, where it is saved at all.
    pub(crate) fn save(&mut self) -> Option<Ticket> {
        let saving = self.saving.as_mut()?;
        let mut batch = Batch::default();
        let mut has_changed = false;
        for (place, account) in self.engine.accounts() {
            if let Some(unsaved) = account.take_unsaved() {
                has_changed = true;
                saving.take(place, account, unsaved, &mut batch);
            }
        }
        if has_changed {
            saving.last_ticket += 1;
            batch.ticket = saving.last_ticket;
            saving.saver.send(batch);
        }
        Some(saving.saver.ticket(saving.last_ticket))
    }
}
