//! Deliberate faults, for tests that must find them.

use crate::config::ProducerConfig;

/// A way in which producers have lost or repeated records, switched on to see that a test notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(not(feature = "mutants"), expect(unreachable_pub, reason = "exported with the feature alone"))]
pub enum Mutant {
    /// All entries of a request are sent again where some failed.
    RepeatWholeRequest,
    /// An attempt without an answer counts as one that stored nothing.
    SilenceIsDefinite,
    /// An aggregate that landed on a shard that not all members belong to counts as stored.
    LeaveMisplaced,
}

impl ProducerConfig {
    /// Misbehaves on purpose, for a test that must notice.
    #[cfg(feature = "mutants")]
    pub const fn mutant(mut self, mutant: Mutant) -> Self {
        self.mutant = Some(mutant);
        self
    }

    /// Whether it misbehaves so.
    #[cfg(feature = "mutants")]
    pub(crate) fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// Whether it misbehaves so.
    #[cfg(not(feature = "mutants"))]
    pub(crate) const fn is(&self, _mutant: Mutant) -> bool {
        false
    }
}
