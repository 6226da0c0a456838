//! The data plane: putting records, getting iterators, getting records.

use std::sync::Arc;
use std::time::SystemTime;

use kinesis_core::{HashKeyRange, SequenceNumber, ShardId, unix_millis};

use super::account::{Account, StreamRef};
use super::error::ServiceError;
use super::iterators::{self, IteratorType, Position};
use super::limits::Limits;
use super::records::{PutEntry, ReadRecord};
use super::saved::Appended;
use super::sequence::ServiceNumber;
use super::settings::Distribution;
use super::shards::Shard;
use super::streams::Stream;
use crate::operation::Operation;

/// Where and when a record was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredAt {
    pub(crate) shard: ShardId,
    pub(crate) sequence_number: SequenceNumber,
    pub(crate) arrived_at: SystemTime,
    pub(crate) encrypted: bool,
}

/// What became of one entry.
pub(crate) type PutOutcome = Result<StoredAt, ServiceError>;

/// A shard that follows the one that ended.
#[derive(Clone, Debug)]
pub(crate) struct ChildShard {
    pub(crate) id: ShardId,
    pub(crate) parents: Vec<ShardId>,
    pub(crate) range: HashKeyRange,
}

/// What a read returns.
#[derive(Debug)]
pub(crate) struct GetRecordsReply {
    pub(crate) records: Vec<ReadRecord>,
    pub(crate) millis_behind_latest: u64,
    /// Nothing where the shard was read to its end.
    pub(crate) next_iterator: Option<String>,
    pub(crate) child_shards: Vec<ChildShard>,
}

impl Account {
    /// Puts the entries in their order, those of a `batch` or one alone; `fails(index)` names the error of an entry that is not to be applied.
    ///
    /// # Errors
    /// The request as a whole; what is wrong with one entry is its outcome.
    pub(crate) fn put(
        &mut self,
        now: SystemTime,
        stream: &StreamRef,
        entries: &mut [PutEntry],
        batch: bool,
        fails: impl Fn(usize) -> Option<ServiceError>,
    ) -> Result<Vec<PutOutcome>, ServiceError> {
        let settings = Arc::clone(&self.settings);
        let stream = self.stream_for(now, stream, entries, batch)?;
        let now_millis = unix_millis(now);
        let mut too_slow = None;
        let targets: Vec<Result<u32, ServiceError>> = entries
            .iter()
            .enumerate()
            .map(|(index, entry)| match fails(index) {
                Some(error) => Err(error),
                None => admit(stream, &settings.limits, entry, now_millis, &mut too_slow),
            })
            .collect();
        detach_if_few(entries, &targets);
        let (first, grown_millis) = (stream.next_index, stream.grown_millis);
        let outcomes: Vec<PutOutcome> = entries
            .iter()
            .zip(&targets)
            .map(|(entry, target)| target.clone().and_then(|shard| stream.append(shard, entry, now_millis)))
            .collect();
        let appended = settings.saves.then(|| stream.appended(first, entries, &targets, &outcomes));
        if let Some(shard) = too_slow {
            stream.grow(shard, now_millis, settings.delays.updating);
        }
        let has_grown = stream.grown_millis != grown_millis;
        if let Some(unsaved) = &mut self.unsaved {
            unsaved.appended.extend(appended.into_iter().flatten());
            unsaved.has_changed |= has_grown;
        }
        Ok(outcomes)
    }

    /// Refuses a stream that takes no records.
    pub(crate) fn require_usable(&mut self, now: SystemTime, stream: &StreamRef) -> Result<(), ServiceError> {
        self.usable_stream(now, stream).map(|_| ())
    }

    /// Refuses what could not be put as a whole, without counting the call.
    pub(crate) fn check_put(
        &mut self,
        now: SystemTime,
        stream: &StreamRef,
        entries: &[PutEntry],
        batch: bool,
    ) -> Result<(), ServiceError> {
        self.stream_for(now, stream, entries, batch).map(|_| ())
    }

