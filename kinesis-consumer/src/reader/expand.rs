//! From Kinesis records to batches of items.

use std::sync::Arc;
use std::time::SystemTime;
use std::vec::IntoIter;

use aws_sdk_kinesis::types::Record as SdkRecord;
use bytes::Bytes;
use kinesis_aggregation::{Aggregate, DecodeOptions, MemberCursor};
use kinesis_core::{HashKeyRange, RecordPosition, RequestError, RequestErrorKind, SequenceNumber};

use super::{ForeignMembers, ReaderSettings, ReaderShared};
use crate::engine::messages::StartShard;
use crate::error::ConsumerError;
use crate::event_time::{Limit, ReaderTime};
use crate::events::{ConsumerEvent, Listener};
use crate::mutants::Mutant;
use crate::position::ShardPosition;
use crate::record::{PartitionKey, Record, StreamShard};
use crate::schema::Schema;

/// What comes next in a reply.
#[derive(Debug)]
pub(super) enum Next<T> {
    Chunk(Chunk<T>),
    /// The next record waits for other shards: with it, this one comes to the watermark.
    Held(SystemTime),
    Over,
}

/// Items for one batch, and the position that they reach; there may be none where all records were dropped or skipped.
#[derive(Debug)]
pub(super) struct Chunk<T> {
    pub(super) items: Vec<T>,
    pub(super) position: RecordPosition,
    /// How many user records were looked at.
    pub(super) user_records: usize,
    /// The event time that the shard comes to with the items.
    pub(super) watermark: Option<SystemTime>,
}

/// What was made of a user record.
struct Made<T> {
    item: Option<T>,
    position: RecordPosition,
    watermark: Option<SystemTime>,
}

/// A Kinesis record that is being taken apart.
struct Opened {
    sequence_number: SequenceNumber,
    arrived_at: Option<SystemTime>,
    aggregate: Aggregate,
    /// In front of the next member to deliver.
    next: MemberCursor,
}

/// Takes aggregates apart and decodes records, batch by batch; a reply is never decoded as a whole.
pub(super) struct Expander<S: Schema> {
    id: StreamShard,
    range: HashKeyRange,
    schema: Arc<S>,
    settings: Arc<ReaderSettings>,
    listener: Listener,
    records: IntoIter<SdkRecord>,
    opened: Option<Opened>,
    /// Nothing where no event time is kept.
    time: Option<ReaderTime>,
    /// Comes next, once the limit allows it.
    held: Option<Made<S::Item>>,
}

/// What is being collected.
struct Collecting<T> {
    items: Vec<T>,
    position: Option<RecordPosition>,
    user_records: usize,
    watermark: Option<SystemTime>,
    /// How far the shard may be read.
    limit: Limit,
}

impl<T> Collecting<T> {
    fn add(&mut self, made: Made<T>) {
        self.items.extend(made.item);
        self.user_records += 1;
        self.position = Some(made.position);
        self.watermark = made.watermark;
    }
}

impl<S: Schema> Expander<S> {
    pub(super) fn new(shared: &ReaderShared<S>, start: &StartShard) -> Self {
        Self {
            id: start.id.clone(),
            range: start.shard.hash_key_range,
            time: start.time.as_ref().map(|time| time.reader(&start.id)),
            held: None,
            schema: Arc::clone(&shared.schema),
            settings: Arc::clone(&shared.settings),
            listener: Arc::clone(&shared.listener),
            records: Vec::new().into_iter(),
            opened: None,
        }
    }

    /// Begins a reply; what was left of the one before is forgotten.
    pub(super) fn begin(&mut self, records: Vec<SdkRecord>) {
        self.records = records.into_iter();
        self.opened = None;
        self.held = None;
    }

    /// Whether event time is kept.
    pub(super) const fn keeps_time(&self) -> bool {
        self.time.is_some()
    }

    /// Waits until the shard may come to `watermark`. Cancel safety: nothing is lost.
    pub(super) async fn allowed(&mut self, watermark: SystemTime) {
        if let Some(time) = &mut self.time {
            time.allowed(watermark).await;
        }
    }

