//! What reaches a subtask, in the order in which it is taken in.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use kinesis_core::Epoch;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tracing::Instrument;

use super::messages::{FromReader, StartShard, ToSubtask};
use crate::reader::{FanOutReader, PollingReader, ReaderShared};
use crate::record::StreamShard;
use crate::schema::{Decoded, Judged, Schema};

/// How many batches may wait for a subtask; their bytes are bounded by the memory budget.
const QUEUED_BATCHES: usize = 16;

/// The next thing for a subtask to do.
pub(crate) enum Work<T> {
    /// A shard to begin.
    Start(Box<StartShard>),
    /// See [`ToSubtask::Barrier`].
    Barrier {
        epoch: Epoch,
        last: bool,
    },
    /// The coordinator is gone.
    Over,
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
    /// How the reader of each shard is told that nothing more of it is wanted.
    abandoned: BTreeMap<StreamShard, Arc<AtomicBool>>,
    /// The shards whose readers were told that there is no such shard.
    vanished: BTreeSet<StreamShard>,
}

impl<S: Schema> Intake<S> {
    pub(crate) fn new(
        shared: Arc<ReaderShared<Judged<S>>>,
        runtime: Handle,
        commands: mpsc::UnboundedReceiver<ToSubtask>,
    ) -> Self {
        let (batches_in, batches) = mpsc::channel(QUEUED_BATCHES);
        let (abandoned, vanished) = (BTreeMap::new(), BTreeSet::new());
        Self { shared, runtime, readers: JoinSet::new(), batches_in, batches, commands, abandoned, vanished }
    }

    /// Begins to read a shard.
    pub(crate) fn read(&mut self, start: &StartShard) {
        let abandoned = Arc::new(AtomicBool::new(false));
        self.abandoned.insert(start.id.clone(), Arc::clone(&abandoned));
        let (shared, out) = (Arc::clone(&self.shared), self.batches_in.clone());
        let span = tracing::info_span!("shard", stream = %start.id.stream, shard = %start.id.shard);
        match &self.shared.fan_out {
            Some(fan_out) => {
                let reader = FanOutReader::new(shared, fan_out, start, abandoned, out);
                self.readers.spawn_on(reader.run().instrument(span), &self.runtime);
            }
            None => {
                let reader = PollingReader::new(shared, start, abandoned, out);
                self.readers.spawn_on(reader.run().instrument(span), &self.runtime);
            }
        }
    }

    /// Commands first, so that a barrier passes what waits in the queue.
    ///
    /// An abandoned shard comes out as one that ended, behind what was fetched of it. Nothing is taken out of a queue
    /// unless it is returned, or noted here.
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Work<Decoded<S::Item>>> {
        while let Poll::Ready(command) = self.commands.poll_recv(context) {
            let work = match command {
                Some(ToSubtask::Start(start)) => Work::Start(start),
                Some(ToSubtask::Barrier { epoch, last }) => Work::Barrier { epoch, last },
                Some(ToSubtask::Abandon(shard)) => match self.abandon(shard) {
                    Some(ended) => Work::Message(ended),
                    None => continue,
                },
                None => Work::Over,
            };
            return Poll::Ready(work);
        }
        if let Poll::Ready(Some(ended)) = self.readers.poll_join_next(context) {
            return Poll::Ready(Work::ReaderEnded(ended));
        }
        match self.batches.poll_recv(context) {
            Poll::Ready(Some(message)) => Poll::Ready(Work::Message(self.noted(message))),
            // It does not close: a sender for readers to come is kept here.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    /// Tells the reader of a shard to end it; its end at once where the reader is gone.
    fn abandon(&mut self, shard: StreamShard) -> Option<FromReader<Decoded<S::Item>>> {
        if self.vanished.remove(&shard) {
            return Some(FromReader::Ended { shard });
        }
        if let Some(abandoned) = self.abandoned.get(&shard) {
            abandoned.store(true, Ordering::Relaxed);
        }
        None
    }

    fn noted<T>(&mut self, message: FromReader<T>) -> FromReader<T> {
        match message {
            FromReader::Vanished { shard, error } => {
                // Abandoned after its reader had been told.
                if self.abandoned.remove(&shard).is_some_and(|abandoned| abandoned.load(Ordering::Relaxed)) {
                    return FromReader::Ended { shard };
                }
                self.vanished.insert(shard.clone());
                FromReader::Vanished { shard, error }
            }
            FromReader::Ended { shard } => {
                self.abandoned.remove(&shard);
                FromReader::Ended { shard }
            }
            message => message,
        }
    }

    /// As [`poll_next`](Self::poll_next). Cancel safety: dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Work<Decoded<S::Item>> {
        poll_fn(|context| self.poll_next(context)).await
    }
}
