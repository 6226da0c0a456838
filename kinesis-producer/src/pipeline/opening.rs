//! A stream before its limits and its shards are known.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use kinesis_core::{Backoff, RequestError, Shard, StreamName};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::backoff::Pause;
use super::measure::StreamMeter;
use super::stream::Context;
use super::time::{after, earliest};
use super::unit::QueuedRecord;
use crate::outcome::FailureCause;

/// What a stream is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamSettings {
    /// The most that a record may hold, data and partition key together.
    pub(crate) record_limit_bytes: usize,
    /// Whether partition keys decide the shard.
    pub(crate) by_partition_key: bool,
}

/// What must be known of a stream before records can be sent.
#[derive(Clone, Debug)]
pub(crate) struct StreamInfo {
    pub(crate) settings: StreamSettings,
    /// All shards, closed ones too.
    pub(crate) shards: Vec<Shard>,
}

/// Who waits for a stream to be looked up, and what that came to.
pub(crate) type OpenWaiter = oneshot::Sender<Result<(), Arc<RequestError>>>;

/// How long a look-up that was refused for good speaks for the records that follow.
const REFUSAL_LASTS: Duration = Duration::from_secs(1);

/// A look-up that was refused for good, and until when nobody asks again.
#[derive(Debug)]
struct Refusal {
    error: Arc<RequestError>,
    until: Instant,
}

/// The records that wait while a stream is looked up.
#[derive(Debug, Default)]
pub(crate) struct Opening {
    waiting: VecDeque<QueuedRecord>,
    waiters: Vec<OpenWaiter>,
    running: bool,
    pause: Pause,
    last: Option<Arc<str>>,
    refusal: Option<Refusal>,
    pub(super) meter: StreamMeter,
}

impl Opening {
    pub(crate) fn new(meter: StreamMeter) -> Self {
        Self { meter, ..Self::default() }
    }

    /// Takes a record in; it fails at once where a look-up has just failed for good.
    pub(crate) fn accept(&mut self, record: QueuedRecord, stream: &StreamName, ctx: &mut Context<'_>) {
        match self.refusal.as_ref().filter(|refusal| refusal.until > ctx.now) {
            None => self.waiting.push_back(record),
            Some(refusal) => {
                let cause = FailureCause::Request(Arc::clone(&refusal.error));
                self.meter.given_up(&record.tracker, None, &cause, ctx.now);
                ctx.ledger.give_up(record.tracker, stream, cause);
            }
        }
    }

    /// Takes note of who wants to know when the stream is found, and looks it up whatever the last look-up said.
    pub(crate) fn wait(&mut self, waiter: OpenWaiter) {
        self.refusal = None;
        self.waiters.push(waiter);
    }

    /// Whether nothing is to be remembered of the stream.
    pub(crate) fn is_idle(&self, now: Instant) -> bool {
        let is_refused = self.refusal.as_ref().is_some_and(|refusal| refusal.until > now);
        !is_refused && !self.running && self.waiting.is_empty() && self.waiters.is_empty()
    }

    /// When to look the stream up, if that is wanted.
    pub(crate) fn due_at(&self, now: Instant) -> Option<Instant> {
        let is_wanted = !self.waiting.is_empty() || !self.waiters.is_empty();
        (!self.running && is_wanted).then(|| self.pause.until(now).unwrap_or(now))
    }

    pub(crate) fn start(&mut self) {
        self.running = true;
    }

    /// Takes note of a look-up that failed: for good with all that waits, or until it is tried again.
    pub(crate) fn fail(&mut self, stream: &StreamName, error: RequestError, backoff: &Backoff, ctx: &mut Context<'_>) {
        self.running = false;
        let error = Arc::new(error);
        self.tell(&Err(Arc::clone(&error)));
        if error.is_retryable() {
            tracing::debug!(%stream, %error, "looking up the stream again");
            self.last = Some(error.to_string().into());
            self.pause.fail(ctx.now, ctx.now, backoff, ctx.random);
            return;
        }
        tracing::warn!(%stream, %error, records = self.waiting.len(), "records not stored");
        self.pause.succeed();
        self.refusal = Some(Refusal { error: Arc::clone(&error), until: ctx.now + REFUSAL_LASTS });
        for record in self.waiting.drain(..) {
            let cause = FailureCause::Request(Arc::clone(&error));
            self.meter.given_up(&record.tracker, None, &cause, ctx.now);
            ctx.ledger.give_up(record.tracker, stream, cause);
        }
    }

