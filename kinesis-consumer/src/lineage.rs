//! The shards of a stream, their parents, and what may be read when.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use bytes::Bytes;
use kinesis_core::{Shard, ShardId};

use crate::position::ShardPosition;

mod coverage;
mod holds;
mod kinship;
mod succession;

use coverage::Coverage;
pub(crate) use holds::Hold;
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
    /// The event time that the shard had reached, or the job, where that is later; nothing without a watermark strategy.
    pub watermark: Option<SystemTime>,
}

#[derive(Clone, Debug)]
struct Node {
    shard: Shard,
    /// Nothing until the shard is begun; "waiting" and "finished" are derived from it, never stored.
    progress: Option<ShardProgress>,
    start: ShardPosition,
    owed_since: SystemTime,
    /// Its records were gone before it was begun, which was accepted.
    is_skipped: bool,
    /// A subtask has it, or had it.
    is_taken_up: bool,
    /// It was at its end when the job began.
    was_over: bool,
    absent: u32,
}

impl Node {
    fn of(entry: &Entry<'_>) -> Self {
        let Entry { shard, start, owed_since, is_skipped, progress } = entry;
        let mut node = Self {
            shard: Shard::clone(shard),
            progress: progress.clone(),
            start: *start,
            owed_since: *owed_since,
            is_skipped: *is_skipped,
            is_taken_up: false,
            was_over: false,
            absent: 0,
        };
        node.was_over = node.is_over();
        node
    }

    fn is_ended(&self) -> bool {
        self.progress.as_ref().is_some_and(|progress| progress.position.is_ended())
    }

    /// Whether nothing of it is to be read any more.
    fn is_over(&self) -> bool {
        self.is_skipped || self.is_ended()
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
    /// Its own state after a restart, or what it inherits, in the order of the ranges.
    pub(crate) states: Vec<(Shard, Bytes)>,
    /// Where its event time begins: its own, or the smallest that it inherits.
    pub(crate) watermark: Option<SystemTime>,
}

/// What a checkpoint holds of a shard.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) shard: &'a Shard,
    /// Where it begins, or began.
    pub(crate) start: ShardPosition,
    /// What arrives in it from then on is to be read, by the service's clock.
    pub(crate) owed_since: SystemTime,
    /// Its records were gone before it was begun.
    pub(crate) is_skipped: bool,
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
    /// Whether shards whose end the job itself saw stay until it is restored.
    keeps_ends: bool,
    /// Whether children are begun beside their parents: a deliberate fault.
    begins_early: bool,
}

impl ShardGraph {
    /// The lineage of a stream that is read from `start` on, and of which nothing is owed before `owed_since`.
    pub(crate) const fn new(start: ShardPosition, owed_since: SystemTime) -> Self {
        Self {
            start,
            nodes: BTreeMap::new(),
            children: BTreeMap::new(),
            listed_at: owed_since,
            is_dormant: false,
            keeps_ends: false,
            begins_early: false,
        }
    }

    /// Begins children beside their parents: a deliberate fault.
    pub(crate) const fn begin_early(&mut self) {
        self.begins_early = true;
    }

    /// Keeps every shard as it is: none is begun, none is waited for, and all stay in the checkpoints.
    pub(crate) const fn make_dormant(&mut self) {
        self.is_dormant = true;
    }

    /// Keeps the shards whose end this job saw: whoever keeps the positions may not have kept that end.
    ///
    /// So a shard that is missing from later positions was at its end in all that was kept when their job began.
    pub(crate) const fn keep_ends(&mut self) {
        self.keeps_ends = true;
    }

    /// When the last complete listing was asked for, by the service's clock.
    pub(crate) const fn listed_at(&self) -> SystemTime {
        self.listed_at
    }

