//! Limits, and the buckets that measure throughput.

use std::collections::BTreeMap;

use super::control::{DEFAULT_ON_DEMAND_STREAMS, Scope, default_rate};
use crate::operation::Operation;

/// One MiB, which the service's documents call "1 MB" where they speak of throughput.
const MIB: u64 = 1024 * 1024;

/// What the service allows; nothing is limited where there is no number.
///
/// Each rate is a bucket that holds one second's worth and refills steadily.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    write_records: Option<u64>,
    write_bytes: Option<u64>,
    read_calls: Option<u64>,
    read_bytes: Option<u64>,
    iterator_calls: Option<u64>,
    subscribe_calls: Option<u64>,
    push_bytes: Option<u64>,
    control_plane: bool,
    control_rates: BTreeMap<Operation, u64>,
    shards: ShardQuota,
    pub(super) on_demand_streams: Option<u32>,
    pub(super) creating: Option<u32>,
    consumers: Option<u32>,
    pub(super) scalings: Option<u32>,
    pub(super) mode_changes: Option<u32>,
    pub(super) key_changes: Option<u32>,
}

/// How many shards the provisioned streams of an account and region may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ShardQuota {
    #[default]
    Off,
    OfRegion,
    Most(u32),
}

/// The shards of an account where nobody asked for more (AWS quota page).
pub(super) fn default_shard_quota(region: &str) -> u32 {
    match region {
        "us-east-1" | "us-west-2" | "eu-west-1" => 20_000,
        _ => 6000,
    }
}

impl Limits {
    /// No limits.
    pub fn off() -> Self {
        Self::default()
    }

    /// The limits of AWS, as an account has them that asked for no more (AWS quota page, API reference).
    ///
    /// Each shard: 1,000 records and 1 MiB of writes per second, partition keys counted; 5 GetRecords and 2 MiB of
    /// reads per second, and silence after a large reply for as long as its bytes take (5 s after 10 MiB); 5
    /// GetShardIterator per second. Each consumer and shard: 1 SubscribeToShard and 2 MiB of events per second. The
    /// control plane: the rate that each operation's documentation names, most of them 5 per second and account. Quotas:
    /// 20,000 shards in us-east-1, us-west-2 and eu-west-1, else 6,000; 50 on-demand streams; 5 streams and 5 consumers
    /// of a stream being created at once; 20 consumers of a stream, 50 with a billing commitment; and within 24 hours,
    /// of each stream, 10 UpdateShardCount, 2 changes of the capacity mode, 25 starts and 25 stops of encryption.
    pub fn aws() -> Self {
        Self {
            write_records: Some(1000),
            write_bytes: Some(MIB),
            read_calls: Some(5),
            read_bytes: Some(2 * MIB),
            iterator_calls: Some(5),
            subscribe_calls: Some(1),
            push_bytes: Some(2 * MIB),
            control_plane: true,
            control_rates: BTreeMap::new(),
            shards: ShardQuota::OfRegion,
            on_demand_streams: Some(DEFAULT_ON_DEMAND_STREAMS),
            creating: Some(5),
            consumers: Some(20),
            scalings: Some(10),
            mode_changes: Some(2),
            key_changes: Some(25),
        }
    }

    /// Limits the records that a shard takes per second.
    pub fn write_records_per_second(mut self, limit: impl Into<Option<u64>>) -> Self {
        self.write_records = limit.into();
        self
    }

    /// Limits the bytes that a shard takes per second, data and partition keys.
    ///
    /// A record that is larger than one second's worth is taken when the bucket is full, and empties it below zero.
    pub fn write_bytes_per_second(mut self, limit: impl Into<Option<u64>>) -> Self {
        self.write_bytes = limit.into();
        self
    }

    /// Limits the GetRecords calls that a shard answers per second.
    pub fn read_calls_per_second(mut self, limit: impl Into<Option<u64>>) -> Self {
        self.read_calls = limit.into();
        self
    }

