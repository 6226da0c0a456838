//! One stream: its life, its shards, where its records go.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, SystemTime};

use kinesis_core::{
    HashKey, HashKeyRange, Shard as ShardDescription, ShardId, StreamArn, StreamName, from_unix_millis,
};

use super::error::ServiceError;
use super::shards::{Closed, Parents, Shard};

/// Retention of a new stream (API reference, CreateStream).
const DEFAULT_RETENTION_HOURS: u64 = 24;
const MIN_RETENTION_HOURS: u64 = 24;
/// A year of 365 days (API reference, IncreaseStreamRetentionPeriod).
const MAX_RETENTION_HOURS: u64 = 8760;
/// The size limit of a record where the stream says nothing else.
pub(crate) const DEFAULT_MAX_RECORD_KIB: u32 = 1024;

/// The state that the service reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamStatus {
    Creating,
    Active,
    Updating,
    Deleting,
}

impl StreamStatus {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "CREATING",
            Self::Active => "ACTIVE",
            Self::Updating => "UPDATING",
            Self::Deleting => "DELETING",
        }
    }
}

/// How capacity is managed; on demand is only a label here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamMode {
    Provisioned,
    OnDemand,
}

/// What a new stream is made of.
#[derive(Clone, Debug)]
pub(crate) struct StreamOptions {
    pub(crate) shards: u32,
    pub(crate) mode: StreamMode,
    pub(crate) max_record_kib: u32,
}

/// A reshard that was asked for.
#[derive(Clone, Copy, Debug)]
enum Change {
    Split { shard: u32, at: HashKey },
    Merge { shard: u32, adjacent: u32 },
}

#[derive(Clone, Copy, Debug)]
enum Life {
    Creating { until_millis: u64 },
    Active,
    Updating { until_millis: u64, change: Option<Change> },
    Deleting { until_millis: u64 },
}

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) arn: StreamArn,
    pub(super) created_millis: u64,
    pub(super) mode: StreamMode,
    pub(super) max_record_kib: u32,
    pub(super) retention_hours: u64,
    /// The index of the next record: one count for all shards.
    pub(super) next_index: u64,
    life: Life,
    shards: BTreeMap<u32, Shard>,
    open_by_range: BTreeMap<HashKey, u32>,
    /// Closed shards in the order in which retention will remove them.
    closed: VecDeque<u32>,
    next_shard: u32,
}

impl Stream {
    pub(super) fn create(
        arn: StreamArn,
        options: &StreamOptions,
        created_millis: u64,
        shards_created_secs: u64,
        creating: Duration,
    ) -> Self {
        let mut stream = Self {
            arn,
            created_millis,
            mode: options.mode,
            max_record_kib: options.max_record_kib,
            retention_hours: DEFAULT_RETENTION_HOURS,
            next_index: 1,
            life: Life::Creating { until_millis: due(created_millis, creating) },
            shards: BTreeMap::new(),
            open_by_range: BTreeMap::new(),
            closed: VecDeque::new(),
            next_shard: 0,
        };
        for range in HashKeyRange::uniform(options.shards) {
            stream.open_shard(range, Parents::default(), created_millis, shards_created_secs);
        }
        stream.settle(created_millis);
        stream
    }

    pub(super) const fn name(&self) -> &StreamName {
        self.arn.name()
    }

    pub(super) fn created_at(&self) -> SystemTime {
        from_unix_millis(self.created_millis)
    }

    pub(super) const fn status(&self) -> StreamStatus {
        match self.life {
            Life::Creating { .. } => StreamStatus::Creating,
            Life::Active => StreamStatus::Active,
            Life::Updating { .. } => StreamStatus::Updating,
            Life::Deleting { .. } => StreamStatus::Deleting,
        }
    }

    /// Whether records can be put and read.
    pub(super) const fn is_usable(&self) -> bool {
        matches!(self.life, Life::Active | Life::Updating { .. })
    }

    /// Carries out what is due; `false` when the stream is gone.
    pub(super) fn settle(&mut self, now_millis: u64) -> bool {
        match self.life {
            Life::Creating { until_millis } if until_millis <= now_millis => self.life = Life::Active,
            Life::Updating { until_millis, change } if until_millis <= now_millis => {
                self.life = Life::Active;
                if let Some(change) = change {
                    self.apply(change, until_millis);
                }
            }
            Life::Deleting { until_millis } if until_millis <= now_millis => return false,
            _ => {}
        }
        self.forget_expired_shards(now_millis);
        true
    }

    pub(super) fn delete(&mut self, now_millis: u64, deleting: Duration) -> bool {
        self.life = Life::Deleting { until_millis: due(now_millis, deleting) };
        self.settle(now_millis)
    }

