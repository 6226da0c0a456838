//! What a producer counts.

use std::time::Duration;

/// What a producer has accepted, and knows no outcome of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outstanding {
    /// The records.
    pub records: usize,
    /// Their data and partition keys.
    pub bytes: usize,
    /// How long ago the oldest was accepted, to about a millisecond; nothing where there is none.
    pub oldest: Option<Duration>,
}

/// The counters of a producer, since it was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProducerStats {
    /// Records accepted by a put.
    pub user_records_received: u64,
    /// Records that are stored.
    pub user_records_put: u64,
    /// Records that are definitely not stored.
    pub user_records_failed: u64,
    /// Records that may be stored.
    pub user_records_unknown: u64,
    /// The data of the stored records.
    pub user_records_data_put_bytes: u64,
    /// Kinesis records that the service acknowledged, those in a wrong shard included.
    pub kinesis_records_put: u64,
    /// Entries of requests, acknowledged or not.
    pub kinesis_record_attempts: u64,
    /// Data and partition keys of the entries of requests.
    pub kinesis_record_attempt_bytes: u64,
    /// PutRecords requests made.
    pub put_records_calls: u64,
    /// Entries of requests that were not the first attempt of their records.
    pub retries: u64,
    /// Entries, or entries of whole requests, that were throttled.
    pub throttled: u64,
    /// Kinesis records that were sent again because of the shard they landed on.
    pub wrong_shard: u64,
    /// Attempts of Kinesis records without a clear answer.
    pub ambiguous: u64,
    /// Shard maps read, the first of each stream included.
    pub shard_map_reads: u64,
}

impl ProducerStats {
    /// Records that have no outcome yet.
    pub const fn outstanding(&self) -> u64 {
        self.user_records_received - self.user_records_put - self.user_records_failed - self.user_records_unknown
    }
}
