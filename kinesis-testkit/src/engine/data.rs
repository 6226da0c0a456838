//! The data plane: putting records, getting iterators, getting records.

use std::time::SystemTime;

use kinesis_core::{HashKeyRange, SequenceNumber, ShardId, unix_millis};

use super::error::ServiceError;
use super::iterators::{self, IteratorType, Position};
use super::limits::Limits;
use super::records::{PutEntry, ReadRecord};
use super::shards::Shard;
use super::streams::Stream;
use super::{Engine, StreamRef};

/// Where and when a record was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredAt {
    pub(crate) shard: ShardId,
    pub(crate) sequence_number: SequenceNumber,
    pub(crate) arrived_at: SystemTime,
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

impl Engine {
    /// Puts the entries in their order; `fails(index)` names the error of an entry that is not to be applied.
    ///
    /// # Errors
    /// The request as a whole; what is wrong with one entry is its outcome.
    pub(crate) fn put(
        &mut self,
        now: SystemTime,
        stream: &StreamRef,
        entries: &mut [PutEntry],
        fails: impl Fn(usize) -> Option<ServiceError>,
    ) -> Result<Vec<PutOutcome>, ServiceError> {
        let limits = self.settings.limits;
        let stream = self.usable_stream(now, stream)?;
        require_record_sizes(stream, entries)?;
        let now_millis = unix_millis(now);
        let targets: Vec<Result<u32, ServiceError>> = entries
            .iter()
            .enumerate()
            .map(|(index, entry)| match fails(index) {
                Some(error) => Err(error),
                None => admit(stream, &limits, entry, now_millis),
            })
            .collect();
        detach_if_few(entries, &targets);
        Ok(entries
            .iter()
            .zip(targets)
            .map(|(entry, target)| target.and_then(|shard| stream.append(shard, entry, now_millis)))
            .collect())
    }

    pub(crate) fn get_shard_iterator(
        &mut self,
        now: SystemTime,
        stream: &StreamRef,
        shard_id: &str,
        start: &IteratorType,
    ) -> Result<String, ServiceError> {
        let (limits, now_millis) = (self.settings.limits, unix_millis(now));
        let account = self.settings.account.clone();
        let missing = |name: &str| missing_shard(shard_id, name, &account);
        let found = self.usable_stream(now, stream).map_err(|error| match error.code() {
            "ResourceNotFoundException" => missing(stream.name.as_str()),
            _ => error,
        })?;
        let shard = found.find_shard(shard_id).map(|shard| shard.index);
        let shard = shard.ok_or_else(|| missing(stream.name.as_str()))?;
        found.meter(shard, |meters| meters.admit_iterator(&limits, now_millis))?;
        found.trim_shard(shard, now_millis);
        let shard = found.shard(shard).ok_or_else(|| missing(stream.name.as_str()))?;
        let from_index = iterators::start_index(found, shard, start, now_millis)?;
        Ok(Position::in_shard(found, shard, from_index).encode(&account, now_millis))
    }

    /// Reads at most `limit` records from an iterator on.
    pub(crate) fn get_records(
        &mut self,
        now: SystemTime,
        iterator: &str,
        limit: usize,
    ) -> Result<GetRecordsReply, ServiceError> {
        let (limits, now_millis) = (self.settings.limits, unix_millis(now));
        let account = self.settings.account.clone();
        let position = Position::decode(iterator, &account, now)?;
        let shard_id = ShardId::from_index(u64::from(position.shard_index));
        let missing = || missing_shard(shard_id.as_str(), position.stream.as_str(), &account);
        let stream = self.usable_stream(now, &StreamRef::named(position.stream.clone())).map_err(|_| missing())?;
        if stream.created_millis != position.stream_created_millis || stream.shard(position.shard_index).is_none() {
            return Err(missing());
        }
        stream.meter(position.shard_index, |meters| meters.admit_read(&limits, now_millis))?;
        stream.trim_shard(position.shard_index, now_millis);
        stream.read(&position, limit, &limits, now_millis).ok_or_else(missing)
    }

    /// The stream that an iterator reads from, if the iterator is one of ours.
    pub(crate) fn stream_of_iterator(&self, iterator: &str, now: SystemTime) -> Option<kinesis_core::StreamName> {
        Position::decode(iterator, &self.settings.account, now).ok().map(|position| position.stream)
    }
}

impl Stream {
    fn append(&mut self, shard: u32, entry: &PutEntry, now_millis: u64) -> PutOutcome {
        let index = self.next_index;
        let Some(shard) = self.shard_mut(shard) else {
            return Err(ServiceError::new("InternalFailure", "Internal service failure.", 500));
        };
        let arrived_millis = shard.log.append(index, now_millis, entry.body.clone());
        let stored = StoredAt {
            shard: shard.id.clone(),
            sequence_number: shard.number(index, arrived_millis),
            arrived_at: kinesis_core::from_unix_millis(arrived_millis),
        };
        self.next_index += 1;
        Ok(stored)
    }

