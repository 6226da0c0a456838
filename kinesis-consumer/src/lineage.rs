//! The shards of a stream, their parents, and what may be read when.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use bytes::Bytes;
use kinesis_core::{HashKey, Shard, ShardId};

use crate::position::ShardPosition;

mod coverage;
mod kinship;

use coverage::Coverage;
use kinship::Kinship;

/// A finished shard leaves the state after it was absent from so many complete listings in a row.
const ABSENT_LISTINGS: u32 = 2;

/// What is saved of a shard that was begun.
#[derive(Clone, Debug, PartialEq)]
pub struct ShardProgress {
    /// How far the shard was read.
    pub position: ShardPosition,
    /// The processor's state; empty for a finished shard whose children have all begun.
    pub user_state: Bytes,
    /// The event time that the shard had reached.
    pub watermark: Option<SystemTime>,
}

#[derive(Clone, Debug)]
struct Node {
    shard: Shard,
    /// Nothing until the shard is begun; "waiting" and "finished" are derived from it, never stored.
    progress: Option<ShardProgress>,
    start: ShardPosition,
    owed_since: SystemTime,
    absent: u32,
}

impl Node {
    fn is_ended(&self) -> bool {
        self.progress.as_ref().is_some_and(|progress| progress.position.is_ended())
    }

    fn position(&self) -> ShardPosition {
        self.progress.as_ref().map_or(self.start, |progress| progress.position)
    }

    /// From when on records of the shard may be unread; nothing where it goes on at its last record.
    ///
    /// Whether that record comes back tells more than any time.
    fn unread_since(&self) -> Option<SystemTime> {
        let position = self.position();
        match (position.not_before(), position.last()) {
            (None, Some(_)) => None,
            (time, _) => Some(time.map_or(self.owed_since, |time| time.max(self.owed_since))),
        }
    }
}

/// A shard that can be begun now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Startable {
    pub(crate) shard: Shard,
    pub(crate) position: ShardPosition,
    /// From when on records of it may be unread, by the service's clock; nothing where it goes on at its last record.
    pub(crate) unread_since: Option<SystemTime>,
    /// Its own state after a restart, or its parents' final states, in the order of their ranges.
    pub(crate) states: Vec<(Shard, Bytes)>,
}

/// What a checkpoint holds of a shard.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) shard: &'a Shard,
    /// Where it begins, or began.
    pub(crate) start: ShardPosition,
    /// What arrives in it from then on is to be read, by the service's clock.
    pub(crate) owed_since: SystemTime,
    pub(crate) progress: Option<ShardProgress>,
}

/// What a complete listing changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ListingChanges {
    /// Shards seen for the first time.
    pub(crate) discovered: Vec<ShardId>,
    /// Unfinished shards that the service no longer lists: their remaining records are gone.
    pub(crate) lost: Vec<ShardId>,
    /// Finished shards that were forgotten.
    pub(crate) pruned: Vec<ShardId>,
}

/// The lineage of one stream: which shards are known, how far each was read, and which may begin.
#[derive(Clone, Debug)]
pub(crate) struct ShardGraph {
    /// Where shards without a parent in the state begin.
    start: ShardPosition,
    nodes: BTreeMap<ShardId, Node>,
    /// The known children of every parent, known or not.
    children: BTreeMap<ShardId, BTreeSet<ShardId>>,
    /// When the last complete listing was asked for, or the job began, by the service's clock: what is first seen in the
    /// next one held nothing before.
    listed_at: SystemTime,
    /// Whether the stream is kept in the checkpoints and not read.
    is_dormant: bool,
}

impl ShardGraph {
    /// The lineage of a stream that is read from `start` on, and of which nothing is owed before `owed_since`.
    pub(crate) const fn new(start: ShardPosition, owed_since: SystemTime) -> Self {
        Self { start, nodes: BTreeMap::new(), children: BTreeMap::new(), listed_at: owed_since, is_dormant: false }
    }

    /// Keeps every shard as it is: none is begun, none is waited for, and all stay in the checkpoints.
    pub(crate) const fn make_dormant(&mut self) {
        self.is_dormant = true;
    }

    /// Puts back a shard of a checkpoint.
    pub(crate) fn restore(&mut self, entry: &Entry<'_>) {
        let Entry { shard, start, owed_since, progress } = entry;
        let (shard, progress) = (Shard::clone(shard), progress.clone());
        self.insert(Node { shard, progress, start: *start, owed_since: *owed_since, absent: 0 });
    }

