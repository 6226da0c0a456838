//! Subscriptions with enhanced fan-out: what is pushed to a consumer, and when.
//!
//! A [`Subscription`] is a position that its reader holds; [`Account::push`] says what comes next at a given time, and
//! makes nothing before it is asked. What the service documents: one call per second, 5 seconds in which nobody takes a
//! subscription over, 5 minutes of life, 2 MB/s (API reference, SubscribeToShard; developer guide, quotas). The shapes
//! of the last event and of the events without records are those that clients rely on (KCL,
//! `FanOutRecordsPublisher`; Beam, `ShardEvent`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;
use std::time::SystemTime;

use kinesis_core::{SequenceNumber, ShardId, from_unix_millis, unix_millis};

use super::account::Account;
use super::consumers::{Consumer, ConsumerRef};
use super::data::ChildShard;
use super::error::ServiceError;
use super::iterators::IteratorType;
use super::limits::{Limits, PushMeters};
use super::records::ReadRecord;
use super::sequence::SequenceParts;
use super::streams::Stream;
use crate::operation::Operation;

/// The most records of an event; the service does not say, GetRecords has as many.
const MAX_RECORDS: usize = 10_000;
/// The most bytes of an event that holds more than one record; the service does not say, this is a second's worth.
const MAX_EVENT_BYTES: u64 = 2 * 1024 * 1024;
/// How long a subscription lives (API reference, SubscribeToShard).
const LIFE_MILLIS: u64 = 300_000;
/// For how long nobody takes a subscription over (API reference, SubscribeToShard).
const PROTECTED_MILLIS: u64 = 5000;
/// After how long without an event one without records comes; public reports have about as much, the service none.
const HEARTBEAT_MILLIS: u64 = 5000;

/// What a consumer has of one shard.
#[derive(Debug, Default)]
struct Slot {
    /// The subscription that has it, and since when; nothing before the first.
    holder: Option<(u64, u64)>,
    meters: PushMeters,
}

impl Slot {
    fn is_protected(&self, now_millis: u64) -> bool {
        self.holder.is_some_and(|(_, since_millis)| now_millis < since_millis.saturating_add(PROTECTED_MILLIS))
    }
}

/// What a consumer has of the shards, by their indices.
#[derive(Debug, Default)]
pub(super) struct Slots(BTreeMap<u32, Slot>);

/// A subscription as its reader holds it.
#[derive(Debug)]
pub(crate) struct Subscription {
    consumer: ConsumerRef,
    stream_created_millis: u64,
    shard_index: u32,
    number: u64,
    started_millis: u64,
    last_event_millis: u64,
    /// The index of the next record.
    from_index: u64,
    /// The number that the last event ended with.
    reached: SequenceParts,
    is_over: bool,
}

/// An event that goes to the reader.
#[derive(Debug)]
pub(crate) struct PushedEvent {
    pub(crate) records: Vec<ReadRecord>,
    /// Nothing in the event that ends a shard.
    pub(crate) continuation: Option<SequenceNumber>,
    pub(crate) millis_behind_latest: u64,
    pub(crate) child_shards: Vec<ChildShard>,
}

/// What comes next of a subscription.
#[derive(Debug)]
pub(crate) enum Push {
    Event(PushedEvent),
    /// It ends with an error.
    Failed(ServiceError),
    /// It ends.
    End,
    /// Nothing before that time, unless the shard changes.
    Wait {
        until: SystemTime,
    },
}

impl Subscription {
    const fn ends_millis(&self) -> u64 {
        self.started_millis + LIFE_MILLIS
    }

    /// How old it is in milliseconds.
    pub(crate) fn age_millis(&self, now: SystemTime) -> u64 {
        unix_millis(now).saturating_sub(self.started_millis)
    }
}

impl Account {
    /// Begins a subscription, which takes over from an earlier one.
    pub(crate) fn subscribe(
        &mut self,
        now: SystemTime,
        consumer: &ConsumerRef,
        shard: &str,
        start: &Result<IteratorType, ServiceError>,
    ) -> Result<Subscription, ServiceError> {
        self.begin_subscription(now, consumer, shard, start, true)
    }

    /// Refuses a subscription that could not begin, without counting the call.
    pub(crate) fn check_subscription(
        &mut self,
        now: SystemTime,
        consumer: &ConsumerRef,
        shard: &str,
        start: &Result<IteratorType, ServiceError>,
    ) -> Result<(), ServiceError> {
        self.begin_subscription(now, consumer, shard, start, false).map(|_| ())
    }