    /// The next batch of what comes after `position`, as far as the shard may be read.
    pub(super) fn next_chunk(&mut self, position: &ShardPosition) -> Result<Next<S::Item>, ConsumerError> {
        let limit = self.time.as_ref().map_or(Limit::Unlimited, ReaderTime::limit);
        let mut collecting = Collecting { items: Vec::new(), position: None, user_records: 0, watermark: None, limit };
        if let Some(held) = self.held.take() {
            self.admit_made(held, &mut collecting);
        }
        while collecting.items.len() < self.settings.max_batch && self.held.is_none() {
            if let Some(opened) = self.opened.take() {
                self.opened = self.collect_members(opened, position, &mut collecting)?;
            } else if let Some(record) = self.records.next() {
                self.open(record, position, &mut collecting)?;
            } else {
                break;
            }
        }
        let Collecting { items, position, user_records, watermark, .. } = collecting;
        Ok(match (position, self.held.as_ref().and_then(|held| held.watermark)) {
            (Some(position), _) => Next::Chunk(Chunk { items, position, user_records, watermark }),
            (None, Some(watermark)) => Next::Held(watermark),
            (None, None) => Next::Over,
        })
    }

    /// Takes an item up, or holds it where the shard may not be read so far yet.
    fn admit_made(&mut self, made: Made<S::Item>, collecting: &mut Collecting<S::Item>) {
        if collecting.limit.allows(made.watermark) {
            collecting.add(made);
        } else {
            self.held = Some(made);
        }
    }

    fn open(
        &mut self,
        record: SdkRecord,
        position: &ShardPosition,
        collecting: &mut Collecting<S::Item>,
    ) -> Result<(), ConsumerError> {
        let sequence_number = sequence_number(&self.id, &record)?;
        let first = RecordPosition::new(sequence_number, 0);
        let arrived_at = arrival(&record);
        let data = Bytes::from(record.data.into_inner());
        match DecodeOptions::default().max_members(self.settings.max_members).decode(&data) {
            Ok(Some(aggregate)) => {
                if position.covers(RecordPosition::new(sequence_number, aggregate.len() as u64 - 1)) {
                    return Ok(());
                }
                let opened = Opened { sequence_number, arrived_at, aggregate, next: MemberCursor::default() };
                self.opened = self.admit(opened, collecting)?;
                return Ok(());
            }
            Err(error) if !position.covers(first) => {
                tracing::warn!(shard = %self.id, position = %first, %error, "aggregate is corrupt, delivered as it is");
                (self.listener)(&ConsumerEvent::CorruptAggregate { shard: self.id.clone(), position: first });
            }
            Ok(None) | Err(_) => {}
        }
        if position.covers(first) {
            return Ok(());
        }
        let is_cut =
            self.settings.mutant == Some(Mutant::PartialAggregate) && data.starts_with(&kinesis_aggregation::MAGIC);
        let data = if is_cut { data.slice(..data.len() / 2) } else { data };
        let partition_key = record.partition_key.map(PartitionKey::new);
        let shard = self.id.clone();
        let record = Record { shard, position: first, partition_key, explicit_hash_key: None, data, arrived_at };
        self.collect(record, collecting)
    }

    /// Judges an aggregate by its members' hash keys; nothing where it is dropped as a whole.
    fn admit(&self, opened: Opened, collecting: &mut Collecting<S::Item>) -> Result<Option<Opened>, ConsumerError> {
        if self.settings.foreign_members == ForeignMembers::Deliver || opened.aggregate.is_within(&self.range) {
            return Ok(Some(opened));
        }
        let position = RecordPosition::new(opened.sequence_number, 0);
        let shard = self.id.clone();
        match self.settings.foreign_members {
            ForeignMembers::Fail => Err(ConsumerError::ForeignMembers { shard, position }),
            ForeignMembers::PerMember => {
                let foreign = opened.aggregate.members().filter(|member| !member.is_within(&self.range)).count();
                (self.listener)(&ConsumerEvent::MembersDropped { shard, position, count: foreign as u64 });
                Ok(Some(opened))
            }
            ForeignMembers::WholeAggregate | ForeignMembers::Deliver => {
                let count = opened.aggregate.len() as u64;
                (self.listener)(&ConsumerEvent::MembersDropped { shard, position, count });
                // Dropped members count: the position moves past them.
                collecting.position = Some(RecordPosition::new(opened.sequence_number, count - 1));
                Ok(None)
            }
        }
    }

    /// Collects members up to a full batch; gives back an aggregate that is not exhausted.
    fn collect_members(
        &mut self,
        mut opened: Opened,
        position: &ShardPosition,
        collecting: &mut Collecting<S::Item>,
    ) -> Result<Option<Opened>, ConsumerError> {
        let per_member = self.settings.foreign_members == ForeignMembers::PerMember;
        let mut members = opened.aggregate.members_from(opened.next);
        loop {
            let is_full = collecting.items.len() >= self.settings.max_batch || self.held.is_some();
            if is_full && members.len() > 0 {
                opened.next = members.cursor();
                return Ok(Some(opened));
            }
            let Some(member) = members.next() else { break };
            let at = RecordPosition::new(opened.sequence_number, member.index());
            if position.covers(at) {
                continue;
            }
            if per_member && !member.is_within(&self.range) {
                collecting.position = Some(at);
                continue;
            }
            let record = Record {
                shard: self.id.clone(),
                position: at,
                partition_key: PartitionKey::from_utf8(member.partition_key_bytes()),
                explicit_hash_key: member.explicit_hash_key(),
                data: member.data(),
                arrived_at: opened.arrived_at,
            };
            self.collect(record, collecting)?;
        }
        Ok(None)
    }

