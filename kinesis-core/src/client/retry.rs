//! When to try again.

use std::future::Future;
use std::time::Duration;

use crate::client::error::RequestError;
use crate::client::measure;
use crate::random::RandomStream;

/// Capped exponential back-off with full jitter.
///
/// The delay before retry `n` (from 0) is uniform in `[0, min(max, base * exponent^n))`, whole milliseconds, as the
/// reference connector draws it (Flink, `FullJitterBackoff`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// The upper bound before the first retry.
    pub base: Duration,
    /// The upper bound that no retry exceeds.
    pub max: Duration,
    /// The growth of the bound from one retry to the next.
    pub exponent: f64,
}

impl Backoff {
    /// Makes a back-off of its three numbers.
    pub const fn new(base: Duration, max: Duration, exponent: f64) -> Self {
        Self { base, max, exponent }
    }

    /// The longest that the delay before retry `attempt` (from 0) can be.
    pub fn bound(&self, attempt: u32) -> Duration {
        let base = self.base.as_millis();
        // The growth may be infinite, and infinity times zero is no number.
        if base == 0 {
            return Duration::ZERO;
        }
        let grown = base as f64 * self.exponent.powf(f64::from(attempt));
        Duration::from_millis(grown.min(self.max.as_millis() as f64) as u64)
    }

    /// Draws the delay before retry `attempt`, counted from 0.
    pub fn delay(&self, attempt: u32, random: &mut RandomStream) -> Duration {
        Duration::from_millis((self.bound(attempt).as_millis() as f64 * random.fraction()) as u64)
    }
}

/// How often, and how far apart, a call is tried again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Retries after the first attempt; 0 tries once.
    pub max_retries: u32,
    /// The wait before each of them.
    pub backoff: Backoff,
}

impl RetryPolicy {
    /// The delay before the next try after failure number `failures` (from 1); nothing when it is time to give up.
    pub fn next_delay(&self, failures: u32, error: &RequestError, random: &mut RandomStream) -> Option<Duration> {
        (error.is_retryable() && failures <= self.max_retries).then(|| self.backoff.delay(failures - 1, random))
    }
}

/// Calls until it succeeds, fails for good, or the policy is exhausted.
///
/// For calls that change nothing, or whose repetition does no harm. Cancel safety: as that of `call`; a cancelled wait
/// loses nothing but the count of attempts.
///
/// # Errors
/// The last [`RequestError`], with the number of attempts in it.
pub async fn retry<T, F, C>(policy: RetryPolicy, random: &mut RandomStream, mut call: C) -> Result<T, RequestError>
where
    C: FnMut() -> F,
    F: Future<Output = Result<T, RequestError>>,
{
    let mut failures = 0;
    loop {
        let error = match call().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        failures += 1;
        let Some(delay) = policy.next_delay(failures, &error, random) else {
            return Err(error.after_attempts(failures));
        };
        tracing::debug!(%error, failures, ?delay, "retrying");
        measure::retried(&error);
        tokio::time::sleep(delay).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::error::RequestErrorKind;
    use crate::random::Randomness;

    const BACKOFF: Backoff = Backoff::new(Duration::from_millis(300), Duration::from_millis(1000), 1.5);

    fn error(kind: RequestErrorKind) -> RequestError {
        RequestError::new("GetRecords", "orders/shardId-000000000000", kind, None, "x")
    }

    #[test]
    fn bounds_grow_to_the_cap() {
        let bounds: Vec<_> = (0..5).map(|attempt| BACKOFF.bound(attempt).as_millis()).collect();
        assert_eq!(bounds, [300, 450, 675, 1000, 1000]);
    }

    #[test]
    fn a_bound_of_zero_stays_zero_and_every_other_ends_at_the_cap() {
        for (base, expected) in [(0, 0), (1, 1000)] {
            let backoff = Backoff { base: Duration::from_millis(base), ..BACKOFF };
            assert_eq!(backoff.bound(2_000), Duration::from_millis(expected), "1.5^2000 is infinite");
        }
    }

    #[test]
    fn delays_are_spread_over_the_whole_bound() {
        let mut random = Randomness::from_seed(1).stream("jitter");
        let delays: Vec<_> = (0..200).map(|_| BACKOFF.delay(3, &mut random).as_millis()).collect();
        assert!(delays.iter().all(|delay| *delay < 1000), "{delays:?}");
        assert!(delays.iter().min() < Some(&100) && delays.iter().max() > Some(&900), "{delays:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttle_is_tried_again_and_a_refusal_is_not() {
        let policy = RetryPolicy { max_retries: 3, backoff: BACKOFF };
        for (kind, expected) in [(RequestErrorKind::Throttled, 4), (RequestErrorKind::AccessDenied, 1)] {
            let mut calls = 0;
            let mut random = Randomness::from_seed(1).stream("jitter");
            let result: Result<(), _> = retry(policy, &mut random, || {
                calls += 1;
                std::future::ready(Err(error(kind)))
            })
            .await;
            assert_eq!((calls, result.unwrap_err().attempts()), (expected, expected));
        }
    }
}
