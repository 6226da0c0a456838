//! The shards of a stream, their parents, and what may be read when.

use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::Bytes;
use kinesis_core::{HashKey, RecordPosition, Shard, ShardId};

use crate::position::ShardPosition;

mod coverage;

use coverage::Coverage;

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
    absent: u32,
}

impl Node {
    fn is_ended(&self) -> bool {
        self.progress.as_ref().is_some_and(|progress| progress.position.is_ended())
    }
}

/// A shard that can be begun now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Startable {
    pub(crate) shard: Shard,
    pub(crate) position: ShardPosition,
    /// Its own state after a restart, or its parents' final states, in the order of their ranges.
    pub(crate) states: Vec<(Shard, Bytes)>,
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
    /// Whether the stream is kept in the checkpoints and not read.
    is_dormant: bool,
}

impl ShardGraph {
    pub(crate) const fn new(start: ShardPosition) -> Self {
        Self { start, nodes: BTreeMap::new(), is_dormant: false }
    }

    /// Keeps every shard as it is: none is begun, none is waited for, and all stay in the checkpoints.
    pub(crate) const fn make_dormant(&mut self) {
        self.is_dormant = true;
    }

    /// Puts back a shard of a checkpoint.
    pub(crate) fn restore(&mut self, shard: Shard, start: ShardPosition, progress: Option<ShardProgress>) {
        self.nodes.insert(shard.id.clone(), Node { shard, progress, start, absent: 0 });
    }

    /// Takes in a complete listing; a partial one must never come here.
    pub(crate) fn observe(&mut self, listing: Vec<Shard>) -> ListingChanges {
        let before = cfg!(debug_assertions).then(|| self.covered());
        let known_before: Vec<ShardId> = self.nodes.keys().cloned().collect();
        let listed: BTreeMap<ShardId, Shard> = listing.into_iter().map(|shard| (shard.id.clone(), shard)).collect();
        let mut changes = ListingChanges::default();
        for (id, shard) in &listed {
            if let Some(node) = self.nodes.get_mut(id) {
                // Closing is the one change that a known shard goes through.
                node.shard.ending_sequence_number = shard.ending_sequence_number;
                node.absent = 0;
            } else if !self.is_ancestor_of_known(id, &listed, &known_before) {
                changes.discovered.push(id.clone());
                self.insert_new(shard.clone(), &known_before);
            }
        }
        self.note_absent(&known_before, &listed, &mut changes);
        let keeps_all = before.is_none_or(|before| self.covered().holds_all(&before));
        debug_assert!(keeps_all, "a listing made hash keys fall out of {self:?}");
        changes
    }

    fn insert_new(&mut self, shard: Shard, known_before: &[ShardId]) {
        // A child of a shard that is being read was made after the start: all of it is new.
        let is_child = shard.parents().any(|parent| known_before.contains(parent));
        let start = if is_child { ShardPosition::TRIM_HORIZON } else { self.start };
        self.nodes.insert(shard.id.clone(), Node { shard, progress: None, start, absent: 0 });
    }

    /// Whether a shard that was known before descends from `id`; such an ancestor was dealt with long ago.
    fn is_ancestor_of_known(&self, id: &ShardId, listed: &BTreeMap<ShardId, Shard>, known: &[ShardId]) -> bool {
        let mut pending: Vec<&Shard> =
            known.iter().filter_map(|known| self.nodes.get(known)).map(|n| &n.shard).collect();
        let mut seen: Vec<&ShardId> = Vec::new();
        while let Some(shard) = pending.pop() {
            for parent in shard.parents() {
                if parent == id {
                    return true;
                }
                if !seen.contains(&parent) {
                    seen.push(parent);
                    pending.extend(listed.get(parent));
                }
            }
        }
        false
    }

    fn note_absent(&mut self, known: &[ShardId], listed: &BTreeMap<ShardId, Shard>, changes: &mut ListingChanges) {
        for id in known.iter().filter(|id| !listed.contains_key(*id)) {
            // Children that have begun: until then they need the final state that is kept here.
            let covered = self.children_cover(id, |child| child.progress.is_some());
            let Some(node) = self.nodes.get_mut(id) else { continue };
            node.absent += 1;
            if !node.is_ended() {
                if node.absent == 1 {
                    changes.lost.push(id.clone());
                }
            } else if covered && node.absent >= ABSENT_LISTINGS {
                changes.pruned.push(id.clone());
            }
        }
        changes.pruned.iter().for_each(|id| {
            self.nodes.remove(id);
        });
    }

    /// Whether children that `counts` accepts cover the whole range of `id` between them.
    fn children_cover(&self, id: &ShardId, counts: impl Fn(&Node) -> bool) -> bool {
        let Some(parent) = self.nodes.get(id) else { return false };
        let range = parent.shard.hash_key_range;
        let mut ranges: Vec<_> = self
            .nodes
            .values()
            .filter(|node| counts(node) && node.shard.parents().any(|parent| parent == id))
            .map(|node| node.shard.hash_key_range)
            .collect();
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
            .map(|node| Startable { shard: node.shard.clone(), position: node.start, states: self.inherited(node) })
            .collect()
    }

