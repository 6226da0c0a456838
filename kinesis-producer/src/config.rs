//! How a producer works: limits, times, and what it promises.

mod check;
mod keys;
mod properties;

pub mod producer_config_constants;

use std::time::Duration;

use kinesis_core::Backoff;

pub use self::properties::client_properties;

/// The settings of a producer, with the names and defaults that the KPL's users know.
///
/// They come from properties ([`from_properties`](Self::from_properties)), from setters, or from both. Where the reference
/// connector sets another default than the KPL, the connector's stands (RateLimit 100, at most 10 requests at a time).
/// [`KinesisProducerBuilder::build`](crate::KinesisProducerBuilder::build) checks the ranges, which are those of the
/// properties; [`check`](Self::check) tells all problems at once. [`configuration`](crate::configuration) has the table.
#[derive(Clone, Debug, PartialEq)]
pub struct ProducerConfig {
    pub(crate) aggregation: bool,
    pub(crate) aggregation_max_count: usize,
    pub(crate) aggregation_max_size_bytes: usize,
    pub(crate) collection_max_count: usize,
    pub(crate) collection_max_size_bytes: usize,
    pub(crate) rate_limit: u64,
    pub(crate) record_max_buffered_time: Duration,
    pub(crate) record_ttl: Duration,
    pub(crate) max_requests_in_flight: usize,
    pub(crate) queue_limit_records: usize,
    pub(crate) queue_limit_bytes: usize,
    pub(crate) fail_if_throttled: bool,
    pub(crate) max_user_record_size_bytes: Option<usize>,
    pub(crate) fail_on_error: bool,
    pub(crate) ordered: bool,
    pub(crate) backoff: Backoff,
    pub(crate) map_max_age: Duration,
    #[cfg(test)]
    pub(crate) kpl_rule: Option<crate::pipeline::KplRule>,
    #[cfg(feature = "mutants")]
    pub(crate) mutant: Option<crate::mutants::Mutant>,
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self {
            aggregation: true,
            aggregation_max_count: u32::MAX as usize,
            aggregation_max_size_bytes: 51_200,
            collection_max_count: 500,
            collection_max_size_bytes: 5 * 1024 * 1024,
            rate_limit: 100,
            record_max_buffered_time: Duration::from_millis(100),
            record_ttl: Duration::from_secs(30),
            max_requests_in_flight: 10,
            queue_limit_records: 100_000,
            queue_limit_bytes: 64 * 1024 * 1024,
            fail_if_throttled: false,
            max_user_record_size_bytes: None,
            fail_on_error: false,
            ordered: false,
            backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(5), 2.0),
            map_max_age: Duration::from_secs(600),
            #[cfg(test)]
            kpl_rule: None,
            #[cfg(feature = "mutants")]
            mutant: None,
        }
    }
}

impl ProducerConfig {
    /// Whether user records are packed into aggregates (AggregationEnabled); on by default.
    ///
    /// Off, each user record is a Kinesis record, which every reader understands; the limits per shard still hold.
    pub fn aggregation(mut self, enabled: bool) -> Self {
        self.aggregation = enabled;
        self
    }

    /// The most user records in an aggregate (AggregationMaxCount), from 1 to 2^63 - 1; 4,294,967,295 by default.
    ///
    /// Never more than 174,762, which every reader takes. Firehose splits records with at most 500 members (Firehose
    /// documentation).
    pub fn aggregation_max_count(mut self, count: usize) -> Self {
        self.aggregation_max_count = count;
        self
    }

    /// The most bytes of an aggregate (AggregationMaxSize), 64 to 10,485,760; 51,200 by default.
    ///
    /// A larger user record goes alone. Never more than the stream's own limit is used.
    pub fn aggregation_max_size_bytes(mut self, size: usize) -> Self {
        self.aggregation_max_size_bytes = size;
        self
    }

    /// The most Kinesis records in a request (CollectionMaxCount), 1 to 500; 500 by default.
    pub fn collection_max_count(mut self, count: usize) -> Self {
        self.collection_max_count = count;
        self
    }

    /// The most bytes of data and partition keys in a request (CollectionMaxSize), 52,224 to 2^63 - 1; 5 MiB by default.
    ///
    /// Never more than 10 MiB, which is the service's limit. A larger Kinesis record goes alone.
    pub fn collection_max_size_bytes(mut self, size: usize) -> Self {
        self.collection_max_size_bytes = size;
        self
    }

