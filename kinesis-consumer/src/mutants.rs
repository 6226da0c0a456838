//! Deliberate faults, for tests that must find them.

/// A way in which exactly-once has been got wrong, switched on to see that a test notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(not(feature = "mutants"), expect(unreachable_pub, reason = "exported with the feature alone"))]
pub enum Mutant {
    /// The checkpoint is written before the sink's pre-commit is durable.
    CheckpointBeforePreCommit,
    /// The sink publishes before the checkpoint is durable.
    PublishBeforeCheckpoint,
    /// A restore does not commit again what the checkpoint says is pending.
    ForgetPendingCommits,
    /// A restore publishes pre-commits that belong to no checkpoint.
    PublishOrphans,
    /// A child's processor starts without its parents' states.
    ForgetParentStates,
}
