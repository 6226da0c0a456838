//! Which shards a job's watermark waits for.

use std::time::SystemTime;

use kinesis_core::{ShardId, StreamName};

use super::{Node, ShardGraph};
use crate::record::StreamShard;

/// A shard that a job's watermark waits for, and how far it is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Hold {
    /// It is read, or is to be; not one that waits for its parents, which hold in its place.
    Reading {
        shard: StreamShard,
        /// What was saved of it, or what it inherits.
        watermark: Option<SystemTime>,
        has_begun: bool,
        /// It is closed, and others wait for its end.
        has_children: bool,
    },
    /// It was read to its end, and not all of its children have begun: there it stays, exactly.
    Final {
        watermark: Option<SystemTime>,
        /// A child of it has other ancestors that are not over.
        waits_for_others: bool,
    },
}

impl Node {
    const fn has_started(&self) -> bool {
        self.is_taken_up || self.progress.is_some()
    }

    pub(super) fn watermark(&self) -> Option<SystemTime> {
        self.progress.as_ref().and_then(|progress| progress.watermark)
    }
}

impl ShardGraph {
    /// Every shard that the watermark waits for; nothing of a dormant stream.
    pub(crate) fn holds<'a>(&'a self, stream: &'a StreamName) -> impl Iterator<Item = Hold> + 'a {
        self.read().filter_map(|node| self.hold(stream, node))
    }

    fn hold(&self, stream: &StreamName, node: &Node) -> Option<Hold> {
        let id = &node.shard.id;
        let mut children = self.children.get(id).into_iter().flatten().filter_map(|child| self.nodes.get(child));
        if node.is_over() {
            // What is no longer listed, and has no children that wait, has none to come: they are gone with their records.
            let waiting: Vec<&Node> = children.filter(|child| !child.has_started() && !child.is_over()).collect();
            if node.absent > 0 && waiting.is_empty() || self.is_succeeded(id) {
                return None;
            }
            let watermark = if node.is_skipped { self.inherited_watermark(node) } else { node.watermark() };
            let waits_for_others = waiting.iter().any(|child| !self.is_behind_its_ancestors(child));
            return Some(Hold::Final { watermark, waits_for_others });
        }
        let has_begun = node.has_started();
        let waits_for_parents = !has_begun && self.parents_of(node).next().is_some();
        (!waits_for_parents).then(|| Hold::Reading {
            shard: StreamShard { stream: stream.clone(), shard: id.clone() },
            watermark: node.watermark().or_else(|| self.inherited_watermark(node)),
            has_begun,
            has_children: children.next().is_some(),
        })
    }

    /// Whether shards have begun that take all of its keys.
    fn is_succeeded(&self, id: &ShardId) -> bool {
        let counts = |child: &Node| child.has_started() || child.is_skipped && self.is_succeeded(&child.shard.id);
        self.children_cover(id, counts)
    }

