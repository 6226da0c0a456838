//! The streams of a job: their identities and their shard graphs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use kinesis_core::{Epoch, ShardId, StreamArn, StreamName};

use super::barriers::Collected;
use super::messages::StartShard;
use crate::error::PossibleLoss;
use crate::lineage::{ShardGraph, ShardProgress, Startable};
use crate::position::ShardPosition;
use crate::record::StreamShard;
use crate::state::{Checkpoint, ShardState, StreamState};

/// One stream of a job.
#[derive(Debug)]
pub(crate) struct JobStream {
    pub(crate) arn: StreamArn,
    pub(crate) created_at: SystemTime,
    pub(crate) start: ShardPosition,
    pub(crate) graph: ShardGraph,
    /// Records that arrived before this time are gone.
    pub(crate) horizon: SystemTime,
}

impl JobStream {
    pub(crate) const fn new(arn: StreamArn, created_at: SystemTime, start: ShardPosition, horizon: SystemTime) -> Self {
        Self { arn, created_at, start, graph: ShardGraph::new(start), horizon }
    }

    pub(crate) fn restored(state: &StreamState, horizon: SystemTime) -> Self {
        let mut stream = Self::new(state.arn.clone(), state.created_at, state.start, horizon);
        for ShardState { shard, start, progress } in &state.shards {
            stream.graph.restore(shard.clone(), *start, progress.clone());
        }
        stream
    }

    fn state(&self, name: &StreamName) -> StreamState {
        let shards = self
            .graph
            .entries()
            .map(|(shard, start, progress)| ShardState { shard: shard.clone(), start, progress })
            .collect();
        StreamState {
            name: name.clone(),
            arn: self.arn.clone(),
            created_at: self.created_at,
            start: self.start,
            shards,
        }
    }
}

/// All streams of a job, by name.
#[derive(Debug, Default)]
pub(crate) struct JobStreams(pub(crate) BTreeMap<StreamName, JobStream>);

impl JobStreams {
    pub(crate) fn advance(&mut self, shard: &StreamShard, progress: ShardProgress) {
        if let Some(stream) = self.0.get_mut(&shard.stream) {
            stream.graph.advance(&shard.shard, progress);
        }
    }

    /// Takes what the subtasks reported, and makes a checkpoint of it and of the graphs.
    ///
    /// What a subtask reported stands above what the graph knows of the same shard: a shard that ended behind the
    /// barrier was not at its end at the barrier.
    pub(crate) fn checkpoint(&mut self, job: &str, collected: Collected, taken_at: SystemTime) -> Checkpoint {
        let mut ended_behind = Vec::new();
        for (shard, progress) in collected.shards {
            if let Some(stream) = self.0.get_mut(&shard.stream) {
                if let Some(ended) = stream.graph.ended(&shard.shard) {
                    ended_behind.push((shard.clone(), ended));
                }
                stream.graph.advance(&shard.shard, progress);
            }
        }
        let checkpoint = self.snapshot(job, collected.epoch, taken_at);
        ended_behind.into_iter().for_each(|(shard, progress)| self.advance(&shard, progress));
        checkpoint
    }

    /// Where retention may have removed unread records of a checkpoint taken at `taken_at`.
    pub(crate) fn aged_out(&self, taken_at: SystemTime) -> Vec<PossibleLoss> {
        let of_stream = |(name, stream): (&StreamName, &JobStream)| -> Vec<PossibleLoss> {
            let loss = |(shard, after)| PossibleLoss {
                shard: StreamShard { stream: name.clone(), shard },
                after,
                first_seen: None,
                first_seen_at: None,
            };
            stream.graph.aged_out(taken_at, stream.horizon).into_iter().map(loss).collect()
        };
        self.0.iter().flat_map(of_stream).collect()
    }

    pub(crate) fn snapshot(&self, job: &str, epoch: Epoch, taken_at: SystemTime) -> Checkpoint {
        let streams = self.0.iter().map(|(name, stream)| stream.state(name)).collect();
        Checkpoint { job: job.to_owned(), epoch, taken_at, streams, pending: Vec::new() }
    }

