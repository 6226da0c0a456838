//! A subtask: the processors of its shards, and the batches that reach them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use kinesis_core::{Epoch, HashKeyRange};
use tokio::sync::watch::error::RecvError;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::intake::{Intake, Work};
use super::messages::{Delivery, FromReader, StartShard, ToCoordinator};
use super::refusals::settle;
use crate::error::ConsumerError;
use crate::event_time::{Published, ShardTime};
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
    /// Nothing where no event time is kept.
    time: Option<ShardTime>,
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
    /// The job's watermark; nothing before the first shard, and where no event time is kept.
    published: Option<watch::Receiver<Published>>,
    /// The watermark that the processors were told.
    watermark: Option<SystemTime>,
    coordinator: mpsc::UnboundedSender<ToCoordinator>,
}

impl<S: Schema, P: Processor<S::Item>> Subtask<S, P> {
    pub(crate) fn new(
        index: usize,
        shared: Arc<SubtaskShared<S, P>>,
        last_epoch: Epoch,
        intake: Intake<S>,
        coordinator: mpsc::UnboundedSender<ToCoordinator>,
    ) -> Self {
        let (epoch, shards) = (last_epoch.next(), BTreeMap::new());
        Self { index, shared, epoch, shards, intake, published: None, watermark: None, coordinator }
    }

    /// Works until the last barrier, an error, or the coordinator's end.
    pub(crate) async fn run(mut self) {
        loop {
            let work = tokio::select! {
                biased;
                // First, so that a stream of records does not keep it from the processors.
                Ok(()) = changed(&mut self.published) => match self.take_watermark().await {
                    Ok(()) => continue,
                    Err(error) => return self.tell(ToCoordinator::Failed(error)),
                },
                work = self.intake.next() => work,
            };
            let done = match work {
                Work::Start(start) => self.start(*start).await.map(|()| false),
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

    async fn start(&mut self, start: StartShard) -> Result<(), ConsumerError> {
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
        let StartShard { id, position, time, .. } = start;
        if self.published.is_none() {
            self.published = time.as_ref().map(ShardTime::published);
            // Also what was told before.
            self.published.iter_mut().for_each(watch::Receiver::mark_changed);
        }
        if let Some(watermark) = self.watermark {
            let (shared, coordinator) = (&self.shared, &self.coordinator);
            tell_watermark(shared, coordinator, self.epoch, &id, &mut processor, watermark).await?;
        }
        self.shards.insert(id, RunningShard { processor, position, time });
        Ok(())
    }

    /// Tells the processors how far the job has come.
    async fn take_watermark(&mut self) -> Result<(), ConsumerError> {
        let reached = self.published.as_mut().and_then(|published| published.borrow_and_update().watermark);
        let Some(watermark) = reached.filter(|reached| Some(*reached) > self.watermark) else { return Ok(()) };
        self.watermark = Some(watermark);
        let (shared, coordinator) = (&self.shared, &self.coordinator);
        for (shard, running) in &mut self.shards {
            tell_watermark(shared, coordinator, self.epoch, shard, &mut running.processor, watermark).await?;
        }
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
                if let Some(time) = self.time_of(&shard) {
                    time.at_tip(Instant::now());
                }
                self.tell(ToCoordinator::AtTip { shard, asked_at });
                Ok(())
            }
            FromReader::Held { shard, watermark } => {
                if let Some(time) = self.time_of(&shard) {
                    time.advance(Some(watermark));
                }
                self.tell(ToCoordinator::Held);
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

    fn time_of(&self, shard: &StreamShard) -> Option<&ShardTime> {
        self.shards.get(shard).and_then(|running| running.time.as_ref())
    }

    async fn process(&mut self, delivery: Delivery<Decoded<S::Item>>) -> Result<(), ConsumerError> {
        let Delivery { shard, items, position, behind_latest, watermark, _memory } = delivery;
        let Some(running) = self.shards.get_mut(&shard) else {
            return Ok(());
        };
        let Judgement { items, refusals } = Judgement::of(items);
        if let Some(refusals) = refusals {
            settle(Arc::clone(&self.shared.readers), shard.clone(), refusals).await?;
        }
        if !items.is_empty() {
            let mut output = Vec::new();
            let batch = Batch { shard: shard.clone(), items, behind_latest, watermark: self.watermark };
            running.processor.process(batch, &mut output).await.map_err(processor_error(&shard, "process"))?;
            write(&self.shared, &self.coordinator, self.epoch, &shard, output).await?;
        }
        running.position.delivered(position);
        if let Some(time) = &running.time {
            time.advance(watermark);
        }
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
    let watermark = running.time.as_ref().and_then(ShardTime::watermark);
    Ok(ShardProgress { position: running.position, user_state, watermark })
}

async fn tell_watermark<S: Schema, P: Processor<S::Item>>(
    shared: &SubtaskShared<S, P>,
    coordinator: &mpsc::UnboundedSender<ToCoordinator>,
    epoch: Epoch,
    shard: &StreamShard,
    processor: &mut P,
    watermark: SystemTime,
) -> Result<(), ConsumerError> {
    let mut output = Vec::new();
    processor.on_watermark(watermark, &mut output).map_err(processor_error(shard, "on_watermark"))?;
    write(shared, coordinator, epoch, shard, output).await
}

/// Waits until the watermark advances, where there is one to wait for; an error once the job is over. Cancel safety:
/// nothing is lost.
async fn changed(published: &mut Option<watch::Receiver<Published>>) -> Result<(), RecvError> {
    match published {
        Some(published) => published.changed().await,
        None => std::future::pending().await,
    }
}

fn processor_error(shard: &StreamShard, step: &'static str) -> impl FnOnce(BoxError) -> ConsumerError + use<> {
    let shard = shard.clone();
    move |source| ConsumerError::Processor { shard, step, source }
}