    fn insert(&mut self, node: Node) {
        for parent in node.shard.parents() {
            self.children.entry(parent.clone()).or_default().insert(node.shard.id.clone());
        }
        self.nodes.insert(node.shard.id.clone(), node);
    }

    fn remove(&mut self, id: &ShardId) {
        let Some(node) = self.nodes.remove(id) else { return };
        for parent in node.shard.parents() {
            if let Some(children) = self.children.get_mut(parent) {
                children.remove(id);
                if children.is_empty() {
                    self.children.remove(parent);
                }
            }
        }
    }

    /// Takes in a complete listing, asked for at `listed_at`; a partial one must never come here.
    pub(crate) fn observe(&mut self, listing: Vec<Shard>, listed_at: SystemTime) -> ListingChanges {
        let before = cfg!(debug_assertions).then(|| self.covered());
        let listed: BTreeMap<ShardId, Shard> = listing.into_iter().map(|shard| (shard.id.clone(), shard)).collect();
        let mut changes = ListingChanges::default();
        self.note_absent(&listed, &mut changes);
        self.take_in_new(&listed, &mut changes);
        for (id, shard) in listed {
            if let Some(node) = self.nodes.get_mut(&id) {
                // Closing is the one change that a known shard goes through.
                node.shard.ending_sequence_number = shard.ending_sequence_number;
                node.absent = 0;
            }
        }
        changes.pruned.iter().for_each(|id| self.remove(id));
        self.listed_at = self.listed_at.max(listed_at);
        let keeps_all = before.is_none_or(|before| self.covered().holds_all(&before));
        debug_assert!(keeps_all, "a listing made hash keys fall out of {self:?}");
        changes
    }

    /// Takes in the shards that were not known; an ancestor of one that was known was dealt with long ago.
    fn take_in_new(&mut self, listed: &BTreeMap<ShardId, Shard>, changes: &mut ListingChanges) {
        if listed.keys().all(|id| self.nodes.contains_key(id)) {
            return;
        }
        let kinship = Kinship::of(self.nodes.values().map(|node| &node.shard), listed);
        for (id, shard) in listed {
            if self.nodes.contains_key(id) || kinship.is_ancestor(id) {
                continue;
            }
            // A descendant of a shard that is being read was made after the start: all of it is new.
            let start = if kinship.is_descendant(id) { ShardPosition::TRIM_HORIZON } else { self.start };
            changes.discovered.push(id.clone());
            let owed_since = self.listed_at;
            self.insert(Node { shard: shard.clone(), progress: None, start, owed_since, absent: 0 });
        }
    }

    fn note_absent(&mut self, listed: &BTreeMap<ShardId, Shard>, changes: &mut ListingChanges) {
        let absent: Vec<ShardId> = self.nodes.keys().filter(|id| !listed.contains_key(*id)).cloned().collect();
        for id in absent {
            // Children that have begun: until then they need the final state that is kept here.
            let covered = self.children_cover(&id, |child| child.progress.is_some());
            let Some(node) = self.nodes.get_mut(&id) else { continue };
            node.absent += 1;
            if !node.is_ended() {
                if node.absent == 1 {
                    changes.lost.push(id);
                }
            } else if covered && node.absent >= ABSENT_LISTINGS {
                changes.pruned.push(id);
            }
        }
    }

    /// Whether children that `counts` accepts cover the whole range of `id` between them.
    fn children_cover(&self, id: &ShardId, counts: impl Fn(&Node) -> bool) -> bool {
        let Some(parent) = self.nodes.get(id) else { return false };
        let range = parent.shard.hash_key_range;
        let children = self.children.get(id).into_iter().flatten().filter_map(|child| self.nodes.get(child));
        let mut ranges: Vec<_> = children.filter(|node| counts(node)).map(|node| node.shard.hash_key_range).collect();
        ranges.sort();
        let mut next = Some(range.start());
        for child in ranges {
            match next {
                Some(key) if child.contains(key) => next = child.end().value().checked_add(1).map(HashKey::new),
                _ => {}
            }
        }
        next.is_none_or(|key| key > range.end())
    }

