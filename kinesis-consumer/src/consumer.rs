//! The consumer.

use std::fmt;
use std::sync::Arc;

use kinesis_core::{CheckpointParticipant, Epoch};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::Instrument;

use crate::builder::ConsumerBuilder;
use crate::control::ConsumerHandle;
use crate::engine::intake::Intake;
use crate::engine::messages::ToCoordinator;
use crate::engine::{Coordinator, Crew, Job, Subtask, SubtaskShared};
use crate::error::ConsumerError;
use crate::processor::{Processor, ShardContext};
use crate::schema::{RawRecords, Schema};
use crate::sink::{NoSink, Sink};

/// An exactly-once, parallel consumer of one or more streams.
///
/// Every shard is read by a task of its own and processed by a [`Processor`] of its own, parents before their children.
/// Positions and processor states are saved together in checkpoints, and a job that is run again, with any parallelism,
/// goes on from the last one.
pub struct KinesisConsumer<S: Schema> {
    job: Arc<Job<S>>,
    handle: ConsumerHandle,
}

impl KinesisConsumer<RawRecords> {
    /// Begins to build a consumer; without another schema it hands on raw records.
    pub fn builder() -> ConsumerBuilder<RawRecords> {
        ConsumerBuilder::new(RawRecords)
    }
}

impl<S: Schema> KinesisConsumer<S> {
    pub(crate) fn new(job: Job<S>, handle: ConsumerHandle) -> Self {
        Self { job: Arc::new(job), handle }
    }

    /// A handle to checkpoint, stop or drain the job while it runs.
    pub fn handle(&self) -> ConsumerHandle {
        self.handle.clone()
    }

    /// Runs the job without a sink, with a processor of `factory` per shard.
    ///
    /// Returns the last checkpoint's epoch once the [handle](Self::handle) asked it to end. Cancel safety: dropping the
    /// future ends the job at once and saves nothing, as a crash would; running again goes on from the last checkpoint.
    /// User code that is running then runs on to its next await. A second run at the same time fences the first.
    ///
    /// # Errors
    /// [`ConsumerError`]; running again goes on from the last checkpoint.
    pub async fn run<P, F>(&self, factory: F) -> Result<Epoch, ConsumerError>
    where
        P: Processor<S::Item, Output = ()>,
        F: Fn(&ShardContext) -> P + Send + Sync + 'static,
    {
        self.run_into(Arc::new(NoSink), factory).await
    }

    /// Runs the job with a sink, whose output becomes visible with the checkpoints.
    ///
    /// Cancel safety: as of [`run`](Self::run).
    ///
    /// # Errors
    /// [`ConsumerError`]; running again goes on from the last checkpoint.
    pub async fn run_into<P, F, K>(&self, sink: Arc<K>, factory: F) -> Result<Epoch, ConsumerError>
    where
        P: Processor<S::Item>,
        F: Fn(&ShardContext) -> P + Send + Sync + 'static,
        K: Sink<P::Output> + 'static,
    {
        let participant = Arc::clone(&sink) as Arc<dyn CheckpointParticipant>;
        let (readers, mutant) = (Arc::clone(&self.job.readers), self.job.mutant);
        let shared = Arc::new(SubtaskShared { readers, factory: Arc::new(factory), sink, mutant });
        let hire = |epoch, outbox: &_| crew(self.job.parallelism, &shared, epoch, outbox);
        let _run = self.handle.begin_run();
        let run = async {
            let coordinator = Coordinator::start(Arc::clone(&self.job), participant, hire).await?;
            coordinator.run().await
        };
        run.instrument(tracing::info_span!("consumer", job = self.job.name)).await
    }
}

/// Subtasks with a task each.
fn crew<S: Schema, P: Processor<S::Item>>(
    parallelism: usize,
    shared: &Arc<SubtaskShared<S, P>>,
    epoch: Epoch,
    outbox: &mpsc::UnboundedSender<ToCoordinator>,
) -> Crew {
    let (mut commands, mut tasks) = (Vec::with_capacity(parallelism), JoinSet::new());
    for index in 0..parallelism {
        let (sender, receiver) = mpsc::unbounded_channel();
        let intake = Intake::new(Arc::clone(&shared.readers), Handle::current(), receiver);
        let subtask = Subtask::new(index, Arc::clone(shared), epoch, intake, outbox.clone());
        tasks.spawn(subtask.run().instrument(tracing::info_span!("subtask", index)));
        commands.push(sender);
    }
    Crew { commands, tasks, lineage: None }
}

impl<S: Schema> fmt::Debug for KinesisConsumer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KinesisConsumer")
            .field("job", &self.job.name)
            .field("streams", &self.job.streams)
            .field("parallelism", &self.job.parallelism)
            .finish_non_exhaustive()
    }
}
