//! How shards are made of shards: splits, merges, and whole streams made larger or smaller.

use std::collections::BTreeMap;
use std::time::Duration;

use kinesis_core::{HashKey, HashKeyRange, ShardId};

use super::error::ServiceError;
use super::settings::StreamMode;
use super::shards::{Closed, Parents, Shard};
use super::streams::{Change, Stream};

/// The most shards of a stream (API reference, UpdateShardCount).
const MAX_SHARDS: u32 = 10_000;
/// How long an on-demand stream rests before it grows again; the service does not say how long it does.
const GROWTH_PAUSE_MILLIS: u64 = 60_000;

/// What UpdateShardCount says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScaleReply {
    pub(crate) current: usize,
    pub(crate) target: u32,
}

impl Stream {
    /// The existing shard of an id.
    pub(super) fn find_shard(&self, id: &ShardId) -> Option<&Shard> {
        self.shards.get(&u32::try_from(id.index()?).ok()?)
    }

    fn shard_to_reshard(&self, id: &ShardId) -> Result<&Shard, ServiceError> {
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
        id: &ShardId,
        at: Option<&str>,
        now_millis: u64,
        updating: Duration,
    ) -> Result<[ShardId; 2], ServiceError> {
        self.require_reshardable("SplitShard")?;
        let shard = self.shard_to_reshard(id)?;
        let range = shard.range;
        // The midpoint belongs to the lower half.
        let middle = || HashKey::new(range.midpoint().value().saturating_add(1));
        let key = at.map_or_else(|| Some(middle()), |at| at.parse().ok());
        let inside = |key: &HashKey| key.value() > range.start().value().saturating_add(1) && *key < range.end();
        let Some(key) = key.filter(inside) else {
            let (name, account, id) = (self.name(), self.arn.account(), &shard.id);
            let (start, end, at) = (range.start(), range.end(), at.unwrap_or("of the middle"));
            return Err(ServiceError::invalid_argument(format!(
                "NewStartingHashKey {at} used in SplitShard() on shard {id} in stream {name} under account {account} \
                 is not both greater than one plus the shard's StartingHashKey {start} and less than the shard's \
                 EndingHashKey {end}."
            )));
        };
        self.require_open(shard)?;
        let shard = shard.index;
        let children = [self.next_shard, self.next_shard + 1].map(|index| ShardId::from_index(u64::from(index)));
        self.begin_update(Change::Split { shard, at: key }, now_millis, updating);
        Ok(children)
    }

