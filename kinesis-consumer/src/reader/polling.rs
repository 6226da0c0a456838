//! Reads a shard by GetRecords.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use aws_sdk_kinesis::operation::get_records::GetRecordsOutput;
use aws_sdk_kinesis::types::Record as SdkRecord;
use kinesis_core::{
    GetRecordsReply, IteratorStart, RandomStream, RecordPosition, RequestError, RequestErrorKind, SequenceNumber, retry,
};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;

use super::expand::{Chunk, Expander, arrival, sequence_number};
use super::patience::Patience;
use super::{LossPolicy, ReaderShared, Reservation};
use crate::engine::messages::{Delivery, FromReader, StartShard};
use crate::error::{ConsumerError, PossibleLoss};
use crate::events::ConsumerEvent;
use crate::pacing::Pacer;
use crate::position::ShardPosition;
use crate::record::StreamShard;
use crate::schema::Schema;
use crate::service_clock::ServiceClock;
use crate::status::ShardPlace;

mod retention;

use retention::{Exposure, RetentionWatch};

/// The most that one reply holds (API reference, GetRecords).
const MAX_REPLY_BYTES: usize = 10 * 1024 * 1024;
/// How long it counts that the last record was seen in its place, where nothing came behind it.
const PROOF_LASTS: Duration = Duration::from_secs(60);

/// What a record takes in memory beside its data and key: the record of the SDK, its texts, and its allocations.
const RECORD_OVERHEAD_BYTES: usize = size_of::<SdkRecord>() + 128;

/// What a record takes of the service's limits: data and partition key.
fn record_bytes(record: &SdkRecord) -> usize {
    record.data.as_ref().len() + record.partition_key.as_ref().map_or(0, String::len)
}

/// How far behind the tip of the shard a reply is.
fn behind_latest(reply: &GetRecordsOutput) -> Option<Duration> {
    reply.millis_behind_latest.and_then(|millis| u64::try_from(millis).ok()).map(Duration::from_millis)
}

fn is_about_a_missing_shard(error: &ConsumerError) -> bool {
    matches!(error, ConsumerError::Request(error) if error.kind() == RequestErrorKind::NotFound)
}

enum Next {
    Poll,
    ShardEnded,
    /// Nobody listens any more.
    Stopped,
}

/// What one attempt of a read came to, where it is not an error.
enum Attempt {
    Reply(Box<GetRecordsReply>, OwnedSemaphorePermit, Duration),
    Throttled(RequestError),
    /// Others wanted the memory that it held for too long.
    GaveUp,
    Stopped,
}

/// What a read came to.
enum Fetched {
    Reply(Box<GetRecordsReply>, OwnedSemaphorePermit),
    /// The call has to be made again later.
    Later,
    /// Nobody listens any more.
    Stopped,
}

/// Reads one shard to its end, handing batches to its subtask.
///
/// It waits for room in the subtask's queue and in the memory budget before it asks for more.
pub(crate) struct PollingReader<S: Schema> {
    shared: Arc<ReaderShared<S>>,
    id: StreamShard,
    expander: Expander<S>,
    /// How far was read; what was delivered is at most as far.
    position: ShardPosition,
    last_arrival: Option<SystemTime>,
    iterator: Option<String>,
    /// The record that an iterator begins with, unless retention has removed it.
    expected: Option<RecordPosition>,
    retention: RetentionWatch,
    /// The record that last came back as expected, and when.
    proven: Option<(RecordPosition, Instant)>,
    pacer: Pacer,
    patience: Patience,
    random: RandomStream,
    throttles: u32,
    told_tip: Option<Instant>,
    /// Nothing more of the shard is wanted: what is left of it is lost.
    abandoned: Arc<AtomicBool>,
    place: ShardPlace,
    /// The service's clock at the tip that was told last, or when the job began.
    tip_clock: ServiceClock,
    out: mpsc::Sender<FromReader<S::Item>>,
}

