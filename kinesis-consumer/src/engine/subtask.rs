//! A subtask: the processors of its shards, and the batches that reach them.

use std::collections::BTreeMap;
use std::sync::Arc;

use kinesis_core::{Epoch, HashKeyRange};
use tokio::sync::mpsc;

use super::intake::{Intake, Work};
use super::messages::{Delivery, FromReader, StartShard, ToCoordinator};
use super::refusals::settle;
use crate::error::ConsumerError;
use crate::events::ConsumerEvent;
use crate::lineage::ShardProgress;
use crate::mutants::Mutant;
use crate::position::ShardPosition;
use crate::processor::{Processor, SavedState, ShardContext};
use crate::reader::ReaderShared;
use crate::record::{Batch, StreamShard};
use crate::schema::{BoxError, Decoded, Judged, Judgement, Schema};
use crate::sink::Sink;

/// What all subtasks of a job share.
pub(crate) struct SubtaskShared<S, P: Processor<S::Item>>
where
    S: Schema,
{
    pub(crate) readers: Arc<ReaderShared<Judged<S>>>,
    pub(crate) factory: Arc<dyn Fn(&ShardContext) -> P + Send + Sync>,
    pub(crate) sink: Arc<dyn Sink<P::Output>>,
    pub(crate) mutant: Option<Mutant>,
}

struct RunningShard<P> {
    processor: P,
    position: ShardPosition,
}

/// Runs the shards of one subtask, in one task.
///
/// A barrier is handled between two batches, so that state, position and output of every shard are cut at one point.
pub(crate) struct Subtask<S: Schema, P: Processor<S::Item>> {
    index: usize,
    shared: Arc<SubtaskShared<S, P>>,
    /// The epoch that outputs belong to now.
    epoch: Epoch,
    shards: BTreeMap<StreamShard, RunningShard<P>>,
    intake: Intake<S>,
    coordinator: mpsc::UnboundedSender<ToCoordinator>,
}

impl<S: Schema, P: Processor<S::Item>> Subtask<S, P> {
    pub(crate) const fn new(
        index: usize,
        shared: Arc<SubtaskShared<S, P>>,
        last_epoch: Epoch,
        intake: Intake<S>,
        coordinator: mpsc::UnboundedSender<ToCoordinator>,
    ) -> Self {
        Self { index, shared, epoch: last_epoch.next(), shards: BTreeMap::new(), intake, coordinator }
    }

    /// Works until the last barrier, an error, or the coordinator's end.
    pub(crate) async fn run(mut self) {
        loop {
            let done = match self.intake.next().await {
                Work::Start(start) => self.start(*start).map(|()| false),
                Work::Barrier { epoch, last } => self.barrier(epoch).map(|()| last),
                Work::Over => return,
                Work::Message(message) => self.take_in(message).await.map(|()| false),
                Work::ReaderEnded(Ok(())) => Ok(false),
                Work::ReaderEnded(Err(_)) => {
                    Err(ConsumerError::Panicked { task: format!("a reader of subtask {}", self.index) })
                }
            };
            match done {
                Ok(false) => {}
                Ok(true) => return,
                Err(error) => return self.tell(ToCoordinator::Failed(error)),
            }
        }
    }

    fn tell(&self, message: ToCoordinator) {
        // A coordinator that is gone has ended the job, and this task with it.
        let _ = self.coordinator.send(message);
    }

    fn start(&mut self, start: StartShard) -> Result<(), ConsumerError> {
        let context =
            ShardContext { shard: start.id.clone(), hash_key_range: start.shard.hash_key_range, subtask: self.index };
        let mut processor = (self.shared.factory)(&context);
        let states = self.saved_states(&start);
        if !states.is_empty() {
            processor.restore(&states).map_err(processor_error(&start.id, "restore"))?;
        }
        self.intake.read(&start);
        let (shard, subtask) = (start.id.clone(), self.index);
        (self.shared.readers.listener)(&ConsumerEvent::ShardStarted { shard, subtask });
        self.shards.insert(start.id, RunningShard { processor, position: start.position });
        Ok(())
    }

