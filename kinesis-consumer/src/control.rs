//! Asking things of a job that runs.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::status::{JobStatus, StatusBoard};

/// What was asked of a job from outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Control {
    /// How many runs have begun.
    runs: u64,
    /// How many are under way: two, while one that was fenced has not noticed.
    running: u64,
    /// How many checkpoints were asked for.
    pub(crate) checkpoints: u64,
    pub(crate) stop: bool,
    /// When the job was asked to end at the tips of its shards.
    pub(crate) drain: Option<Instant>,
}

/// Asks things of a consumer's job; clones ask the same job.
#[derive(Clone, Debug)]
pub struct ConsumerHandle {
    control: Arc<watch::Sender<Control>>,
    board: Arc<StatusBoard>,
}

impl ConsumerHandle {
    pub(crate) fn new() -> Self {
        Self { control: Arc::new(watch::Sender::new(Control::default())), board: Arc::default() }
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Control> {
        self.control.subscribe()
    }

    /// Begins a run, which what is asked for from now on is asked of.
    pub(crate) fn begin_run(&self) -> Run {
        let mut number = 0;
        self.control.send_modify(|control| {
            control.runs += 1;
            control.running += 1;
            number = control.runs;
        });
        Run { control: Arc::clone(&self.control), number }
    }

    pub(crate) fn board(&self) -> Arc<StatusBoard> {
        Arc::clone(&self.board)
    }

    /// What the job does now: which shards it reads, how far behind they are, and its last checkpoint.
    ///
    /// Costs a look at every shard that is read, and waits for nothing. Tell a job that stands still by its
    /// [lag](JobStatus::lag), which grows also where no reply comes, and by the age of its last checkpoint.
    pub fn status(&self) -> JobStatus {
        let is_running = self.control.borrow().running > 0;
        self.board.status(is_running, Instant::now())
    }

    /// How far behind the tips of its shards the job reads, at most; the largest of all shards that are being read.
    ///
    /// Nothing while one of them has had no reply yet, or none is read.
    pub fn lag(&self) -> Option<Duration> {
        self.status().lag()
    }

    /// Takes a checkpoint now, or right after the one under way; before a run, as soon as it begins. Does not wait for it.
    pub fn checkpoint(&self) {
        self.control.send_modify(|control| control.checkpoints += 1);
    }

    /// Ends the job with a last checkpoint, wherever its shards are; before a run, that run.
    pub fn stop(&self) {
        self.control.send_modify(|control| control.stop = true);
    }

    /// Ends the job with a last checkpoint once it has read all that the streams hold by now.
    ///
    /// Every open shard has to be seen empty at its tip, and every closed one to be read to its end, after this call;
    /// with writers that never pause that may not happen.
    pub fn drain(&self) {
        self.control.send_modify(|control| {
            control.drain = Some(Instant::now());
        });
    }
}

/// A run of a job; however it ends, what it was asked for is not asked of the next.
#[derive(Debug)]
pub(crate) struct Run {
    control: Arc<watch::Sender<Control>>,
    number: u64,
}

impl Drop for Run {
    fn drop(&mut self) {
        // A run that was fenced leaves alone what its successor was asked for.
        self.control.send_if_modified(|control| {
            control.running -= 1;
            let is_latest = control.runs == self.number;
            if is_latest {
                let Control { runs, running, .. } = *control;
                *control = Control { runs, running, ..Control::default() };
            }
            is_latest
        });
    }
}
