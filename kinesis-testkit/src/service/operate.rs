//! What operators do to streams between two calls.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use kinesis_core::{Shard, ShardId, StreamName};

use super::{Admitted, State};
use crate::engine::{Account, Place, ServiceError, StreamOptions, StreamRef};
use crate::faults::OperatorEvent;
use crate::journal::JournalEvent;

impl State {
    /// Lets happen what comes just before a call; returns the time after it.
    pub(super) fn operate(&mut self, place: &Place, admitted: &Admitted, now: SystemTime) -> SystemTime {
        let mut time = now;
        for (event, mark) in &admitted.strike.events {
            let at = time;
            let mut event = event.clone();
            let mut refused = None;
            if let OperatorEvent::AdvanceClock(by) = &event {
                if let Some(clock) = &self.clock {
                    clock.jump(*by);
                }
                self.engine.wake_all();
                time = at.checked_add(*by).unwrap_or(at);
            } else {
                let account = self.engine.at(place);
                let done = operate(account, at, &mut event);
                account.note_change();
                refused = done.err().map(|error| error.code().to_owned());
            }
            if let Some(journal) = &mut self.journal {
                journal.events.push(JournalEvent {
                    before_call: admitted.id,
                    after_calls: journal.calls.len(),
                    at,
                    rule: mark.rule(),
                    event,
                    refused,
                });
            }
            // What was put off until a time in between has its turn before the call.
            self.settle(time);
        }
        time
    }
}

/// Carries out an event of a stream, and names the shards that it left open.
fn operate(account: &mut Account, now: SystemTime, event: &mut OperatorEvent) -> Result<(), ServiceError> {
    match event {
        OperatorEvent::Split { stream, shard } => {
            let chosen = match shard.clone() {
                Some(shard) => shard,
                None => first_open(account, now, stream)?,
            };
            *shard = Some(chosen.clone());
            account.split(now, &StreamRef::named(stream.clone()), chosen.as_str(), None).map(|_| ())
        }
        OperatorEvent::Merge { stream, shard, adjacent } => {
            let (one, other) = pair(account.shards(now, stream)?, shard.take(), adjacent.take())?;
            *shard = Some(one.clone());
            *adjacent = Some(other.clone());
            account.merge(now, &StreamRef::named(stream.clone()), one.as_str(), other.as_str()).map(|_| ())
        }
        OperatorEvent::TrimAll { stream } => {
            // What arrived by now, this millisecond's too.
            let horizon = now.checked_add(Duration::from_millis(1)).unwrap_or(now);
            account.trim(now, stream, horizon)
        }
        OperatorEvent::UpdateShardCount { stream, shards } => {
            account.update_shard_count(now, &StreamRef::named(stream.clone()), *shards).map(|_| ())
        }
        OperatorEvent::DeleteAndRecreate { stream } => recreate(account, now, stream),
        // Time is not the engine's.
        OperatorEvent::AdvanceClock(_) => Ok(()),
    }
}

fn first_open(account: &mut Account, now: SystemTime, stream: &StreamName) -> Result<ShardId, ServiceError> {
    let open = account.shards(now, stream)?.into_iter().find(is_open);
    open.map(|shard| shard.id).ok_or_else(|| ServiceError::not_found("The stream has no open shard."))
}

fn is_open(shard: &Shard) -> bool {
    shard.ending_sequence_number.is_none()
}

/// The two shards that a merge means, the lower one first.
fn pair(shards: Vec<Shard>, one: Option<ShardId>, other: Option<ShardId>) -> Result<(ShardId, ShardId), ServiceError> {
    let mut open: Vec<Shard> = shards.into_iter().filter(is_open).collect();
    open.sort_by_key(|shard| shard.hash_key_range.start());
    let place = |id: &ShardId| open.iter().position(|shard| shard.id == *id);
    if let (Some(one), Some(other)) = (&one, &other) {
        // What is not open is left for the service to refuse.
        return Ok(if place(one) > place(other) { (other, one) } else { (one, other) })
            .map(|(low, high)| (low.clone(), high.clone()));
    }
    let place = one.or(other).map_or(Some(0), |id| place(&id));
    let found = place.and_then(|place| {
        let low = if place + 1 < open.len() { place } else { place.checked_sub(1)? };
        Some((open.get(low)?.id.clone(), open.get(low + 1)?.id.clone()))
    });
    found.ok_or_else(|| ServiceError::invalid_argument("There are no two adjacent open shards to merge."))
}

fn recreate(account: &mut Account, now: SystemTime, stream: &StreamName) -> Result<(), ServiceError> {
    let name = StreamRef::named(stream.clone());
    let view = account.describe(now, &name)?;
    account.delete_stream(now, &name, true)?;
    let settings = &view.settings;
    let options = StreamOptions {
        shards: u32::try_from(view.open_shards).unwrap_or(u32::MAX),
        mode: settings.mode,
        max_record_kib: settings.max_record_kib,
        distribution: settings.distribution,
        warm_mibps: None,
        tags: BTreeMap::new(),
    };
    account.create_stream(now, stream, &options)
}