    fn saved_states(&self, start: &StartShard) -> Vec<SavedState> {
        let forget_parents = self.shared.mutant == Some(Mutant::ForgetParentStates);
        let saved = |(shard, bytes): &(kinesis_core::Shard, bytes::Bytes)| SavedState {
            shard: StreamShard { stream: start.id.stream.clone(), shard: shard.id.clone() },
            hash_key_range: shard.hash_key_range as HashKeyRange,
            bytes: bytes.clone(),
        };
        let wanted = |(shard, _): &&(kinesis_core::Shard, bytes::Bytes)| !forget_parents || shard.id == start.id.shard;
        start.states.iter().filter(wanted).map(saved).collect()
    }

    async fn take_in(&mut self, message: FromReader<Decoded<S::Item>>) -> Result<(), ConsumerError> {
        match message {
            FromReader::Batch(delivery) => self.process(delivery).await,
            FromReader::AtTip { shard, asked_at, served_at, last_arrival } => {
                if let (Some(running), Some(served_at)) = (self.shards.get_mut(&shard), served_at) {
                    running.position.caught_up(served_at, last_arrival);
                }
                self.tell(ToCoordinator::AtTip { shard, asked_at });
                Ok(())
            }
            FromReader::Ended { shard } => self.end(shard).await,
            FromReader::TakenOver { shard } => {
                self.tell(ToCoordinator::TakenOver { shard });
                Ok(())
            }
            FromReader::Vanished { shard, error } => {
                self.tell(ToCoordinator::Vanished { shard, error });
                Ok(())
            }
            FromReader::Failed(error) => Err(error),
        }
    }

    async fn process(&mut self, delivery: Delivery<Decoded<S::Item>>) -> Result<(), ConsumerError> {
        let Delivery { shard, items, position, behind_latest, _memory } = delivery;
        let Some(running) = self.shards.get_mut(&shard) else {
            return Ok(());
        };
        let Judgement { items, refusals } = Judgement::of(items);
        if let Some(refusals) = refusals {
            settle(Arc::clone(&self.shared.readers), shard.clone(), refusals).await?;
        }
        if !items.is_empty() {
            let mut output = Vec::new();
            let batch = Batch { shard: shard.clone(), items, behind_latest };
            running.processor.process(batch, &mut output).await.map_err(processor_error(&shard, "process"))?;
            write(&self.shared, &self.coordinator, self.epoch, &shard, output).await?;
        }
        running.position.delivered(position);
        Ok(())
    }

    /// A shard was read to its end: its final state is for its children.
    async fn end(&mut self, shard: StreamShard) -> Result<(), ConsumerError> {
        let Some(mut running) = self.shards.remove(&shard) else {
            return Ok(());
        };
        let mut output = Vec::new();
        running.processor.end(&mut output).map_err(processor_error(&shard, "end"))?;
        write(&self.shared, &self.coordinator, self.epoch, &shard, output).await?;
        running.position.end();
        let progress = snapshot(&shard, &running)?;
        (self.shared.readers.listener)(&ConsumerEvent::ShardEnded { shard: shard.clone() });
        self.tell(ToCoordinator::Ended { shard, progress });
        Ok(())
    }

    fn barrier(&mut self, epoch: Epoch) -> Result<(), ConsumerError> {
        let mut shards = Vec::with_capacity(self.shards.len());
        for (shard, running) in &self.shards {
            shards.push((shard.clone(), snapshot(shard, running)?));
        }
        self.epoch = epoch.next();
        self.tell(ToCoordinator::Acknowledged { subtask: self.index, epoch, shards });
        Ok(())
    }
}

/// Hands outputs to the sink, but never once the job is over: by then the sink may belong to the next run.
async fn write<S: Schema, P: Processor<S::Item>>(
    shared: &SubtaskShared<S, P>,
    coordinator: &mpsc::UnboundedSender<ToCoordinator>,
    epoch: Epoch,
    shard: &StreamShard,
    output: Vec<P::Output>,
) -> Result<(), ConsumerError> {
    if output.is_empty() || coordinator.is_closed() {
        return Ok(());
    }
    shared.sink.write(epoch, shard, output).await.map_err(ConsumerError::Sink)
}

fn snapshot<T, P: Processor<T>>(
    shard: &StreamShard,
    running: &RunningShard<P>,
) -> Result<ShardProgress, ConsumerError> {
    let user_state = running.processor.snapshot().map_err(processor_error(shard, "snapshot"))?;
    Ok(ShardProgress { position: running.position, user_state, watermark: None })
}

fn processor_error(shard: &StreamShard, step: &'static str) -> impl FnOnce(BoxError) -> ConsumerError + use<> {
    let shard = shard.clone();
    move |source| ConsumerError::Processor { shard, step, source }
}