    /// The stream that takes the entries.
    fn stream_for(
        &mut self,
        now: SystemTime,
        stream: &StreamRef,
        entries: &[PutEntry],
        batch: bool,
    ) -> Result<&mut Stream, ServiceError> {
        let stream = self.usable_stream(now, stream)?;
        require_keys(stream, entries, batch)?;
        require_record_sizes(stream, entries)?;
        Ok(stream)
    }

    /// Refuses a number that a writer claims to have seen, if it is none of the service's.
    pub(crate) fn check_ordering(
        &mut self,
        now: SystemTime,
        stream: &StreamRef,
        number: &str,
    ) -> Result<(), ServiceError> {
        let now_secs = unix_millis(now) / 1000;
        let found = self.usable_stream(now, stream)?;
        let given = number.parse::<SequenceNumber>().ok().and_then(ServiceNumber::of);
        match given {
            Some(ServiceNumber::Current(parts)) if parts.time_secs > now_secs => {}
            Some(_) => return Ok(()),
            None => {}
        }
        let (name, account) = (found.name(), found.arn.account());
        Err(ServiceError::invalid_argument(format!(
            "ExclusiveMinimumSequenceNumber {number} used in PutRecord on stream {name} under account {account} is \
             invalid."
        )))
    }

    pub(crate) fn get_shard_iterator(
        &mut self,
        now: SystemTime,
        stream: &StreamRef,
        shard_id: &str,
        start: &Result<IteratorType, ServiceError>,
    ) -> Result<String, ServiceError> {
        let (settings, now_millis) = (Arc::clone(&self.settings), unix_millis(now));
        let shard_id = self.shard_id(stream, shard_id)?;
        let found = self.stream_with_shard(now, stream, &shard_id)?;
        if let Some(shard) = found.find_shard(&shard_id).map(|shard| shard.index) {
            found.meter(shard, |meters| meters.admit_iterator(&settings.limits, now_millis))?;
        }
        let (shard_index, from_index) =
            found.start_index_of(&shard_id, start, Operation::GetShardIterator, now_millis)?;
        let position = Position {
            stream: found.name().clone(),
            stream_created_millis: found.created_millis,
            shard_index,
            from_index,
        };
        Ok(position.encode(&found.secret, now_millis))
    }

    /// Refuses an iterator that could not be given, without counting the call.
    pub(crate) fn check_shard_iterator(
        &mut self,
        now: SystemTime,
        stream: &StreamRef,
        shard_id: &str,
        start: &Result<IteratorType, ServiceError>,
    ) -> Result<(), ServiceError> {
        let shard_id = self.shard_id(stream, shard_id)?;
        let found = self.stream_with_shard(now, stream, &shard_id)?;
        found.start_index_of(&shard_id, start, Operation::GetShardIterator, unix_millis(now)).map(|_| ())
    }

    /// The stream of a shard: where there is none, it is the shard that the service misses.
    fn stream_with_shard(
        &mut self,
        now: SystemTime,
        stream: &StreamRef,
        shard_id: &ShardId,
    ) -> Result<&mut Stream, ServiceError> {
        let account = Arc::clone(&self.place.account);
        self.usable_stream(now, stream).map_err(|error| match error.code() {
            "ResourceNotFoundException" => missing_shard(shard_id, stream.name.as_str(), &account),
            _ => error,
        })
    }

    /// Reads at most `limit` records from an iterator on.
    pub(crate) fn get_records(
        &mut self,
        now: SystemTime,
        stream: Option<&StreamRef>,
        iterator: &str,
        limit: usize,
    ) -> Result<GetRecordsReply, ServiceError> {
        let (settings, now_millis) = (Arc::clone(&self.settings), unix_millis(now));
        let (stream, position) = self.stream_of_position(now, stream, iterator)?;
        stream.meter(position.shard_index, |meters| meters.admit_read(&settings.limits, now_millis))?;
        stream.trim_shard(position.shard_index, now_millis);
        stream.read(&position, limit, &settings.limits, now_millis).ok_or_else(ServiceError::internal_failure)
    }