impl<S: Schema> PollingReader<S> {
    pub(crate) fn new(
        shared: Arc<ReaderShared<S>>,
        start: &StartShard,
        abandoned: Arc<AtomicBool>,
        out: mpsc::Sender<FromReader<S::Item>>,
    ) -> Self {
        let range = start.shard.hash_key_range;
        Self {
            expander: Expander::new(&shared, start.id.clone(), range),
            pacer: Pacer::new(shared.settings.pacing),
            patience: Patience::new(),
            random: shared.randomness.stream(&format!("reader/{}", start.id)),
            id: start.id.clone(),
            position: start.position,
            last_arrival: None,
            iterator: None,
            expected: None,
            retention: RetentionWatch::new(start.position.not_before(), shared.clock.now()),
            proven: None,
            throttles: 0,
            told_tip: None,
            abandoned,
            place: shared.board.place(&start.id, Instant::now()),
            tip_clock: start.clock,
            shared,
            out,
        }
    }

    /// Reads until the shard ends or is abandoned, an error cannot be retried, or nobody listens.
    pub(crate) async fn run(mut self) {
        loop {
            let next = if self.is_abandoned() { Ok(Next::ShardEnded) } else { self.cycle().await };
            let shard = self.id.clone();
            let message = match next {
                Ok(Next::Poll) => continue,
                Ok(Next::Stopped) => return,
                Ok(Next::ShardEnded) => FromReader::Ended { shard },
                Err(_) if self.is_abandoned() => FromReader::Ended { shard },
                Err(error) if is_about_a_missing_shard(&error) => FromReader::Vanished { shard, error },
                Err(error) => FromReader::Failed(error),
            };
            // A closed channel means that the job is over already.
            let _ = self.out.send(message).await;
            return;
        }
    }

    fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed)
    }

    async fn cycle(&mut self) -> Result<Next, ConsumerError> {
        tokio::time::sleep_until(self.pacer.next_call(Instant::now())).await;
        let Some(iterator) = self.iterator().await? else {
            return Ok(Next::Poll);
        };
        let called = Instant::now();
        let (reply, served_at, mut memory) = match self.fetch(&iterator).await? {
            Fetched::Reply(reply, memory) => (reply.output, reply.served_at, memory),
            Fetched::Later => return Ok(Next::Poll),
            Fetched::Stopped => return Ok(Next::Stopped),
        };
        self.place.replied(behind_latest(&reply), Instant::now());
        let bytes = reply.records.iter().map(record_bytes).sum();
        self.shared.memory.shrink(&mut memory, bytes + reply.records.len() * RECORD_OVERHEAD_BYTES);
        let dated = served_at.unwrap_or_else(|| self.shared.clock.now());
        let exposure = self.exposure(dated).await?;
        if !self.is_gapless(exposure, &reply, dated)? {
            self.pacer.on_reply(called, Instant::now(), bytes, 0);
            return Ok(Next::Poll);
        }
        let ended = reply.next_shard_iterator.is_none();
        self.iterator.clone_from(&reply.next_shard_iterator);
        let at_tip = reply.records.is_empty() && reply.millis_behind_latest == Some(0);
        let before = self.position.last();
        let behind_latest = behind_latest(&reply);
        let (user_records, alive) = self.deliver(reply.records, behind_latest, memory).await?;
        self.pacer.on_reply(called, Instant::now(), bytes, user_records);
        if at_tip {
            self.retention.at_tip(dated);
        }
        if !alive || at_tip && !self.tell_tip(called, served_at).await {
            return Ok(Next::Stopped);
        }
        if exposure != Exposure::None && self.position.last() != before {
            // So close to retention every reply has to begin with the last record of the one before.
            self.iterator = None;
        }
        Ok(if ended { Next::ShardEnded } else { Next::Poll })
    }

    /// How close retention is to what was read last.
    ///
    /// A consumer that is less than a day behind makes no call for it. The reply is kept meanwhile: it was paid for.
    async fn exposure(&mut self, served_at: SystemTime) -> Result<Exposure, ConsumerError> {
        let exposure = self.retention.exposure(Instant::now(), self.shared.clock.now(), served_at);
        if exposure != Exposure::Unknown {
            return Ok(exposure);
        }
        let (retentions, client) = (&self.shared.retentions, &self.shared.client);
        let known = retentions.get(client, &self.id.stream, &mut self.random).await.map_err(ConsumerError::Request)?;
        self.retention.looked_up(known);
        Ok(self.retention.exposure(Instant::now(), self.shared.clock.now(), served_at))
    }

    /// Whether the reply goes on where the last one ended; else it is to be read again, from the last record on.
    ///
    /// A gap that is there to stay is reported, and the reply then goes on behind it.
    fn is_gapless(
        &mut self,
        exposure: Exposure,
        reply: &GetRecordsOutput,
        served_at: SystemTime,
    ) -> Result<bool, ConsumerError> {
        if self.expected.is_some() {
            return self.check_for_loss(reply).map(|()| true);
        }
        let Exposure::Near { passed } = exposure else { return Ok(true) };
        match self.position.resume() {
            IteratorStart::AtSequenceNumber(_) => {
                let since = |(position, at): (RecordPosition, Instant)| {
                    (Some(position) == self.position.last()).then(|| at.elapsed())
                };
                let proven = self.proven.and_then(since).is_some_and(|elapsed| elapsed < PROOF_LASTS);
                if !proven {
                    self.iterator = None;
                }
                Ok(proven)
            }
            IteratorStart::AtTimestamp(_) | IteratorStart::TrimHorizon if passed => {
                self.retention.reported(served_at);
                self.report_loss(self.position.last(), reply).map(|()| true)
            }
            // What the iterator began with is not that old, or was gone before it was asked for.
            _ => Ok(true),
        }
    }

    /// An iterator to read on with; nothing where it has to be asked for again later.
    async fn iterator(&mut self) -> Result<Option<String>, ConsumerError> {
        if let Some(iterator) = &self.iterator {
            return Ok(Some(iterator.clone()));
        }
        let start = self.position.resume();
        self.expected = self.position.last().filter(|_| matches!(start, IteratorStart::AtSequenceNumber(_)));
        let (client, id) = (&self.shared.client, &self.id);
        let policy = self.shared.settings.get_iterator;
        let given = retry(policy, &mut self.random, || client.get_shard_iterator(&id.stream, &id.shard, start)).await;
        match given {
            Ok(iterator) => self.iterator = Some(iterator),
            // As with a read: it says nothing about the job.
            Err(error) if error.is_throttle() => self.pause(&error),
            Err(error) => return Err(ConsumerError::Request(error)),
        }
        Ok(self.iterator.clone())
    }

    /// One reply, with the memory that it was given room in.
    ///
    /// Room and a slot are held while a call is on its way, and not while the next attempt is waited for; nor, where
    /// others wait for the room, by a call that takes longer than replies do. A throttle pauses this shard alone, for as
    /// long as it takes: it says nothing about the job.
    async fn fetch(&mut self, iterator: &str) -> Result<Fetched, ConsumerError> {
        let shared = Arc::clone(&self.shared);
        let (client, id) = (&shared.client, &self.id);
        let policy = shared.settings.get_records;
        let (limit, patience) = (self.pacer.max_records(), self.patience.duration());
        let result = retry(policy, &mut self.random, || async {
            let Some(reservation) = shared.memory.reserve(MAX_REPLY_BYTES).await else { return Ok(Attempt::Stopped) };
            let Reservation { memory, slot: _slot } = reservation;
            let called = Instant::now();
            let call = client.get_records(&id.stream, &id.shard, iterator, limit);
            let is_wanted = async {
                tokio::time::sleep(patience).await;
                shared.memory.wanted().await;
            };
            let result = tokio::select! {
                biased;
                result = call => result,
                () = is_wanted => return Ok(Attempt::GaveUp),
            };
            match result {
                Err(error) if error.is_throttle() => Ok(Attempt::Throttled(error)),
                result => result.map(|reply| Attempt::Reply(Box::new(reply), memory, called.elapsed())),
            }
        })
        .await;
        match result {
            Ok(Attempt::Reply(reply, memory, elapsed)) => {
                self.throttles = 0;
                self.patience.replied(elapsed);
                Ok(Fetched::Reply(reply, memory))
            }
            Ok(Attempt::Throttled(throttle)) => {
                self.pause(&throttle);
                Ok(Fetched::Later)
            }
            Ok(Attempt::GaveUp) => {
                tracing::debug!(shard = %self.id, ?patience, "a call was given up: others wait for its memory");
                self.patience.gave_up();
                Ok(Fetched::Later)
            }
            Ok(Attempt::Stopped) => Ok(Fetched::Stopped),
            Err(error) if error.kind() == RequestErrorKind::ExpiredIterator => {
                self.iterator = None;
                Ok(Fetched::Later)
            }
            Err(error) => Err(ConsumerError::Request(error)),
        }
    }

    fn pause(&mut self, throttle: &RequestError) {
        let backoff = self.shared.settings.get_records.backoff;
        let delay = backoff.delay(self.throttles, &mut self.random);
        self.throttles = self.throttles.saturating_add(1);
        self.pacer.on_throttle(Instant::now(), delay);
        tracing::debug!(shard = %self.id, %throttle, ?delay, "throttled");
    }

    /// Sees to it that the record read last before comes back first, which proves that nothing after it is gone.
    fn check_for_loss(&mut self, reply: &GetRecordsOutput) -> Result<(), ConsumerError> {
        let Some(after) = self.expected else { return Ok(()) };
        let first = reply.records.first();
        // An empty reply says nothing yet, unless it is from the tip or the end of the shard.
        let decided = first.is_some() || reply.next_shard_iterator.is_none() || reply.millis_behind_latest == Some(0);
        if !decided {
            return Ok(());
        }
        self.expected = None;
        let first_seen = first.map(|record| sequence_number(&self.id, record)).transpose()?;
        if first_seen == Some(after.sequence_number) {
            self.proven = Some((after, Instant::now()));
            return Ok(());
        }
        self.report_loss(Some(after), reply)
    }

    /// Tells what may be lost; an error where the policy is to fail.
    fn report_loss(&self, after: Option<RecordPosition>, reply: &GetRecordsOutput) -> Result<(), ConsumerError> {
        let first = reply.records.first();
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

    /// Hands the records on in batches; returns how many user records they held, and whether somebody listens.
    async fn deliver(
        &mut self,
        records: Vec<SdkRecord>,
        behind_latest: Option<Duration>,
        memory: OwnedSemaphorePermit,
    ) -> Result<(usize, bool), ConsumerError> {
        let memory = Arc::new(memory);
        let mut user_records = 0;
        self.last_arrival = records.last().and_then(arrival).or(self.last_arrival);
        self.retention.read(records.iter().filter_map(arrival).max());
        self.expander.begin(records);
        while let Some(Chunk { items, position, user_records: count }) = self.expander.next_chunk(&self.position)? {
            user_records += count;
            self.position.delivered(position);
            let (shard, _memory) = (self.id.clone(), Arc::clone(&memory));
            let delivery = Delivery { shard, items, position, behind_latest, _memory };
            if self.out.send(FromReader::Batch(delivery)).await.is_err() {
                return Ok((user_records, false));
            }
        }
        Ok((user_records, true))
    }

    /// Says that the shard was empty at its tip, now and then, and when the job waits for it; whether somebody listens.
    async fn tell_tip(&mut self, asked_at: Instant, served_at: Option<SystemTime>) -> bool {
        let drain = self.shared.control.borrow().drain;
        let waited_for = drain.is_some_and(|since| asked_at >= since && self.told_tip.is_none_or(|told| told < since));
        let due = self.told_tip.is_none_or(|told| asked_at - told >= self.shared.settings.tip_interval);
        if !due && !waited_for {
            return true;
        }
        let served_at = self.tip_clock(asked_at, served_at);
        self.told_tip = Some(asked_at);
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