    /// The shards that can be begun, those that were begun before included; the ones that a checkpoint has begun first.
    ///
    /// A shard that is taken up waits for parents that are not finished. In a checkpoint of the consumer's own there are
    /// none; positions that a user keeps may have a child's later than its parent's.
    pub(crate) fn ready(&self) -> impl Iterator<Item = StartShard> {
        let resumable = self.0.iter().flat_map(|(name, stream)| {
            let unfinished: BTreeSet<ShardId> = stream.graph.unfinished().map(|shard| shard.id.clone()).collect();
            let waits = move |start: &Startable| start.shard.parents().any(|parent| unfinished.contains(parent));
            stream.graph.resumable().into_iter().filter(move |start| !waits(start)).map(move |start| (name, start))
        });
        let startable = self
            .0
            .iter()
            .flat_map(|(name, stream)| stream.graph.startable().into_iter().map(move |start| (name, start)));
        resumable.chain(startable).map(|(name, Startable { shard, position, states })| {
            let id = StreamShard { stream: name.clone(), shard: shard.id.clone() };
            StartShard { id, shard, position, states }
        })
    }

    /// The shards of all streams that are not read to their end.
    pub(crate) fn unfinished(&self) -> impl Iterator<Item = StreamShard> {
        self.0.iter().flat_map(|(name, stream)| {
            stream.graph.unfinished().map(|shard| StreamShard { stream: name.clone(), shard: shard.id.clone() })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use kinesis_core::{HashKeyRange, SequenceNumber, Shard, from_unix_millis};

    fn shard(index: u64, parent: Option<u64>) -> Shard {
        Shard {
            id: ShardId::from_index(index),
            hash_key_range: HashKeyRange::FULL,
            parent: parent.map(ShardId::from_index),
            adjacent_parent: None,
            starting_sequence_number: SequenceNumber::ZERO,
            ending_sequence_number: None,
        }
    }

    fn progress(ended: bool, state: &'static str) -> ShardProgress {
        ShardProgress {
            position: ShardPosition::from_parts(None, None, ended),
            user_state: Bytes::from_static(state.as_bytes()),
            watermark: None,
        }
    }

    #[test]
    fn a_shard_that_ended_behind_the_barrier_is_saved_as_it_was_at_the_barrier() {
        let name: StreamName = "orders".parse().unwrap();
        let id = StreamShard { stream: name.clone(), shard: ShardId::from_index(0) };
        let arn = StreamArn::new("us-east-1", "123456789012", &name).unwrap();
        let mut stream = JobStream::new(arn, from_unix_millis(1), ShardPosition::TRIM_HORIZON, from_unix_millis(0));
        stream.graph.observe(vec![shard(0, None)]);
        stream.graph.observe(vec![shard(0, None), shard(1, Some(0))]);
        let mut streams = JobStreams(BTreeMap::from([(name.clone(), stream)]));
        streams.advance(&id, progress(true, "final"));
        let shards = BTreeMap::from([(id, progress(false, "at the barrier"))]);
        let collected = Collected { epoch: Epoch(3), last: false, shards };
        let checkpoint = streams.checkpoint("job", collected, from_unix_millis(2));
        let saved = checkpoint.streams[0].shards[0].progress.clone().unwrap();
        assert_eq!(saved, progress(false, "at the barrier"));
        let startable = streams.0[&name].graph.startable();
        assert_eq!(startable[0].states[0].1, "final", "the child goes on from the end");
    }

    #[test]
    fn a_child_that_is_further_than_its_parent_is_taken_up_when_the_parent_is_finished() {
        let name: StreamName = "orders".parse().unwrap();
        let arn = StreamArn::new("us-east-1", "123456789012", &name).unwrap();
        let mut stream = JobStream::new(arn, from_unix_millis(1), ShardPosition::TRIM_HORIZON, from_unix_millis(0));
        stream.graph.restore(shard(0, None), ShardPosition::TRIM_HORIZON, Some(progress(false, "")));
        stream.graph.restore(shard(1, Some(0)), ShardPosition::TRIM_HORIZON, Some(progress(false, "")));
        stream.graph.restore(shard(2, Some(0)), ShardPosition::TRIM_HORIZON, None);
        let mut streams = JobStreams(BTreeMap::from([(name.clone(), stream)]));
        let ready =
            |streams: &JobStreams| -> Vec<u64> { streams.ready().filter_map(|start| start.shard.id.index()).collect() };
        assert_eq!(ready(&streams), [0]);
        streams.advance(&StreamShard { stream: name, shard: ShardId::from_index(0) }, progress(true, ""));
        assert_eq!(ready(&streams), [1, 2]);
    }
}