    /// Merges two adjacent shards; returns the child's id.
    pub(super) fn merge(
        &mut self,
        id: &ShardId,
        adjacent_id: &ShardId,
        now_millis: u64,
        updating: Duration,
    ) -> Result<ShardId, ServiceError> {
        self.require_reshardable("MergeShards")?;
        let (shard, adjacent) = (self.shard_to_reshard(id)?, self.shard_to_reshard(adjacent_id)?);
        let in_order = shard.range.end() < adjacent.range.start();
        if !in_order || shard.range.merge(&adjacent.range).is_none() {
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
        let child = ShardId::from_index(u64::from(self.next_shard));
        self.begin_update(Change::Merge { shard, adjacent }, now_millis, updating);
        Ok(child)
    }

    /// Makes the stream as many equal shards as asked for.
    pub(super) fn scale(
        &mut self,
        target: u32,
        a_day: Option<u32>,
        now_millis: u64,
        updating: Duration,
    ) -> Result<ScaleReply, ServiceError> {
        self.require_provisioned("UpdateShardCount")?;
        let current = self.open_shard_count();
        let (open, asked) = (current as u64, u64::from(target));
        let refuse = |problem: &str| {
            Err(ServiceError::limit_exceeded(format!(
                "UpdateShardCount cannot {problem}. Current open shard count: {current} Target shard count: {target}"
            )))
        };
        if asked > 2 * open {
            return refuse("scale up over double your current open shard count");
        }
        if 2 * asked < open {
            return refuse("scale down below half your current open shard count");
        }
        if target > MAX_SHARDS {
            return refuse("scale to more than 10000 shards");
        }
        self.require_active()?;
        if !self.histories.scalings.admit(a_day, now_millis) {
            return Err(self.daily_limit("calls of UpdateShardCount"));
        }
        self.begin_update(Change::Scale { shards: target }, now_millis, updating);
        Ok(ScaleReply { current, target })
    }

    /// Splits a shard of an on-demand stream whose writes were throttled.
    ///
    /// The service grows such streams by rules of its own that it does not publish.
    pub(super) fn grow(&mut self, shard: u32, now_millis: u64, updating: Duration) {
        let rested = now_millis >= self.grown_millis.saturating_add(GROWTH_PAUSE_MILLIS);
        if self.settings.mode != StreamMode::OnDemand || !rested || self.require_active().is_err() {
            return;
        }
        let Some(at) = self.shard(shard).and_then(|shard| middle(&shard.range)) else { return };
        self.grown_millis = now_millis;
        self.begin_update(Change::Split { shard, at }, now_millis, updating);
    }

    /// Refuses a stream that cannot be resharded now, whatever its shards.
    pub(super) fn require_reshardable(&self, operation: &str) -> Result<(), ServiceError> {
        self.require_provisioned(operation)?;
        self.require_active()
    }

    fn require_provisioned(&self, operation: &str) -> Result<(), ServiceError> {
        if self.settings.mode == StreamMode::Provisioned {
            return Ok(());
        }
        let (name, account) = (self.name(), self.arn.account());
        Err(ServiceError::validation(format!(
            "{operation} is not supported for stream {name} under account {account}, which is in ON_DEMAND mode."
        )))
    }

    /// Carries out a change whose time has come.
    pub(super) fn apply(&mut self, change: Change, at_millis: u64) {
        match change {
            Change::Split { shard, at } => self.apply_split(shard, at, at_millis),
            Change::Merge { shard, adjacent } => self.apply_merge(shard, adjacent, at_millis),
            Change::Scale { shards } => self.apply_scale(shards, at_millis),
            Change::Settings { settings, shards } => {
                self.settings = *settings;
                if let Some(shards) = shards {
                    self.apply_scale(shards.min(MAX_SHARDS), at_millis);
                }
            }
        }
    }

    fn apply_split(&mut self, shard: u32, at: HashKey, at_millis: u64) {
        let Some(parent) = self.shard(shard) else { return };
        let Some((low, high)) = parent.range.split(at) else { return };
        let parents = Parents { parent: Some(parent.id.clone()), adjacent: None };
        self.replace(&[shard], &[low, high], &parents, at_millis);
    }

    fn apply_merge(&mut self, shard: u32, adjacent: u32, at_millis: u64) {
        let (Some(parent), Some(other)) = (self.shard(shard), self.shard(adjacent)) else { return };
        let Some(range) = parent.range.merge(&other.range) else { return };
        let parents = Parents { parent: Some(parent.id.clone()), adjacent: Some(other.id.clone()) };
        self.replace(&[shard, adjacent], &[range], &parents, at_millis);
    }

    /// Cuts the shards where the new ones begin, then merges what lies within one: some live for an instant alone, as
    /// the service says of its own (API reference, UpdateShardCount).
    fn apply_scale(&mut self, shards: u32, at_millis: u64) {
        let targets: BTreeMap<HashKey, HashKeyRange> =
            HashKeyRange::uniform(shards).into_iter().map(|range| (range.start(), range)).collect();
        for (start, _) in targets.iter().skip(1) {
            let Some(shard) = self.shard_of(*start) else { continue };
            let begins_here = self.shard(shard).is_some_and(|shard| shard.range.start() == *start);
            if !begins_here {
                self.apply_split(shard, *start, at_millis);
            }
        }
        for target in targets.values() {
            while let Some(shard) = self.shard_of(target.start()) {
                let end = self.shard(shard).map(|shard| shard.range.end());
                let Some(end) = end.filter(|end| *end < target.end()) else { break };
                let Some(adjacent) = self.shard_of(HashKey::new(end.value() + 1)) else { break };
                self.apply_merge(shard, adjacent, at_millis);
            }
        }
    }

    /// Closes shards and opens their children.
    fn replace(&mut self, closing: &[u32], ranges: &[HashKeyRange], parents: &Parents, at_millis: u64) {
        let children: Vec<u32> = (self.next_shard..).take(ranges.len()).collect();
        let mut created_secs = at_millis / 1000 + 1;
        for parent in closing {
            if let Some(shard) = self.shards.get_mut(parent) {
                created_secs = created_secs.max(shard.created_secs + 1);
                self.open_by_range.remove(&shard.range.start());
                self.closed.push_back(*parent);
                shard.closed = Some(Closed { at_millis, children: children.clone() });
            }
        }
        for range in ranges {
            self.open_shard(*range, parents.clone(), at_millis, created_secs);
        }
    }
}

/// Where a range is split in two halves; the midpoint belongs to the lower one.
fn middle(range: &HashKeyRange) -> Option<HashKey> {
    let at = HashKey::new(range.midpoint().value().saturating_add(1));
    (at > range.start() && at <= range.end()).then_some(at)
}

#[cfg(test)]
mod tests {
    use kinesis_core::StreamArn;