    /// The shards that can begin: not begun yet, and every parent finished or unknown.
    ///
    /// A parent that is neither listed nor in the state is gone with its records, and counts as finished.
    pub(crate) fn startable(&self) -> Vec<Startable> {
        self.read()
            .filter(|node| node.progress.is_none() && node.absent == 0)
            .filter(|node| self.parents_of(node).all(Node::is_ended))
            .map(|node| Startable {
                shard: node.shard.clone(),
                position: node.start,
                unread_since: node.unread_since(),
                states: self.inherited(node),
            })
            .collect()
    }

    /// The shards that were begun and are not finished, as a restored job takes them up.
    pub(crate) fn resumable(&self) -> Vec<Startable> {
        let unfinished = self.read().filter(|node| !node.is_ended());
        unfinished
            .filter_map(|node| {
                let progress = node.progress.as_ref()?;
                let states = vec![(node.shard.clone(), progress.user_state.clone())];
                let unread_since = node.unread_since();
                Some(Startable { shard: node.shard.clone(), position: progress.position, unread_since, states })
            })
            .collect()
    }

    fn parents_of<'a>(&'a self, node: &'a Node) -> impl Iterator<Item = &'a Node> {
        node.shard.parents().filter_map(|parent| self.nodes.get(parent))
    }

    fn inherited(&self, node: &Node) -> Vec<(Shard, Bytes)> {
        let mut states: Vec<_> = self
            .parents_of(node)
            .filter_map(|parent| Some((parent.shard.clone(), parent.progress.as_ref()?.user_state.clone())))
            .collect();
        states.sort_by_key(|(shard, _)| shard.hash_key_range.start());
        states
    }

    /// Notes how far a shard was read.
    pub(crate) fn advance(&mut self, id: &ShardId, progress: ShardProgress) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        node.progress = Some(progress);
        // A shard that goes on accounts for its own keys.
        let ended = node.is_ended().then_some(node.shard.hash_key_range);
        // Looks at all shards, so that only debug builds do.
        debug_assert!(
            ended.is_none_or(|range| self.covered().holds(range)),
            "the end of {id} made its hash keys fall out of {self:?}"
        );
    }

    /// Whether the last complete listing had the shard.
    pub(crate) fn lists(&self, id: &ShardId) -> bool {
        self.nodes.get(id).is_some_and(|node| node.absent == 0)
    }

    /// Whether the children of a shard are known that take all of its keys.
    pub(crate) fn knows_children_of(&self, id: &ShardId) -> bool {
        self.children_cover(id, |_| true)
    }

    /// The final progress of a shard that was read to its end.
    pub(crate) fn ended(&self, id: &ShardId) -> Option<ShardProgress> {
        self.nodes.get(id).filter(|node| node.is_ended()).and_then(|node| node.progress.clone())
    }

    /// Ends a shard whose unread records are gone, where it is.
    pub(crate) fn give_up(&mut self, id: &ShardId) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        let start = node.start;
        let begun = || ShardProgress { position: start, user_state: Bytes::new(), watermark: None };
        node.progress.get_or_insert_with(begun).position.end();
        let range = node.shard.hash_key_range;
        debug_assert!(self.covered().holds(range), "giving {id} up made its hash keys fall out of {self:?}");
    }

    /// The hash keys that are accounted for: some shard is to be read that takes them, or has been read to its end and
    /// its children are not all known yet.
    ///
    /// A key never leaves the set. What would fall out would be read by nobody, without an error.
    fn covered(&self) -> Coverage {
        let counts = |(id, node): &(&ShardId, &Node)| !node.is_ended() || !self.knows_children_of(id);
        Coverage::of(self.nodes.iter().filter(counts).map(|(_, node)| node.shard.hash_key_range))
    }

    /// Every shard with its progress, for a checkpoint.
    ///
    /// The final state of a finished shard is left out once children that cover its range have begun: theirs, in the
    /// same checkpoint, has taken its place.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.nodes.iter().map(|(id, node)| {
            let mut progress = node.progress.clone();
            if let Some(progress) = progress.as_mut().filter(|progress| progress.position.is_ended())
                && self.children_cover(id, |child| child.progress.is_some())
            {
                progress.user_state = Bytes::new();
            }
            Entry { shard: &node.shard, start: node.start, owed_since: node.owed_since, progress }
        })
    }

    /// The shards that are not read to their end, begun or not.
    pub(crate) fn unfinished(&self) -> impl Iterator<Item = &Shard> {
        self.read().filter(|node| !node.is_ended()).map(|node| &node.shard)
    }

    /// The shards of a stream that is read; none of a dormant one.
    fn read(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values().filter(|_| !self.is_dormant)
    }
}

