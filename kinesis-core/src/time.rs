//! Wall-clock time behind one seam.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The only way to the wall clock.
///
/// Deadlines and sleeps use `tokio::time`, which can be paused; what needs a date (signing, expiry, timestamps) asks a
/// clock, so that a test owns both.
pub trait Clock: Debug + Send + Sync {
    /// The current date and time.
    fn now(&self) -> SystemTime;
}

/// A clock that many parts share.
pub type SharedClock = Arc<dyn Clock>;

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// A clock that moves with tokio's, so that it stands still and jumps where that is paused.
#[cfg(feature = "sdk")]
#[derive(Clone, Copy, Debug)]
pub struct TokioClock {
    epoch: SystemTime,
    start: tokio::time::Instant,
}

#[cfg(feature = "sdk")]
impl TokioClock {
    /// Makes a clock that shows `epoch` now and moves on with tokio's time.
    pub fn starting_at(epoch: SystemTime) -> Self {
        Self { epoch, start: tokio::time::Instant::now() }
    }
}

#[cfg(feature = "sdk")]
impl Clock for TokioClock {
    fn now(&self) -> SystemTime {
        self.epoch + self.start.elapsed()
    }
}

/// A shared clock in the form that the AWS SDK takes as its `time_source`.
#[cfg(feature = "sdk")]
#[derive(Clone, Debug)]
pub struct SdkTimeSource(pub SharedClock);

#[cfg(feature = "sdk")]
impl aws_smithy_async::time::TimeSource for SdkTimeSource {
    fn now(&self) -> SystemTime {
        self.0.now()
    }
}

/// Milliseconds since the Unix epoch; 0 for a time before it.
pub fn unix_millis(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis() as u64
}

/// The time that many milliseconds after the Unix epoch.
pub fn from_unix_millis(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

#[cfg(all(test, feature = "sdk"))]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn tokio_clock_follows_paused_time() {
        let epoch = from_unix_millis(1_700_000_000_000);
        let clock = TokioClock::starting_at(epoch);
        assert_eq!(clock.now(), epoch);
        tokio::time::advance(Duration::from_secs(90)).await;
        assert_eq!(unix_millis(clock.now()), 1_700_000_090_000);
    }
}
