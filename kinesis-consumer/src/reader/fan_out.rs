//! Reads a shard by SubscribeToShard.

use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use aws_sdk_kinesis::types::{Record as SdkRecord, SubscribeToShardEvent};
use kinesis_core::{IteratorStart, RandomStream, RequestError, RequestErrorKind, SequenceNumber, ShardSubscription};
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use self::schedule::{Outcome, Schedule};
use super::ReaderShared;
use super::outlet::{Delivered, Ended, Outlet, resident_bytes};
use super::retention_watch::Exposure;
use crate::control::Control;
use crate::engine::messages::{FromReader, StartShard};
use crate::error::ConsumerError;
use crate::fan_out::FanOut;
use crate::mutants::Mutant;
use crate::record::StreamShard;
use crate::schema::Schema;
use crate::service_clock::ServiceClock;

mod proof;
mod schedule;

/// After how long without an event a subscription counts as dead; an event comes every few seconds also where there are
/// no records (KCL and Flink have 35 s). Time in which nobody waits for an event does not count.
const SILENCE: Duration = Duration::from_secs(35);
/// For how long events may wait for room, downstream or in the memory budget, before the subscription is left: what is
/// parked holds a share of its connection.
const PARKED: Duration = Duration::from_secs(5);

enum Next {
    Subscribe,
    ShardEnded,
    /// Nobody listens any more.
    Stopped,
}

/// What reading from a subscription came to.
type Read = ControlFlow<Result<Next, Outcome>>;

/// A subscription as it is read.
struct Reading {
    subscription: ShardSubscription,
    renew_at: Instant,
}

/// Reads one shard to its end, handing batches to its subtask.
///
/// A subscription is either read or left, and never parked: it is left when its events find no room for some seconds, and
/// begun again, behind the last event that did, once they do.
pub(crate) struct FanOutReader<S: Schema> {
    outlet: Outlet<S>,
    consumer: Arc<str>,
    schedule: Schedule,
    random: RandomStream,
    control: watch::Receiver<Control>,
    /// How long no event may come.
    silence: Duration,
    /// Where the events of this run have come to: on an idle shard further than its last record.
    continuation: Option<SequenceNumber>,
    /// What the event that found no room needs.
    wanted_bytes: usize,
}

impl<S: Schema> FanOutReader<S> {
    pub(crate) fn new(
        shared: Arc<ReaderShared<S>>,
        fan_out: &FanOut,
        start: &StartShard,
        abandoned: Arc<AtomicBool>,
        out: mpsc::Sender<FromReader<S::Item>>,
    ) -> Self {
        Self {
            consumer: fan_out
                .consumer(&start.id.stream)
                .expect("invariant: a stream's consumer is registered before its shards begin"),
            schedule: Schedule::new(fan_out.config.subscribe_retry),
            silence: if shared.settings.mutant == Some(Mutant::WaitForSilence) {
                Duration::from_secs(3600)
            } else {
                SILENCE.min(fan_out.config.read_timeout)
            },
            random: shared.randomness.stream(&format!("reader/{}", start.id)),
            control: shared.control.clone(),
            outlet: Outlet::new(shared, start, abandoned, out),
            continuation: None,
            wanted_bytes: 0,
        }
    }

    /// Reads until the shard ends or is abandoned, an error cannot be retried, or nobody listens.
    pub(crate) async fn run(mut self) {
        let ended = loop {
            if self.outlet.is_abandoned() {
                break Ended::Shard;
            }
            match self.cycle().await {
                Ok(Next::Subscribe) => {}
                Ok(Next::Stopped) => return,
                Ok(Next::ShardEnded) => break Ended::Shard,
                Err(error) => break Ended::Failed(error),
            }
        };
        self.outlet.end(ended).await;
    }

