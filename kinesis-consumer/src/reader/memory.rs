//! A bound on the bytes that are fetched and not yet processed.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Permits count whole kibibytes: a semaphore has too few for bytes on 32-bit machines.
const UNIT_BYTES: usize = 1024;

/// The bytes that all readers of a process may hold; each call reserves before it is made.
#[derive(Clone, Debug)]
pub(crate) struct MemoryBudget {
    permits: Arc<Semaphore>,
    total: u32,
}

impl MemoryBudget {
    pub(crate) fn new(bytes: usize) -> Self {
        let total = u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX);
        Self { permits: Arc::new(Semaphore::new(total as usize)), total }
    }

    /// Waits for room for `bytes`, or for the whole budget where that is smaller.
    pub(crate) async fn reserve(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.permits).acquire_many_owned(self.units(bytes)).await.ok()
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

    #[tokio::test]
    async fn a_reservation_shrinks_to_what_came_and_frees_the_rest() {
        let budget = MemoryBudget::new(20 * 1024);
        let mut first = budget.reserve(15 * 1024).await.unwrap();
        assert_eq!(budget.permits.available_permits(), 5);
        budget.shrink(&mut first, 1500);
        assert_eq!(budget.permits.available_permits(), 18);
        drop(first);
        assert_eq!(budget.permits.available_permits(), 20);
    }

    #[tokio::test]
    async fn a_reply_larger_than_the_budget_waits_for_all_of_it() {
        let budget = MemoryBudget::new(4096);
        let all = budget.reserve(10 * 1024 * 1024).await.unwrap();
        assert_eq!((all.num_permits(), budget.permits.available_permits()), (4, 0));
    }
}