    use super::super::streams::StreamOptions;
    use super::*;

    const T: u64 = 1_700_000_000_000;

    fn stream(shards: u32) -> Stream {
        let arn = StreamArn::new("us-east-1", "123456789012", &"orders".parse().unwrap()).unwrap();
        Stream::create(arn, &StreamOptions::provisioned(shards), T, T / 1000 - 2, Duration::ZERO)
    }

    fn open_ranges(stream: &Stream) -> Vec<HashKeyRange> {
        let mut ranges: Vec<_> = stream.shards().filter(|it| it.is_open()).map(|it| it.range).collect();
        ranges.sort_by_key(HashKeyRange::start);
        ranges
    }

    #[test]
    fn a_stream_is_scaled_to_equal_shards_whatever_it_was_before() {
        for (from, to) in [(1, 2), (2, 3), (3, 2), (4, 7), (7, 4), (5, 5), (8, 4), (3, 6)] {
            let mut stream = stream(from);
            let reply = stream.scale(to, None, T + 1, Duration::ZERO).unwrap();
            assert_eq!((reply.current, reply.target), (from as usize, to));
            assert_eq!(open_ranges(&stream), HashKeyRange::uniform(to), "{from} to {to}");
        }
    }

    #[test]
    fn an_uneven_stream_becomes_even() {
        let mut stream = stream(1);
        stream.split(&ShardId::from_index(0), Some("7"), T, Duration::ZERO).unwrap();
        stream.split(&ShardId::from_index(2), Some(&(u128::MAX - 9).to_string()), T, Duration::ZERO).unwrap();
        stream.scale(4, None, T, Duration::ZERO).unwrap();
        assert_eq!(open_ranges(&stream), HashKeyRange::uniform(4));
    }

    #[test]
    fn doubling_splits_each_shard_once_and_halving_merges_pairs() {
        let mut stream = stream(2);
        stream.scale(4, None, T, Duration::ZERO).unwrap();
        assert_eq!(stream.shards().count(), 6);
        stream.scale(2, None, T, Duration::ZERO).unwrap();
        assert_eq!(stream.shards().count(), 8);
        let parents = stream.shards().last().map(|it| (it.parents.parent.clone(), it.parents.adjacent.clone()));
        let id = |index| Some(ShardId::from_index(index));
        assert_eq!(parents, Some((id(4), id(5))));
    }

    #[test]
    fn more_than_double_and_less_than_half_are_refused_and_so_is_the_eleventh_time() {
        let mut stream = stream(3);
        let code = |result: Result<ScaleReply, ServiceError>| result.unwrap_err().code().to_owned();
        assert_eq!(code(stream.scale(7, None, T, Duration::ZERO)), "LimitExceededException");
        assert_eq!(code(stream.scale(1, None, T, Duration::ZERO)), "LimitExceededException");
        for _ in 0..10 {
            stream.scale(3, Some(10), T, Duration::ZERO).unwrap();
        }
        assert_eq!(code(stream.scale(3, Some(10), T, Duration::ZERO)), "LimitExceededException");
        stream.scale(3, Some(10), T + 24 * 3_600_000, Duration::ZERO).unwrap();
    }
}