    /// Limits the bytes that a shard gives out per second, data and partition keys.
    pub fn read_bytes_per_second(mut self, limit: impl Into<Option<u64>>) -> Self {
        self.read_bytes = limit.into();
        self
    }

    /// Limits the GetShardIterator calls that a shard answers per second.
    pub fn iterator_calls_per_second(mut self, limit: impl Into<Option<u64>>) -> Self {
        self.iterator_calls = limit.into();
        self
    }

    /// Limits the SubscribeToShard calls per second of a consumer for a shard.
    pub fn subscribe_calls_per_second(mut self, limit: impl Into<Option<u64>>) -> Self {
        self.subscribe_calls = limit.into();
        self
    }

    /// Limits the bytes that are pushed to a consumer from a shard per second, data and partition keys.
    ///
    /// An event goes out while something is left of the bucket, and may empty it below zero.
    pub fn push_bytes_per_second(mut self, limit: impl Into<Option<u64>>) -> Self {
        self.push_bytes = limit.into();
        self
    }

    /// Limits the calls of the control plane to the documented rates, or does not.
    pub const fn control_plane(mut self, limited: bool) -> Self {
        self.control_plane = limited;
        self
    }

    /// Limits the calls of one operation of the control plane per second.
    ///
    /// They count per account or per stream, as the documentation of the operation has it. An operation of the data
    /// plane keeps its limits per shard whatever is said here.
    pub fn calls_per_second(mut self, operation: Operation, limit: u64) -> Self {
        self.control_rates.insert(operation, limit);
        self
    }

    /// Limits the open shards of all provisioned streams of an account in a region.
    pub fn shards_per_account(mut self, limit: impl Into<Option<u32>>) -> Self {
        self.shards = limit.into().map_or(ShardQuota::Off, ShardQuota::Most);
        self
    }

    /// Limits the on-demand streams of an account in a region.
    pub fn on_demand_streams(mut self, limit: impl Into<Option<u32>>) -> Self {
        self.on_demand_streams = limit.into();
        self
    }

    /// Limits the streams of an account, and the consumers of a stream, that are being created at once.
    pub fn creating_at_once(mut self, limit: impl Into<Option<u32>>) -> Self {
        self.creating = limit.into();
        self
    }

    /// Limits the consumers of a stream; an account with a billing commitment may have 30 more.
    pub fn consumers_per_stream(mut self, limit: impl Into<Option<u32>>) -> Self {
        self.consumers = limit.into();
        self
    }

    /// Limits the calls of UpdateShardCount for a stream within 24 hours.
    pub fn shard_count_updates_per_day(mut self, limit: impl Into<Option<u32>>) -> Self {
        self.scalings = limit.into();
        self
    }

    pub(super) fn control_rate(&self, operation: Operation) -> Option<(u64, Scope)> {
        let (rate, scope) = default_rate(operation)?;
        let custom = self.control_rates.get(&operation).copied();
        custom.or_else(|| self.control_plane.then_some(rate)).map(|rate| (rate, scope))
    }

    pub(super) fn shard_quota(&self, region: &str) -> Option<u32> {
        match self.shards {
            ShardQuota::Off => None,
            ShardQuota::OfRegion => Some(default_shard_quota(region)),
            ShardQuota::Most(most) => Some(most),
        }
    }

    /// How many consumers a stream may have: 30 more with a billing commitment (API reference, RegisterStreamConsumer).
    pub(super) fn consumer_quota(&self, advantage: bool) -> Option<u32> {
        self.consumers.map(|most| if advantage { most.saturating_add(30) } else { most })
    }
}

/// Tokens in thousandths, so that a millisecond refills a whole number of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    tokens: i64,
    refilled_millis: u64,
}

impl Bucket {
    pub(super) const FULL: Self = Self { tokens: i64::MAX, refilled_millis: 0 };

