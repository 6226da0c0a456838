//! When a shard may be subscribed to again, and for how long a subscription is kept.

use std::time::Duration;

use kinesis_core::{Backoff, RandomStream, RequestError, RequestErrorKind, RetryPolicy};
use tokio::time::Instant;

/// One call a second for a consumer and a shard (API reference, SubscribeToShard).
const CALL_INTERVAL: Duration = Duration::from_secs(1);
/// For how long after its start a subscription cannot be followed by another (API reference, SubscribeToShard).
const PROTECTED: Duration = Duration::from_secs(5);
/// When the service ends a subscription (API reference, SubscribeToShard).
const LIFE: Duration = Duration::from_secs(300);
/// How much earlier a subscription is renewed at most, so that shards that began together do not go on so.
const RENEWAL_SPREAD: Duration = Duration::from_secs(30);
/// The waits after the shard was taken over: from the first on, doubled each time.
const TAKEN_OVER: Backoff = Backoff::new(Duration::from_secs(5), Duration::from_secs(60), 2.0);

/// How a subscription came to its end, or did not come about.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// The reader ended it itself: it was old enough, its events found no room, or the job drains.
    Left,
    /// The service ended it.
    Over,
    /// Another subscription of the consumer took its place.
    TakenOver,
    Failed(RequestError),
}

impl Outcome {
    /// Whether another subscription of the consumer is in the way.
    pub(super) fn is_in_use(&self) -> bool {
        match self {
            Self::TakenOver => true,
            Self::Failed(error) => error.kind() == RequestErrorKind::InUse,
            Self::Left | Self::Over => false,
        }
    }
}

/// Decides for one shard, by what became of its subscriptions.
#[derive(Debug)]
pub(super) struct Schedule {
    policy: RetryPolicy,
    /// When the last call ended, whatever its result.
    called: Option<Instant>,
    /// When the last subscription began.
    begun: Option<Instant>,
    /// Not before then, because of what went wrong.
    paused_until: Option<Instant>,
    has_events: bool,
    /// Failures since the last event.
    failures: u32,
    /// Refusals and subscriptions without events, which say nothing about the job, since the last event.
    refusals_and_deaths: u32,
    take_overs: u32,
}

impl Schedule {
    pub(super) const fn new(policy: RetryPolicy) -> Self {
        Self {
            policy,
            called: None,
            begun: None,
            paused_until: None,
            has_events: false,
            failures: 0,
            refusals_and_deaths: 0,
            take_overs: 0,
        }
    }

    /// When the next call may be made; at once where that is past.
    pub(super) fn next_call(&self, now: Instant) -> Instant {
        let after = |at: Option<Instant>, wait| at.map(|at| at + wait);
        let earliest = [after(self.called, CALL_INTERVAL), after(self.begun, PROTECTED), self.paused_until];
        earliest.into_iter().flatten().fold(now, Instant::max)
    }

    /// A call has ended, in whatever way.
    pub(super) fn called(&mut self, now: Instant) {
        self.called = Some(now);
    }

    /// A subscription began; returns when it is to be renewed.
    pub(super) fn begun(&mut self, now: Instant, random: &mut RandomStream) -> Instant {
        self.begun = Some(now);
        self.has_events = false;
        now + LIFE - RENEWAL_SPREAD.mul_f64(random.fraction())
    }

    /// An event came.
    pub(super) const fn event(&mut self) {
        self.has_events = true;
        self.failures = 0;
        self.refusals_and_deaths = 0;
    }

    /// Takes in how it ended; the error with which the job is to fail where that is so.
    pub(super) fn ended(
        &mut self,
        now: Instant,
        outcome: Outcome,
        random: &mut RandomStream,
    ) -> Result<(), RequestError> {
        let pause = match outcome {
            Outcome::Left => {
                self.take_overs = 0;
                Duration::ZERO
            }
            Outcome::Over => {
                self.take_overs = 0;
                // One after the other without an event would go on for ever at the rate that the service allows.
                if self.has_events { Duration::ZERO } else { self.died(random) }
            }
            Outcome::TakenOver => {
                let bound = TAKEN_OVER.bound(self.take_overs);
                self.take_overs = self.take_overs.saturating_add(1);
                // Never at once, or two jobs with one consumer would do nothing but take it from each other.
                bound / 2 + (bound / 2).mul_f64(random.fraction())
            }
            Outcome::Failed(error) if error.is_throttle() || error.kind() == RequestErrorKind::InUse => {
                self.died(random)
            }
            Outcome::Failed(error) => self.failed(error, random)?,
        };
        self.paused_until = Some(now + pause);
        Ok(())
    }

    /// The pause after a failure; the error itself once the policy is exhausted.
    fn failed(&mut self, error: RequestError, random: &mut RandomStream) -> Result<Duration, RequestError> {
        self.failures = self.failures.saturating_add(1);
        self.policy.next_delay(self.failures, &error, random).ok_or(error)
    }

