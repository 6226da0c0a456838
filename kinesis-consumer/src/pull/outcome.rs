//! How a pulled job ended, for all of its subtasks.

use std::error::Error;

use parking_lot::Mutex;
use tokio::task::AbortHandle;

use crate::error::ConsumerError;

#[derive(Debug)]
enum State {
    Running,
    Stopped,
    Failed { error: Option<ConsumerError>, cause: String },
}

/// How a job ended: the error goes to the first subtask that asks, its text to the others.
#[derive(Debug)]
pub(super) struct Outcome(Mutex<State>);

impl Outcome {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(State::Running))
    }

    /// Notes the end; the first one counts.
    pub(super) fn settle<T>(&self, result: Result<T, ConsumerError>) {
        let mut state = self.0.lock();
        if matches!(*state, State::Running) {
            *state = match result {
                Ok(_) => State::Stopped,
                Err(error) => State::Failed { cause: cause_of(&error), error: Some(error) },
            };
        }
    }

    /// The end, as one of the subtasks is told it after the coordinator is gone.
    pub(super) fn get(&self) -> Result<(), ConsumerError> {
        match &mut *self.0.lock() {
            State::Stopped => Ok(()),
            State::Failed { error, cause } => {
                Err(error.take().unwrap_or_else(|| ConsumerError::JobFailed { cause: cause.clone() }))
            }
            State::Running => Err(ConsumerError::Panicked { task: "the coordinator".to_owned() }),
        }
    }
}

/// What the other subtasks are told of an error.
pub(super) fn cause_of(error: &ConsumerError) -> String {
    match error {
        ConsumerError::JobFailed { cause } => cause.clone(),
        error => {
            let causes = std::iter::successors(Some(error as &dyn Error), |&error| error.source());
            causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
        }
    }
}

/// Ends the job's task with the last of its subtasks.
#[derive(Debug)]
pub(super) struct JobTask(pub(super) AbortHandle);

impl Drop for JobTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_subtask_gets_the_error_and_the_others_its_text() {
        let outcome = Outcome::new();
        assert!(matches!(outcome.get(), Err(ConsumerError::Panicked { .. })), "gone without a word");
        outcome.settle::<()>(Err(ConsumerError::SubtaskDropped { subtask: 1 }));
        outcome.settle(Ok(()));
        let (first, second) = (outcome.get().unwrap_err(), outcome.get().unwrap_err());
        assert!(matches!(first, ConsumerError::SubtaskDropped { subtask: 1 }));
        assert!(matches!(second, ConsumerError::JobFailed { cause } if cause == first.to_string()));
    }
}
