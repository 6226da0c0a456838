//! The service's clock.

use std::time::{Duration, SystemTime};

use kinesis_core::{Clock, SharedClock};
use parking_lot::Mutex;

/// A clock that may run ahead of another.
#[derive(Debug)]
pub(crate) struct AheadClock {
    of: SharedClock,
    ahead: Mutex<Duration>,
}

impl AheadClock {
    pub(crate) const fn new(of: SharedClock) -> Self {
        Self { of, ahead: Mutex::new(Duration::ZERO) }
    }

    pub(crate) fn advance(&self, duration: Duration) {
        let mut ahead = self.ahead.lock();
        *ahead = ahead.saturating_add(duration);
    }
}

impl Clock for AheadClock {
    fn now(&self) -> SystemTime {
        self.of.now() + *self.ahead.lock()
    }
}