    /// Gives up what has waited too long.
    pub(crate) fn expire(&mut self, stream: &StreamName, ttl: Duration, ctx: &mut Context<'_>) {
        let now = ctx.now;
        let is_over = |record: &mut QueuedRecord| after(record.tracker.accepted_at, ttl) <= now;
        while let Some(record) = self.waiting.pop_front_if(is_over) {
            let last = self.last.clone().unwrap_or_else(|| "none was made".into());
            let cause = FailureCause::Expired { ttl, last };
            self.meter.given_up(&record.tracker, None, &cause, now);
            ctx.ledger.give_up(record.tracker, stream, cause);
        }
    }

    /// Gives up everything that waits.
    pub(crate) fn abandon(&mut self, stream: &StreamName, cause: &FailureCause, ctx: &mut Context<'_>) {
        for record in self.waiting.drain(..) {
            self.meter.given_up(&record.tracker, None, cause, ctx.now);
            ctx.ledger.give_up(record.tracker, stream, cause.clone());
        }
    }

    pub(crate) fn next_deadline(&self, now: Instant, ttl: Duration) -> Option<Instant> {
        let expiry = self.waiting.front().map(|record| after(record.tracker.accepted_at, ttl));
        earliest(expiry, self.due_at(now))
    }

    /// Tells those who wait what a look-up came to.
    pub(crate) fn tell(&mut self, result: &Result<(), Arc<RequestError>>) {
        for waiter in self.waiters.drain(..) {
            // The caller may have stopped waiting.
            let _ = waiter.send(result.clone());
        }
    }

    pub(crate) fn take_waiting(&mut self) -> VecDeque<QueuedRecord> {
        std::mem::take(&mut self.waiting)
    }
}

#[cfg(test)]
mod tests {
    use kinesis_core::{Randomness, RequestErrorKind};

    use super::super::fixtures::{awaited_record, ledger, start, stream};
    use super::*;
    use crate::outcome::Outcome;

    const TTL: Duration = Duration::from_secs(30);
    const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5), 2.0);

    fn outcome_of(kind: RequestErrorKind, after: Duration) -> Option<Outcome> {
        let mut ledger = ledger();
        ledger.open(0, start());
        let mut random = Randomness::from_seed(1).stream("retry");
        let mut opening = Opening::default();
        let (record, outcome) = awaited_record(0, "k", b"x", start());
        let mut ctx = Context { now: start(), ledger: &mut ledger, random: &mut random, urgent: false };
        opening.accept(record, &stream(), &mut ctx);
        assert_eq!(opening.due_at(start()), Some(start()));
        opening.start();
        assert_eq!(opening.due_at(start()), None, "one look-up at a time");
        let error = RequestError::new("DescribeStreamSummary", "orders", kind, None, "no");
        opening.fail(&stream(), error, &BACKOFF, &mut ctx);
        ctx.now = start() + after;
        opening.expire(&stream(), TTL, &mut ctx);
        outcome.outcome()
    }

    #[test]
    fn a_missing_stream_fails_what_waits_at_once_and_by_name() {
        let Some(Outcome::Failed { cause, .. }) = outcome_of(RequestErrorKind::NotFound, Duration::ZERO) else {
            panic!("it must fail");
        };
        assert!(cause.to_string().contains("orders"), "{cause}");
    }

    #[test]
    fn an_endpoint_that_does_not_answer_is_tried_until_the_record_expires() {
        let early = outcome_of(RequestErrorKind::Unreachable, TTL - Duration::from_millis(1));
        assert!(early.is_none(), "{early:?}");
        let Some(Outcome::Failed { cause, .. }) = outcome_of(RequestErrorKind::Unreachable, TTL) else {
            panic!("it must fail");
        };
        assert!(cause.to_string().contains("check the endpoint"), "{cause}");
    }
}