    /// Refuses a read that could not be answered, without counting the call.
    pub(crate) fn check_records(
        &mut self,
        now: SystemTime,
        stream: Option<&StreamRef>,
        iterator: &str,
    ) -> Result<(), ServiceError> {
        self.stream_of_position(now, stream, iterator).map(|_| ())
    }

    fn stream_of_position(
        &mut self,
        now: SystemTime,
        stream: Option<&StreamRef>,
        iterator: &str,
    ) -> Result<(&mut Stream, Position), ServiceError> {
        let account = Arc::clone(&self.place.account);
        let mut position = Position::decode(iterator, &self.secret, now)?;
        if let Some(stream) = stream.filter(|stream| stream.name != position.stream) {
            return Err(ServiceError::invalid_argument(format!(
                "StreamARN of stream {} was given with a ShardIterator of another stream.",
                stream.name
            )));
        }
        let shard_id = ShardId::from_index(u64::from(position.shard_index));
        let name = position.stream.clone();
        let missing = || missing_shard(&shard_id, name.as_str(), &account);
        let named = StreamRef { name: position.stream.clone(), arn: stream.and_then(|stream| stream.arn.clone()) };
        let found = self.usable_stream(now, &named).map_err(|_| missing())?;
        if found.shard(position.shard_index).is_none() {
            return Err(missing());
        }
        if found.created_millis != position.stream_created_millis {
            // The service takes an iterator of an earlier stream of the name (recorded by kinesalite,
            // test/getRecords.js); every number of the later stream is higher than those of the earlier.
            position.stream_created_millis = found.created_millis;
            position.from_index = 0;
        }
        Ok((found, position))
    }

    /// The stream that an iterator reads from, if the iterator is one of ours.
    pub(crate) fn stream_of_iterator(&self, iterator: &str, now: SystemTime) -> Option<kinesis_core::StreamName> {
        Position::decode(iterator, &self.secret, now).ok().map(|position| position.stream)
    }

    /// The shard that an iterator reads from, if the iterator is one of ours.
    pub(crate) fn shard_of_iterator(&self, iterator: &str, now: SystemTime) -> Option<ShardId> {
        let position = Position::decode(iterator, &self.secret, now).ok()?;
        Some(ShardId::from_index(u64::from(position.shard_index)))
    }
}

impl Stream {
    fn append(&mut self, shard: u32, entry: &PutEntry, now_millis: u64) -> PutOutcome {
        let index = self.next_index;
        let encrypted = self.settings.encryption_key.is_some();
        let Some(shard) = self.shard_mut(shard) else {
            return Err(ServiceError::internal_failure());
        };
        let arrived_millis = shard.log.append(index, now_millis, entry.body.clone(), encrypted);
        shard.waiting.wake();
        let stored = StoredAt {
            shard: shard.id.clone(),
            sequence_number: shard.number(index, arrived_millis),
            arrived_at: kinesis_core::from_unix_millis(arrived_millis),
            encrypted,
        };
        self.next_index += 1;
        Ok(stored)
    }

    /// What is to be saved of entries that were put, the first of them with the index `first`.
    fn appended(
        &self,
        first: u64,
        entries: &[PutEntry],
        targets: &[Result<u32, ServiceError>],
        outcomes: &[PutOutcome],
    ) -> Vec<Appended> {
        let stored = entries
            .iter()
            .zip(targets)
            .zip(outcomes)
            .filter_map(|((entry, target), outcome)| Some((entry, *target.as_ref().ok()?, outcome.as_ref().ok()?)));
        let appended = stored.zip(first..).map(|((entry, shard, stored), index)| Appended {
            stream: self.name().clone(),
            created_millis: self.created_millis,
            shard,
            index,
            arrived_millis: unix_millis(stored.arrived_at),
            encrypted: stored.encrypted,
            body: entry.body.clone(),
            oldest_index: self.shard(shard).and_then(|shard| shard.log.oldest_index()).unwrap_or(index),
        });
        appended.collect()
    }