    /// Puts back a shard of a checkpoint.
    pub(crate) fn restore(&mut self, entry: &Entry<'_>) {
        self.insert(Node::of(entry));
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
            self.insert(Node::of(&Entry { shard, start, owed_since, is_skipped: false, progress: None }));
        }
    }

    fn note_absent(&mut self, listed: &BTreeMap<ShardId, Shard>, changes: &mut ListingChanges) {
        for (id, node) in self.nodes.iter_mut().filter(|(id, _)| !listed.contains_key(*id)) {
            node.absent += 1;
            if node.absent == 1 && !node.is_over() {
                changes.lost.push(id.clone());
            }
        }
        changes.pruned = self.forgettable();
    }

    /// The shards that can begin: not begun yet, and every ancestor finished or unknown.
    ///
    /// An ancestor that is neither listed nor in the state is gone with its records, and counts as finished.
    pub(crate) fn startable(&self) -> Vec<Startable> {
        self.read()
            .filter(|node| node.progress.is_none() && !node.is_skipped && !node.is_taken_up && node.absent == 0)
            .filter(|node| self.is_behind_its_ancestors(node))
            .map(|node| Startable {
                shard: node.shard.clone(),
                position: node.start,
                unread_since: node.unread_since(),
                states: self.inherited(node),
                watermark: self.inherited_watermark(node),
            })
            .collect()
    }

    /// The shards that were begun and are not finished, as a restored job takes them up.
    ///
    /// They wait for ancestors that are not finished. In a checkpoint of the consumer's own there are none; positions that
    /// a user keeps may have a child's later than its parent's.
    pub(crate) fn resumable(&self) -> Vec<Startable> {
        let unfinished = self.read().filter(|node| !node.is_over() && !node.is_taken_up);
        unfinished
            .filter(|node| self.is_behind_its_ancestors(node))
            .filter_map(|node| {
                let progress = node.progress.as_ref()?;
                let states = vec![(node.shard.clone(), progress.user_state.clone())];
                let unread_since = node.unread_since();
                let (position, watermark) = (progress.position, progress.watermark);
                Some(Startable { shard: node.shard.clone(), position, unread_since, states, watermark })
            })
            .collect()
    }

    /// Notes that a subtask has the shard.
    pub(crate) fn take_up(&mut self, id: &ShardId) {
        if let Some(node) = self.nodes.get_mut(id) {
            node.is_taken_up = true;
        }
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
    ///
    /// One that was never begun is skipped: its children inherit what it would have.
    pub(crate) fn give_up(&mut self, id: &ShardId) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        match &mut node.progress {
            Some(progress) => progress.position.end(),
            None => node.is_skipped = true,
        }
        let range = node.shard.hash_key_range;
        debug_assert!(self.covered().holds(range), "giving {id} up made its hash keys fall out of {self:?}");
    }

    /// The hash keys that are accounted for: some shard is to be read that takes them, or has been read to its end and
    /// its children are not all known yet.
    ///
    /// A key never leaves the set. What would fall out would be read by nobody, without an error.
    fn covered(&self) -> Coverage {
        let counts = |(id, node): &(&ShardId, &Node)| !node.is_over() || !self.knows_children_of(id);
        Coverage::of(self.nodes.iter().filter(counts).map(|(_, node)| node.shard.hash_key_range))
    }

    /// Every shard with its progress, for a checkpoint.
    ///
    /// The final state of a finished shard is left out once children that cover its range have begun: theirs, in the
    /// same checkpoint, has taken its place. Where it cannot be known that these are all, it stays for as long as the shard
    /// does.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let replaced = self.replaced();
        self.nodes.iter().map(move |(id, node)| {
            let mut progress = node.progress.clone();
            if let Some(progress) = progress.as_mut().filter(|progress| progress.position.is_ended())
                && self.children_cover(id, |child| child.has_begun(&replaced))
                && !self.may_have_more_children(node)
            {
                progress.user_state = Bytes::new();
            }
            let (shard, start, owed_since, is_skipped) = (&node.shard, node.start, node.owed_since, node.is_skipped);
            Entry { shard, start, owed_since, is_skipped, progress }
        })
    }

    /// The shards that are not read to their end, begun or not.
    pub(crate) fn unfinished(&self) -> impl Iterator<Item = &Shard> {
        self.read().filter(|node| !node.is_over()).map(|node| &node.shard)
    }

    /// The shards of a stream that is read; none of a dormant one.
    fn read(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values().filter(|_| !self.is_dormant)
    }
}

#[cfg(test)]
mod random;

#[cfg(test)]
mod tests;