#[cfg(test)]
mod random;

#[cfg(test)]
mod tests {
    use super::*;
    use kinesis_core::{HashKeyRange, RecordPosition, SequenceNumber, from_unix_millis};

    const T0: ShardPosition = ShardPosition::at_timestamp(SystemTime::UNIX_EPOCH);

    fn id(index: u64) -> ShardId {
        ShardId::from_index(index)
    }

    fn shard(index: u64, range: HashKeyRange, parents: &[u64]) -> Shard {
        Shard {
            id: id(index),
            hash_key_range: range,
            parent: parents.first().copied().map(id),
            adjacent_parent: parents.get(1).copied().map(id),
            starting_sequence_number: SequenceNumber::ZERO,
            ending_sequence_number: None,
        }
    }

    fn halves() -> (HashKeyRange, HashKeyRange) {
        let halves = HashKeyRange::uniform(2);
        (halves[0], halves[1])
    }

    fn restore(graph: &mut ShardGraph, shard: Shard, start: ShardPosition, progress: Option<ShardProgress>) {
        graph.restore(&Entry { shard: &shard, start, owed_since: SystemTime::UNIX_EPOCH, progress });
    }

    fn progress(ended: bool, state: &'static str) -> ShardProgress {
        let position = ShardPosition::from_parts(Some(RecordPosition::new(9.into(), 0)), None, ended);
        ShardProgress { position, user_state: Bytes::from_static(state.as_bytes()), watermark: None }
    }

    fn begun(graph: &ShardGraph) -> Vec<u64> {
        graph.startable().iter().filter_map(|startable| startable.shard.id.index()).collect()
    }

    /// Shard 0, split into 1 and 2.
    fn split_graph() -> ShardGraph {
        let (low, high) = halves();
        let mut graph = ShardGraph::new(T0, SystemTime::UNIX_EPOCH);
        graph.observe(vec![shard(0, HashKeyRange::FULL, &[])], SystemTime::UNIX_EPOCH);
        graph.advance(&id(0), progress(false, "mid"));
        graph.observe(
            vec![shard(0, HashKeyRange::FULL, &[]), shard(1, low, &[0]), shard(2, high, &[0])],
            SystemTime::UNIX_EPOCH,
        );
        graph
    }

    #[test]
    fn children_wait_for_their_parent_and_start_at_the_horizon_with_its_state() {
        let mut graph = split_graph();
        assert!(begun(&graph).is_empty());
        graph.advance(&id(0), progress(true, "final"));
        let startable = graph.startable();
        assert_eq!(begun(&graph), [1, 2]);
        assert!(startable.iter().all(|child| child.position == ShardPosition::TRIM_HORIZON));
        assert!(startable.iter().all(|child| child.states[0].1 == "final"));
    }

    #[test]
    fn a_merged_shard_waits_for_both_parents_and_gets_both_states_in_range_order() {
        let (low, high) = halves();
        let mut graph = ShardGraph::new(T0, SystemTime::UNIX_EPOCH);
        graph.observe(vec![shard(0, high, &[]), shard(1, low, &[])], SystemTime::UNIX_EPOCH);
        graph.advance(&id(0), progress(true, "upper"));
        graph.advance(&id(1), progress(false, "lower"));
        graph.observe(
            vec![shard(0, high, &[]), shard(1, low, &[]), shard(2, HashKeyRange::FULL, &[0, 1])],
            SystemTime::UNIX_EPOCH,
        );
        assert!(begun(&graph).is_empty());
        graph.advance(&id(1), progress(true, "lower"));
        let states: Vec<_> = graph.startable()[0].states.iter().map(|(_, state)| state.clone()).collect();
        assert_eq!(states, ["lower", "upper"]);
    }

    #[test]
    fn at_first_every_shard_starts_where_configured_also_the_children() {
        // A child that was there before T0 must not be read from its beginning.
        let (low, high) = halves();
        let mut graph = ShardGraph::new(T0, SystemTime::UNIX_EPOCH);
        graph.observe(
            vec![shard(0, HashKeyRange::FULL, &[]), shard(1, low, &[0]), shard(2, high, &[0])],
            SystemTime::UNIX_EPOCH,
        );
        graph.advance(&id(0), progress(true, ""));
        assert!(graph.startable().iter().all(|child| child.position == T0));
    }

