//! Who comes after whom: what has to be over before a shard is read, what it inherits, and who may be forgotten.

use std::collections::BTreeSet;

use bytes::Bytes;
use kinesis_core::{HashKey, Shard, ShardId};

use super::{ABSENT_LISTINGS, Node, ShardGraph};

impl Node {
    /// Whether its state has taken the place of its parents': it was begun, or it was skipped and is `replaced`.
    pub(super) fn has_begun(&self, replaced: &BTreeSet<&ShardId>) -> bool {
        self.progress.is_some() || replaced.contains(&self.shard.id)
    }
}

impl ShardGraph {
    pub(super) fn parents_of<'a>(&'a self, node: &'a Node) -> impl Iterator<Item = &'a Node> {
        node.shard.parents().filter_map(|parent| self.nodes.get(parent))
    }

    /// Calls `visit` with the ancestors that are known, nearest first and each once; beyond those alone for which it
    /// returns true.
    ///
    /// Splits and merges in turn have more paths than shards by far.
    pub(super) fn climb<'a>(&'a self, node: &'a Node, mut visit: impl FnMut(&'a Node) -> bool) {
        let mut seen = BTreeSet::new();
        let mut next: Vec<&Node> = self.parents_of(node).collect();
        while let Some(ancestor) = next.pop() {
            if seen.insert(&ancestor.shard.id) && visit(ancestor) {
                next.extend(self.parents_of(ancestor));
            }
        }
    }

    /// Whether nothing is left to be read of any ancestor.
    pub(super) fn is_behind_its_ancestors(&self, node: &Node) -> bool {
        let mut are_over = true;
        if self.begins_early {
            return true;
        }
        self.climb(node, |ancestor| {
            are_over &= ancestor.is_over();
            are_over
        });
        are_over
    }

    /// The states of the nearest ancestors that have one, of those whose keys the shard takes, in the order of their
    /// ranges.
    pub(super) fn inherited(&self, node: &Node) -> Vec<(Shard, Bytes)> {
        let range = node.shard.hash_key_range;
        let mut states = Vec::new();
        self.climb(node, |ancestor| match &ancestor.progress {
            Some(progress) => {
                if ancestor.shard.hash_key_range.overlaps(&range) {
                    states.push((ancestor.shard.clone(), progress.user_state.clone()));
                }
                false
            }
            None => true,
        });
        states.sort_by_key(|(shard, _)| shard.hash_key_range.start());
        states
    }

    /// Whether children that `counts` accepts cover the whole range of `id` between them.
    pub(super) fn children_cover(&self, id: &ShardId, counts: impl Fn(&Node) -> bool) -> bool {
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

    /// Whether the ranges of the known children do not tell whether there are more: those of a table's stream are all
    /// whole, and what a split or a merge makes is never its only parent's.
    pub(super) fn may_have_more_children(&self, node: &Node) -> bool {
        let mut children = self.children.get(&node.shard.id).into_iter().flatten().filter_map(|id| self.nodes.get(id));
        children.any(|child| {
            child.shard.hash_key_range == node.shard.hash_key_range && child.shard.parents().nth(1).is_none()
        })
    }

    /// The skipped shards whose descendants have all begun, and so inherited what these would have.
    pub(super) fn replaced(&self) -> BTreeSet<&ShardId> {
        let mut waiting: Vec<&ShardId> =
            self.nodes.values().filter(|node| node.is_skipped).map(|node| &node.shard.id).collect();
        let mut replaced = BTreeSet::new();
        loop {
            let before = replaced.len();
            waiting.retain(|id| {
                let is_replaced = self.children_cover(id, |child| child.has_begun(&replaced));
                if is_replaced {
                    replaced.insert(*id);
                }
                !is_replaced
            });
            if replaced.len() == before {
                return replaced;
            }
        }
    }

    /// The shards that nobody needs any more: over, unlisted for long enough, and with children that have all begun;
    /// until then those need the final state that is kept here.
    ///
    /// Never before its parents: the children of one that stays would leave a hole in its range.
    pub(super) fn forgettable(&self) -> Vec<ShardId> {
        let replaced = self.replaced();
        let is_done = |(id, node): &(&ShardId, &Node)| {
            node.is_over()
                && node.absent >= ABSENT_LISTINGS
                && (node.was_over || !self.keeps_ends)
                && self.children_cover(id, |child| child.has_begun(&replaced))
        };
        let mut forgettable: BTreeSet<&ShardId> = self.nodes.iter().filter(is_done).map(|(id, _)| id).collect();
        loop {
            let stays = |id: &&ShardId| {
                let parents = self.nodes.get(*id).into_iter().flat_map(|node| self.parents_of(node));
                parents.into_iter().any(|parent| !forgettable.contains(&parent.shard.id))
            };
            let stay: Vec<&ShardId> = forgettable.iter().copied().filter(stays).collect();
            if stay.is_empty() {
                return forgettable.into_iter().cloned().collect();
            }
            stay.into_iter().for_each(|id| {
                forgettable.remove(id);
            });
        }
    }
}