    fn begin_subscription(
        &mut self,
        now: SystemTime,
        consumer: &ConsumerRef,
        shard: &str,
        start: &Result<IteratorType, ServiceError>,
        for_good: bool,
    ) -> Result<Subscription, ServiceError> {
        let (settings, now_millis) = (Arc::clone(&self.settings), unix_millis(now));
        let shard_id = self.shard_id(&consumer.stream, shard)?;
        let stream = self.usable_stream(now, &consumer.stream)?;
        stream.require_active_consumer(consumer)?;
        if let Some(shard) = stream.find_shard(&shard_id).map(|shard| shard.index).filter(|_| for_good) {
            let is_admitted = stream.slot(consumer, shard)?.meters.admit_call(&settings.limits, now_millis);
            if !is_admitted {
                return Err(too_many_calls(consumer, &shard_id));
            }
        }
        let (shard_index, from_index) =
            stream.start_index_of(&shard_id, start, Operation::SubscribeToShard, now_millis)?;
        if stream.slot(consumer, shard_index)?.is_protected(now_millis) {
            return Err(taken(consumer));
        }
        let shard_created_secs = stream.shard(shard_index).map_or(0, |shard| shard.created_secs);
        let subscription = Subscription {
            consumer: consumer.clone(),
            stream_created_millis: stream.created_millis,
            shard_index,
            number: stream.next_subscription,
            started_millis: now_millis,
            last_event_millis: now_millis,
            from_index,
            reached: SequenceParts {
                shard_created_secs,
                shard_index,
                index: from_index.saturating_sub(1),
                time_secs: shard_created_secs,
            },
            is_over: false,
        };
        if for_good {
            stream.hand_over(&subscription)?;
        }
        Ok(subscription)
    }

    /// What comes next of a subscription; after an end or an error there is nothing more to ask for.
    pub(crate) fn push(&mut self, now: SystemTime, subscription: &mut Subscription) -> Push {
        if subscription.is_over {
            return Push::End;
        }
        let settings = Arc::clone(&self.settings);
        let push = self.next_push(now, subscription, &settings.limits).unwrap_or_else(Push::Failed);
        subscription.is_over |= matches!(push, Push::End | Push::Failed(_));
        push
    }

    fn next_push(
        &mut self,
        now: SystemTime,
        subscription: &mut Subscription,
        limits: &Limits,
    ) -> Result<Push, ServiceError> {
        let now_millis = unix_millis(now);
        let found = self.usable_stream(now, &subscription.consumer.stream);
        // Whoever takes long to ask learns how it ended at the time, not what became of the stream since.
        let has_ended = now_millis >= subscription.ends_millis();
        let stream = match found.and_then(|stream| stream.created_at_millis(subscription.stream_created_millis)) {
            Err(_) if has_ended => return Ok(Push::End),
            stream => stream?,
        };
        if stream.was_taken_over(subscription) {
            return Err(taken(&subscription.consumer));
        }
        if has_ended {
            return Ok(Push::End);
        }
        stream.require_consumer_still(&subscription.consumer)?;
        stream.push(subscription, limits, now_millis)
    }

    /// Has the reader woken when the shard of its subscription changes.
    pub(crate) fn wait(&mut self, now: SystemTime, subscription: &Subscription, waker: &Waker) {
        let stream = self.stream(now, &subscription.consumer.stream).ok();
        if let Some(shard) = stream.and_then(|stream| stream.shard_mut(subscription.shard_index)) {
            shard.waiting.add(subscription.number, waker);
        }
    }

    /// Forgets the reader of a subscription, which is gone.
    pub(crate) fn leave(&mut self, now: SystemTime, subscription: &Subscription) {
        let stream = self.stream(now, &subscription.consumer.stream).ok();
        if let Some(shard) = stream.and_then(|stream| stream.shard_mut(subscription.shard_index)) {
            shard.waiting.remove(subscription.number);
        }
    }
}

impl Stream {
    /// This stream, unless it is a later one of the name.
    fn created_at_millis(&mut self, millis: u64) -> Result<&mut Self, ServiceError> {
        if self.created_millis == millis {
            return Ok(self);
        }
        Err(ServiceError::stream_not_found(self.name().as_str(), self.arn.account()))
    }

    fn slot(&mut self, consumer: &ConsumerRef, shard: u32) -> Result<&mut Slot, ServiceError> {
        let Consumer { slots, .. } = self.consumer(consumer)?;
        Ok(slots.0.entry(shard).or_default())
    }

    fn hand_over(&mut self, to: &Subscription) -> Result<(), ServiceError> {
        self.slot(&to.consumer, to.shard_index)?.holder = Some((to.number, to.started_millis));
        self.next_subscription += 1;
        if let Some(shard) = self.shard_mut(to.shard_index) {
            shard.waiting.wake();
        }
        Ok(())
    }

