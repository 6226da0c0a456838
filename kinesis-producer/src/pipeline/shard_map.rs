//! Which shard a hash key belongs to, and which hash keys a shard takes.

use std::collections::BTreeMap;
use std::time::Duration;

use kinesis_core::{HashKey, HashKeyRange, Shard, ShardId};
use tokio::time::Instant;

/// A shard that takes records; or a whole stream, where the service distributes records by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Route {
    /// The shard; nothing for a whole stream.
    pub(crate) shard: Option<ShardId>,
    /// The hash keys that it takes.
    pub(crate) range: HashKeyRange,
    /// How many shards it stands for.
    pub(crate) weight: usize,
}

/// The shards of a stream at one time.
#[derive(Clone, Debug)]
pub(crate) struct ShardMap {
    /// The open shards, by the end of their ranges.
    routes: Vec<Route>,
    /// The ranges of all shards, the closed ones too; a shard never changes its range.
    ranges: BTreeMap<ShardId, HashKeyRange>,
}

impl ShardMap {
    /// Makes the map of a complete listing; nothing where no shard is open.
    pub(crate) fn new(shards: &[Shard], by_partition_key: bool) -> Option<Self> {
        let open = open_shards(shards);
        let mut routes: Vec<_> = if by_partition_key {
            let route =
                |shard: &&Shard| Route { shard: Some(shard.id.clone()), range: shard.hash_key_range, weight: 1 };
            open.iter().map(route).collect()
        } else {
            let weight = open.len();
            let whole = Route { shard: None, range: HashKeyRange::FULL, weight };
            if open.is_empty() { Vec::new() } else { vec![whole] }
        };
        routes.sort_by_key(|route| route.range.end());
        let ranges = shards.iter().map(|shard| (shard.id.clone(), shard.hash_key_range)).collect();
        (!routes.is_empty()).then_some(Self { routes, ranges })
    }

    /// The routes, by the end of their ranges.
    pub(crate) fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// The index of the route that a hash key takes: the first that ends at or after it.
    pub(crate) fn predict(&self, key: HashKey) -> usize {
        let index = self.routes.partition_point(|route| route.range.end() < key);
        index.min(self.routes.len() - 1)
    }

    /// The hash keys of a shard, where it is known.
    pub(crate) fn range_of(&self, shard: &ShardId) -> Option<HashKeyRange> {
        self.ranges.get(shard).copied()
    }
}

/// The shards that take records: once each, and of those that overlap the newest.
///
/// A listing of several pages may be read while a shard is split, so that it has the parent as open and its children, too.
fn open_shards(shards: &[Shard]) -> Vec<&Shard> {
    let mut newest_first: Vec<_> = shards.iter().filter(|shard| shard.is_open()).collect();
    newest_first.sort_by(|one, other| {
        let age = |shard: &Shard| (shard.starting_sequence_number, shard.id.index());
        age(other).cmp(&age(one))
    });
    let mut by_start = BTreeMap::<HashKey, &Shard>::new();
    for shard in newest_first {
        let range = shard.hash_key_range;
        let before = by_start.range(..=range.end()).next_back();
        if before.is_none_or(|(_, newer)| !newer.hash_key_range.overlaps(&range)) {
            by_start.insert(range.start(), shard);
        }
    }
    by_start.into_values().collect()
}

/// The shortest time between two readings of a map.
const MIN_SPACING: Duration = Duration::from_millis(200);

/// When a stream's map is read again; until then, and while it is read, the old one serves.
#[derive(Clone, Debug)]
pub(crate) struct MapRefresh {
    read_at: Instant,
    wanted: bool,
    /// Whether the stream's limit and mode are to be read, too.
    describes: bool,
    running: bool,
    running_describes: bool,
    /// Whether the map may be that of another stream, of the same name and gone.
    doubted: bool,
    /// Whether the reading that is on its way began after the doubt.
    settles_doubt: bool,
    /// How many readings have begun.
    readings: u64,
}

impl MapRefresh {
    /// Starts with a map that was just read.
    pub(crate) const fn new(now: Instant) -> Self {
        Self {
            read_at: now,
            wanted: false,
            describes: false,
            running: false,
            running_describes: false,
            doubted: false,
            settles_doubt: false,
            readings: 0,
        }
    }

    /// Asks for a new map because of what a request made at `seen_at` showed; one that is newer, or on its way, will do.
    pub(crate) fn request(&mut self, seen_at: Instant) {
        let is_on_its_way = self.running && self.running_describes;
        if !is_on_its_way && seen_at >= self.read_at {
            (self.wanted, self.describes) = (true, true);
        }
    }

    /// Asks for the shards alone, and trusts the map no longer until a reading from now on has come.
    pub(crate) fn doubt(&mut self) {
        (self.wanted, self.doubted, self.settles_doubt) = (true, true, false);
    }

    /// Whether the map may be that of another stream.
    pub(crate) const fn is_doubted(&self) -> bool {
        self.doubted
    }

    /// Asks for a new map where the present one is that old.
    pub(crate) fn request_if_older(&mut self, age: Duration, now: Instant) {
        if now.saturating_duration_since(self.read_at) >= age {
            (self.wanted, self.describes) = (true, true);
        }
    }

    /// Asks for another reading after one that was of no use.
    pub(crate) fn request_again(&mut self) {
        self.wanted = true;
    }

    /// When to read, if that is wanted.
    pub(crate) fn due_at(&self) -> Option<Instant> {
        (self.wanted && !self.running).then(|| self.read_at + MIN_SPACING)
    }

    /// Whether a reading is on its way.
    pub(crate) const fn is_running(&self) -> bool {
        self.running
    }

