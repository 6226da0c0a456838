//! What ordered mode holds back.

use std::collections::BTreeSet;

use kinesis_core::HashKeyRange;

/// The keys whose order can no longer be kept, and the hash keys that are still on their way from another shard.
#[derive(Debug, Default)]
pub(crate) struct OrderGuard {
    broken: BTreeSet<String>,
    /// The ranges of Kinesis records that are out, and whose lane is gone.
    foreign: Vec<HashKeyRange>,
}

impl OrderGuard {
    /// Whether a record of the key was given up that may still be stored.
    pub(crate) fn is_broken(&self, partition_key: &str) -> bool {
        self.broken.contains(partition_key)
    }

    /// Takes note that a record of the key may be stored late; whether that is new.
    pub(crate) fn break_key(&mut self, partition_key: &str) -> bool {
        !self.is_broken(partition_key) && self.broken.insert(partition_key.to_owned())
    }

    /// Accepts records of the key again.
    pub(crate) fn acknowledge(&mut self, partition_key: &str) {
        self.broken.remove(partition_key);
    }

    /// Takes note that so many Kinesis records of a lane that goes are still out.
    pub(crate) fn add_foreign(&mut self, range: HashKeyRange, count: usize) {
        self.foreign.extend(std::iter::repeat_n(range, count));
    }

    /// Takes note that one of them is judged.
    pub(crate) fn remove_foreign(&mut self, range: &HashKeyRange) {
        if let Some(index) = self.foreign.iter().position(|foreign| foreign == range) {
            self.foreign.swap_remove(index);
        }
    }

    /// Whether a Kinesis record of another lane is out that may hold keys of the range.
    pub(crate) fn holds(&self, range: &HashKeyRange) -> bool {
        self.foreign.iter().any(|foreign| foreign.overlaps(range))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u128, end: u128) -> HashKeyRange {
        HashKeyRange::new(start.into(), end.into()).unwrap()
    }

    #[test]
    fn a_child_waits_for_what_its_parent_has_out() {
        let mut guard = OrderGuard::default();
        guard.add_foreign(range(0, 99), 2);
        assert!(guard.holds(&range(50, 99)) && !guard.holds(&range(100, 200)));
        guard.remove_foreign(&range(0, 99));
        assert!(guard.holds(&range(0, 49)), "one of two is still out");
        guard.remove_foreign(&range(0, 99));
        assert!(!guard.holds(&range(0, 49)));
    }

    #[test]
    fn a_broken_key_stays_so_until_it_is_acknowledged() {
        let mut guard = OrderGuard::default();
        assert!(guard.break_key("k"));
        assert!(!guard.break_key("k"), "it is not new");
        assert!(guard.is_broken("k") && !guard.is_broken("other"));
        guard.acknowledge("k");
        assert!(!guard.is_broken("k"));
    }
}