    /// The shards that were begun and are not finished, as a restored job takes them up.
    pub(crate) fn resumable(&self) -> Vec<Startable> {
        let unfinished = self.read().filter(|node| !node.is_ended());
        unfinished
            .filter_map(|node| {
                let progress = node.progress.as_ref()?;
                let states = vec![(node.shard.clone(), progress.user_state.clone())];
                Some(Startable { shard: node.shard.clone(), position: progress.position, states })
            })
            .collect()
    }

    /// The unfinished shards of a checkpoint of which retention may have removed unread records, with the last delivered.
    ///
    /// `horizon` is the arrival time of the oldest records kept, `taken_at` the checkpoint's. A shard that is resumed at
    /// its last record is not among them: whether that record comes back tells more.
    pub(crate) fn aged_out(&self, taken_at: SystemTime, horizon: SystemTime) -> Vec<(ShardId, Option<RecordPosition>)> {
        let unfinished = self.read().filter(|node| !node.is_ended());
        let aged = unfinished.filter(|node| {
            let position = node.progress.as_ref().map_or(node.start, |progress| progress.position);
            match (position.not_before(), position.last()) {
                (Some(time), _) => time < horizon,
                (None, Some(_)) => false,
                // Nothing was read of it, and all that it held at the checkpoint is gone.
                (None, None) => taken_at < horizon,
            }
        });
        aged.map(|node| {
            let last = node.progress.as_ref().and_then(|progress| progress.position.last());
            (node.shard.id.clone(), last)
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
        let keeps_all = ended.is_none_or(|range| self.covered().holds(range));
        debug_assert!(keeps_all, "the end of {id} made its hash keys fall out of {self:?}");
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
        let counts = |(id, node): &(&ShardId, &Node)| !node.is_ended() || !self.children_cover(id, |_| true);
        Coverage::of(self.nodes.iter().filter(counts).map(|(_, node)| node.shard.hash_key_range))
    }

    /// Every shard with its progress, for a checkpoint.
    ///
    /// The final state of a finished shard is left out once children that cover its range have begun: theirs, in the
    /// same checkpoint, has taken its place.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&Shard, ShardPosition, Option<ShardProgress>)> {
        self.nodes.iter().map(|(id, node)| {
            let mut progress = node.progress.clone();
            if let Some(progress) = progress.as_mut().filter(|progress| progress.position.is_ended())
                && self.children_cover(id, |child| child.progress.is_some())
            {
                progress.user_state = Bytes::new();
            }
            (&node.shard, node.start, progress)
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
    use kinesis_core::{HashKeyRange, SequenceNumber, from_unix_millis};

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
        let mut graph = ShardGraph::new(T0);
        graph.observe(vec![shard(0, HashKeyRange::FULL, &[])]);
        graph.advance(&id(0), progress(false, "mid"));
        graph.observe(vec![shard(0, HashKeyRange::FULL, &[]), shard(1, low, &[0]), shard(2, high, &[0])]);
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
        let mut graph = ShardGraph::new(T0);
        graph.observe(vec![shard(0, high, &[]), shard(1, low, &[])]);
        graph.advance(&id(0), progress(true, "upper"));
        graph.advance(&id(1), progress(false, "lower"));
        graph.observe(vec![shard(0, high, &[]), shard(1, low, &[]), shard(2, HashKeyRange::FULL, &[0, 1])]);
        assert!(begun(&graph).is_empty());
        graph.advance(&id(1), progress(true, "lower"));
        let states: Vec<_> = graph.startable()[0].states.iter().map(|(_, state)| state.clone()).collect();
        assert_eq!(states, ["lower", "upper"]);
    }

    #[test]
    fn at_first_every_shard_starts_where_configured_also_the_children() {
        // A child that was there before T0 must not be read from its beginning.
        let (low, high) = halves();
        let mut graph = ShardGraph::new(T0);
        graph.observe(vec![shard(0, HashKeyRange::FULL, &[]), shard(1, low, &[0]), shard(2, high, &[0])]);
        graph.advance(&id(0), progress(true, ""));
        assert!(graph.startable().iter().all(|child| child.position == T0));
    }

    #[test]
    fn an_unknown_parent_counts_as_finished() {
        let mut graph = ShardGraph::new(T0);
        graph.observe(vec![shard(7, HashKeyRange::FULL, &[3])]);
        assert_eq!(begun(&graph), [7]);
    }

    #[test]
    fn an_ancestor_of_a_known_shard_is_never_started() {
        let (low, high) = halves();
        let mut graph = ShardGraph::new(T0);
        graph.restore(shard(1, low, &[0]), ShardPosition::TRIM_HORIZON, Some(progress(false, "")));
        let changes = graph.observe(vec![shard(0, HashKeyRange::FULL, &[]), shard(1, low, &[0]), shard(2, high, &[0])]);
        assert_eq!(changes.discovered, [id(2)]);
        assert!(!graph.nodes.contains_key(&id(0)));
    }

    #[test]
    fn a_finished_parent_stays_until_it_is_unlisted_twice_and_its_children_have_begun() {
        let (low, high) = halves();
        let mut graph = ShardGraph::new(T0);
        graph.observe(vec![shard(0, HashKeyRange::FULL, &[])]);
        graph.advance(&id(0), progress(true, "final"));
        for _ in 0..3 {
            assert_eq!(graph.observe(vec![shard(1, low, &[0])]).pruned, [], "the other child is not known yet");
        }
        let both = || vec![shard(1, low, &[0]), shard(2, high, &[0])];
        graph.advance(&id(1), progress(false, "one"));
        assert_eq!(graph.observe(both()).pruned, [], "the second child has still to inherit the final state");
        graph.advance(&id(2), progress(false, "two"));
        assert_eq!(graph.observe(both()).pruned, [id(0)]);
    }

    #[test]
    fn an_unfinished_shard_that_is_no_longer_listed_is_reported_once() {
        let mut graph = split_graph();
        let (low, high) = halves();
        let children = || vec![shard(1, low, &[0]), shard(2, high, &[0])];
        assert_eq!(graph.observe(children()).lost, [id(0)]);
        assert_eq!(graph.observe(children()).lost, []);
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
            graph
                .entries()
                .find(|(shard, ..)| shard.id == id(0))
                .and_then(|(_, _, progress)| progress)
                .unwrap()
                .user_state
        };
        graph.advance(&id(1), progress(false, "one"));
        assert_eq!(saved(&graph), "final", "the second child has still to inherit it");
        graph.advance(&id(2), progress(false, "two"));
        assert_eq!(saved(&graph), "");
    }

    #[test]
    fn a_restored_shard_resumes_with_its_own_state() {
        let mut graph = ShardGraph::new(T0);
        graph.restore(shard(0, HashKeyRange::FULL, &[]), T0, Some(progress(false, "own")));
        graph.restore(shard(1, HashKeyRange::FULL, &[]), T0, Some(progress(true, "old")));
        let resumable = graph.resumable();
        assert_eq!(resumable.len(), 1);
        assert_eq!(resumable[0].states[0].1, "own");
        assert!(begun(&graph).is_empty());
        let later = from_unix_millis(5);
        assert_ne!(ShardPosition::at_timestamp(later), resumable[0].position);
    }

    #[test]
    fn positions_by_time_age_out_with_retention() {
        let hour = |hours: u64| from_unix_millis(hours * 3_600_000);
        let mut graph = ShardGraph::new(T0);
        let idle = |hours| ShardPosition::from_parts(None, Some(hour(hours)), false);
        let restored = |position| Some(ShardProgress { position, ..progress(false, "") });
        let parts = HashKeyRange::uniform(4);
        graph.restore(shard(0, parts[0], &[]), T0, restored(idle(1)));
        graph.restore(shard(1, parts[1], &[]), T0, restored(idle(9)));
        let read = ShardPosition::from_parts(Some(RecordPosition::new(7u128.into(), 0)), None, false);
        graph.restore(shard(2, parts[2], &[]), T0, restored(read));
        graph.restore(shard(3, parts[3], &[]), ShardPosition::TRIM_HORIZON, None);
        graph.restore(shard(4, parts[3], &[]), ShardPosition::TRIM_HORIZON, restored(ShardPosition::TRIM_HORIZON));
        graph.restore(shard(5, parts[3], &[]), ShardPosition::at_timestamp(hour(3)), None);
        let aged = |taken_at, horizon| -> Vec<_> {
            graph.aged_out(taken_at, horizon).into_iter().filter_map(|(id, _)| id.index()).collect()
        };
        assert_eq!(aged(hour(9), hour(5)), [0, 5], "and one that was to begin before that");
        assert_eq!(aged(hour(9), hour(10)), [0, 1, 3, 4, 5], "children that waited, or had just begun, too");
    }

    #[test]
    fn children_cover_only_without_a_hole() {
        let parts = HashKeyRange::uniform(3);
        let mut graph = ShardGraph::new(T0);
        graph.observe(vec![shard(0, HashKeyRange::FULL, &[])]);
        graph.observe(vec![shard(0, HashKeyRange::FULL, &[]), shard(1, parts[0], &[0]), shard(2, parts[2], &[0])]);
        assert!(!graph.children_cover(&id(0), |_| true));
        graph.observe(vec![shard(0, HashKeyRange::FULL, &[]), shard(3, parts[1], &[0])]);
        assert!(graph.children_cover(&id(0), |_| true));
    }
}
