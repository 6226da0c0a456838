//! The service's clock.

use std::time::SystemTime;

use tokio::time::Instant;

/// The service's clock, as one of its replies told it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServiceClock {
    /// What it showed.
    pub(crate) served_at: SystemTime,
    /// When that was by the timer's clock, which nobody sets.
    pub(crate) at: Instant,
}

impl ServiceClock {
    /// What it shows, or showed, at `when`.
    pub(crate) fn time(&self, when: Instant) -> SystemTime {
        self.served_at + when.saturating_duration_since(self.at)
    }
}
