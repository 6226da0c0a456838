//! What the callers and the engine share.

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::error::DeliveryError;
use crate::queue::Queue;
use crate::stats::ProducerStats;

/// Failures that were not told yet, to each of those who want to know.
#[derive(Debug, Default)]
struct Failures {
    /// For the next put, flush or close; only where `fail_on_error` is set.
    caller: Option<DeliveryError>,
    /// For the next checkpoint.
    checkpoint: Option<DeliveryError>,
}

/// What the engine tells at each turn.
#[derive(Clone, Copy, Debug, Default)]
struct Published {
    stats: ProducerStats,
    /// When the oldest record was accepted that has no outcome.
    oldest: Option<Instant>,
}

/// Shared between the engine and every clone of the producer.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) queue: Queue,
    published: Mutex<Published>,
    fail_on_error: bool,
    failures: Mutex<Failures>,
}

impl Shared {
    pub(crate) fn new(queue: Queue, fail_on_error: bool) -> Self {
        Self { queue, published: Mutex::default(), fail_on_error, failures: Mutex::default() }
    }

    /// Makes the engine's counters visible.
    pub(crate) fn publish(&self, stats: &ProducerStats, oldest: Option<Instant>) {
        *self.published.lock() = Published { stats: *stats, oldest };
    }

    /// The counters as of the engine's last turn.
    pub(crate) fn stats(&self) -> ProducerStats {
        self.published.lock().stats
    }

    /// When the oldest record was accepted that had no outcome at the engine's last turn.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.published.lock().oldest
    }

    /// Takes note of records that were given up.
    pub(crate) fn report(&self, new: DeliveryError) {
        let mut failures = self.failures.lock();
        if self.fail_on_error {
            merge(&mut failures.caller, &new);
        }
        merge(&mut failures.checkpoint, &new);
    }

    /// The failures since the last call, where callers are to be told.
    pub(crate) fn take_failures(&self) -> Option<DeliveryError> {
        if self.fail_on_error { self.failures.lock().caller.take() } else { None }
    }

    /// The failures since the last checkpoint.
    pub(crate) fn take_checkpoint_failures(&self) -> Option<DeliveryError> {
        self.failures.lock().checkpoint.take()
    }
}

fn merge(known: &mut Option<DeliveryError>, new: &DeliveryError) {
    match known {
        None => *known = Some(new.clone()),
        Some(known) => {
            known.failed += new.failed;
            known.unknown += new.unknown;
        }
    }
}
