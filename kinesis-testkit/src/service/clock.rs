//! The service's clock, which an operator event can set forward.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use kinesis_core::{Clock, SharedClock};

/// A clock, and how far it was set ahead.
pub(crate) struct JumpingClock {
    clock: SharedClock,
    ahead_nanos: AtomicU64,
}

impl JumpingClock {
    pub(super) fn new(clock: SharedClock) -> Arc<Self> {
        Arc::new(Self { clock, ahead_nanos: AtomicU64::new(0) })
    }

    /// Sets the clock forward, by at most 584 years in all.
    pub(super) fn jump(&self, by: Duration) {
        let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        let add = |ahead: u64| Some(ahead.saturating_add(nanos));
        let added = self.ahead_nanos.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        debug_assert!(added.is_ok(), "the sum is always something");
    }
}

impl Clock for JumpingClock {
    fn now(&self) -> SystemTime {
        let ahead = Duration::from_nanos(self.ahead_nanos.load(Ordering::Relaxed));
        let now = self.clock.now();
        now.checked_add(ahead).unwrap_or(now)
    }
}

impl fmt::Debug for JumpingClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JumpingClock").field("clock", &self.clock).field("ahead_nanos", &self.ahead_nanos).finish()
    }
}
