//! What can be seen of a job from outside.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kinesis_core::Epoch;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::record::StreamShard;

/// What a job does, at one moment; for health checks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobStatus {
    /// Whether a run is under way.
    pub is_running: bool,
    /// The shards that are being read, in the order of streams and shards; not those that wait for their parents.
    pub shards: Vec<ShardStatus>,
    /// The last checkpoint that this process completed.
    pub last_checkpoint: Option<CheckpointStatus>,
    /// The event time that the job has come to; nothing while that is not known, or without a watermark strategy.
    pub watermark: Option<SystemTime>,
}

/// How far a shard that is being read has come.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShardStatus {
    /// The shard.
    pub shard: StreamShard,
    /// How far behind the tip of the shard its last reply was, by the service; nothing before the first.
    pub behind_latest: Option<Duration>,
    /// How long ago that reply came, or the shard was begun.
    ///
    /// It grows while calls fail, hang or are throttled, and while the subtask is too busy to be read for.
    pub silent_for: Duration,
}

/// A checkpoint that was completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckpointStatus {
    /// Its number.
    pub epoch: Epoch,
    /// How long ago that was.
    pub age: Duration,
}

impl ShardStatus {
    /// How far behind the tip reading is at most: what the last reply said, and the time since.
    pub fn lag(&self) -> Option<Duration> {
        Some(self.behind_latest?.saturating_add(self.silent_for))
    }
}

impl JobStatus {
    /// The largest [lag](ShardStatus::lag) of the shards that are being read.
    ///
    /// Nothing while one of them has had no reply yet, or none is read: then nobody knows.
    pub fn lag(&self) -> Option<Duration> {
        self.shards.iter().map(ShardStatus::lag).collect::<Option<Vec<_>>>()?.into_iter().max()
    }
}

/// The last that a shard's reader heard.
#[derive(Clone, Copy, Debug)]
struct Reading {
    behind_latest: Option<Duration>,
    at: Instant,
}

/// Where readers note what they hear.
#[derive(Debug, Default)]
pub(crate) struct StatusBoard {
    shards: Mutex<BTreeMap<StreamShard, Arc<Mutex<Reading>>>>,
    last_checkpoint: Mutex<Option<(Epoch, Instant)>>,
    watermark: Mutex<Option<SystemTime>>,
}

/// A shard's place on the board; it leaves the board with its reader.
#[derive(Debug)]
pub(crate) struct ShardPlace {
    board: Arc<StatusBoard>,
    shard: StreamShard,
    reading: Arc<Mutex<Reading>>,
}

impl StatusBoard {
    pub(crate) fn place(self: &Arc<Self>, shard: &StreamShard, now: Instant) -> ShardPlace {
        let reading = Arc::new(Mutex::new(Reading { behind_latest: None, at: now }));
        self.shards.lock().insert(shard.clone(), Arc::clone(&reading));
        ShardPlace { board: Arc::clone(self), shard: shard.clone(), reading }
    }

    pub(crate) fn checkpointed(&self, epoch: Epoch, now: Instant) {
        *self.last_checkpoint.lock() = Some((epoch, now));
    }

    pub(crate) fn reached(&self, watermark: Option<SystemTime>) {
        *self.watermark.lock() = watermark;
    }

    pub(crate) fn status(&self, is_running: bool, now: Instant) -> JobStatus {
        let since = |at: Instant| now.saturating_duration_since(at);
        let status = |(shard, reading): (&StreamShard, &Arc<Mutex<Reading>>)| {
            let Reading { behind_latest, at } = *reading.lock();
            ShardStatus { shard: shard.clone(), behind_latest, silent_for: since(at) }
        };
        let shards = self.shards.lock().iter().map(status).collect();
        let last_checkpoint = self.last_checkpoint.lock().map(|(epoch, at)| CheckpointStatus { epoch, age: since(at) });
        JobStatus { is_running, shards, last_checkpoint, watermark: *self.watermark.lock() }
    }
}

impl ShardPlace {
    pub(crate) fn replied(&self, behind_latest: Option<Duration>, now: Instant) {
        *self.reading.lock() = Reading { behind_latest, at: now };
    }
}

impl Drop for ShardPlace {
    fn drop(&mut self) {
        let mut shards = self.board.shards.lock();
        // A run that was fenced leaves alone what its successor reads.
        if shards.get(&self.shard).is_some_and(|reading| Arc::ptr_eq(reading, &self.reading)) {
            shards.remove(&self.shard);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kinesis_core::ShardId;

    fn shard(index: u64) -> StreamShard {
        StreamShard { stream: "orders".parse().unwrap(), shard: ShardId::from_index(index) }
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn the_lag_is_what_the_service_said_and_the_time_since() {
        let board = Arc::<StatusBoard>::default();
        let status = || board.status(true, Instant::now());
        assert_eq!(status().lag(), None, "nothing is read");
        let (one, other) = (board.place(&shard(1), Instant::now()), board.place(&shard(0), Instant::now()));
        one.replied(Some(5 * SECOND), Instant::now());
        tokio::time::advance(SECOND).await;
        assert_eq!(status().lag(), None, "of the other nothing is known yet");
        other.replied(Some(Duration::ZERO), Instant::now());
        assert_eq!(status().lag(), Some(6 * SECOND));
        tokio::time::advance(10 * SECOND).await;
        one.replied(Some(2 * SECOND), Instant::now());
        assert_eq!(status().lag(), Some(10 * SECOND), "the other has been silent");
        let silent: Vec<_> = status().shards.iter().map(|shard| shard.silent_for).collect();
        assert_eq!(silent, [10 * SECOND, Duration::ZERO]);
        other.replied(None, Instant::now());
        assert_eq!(status().lag(), None, "the service did not say");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_is_late_to_end_takes_nobody_elses_place() {
        let board = Arc::<StatusBoard>::default();
        let fenced = board.place(&shard(0), Instant::now());
        let successor = board.place(&shard(0), Instant::now());
        drop(fenced);
        assert_eq!(board.status(true, Instant::now()).shards.len(), 1);
        drop(successor);
        assert_eq!(board.status(true, Instant::now()).shards.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_checkpoint_grows_old() {
        let board = StatusBoard::default();
        assert_eq!(board.status(false, Instant::now()).last_checkpoint, None);
        board.checkpointed(Epoch(7), Instant::now());
        tokio::time::advance(3 * SECOND).await;
        let status = board.status(false, Instant::now());
        assert_eq!(status.last_checkpoint, Some(CheckpointStatus { epoch: Epoch(7), age: 3 * SECOND }));
    }
}
