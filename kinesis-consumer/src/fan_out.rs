//! What the shards of a job share that are read with enhanced fan-out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kinesis_core::{FanOutConfig, KinesisClient, StreamName};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

mod registration;

/// How many subscriptions of a process begin in a second, so that those of thousands of shards do not begin at once.
///
/// The service has no published limit for all shards together; at 100 a second ten thousand shards have begun before the
/// first subscription ends.
const STARTS_PER_SECOND: u32 = 100;

/// The fan-out consumers of a job's streams, and what bounds its subscriptions.
#[derive(Debug)]
pub(crate) struct FanOut {
    pub(crate) client: KinesisClient,
    pub(crate) config: FanOutConfig,
    consumers: Mutex<BTreeMap<StreamName, Arc<str>>>,
    starts: Mutex<Starts>,
    slots: Arc<Semaphore>,
}

impl FanOut {
    pub(crate) fn new(client: KinesisClient, config: FanOutConfig) -> Self {
        let slots = usize::try_from(config.max_concurrency).unwrap_or(usize::MAX).clamp(1, Semaphore::MAX_PERMITS);
        let (consumers, starts) = (Mutex::default(), Mutex::new(Starts::new(STARTS_PER_SECOND)));
        Self { client, config, consumers, starts, slots: Arc::new(Semaphore::new(slots)) }
    }

    /// The consumer of a stream, once it is registered.
    pub(crate) fn consumer(&self, stream: &StreamName) -> Option<Arc<str>> {
        self.consumers.lock().get(stream).cloned()
    }

    /// Waits until another subscription may begin; it may go on for as long as the permit is kept.
    ///
    /// In the order of asking, so that more shards than subscriptions take turns.
    pub(crate) async fn admit(&self) -> Option<OwnedSemaphorePermit> {
        let permit = Arc::clone(&self.slots).acquire_owned().await.ok()?;
        let start = self.starts.lock().next(Instant::now());
        tokio::time::sleep_until(start).await;
        Some(permit)
    }
}

/// Spaces starts evenly.
#[derive(Debug)]
struct Starts {
    interval: Duration,
    next: Option<Instant>,
}

impl Starts {
    fn new(per_second: u32) -> Self {
        Self { interval: Duration::from_secs(1) / per_second, next: None }
    }

    /// When the next may be, which is taken with it.
    fn next(&mut self, now: Instant) -> Instant {
        let start = self.next.map_or(now, |next| next.max(now));
        self.next = Some(start + self.interval);
        start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_more_subscriptions_begin_in_a_second_than_are_allowed() {
        let begin = Instant::now();
        let mut starts = Starts::new(100);
        let taken: Vec<_> = (0..201).map(|_| starts.next(begin) - begin).collect();
        assert_eq!(
            (taken[0], taken[100], taken[200]),
            (Duration::ZERO, Duration::from_secs(1), Duration::from_secs(2))
        );
        let later = begin + Duration::from_secs(60);
        assert_eq!(starts.next(later), later, "what was not used is not saved up");
        assert_eq!(starts.next(later), later + Duration::from_millis(10));
    }
}
