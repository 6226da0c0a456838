//! Which entries of a PutRecords call fail, and how.

use serde::{Deserialize, Serialize};

use crate::engine::ServiceError;

/// Which entries of a PutRecords call fail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Entries {
    /// Every entry.
    All,
    /// The entries at these indices, from 0; those beyond the last entry are passed over.
    At(Vec<usize>),
    /// Every n-th entry: with 3 the indices 2, 5, 8, …; with 0 none.
    EveryNth(usize),
    /// Each entry with that chance in a thousand, drawn from the fake's seed for every call anew; 1000 is all of them.
    PerMille(u16),
}

impl Entries {
    /// Whether the entry fails; `salt` is what this call drew.
    pub(super) fn holds(&self, index: usize, salt: u64) -> bool {
        match self {
            Self::All => true,
            Self::At(indices) => indices.contains(&index),
            Self::EveryNth(n) => (index + 1).is_multiple_of(*n),
            Self::PerMille(chance) => mix(salt, index as u64) % 1000 < u64::from(*chance),
        }
    }
}

/// splitmix64 over a draw and an index, so that the draw of one entry is independent of how many there are.
fn mix(salt: u64, index: u64) -> u64 {
    let mut word = salt.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

/// Entries of one PutRecords call that fail in different ways (F2); without more, none.
///
/// An entry that is named more than once is throttled rather than failed, and failed rather than stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EntryFaults {
    #[serde(skip_serializing_if = "Option::is_none")]
    throttled: Option<Entries>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<Entries>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stored: Option<Entries>,
}

/// What a fault does to one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EntryFault {
    /// It is not applied.
    Refused(ServiceError),
    /// It is applied, and reported as failed.
    Misreported(ServiceError),
}

impl EntryFaults {
    /// No entry fails.
    pub const fn none() -> Self {
        Self { throttled: None, failed: None, stored: None }
    }

    /// Those that are refused with `ProvisionedThroughputExceededException`.
    pub fn throttled(mut self, entries: Entries) -> Self {
        self.throttled = Some(entries);
        self
    }

    /// Those that are refused with `InternalFailure`.
    pub fn failed(mut self, entries: Entries) -> Self {
        self.failed = Some(entries);
        self
    }

    /// Those that are stored although the reply says `InternalFailure`.
    pub fn stored(mut self, entries: Entries) -> Self {
        self.stored = Some(entries);
        self
    }

    pub(super) fn of(&self, index: usize, salt: u64) -> Option<EntryFault> {
        // Each kind draws for itself.
        let holds = |entries: &Option<Entries>, kind: u64| {
            entries.as_ref().is_some_and(|entries| entries.holds(index, mix(salt, kind)))
        };
        if holds(&self.throttled, 1) {
            let error = ServiceError::throughput_exceeded("Rate exceeded for the shard of the record.");
            return Some(EntryFault::Refused(error));
        }
        if holds(&self.failed, 2) {
            return Some(EntryFault::Refused(internal_failure()));
        }
        holds(&self.stored, 3).then(|| EntryFault::Misreported(internal_failure()))
    }
}

pub(super) fn internal_failure() -> ServiceError {
    ServiceError::new("InternalFailure", "Internal service failure.", 500)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(entries: &Entries, salt: u64, of: usize) -> Vec<usize> {
        (0..of).filter(|index| entries.holds(*index, salt)).collect()
    }

    #[test]
    fn entries_are_chosen_by_index() {
        assert_eq!(chosen(&Entries::EveryNth(3), 0, 7), [2, 5]);
        assert_eq!(chosen(&Entries::At(vec![6, 0, 99]), 0, 7), [0, 6]);
        assert_eq!(chosen(&Entries::All, 0, 7).len(), 7);
        assert_eq!(chosen(&Entries::EveryNth(0), 0, 7), [0usize; 0]);
    }

    #[test]
    fn entries_are_drawn_anew_for_every_call() {
        let third = Entries::PerMille(333);
        assert_eq!(chosen(&third, 1, 500), chosen(&third, 1, 500));
        assert_ne!(chosen(&third, 1, 500), chosen(&third, 2, 500));
        for salt in 0..50 {
            let count = chosen(&third, salt, 1000).len();
            assert!((250..420).contains(&count), "salt {salt}: {count} of 1000");
        }
        assert_eq!(chosen(&Entries::PerMille(0), 7, 500).len(), 0);
        assert_eq!(chosen(&Entries::PerMille(1000), 7, 500).len(), 500);
    }

    #[test]
    fn an_entry_named_twice_fails_in_the_harder_way() {
        let faults = EntryFaults::none()
            .throttled(Entries::At(vec![0]))
            .failed(Entries::At(vec![0, 1]))
            .stored(Entries::At(vec![0, 1, 2]));
        let code = |index| match faults.of(index, 9) {
            Some(EntryFault::Refused(error)) => format!("refused {}", error.code()),
            Some(EntryFault::Misreported(error)) => format!("stored {}", error.code()),
            None => String::new(),
        };
        assert_eq!(
            [0, 1, 2, 3].map(code),
            ["refused ProvisionedThroughputExceededException", "refused InternalFailure", "stored InternalFailure", ""]
        );
    }
}
