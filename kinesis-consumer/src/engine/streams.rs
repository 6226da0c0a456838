//! The streams of a job: their identities and their shard graphs.

use std::collections::BTreeMap;
use std::time::SystemTime;

use kinesis_core::{Epoch, Shard, StreamArn, StreamName};
use tokio::time::Instant;

use super::barriers::Collected;
use super::messages::StartShard;
use crate::error::PossibleLoss;
use crate::lineage::{Entry, Hold, ListingChanges, ShardGraph, ShardProgress, Startable};
use crate::position::ShardPosition;
use crate::reader::KnownRetention;
use crate::record::StreamShard;
use crate::service_clock::ServiceClock;
use crate::state::{Checkpoint, ShardState, StreamState};

/// One stream of a job.
#[derive(Debug)]
pub(crate) struct JobStream {
    pub(crate) arn: StreamArn,
    pub(crate) created_at: SystemTime,
    pub(crate) start: ShardPosition,
    pub(crate) graph: ShardGraph,
    pub(crate) retention: KnownRetention,
    clock: ServiceClock,
}

impl JobStream {
    pub(crate) const fn new(
        arn: StreamArn,
        created_at: SystemTime,
        start: ShardPosition,
        clock: ServiceClock,
        retention: KnownRetention,
    ) -> Self {
        Self { arn, created_at, start, graph: ShardGraph::new(start, clock.served_at), retention, clock }
    }

    /// The stream of a checkpoint.
    pub(crate) fn restored(state: &StreamState, clock: ServiceClock, retention: KnownRetention) -> Self {
        let mut stream = Self::new(state.arn.clone(), state.created_at, state.start, clock, retention);
        // What is listed first now may have been there since the last listing of before.
        stream.graph = ShardGraph::new(state.start, state.listed_at);
        for ShardState { shard, start, owed_since, skipped, progress } in &state.shards {
            let (start, owed_since, is_skipped, progress) = (*start, *owed_since, *skipped, progress.clone());
            stream.graph.restore(&Entry { shard, start, owed_since, is_skipped, progress });
        }
        stream
    }

    /// Takes in a complete listing that was asked for at `since`.
    pub(crate) fn observe(&mut self, listing: Vec<Shard>, since: Instant) -> ListingChanges {
        self.graph.observe(listing, self.clock.time(since))
    }

    /// Whether retention may have removed records of a shard that is taken up at `now`, by what is known of it.
    fn may_have_lost(&self, start: &Startable, now: Instant) -> bool {
        let horizon = self.clock.time(now).checked_sub(self.retention.retention);
        start.unread_since.zip(horizon).is_some_and(|(since, horizon)| since < horizon)
    }

    fn state(&self, name: &StreamName) -> StreamState {
        let shards = self
            .graph
            .entries()
            .map(|Entry { shard, start, owed_since, is_skipped: skipped, progress }| {
                let shard = shard.clone();
                ShardState { shard, start, owed_since, skipped, progress }
            })
            .collect();
        StreamState {
            name: name.clone(),
            arn: self.arn.clone(),
            created_at: self.created_at,
            start: self.start,
            listed_at: self.graph.listed_at(),
            shards,
        }
    }
}

/// A shard that can be begun.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) start: StartShard,
    /// What retention may have removed of it since it was to be read.
    pub(crate) loss: Option<SuspectedLoss>,
}

/// A loss, by what is known of the stream's retention.
#[derive(Debug)]
pub(crate) struct SuspectedLoss {
    pub(crate) loss: PossibleLoss,
    pub(crate) retention: KnownRetention,
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

    /// Whether the last complete listing had the shard.
    pub(crate) fn lists(&self, shard: &StreamShard) -> bool {
        self.0.get(&shard.stream).is_some_and(|stream| stream.graph.lists(&shard.shard))
    }

