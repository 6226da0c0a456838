//! The thread that reads for a blocking program.

use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::thread::{Builder, JoinHandle};

use crossbeam_channel::Sender;
use futures_core::FusedStream;
use tokio::runtime::{self, Runtime};
use tokio::sync::mpsc;

use super::{Answer, Ask};
use crate::error::ConsumerError;
use crate::pull::{PullConsumer, Subtask};
use crate::record::Batch;
use crate::schema::Schema;

/// Begins the thread, which first answers whether the job has begun.
///
/// The one thread that this crate makes: what runs on it is its own runtime, so that no order of anybody else's depends
/// on it.
pub(super) fn spawn<S: Schema>(
    consumer: PullConsumer<S>,
    questions: mpsc::UnboundedReceiver<Ask>,
    answers: Sender<Answer<S::Item>>,
) -> io::Result<JoinHandle<()>> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    Builder::new().name("kinesis-consumer".to_owned()).spawn(move || work(runtime, consumer, questions, &answers))
}

fn work<S: Schema>(
    runtime: Runtime,
    consumer: PullConsumer<S>,
    mut questions: mpsc::UnboundedReceiver<Ask>,
    answers: &Sender<Answer<S::Item>>,
) {
    runtime.block_on(async {
        let mut readers = match consumer.into_subtasks().await {
            Ok(subtasks) => Readers { subtasks, next: 0 },
            Err(error) => return say(answers, Answer::Failed(error)),
        };
        say(answers, Answer::Nothing);
        while let Some(ask) = questions.recv().await {
            say(answers, readers.answer(ask).await);
        }
    });
    // A name look-up that hangs must not hold the program up.
    runtime.shutdown_background();
}

/// Whoever asked waits for the answer, so that there is room for it, unless the program is being torn down.
fn say<T>(answers: &Sender<Answer<T>>, answer: Answer<T>) {
    let _ = answers.try_send(answer);
}

/// All subtasks of the job, pulled in turn.
struct Readers<S: Schema> {
    subtasks: Vec<Subtask<S>>,
    /// The first to be asked.
    next: usize,
}

impl<S: Schema> Readers<S> {
    async fn answer(&mut self, ask: Ask) -> Answer<S::Item> {
        let pulled = match ask {
            Ask::Positions => return self.positions(),
            Ask::Batch(None) => self.pull().await,
            Ask::Batch(Some(limit)) => match tokio::time::timeout(limit, self.pull()).await {
                Ok(pulled) => pulled,
                Err(_) => return Answer::Nothing,
            },
        };
        match pulled {
            Ok(Some(batch)) => Answer::Batch(batch),
            Ok(None) => Answer::Stopped,
            Err(error) => Answer::Failed(error),
        }
    }

    /// The next batch of any subtask; nothing once all have ended. Cancel safety: as of a subtask's.
    async fn pull(&mut self) -> Result<Option<Batch<S::Item>>, ConsumerError> {
        poll_fn(|context| {
            let count = self.subtasks.len();
            for turn in 0..count {
                let index = (self.next + turn) % count;
                let subtask = &mut self.subtasks[index];
                if subtask.is_terminated() {
                    continue;
                }
                match subtask.poll_batch(context) {
                    Poll::Ready(Ok(None)) | Poll::Pending => {}
                    Poll::Ready(ready) => {
                        self.next = (index + 1) % count;
                        return Poll::Ready(ready);
                    }
                }
            }
            if self.subtasks.iter().all(Subtask::is_terminated) { Poll::Ready(Ok(None)) } else { Poll::Pending }
        })
        .await
    }

    fn positions(&self) -> Answer<S::Item> {
        let merged = self.subtasks.iter().map(Subtask::snapshot).map(Ok).reduce(|left, right| left?.merge(right?));
        match merged {
            Some(Ok(positions)) => Answer::Positions(positions),
            // Subtasks of one job are of one job, and there is at least one.
            Some(Err(_)) | None => Answer::Nothing,
        }
    }
}