    fn read(&mut self, position: &Position, limit: usize, limits: &Limits, now_millis: u64) -> Option<GetRecordsReply> {
        let shard = self.shard_mut(position.shard_index)?;
        let read = shard.log.read(position.from_index, limit);
        let (size_bytes, next_index, next_arrived) = (read.size_bytes, read.next_index, read.next_arrived_millis);
        let millis_behind_latest = read.millis_behind(now_millis);
        let records = read.numbered(|index, arrived_millis| shard.number(index, arrived_millis));
        shard.meters.charge_read(limits, size_bytes);
        let shard = self.shard(position.shard_index)?;
        let ended = next_arrived.is_none() && !shard.is_open();
        let next = Position { from_index: next_index, ..position.clone() };
        Some(GetRecordsReply {
            records,
            millis_behind_latest,
            next_iterator: (!ended).then(|| next.encode(&self.secret, now_millis)),
            child_shards: if ended { self.children_of(shard) } else { Vec::new() },
        })
    }

    /// The index of a shard, and that of the first record that is to be read from where a call of the operation starts.
    pub(super) fn start_index_of(
        &mut self,
        shard_id: &ShardId,
        start: &Result<IteratorType, ServiceError>,
        asked_by: Operation,
        now_millis: u64,
    ) -> Result<(u32, u64), ServiceError> {
        if let Some(shard) = self.find_shard(shard_id).map(|shard| shard.index) {
            self.trim_shard(shard, now_millis);
        }
        let shard = self.find_shard(shard_id).ok_or_else(|| self.missing_shard(shard_id))?;
        let start = start.as_ref().map_err(ServiceError::clone)?;
        Ok((shard.index, iterators::start_index(self, shard, start, asked_by, now_millis)?))
    }

    pub(super) fn missing_shard(&self, shard_id: &ShardId) -> ServiceError {
        missing_shard(shard_id, self.name().as_str(), self.arn.account())
    }

    pub(super) fn children_of(&self, shard: &Shard) -> Vec<ChildShard> {
        let closed = shard.closed.iter().flat_map(|closed| &closed.children);
        closed
            .filter_map(|child| self.shard(*child))
            .map(|child| ChildShard {
                id: child.id.clone(),
                parents: child.parents.parent.iter().chain(&child.parents.adjacent).cloned().collect(),
                range: child.range,
            })
            .collect()
    }

    /// Drops what retention has removed, from every shard.
    pub(super) fn trim(&mut self, now_millis: u64) {
        let shards: Vec<u32> = self.shards().map(|shard| shard.index).collect();
        for shard in shards {
            self.trim_shard(shard, now_millis);
        }
    }

    pub(super) fn trim_shard(&mut self, shard: u32, now_millis: u64) {
        let kept_from_millis = self.kept_from_millis(now_millis);
        if let Some(shard) = self.shard_mut(shard) {
            shard.log.trim_before(kept_from_millis);
        }
    }

    /// Asks a shard's meters; a refusal is the service's throttle.
    fn meter(
        &mut self,
        shard: u32,
        admit: impl FnOnce(&mut super::limits::Meters) -> bool,
    ) -> Result<(), ServiceError> {
        let admitted = self.shard_mut(shard).is_none_or(|shard| admit(&mut shard.meters));
        if admitted {
            return Ok(());
        }
        let (name, account, id) = (self.name(), self.arn.account(), ShardId::from_index(u64::from(shard)));
        Err(ServiceError::throughput_exceeded(format!(
            "Rate exceeded for shard {id} in stream {name} under account {account}."
        )))
    }
}