    /// Whether the children of a shard are known that take all of its keys.
    pub(crate) fn knows_children_of(&self, shard: &StreamShard) -> bool {
        self.0.get(&shard.stream).is_some_and(|stream| stream.graph.knows_children_of(&shard.shard))
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

    pub(crate) fn snapshot(&self, job: &str, epoch: Epoch, taken_at: SystemTime) -> Checkpoint {
        let streams = self.0.iter().map(|(name, stream)| stream.state(name)).collect();
        Checkpoint { job: job.to_owned(), epoch, taken_at, streams, pending: Vec::new() }
    }

    /// Notes that a subtask has the shard.
    pub(crate) fn take_up(&mut self, shard: &StreamShard) {
        if let Some(stream) = self.0.get_mut(&shard.stream) {
            stream.graph.take_up(&shard.shard);
        }
    }

    /// The shards that no subtask has had and that can be begun; the ones that a checkpoint has begun first.
    pub(crate) fn ready(&self, now: Instant) -> impl Iterator<Item = Ready> {
        let resumable = self.0.iter().flat_map(|(name, stream)| {
            let resumable = stream.graph.resumable().into_iter();
            resumable.map(move |start| (name, stream, start))
        });
        let startable = self.0.iter().flat_map(|(name, stream)| {
            let startable = stream.graph.startable().into_iter();
            startable.map(move |start| (name, stream, start))
        });
        resumable.chain(startable).map(move |(name, stream, start)| {
            let id = StreamShard { stream: name.clone(), shard: start.shard.id.clone() };
            let loss = stream.may_have_lost(&start, now).then(|| PossibleLoss {
                shard: id.clone(),
                after: start.position.last(),
                first_seen: None,
                first_seen_at: None,
            });
            let loss = loss.map(|loss| SuspectedLoss { loss, retention: stream.retention });
            let Startable { shard, position, states, watermark, .. } = start;
            let start = StartShard { id, shard, position, states, clock: stream.clock, watermark, time: None };
            Ready { start, loss }
        })
    }

    /// The shards that the job's watermark waits for.
    pub(crate) fn holds(&self) -> impl Iterator<Item = Hold> {
        self.0.iter().flat_map(|(name, stream)| stream.graph.holds(name))
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
    use kinesis_core::{HashKeyRange, SequenceNumber, ShardId, from_unix_millis};
    use std::time::Duration;

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

    const DAY: Duration = Duration::from_secs(24 * 3600);

    /// A stream that is read from its oldest record on since `hour`, with a retention of a day.
    fn stream(name: &StreamName, hour: u64) -> JobStream {
        let arn = StreamArn::new("us-east-1", "123456789012", name).unwrap();
        let clock = ServiceClock { served_at: from_unix_millis(hour * 3_600_000), at: Instant::now() };
        let retention = KnownRetention { retention: DAY, looked_up_at: Instant::now() };
        JobStream::new(arn, from_unix_millis(1), ShardPosition::TRIM_HORIZON, clock, retention)
    }

    fn restore(stream: &mut JobStream, shard: Shard, owed_since: u64, progress: Option<ShardProgress>) {
        let owed_since = from_unix_millis(owed_since * 3_600_000);
        let start = ShardPosition::TRIM_HORIZON;
        stream.graph.restore(&Entry { shard: &shard, start, owed_since, is_skipped: false, progress });
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
        let mut stream = stream(&name, 0);
        stream.observe(vec![shard(0, None)], Instant::now());
        stream.observe(vec![shard(0, None), shard(1, Some(0))], Instant::now());
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
        let mut stream = stream(&name, 0);
        restore(&mut stream, shard(0, None), 0, Some(progress(false, "")));
        restore(&mut stream, shard(1, Some(0)), 0, Some(progress(false, "")));
        restore(&mut stream, shard(2, Some(0)), 0, None);
        let mut streams = JobStreams(BTreeMap::from([(name.clone(), stream)]));
        let ready = |streams: &JobStreams| -> Vec<u64> {
            streams.ready(Instant::now()).filter_map(|ready| ready.start.shard.id.index()).collect()
        };
        assert_eq!(ready(&streams), [0]);
        streams.advance(&StreamShard { stream: name, shard: ShardId::from_index(0) }, progress(true, ""));
        assert_eq!(ready(&streams), [1, 2]);
    }
    /// C8: the time goes on while the job runs, and a child may wait long for its parents.
    #[tokio::test(start_paused = true)]
    async fn what_retention_may_have_taken_of_a_shard_is_known_when_it_is_taken_up() {
        let name: StreamName = "orders".parse().unwrap();
        let mut stream = stream(&name, 100);
        restore(&mut stream, shard(0, None), 70, Some(progress(false, "")));
        restore(&mut stream, shard(1, None), 80, Some(progress(false, "")));
        let streams = JobStreams(BTreeMap::from([(name, stream)]));
        let losses = |streams: &JobStreams| -> Vec<_> {
            let ready = streams.ready(Instant::now()).map(|ready| (ready.start.shard.id.index(), ready.loss.is_some()));
            ready.collect()
        };
        assert_eq!(losses(&streams), [(Some(0), true), (Some(1), false)]);
        tokio::time::advance(Duration::from_secs(5 * 3600)).await;
        assert_eq!(losses(&streams), [(Some(0), true), (Some(1), true)]);
    }
}