    fn refill(&mut self, rate: u64, now_millis: u64) {
        let elapsed = now_millis.saturating_sub(self.refilled_millis);
        let gained = i64::try_from(rate.saturating_mul(elapsed)).unwrap_or(i64::MAX);
        self.tokens = self.tokens.saturating_add(gained).min(capacity(rate));
        self.refilled_millis = self.refilled_millis.max(now_millis);
    }

    fn has(&self, rate: u64, cost: u64) -> bool {
        rate > 0 && self.tokens >= thousandths(cost).min(capacity(rate))
    }

    fn spend(&mut self, cost: u64) {
        self.tokens = self.tokens.saturating_sub(thousandths(cost));
    }
}

fn thousandths(tokens: u64) -> i64 {
    i64::try_from(tokens.saturating_mul(1000)).unwrap_or(i64::MAX)
}

fn capacity(rate: u64) -> i64 {
    thousandths(rate)
}

/// The buckets of one shard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meters {
    write_records: Bucket,
    write_bytes: Bucket,
    read_calls: Bucket,
    read_bytes: Bucket,
    iterator_calls: Bucket,
}

impl Meters {
    pub(super) const FULL: Self = Self {
        write_records: Bucket::FULL,
        write_bytes: Bucket::FULL,
        read_calls: Bucket::FULL,
        read_bytes: Bucket::FULL,
        iterator_calls: Bucket::FULL,
    };

    /// Takes one record of `bytes` off the write limits, or nothing and `false`.
    pub(super) fn admit_write(&mut self, limits: &Limits, bytes: u64, now_millis: u64) -> bool {
        let mut costs =
            [(limits.write_records, 1, &mut self.write_records), (limits.write_bytes, bytes, &mut self.write_bytes)];
        let admitted = costs.iter_mut().all(|(rate, cost, bucket)| {
            rate.is_none_or(|rate| {
                bucket.refill(rate, now_millis);
                bucket.has(rate, *cost)
            })
        });
        if admitted {
            for (rate, cost, bucket) in costs {
                if rate.is_some() {
                    bucket.spend(cost);
                }
            }
        }
        admitted
    }

    /// Takes one GetRecords call off the read limits, or nothing and `false`.
    pub(super) fn admit_read(&mut self, limits: &Limits, now_millis: u64) -> bool {
        if let Some(rate) = limits.read_bytes {
            self.read_bytes.refill(rate, now_millis);
            if self.read_bytes.tokens <= 0 {
                return false;
            }
        }
        admit_call(&mut self.read_calls, limits.read_calls, now_millis)
    }

    /// Charges the bytes of a reply that was admitted.
    ///
    /// A reply above one second's worth leaves nothing of what was saved: 10 MiB at 2 MiB/s mean 5 s of silence.
    pub(super) fn charge_read(&mut self, limits: &Limits, bytes: u64) {
        if let Some(rate) = limits.read_bytes {
            if bytes > rate {
                self.read_bytes.tokens = self.read_bytes.tokens.min(0);
            }
            self.read_bytes.spend(bytes);
        }
    }

    /// Takes one GetShardIterator call off its limit, or nothing and `false`.
    pub(super) fn admit_iterator(&mut self, limits: &Limits, now_millis: u64) -> bool {
        admit_call(&mut self.iterator_calls, limits.iterator_calls, now_millis)
    }
}

/// The buckets of one consumer for one shard.
#[derive(Clone, Copy, Debug)]
pub(super) struct PushMeters {
    calls: Bucket,
    pushed_bytes: Bucket,
}

impl Default for PushMeters {
    fn default() -> Self {
        Self { calls: Bucket::FULL, pushed_bytes: Bucket::FULL }
    }
}

impl PushMeters {
    /// Takes one SubscribeToShard call off its limit, or nothing and `false`.
    pub(super) fn admit_call(&mut self, limits: &Limits, now_millis: u64) -> bool {
        admit_call(&mut self.calls, limits.subscribe_calls, now_millis)
    }