    /// One subscription, from the wait for it to its end.
    async fn cycle(&mut self) -> Result<Next, ConsumerError> {
        sleep_until(self.schedule.next_call(Instant::now())).await;
        let shared = Arc::clone(&self.outlet.shared);
        let Some(fan_out) = &shared.fan_out else { return Ok(Next::Stopped) };
        // Before the place among the subscriptions, or a full sink would keep those of others.
        let Some(memory) = shared.memory.room(self.wanted_bytes).await else { return Ok(Next::Stopped) };
        let Some(_slot) = fan_out.admit().await else { return Ok(Next::Stopped) };
        let start = self.start();
        let called = Instant::now();
        let (id, limit) = (&self.outlet.id, fan_out.config.subscribe_timeout);
        let calling = fan_out.client.subscribe_to_shard(&self.consumer, &id.stream, &id.shard, start, limit);
        let subscribed = calling.await;
        self.schedule.called(Instant::now());
        let outcome = match subscribed {
            Ok(subscription) => match self.read(subscription, called, memory).await? {
                Ok(next) => return Ok(next),
                Err(outcome) => outcome,
            },
            Err(error) if error.kind() == RequestErrorKind::InvalidArgument && self.continuation.take().is_some() => {
                // It may be older than what is kept; whether anything is lost, the last record will tell.
                tracing::debug!(shard = %self.outlet.id, %error, "subscribing from the last record");
                return Ok(Next::Subscribe);
            }
            Err(error) => Outcome::Failed(error),
        };
        if matches!(&outcome, Outcome::Failed(error) if error.is_throttle()) {
            self.outlet.meter.throttled();
        }
        if outcome.is_in_use() && shared.settings.mutant == Some(Mutant::StopWhenInUse) {
            std::future::pending::<()>().await;
        }
        if matches!(outcome, Outcome::TakenOver) && !self.outlet.tell_taken_over().await {
            return Ok(Next::Stopped);
        }
        tracing::debug!(shard = %self.outlet.id, ?outcome, "a subscription is over");
        self.schedule.ended(Instant::now(), outcome, &mut self.random).map_err(ConsumerError::Request)?;
        Ok(Next::Subscribe)
    }

    /// Where to go on: behind the last event of this run, else where the position says.
    fn start(&mut self) -> IteratorStart {
        match self.continuation {
            Some(number) => IteratorStart::AfterSequenceNumber(number),
            None => self.outlet.resume(),
        }
    }

    /// Reads a subscription to its end.
    ///
    /// Its receiver is polled to the end of every event, or dropped: an event that is cut in two cannot be read on.
    async fn read(
        &mut self,
        subscription: ShardSubscription,
        called: Instant,
        memory: OwnedSemaphorePermit,
    ) -> Result<Result<Next, Outcome>, ConsumerError> {
        self.outlet.meter.subscribed();
        let served_at = subscription.served_at().unwrap_or_else(|| self.outlet.shared.clock.now());
        let renew_at = self.schedule.begun(Instant::now(), &mut self.random);
        // What it showed when the call for it was made, at the latest.
        let clock = ServiceClock { served_at, at: called };
        let mut reading = Some(Reading { subscription, renew_at });
        let mut memory = Some(memory).filter(|_| self.wanted_bytes > 0);
        while let Some(current) = &mut reading {
            let (silence, control) = (self.silence, self.control.clone());
            let event = match next_event(current, called, silence, control, &self.outlet.id).await {
                ControlFlow::Continue(event) => event,
                ControlFlow::Break(outcome) => return Ok(Err(outcome)),
            };
            self.schedule.event();
            if let ControlFlow::Break(end) = self.take(event, &mut reading, &mut memory, clock).await? {
                return Ok(end);
            }
            if self.outlet.is_abandoned() {
                return Ok(Ok(Next::ShardEnded));
            }
        }
        Ok(Err(Outcome::Left))
    }

