//! What a sink counts.

/// The counters of a sink, since it was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SinkStats {
    /// Elements accepted by a write.
    pub written: u64,
    /// Elements that are stored.
    pub stored: u64,
    /// Elements that are definitely not stored.
    pub failed: u64,
    /// Elements that may be stored.
    pub unknown: u64,
    /// Of the failed and unknown ones, those that the dead-letter hook took.
    pub dead_lettered: u64,
    /// Writes that had to wait because of `queue_limit` (the reference connector's `backpressureCycles`).
    pub backpressured: u64,
}

impl SinkStats {
    /// Elements that have no outcome yet (the reference connector's `outstandingRecordsCount`).
    pub const fn outstanding(&self) -> u64 {
        self.written - self.stored - self.failed - self.unknown
    }
}