/// The shard that takes an entry, if its limits allow it; the first that is `too_slow` is noted.
fn admit(
    stream: &mut Stream,
    limits: &Limits,
    entry: &PutEntry,
    now_millis: u64,
    too_slow: &mut Option<u32>,
) -> Result<u32, ServiceError> {
    // The open shards cover the whole key space.
    let shard = target(stream, entry).ok_or_else(ServiceError::internal_failure)?;
    if stream.settings.distribution == Distribution::Auto {
        stream.next_turn = stream.next_turn.wrapping_add(1);
    }
    stream.trim_shard(shard, now_millis);
    let size_bytes = entry.body.size_bytes();
    let admitted = stream.meter(shard, |meters| meters.admit_write(limits, size_bytes, now_millis));
    if admitted.is_err() {
        too_slow.get_or_insert(shard);
    }
    admitted.map(|()| shard)
}

/// The shard whose turn it is, or whose range holds the key.
fn target(stream: &Stream, entry: &PutEntry) -> Option<u32> {
    match stream.settings.distribution {
        Distribution::UserPartitionKey => stream.shard_of(entry.hash_key()),
        Distribution::Auto => stream.shard_by_turn(stream.next_turn),
    }
}

/// Refuses records without a partition key where that decides on the shard.
fn require_keys(stream: &Stream, entries: &[PutEntry], batch: bool) -> Result<(), ServiceError> {
    let missing = entries.iter().position(|entry| entry.body.partition_key().is_none());
    let Some(index) = missing.filter(|_| stream.settings.distribution == Distribution::UserPartitionKey) else {
        return Ok(());
    };
    let path = if batch { format!("records.{}.member.", index + 1) } else { String::new() };
    Err(ServiceError::validation(format!(
        "1 validation error detected: Value null at '{path}partitionKey' failed to satisfy constraint: Member must not \
         be null"
    )))
}

/// Copies what is stored out of the request's buffer where most of that would be held for nothing.
fn detach_if_few(entries: &mut [PutEntry], targets: &[Result<u32, ServiceError>]) {
    let total: u64 = entries.iter().map(|entry| entry.body.size_bytes()).sum();
    let admitted = entries.iter().zip(targets).filter(|(_, target)| target.is_ok());
    let stored: u64 = admitted.map(|(entry, _)| entry.body.size_bytes()).sum();
    if stored < total / 2 {
        for (entry, _) in entries.iter_mut().zip(targets).filter(|(_, target)| target.is_ok()) {
            entry.body = entry.body.detached();
        }
    }
}

fn require_record_sizes(stream: &Stream, entries: &[PutEntry]) -> Result<(), ServiceError> {
    let limit = u64::from(stream.settings.max_record_kib) * 1024;
    let Some(entry) = entries.iter().find(|entry| entry.body.size_bytes() > limit) else {
        return Ok(());
    };
    let (name, account, size) = (stream.name(), stream.arn.account(), entry.body.size_bytes());
    Err(ServiceError::invalid_argument(format!(
        "Record of {size} bytes, data and partition key together, exceeds the maximum record size of {limit} bytes of \
         stream {name} under account {account}."
    )))
}

