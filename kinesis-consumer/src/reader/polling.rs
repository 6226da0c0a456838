//! Reads a shard by GetRecords.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use aws_sdk_kinesis::operation::get_records::GetRecordsOutput;
use kinesis_core::{
    GetRecordsReply, IteratorStart, RandomStream, RecordPosition, RequestError, RequestErrorKind, retry,
};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;

use super::outlet::{Delivered, Ended, Outlet, record_bytes, resident_bytes};
use super::patience::Patience;
use super::retention_watch::Exposure;
use super::{ReaderShared, Reservation};
use crate::engine::messages::{FromReader, StartShard};
use crate::error::ConsumerError;
use crate::metrics::PollMeter;
use crate::mutants::Mutant;
use crate::pacing::Pacer;
use crate::position::ShardPosition;
use crate::schema::Schema;

/// The most that one reply holds (API reference, GetRecords).
const MAX_REPLY_BYTES: usize = 10 * 1024 * 1024;
/// How long it counts that the last record was seen in its place, where nothing came behind it.
const PROOF_LASTS: Duration = Duration::from_secs(60);

/// How far behind the tip of the shard a reply is.
fn behind_latest(reply: &GetRecordsOutput) -> Option<Duration> {
    reply.millis_behind_latest.and_then(|millis| u64::try_from(millis).ok()).map(Duration::from_millis)
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
    outlet: Outlet<S>,
    iterator: Option<String>,
    /// The record that last came back as expected, and when.
    proven: Option<(RecordPosition, Instant)>,
    pacer: Pacer,
    patience: Patience,
    random: RandomStream,
    throttles: u32,
    /// Whether what was read last had to wait for other shards and to give its memory back: the next read asks for no more
    /// than may wait.
    is_held_back: bool,
    meter: PollMeter,
    /// Where it began, for a deliberate fault.
    began: ShardPosition,
}

impl<S: Schema> PollingReader<S> {
    pub(crate) fn new(
        shared: Arc<ReaderShared<S>>,
        start: &StartShard,
        abandoned: Arc<AtomicBool>,
        out: mpsc::Sender<FromReader<S::Item>>,
    ) -> Self {
        Self {
            meter: PollMeter::new(shared.meter.job(), &start.id),
            pacer: Pacer::new(shared.settings.pacing),
            patience: Patience::new(),
            random: shared.randomness.stream(&format!("reader/{}", start.id)),
            outlet: Outlet::new(shared, start, abandoned, out),
            iterator: None,
            proven: None,
            throttles: 0,
            is_held_back: false,
            began: start.position,
        }
    }

    /// Reads until the shard ends or is abandoned, an error cannot be retried, or nobody listens.
    pub(crate) async fn run(mut self) {
        let ended = loop {
            if self.outlet.is_abandoned() {
                break Ended::Shard;
            }
            match self.cycle().await {
                Ok(Next::Poll) => {}
                Ok(Next::Stopped) => return,
                Ok(Next::ShardEnded) => break Ended::Shard,
                Err(error) => break Ended::Failed(error),
            }
        };
        self.outlet.end(ended).await;
    }

