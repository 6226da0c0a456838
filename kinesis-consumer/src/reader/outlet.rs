//! What every reader does with the records of its shard, however it got them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use aws_sdk_kinesis::types::Record as SdkRecord;
use kinesis_core::{IteratorStart, RandomStream, RecordPosition, RequestErrorKind, SequenceNumber};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;

use super::expand::{Chunk, Expander, Next, arrival, sequence_number};
use super::retention_watch::{Exposure, RetentionWatch};
use super::{LossPolicy, ReaderShared};
use crate::engine::messages::{Delivery, FromReader, StartShard};
use crate::error::{ConsumerError, PossibleLoss};
use crate::events::ConsumerEvent;
use crate::metrics::ShardMeter;
use crate::mutants::Mutant;
use crate::position::ShardPosition;
use crate::record::StreamShard;
use crate::schema::Schema;
use crate::service_clock::ServiceClock;
use crate::status::ShardPlace;

/// What a record takes in memory beside its data and key: the record of the SDK, its texts, and its allocations.
const RECORD_OVERHEAD_BYTES: usize = size_of::<SdkRecord>() + 128;

/// What a record takes of the service's limits: data and partition key.
pub(super) fn record_bytes(record: &SdkRecord) -> usize {
    record.data.as_ref().len() + record.partition_key.as_ref().map_or(0, String::len)
}

/// What records take in memory.
pub(super) fn resident_bytes(records: &[SdkRecord]) -> usize {
    records.iter().map(record_bytes).sum::<usize>() + records.len() * RECORD_OVERHEAD_BYTES
}

/// How a reader ended, where somebody still listens.
pub(super) enum Ended {
    /// The shard was read to its end.
    Shard,
    Failed(ConsumerError),
}

/// What became of the records of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivered {
    /// They were handed on; so many user records were looked at.
    All { user_records: usize },
    /// Not all were: the shard waited for others, and its memory was wanted. They are to be read again.
    Part { user_records: usize },
    /// Nobody listens any more.
    Stopped,
}

/// The way of a shard's records from its reader to its subtask, and what is known of how far it was read.
pub(super) struct Outlet<S: Schema> {
    pub(super) shared: Arc<ReaderShared<S>>,
    pub(super) id: StreamShard,
    /// How far was read; what was delivered is at most as far.
    pub(super) position: ShardPosition,
    /// The record that what is read next begins with, unless retention has removed it.
    pub(super) expected: Option<RecordPosition>,
    pub(super) retention: RetentionWatch,
    place: ShardPlace,
    pub(super) meter: ShardMeter,
    expander: Expander<S>,
    last_arrival: Option<SystemTime>,
    /// When the call was made whose tip was told last, and when that was.
    told_tip: Option<(Instant, Instant)>,
    /// Whether records came since a tip was told.
    is_past_tip: bool,
    /// The service's clock at the tip that was told last, or when the job began.
    tip_clock: ServiceClock,
    /// Nothing more of the shard is wanted: what is left of it is lost.
    abandoned: Arc<AtomicBool>,
    out: mpsc::Sender<FromReader<S::Item>>,
}

