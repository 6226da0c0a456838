//! A bound on the bytes that are fetched and not yet processed, and on the calls that are under way.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Permits count whole kibibytes: a semaphore has too few for bytes on 32-bit machines.
const UNIT_BYTES: usize = 1024;

/// The bytes that all readers of a process may hold, and the calls that they may make at once; each call reserves before
/// it is made.
#[derive(Clone, Debug)]
pub(crate) struct MemoryBudget {
    permits: Arc<Semaphore>,
    total: u32,
    slots: Arc<Semaphore>,
    /// How many wait for room or for a slot.
    waiting: watch::Sender<usize>,
}

/// What a call has while it is under way.
#[derive(Debug)]
pub(crate) struct Reservation {
    /// Kept for as long as the reply is.
    pub(crate) memory: OwnedSemaphorePermit,
    /// Given back with the reply.
    pub(crate) slot: OwnedSemaphorePermit,
}

/// Counts one who waits, also if the wait is dropped.
struct Waiting<'a>(&'a watch::Sender<usize>);

impl<'a> Waiting<'a> {
    fn new(waiting: &'a watch::Sender<usize>) -> Self {
        waiting.send_modify(|count| *count += 1);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl MemoryBudget {
    pub(crate) fn new(bytes: usize, calls: usize) -> Self {
        let total = u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX);
        let (permits, slots) = (Arc::new(Semaphore::new(total as usize)), Arc::new(Semaphore::new(calls)));
        Self { permits, total, slots, waiting: watch::Sender::new(0) }
    }

    /// Waits for room for `bytes`, or for the whole budget where that is smaller, and for a slot.
    pub(crate) async fn reserve(&self, bytes: usize) -> Option<Reservation> {
        let memory = self.acquire(&self.permits, self.units(bytes)).await?;
        let slot = self.acquire(&self.slots, 1).await?;
        Some(Reservation { memory, slot })
    }

    /// Waits for room for `bytes` that are here already, or for the whole budget where that is smaller.
    pub(crate) async fn room(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        self.acquire(&self.permits, self.units(bytes)).await
    }

    /// Whether a permit is as large as `bytes` need.
    pub(crate) fn holds(&self, permit: &OwnedSemaphorePermit, bytes: usize) -> bool {
        permit.num_permits() >= self.units(bytes) as usize
    }

    async fn acquire(&self, semaphore: &Arc<Semaphore>, permits: u32) -> Option<OwnedSemaphorePermit> {
        // In the order of asking: the semaphore refuses here while others wait.
        if let Ok(permit) = Arc::clone(semaphore).try_acquire_many_owned(permits) {
            return Some(permit);
        }
        let _waiting = Waiting::new(&self.waiting);
        Arc::clone(semaphore).acquire_many_owned(permits).await.ok()
    }

    /// Waits until somebody waits for room or for a slot.
    pub(crate) async fn wanted(&self) {
        // The sender is here, so that the wait cannot fail.
        let _ = self.waiting.subscribe().wait_for(|count| *count > 0).await;
    }

    /// Gives back what a reservation holds beyond `bytes`.
    pub(crate) fn shrink(&self, permit: &mut OwnedSemaphorePermit, bytes: usize) {
        let surplus = permit.num_permits().saturating_sub(self.units(bytes) as usize);
        drop(permit.split(surplus));
    }

    fn units(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX).min(self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::{Context, Poll, Waker};

    fn poll<T>(future: impl Future<Output = T>) -> Poll<T> {
        std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[tokio::test]
    async fn a_reservation_shrinks_to_what_came_and_frees_the_rest() {
        let budget = MemoryBudget::new(20 * 1024, 9);
        let mut first = budget.reserve(15 * 1024).await.unwrap().memory;
        assert_eq!(budget.permits.available_permits(), 5);
        budget.shrink(&mut first, 1500);
        assert_eq!(budget.permits.available_permits(), 18);
        drop(first);
        assert_eq!(budget.permits.available_permits(), 20);
    }

    #[tokio::test]
    async fn a_reply_larger_than_the_budget_waits_for_all_of_it() {
        let budget = MemoryBudget::new(4096, 9);
        let all = budget.reserve(10 * 1024 * 1024).await.unwrap().memory;
        assert_eq!((all.num_permits(), budget.permits.available_permits()), (4, 0));
    }

    #[tokio::test]
    async fn room_is_wanted_while_somebody_waits_for_it() {
        let budget = MemoryBudget::new(4096, 9);
        let held = budget.reserve(4096).await.unwrap();
        assert_eq!(poll(budget.wanted()), Poll::Pending);
        let mut waits = Box::pin(budget.reserve(1024));
        assert!(poll(waits.as_mut()).is_pending());
        assert_eq!(poll(budget.wanted()), Poll::Ready(()));
        drop(waits);
        assert_eq!(poll(budget.wanted()), Poll::Pending, "nobody waits any more");
        drop(held);
    }

    #[tokio::test]
    async fn a_slot_is_wanted_as_room_is() {
        let budget = MemoryBudget::new(1 << 30, 1);
        let Reservation { memory, slot } = budget.reserve(1024).await.unwrap();
        let mut waits = Box::pin(budget.reserve(1024));
        assert!(poll(waits.as_mut()).is_pending());
        assert_eq!(poll(budget.wanted()), Poll::Ready(()));
        drop(slot);
        assert!(poll(waits.as_mut()).is_ready(), "the reply of the first is still held");
        drop(memory);
    }
}