fn missing_shard(shard: &ShardId, stream: &str, account: &str) -> ServiceError {
    ServiceError::not_found(format!("Shard {shard} in stream {stream} under account {account} does not exist"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use kinesis_core::{HashKey, StreamName, from_unix_millis};

    use super::super::{Delays, Place, RecordBody, Settings, StreamOptions};
    use super::*;

    /// 2023-11-14T22:13:20.250Z
    const T: u64 = 1_700_000_000_250;

    fn engine(limits: Limits, shards: u32) -> (Account, StreamRef) {
        let settings = Arc::new(Settings { limits, delays: Delays::default(), saves: false });
        let mut account = Account::new(Place::new("123456789012", "us-east-1"), settings);
        let name: StreamName = "orders".parse().unwrap();
        account.create_stream(from_unix_millis(T), &name, &StreamOptions::provisioned(shards)).unwrap();
        (account, StreamRef::named(name))
    }

    fn entries(buffer: &'static [u8], count: usize) -> Vec<PutEntry> {
        let buffer = Bytes::from(buffer.to_vec());
        let size = buffer.len() / count;
        let bodies = (0..count).map(|n| buffer.slice(n * size..(n + 1) * size));
        bodies
            .map(|bytes| PutEntry { body: RecordBody::new(bytes, 1), explicit_hash_key: Some(HashKey::MIN) })
            .collect()
    }

    fn put(engine: &mut Account, stream: &StreamRef, millis: u64, count: usize) -> Vec<PutOutcome> {
        let mut entries = entries(b"k1k2k3k4", 4);
        entries.truncate(count);
        engine.put(from_unix_millis(millis), stream, &mut entries, true, |_| None).unwrap()
    }

    #[test]
    fn numbers_are_those_of_the_layout() {
        let (mut engine, stream) = engine(Limits::off(), 1);
        let outcomes = put(&mut engine, &stream, T + 5000, 2);
        // Created at 0x6553f0fe (two seconds before T), index 1 and 2, second 0x6553f105, shard 0.
        let expected = [
            "2_06553f0fe_0_0000000000000001_00_06553f105_00000000_2",
            "2_06553f0fe_0_0000000000000002_00_06553f105_00000000_2",
        ];
        for (outcome, expected) in outcomes.iter().zip(expected) {
            let (high, low) = outcome.as_ref().unwrap().sequence_number.halves();
            assert_eq!(format!("{high:x}{low:032x}"), expected.replace('_', ""));
        }
    }

    #[test]
    fn an_entry_that_is_throttled_leaves_its_place_and_the_next_second_has_room() {
        let (mut engine, stream) = engine(Limits::off().write_records_per_second(3), 1);
        let stored = |outcomes: Vec<PutOutcome>| outcomes.iter().map(Result::is_ok).collect::<Vec<_>>();
        assert_eq!(stored(put(&mut engine, &stream, T, 2)), [true, true]);
        assert_eq!(stored(put(&mut engine, &stream, T, 4)), [true, false, false, false]);
        assert_eq!(stored(put(&mut engine, &stream, T + 999, 4)), [true, true, false, false]);
    }

    #[test]
    fn few_stored_entries_do_not_hold_the_buffer_of_a_request() {
        let (mut engine, stream) = engine(Limits::off(), 1);
        let error = || ServiceError::new("InternalFailure", "", 500);
        for (failing, shares) in [(0..0, true), (0..2, true), (0..3, false)] {
            let mut entries = entries(b"k1k2k3k4", 4);
            let buffer = entries[3].body.data().as_ptr();
            engine
                .put(from_unix_millis(T), &stream, &mut entries, true, |index| failing.contains(&index).then(error))
                .unwrap();
            assert_eq!(entries[3].body.data().as_ptr() == buffer, shares, "{failing:?} failed");
        }
    }

    #[test]
    fn a_second_stream_of_a_name_is_told_from_the_first_within_one_millisecond() {
        let (mut engine, stream) = engine(Limits::off(), 1);
        let now = from_unix_millis(T);
        let first = put(&mut engine, &stream, T, 1).remove(0).unwrap();
        engine.delete_stream(now, &stream, false).unwrap();
        engine.create_stream(now, &stream.name, &StreamOptions::provisioned(1)).unwrap();
        let second = put(&mut engine, &stream, T, 1).remove(0).unwrap();
        assert!(second.sequence_number > first.sequence_number);
        assert_eq!(engine.describe(now, &stream).unwrap().created_at, now + Duration::from_millis(1));
    }

    #[test]
    fn behind_is_zero_at_the_tip_alone() {
        let (mut engine, stream) = engine(Limits::off(), 1);
        put(&mut engine, &stream, T, 3);
        let start = engine
            .get_shard_iterator(from_unix_millis(T), &stream, "shardId-000000000000", &Ok(IteratorType::TrimHorizon))
            .unwrap();
        let mut read = |millis, limit| {
            engine.get_records(from_unix_millis(millis), None, &start, limit).unwrap().millis_behind_latest
        };
        assert_eq!([read(T, 1), read(T + 5, 2), read(T + 5, 3)], [1, 5, 0]);
    }
}