    fn read(&mut self, position: &Position, limit: usize, limits: &Limits, now_millis: u64) -> Option<GetRecordsReply> {
        let account = self.arn.account().to_owned();
        let shard = self.shard_mut(position.shard_index)?;
        let read = shard.log.read(position.from_index, limit);
        let (size_bytes, next_index, next_arrived) = (read.size_bytes, read.next_index, read.next_arrived_millis);
        let records = read.numbered(|index, arrived_millis| shard.number(index, arrived_millis));
        shard.meters.charge_read(limits, size_bytes);
        let shard = self.shard(position.shard_index)?;
        let ended = next_arrived.is_none() && !shard.is_open();
        let next = Position { from_index: next_index, ..position.clone() };
        Some(GetRecordsReply {
            records,
            // Zero is kept for the tip: within one millisecond there may be more to read.
            millis_behind_latest: next_arrived.map_or(0, |arrived| now_millis.saturating_sub(arrived).max(1)),
            next_iterator: (!ended).then(|| next.encode(&account, now_millis)),
            child_shards: if ended { self.children_of(shard) } else { Vec::new() },
        })
    }

    fn children_of(&self, shard: &Shard) -> Vec<ChildShard> {
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

    fn trim_shard(&mut self, shard: u32, now_millis: u64) {
        let horizon = self.horizon_millis(now_millis);
        if let Some(shard) = self.shard_mut(shard) {
            shard.log.trim(horizon);
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

/// The shard that takes an entry, if its limits allow it.
fn admit(stream: &mut Stream, limits: &Limits, entry: &PutEntry, now_millis: u64) -> Result<u32, ServiceError> {
    let shard = stream.shard_of(entry.hash_key()).ok_or_else(|| {
        // The open shards cover the whole key space.
        ServiceError::new("InternalFailure", "Internal service failure.", 500)
    })?;
    stream.trim_shard(shard, now_millis);
    let size_bytes = entry.body.size_bytes();
    stream.meter(shard, |meters| meters.admit_write(limits, size_bytes, now_millis))?;
    Ok(shard)
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
    let limit = u64::from(stream.max_record_kib) * 1024;
    let Some(entry) = entries.iter().find(|entry| entry.body.size_bytes() > limit) else {
        return Ok(());
    };
    let (name, account, size) = (stream.name(), stream.arn.account(), entry.body.size_bytes());
    Err(ServiceError::invalid_argument(format!(
        "Record of {size} bytes, data and partition key together, exceeds the maximum record size of {limit} bytes of \
         stream {name} under account {account}."
    )))
}

fn missing_shard(shard: &str, stream: &str, account: &str) -> ServiceError {
    ServiceError::not_found(format!("Shard {shard} in stream {stream} under account {account} does not exist"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use kinesis_core::{HashKey, StreamName, from_unix_millis};

    use super::super::{Delays, RecordBody, Settings, StreamMode, StreamOptions};
    use super::*;

    /// 2023-11-14T22:13:20.250Z
    const T: u64 = 1_700_000_000_250;

    fn engine(limits: Limits, shards: u32) -> (Engine, StreamRef) {
        let mut engine = Engine::new(Settings {
            region: "us-east-1".to_owned(),
            account: "123456789012".to_owned(),
            limits,
            delays: Delays::default(),
        });
        let name: StreamName = "orders".parse().unwrap();
        let options = StreamOptions { shards, mode: StreamMode::Provisioned, max_record_kib: 1024 };
        engine.create_stream(from_unix_millis(T), &name, &options).unwrap();
        (engine, StreamRef::named(name))
    }

    fn entries(buffer: &'static [u8], count: usize) -> Vec<PutEntry> {
        let buffer = Bytes::from(buffer.to_vec());
        let size = buffer.len() / count;
        let bodies = (0..count).map(|n| buffer.slice(n * size..(n + 1) * size));
        bodies
            .map(|bytes| PutEntry { body: RecordBody::new(bytes, 1), explicit_hash_key: Some(HashKey::MIN) })
            .collect()
    }

    fn put(engine: &mut Engine, stream: &StreamRef, millis: u64, count: usize) -> Vec<PutOutcome> {
        let mut entries = entries(b"k1k2k3k4", 4);
        entries.truncate(count);
        engine.put(from_unix_millis(millis), stream, &mut entries, |_| None).unwrap()
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
                .put(from_unix_millis(T), &stream, &mut entries, |index| failing.contains(&index).then(error))
                .unwrap();
            assert_eq!(entries[3].body.data().as_ptr() == buffer, shares, "{failing:?} failed");
        }
    }

    #[test]
    fn a_second_stream_of_a_name_is_told_from_the_first_within_one_millisecond() {
        let (mut engine, stream) = engine(Limits::off(), 1);
        let now = from_unix_millis(T);
        let first = put(&mut engine, &stream, T, 1).remove(0).unwrap();
        engine.delete_stream(now, &stream).unwrap();
        let options = StreamOptions { shards: 1, mode: StreamMode::Provisioned, max_record_kib: 1024 };
        engine.create_stream(now, &stream.name, &options).unwrap();
        let second = put(&mut engine, &stream, T, 1).remove(0).unwrap();
        assert!(second.sequence_number > first.sequence_number);
        assert_eq!(engine.describe(now, &stream).unwrap().created_at, now + Duration::from_millis(1));
    }

    #[test]
    fn behind_is_zero_at_the_tip_alone() {
        let (mut engine, stream) = engine(Limits::off(), 1);
        put(&mut engine, &stream, T, 3);
        let start = engine
            .get_shard_iterator(from_unix_millis(T), &stream, "shardId-000000000000", &IteratorType::TrimHorizon)
            .unwrap();
        let mut read =
            |millis, limit| engine.get_records(from_unix_millis(millis), &start, limit).unwrap().millis_behind_latest;
        assert_eq!([read(T, 1), read(T + 5, 2), read(T + 5, 3)], [1, 5, 0]);
    }
}
