//! Who waits for a shard to change.

use std::collections::BTreeMap;
use std::task::Waker;

/// The subscriptions that wait, by their numbers; they are woken when this goes, too.
#[derive(Debug, Default)]
pub(super) struct Waiting(BTreeMap<u64, Waker>);

impl Waiting {
    /// Has a subscription woken at the next change; it has one waker at a time.
    pub(super) fn add(&mut self, subscription: u64, waker: &Waker) {
        self.0.insert(subscription, waker.clone());
    }

    /// Forgets a subscription, so that those of idle shards that nobody reads do not pile up.
    pub(super) fn remove(&mut self, subscription: u64) {
        self.0.remove(&subscription);
    }

    /// Wakes all, in the order of their numbers.
    pub(super) fn wake(&mut self) {
        while let Some((_, waker)) = self.0.pop_first() {
            waker.wake();
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.wake();
    }
}
