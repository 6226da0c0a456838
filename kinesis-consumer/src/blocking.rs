//! Delivery to programs that are not asynchronous.

use std::fmt;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::control::ConsumerHandle;
use crate::error::ConsumerError;
use crate::pull::{Positions, PullConsumer};
use crate::record::Batch;
use crate::schema::Schema;

mod worker;

/// What the program asks of the thread that reads.
#[derive(Clone, Copy, Debug)]
enum Ask {
    /// The next batch; the time limit, where there is one.
    Batch(Option<Duration>),
    Positions,
}

/// What the thread answers; one answer for each question.
enum Answer<T> {
    /// It has begun, or a batch did not come within its time limit.
    Nothing,
    Batch(Batch<T>),
    Stopped,
    Failed(ConsumerError),
    Positions(Positions),
}

/// The batches of a consumer, for a program that is not asynchronous.
///
/// A thread of its own reads, with a runtime of its own; it hands out a batch when it is asked for one, and reads ahead
/// up to the memory budget. The parallelism is the number of subtasks, all on that thread, whose batches come in turn.
///
/// The iterator ends once the job was stopped or drained, and after an error. Dropping it ends the job, as a crash
/// would, and waits for the thread. Inside of an async runtime it refuses to work, since it would block the runtime's
/// other tasks: [`PullConsumer::into_subtasks`] is for there.
pub struct BlockingBatches<T> {
    ask: Option<mpsc::UnboundedSender<Ask>>,
    answers: Receiver<Answer<T>>,
    thread: Option<JoinHandle<()>>,
    handle: ConsumerHandle,
    ended: bool,
}

impl<S: Schema> PullConsumer<S> {
    /// Begins to read in a thread of its own, for a program that is not asynchronous.
    ///
    /// Blocks until the streams were looked up.
    ///
    /// # Errors
    /// [`ConsumerError::InsideRuntime`] in a thread of an async runtime, its threads for blocking work included; else as
    /// [`into_subtasks`](Self::into_subtasks).
    pub fn blocking(self) -> Result<BlockingBatches<S::Item>, ConsumerError> {
        refuse_inside_runtime()?;
        let handle = self.handle();
        let (ask, questions) = mpsc::unbounded_channel();
        // One answer at a time is under way, so that the thread never waits for room.
        let (answer, answers) = bounded(1);
        let thread = worker::spawn(self, questions, answer).map_err(ConsumerError::Thread)?;
        let batches = BlockingBatches { ask: Some(ask), answers, thread: Some(thread), handle, ended: false };
        match batches.receive() {
            Answer::Failed(error) => Err(error),
            Answer::Nothing | Answer::Batch(_) | Answer::Stopped | Answer::Positions(_) => Ok(batches),
        }
    }
}

impl<T> BlockingBatches<T> {
    /// A handle to stop or drain the job, also from another thread.
    pub fn handle(&self) -> ConsumerHandle {
        self.handle.clone()
    }

    /// Waits for the next batch as the iterator does, but no longer than `limit`.
    ///
    /// Without it a program would have no chance to keep the positions of streams that are silent.
    ///
    /// # Errors
    /// As the iterator's; the iterator ends with it, but for [`ConsumerError::InsideRuntime`].
    pub fn next_within(&mut self, limit: Duration) -> Result<Pulled<T>, ConsumerError> {
        self.pull(Some(limit))
    }

    /// How far was read: all that was handed out, and nothing else; also good after the end.
    ///
    /// See [`Subtask::snapshot`](crate::Subtask::snapshot).
    ///
    /// # Errors
    /// [`ConsumerError::InsideRuntime`] there; [`ConsumerError::Panicked`] where the thread is gone.
    pub fn snapshot(&self) -> Result<Positions, ConsumerError> {
        match self.exchange(Ask::Positions)? {
            Answer::Positions(positions) => Ok(positions),
            Answer::Failed(error) => Err(error),
            Answer::Nothing | Answer::Batch(_) | Answer::Stopped => Err(gone()),
        }
    }

    fn pull(&mut self, limit: Option<Duration>) -> Result<Pulled<T>, ConsumerError> {
        if self.ended {
            return Ok(Pulled::Ended);
        }
        match self.exchange(Ask::Batch(limit))? {
            Answer::Batch(batch) => Ok(Pulled::Batch(batch)),
            Answer::Nothing => Ok(Pulled::Nothing),
            Answer::Stopped | Answer::Positions(_) => {
                self.ended = true;
                Ok(Pulled::Ended)
            }
            Answer::Failed(error) => {
                self.ended = true;
                Err(error)
            }
        }
    }

    fn exchange(&self, ask: Ask) -> Result<Answer<T>, ConsumerError> {
        refuse_inside_runtime()?;
        if let Some(questions) = &self.ask {
            // A thread that is gone does not answer either.
            let _ = questions.send(ask);
        }
        Ok(self.receive())
    }

    fn receive(&self) -> Answer<T> {
        self.answers.recv().unwrap_or_else(|_| Answer::Failed(gone()))
    }
}

/// What came within a time limit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pulled<T> {
    /// The next batch.
    Batch(Batch<T>),
    /// Nothing yet; nothing was lost either.
    Nothing,
    /// Nothing more will come.
    Ended,
}

impl<T> Iterator for BlockingBatches<T> {
    type Item = Result<Batch<T>, ConsumerError>;

    /// Blocks until the next batch is there; nothing once the job was stopped or drained, or has failed.
    fn next(&mut self) -> Option<Self::Item> {
        match self.pull(None) {
            Ok(Pulled::Batch(batch)) => Some(Ok(batch)),
            Ok(Pulled::Nothing | Pulled::Ended) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

impl<T> Drop for BlockingBatches<T> {
    fn drop(&mut self) {
        // The thread ends when nobody can ask it any more.
        self.ask = None;
        if refuse_inside_runtime().is_ok()
            && let Some(thread) = self.thread.take()
        {
            // A panic of the thread was reported when it was asked.
            let _ = thread.join();
        }
    }
}

impl<T> fmt::Debug for BlockingBatches<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingBatches").field("ended", &self.ended).finish_non_exhaustive()
    }
}

fn refuse_inside_runtime() -> Result<(), ConsumerError> {
    match Handle::try_current() {
        Ok(_) => Err(ConsumerError::InsideRuntime),
        Err(_) => Ok(()),
    }
}

fn gone() -> ConsumerError {
    ConsumerError::Panicked { task: "the thread of a blocking consumer".to_owned() }
}