    /// Takes an event in; the subscription is dropped where its records wait for too long.
    async fn take(
        &mut self,
        event: SubscribeToShardEvent,
        reading: &mut Option<Reading>,
        memory: &mut Option<OwnedSemaphorePermit>,
        clock: ServiceClock,
    ) -> Result<Read, ConsumerError> {
        let SubscribeToShardEvent { records, continuation_sequence_number, millis_behind_latest, child_shards, .. } =
            event;
        let behind = u64::try_from(millis_behind_latest).ok().map(Duration::from_millis);
        // It names the children in the event that ends the shard, and in no other (API reference, SubscribeToShardEvent).
        let is_last = child_shards.is_some_and(|children| !children.is_empty());
        self.outlet.replied(behind);
        self.check(&records, millis_behind_latest == 0 || is_last, clock.time(Instant::now())).await?;
        let is_empty = records.is_empty();
        if !is_empty {
            let Some(room) = self.room(resident_bytes(&records), memory.take()).await else {
                return Ok(ControlFlow::Break(Err(Outcome::Left)));
            };
            match self.deliver(records, behind, room, reading).await? {
                Delivered::All { .. } => {}
                Delivered::Part { .. } => {
                    self.continuation = None;
                    return Ok(ControlFlow::Break(Err(Outcome::Left)));
                }
                Delivered::Stopped => return Ok(ControlFlow::Break(Ok(Next::Stopped))),
            }
        }
        memory.take();
        self.continuation = continuation_sequence_number.parse().ok().or(self.continuation);
        if is_last {
            return Ok(ControlFlow::Break(Ok(Next::ShardEnded)));
        }
        if is_empty && millis_behind_latest == 0 {
            // The event may have been on its way for long: what is certain is that it was sent after the call.
            self.outlet.retention.at_tip(clock.served_at);
            if !self.outlet.tell_tip(clock.at, Some(clock.served_at)).await {
                return Ok(ControlFlow::Break(Ok(Next::Stopped)));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Looks whether retention has taken records in front of an event.
    async fn check(&mut self, records: &[SdkRecord], is_all: bool, dated: SystemTime) -> Result<(), ConsumerError> {
        if self.outlet.expected.is_some() {
            return self.outlet.check_for_loss(records.first(), is_all).map(drop);
        }
        let Exposure::Near { passed } = self.outlet.exposure(dated, &mut self.random).await? else { return Ok(()) };
        let last = self.outlet.position.last();
        match (self.outlet.position.resume(), last) {
            (IteratorStart::AtSequenceNumber(_), Some(last)) if !records.is_empty() || is_all => {
                if self.is_still_there(last).await? {
                    Ok(())
                } else {
                    self.outlet.report_loss(Some(last), records.first())
                }
            }
            (IteratorStart::AtTimestamp(_) | IteratorStart::TrimHorizon, _) if passed => {
                self.outlet.retention.reported(dated);
                self.outlet.report_loss(last, records.first())
            }
            _ => Ok(()),
        }
    }

    /// Room for an event that is here; nothing where there is none for some seconds, which the event does not survive.
    async fn room(&mut self, bytes: usize, reserved: Option<OwnedSemaphorePermit>) -> Option<OwnedSemaphorePermit> {
        let budget = &self.outlet.shared.memory;
        self.wanted_bytes = bytes;
        let room = match reserved {
            Some(mut reserved) if budget.holds(&reserved, bytes) => {
                budget.shrink(&mut reserved, bytes);
                reserved
            }
            _ => timeout(PARKED, budget.room(bytes)).await.ok()??,
        };
        self.wanted_bytes = 0;
        Some(room)
    }

    /// Hands the records on, and leaves the subscription where that takes long.
    async fn deliver(
        &mut self,
        records: Vec<SdkRecord>,
        behind: Option<Duration>,
        room: OwnedSemaphorePermit,
        reading: &mut Option<Reading>,
    ) -> Result<Delivered, ConsumerError> {
        let mut delivering = pin!(self.outlet.deliver(records, behind, room));
        tokio::select! {
            biased;
            delivered = &mut delivering => delivered,
            () = sleep(PARKED) => {
                *reading = None;
                delivering.await
            }
        }
    }
}

/// The next event, or how the subscription ended.
async fn next_event(
    reading: &mut Reading,
    called: Instant,
    silence: Duration,
    mut control: watch::Receiver<Control>,
    id: &StreamShard,
) -> ControlFlow<Outcome, SubscribeToShardEvent> {
    let silent_at = Instant::now() + silence;
    let is_drained = async {
        // What is at the tip now says nothing about what there was when the job was asked to drain.
        if control.wait_for(|control| control.drain.is_some_and(|since| since > called)).await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let waited = timeout_at(silent_at.min(reading.renew_at), reading.subscription.next_event());
    let waited = tokio::select! {
        biased;
        waited = waited => waited,
        () = is_drained => return ControlFlow::Break(Outcome::Left),
    };
    ControlFlow::Break(match waited {
        Ok(Ok(Some(event))) => return ControlFlow::Continue(event),
        Ok(Ok(None)) => Outcome::Over,
        Ok(Err(error)) if error.kind() == RequestErrorKind::InUse => Outcome::TakenOver,
        Ok(Err(error)) => Outcome::Failed(error),
        Err(_) if reading.renew_at <= Instant::now() => Outcome::Left,
        Err(_) => Outcome::Failed(silent(id, silence)),
    })
}

fn silent(id: &StreamShard, silence: Duration) -> RequestError {
    let what = format!("no event within {:?}", silence);
    let kind = RequestErrorKind::Timeout;
    RequestError::new("SubscribeToShard", &id.to_string(), kind, None, &what)
}