    #[test]
    fn an_unknown_parent_counts_as_finished() {
        let mut graph = ShardGraph::new(T0, SystemTime::UNIX_EPOCH);
        graph.observe(vec![shard(7, HashKeyRange::FULL, &[3])], SystemTime::UNIX_EPOCH);
        assert_eq!(begun(&graph), [7]);
    }

    #[test]
    fn an_ancestor_of_a_known_shard_is_never_started() {
        let (low, high) = halves();
        let mut graph = ShardGraph::new(T0, SystemTime::UNIX_EPOCH);
        restore(&mut graph, shard(1, low, &[0]), ShardPosition::TRIM_HORIZON, Some(progress(false, "")));
        let changes = graph.observe(
            vec![shard(0, HashKeyRange::FULL, &[]), shard(1, low, &[0]), shard(2, high, &[0])],
            SystemTime::UNIX_EPOCH,
        );
        assert_eq!(changes.discovered, [id(2)]);
        assert!(!graph.nodes.contains_key(&id(0)));
    }

    #[test]
    fn a_finished_parent_stays_until_it_is_unlisted_twice_and_its_children_have_begun() {
        let (low, high) = halves();
        let mut graph = ShardGraph::new(T0, SystemTime::UNIX_EPOCH);
        graph.observe(vec![shard(0, HashKeyRange::FULL, &[])], SystemTime::UNIX_EPOCH);
        graph.advance(&id(0), progress(true, "final"));
        for _ in 0..3 {
            assert_eq!(
                graph.observe(vec![shard(1, low, &[0])], SystemTime::UNIX_EPOCH).pruned,
                [],
                "the other child is not known yet"
            );
        }
        let both = || vec![shard(1, low, &[0]), shard(2, high, &[0])];
        graph.advance(&id(1), progress(false, "one"));
        assert_eq!(
            graph.observe(both(), SystemTime::UNIX_EPOCH).pruned,
            [],
            "the second child has still to inherit the final state"
        );
        graph.advance(&id(2), progress(false, "two"));
        assert_eq!(graph.observe(both(), SystemTime::UNIX_EPOCH).pruned, [id(0)]);
    }

    #[test]
    fn an_unfinished_shard_that_is_no_longer_listed_is_reported_once() {
        let mut graph = split_graph();
        let (low, high) = halves();
        let children = || vec![shard(1, low, &[0]), shard(2, high, &[0])];
        assert_eq!(graph.observe(children(), SystemTime::UNIX_EPOCH).lost, [id(0)]);
        assert_eq!(graph.observe(children(), SystemTime::UNIX_EPOCH).lost, []);
        assert!(begun(&graph).is_empty(), "until the loss is accepted");
        graph.give_up(&id(0));
        assert_eq!(begun(&graph), [1, 2]);
        assert_eq!(graph.startable()[0].states[0].1, "mid", "what was saved of the parent");
        assert_eq!(graph.unfinished().count(), 2);
    }

    #[test]
    fn a_final_state_is_saved_until_all_children_have_begun() {
        let mut graph = split_graph();
        graph.advance(&id(0), progress(true, "final"));
        let saved = |graph: &ShardGraph| {
            graph.entries().find(|entry| entry.shard.id == id(0)).and_then(|entry| entry.progress).unwrap().user_state
        };
        graph.advance(&id(1), progress(false, "one"));
        assert_eq!(saved(&graph), "final", "the second child has still to inherit it");
        graph.advance(&id(2), progress(false, "two"));
        assert_eq!(saved(&graph), "");
    }

    #[test]
    fn a_restored_shard_resumes_with_its_own_state() {
        let mut graph = ShardGraph::new(T0, SystemTime::UNIX_EPOCH);
        restore(&mut graph, shard(0, HashKeyRange::FULL, &[]), T0, Some(progress(false, "own")));
        restore(&mut graph, shard(1, HashKeyRange::FULL, &[]), T0, Some(progress(true, "old")));
        let resumable = graph.resumable();
        assert_eq!(resumable.len(), 1);
        assert_eq!(resumable[0].states[0].1, "own");
        assert!(begun(&graph).is_empty());
        let later = from_unix_millis(5);
        assert_ne!(ShardPosition::at_timestamp(later), resumable[0].position);
    }

