//! Waits for something to come about, in tokio's time.

use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::SdkError;
use aws_sdk_kinesis::operation::describe_stream_summary::DescribeStreamSummaryError;
use aws_sdk_kinesis::types::StreamStatus;
use thiserror::Error;
use tokio::time::{Instant, sleep, timeout_at};

use super::calls::retry_throttled;

const FIRST_INTERVAL: Duration = Duration::from_millis(1);
const LONGEST_INTERVAL: Duration = Duration::from_millis(100);
/// As long as the waiter of AWS for a stream's existence, 18 times 10 s.
const ACTIVE_WITHIN: Duration = Duration::from_secs(180);

/// Something that did not come about in time.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{what}: not within {within:?}, in {checks} checks")]
#[non_exhaustive]
pub struct NotInTime {
    /// What was awaited.
    pub what: String,
    /// How long it was awaited, in tokio's time.
    pub within: Duration,
    /// How often the condition was checked.
    pub checks: u64,
}

/// Waits until a condition holds, and no longer than `within`.
///
/// It is checked at once, then after 1 ms, then at intervals that double up to 100 ms, and a last time at the deadline,
/// all in tokio's time: under paused time nothing is really waited for, and other tasks run in between.
///
/// Cancel safety: nothing is left behind.
///
/// # Errors
/// [`NotInTime`] with `what`, which is for the message alone. A retry waits on.
pub async fn wait_until(what: &str, within: Duration, mut condition: impl FnMut() -> bool) -> Result<(), NotInTime> {
    eventually(what, within, async || condition().then_some(())).await
}

/// Waits until an asynchronous condition yields a value, and no longer than `within`.
///
/// Checks as [`wait_until`] does; a check that is under way at the deadline is dropped.
///
/// Cancel safety: that of the condition.
///
/// # Errors
/// [`NotInTime`] with `what`, which is for the message alone. A retry waits on.
pub async fn eventually<T>(
    what: &str,
    within: Duration,
    mut condition: impl AsyncFnMut() -> Option<T>,
) -> Result<T, NotInTime> {
    let deadline = deadline(within);
    let mut interval = FIRST_INTERVAL;
    let mut checks = 0;
    loop {
        let is_last = Instant::now() >= deadline;
        checks += 1;
        match timeout_at(deadline, condition()).await {
            Ok(Some(value)) => return Ok(value),
            Ok(None) if !is_last => {}
            _ => return Err(NotInTime { what: what.to_owned(), within, checks }),
        }
        sleep(interval.min(deadline - Instant::now())).await;
        interval = (2 * interval).min(LONGEST_INTERVAL);
    }
}

/// The end of a wait; one that is beyond all calendars ends in thirty years.
fn deadline(within: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(within).unwrap_or_else(|| now + Duration::from_secs(30 * 365 * 86_400))
}

/// A stream that did not become active.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WaitUntilActiveError {
    /// The stream could not be asked.
    #[error("DescribeStreamSummary of stream `{stream}` failed")]
    Describe {
        /// The stream.
        stream: String,
        /// What the SDK says.
        source: Box<SdkError<DescribeStreamSummaryError>>,
    },
    /// The stream was in another state for too long.
    #[error("stream `{stream}` is still {status} after {waited:?}")]
    NotActive {
        /// The stream.
        stream: String,
        /// The state that it was last seen in.
        status: String,
        /// How long it was waited for, in tokio's time.
        waited: Duration,
    },
}

/// Waits until a stream is ACTIVE, at most 180 s of tokio's time.
///
/// It is asked at once, then after 100 ms, then at intervals that double up to 1 s.
///
/// Cancel safety: nothing is changed by asking.
///
/// # Errors
/// [`WaitUntilActiveError`], at once where there is no such stream. A retry is safe.
pub async fn wait_until_active(client: &Client, stream: &str) -> Result<(), WaitUntilActiveError> {
    let start = Instant::now();
    let request = client.describe_stream_summary().stream_name(stream);
    let mut asked = 0;
    loop {
        let reply = retry_throttled(|| request.clone().send()).await;
        let reply = reply.map_err(|source| WaitUntilActiveError::Describe { stream: stream.to_owned(), source })?;
        let status = reply.stream_description_summary().map(|summary| summary.stream_status().clone());
        let waited = start.elapsed();
        match status {
            Some(StreamStatus::Active) => return Ok(()),
            other if waited >= ACTIVE_WITHIN => {
                let status = other.map_or_else(String::new, |status| status.as_str().to_owned());
                return Err(WaitUntilActiveError::NotActive { stream: stream.to_owned(), status, waited });
            }
            _ => {}
        }
        asked += 1;
        sleep(super::calls::wait_after(asked).min(ACTIVE_WITHIN - waited)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn a_condition_that_holds_is_not_waited_for() {
        let start = Instant::now();
        wait_until("nothing", Duration::ZERO, || true).await.unwrap();
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_condition_that_never_holds_is_named_at_the_deadline() {
        let start = Instant::now();
        let error = wait_until("the tide turns", Duration::from_millis(5), || false).await.unwrap_err();
        assert_eq!(start.elapsed(), Duration::from_millis(5));
        assert_eq!(error.to_string(), "the tide turns: not within 5ms, in 4 checks");
    }

    #[tokio::test(start_paused = true)]
    async fn a_condition_of_the_last_moment_counts() {
        let start = Instant::now();
        wait_until("the hour", HOUR, || start.elapsed() >= HOUR).await.unwrap();
        assert_eq!(start.elapsed(), HOUR);
    }

    #[tokio::test(start_paused = true)]
    async fn an_asynchronous_condition_may_yield_a_value_and_take_time() {
        let (start, asked) = (Instant::now(), Cell::new(0));
        let value = eventually("the third answer", HOUR, async || {
            sleep(Duration::from_secs(1)).await;
            asked.set(asked.get() + 1);
            (asked.get() == 3).then_some("third")
        });
        assert_eq!(value.await, Ok("third"));
        assert_eq!(start.elapsed(), Duration::from_millis(3003));
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_that_never_ends_is_dropped_at_the_deadline() {
        let start = Instant::now();
        let error = eventually::<()>("an answer", HOUR, std::future::pending).await.unwrap_err();
        assert_eq!((error.within, error.checks, start.elapsed()), (HOUR, 1, HOUR));
    }
}