    /// Whether another subscription began while this one lived.
    fn was_taken_over(&mut self, subscription: &Subscription) -> bool {
        let slot = self.slot(&subscription.consumer, subscription.shard_index);
        slot.is_ok_and(|slot| {
            slot.holder.is_some_and(|(number, since_millis)| {
                number != subscription.number && since_millis < subscription.ends_millis()
            })
        })
    }

    /// Refuses a consumer that was deregistered.
    fn require_consumer_still(&mut self, consumer: &ConsumerRef) -> Result<(), ServiceError> {
        let is_there = self.consumer(consumer)?.is_active();
        if is_there { Ok(()) } else { Err(self.no_such_consumer(consumer)) }
    }

    fn push(
        &mut self,
        subscription: &mut Subscription,
        limits: &Limits,
        now_millis: u64,
    ) -> Result<Push, ServiceError> {
        let index = subscription.shard_index;
        self.trim_shard(index, now_millis);
        let shard_id = ShardId::from_index(u64::from(index));
        let missing = self.missing_shard(&shard_id);
        let waits_until = self.slot(&subscription.consumer, index)?.meters.ready_at(limits, now_millis);
        let shard = self.shard(index).ok_or(missing)?;
        let has_records = shard.log.has_from(subscription.from_index);
        let is_ended = !has_records && !shard.is_open();
        if is_ended {
            subscription.is_over = true;
            let child_shards = self.children_of(shard);
            let end = PushedEvent { records: Vec::new(), continuation: None, millis_behind_latest: 0, child_shards };
            return Ok(Push::Event(end));
        }
        let heartbeat_millis = subscription.last_event_millis.saturating_add(HEARTBEAT_MILLIS);
        if has_records && waits_until.is_none() {
            return self.event(subscription, MAX_RECORDS, limits, now_millis).map(Push::Event);
        }
        if now_millis >= heartbeat_millis {
            return self.event(subscription, 0, limits, now_millis).map(Push::Event);
        }
        let times = [Some(subscription.ends_millis()), Some(heartbeat_millis), self.changes_at_millis()];
        let times = times.into_iter().chain([waits_until.filter(|_| has_records)]).flatten();
        Ok(Push::Wait { until: from_unix_millis(times.min().unwrap_or(now_millis).max(now_millis + 1)) })
    }

    /// An event of at most `limit` records.
    fn event(
        &mut self,
        subscription: &mut Subscription,
        limit: usize,
        limits: &Limits,
        now_millis: u64,
    ) -> Result<PushedEvent, ServiceError> {
        let (index, next_index) = (subscription.shard_index, self.next_index);
        let shard = self.shard(index).ok_or_else(ServiceError::internal_failure)?;
        let read = shard.log.read_within(subscription.from_index, limit, MAX_EVENT_BYTES);
        let millis_behind_latest = read.millis_behind(now_millis);
        let (size_bytes, is_at_tip) = (read.size_bytes, read.next_arrived_millis.is_none());
        let reached = &mut subscription.reached;
        if let Some(arrived_millis) = read.last_read_millis() {
            subscription.from_index = read.next_index;
            reached.index = read.next_index - 1;
            reached.time_secs = arrived_millis / 1000;
        } else if is_at_tip {
            // Every number up to here is known not to be the shard's, so that an idle shard gets on, too.
            reached.index = reached.index.max(next_index - 1);
            reached.time_secs = reached.time_secs.max(now_millis / 1000);
        }
        let continuation = Some(reached.encode());
        subscription.last_event_millis = now_millis;
        let records = read.numbered(|index, arrived_millis| shard.number(index, arrived_millis));
        self.slot(&subscription.consumer, index)?.meters.charge(limits, size_bytes);
        Ok(PushedEvent { records, continuation, millis_behind_latest, child_shards: Vec::new() })
    }
}

/// Text seen in public reports, such as daangn/kinesumer #16.
fn taken(consumer: &ConsumerRef) -> ServiceError {
    let (name, stream) = (&consumer.name, &consumer.stream.name);
    ServiceError::in_use(format!("Another active subscription exists for this consumer: {stream}:{name}."))
}

fn too_many_calls(consumer: &ConsumerRef, shard: &ShardId) -> ServiceError {
    let (name, stream) = (&consumer.name, &consumer.stream.name);
    ServiceError::limit_exceeded(format!("Rate exceeded for consumer {name} of stream {stream} and shard {shard}."))
}
