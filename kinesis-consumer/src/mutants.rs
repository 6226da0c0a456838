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
    /// An iterator that expired is replaced by one from where the reader began (telegraf #19505).
    ExpiredIteratorFromStart,
    /// Finished shards are left out of checkpoints, whether their children were begun or not (FLINK-37627).
    ForgetFinishedShards,
    /// A shard that was closed since the checkpoint is taken for another one (FLINK-8484).
    ClosedShardIsNew,
    /// A shard is begun twice (Beam #31313).
    BeginTwice,
    /// A subscription that another one is in the way of is not begun again (FLINK-38814).
    StopWhenInUse,
    /// A subscription that is silent is waited for (Redpanda Connect #4724).
    WaitForSilence,
    /// Children are begun beside their parents (FLINK-32218).
    BeginChildrenEarly,
    /// A part of a listing is taken for all of it.
    PartialListing,
    /// What can be read of an aggregate that is broken is handed on.
    PartialAggregate,
    /// An idle shard's position stays where it is (gosoline #1124).
    IdleStandsStill,
}
