//! One checkpoint at a time, from its barriers to its completion.

use std::collections::{BTreeMap, BTreeSet};

use kinesis_core::Epoch;

use crate::lineage::ShardProgress;
use crate::record::StreamShard;

/// What the subtasks reported for a checkpoint.
#[derive(Debug, PartialEq)]
pub(crate) struct Collected {
    pub(crate) epoch: Epoch,
    /// Whether the job ends with it.
    pub(crate) last: bool,
    pub(crate) shards: BTreeMap<StreamShard, ShardProgress>,
}

#[derive(Debug)]
enum Phase {
    Idle,
    Collecting { collected: Collected, missing: BTreeSet<usize> },
    Writing { last: bool },
}

/// Follows checkpoints: barriers are out, acknowledgements come in, the result is written.
#[derive(Debug)]
pub(crate) struct Barriers {
    phase: Phase,
    last_epoch: Epoch,
    /// Asked for while another one was under way.
    wanted: bool,
    ending: bool,
}

impl Barriers {
    pub(crate) const fn new(last_epoch: Epoch) -> Self {
        Self { phase: Phase::Idle, last_epoch, wanted: false, ending: false }
    }

    /// Asks for a checkpoint, now or after the one under way.
    pub(crate) fn request(&mut self) {
        self.wanted = true;
    }

    /// Asks for a checkpoint after which the job ends.
    pub(crate) fn request_last(&mut self) {
        self.ending = true;
    }

    /// Begins the checkpoint that is asked for, if none is under way; returns its epoch and whether it is the last.
    pub(crate) fn begin(&mut self, subtasks: usize) -> Option<(Epoch, bool)> {
        if !matches!(self.phase, Phase::Idle) || !(self.wanted || self.ending) {
            return None;
        }
        self.wanted = false;
        self.last_epoch = self.last_epoch.next();
        let collected = Collected { epoch: self.last_epoch, last: self.ending, shards: BTreeMap::new() };
        self.phase = Phase::Collecting { collected, missing: (0..subtasks).collect() };
        Some((self.last_epoch, self.ending))
    }

    /// Takes in an acknowledgement; the last one missing yields what was collected.
    pub(crate) fn acknowledge(
        &mut self,
        subtask: usize,
        epoch: Epoch,
        shards: Vec<(StreamShard, ShardProgress)>,
    ) -> Option<Collected> {
        let Phase::Collecting { collected, missing } = &mut self.phase else {
            return None;
        };
        if collected.epoch != epoch || !missing.remove(&subtask) {
            return None;
        }
        collected.shards.extend(shards);
        if !missing.is_empty() {
            return None;
        }
        let last = collected.last;
        match std::mem::replace(&mut self.phase, Phase::Writing { last }) {
            Phase::Collecting { collected, .. } => Some(collected),
            Phase::Idle | Phase::Writing { .. } => None,
        }
    }

    /// The checkpoint is durable and committed; returns whether the job ends here.
    pub(crate) fn completed(&mut self) -> bool {
        matches!(std::mem::replace(&mut self.phase, Phase::Idle), Phase::Writing { last: true })
    }

    /// Whether a checkpoint's barriers are out, and not all answered.
    pub(crate) const fn are_out(&self) -> bool {
        matches!(self.phase, Phase::Collecting { .. })
    }

    /// Whether shards may be begun.
    ///
    /// Not while barriers are out: a child begun behind one subtask's barrier and before another's would be in a
    /// checkpoint that still has its parent in the middle. Nor once the job is ending.
    pub(crate) const fn allows_starts(&self) -> bool {
        match self.phase {
            Phase::Idle => true,
            Phase::Collecting { .. } => false,
            Phase::Writing { last } => !last,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::ShardPosition;
    use bytes::Bytes;
    use kinesis_core::ShardId;

    fn progress(index: u64) -> Vec<(StreamShard, ShardProgress)> {
        let shard = StreamShard { stream: "orders".parse().unwrap(), shard: ShardId::from_index(index) };
        let position = ShardPosition::TRIM_HORIZON;
        vec![(shard, ShardProgress { position, user_state: Bytes::new(), watermark: None })]
    }

    #[test]
    fn a_checkpoint_is_collected_when_every_subtask_has_acknowledged() {
        let mut barriers = Barriers::new(Epoch(4));
        assert_eq!(barriers.begin(2), None, "nobody asked");
        barriers.request();
        assert_eq!(barriers.begin(2), Some((Epoch(5), false)));
        assert!(!barriers.allows_starts() && barriers.are_out());
        assert_eq!(barriers.acknowledge(0, Epoch(5), progress(0)), None);
        assert_eq!(barriers.acknowledge(0, Epoch(5), progress(0)), None, "once is enough");
        assert_eq!(barriers.acknowledge(1, Epoch(4), progress(1)), None, "of another epoch");
        let collected = barriers.acknowledge(1, Epoch(5), progress(1)).unwrap();
        assert_eq!((collected.epoch, collected.shards.len(), collected.last), (Epoch(5), 2, false));
        assert!(barriers.allows_starts());
        assert!(!barriers.completed());
    }

    #[test]
    fn one_checkpoint_at_a_time_and_none_is_forgotten() {
        let mut barriers = Barriers::new(Epoch(0));
        barriers.request();
        barriers.begin(1);
        barriers.request();
        assert_eq!(barriers.begin(1), None);
        barriers.acknowledge(0, Epoch(1), progress(0)).unwrap();
        assert_eq!(barriers.begin(1), None, "the first is not durable yet");
        barriers.completed();
        assert_eq!(barriers.begin(1), Some((Epoch(2), false)));
    }

    #[test]
    fn the_last_checkpoint_ends_the_job() {
        let mut barriers = Barriers::new(Epoch(0));
        barriers.request_last();
        assert_eq!(barriers.begin(1), Some((Epoch(1), true)));
        barriers.acknowledge(0, Epoch(1), progress(0)).unwrap();
        assert!(!barriers.allows_starts());
        assert!(barriers.completed());
    }
}