impl<S: Schema> Outlet<S> {
    pub(super) fn new(
        shared: Arc<ReaderShared<S>>,
        start: &StartShard,
        abandoned: Arc<AtomicBool>,
        out: mpsc::Sender<FromReader<S::Item>>,
    ) -> Self {
        Self {
            id: start.id.clone(),
            position: start.position,
            expected: None,
            retention: RetentionWatch::new(start.position.not_before(), shared.clock.now()),
            place: shared.board.place(&start.id, Instant::now()),
            meter: ShardMeter::new(shared.meter.job(), &start.id),
            expander: Expander::new(&shared, start),
            last_arrival: None,
            told_tip: None,
            is_past_tip: false,
            tip_clock: start.clock,
            abandoned,
            shared,
            out,
        }
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed)
    }

    /// Tells the subtask how reading ended.
    pub(super) async fn end(self, ended: Ended) {
        let shard = self.id.clone();
        let message = match ended {
            Ended::Shard => FromReader::Ended { shard },
            Ended::Failed(_) if self.is_abandoned() => FromReader::Ended { shard },
            Ended::Failed(error) if is_about_a_missing_shard(&error) => FromReader::Vanished { shard, error },
            Ended::Failed(error) => FromReader::Failed(error),
        };
        // A closed channel means that the job is over already.
        let _ = self.out.send(message).await;
    }

    /// Where to begin to read, and notes the record that comes back first then.
    pub(super) fn resume(&mut self) -> IteratorStart {
        let start = self.position.resume();
        self.expected = self.position.last().filter(|_| matches!(start, IteratorStart::AtSequenceNumber(_)));
        start
    }

    /// How close retention is to what was read last, when the service's clock shows `served_at`.
    ///
    /// A consumer that is less than a day behind makes no call for it.
    pub(super) async fn exposure(
        &mut self,
        served_at: SystemTime,
        random: &mut RandomStream,
    ) -> Result<Exposure, ConsumerError> {
        let exposure = self.retention.exposure(Instant::now(), self.shared.clock.now(), served_at);
        if exposure != Exposure::Unknown {
            return Ok(exposure);
        }
        let (retentions, service) = (&self.shared.retentions, &self.shared.service);
        let known = retentions.get(service, &self.id.stream, random).await.map_err(ConsumerError::Request)?;
        self.retention.looked_up(known);
        Ok(self.retention.exposure(Instant::now(), self.shared.clock.now(), served_at))
    }

    /// Sees to it that the record read last before comes back first, which proves that nothing after it is gone.
    ///
    /// `is_all` says that there is nothing but `first`, if that: else no record says nothing yet. Returns the record that
    /// was proven to be there.
    pub(super) fn check_for_loss(
        &mut self,
        first: Option<&SdkRecord>,
        is_all: bool,
    ) -> Result<Option<RecordPosition>, ConsumerError> {
        let Some(after) = self.expected.filter(|_| first.is_some() || is_all) else { return Ok(None) };
        self.expected = None;
        let first_seen = first.map(|record| sequence_number(&self.id, record)).transpose()?;
        if first_seen == Some(after.sequence_number) {
            return Ok(Some(after));
        }
        self.report_loss(Some(after), first).map(|()| None)
    }

    /// Tells what may be lost in front of `first`; an error where the policy is to fail.
    pub(super) fn report_loss(
        &self,
        after: Option<RecordPosition>,
        first: Option<&SdkRecord>,
    ) -> Result<(), ConsumerError> {
        let first_seen: Option<SequenceNumber> = first.map(|record| sequence_number(&self.id, record)).transpose()?;
        let first_seen = first_seen.map(|number| RecordPosition::new(number, 0));
        let shard = self.id.clone();
        let loss = PossibleLoss { shard, after, first_seen, first_seen_at: first.and_then(arrival) };
        (self.shared.listener)(&ConsumerEvent::PossibleLoss(loss.clone()));
        match self.shared.settings.loss {
            LossPolicy::Fail => Err(ConsumerError::PossibleLoss(Box::new(loss))),
            LossPolicy::Continue => Ok(()),
        }
    }

    /// Hands the records on in batches.
    ///
    /// Records that have to wait for other shards do so here, for as long as nobody wants their memory: else shards that
    /// wait could keep those that they wait for from being read.
    pub(super) async fn deliver(
        &mut self,
        records: Vec<SdkRecord>,
        behind_latest: Option<Duration>,
        memory: OwnedSemaphorePermit,
    ) -> Result<Delivered, ConsumerError> {
        let memory = Arc::new(memory);
        let bytes = records.iter().map(record_bytes).sum();
        self.meter.fetched(records.len(), bytes);
        let mut user_records = 0;
        self.is_past_tip |= !records.is_empty();
        let (last_arrival, latest) = (records.last().and_then(arrival), records.iter().filter_map(arrival).max());
        self.expander.begin(records);
        loop {
            let chunk = match self.expander.next_chunk(&self.position)? {
                Next::Chunk(chunk) => chunk,
                Next::Over => {
                    // Not before: what is given back below was not read, and retention may take it.
                    self.last_arrival = last_arrival.or(self.last_arrival);
                    self.retention.read(latest);
                    self.meter.exhausted(bytes, user_records);
                    return Ok(Delivered::All { user_records });
                }
                Next::Held(until) => {
                    let shared = Arc::clone(&self.shared);
                    tokio::select! {
                        biased;
                        is_heard = self.wait_for_others(until) => if !is_heard { return Ok(Delivered::Stopped) },
                        () = shared.memory.wanted() => {
                            drop(memory);
                            self.expander.begin(Vec::new());
                            let is_heard = self.wait_for_others(until).await;
                            return Ok(if is_heard { Delivered::Part { user_records } } else { Delivered::Stopped });
                        }
                    }
                    continue;
                }
            };
            let Chunk { items, position, user_records: count, watermark } = chunk;
            user_records += count;
            self.position.delivered(position);
            let (shard, _memory) = (self.id.clone(), Arc::clone(&memory));
            let delivery = Delivery { shard, items, position, behind_latest, watermark, _memory };
            if self.out.send(FromReader::Batch(delivery)).await.is_err() {
                return Ok(Delivered::Stopped);
            }
            self.meter.delivered(count);
        }
    }

    /// Says that the shard waits for others, and waits until it may come to `watermark`; whether somebody listens.
    async fn wait_for_others(&mut self, watermark: SystemTime) -> bool {
        if self.out.send(FromReader::Held { shard: self.id.clone(), watermark }).await.is_err() {
            return false;
        }
        tokio::select! {
            biased;
            () = self.expander.allowed(watermark) => true,
            () = self.out.closed() => false,
        }
    }

    /// A reply or an event came.
    pub(super) fn replied(&self, behind_latest: Option<Duration>) {
        self.place.replied(behind_latest, Instant::now());
        self.meter.replied(behind_latest);
    }

    /// Says that another subscription took the shard over; whether somebody listens.
    pub(super) fn tell_taken_over(&self) -> impl Future<Output = bool> + Send + use<S> {
        let (out, shard) = (self.out.clone(), self.id.clone());
        async move { out.send(FromReader::TakenOver { shard }).await.is_ok() }
    }

    /// Says that the shard was empty at its tip, now and then, and when the job waits for it; whether somebody listens.
    ///
    /// It was so after `asked_at`, and at or after `served_at` by the service's clock.
    pub(super) async fn tell_tip(&mut self, asked_at: Instant, served_at: Option<SystemTime>) -> bool {
        let (drain, now) = (self.shared.control.borrow().drain, Instant::now());
        let waited_for =
            drain.is_some_and(|since| asked_at >= since && self.told_tip.is_none_or(|(told, _)| told < since));
        let due =
            self.told_tip.is_none_or(|(_, at)| now.saturating_duration_since(at) >= self.shared.settings.tip_interval);
        // The watermark waits for a shard until it is known to be at its tip again.
        let counts = self.is_past_tip && self.expander.keeps_time();
        if !due && !waited_for && !counts {
            return true;
        }
        let stands_still = self.shared.settings.mutant == Some(Mutant::IdleStandsStill);
        let served_at = self.tip_clock(asked_at, served_at).filter(|_| !stands_still);
        self.told_tip = Some((asked_at, now));
        self.is_past_tip = false;
        if let Some(served_at) = served_at {
            self.position.caught_up(served_at, self.last_arrival);
        }
        let (shard, last_arrival) = (self.id.clone(), self.last_arrival);
        self.out.send(FromReader::AtTip { shard, asked_at, served_at, last_arrival }).await.is_ok()
    }

    /// The service's clock at a tip, as far as the reply before bears it out.
    ///
    /// By the service's clock alone: a time of ours that is ahead of it would skip what arrives until then. And never by
    /// one reply alone: where the clock of a single host is ahead, the same would happen.
    fn tip_clock(&mut self, asked_at: Instant, served_at: Option<SystemTime>) -> Option<SystemTime> {
        let served_at = served_at?;
        let before = std::mem::replace(&mut self.tip_clock, ServiceClock { served_at, at: asked_at });
        Some(served_at.min(before.time(asked_at)))
    }
}

fn is_about_a_missing_shard(error: &ConsumerError) -> bool {
    matches!(error, ConsumerError::Request(error) if error.kind() == RequestErrorKind::NotFound)
}