    pub(super) fn require_active(&self) -> Result<(), ServiceError> {
        let (name, account, status) = (self.name(), self.arn.account(), self.status());
        if status == StreamStatus::Active {
            return Ok(());
        }
        let status = status.as_str();
        Err(ServiceError::in_use(format!(
            "Stream {name} under account {account} not ACTIVE, instead in state {status}"
        )))
    }

    /// The time until which retention has removed everything.
    pub(super) const fn horizon_millis(&self, now_millis: u64) -> u64 {
        now_millis.saturating_sub(self.retention_hours * 3_600_000)
    }

    fn forget_expired_shards(&mut self, now_millis: u64) {
        let horizon = self.horizon_millis(now_millis);
        while let Some(index) = self.closed.front() {
            if self.shards.get(index).is_some_and(|shard| shard.lasted_until(horizon + 1)) {
                break;
            }
            self.shards.remove(index);
            self.closed.pop_front();
        }
    }

    pub(super) fn shards(&self) -> impl Iterator<Item = &Shard> {
        self.shards.values()
    }

    pub(super) fn shards_after(&self, index: Option<u32>) -> impl Iterator<Item = &Shard> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.shards.range((index.map_or(Unbounded, Excluded), Unbounded)).map(|(_, shard)| shard)
    }

    pub(super) fn shard(&self, index: u32) -> Option<&Shard> {
        self.shards.get(&index)
    }

    pub(super) fn shard_mut(&mut self, index: u32) -> Option<&mut Shard> {
        self.shards.get_mut(&index)
    }

    pub(super) fn open_shard_count(&self) -> usize {
        self.open_by_range.len()
    }

    pub(super) fn describe_shards(&self) -> Vec<ShardDescription> {
        self.shards().map(Shard::describe).collect()
    }

    /// The open shard that takes `key`.
    pub(super) fn shard_of(&self, key: HashKey) -> Option<u32> {
        self.open_by_range.range(..=key).next_back().map(|(_, index)| *index)
    }

    /// The existing shard that an id names.
    pub(super) fn find_shard(&self, id: &str) -> Option<&Shard> {
        let index = id.parse::<ShardId>().ok()?.index()?;
        self.shards.get(&u32::try_from(index).ok()?)
    }

    fn shard_to_reshard(&self, id: &str) -> Result<&Shard, ServiceError> {
        self.find_shard(id).ok_or_else(|| {
            let (name, account) = (self.name(), self.arn.account());
            ServiceError::not_found(format!("Could not find shard {id} in stream {name} under account {account}."))
        })
    }

    fn require_open(&self, shard: &Shard) -> Result<(), ServiceError> {
        if shard.is_open() {
            return Ok(());
        }
        let (id, name, account) = (&shard.id, self.name(), self.arn.account());
        Err(ServiceError::invalid_argument(format!(
            "Shard {id} in stream {name} under account {account} has already been merged or split, and thus is not \
             eligible for merging or splitting."
        )))
    }

    /// Splits a shard where `at` begins the upper child, or in the middle; returns the children's ids.
    pub(super) fn split(
        &mut self,
        id: &str,
        at: Option<HashKey>,
        now_millis: u64,
        updating: Duration,
    ) -> Result<[ShardId; 2], ServiceError> {
        let shard = self.shard_to_reshard(id)?;
        let range = shard.range;
        // The midpoint belongs to the lower half.
        let at = at.unwrap_or_else(|| HashKey::new(range.midpoint().value().saturating_add(1)));
        if at.value() <= range.start().value().saturating_add(1) || at >= range.end() {
            let (name, account, id) = (self.name(), self.arn.account(), &shard.id);
            let (start, end) = (range.start(), range.end());
            return Err(ServiceError::invalid_argument(format!(
                "NewStartingHashKey {at} used in SplitShard() on shard {id} in stream {name} under account {account} \
                 is not both greater than one plus the shard's StartingHashKey {start} and less than the shard's \
                 EndingHashKey {end}."
            )));
        }
        self.require_open(shard)?;
        let shard = shard.index;
        self.require_active()?;
        let children = [self.next_shard, self.next_shard + 1].map(|index| ShardId::from_index(u64::from(index)));
        self.begin_update(Some(Change::Split { shard, at }), now_millis, updating);
        Ok(children)
    }

    /// Merges two adjacent shards; returns the child's id.
    pub(super) fn merge(
        &mut self,
        id: &str,
        adjacent_id: &str,
        now_millis: u64,
        updating: Duration,
    ) -> Result<ShardId, ServiceError> {
        let (shard, adjacent) = (self.shard_to_reshard(id)?, self.shard_to_reshard(adjacent_id)?);
        if shard.range.merge(&adjacent.range).is_none() {
            let (name, account) = (self.name(), self.arn.account());
            return Err(ServiceError::invalid_argument(format!(
                "Shards {} and {} in stream {name} under account {account} are not an adjacent pair of shards eligible \
                 for merging",
                shard.id, adjacent.id
            )));
        }
        self.require_open(shard)?;
        self.require_open(adjacent)?;
        let (shard, adjacent) = (shard.index, adjacent.index);
        self.require_active()?;
        let child = ShardId::from_index(u64::from(self.next_shard));
        self.begin_update(Some(Change::Merge { shard, adjacent }), now_millis, updating);
        Ok(child)
    }

    fn begin_update(&mut self, change: Option<Change>, now_millis: u64, updating: Duration) {
        self.life = Life::Updating { until_millis: due(now_millis, updating), change };
        self.settle(now_millis);
    }

    fn apply(&mut self, change: Change, at_millis: u64) {
        let (parents, ranges, ids) = match change {
            Change::Split { shard, at } => {
                let Some(parent) = self.shards.get(&shard) else { return };
                let Some((low, high)) = parent.range.split(at) else { return };
                let ids = Parents { parent: Some(parent.id.clone()), adjacent: None };
                (vec![shard], vec![low, high], ids)
            }
            Change::Merge { shard, adjacent } => {
                let (Some(parent), Some(other)) = (self.shards.get(&shard), self.shards.get(&adjacent)) else {
                    return;
                };
                let Some(range) = parent.range.merge(&other.range) else { return };
                let ids = Parents { parent: Some(parent.id.clone()), adjacent: Some(other.id.clone()) };
                (vec![shard, adjacent], vec![range], ids)
            }
        };
        let children: Vec<u32> = (self.next_shard..).take(ranges.len()).collect();
        let mut created_secs = at_millis / 1000 + 1;
        for parent in parents {
            if let Some(shard) = self.shards.get_mut(&parent) {
                created_secs = created_secs.max(shard.created_secs + 1);
                self.open_by_range.remove(&shard.range.start());
                self.closed.push_back(parent);
                shard.closed = Some(Closed { at_millis, children: children.clone() });
            }
        }
        for range in ranges {
            self.open_shard(range, ids.clone(), at_millis, created_secs);
        }
    }

    fn open_shard(&mut self, range: HashKeyRange, parents: Parents, created_millis: u64, created_secs: u64) {
        let index = self.next_shard;
        self.next_shard += 1;
        self.open_by_range.insert(range.start(), index);
        self.shards.insert(index, Shard::open(index, range, parents, created_millis, created_secs));
    }

    /// Sets the retention; `longer` says which of the two operations asks.
    pub(super) fn set_retention(
        &mut self,
        hours: u64,
        longer: bool,
        now_millis: u64,
        updating: Duration,
    ) -> Result<(), ServiceError> {
        let (name, existing) = (self.name(), self.retention_hours);
        let refusal = if hours < MIN_RETENTION_HOURS {
            Some(format!(
                "Minimum allowed retention period is {MIN_RETENTION_HOURS} hours. Requested retention period ({hours} \
                 hours) is too short."
            ))
        } else if hours > MAX_RETENTION_HOURS {
            Some(format!(
                "Maximum allowed retention period is {MAX_RETENTION_HOURS} hours. Requested retention period ({hours} \
                 hours) is too long."
            ))
        } else if longer && hours < existing {
            Some(format!(
                "Requested retention period ({hours} hours) for stream {name} can not be shorter than existing \
                 retention period ({existing} hours). Use DecreaseRetentionPeriod API."
            ))
        } else if !longer && hours > existing {
            Some(format!(
                "Requested retention period ({hours} hours) for stream {name} can not be longer than existing \
                 retention period ({existing} hours). Use IncreaseRetentionPeriod API."
            ))
        } else {
            None
        };
        if let Some(refusal) = refusal {
            return Err(ServiceError::invalid_argument(refusal));
        }
        self.require_active()?;
        self.retention_hours = hours;
        self.begin_update(None, now_millis, updating);
        Ok(())
    }

    pub(super) fn set_max_record_kib(
        &mut self,
        kib: u32,
        now_millis: u64,
        updating: Duration,
    ) -> Result<(), ServiceError> {
        self.require_active()?;
        self.max_record_kib = kib;
        self.begin_update(None, now_millis, updating);
        Ok(())
    }

    /// The records and bytes that the stream holds.
    pub(super) fn stored(&self) -> (u64, u64) {
        self.shards()
            .fold((0, 0), |(records, bytes), shard| (records + shard.log.len() as u64, bytes + shard.log.size_bytes()))
    }

    /// The highest second that any of the stream's sequence numbers carries as its shard's creation.
    pub(super) fn newest_created_secs(&self) -> u64 {
        self.shards().map(|shard| shard.created_secs).max().unwrap_or_default()
    }
}

fn due(now_millis: u64, delay: Duration) -> u64 {
    now_millis.saturating_add(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX))
}
