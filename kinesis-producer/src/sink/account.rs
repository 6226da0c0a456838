//! What a sink and its watcher share: room, counters, and the failures that nobody was told yet.

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::error::SinkFailure;
use super::stats::SinkStats;

#[derive(Debug, Default)]
struct Account {
    stats: SinkStats,
    /// The job's present run: a restored job does not answer for what an earlier one wrote.
    run: u64,
    /// For the next write or flush.
    caller: Option<SinkFailure>,
    /// For the next checkpoint, which does not pass over a failure that a write told of.
    checkpoint: Option<SinkFailure>,
}

/// Shared between the clones of a sink and its watcher.
#[derive(Debug)]
pub(super) struct Shared {
    /// One permit for each element that may be without outcome; closed once the watcher has ended.
    pub(super) room: Semaphore,
    account: Mutex<Account>,
}

impl Shared {
    pub(super) fn new(queue_limit: usize) -> Self {
        Self { room: Semaphore::new(queue_limit.min(Semaphore::MAX_PERMITS)), account: Mutex::default() }
    }

    pub(super) fn stats(&self) -> SinkStats {
        self.account.lock().stats
    }

    pub(super) fn run(&self) -> u64 {
        self.account.lock().run
    }

    /// Begins another run: failures of the earlier one are told nobody any more.
    pub(super) fn begin_run(&self) {
        let mut account = self.account.lock();
        account.run += 1;
        (account.caller, account.checkpoint) = (None, None);
    }

    /// Counts.
    pub(super) fn count(&self, count: impl FnOnce(&mut SinkStats)) {
        count(&mut self.account.lock().stats);
    }

    pub(super) fn note_wait(&self) {
        self.count(|stats| stats.backpressured += 1);
    }

    pub(super) fn note_written(&self) {
        self.count(|stats| stats.written += 1);
    }

    /// Takes note of a failure of that run.
    pub(super) fn fail(&self, run: u64, failure: SinkFailure) {
        let mut account = self.account.lock();
        if account.run == run {
            merge(&mut account.caller, failure.clone());
            merge(&mut account.checkpoint, failure);
        }
    }

    pub(super) fn has_failure(&self) -> bool {
        self.account.lock().caller.is_some()
    }

    /// What the next write or flush is to tell.
    pub(super) fn take_failure(&self) -> Option<SinkFailure> {
        self.account.lock().caller.take()
    }

    /// What the next checkpoint is to tell; a write need not tell it then.
    pub(super) fn take_checkpoint_failure(&self) -> Option<SinkFailure> {
        let mut account = self.account.lock();
        account.caller = None;
        account.checkpoint.take()
    }
}

fn merge(known: &mut Option<SinkFailure>, later: SinkFailure) {
    match known {
        None => *known = Some(later),
        Some(known) => known.add(&later),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::DeliveryError;
    use crate::outcome::FailureCause;

    fn failure(stream: &str) -> SinkFailure {
        let mut error = DeliveryError::new(stream.parse().unwrap(), FailureCause::Abandoned);
        error.failed = 1;
        SinkFailure::Delivery(error)
    }

    fn failed(failure: Option<SinkFailure>) -> Option<(u64, String)> {
        match failure? {
            SinkFailure::Delivery(error) => Some((error.failed, error.stream.to_string())),
            SinkFailure::DeadLetter(_) => None,
        }
    }

    #[test]
    fn a_failure_is_told_one_caller_and_one_checkpoint() {
        let shared = Shared::new(1);
        shared.fail(0, failure("a"));
        shared.fail(0, failure("b"));
        assert_eq!(failed(shared.take_failure()), Some((2, "a".to_owned())));
        assert_eq!(failed(shared.take_failure()), None);
        shared.fail(0, failure("c"));
        assert_eq!(failed(shared.take_checkpoint_failure()), Some((3, "a".to_owned())));
        assert_eq!(failed(shared.take_checkpoint_failure()), None);
        assert_eq!(failed(shared.take_failure()), None, "the checkpoint has told it");
    }

    #[test]
    fn a_restored_job_does_not_answer_for_an_earlier_run() {
        let shared = Shared::new(1);
        shared.fail(0, failure("a"));
        shared.begin_run();
        shared.fail(0, failure("late"));
        assert!(shared.take_failure().is_none() && shared.take_checkpoint_failure().is_none());
        shared.fail(1, failure("b"));
        assert_eq!(failed(shared.take_checkpoint_failure()), Some((1, "b".to_owned())));
    }
}
