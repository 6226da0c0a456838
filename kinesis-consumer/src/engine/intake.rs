//! What reaches a subtask, in the order in which it is taken in.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};

use super::messages::{FromReader, StartShard, ToSubtask};
use crate::reader::{PollingReader, ReaderShared};
use crate::schema::{Decoded, Judged, Schema};

/// How many batches may wait for a subtask; their bytes are bounded by the memory budget.
const QUEUED_BATCHES: usize = 16;

/// The next thing for a subtask to do.
pub(crate) enum Work<T> {
    /// Nothing where the coordinator is gone.
    Command(Option<ToSubtask>),
    Message(FromReader<T>),
    ReaderEnded(Result<(), JoinError>),
}

/// The commands of a subtask, its readers, and what they have read.
///
/// Dropping it ends the readers.
pub(crate) struct Intake<S: Schema> {
    shared: Arc<ReaderShared<Judged<S>>>,
    /// Readers are spawned here, wherever the subtask is polled.
    runtime: Handle,
    readers: JoinSet<()>,
    batches_in: mpsc::Sender<FromReader<Decoded<S::Item>>>,
    batches: mpsc::Receiver<FromReader<Decoded<S::Item>>>,
    commands: mpsc::UnboundedReceiver<ToSubtask>,
}

impl<S: Schema> Intake<S> {
    pub(crate) fn new(
        shared: Arc<ReaderShared<Judged<S>>>,
        runtime: Handle,
        commands: mpsc::UnboundedReceiver<ToSubtask>,
    ) -> Self {
        let (batches_in, batches) = mpsc::channel(QUEUED_BATCHES);
        Self { shared, runtime, readers: JoinSet::new(), batches_in, batches, commands }
    }

    /// Begins to read a shard.
    pub(crate) fn read(&mut self, start: &StartShard) {
        let reader = PollingReader::new(Arc::clone(&self.shared), start, self.batches_in.clone());
        self.readers.spawn_on(reader.run(), &self.runtime);
    }

    /// Commands first, so that a barrier passes what waits in the queue.
    ///
    /// Nothing is taken out of a queue unless it is returned.
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Work<Decoded<S::Item>>> {
        if let Poll::Ready(command) = self.commands.poll_recv(context) {
            return Poll::Ready(Work::Command(command));
        }
        if let Poll::Ready(Some(ended)) = self.readers.poll_join_next(context) {
            return Poll::Ready(Work::ReaderEnded(ended));
        }
        match self.batches.poll_recv(context) {
            Poll::Ready(Some(message)) => Poll::Ready(Work::Message(message)),
            // It does not close: a sender for readers to come is kept here.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    /// As [`poll_next`](Self::poll_next). Cancel safety: dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Work<Decoded<S::Item>> {
        poll_fn(|context| self.poll_next(context)).await
    }
}