    #[test]
    fn it_is_known_since_when_records_may_be_unread() {
        let hour = |hours: u64| from_unix_millis(hours * 3_600_000);
        let (horizon, at) = (ShardPosition::TRIM_HORIZON, |hours| ShardPosition::at_timestamp(hour(hours)));
        let read =
            |not_before| ShardPosition::from_parts(Some(RecordPosition::new(7u128.into(), 0)), not_before, false);
        let cases = [
            (at(1), Some(at(9)), Some(hour(9)), "idle, and nothing was ever read"),
            (horizon, Some(read(Some(hour(9)))), Some(hour(9)), "idle"),
            (horizon, Some(read(None)), None, "its last record will tell"),
            (horizon, Some(horizon), Some(hour(5)), "begun, and nothing is read yet"),
            (horizon, None, Some(hour(5)), "it waits for its parents"),
            (at(3), None, Some(hour(5)), "what was older than the job was never owed"),
            (at(6), None, Some(hour(6)), "nothing before its start is owed"),
        ];
        for (start, position, expected, why) in cases {
            let mut graph = ShardGraph::new(T0, SystemTime::UNIX_EPOCH);
            let progress = position.map(|position| ShardProgress { position, ..progress(false, "") });
            let shard = shard(0, HashKeyRange::FULL, &[]);
            graph.restore(&Entry { shard: &shard, start, owed_since: hour(5), progress });
            let [taken_up] = [graph.resumable(), graph.startable()].concat().try_into().unwrap();
            let Startable { unread_since, .. } = taken_up;
            assert_eq!(unread_since, expected, "{why}");
        }
    }

    #[test]
    fn a_shard_is_owed_from_the_last_listing_on_that_lacked_it() {
        let hour = |hours: u64| from_unix_millis(hours * 3_600_000);
        let (low, high) = halves();
        let mut graph = ShardGraph::new(T0, hour(1));
        let owed = |graph: &ShardGraph| -> Vec<_> { graph.entries().map(|entry| entry.owed_since).collect() };
        graph.observe(vec![shard(0, HashKeyRange::FULL, &[])], hour(1));
        graph.observe(vec![shard(0, HashKeyRange::FULL, &[])], hour(2));
        let all = || vec![shard(0, HashKeyRange::FULL, &[]), shard(1, low, &[0]), shard(2, high, &[0])];
        graph.observe(all(), hour(3));
        graph.observe(all(), hour(4));
        assert_eq!(owed(&graph), [hour(1), hour(2), hour(2)]);
    }

    #[test]
    fn descendants_of_a_known_shard_start_at_the_horizon_in_any_generation() {
        let parts = HashKeyRange::uniform(3);
        let (low, high) = halves();
        let mut graph = ShardGraph::new(T0, SystemTime::UNIX_EPOCH);
        restore(&mut graph, shard(5, HashKeyRange::FULL, &[]), T0, Some(progress(false, "")));
        // The ids tell nothing of the order, and shard 9 is of another family.
        let listing = vec![
            shard(5, HashKeyRange::FULL, &[]),
            shard(1, low, &[7]),
            shard(2, high, &[7]),
            shard(7, HashKeyRange::FULL, &[5]),
            shard(9, parts[0], &[]),
        ];
        graph.observe(listing, SystemTime::UNIX_EPOCH);
        let starts: Vec<_> = graph.entries().map(|entry| (entry.shard.id.index(), entry.start)).collect();
        let horizon = ShardPosition::TRIM_HORIZON;
        let expected = [(1, horizon), (2, horizon), (5, T0), (7, horizon), (9, T0)];
        assert_eq!(starts, expected.map(|(index, start)| (Some(index), start)));
    }

    #[test]
    fn children_cover_only_without_a_hole() {
        let parts = HashKeyRange::uniform(3);
        let mut graph = ShardGraph::new(T0, SystemTime::UNIX_EPOCH);
        graph.observe(vec![shard(0, HashKeyRange::FULL, &[])], SystemTime::UNIX_EPOCH);
        graph.observe(
            vec![shard(0, HashKeyRange::FULL, &[]), shard(1, parts[0], &[0]), shard(2, parts[2], &[0])],
            SystemTime::UNIX_EPOCH,
        );
        assert!(!graph.children_cover(&id(0), |_| true));
        graph.observe(vec![shard(0, HashKeyRange::FULL, &[]), shard(3, parts[1], &[0])], SystemTime::UNIX_EPOCH);
        assert!(graph.children_cover(&id(0), |_| true));
    }
}
