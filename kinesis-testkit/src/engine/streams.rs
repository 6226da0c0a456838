//! One stream: its life, its shards, where its records go.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kinesis_core::{HashKey, HashKeyRange, Shard as ShardDescription, StreamArn, StreamName, from_unix_millis};
use serde::{Deserialize, Serialize};

use super::consumers::Consumers;
use super::error::ServiceError;
use super::place::Place;
use super::saved::text;
use super::settings::{DEFAULT_MAX_RECORD_KIB, Distribution, Histories, StreamMode, StreamSettings, WarmThroughput};
use super::shards::{Parents, Shard};
use super::tags::Tags;

/// How many shards an on-demand stream begins with (AWS developer guide).
pub(crate) const ON_DEMAND_SHARDS: u32 = 4;

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

/// What a new stream is made of.
#[derive(Clone, Debug)]
pub(crate) struct StreamOptions {
    pub(crate) shards: u32,
    pub(crate) mode: StreamMode,
    pub(crate) max_record_kib: u32,
    pub(crate) distribution: Distribution,
    pub(crate) warm_mibps: Option<u32>,
    pub(crate) tags: BTreeMap<String, String>,
}

impl StreamOptions {
    /// An on-demand stream with all else as the service has it.
    pub(crate) const fn on_demand() -> Self {
        let mut options = Self::provisioned(ON_DEMAND_SHARDS);
        options.mode = StreamMode::OnDemand;
        options
    }

    /// A provisioned stream with all else as the service has it.
    pub(crate) const fn provisioned(shards: u32) -> Self {
        Self {
            shards,
            mode: StreamMode::Provisioned,
            max_record_kib: DEFAULT_MAX_RECORD_KIB,
            distribution: Distribution::UserPartitionKey,
            warm_mibps: None,
            tags: BTreeMap::new(),
        }
    }
}

/// What is done to a stream when its update ends.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) enum Change {
    Split {
        shard: u32,
        #[serde(with = "text")]
        at: HashKey,
    },
    Merge {
        shard: u32,
        adjacent: u32,
    },
    Scale {
        shards: u32,
    },
    /// New settings, and as many shards as they need.
    Settings {
        settings: Box<StreamSettings>,
        shards: Option<u32>,
    },
}