    /// Takes note that a reading begins; whether it is to read the stream's limit and mode, too.
    pub(crate) fn start(&mut self) -> bool {
        (self.wanted, self.running, self.settles_doubt) = (false, true, true);
        self.readings += 1;
        self.running_describes = std::mem::take(&mut self.describes);
        self.running_describes
    }

    /// Takes note that the reading is over, well or not.
    pub(crate) fn finish(&mut self, now: Instant) {
        (self.read_at, self.running) = (now, false);
    }

    /// How many readings have begun; the latest is that of the present map, or on its way.
    pub(crate) const fn readings(&self) -> u64 {
        self.readings
    }

    /// Takes note that what was read is the map from now on.
    pub(crate) const fn settle(&mut self) {
        self.doubted &= !self.settles_doubt;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(index: u64, start: u128, end: u128, open: bool) -> Shard {
        Shard {
            id: ShardId::from_index(index),
            hash_key_range: HashKeyRange::new(start.into(), end.into()).unwrap(),
            parent: None,
            adjacent_parent: None,
            starting_sequence_number: 1.into(),
            ending_sequence_number: (!open).then(|| 2.into()),
        }
    }

    fn predicted(map: &ShardMap, key: u128) -> ShardId {
        map.routes()[map.predict(key.into())].shard.clone().unwrap()
    }

    #[test]
    fn keys_at_the_boundaries_belong_to_the_shard_that_ends_there() {
        // KPL, shard_map_test.cc: three shards, not in the order of their ranges.
        let (a, b) = (85070591730234615865843651857942052862, 170141183460469231731687303715884105727);
        let map =
            ShardMap::new(&[shard(1, b + 1, u128::MAX, true), shard(2, 0, a, true), shard(3, a + 1, b, true)], true)
                .unwrap();
        for (key, index) in [(b + 1, 1), (u128::MAX, 1), (0, 2), (a, 2), (a + 1, 3), (b, 3)] {
            assert_eq!(predicted(&map, key), ShardId::from_index(index), "{key}");
        }
    }

    #[test]
    fn a_listing_that_straddles_a_split_or_repeats_itself_has_each_hash_key_once() {
        let straddling = [shard(0, 0, 99, true), shard(1, 0, 49, true), shard(2, 50, 99, true), shard(2, 50, 99, true)];
        let map = ShardMap::new(&straddling, true).unwrap();
        let routes: Vec<_> = map.routes().iter().map(|route| route.shard.clone().unwrap()).collect();
        assert_eq!(routes, [ShardId::from_index(1), ShardId::from_index(2)], "the children, once each");
        assert!(map.range_of(&ShardId::from_index(0)).is_some(), "the parent's range is known all the same");
    }

    #[test]
    fn closed_shards_take_nothing_and_keep_their_ranges() {
        let map =
            ShardMap::new(&[shard(0, 0, 99, false), shard(1, 0, 49, true), shard(2, 50, 99, true)], true).unwrap();
        assert_eq!(predicted(&map, 49), ShardId::from_index(1));
        assert_eq!(predicted(&map, 50), ShardId::from_index(2));
        let parent = map.range_of(&ShardId::from_index(0)).unwrap();
        assert_eq!((parent.start().value(), parent.end().value()), (0, 99));
        assert_eq!(map.range_of(&ShardId::from_index(9)), None);
        assert!(ShardMap::new(&[shard(0, 0, 99, false)], true).is_none(), "nothing is open");
    }

    #[test]
    fn a_stream_without_partition_keys_is_one_route() {
        let map = ShardMap::new(&[shard(0, 0, 49, true), shard(1, 50, 99, true)], false).unwrap();
        let routes: Vec<_> = map.routes().iter().map(|route| (route.shard.clone(), route.weight)).collect();
        assert_eq!(routes, [(None, 2)]);
    }

    #[test]
    fn requests_older_than_the_map_do_not_refresh_it() {
        // KPL, shard_map_test.cc: a time before the last update is ignored, and many requests make one reading.
        let start = Instant::now();
        let mut refresh = MapRefresh::new(start + Duration::from_secs(15));
        refresh.request(start);
        assert_eq!(refresh.due_at(), None);
        let seen = start + Duration::from_secs(16);
        refresh.request(seen);
        refresh.request(seen);
        assert!(refresh.due_at().unwrap() < seen);
        refresh.start();
        assert_eq!(refresh.due_at(), None);
        refresh.finish(seen + Duration::from_secs(1));
        refresh.request(seen);
        assert_eq!(refresh.due_at(), None);
    }

    #[test]
    fn a_doubt_is_settled_by_a_reading_that_began_after_it() {
        let start = Instant::now();
        let mut refresh = MapRefresh::new(start);
        refresh.request_again();
        refresh.start();
        refresh.doubt();
        refresh.finish(start);
        refresh.settle();
        assert!(refresh.is_doubted() && refresh.due_at().is_some(), "that reading may be older than the change");
        assert!(!refresh.start(), "the shards alone");
        refresh.finish(start);
        refresh.settle();
        assert!(!refresh.is_doubted() && refresh.due_at().is_none());
    }

    #[test]
    fn an_old_map_is_refreshed_and_readings_are_spaced() {
        let start = Instant::now();
        let mut refresh = MapRefresh::new(start);
        let age = Duration::from_secs(600);
        refresh.request_if_older(age, start + age - Duration::from_millis(1));
        assert_eq!(refresh.due_at(), None);
        refresh.request_if_older(age, start + age);
        assert_eq!(refresh.due_at(), Some(start + MIN_SPACING));
    }
}