    /// When records can be pushed again; nothing where they can now.
    pub(super) fn ready_at(&mut self, limits: &Limits, now_millis: u64) -> Option<u64> {
        let rate = limits.push_bytes?;
        self.pushed_bytes.refill(rate, now_millis);
        let missing = self.pushed_bytes.tokens.checked_neg().filter(|missing| *missing >= 0)?.unsigned_abs() + 1;
        // A rate of zero never fills the bucket.
        Some(now_millis.saturating_add(missing.checked_div(rate).map_or(u64::MAX, |_| missing.div_ceil(rate))))
    }

    /// Charges the bytes of an event that was pushed.
    pub(super) fn charge(&mut self, limits: &Limits, bytes: u64) {
        if limits.push_bytes.is_some() {
            self.pushed_bytes.spend(bytes);
        }
    }
}

pub(super) fn admit_call(bucket: &mut Bucket, rate: Option<u64>, now_millis: u64) -> bool {
    let Some(rate) = rate else { return true };
    bucket.refill(rate, now_millis);
    let admitted = bucket.has(rate, 1);
    if admitted {
        bucket.spend(1);
    }
    admitted
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: u64 = 1_700_000_000_000;

    #[test]
    fn a_shard_takes_a_thousand_records_a_second() {
        let (limits, mut meters) = (Limits::aws(), Meters::FULL);
        let taken = |meters: &mut Meters, at| (0..3000).filter(|_| meters.admit_write(&limits, 100, at)).count();
        assert_eq!(taken(&mut meters, T), 1000);
        assert_eq!(taken(&mut meters, T + 250), 250);
        assert_eq!(taken(&mut meters, T + 60_000), 1000);
    }

    #[test]
    fn a_refused_record_costs_nothing() {
        let limits = Limits::off().write_records_per_second(10).write_bytes_per_second(100);
        let mut meters = Meters::FULL;
        assert!(meters.admit_write(&limits, 90, T));
        for _ in 0..20 {
            assert!(!meters.admit_write(&limits, 20, T));
        }
        assert!(meters.admit_write(&limits, 10, T));
    }

    #[test]
    fn a_record_above_a_seconds_worth_waits_for_a_full_bucket() {
        let (limits, mut meters) = (Limits::aws(), Meters::FULL);
        assert!(meters.admit_write(&limits, 5 * MIB, T));
        assert!(!meters.admit_write(&limits, 1, T + 4000));
        assert!(meters.admit_write(&limits, 1, T + 4001));
        assert!(!meters.admit_write(&limits, 5 * MIB, T + 4500));
        assert!(meters.admit_write(&limits, 5 * MIB, T + 5002));
    }

    #[test]
    fn ten_mebibytes_silence_a_shard_for_five_seconds() {
        let (limits, mut meters) = (Limits::aws(), Meters::FULL);
        assert!(meters.admit_read(&limits, T));
        meters.charge_read(&limits, 10 * MIB);
        assert!(!meters.admit_read(&limits, T + 5000));
        assert!(meters.admit_read(&limits, T + 5001));
    }

    #[test]
    fn five_reads_a_second_never_meet_the_limit() {
        let (limits, mut meters) = (Limits::aws(), Meters::FULL);
        assert!((0..1000).all(|call| meters.admit_read(&limits, T + 200 * call)));
        let burst = (0..12).filter(|call| meters.admit_read(&limits, T + 300_000 + 20 * call)).count();
        assert_eq!(burst, 6, "a full bucket of five, and one that refills within 220 ms");
    }

    #[test]
    fn without_limits_everything_is_admitted() {
        let (limits, mut meters) = (Limits::off(), Meters::FULL);
        assert!((0..5000).all(|_| meters.admit_write(&limits, 10 * MIB, T)));
        assert!((0..5000).all(|_| meters.admit_read(&limits, T) && meters.admit_iterator(&limits, T)));
    }
}