#[derive(Clone, Debug, Deserialize, Serialize)]
enum Life {
    Creating { until_millis: u64 },
    Active,
    Updating { until_millis: u64, change: Change },
    Deleting { until_millis: u64 },
}

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Stream {
    #[serde(with = "text")]
    pub(super) arn: StreamArn,
    /// What keeps its tokens out of other places.
    #[serde(skip)]
    pub(super) secret: Arc<str>,
    pub(super) created_millis: u64,
    pub(super) settings: StreamSettings,
    pub(super) histories: Histories,
    pub(super) tags: Tags,
    pub(super) policy: Option<String>,
    pub(super) consumers: Consumers,
    /// The index of the next record: one count for all shards.
    pub(super) next_index: u64,
    /// The number of the next subscription.
    pub(super) next_subscription: u64,
    life: Life,
    /// Whether it has ever been active.
    born: bool,
    pub(super) shards: BTreeMap<u32, Shard>,
    /// Made again of the shards when it comes back.
    #[serde(skip)]
    pub(super) open_by_range: BTreeMap<HashKey, u32>,
    /// Closed shards in the order in which retention will remove them.
    pub(super) closed: VecDeque<u32>,
    pub(super) next_shard: u32,
    /// Where the horizon is at least: it was moved there by hand, or stood there when the retention became longer.
    kept_from_millis: u64,
    /// Whose turn it is where records are distributed evenly.
    pub(super) next_turn: usize,
    /// When an on-demand stream was last made larger for its load.
    pub(super) grown_millis: u64,
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
            secret: Place::new(arn.account(), arn.region()).secret(),
            arn,
            created_millis,
            settings: StreamSettings::new(
                options.mode,
                options.distribution,
                options.max_record_kib,
                options.warm_mibps.map(WarmThroughput::reached),
            ),
            histories: Histories::default(),
            tags: Tags::new(options.tags.clone()),
            policy: None,
            consumers: Consumers::default(),
            next_index: 1,
            next_subscription: 0,
            life: Life::Creating { until_millis: due(created_millis, creating) },
            born: false,
            shards: BTreeMap::new(),
            open_by_range: BTreeMap::new(),
            closed: VecDeque::new(),
            next_shard: 0,
            kept_from_millis: 0,
            next_turn: 0,
            grown_millis: 0,
        };
        for range in HashKeyRange::uniform(options.shards) {
            stream.open_shard(range, Parents::default(), created_millis, shards_created_secs);
        }
        stream.settle(created_millis);
        stream
    }

    /// Makes what is not saved of a stream, but for its records.
    pub(super) fn complete(&mut self, secret: Arc<str>) {
        self.secret = secret;
        let open = self.shards.values().filter(|shard| shard.is_open());
        self.open_by_range = open.map(|shard| (shard.range.start(), shard.index)).collect();
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
        match &self.life {
            Life::Creating { until_millis } if *until_millis <= now_millis => {
                self.life = Life::Active;
                self.born = true;
            }
            Life::Updating { until_millis, .. } if *until_millis <= now_millis => {
                let until_millis = *until_millis;
                if let Life::Updating { change, .. } = std::mem::replace(&mut self.life, Life::Active) {
                    // A stream may be dated a moment ahead, so that it is told from an earlier one of its name.
                    self.apply(change, until_millis.max(self.created_millis));
                }
            }
            Life::Deleting { until_millis } if *until_millis <= now_millis => return false,
            _ => {}
        }
        self.consumers.settle(now_millis);
        self.forget_shards_closed_before(self.kept_from_millis(now_millis));
        true
    }

    pub(super) fn delete(&mut self, now_millis: u64, deleting: Duration) -> bool {
        // Asking again does not prolong it.
        if !matches!(self.life, Life::Deleting { .. }) {
            self.life = Life::Deleting { until_millis: due(now_millis, deleting) };
            self.wake_all();
        }
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

    /// The time before which retention has removed everything.
    pub(super) fn kept_from_millis(&self, now_millis: u64) -> u64 {
        let retention_millis = self.settings.retention_hours * 3_600_000;
        // What arrived a whole retention ago is gone.
        now_millis.saturating_add(1).saturating_sub(retention_millis).max(self.kept_from_millis)
    }

    /// Removes by hand what arrived before `millis`, and the shards that closed before it.
    ///
    /// What comes later is kept, in this millisecond too.
    pub(super) fn trim_before(&mut self, millis: u64, now_millis: u64) {
        self.kept_from_millis = self.kept_from_millis.max(millis.min(now_millis));
        self.forget_shards_closed_before(millis);
        for shard in self.shards.values_mut() {
            shard.log.trim_before(millis);
        }
    }

    /// Lets the horizon never go back behind where it is now.
    pub(super) fn keep_horizon(&mut self, now_millis: u64) {
        self.kept_from_millis = self.kept_from_millis(now_millis);
    }

    fn forget_shards_closed_before(&mut self, millis: u64) {
        while let Some(index) = self.closed.front() {
            if self.shards.get(index).is_some_and(|shard| shard.lasted_until(millis)) {
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

    /// The open shards that clients are told of: none before the stream has been active.
    pub(super) fn shown_open_shards(&self) -> usize {
        if self.born { self.open_shard_count() } else { 0 }
    }

    /// Whether it has ever been active: before that it shows no shards.
    pub(super) const fn is_born(&self) -> bool {
        self.born
    }

    pub(super) fn describe_shards(&self) -> Vec<ShardDescription> {
        self.shards().map(Shard::describe).collect()
    }

    /// The open shard that takes `key`.
    pub(super) fn shard_of(&self, key: HashKey) -> Option<u32> {
        self.open_by_range.range(..=key).next_back().map(|(_, index)| *index)
    }

    /// The open shard whose turn it is.
    pub(super) fn shard_by_turn(&self, turn: usize) -> Option<u32> {
        self.open_by_range.values().nth(turn % self.open_by_range.len().max(1)).copied()
    }

    /// Starts an update whose change holds when it ends.
    pub(super) fn begin_update(&mut self, change: Change, now_millis: u64, updating: Duration) {
        self.life = Life::Updating { until_millis: due(now_millis, updating), change };
        self.wake_all();
        self.settle(now_millis);
    }

    /// When an update ends, if there is one.
    pub(super) const fn changes_at_millis(&self) -> Option<u64> {
        match self.life {
            Life::Updating { until_millis, .. } => Some(until_millis),
            _ => None,
        }
    }

    /// Wakes everybody who waits for one of the shards.
    pub(super) fn wake_all(&mut self) {
        for shard in self.shards.values_mut() {
            shard.waiting.wake();
        }
    }

    pub(super) fn open_shard(&mut self, range: HashKeyRange, parents: Parents, created_millis: u64, created_secs: u64) {
        let index = self.next_shard;
        self.next_shard += 1;
        self.open_by_range.insert(range.start(), index);
        self.shards.insert(index, Shard::open(index, range, parents, created_millis, created_secs));
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

pub(super) fn due(now_millis: u64, delay: Duration) -> u64 {
    now_millis.saturating_add(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX))
}
