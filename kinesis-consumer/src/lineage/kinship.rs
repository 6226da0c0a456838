//! Who descends from whom.

use std::collections::{BTreeMap, BTreeSet};

use kinesis_core::{Shard, ShardId};

/// How the shards of a listing are related to those that were known before it.
#[derive(Debug, Default)]
pub(super) struct Kinship {
    ancestors: BTreeSet<ShardId>,
    descendants: BTreeSet<ShardId>,
}

impl Kinship {
    /// Follows parents and children over any number of generations, each shard once.
    pub(super) fn of<'a>(known: impl Iterator<Item = &'a Shard>, listed: &'a BTreeMap<ShardId, Shard>) -> Self {
        let mut children: BTreeMap<&ShardId, Vec<&Shard>> = BTreeMap::new();
        for shard in listed.values() {
            shard.parents().for_each(|parent| children.entry(parent).or_default().push(shard));
        }
        let known: Vec<&Shard> = known.collect();
        let mut kinship = Self::default();
        let mut pending = known.clone();
        while let Some(shard) = pending.pop() {
            for parent in shard.parents() {
                if kinship.ancestors.insert(parent.clone()) {
                    pending.extend(listed.get(parent));
                }
            }
        }
        let mut pending = known;
        while let Some(shard) = pending.pop() {
            for child in children.get(&shard.id).into_iter().flatten() {
                if kinship.descendants.insert(child.id.clone()) {
                    pending.push(child);
                }
            }
        }
        kinship
    }

    /// Whether a known shard descends from `id`.
    pub(super) fn is_ancestor(&self, id: &ShardId) -> bool {
        self.ancestors.contains(id)
    }

    /// Whether `id` descends from a known shard.
    pub(super) fn is_descendant(&self, id: &ShardId) -> bool {
        self.descendants.contains(id)
    }
}
