//! Asking things of a job that runs.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

/// What was asked of a job from outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Control {
    /// How many runs have begun.
    runs: u64,
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
}

impl ConsumerHandle {
    pub(crate) fn new() -> Self {
        Self { control: Arc::new(watch::Sender::new(Control::default())) }
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Control> {
        self.control.subscribe()
    }

    /// Begins a run, which what is asked for from now on is asked of.
    pub(crate) fn begin_run(&self) -> Run {
        let mut number = 0;
        self.control.send_modify(|control| {
            control.runs += 1;
            number = control.runs;
        });
        Run { control: Arc::clone(&self.control), number }
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
            let is_latest = control.runs == self.number;
            if is_latest {
                *control = Control { runs: control.runs, ..Control::default() };
            }
            is_latest
        });
    }
}