    /// The pause after a refusal or a subscription without an event, which say nothing about the job.
    fn died(&mut self, random: &mut RandomStream) -> Duration {
        self.refusals_and_deaths = self.refusals_and_deaths.saturating_add(1);
        self.policy.backoff.delay(self.refusals_and_deaths - 1, random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kinesis_core::Randomness;

    const SECOND: Duration = Duration::from_secs(1);

    fn schedule(max_retries: u32) -> (Schedule, RandomStream, Instant) {
        let backoff = Backoff::new(SECOND, 2 * SECOND, 1.5);
        let random = Randomness::from_seed(1).stream("schedule");
        (Schedule::new(RetryPolicy { max_retries, backoff }), random, Instant::now())
    }

    fn error(kind: RequestErrorKind) -> Outcome {
        Outcome::Failed(RequestError::new("SubscribeToShard", "orders/shardId-000000000000", kind, None, "x"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_subscription_follows_another_five_seconds_after_its_start_at_the_earliest() {
        let (mut schedule, mut random, start) = schedule(3);
        assert_eq!(schedule.next_call(start), start);
        schedule.called(start);
        schedule.begun(start, &mut random);
        schedule.event();
        schedule.ended(start + SECOND, Outcome::Over, &mut random).unwrap();
        assert_eq!(schedule.next_call(start + SECOND), start + 5 * SECOND);
        let late = start + 290 * SECOND;
        schedule.ended(late, Outcome::Left, &mut random).unwrap();
        assert_eq!(schedule.next_call(late), late, "one that lived is followed at once");
    }

    #[tokio::test(start_paused = true)]
    async fn calls_are_a_second_apart_and_renewals_spread_over_thirty() {
        let (mut schedule, mut random, start) = schedule(3);
        schedule.called(start);
        schedule.ended(start, error(RequestErrorKind::LimitExceeded), &mut random).unwrap();
        assert!(schedule.next_call(start) >= start + SECOND);
        let renewals: Vec<_> = (0..100).map(|_| schedule.begun(start, &mut random) - start).collect();
        assert!(renewals.iter().all(|renewal| (270 * SECOND..=300 * SECOND).contains(renewal)), "{renewals:?}");
        assert!(renewals.iter().max().unwrap().saturating_sub(*renewals.iter().min().unwrap()) > 20 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_in_a_row_end_the_job_and_refusals_do_not() {
        let (mut schedule, mut random, now) = schedule(2);
        for _ in 0..100 {
            schedule.ended(now, error(RequestErrorKind::Throttled), &mut random).unwrap();
            schedule.ended(now, error(RequestErrorKind::InUse), &mut random).unwrap();
        }
        schedule.ended(now, error(RequestErrorKind::ConnectionLost), &mut random).unwrap();
        schedule.ended(now, error(RequestErrorKind::Internal), &mut random).unwrap();
        schedule.event();
        for _ in 0..2 {
            schedule.ended(now, error(RequestErrorKind::Timeout), &mut random).unwrap();
        }
        let given_up = schedule.ended(now, error(RequestErrorKind::Timeout), &mut random).unwrap_err();
        assert_eq!(given_up.kind(), RequestErrorKind::Timeout);
        let refused = schedule.ended(now, error(RequestErrorKind::AccessDenied), &mut random).unwrap_err();
        assert_eq!(refused.kind(), RequestErrorKind::AccessDenied, "at once");
    }

    #[tokio::test(start_paused = true)]
    async fn ends_without_events_are_never_an_error_and_slow_down() {
        let (mut schedule, mut random, now) = schedule(1);
        let mut pauses = Vec::new();
        for _ in 0..50 {
            schedule.begun(now, &mut random);
            schedule.ended(now, Outcome::Over, &mut random).unwrap();
            pauses.push(schedule.next_call(now) - now);
        }
        assert!(pauses.iter().all(|pause| *pause >= 5 * SECOND), "{pauses:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_taken_over_waits_longer_each_time() {
        let (mut schedule, mut random, now) = schedule(1);
        let mut longest = Duration::ZERO;
        for bound in [5, 10, 20, 40, 60, 60] {
            schedule.ended(now, Outcome::TakenOver, &mut random).unwrap();
            let pause = schedule.next_call(now) - now;
            assert!((bound * SECOND / 2..=bound * SECOND).contains(&pause), "{pause:?}");
            longest = longest.max(pause);
        }
        assert!(longest > 29 * SECOND);
        schedule.ended(now, Outcome::Over, &mut random).unwrap();
        schedule.ended(now, Outcome::TakenOver, &mut random).unwrap();
        assert!(schedule.next_call(now) - now <= 5 * SECOND, "it was held in between");
    }
}