    /// The smallest watermark of the nearest ancestors that have a past.
    pub(super) fn inherited_watermark(&self, node: &Node) -> Option<SystemTime> {
        let mut watermarks = Vec::new();
        self.climb(node, |ancestor| {
            if ancestor.progress.is_some() {
                watermarks.push(ancestor.watermark());
            }
            ancestor.progress.is_none()
        });
        watermarks.into_iter().min().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lineage::ShardProgress;
    use crate::position::ShardPosition;
    use bytes::Bytes;
    use kinesis_core::{HashKeyRange, SequenceNumber, Shard, from_unix_millis};

    fn shard(index: u64, range: HashKeyRange, parents: &[u64]) -> Shard {
        Shard {
            id: ShardId::from_index(index),
            hash_key_range: range,
            parent: parents.first().copied().map(ShardId::from_index),
            adjacent_parent: parents.get(1).copied().map(ShardId::from_index),
            starting_sequence_number: SequenceNumber::ZERO,
            ending_sequence_number: None,
        }
    }

    fn at(watermark: u64, is_ended: bool) -> ShardProgress {
        let position = ShardPosition::from_parts(None, None, is_ended);
        ShardProgress { position, user_state: Bytes::new(), watermark: Some(from_unix_millis(watermark)) }
    }

    /// A shard, its watermark, and whether it has children.
    type Read = (u64, Option<u64>, bool);

    /// What the watermark waits for: the shards that are read, in order, and the ends that hold.
    fn holds(graph: &ShardGraph) -> (Vec<Read>, Vec<Option<u64>>) {
        let millis = |time: Option<SystemTime>| time.map(kinesis_core::unix_millis);
        let (mut reading, mut ends) = (Vec::new(), Vec::new());
        for hold in graph.holds(&"orders".parse().unwrap()) {
            match hold {
                Hold::Reading { shard, watermark, has_children, .. } => {
                    reading.push((shard.shard.index().unwrap(), millis(watermark), has_children));
                }
                Hold::Final { watermark, .. } => ends.push(millis(watermark)),
            }
        }
        (reading, ends)
    }

    fn graph(listing: &[Shard]) -> ShardGraph {
        let mut graph = ShardGraph::new(ShardPosition::TRIM_HORIZON, SystemTime::UNIX_EPOCH);
        graph.observe(listing.to_vec(), SystemTime::UNIX_EPOCH);
        graph
    }

    #[test]
    fn an_end_holds_until_all_of_its_children_have_begun() {
        let halves = HashKeyRange::uniform(2);
        let parent = shard(0, HashKeyRange::FULL, &[]);
        let (low, high) = (shard(1, halves[0], &[0]), shard(2, halves[1], &[0]));
        let mut graph = graph(std::slice::from_ref(&parent));
        assert_eq!(holds(&graph), (vec![(0, None, false)], vec![]));
        graph.take_up(&parent.id);
        graph.advance(&parent.id, at(7, false));
        assert_eq!(holds(&graph), (vec![(0, Some(7), false)], vec![]));
        graph.advance(&parent.id, at(8, true));
        assert_eq!(holds(&graph), (vec![], vec![Some(8)]), "its children are not discovered yet");
        graph.observe(vec![parent, low.clone(), high.clone()], SystemTime::UNIX_EPOCH);
        assert_eq!(holds(&graph), (vec![], vec![Some(8)]), "they wait");
        graph.take_up(&low.id);
        assert_eq!(holds(&graph), (vec![(1, Some(8), false)], vec![Some(8)]), "one of them does");
        graph.take_up(&high.id);
        assert_eq!(holds(&graph), (vec![(1, Some(8), false), (2, Some(8), false)], vec![]));
    }

    #[test]
    fn a_shard_with_children_that_wait_is_never_idle_and_a_merged_one_begins_at_the_smaller() {
        let halves = HashKeyRange::uniform(2);
        let parents = [shard(0, halves[0], &[]), shard(1, halves[1], &[])];
        let child = shard(2, HashKeyRange::FULL, &[0, 1]);
        let mut graph = graph(&[parents[0].clone(), parents[1].clone(), child.clone()]);
        graph.advance(&parents[0].id, at(5, false));
        graph.advance(&parents[1].id, at(9, true));
        assert_eq!(holds(&graph), (vec![(0, Some(5), true)], vec![Some(9)]));
        let waits = |hold| matches!(hold, Hold::Final { waits_for_others: true, .. });
        assert!(graph.holds(&"orders".parse().unwrap()).any(waits), "for the other parent");
        graph.advance(&parents[0].id, at(6, true));
        graph.take_up(&child.id);
        assert_eq!(holds(&graph), (vec![(2, Some(6), false)], vec![]));
    }

    #[test]
    fn an_end_whose_descendants_are_gone_with_it_holds_nobody() {
        let mut graph = graph(&[shard(0, HashKeyRange::FULL, &[])]);
        graph.advance(&ShardId::from_index(0), at(5, true));
        graph.observe(vec![shard(7, HashKeyRange::FULL, &[3])], SystemTime::UNIX_EPOCH);
        assert_eq!(holds(&graph), (vec![(7, None, false)], vec![]));
    }

    #[test]
    fn a_shard_that_was_given_up_holds_what_its_children_inherit() {
        let parents = [shard(0, HashKeyRange::FULL, &[]), shard(1, HashKeyRange::FULL, &[0])];
        let mut graph = graph(&[parents[0].clone(), parents[1].clone(), shard(2, HashKeyRange::FULL, &[1])]);
        graph.advance(&parents[0].id, at(5, true));
        graph.give_up(&parents[1].id);
        assert_eq!(holds(&graph), (vec![], vec![Some(5), Some(5)]));
        graph.take_up(&ShardId::from_index(2));
        assert_eq!(holds(&graph), (vec![(2, Some(5), false)], vec![]));
    }
}
