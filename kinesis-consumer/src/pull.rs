//! Delivery to a program that asks for batches and keeps its positions itself.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use kinesis_core::{CheckpointParticipant, Epoch};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::Instrument;

use self::outcome::{JobTask, Outcome};
use self::subtask::Shared;
use crate::control::ConsumerHandle;
use crate::engine::intake::Intake;
use crate::engine::messages::ToCoordinator;
use crate::engine::{Coordinator, Crew, Job};
use crate::error::ConsumerError;
use crate::lineage::ShardProgress;
use crate::record::StreamShard;
use crate::schema::Schema;
use crate::sink::NoSink;
use crate::state::Checkpoint;
use crate::store::{CheckpointStore, Incarnation, OpenedJob, StoreError};

mod outcome;
mod positions;
mod subtask;

pub use positions::{DifferentJobsError, Positions};
pub use subtask::Subtask;

/// A consumer that is pulled: it keeps no checkpoints, its user keeps [`Positions`] next to the results.
///
/// Made by [`ConsumerBuilder::build_pull`](crate::ConsumerBuilder::build_pull).
pub struct PullConsumer<S: Schema> {
    job: Job<S>,
    handle: ConsumerHandle,
    /// The positions that the job goes on from.
    base: BTreeMap<StreamShard, ShardProgress>,
}

impl<S: Schema> PullConsumer<S> {
    pub(crate) fn new(job: Job<S>, handle: ConsumerHandle, base: Option<&Positions>) -> Self {
        let base = base.into_iter().flat_map(Positions::progress).collect();
        Self { job, handle, base }
    }

    /// A handle to stop or drain the job; a checkpoint that is asked of it does nothing.
    pub fn handle(&self) -> ConsumerHandle {
        self.handle.clone()
    }

    /// Begins to read, and hands out the subtasks: as many as the parallelism says, which share the shards.
    ///
    /// Pull all of them at the same time, in a task each: what waits in one that is not pulled holds memory that the
    /// others may be waiting for, the children of its shards do not begin, and a drain waits for it. Readers and shard discovery run as tasks of the
    /// runtime that this is called in. Cancel safety: dropping the future leaves nothing behind.
    ///
    /// # Errors
    /// [`ConsumerError`] where a stream cannot be described or listed, or is not the one that the positions are of.
    pub async fn into_subtasks(self) -> Result<Vec<Subtask<S>>, ConsumerError> {
        let (job, runtime) = (Arc::new(self.job), Handle::current());
        let (commands, receivers): (Vec<_>, Vec<_>) = (0..job.parallelism).map(|_| mpsc::unbounded_channel()).unzip();
        let (lineage, shards) = watch::channel(Arc::new(Checkpoint::empty(&job.name)));
        let mut outbox = None;
        let hire = |_: Epoch, to_coordinator: &mpsc::UnboundedSender<ToCoordinator>| {
            outbox = Some(to_coordinator.clone());
            Crew { commands: commands.clone(), tasks: JoinSet::new(), lineage: Some(lineage) }
        };
        let sink = Arc::new(NoSink) as Arc<dyn CheckpointParticipant>;
        let span = tracing::info_span!("consumer", job = job.name);
        let coordinator = Coordinator::start(Arc::clone(&job), sink, hire).instrument(span.clone()).await?;
        let coordinator_inbox = outbox.expect("invariant: start calls hire before it returns");
        let outcome = Arc::new(Outcome::new());
        let (ended, run) = (Arc::clone(&outcome), self.handle.begin_run());
        let task = runtime.spawn(async move {
            let _run = run;
            ended.settle(coordinator.run().instrument(span).await);
            // Only now: a subtask whose commands end asks for the outcome.
            drop(commands);
        });
        let shared = Arc::new(Shared {
            readers: Arc::clone(&job.readers),
            coordinator: coordinator_inbox,
            lineage: shards,
            base: self.base,
            outcome,
            _task: JobTask(task.abort_handle()),
        });
        let subtask = |(index, commands)| {
            let intake = Intake::new(Arc::clone(&job.readers), runtime.clone(), commands);
            Subtask::new(index, Arc::clone(&shared), intake)
        };
        Ok(receivers.into_iter().enumerate().map(subtask).collect())
    }
}

impl<S: Schema> fmt::Debug for PullConsumer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PullConsumer")
            .field("job", &self.job.name)
            .field("streams", &self.job.streams)
            .field("parallelism", &self.job.parallelism)
            .finish_non_exhaustive()
    }
}

/// In the place of a store where the user keeps the positions: it gives back what it was given, and keeps nothing.
#[derive(Debug)]
pub(crate) struct KeptByUser(pub(crate) Option<Checkpoint>);

#[async_trait]
impl CheckpointStore for KeptByUser {
    async fn open(&self, _job: &str) -> Result<OpenedJob, StoreError> {
        Ok(OpenedJob::new(Incarnation::default(), self.0.clone()))
    }

    async fn put(&self, _incarnation: Incarnation, _checkpoint: &Checkpoint) -> Result<(), StoreError> {
        Ok(())
    }

    async fn latest_epoch(&self, _job: &str) -> Result<Option<Epoch>, StoreError> {
        Ok(None)
    }
}