    /// The share of a shard's 1,000 records/s and 1 MiB/s to use, in percent (RateLimit), 1 to 2^63 - 1; 100 by default.
    ///
    /// Less leaves room for other producers of the stream; more makes sense only where the service throttles less than
    /// it says.
    pub fn rate_limit(mut self, percent: u64) -> Self {
        self.rate_limit = percent;
        self
    }

    /// How long a record may wait for others to share its aggregate (RecordMaxBufferedTime); 100 ms by default.
    ///
    /// Less than [`record_ttl`](Self::record_ttl); zero does not wait.
    /// A target for an idle shard, not a limit: where the rate limit or a request is the bottleneck, records wait longer.
    pub fn record_max_buffered_time(mut self, time: Duration) -> Self {
        self.record_max_buffered_time = time;
        self
    }

    /// How long a record is tried, from its put (RecordTtl), at least 100 ms; 30 s by default.
    ///
    /// [`Duration::MAX`] means for ever. An attempt under way is not cut short, and its success counts.
    pub fn record_ttl(mut self, ttl: Duration) -> Self {
        self.record_ttl = ttl;
        self
    }

    /// The most PutRecords requests at a time over all streams, at least 1; 10 by default.
    ///
    /// In properties the lesser of ThreadPoolSize (0 for 64) and MaxConnections, or MaxConnections alone where
    /// ThreadingModel is PER_REQUEST.
    pub fn max_requests_in_flight(mut self, count: usize) -> Self {
        self.max_requests_in_flight = count;
        self
    }

    /// The most records without an outcome, at least 1; 100,000 by default. A put waits for room.
    pub fn queue_limit_records(mut self, count: usize) -> Self {
        self.queue_limit_records = count;
        self
    }

    /// The most bytes, data and keys, without an outcome, at least 1; 64 MiB by default. A put waits for room.
    ///
    /// More than 4 GiB counts as 4 GiB.
    ///
    /// More than 4 GiB counts as 4 GiB.
    ///
    /// What is on its way to the service stands in memory up to three times more: as an aggregate, as an argument of
    /// the SDK, and as the text of the request.
    pub fn queue_limit_bytes(mut self, size: usize) -> Self {
        self.queue_limit_bytes = size;
        self
    }

    /// Whether a record that its shard has no room for fails at once (FailIfThrottled); off by default.
    ///
    /// That is what `ProvisionedThroughputExceededException` says, of a request or of one of its records, and nothing
    /// else. Off, the record is sent again after a pause, until its time is up.
    pub fn fail_if_throttled(mut self, enabled: bool) -> Self {
        self.fail_if_throttled = enabled;
        self
    }

    /// The most bytes of a record's data (MaxUserRecordSize), 64 to 10,485,760; by default what its stream takes.
    ///
    /// The stream's own limit, for data and partition key together, holds besides.
    pub fn max_user_record_size_bytes(mut self, size: usize) -> Self {
        self.max_user_record_size_bytes = Some(size);
        self
    }

    /// Whether a record that was not stored fails the next put, flush or close; off by default.
    ///
    /// Each failure is surfaced once. Either way failures are counted, logged, and in the record's outcome.
    pub fn fail_on_error(mut self, enabled: bool) -> Self {
        self.fail_on_error = enabled;
        self
    }

    /// Whether the records of a partition key are stored in the order of their puts; off by default.
    ///
    /// On, a shard has one Kinesis record on its way at a time, so that a shard takes one aggregate per round trip.
    /// Duplicates may still occur, as replays of a run that is already stored. All records of a key must carry the same
    /// explicit hash key, or none. See the crate's documentation for what happens after an unknown outcome.
    pub fn ordered(mut self, enabled: bool) -> Self {
        self.ordered = enabled;
        self
    }

    /// The waits after throttles and failures; 100 ms growing by 2 to 5 s, with full jitter, by default.
    pub fn retry_backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// The age at which a used shard map is refreshed without a reason; 10 minutes by default.
    pub fn shard_map_max_age(mut self, age: Duration) -> Self {
        self.map_max_age = age;
        self
    }
}