    async fn cycle(&mut self) -> Result<Next, ConsumerError> {
        let before = Instant::now();
        tokio::time::sleep_until(self.pacer.next_call(before)).await;
        let slept = before.elapsed();
        let Some(iterator) = self.iterator().await? else {
            return Ok(Next::Poll);
        };
        let called = Instant::now();
        let bytes_per_second = self.outlet.shared.settings.pacing.bytes_per_second;
        self.meter.calling(called, slept, self.max_records(), bytes_per_second);
        let (reply, served_at, mut memory) = match self.fetch(&iterator).await? {
            Fetched::Reply(reply, memory) => (reply.output, reply.served_at, memory),
            Fetched::Later => return Ok(Next::Poll),
            Fetched::Stopped => return Ok(Next::Stopped),
        };
        self.outlet.replied(behind_latest(&reply));
        let bytes = reply.records.iter().map(record_bytes).sum();
        self.outlet.shared.memory.shrink(&mut memory, resident_bytes(&reply.records));
        let dated = served_at.unwrap_or_else(|| self.outlet.shared.clock.now());
        let exposure = self.outlet.exposure(dated, &mut self.random).await?;
        if !self.is_gapless(exposure, &reply, dated)? {
            self.pacer.on_reply(called, Instant::now(), bytes, 0);
            return Ok(Next::Poll);
        }
        let ended = reply.next_shard_iterator.is_none();
        self.iterator.clone_from(&reply.next_shard_iterator);
        let at_tip = reply.records.is_empty() && reply.millis_behind_latest == Some(0);
        let before = self.outlet.position.last();
        let behind_latest = behind_latest(&reply);
        let user_records = match self.outlet.deliver(reply.records, behind_latest, memory).await? {
            Delivered::All { user_records } => user_records,
            Delivered::Part { user_records } => {
                self.pacer.on_reply(called, Instant::now(), bytes, user_records);
                (self.iterator, self.is_held_back) = (None, true);
                return Ok(Next::Poll);
            }
            Delivered::Stopped => return Ok(Next::Stopped),
        };
        self.is_held_back = false;
        self.meter.done(Instant::now());
        self.pacer.on_reply(called, Instant::now(), bytes, user_records);
        if at_tip {
            self.outlet.retention.at_tip(dated);
            if !self.outlet.tell_tip(called, served_at).await {
                return Ok(Next::Stopped);
            }
        }
        if exposure != Exposure::None && self.outlet.position.last() != before {
            // So close to retention every reply has to begin with the last record of the one before.
            self.iterator = None;
        }
        Ok(if ended { Next::ShardEnded } else { Next::Poll })
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
        if self.outlet.expected.is_some() {
            // An empty reply says nothing yet, unless it is from the tip or the end of the shard.
            let is_all = reply.next_shard_iterator.is_none() || reply.millis_behind_latest == Some(0);
            let proven = self.outlet.check_for_loss(reply.records.first(), is_all)?;
            self.proven = proven.map(|position| (position, Instant::now())).or(self.proven);
            return Ok(true);
        }
        let Exposure::Near { passed } = exposure else { return Ok(true) };
        match self.outlet.position.resume() {
            IteratorStart::AtSequenceNumber(_) => {
                let since = |(position, at): (RecordPosition, Instant)| {
                    (Some(position) == self.outlet.position.last()).then(|| at.elapsed())
                };
                let proven = self.proven.and_then(since).is_some_and(|elapsed| elapsed < PROOF_LASTS);
                if !proven {
                    self.iterator = None;
                }
                Ok(proven)
            }
            IteratorStart::AtTimestamp(_) | IteratorStart::TrimHorizon if passed => {
                self.outlet.retention.reported(served_at);
                self.outlet.report_loss(self.outlet.position.last(), reply.records.first()).map(|()| true)
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
        let start = self.outlet.resume();
        let (service, id) = (&self.outlet.shared.service, &self.outlet.id);
        let policy = self.outlet.shared.settings.get_iterator;
        let given = retry(policy, &mut self.random, || service.get_shard_iterator(&id.stream, &id.shard, start)).await;
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
        let shared = Arc::clone(&self.outlet.shared);
        let (service, id) = (&shared.service, &self.outlet.id);
        let policy = shared.settings.get_records;
        let (limit, patience) = (self.max_records(), self.patience.duration());
        let result = retry(policy, &mut self.random, || async {
            let Some(reservation) = shared.memory.reserve(MAX_REPLY_BYTES).await else { return Ok(Attempt::Stopped) };
            let Reservation { memory, slot: _slot } = reservation;
            let called = Instant::now();
            let call = service.get_records(&id.stream, &id.shard, iterator, limit);
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
                tracing::debug!(shard = %self.outlet.id, ?patience, "a call was given up: others wait for its memory");
                self.patience.gave_up();
                Ok(Fetched::Later)
            }
            Ok(Attempt::Stopped) => Ok(Fetched::Stopped),
            Err(error) if matches!(error.kind(), RequestErrorKind::ExpiredIterator | RequestErrorKind::Trimmed) => {
                self.iterator = None;
                if shared.settings.mutant == Some(Mutant::ExpiredIteratorFromStart) {
                    self.outlet.position = self.began;
                }
                Ok(Fetched::Later)
            }
            Err(error) => Err(ConsumerError::Request(error)),
        }
    }

    fn max_records(&self) -> u32 {
        let most = if self.is_held_back { self.outlet.shared.settings.waiting_records } else { u32::MAX };
        self.pacer.max_records().min(most)
    }

    fn pause(&mut self, throttle: &RequestError) {
        let backoff = self.outlet.shared.settings.get_records.backoff;
        let delay = backoff.delay(self.throttles, &mut self.random);
        self.throttles = self.throttles.saturating_add(1);
        self.outlet.meter.throttled();
        self.pacer.on_throttle(Instant::now(), delay);
        tracing::debug!(shard = %self.outlet.id, %throttle, ?delay, "throttled");
    }
}