    fn collect(&mut self, record: Record, collecting: &mut Collecting<S::Item>) -> Result<(), ConsumerError> {
        let (position, arrived_at) = (record.position, record.arrived_at);
        let item = self.schema.decode(record).map_err(|source| ConsumerError::Schema {
            shard: self.id.clone(),
            position,
            source,
        })?;
        let watermark = self
            .time
            .as_mut()
            .and_then(|time| time.on_record(item.as_ref().and_then(|item| self.schema.event_time(item, arrived_at))));
        self.admit_made(Made { item, position, watermark }, collecting);
        Ok(())
    }
}

/// The record's number; the service never leaves it out.
pub(super) fn sequence_number(id: &StreamShard, record: &SdkRecord) -> Result<SequenceNumber, ConsumerError> {
    record.sequence_number.parse().map_err(|error: kinesis_core::ParseSequenceNumberError| {
        let kind = RequestErrorKind::InvalidResponse;
        ConsumerError::Request(RequestError::new("GetRecords", &id.to_string(), kind, None, &error.to_string()))
    })
}

/// When the service stored the record.
pub(super) fn arrival(record: &SdkRecord) -> Option<SystemTime> {
    record.approximate_arrival_timestamp.and_then(|time| SystemTime::try_from(time).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_kinesis::primitives::Blob;
    use kinesis_aggregation::AggregateBuilder;
    use kinesis_core::{HashKey, ShardId};
    use parking_lot::Mutex;
    use std::time::Duration;

    use crate::pacing::PacingLimits;
    use crate::reader::LossPolicy;
    use crate::schema::Utf8;
    use kinesis_core::{Backoff, RetryPolicy};

    fn settings(foreign_members: ForeignMembers, max_batch: usize) -> ReaderSettings {
        let retry = RetryPolicy { max_retries: 0, backoff: Backoff::new(Duration::ZERO, Duration::ZERO, 1.0) };
        ReaderSettings {
            pacing: PacingLimits {
                interval: Duration::ZERO,
                rest_after_none: Duration::ZERO,
                rest_after_some: Duration::ZERO,
                bytes_per_second: 1.0,
                max_records: 1,
                adaptive: false,
            },
            get_records: retry,
            get_iterator: retry,
            foreign_members,
            loss: LossPolicy::Fail,
            max_batch,
            max_members: 1000,
            waiting_records: 1,
            tip_interval: Duration::ZERO,
            mutant: None,
        }
    }

    struct Harness {
        expander: Expander<Utf8>,
        events: Arc<Mutex<Vec<ConsumerEvent>>>,
    }

    fn harness(policy: ForeignMembers, max_batch: usize, range: HashKeyRange) -> Harness {
        let events: Arc<Mutex<Vec<ConsumerEvent>>> = Arc::default();
        let seen = Arc::clone(&events);
        let expander = Expander {
            id: StreamShard { stream: "orders".parse().unwrap(), shard: ShardId::from_index(0) },
            range,
            schema: Arc::new(Utf8),
            settings: Arc::new(settings(policy, max_batch)),
            listener: Arc::new(move |event: &ConsumerEvent| seen.lock().push(event.clone())),
            records: Vec::new().into_iter(),
            opened: None,
            time: None,
            held: None,
        };
        Harness { expander, events }
    }

    fn plain(sequence: u128, data: &[u8]) -> SdkRecord {
        SdkRecord::builder()
            .sequence_number(sequence.to_string())
            .partition_key("key")
            .data(Blob::new(data))
            .build()
            .unwrap()
    }

    fn aggregate(sequence: u128, members: &[(u128, &str)]) -> SdkRecord {
        let mut builder = AggregateBuilder::new();
        for (hash_key, data) in members {
            builder.add("key", Some(HashKey::new(*hash_key)), data.as_bytes());
        }
        plain(sequence, &builder.finish())
    }

    fn all(harness: &mut Harness, position: &mut ShardPosition) -> Vec<(Vec<String>, RecordPosition)> {
        let mut chunks = Vec::new();
        while let Next::Chunk(chunk) = harness.expander.next_chunk(position).unwrap() {
            position.delivered(chunk.position);
            chunks.push((chunk.items, chunk.position));
        }
        chunks
    }

    fn at(sequence: u128, sub: u64) -> RecordPosition {
        RecordPosition::new(sequence.into(), sub)
    }

    fn low_half() -> HashKeyRange {
        HashKeyRange::uniform(2)[0]
    }

    #[test]
    fn batches_end_inside_an_aggregate_and_go_on_there() {
        let mut harness = harness(ForeignMembers::WholeAggregate, 2, HashKeyRange::FULL);
        harness.expander.begin(vec![aggregate(7, &[(1, "a"), (2, "b"), (3, "c")]), plain(9, b"d")]);
        let mut position = ShardPosition::TRIM_HORIZON;
        let chunks = all(&mut harness, &mut position);
        assert_eq!(
            chunks,
            [(vec!["a".into(), "b".into()], at(7, 1)), (vec!["c".into(), "d".into()], at(9, 0))]
                as [(Vec<String>, _); 2]
        );
    }

    #[test]
    fn what_was_delivered_is_skipped_down_to_the_member() {
        let mut harness = harness(ForeignMembers::WholeAggregate, 10, HashKeyRange::FULL);
        harness.expander.begin(vec![plain(5, b"old"), aggregate(7, &[(1, "a"), (2, "b"), (3, "c")])]);
        let mut position = ShardPosition::from_parts(Some(at(7, 1)), None, false);
        assert_eq!(all(&mut harness, &mut position), [(vec!["c".to_owned()], at(7, 2))]);
    }

    #[test]
    fn foreign_members_are_treated_as_the_policy_says() {
        let foreign = u128::MAX;
        let cases: [(ForeignMembers, &[&str], u64); 3] = [
            (ForeignMembers::WholeAggregate, &[], 3),
            (ForeignMembers::PerMember, &["a", "c"], 1),
            (ForeignMembers::Deliver, &["a", "b", "c"], 0),
        ];
        for (policy, expected, dropped) in cases {
            let mut harness = harness(policy, 10, low_half());
            harness.expander.begin(vec![aggregate(7, &[(1, "a"), (foreign, "b"), (3, "c")])]);
            let mut position = ShardPosition::TRIM_HORIZON;
            let chunks = all(&mut harness, &mut position);
            assert_eq!(chunks[0].0, expected, "{policy:?}");
            assert_eq!(position.last(), Some(at(7, 2)), "{policy:?}: dropped members count");
            let counted: u64 = harness
                .events
                .lock()
                .iter()
                .map(|event| if let ConsumerEvent::MembersDropped { count, .. } = event { *count } else { 0 })
                .sum();
            assert_eq!(counted, dropped, "{policy:?}");
        }
        let mut harness = harness(ForeignMembers::Fail, 10, low_half());
        harness.expander.begin(vec![aggregate(7, &[(foreign, "b"), (1, "a")])]);
        assert!(harness.expander.next_chunk(&ShardPosition::TRIM_HORIZON).is_err());
    }

    #[test]
    fn an_aggregate_that_was_dropped_is_not_reported_again_when_it_is_read_again() {
        let mut harness = harness(ForeignMembers::WholeAggregate, 10, low_half());
        let mut position = ShardPosition::TRIM_HORIZON;
        for _ in 0..2 {
            harness.expander.begin(vec![aggregate(7, &[(u128::MAX, "a"), (1, "b")])]);
            all(&mut harness, &mut position);
        }
        assert_eq!(harness.events.lock().len(), 1);
    }

    #[test]
    fn a_plain_record_is_never_judged_by_range() {
        // Its hash key is decided by the service, which put it there.
        let mut harness = harness(ForeignMembers::Fail, 10, HashKeyRange::new(HashKey::MIN, HashKey::MIN).unwrap());
        harness.expander.begin(vec![plain(7, b"x")]);
        assert_eq!(all(&mut harness, &mut ShardPosition::TRIM_HORIZON.clone())[0].0, ["x"]);
    }

    #[test]
    fn a_schema_error_names_the_record() {
        let mut harness = harness(ForeignMembers::WholeAggregate, 10, HashKeyRange::FULL);
        harness.expander.begin(vec![plain(7, b"\xff")]);
        let error = harness.expander.next_chunk(&ShardPosition::TRIM_HORIZON).unwrap_err();
        assert_eq!(error.to_string(), "record 7.0 of orders/shardId-000000000000 could not be decoded by the schema");
    }
}
