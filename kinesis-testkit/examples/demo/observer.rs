//! What the demo sees of its consumer: counts, and the moments to kill it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use kinesis_consumer::{ConsumerHandle, StreamShard};
use kinesis_core::{RecordPosition, ShardId};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Watches deliveries over all incarnations of the consumer.
#[derive(Debug)]
pub(crate) struct Observer {
    run: u64,
    /// Lines handed to a processor, repeated ones too.
    lines: AtomicU64,
    /// Checkpoints are asked for so many lines apart.
    checkpoint_every: u64,
    state: Mutex<State>,
    kill: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// The highest position of each shard that any incarnation so far, and any before this one, was given.
    highest: BTreeMap<StreamShard, Highest>,
    /// The line counts at which the consumer is killed.
    kills: Vec<u64>,
    /// How many records each incarnation was given that an earlier one had been given.
    replayed: Vec<u64>,
    /// Set from the moment of a kill to the restore: nothing is processed any more.
    dead: bool,
    next_checkpoint: u64,
    handle: Option<ConsumerHandle>,
    children: BTreeSet<ShardId>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Highest {
    now: Option<RecordPosition>,
    before: Option<RecordPosition>,
}

impl Observer {
    /// Watches a run of so many lines, with kills at `kills`, ascending counts of delivered lines.
    pub(crate) fn new(run: u64, lines: u64, mut kills: Vec<u64>) -> Self {
        kills.reverse();
        let checkpoint_every = (lines / CHECKPOINTS).max(1);
        let state = State { kills, next_checkpoint: checkpoint_every, ..State::default() };
        Self { run, lines: AtomicU64::new(0), checkpoint_every, state: Mutex::new(state), kill: Notify::new() }
    }

    pub(crate) const fn run(&self) -> u64 {
        self.run
    }

    pub(crate) fn lines(&self) -> u64 {
        self.lines.load(Ordering::Relaxed)
    }

    /// How many records each restore read again.
    pub(crate) fn replayed(&self) -> Vec<u64> {
        self.state.lock().replayed.iter().skip(1).copied().collect()
    }

    /// Waits until the consumer is to be killed.
    pub(crate) async fn kill_due(&self) {
        self.kill.notified().await;
    }

    /// A new incarnation begins: what was delivered so far is what it may repeat.
    pub(crate) fn begin_incarnation(&self, handle: ConsumerHandle) {
        let mut state = self.state.lock();
        state.dead = false;
        state.handle = Some(handle);
        state.replayed.push(0);
        state.highest.values_mut().for_each(|highest| highest.before = highest.now);
    }

    /// Resharding made these shards: each has to get a record while a consumer runs.
    pub(crate) fn expect_children(&self, children: impl IntoIterator<Item = ShardId>) {
        self.state.lock().children.extend(children);
    }

    pub(crate) fn child_got_record(&self, shard: &StreamShard) {
        self.state.lock().children.remove(&shard.shard);
    }

    pub(crate) fn children_without_records(&self) -> usize {
        self.state.lock().children.len()
    }

    /// How many of the positions an earlier incarnation was given.
    pub(crate) fn count_replayed(&self, shard: &StreamShard, positions: impl Iterator<Item = RecordPosition>) -> u64 {
        let before = self.state.lock().highest.get(shard).and_then(|highest| highest.before);
        before.map_or(0, |before| positions.take_while(|position| *position <= before).count() as u64)
    }

    /// Counts a batch; never returns once the consumer is to be killed.
    ///
    /// The processor hangs right after a batch: its subtask acknowledges no barrier any more, so that this batch is in
    /// no checkpoint, and the restore has something to repeat.
    pub(crate) async fn delivered(&self, shard: &StreamShard, last: Option<RecordPosition>, lines: u64, replayed: u64) {
        let total = self.lines.fetch_add(lines, Ordering::Relaxed) + lines;
        if self.take_in(shard, last, total, replayed) {
            self.kill.notify_one();
            std::future::pending::<()>().await;
        }
    }

    fn take_in(&self, shard: &StreamShard, last: Option<RecordPosition>, total: u64, replayed: u64) -> bool {
        let mut state = self.state.lock();
        let highest = state.highest.entry(shard.clone()).or_default();
        highest.now = highest.now.max(last);
        if let Some(of_incarnation) = state.replayed.last_mut() {
            *of_incarnation += replayed;
        }
        // A restored consumer first repeats what its predecessor had not saved: until then it is not killed again.
        let repeated = state.replayed.len() == 1 || state.replayed.last() > Some(&0);
        if state.kills.last().is_some_and(|count| total >= *count) && repeated && !state.dead {
            state.kills.pop();
            state.dead = true;
            return true;
        }
        if total >= state.next_checkpoint {
            state.next_checkpoint = total + self.checkpoint_every;
            state.handle.iter().for_each(ConsumerHandle::checkpoint);
        }
        false
    }
}

/// How many checkpoints a run takes, at about equal distances in records.
const CHECKPOINTS: u64 = 50;
