//! A share of the shards, to be pulled.

use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use futures_core::Stream;
use futures_core::future::BoxFuture;
use futures_core::stream::FusedStream;
use kinesis_core::RecordPosition;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::Instant;

use super::Positions;
use super::outcome::{JobTask, Outcome, cause_of};
use crate::engine::intake::{Intake, Work};
use crate::engine::messages::{Delivery, FromReader, StartShard, ToCoordinator};
use crate::engine::refusals::settle;
use crate::error::ConsumerError;
use crate::event_time::{Published, ShardTime};
use crate::events::ConsumerEvent;
use crate::lineage::ShardProgress;
use crate::position::ShardPosition;
use crate::reader::ReaderShared;
use crate::record::{Batch, StreamShard};
use crate::schema::{Decoded, Judged, Judgement, Schema};
use crate::state::Checkpoint;

/// What a subtask has in common with the others of its job.
pub(super) struct Shared<S: Schema> {
    pub(super) readers: Arc<ReaderShared<Judged<S>>>,
    pub(super) coordinator: mpsc::UnboundedSender<ToCoordinator>,
    /// The shards that the job knows, each at its start.
    pub(super) lineage: watch::Receiver<Arc<Checkpoint>>,
    /// The positions that the job began with.
    pub(super) base: BTreeMap<StreamShard, ShardProgress>,
    pub(super) outcome: Arc<Outcome>,
    pub(super) _task: JobTask,
}

/// A batch that was taken in and cannot be handed out yet.
struct InHand<T> {
    batch: Batch<T>,
    position: RecordPosition,
    /// The event time that the shard comes to with it.
    watermark: Option<SystemTime>,
    memory: Arc<OwnedSemaphorePermit>,
    /// The dead-letter hook at work; kept over calls, so that a dropped one does not call it again.
    settling: Option<BoxFuture<'static, Result<(), ConsumerError>>>,
}

/// A shard that is read, or was.
#[derive(Debug)]
struct ReadShard {
    position: ShardPosition,
    /// Nothing where no event time is kept.
    time: Option<ShardTime>,
}

/// A batch that the user works on.
struct HandedOut {
    shard: StreamShard,
    watermark: Option<SystemTime>,
    _memory: Arc<OwnedSemaphorePermit>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    Stopped,
    /// With the cause, for whoever asks again.
    Failed(String),
}

/// One of a job's subtasks: hands out the batches of its shards when it is asked.
///
/// Batches come in the order of each shard, and those of a shard that resharding made after its parents' last ones: once
/// [`next_batch`](Self::next_batch) was called after them, also on another subtask. Nothing is read ahead beyond the
/// memory budget of the job.
///
/// Dropping it before its end fails the job, so that its shards do not stand still while the others go on; dropping all
/// of them ends the job, as a crash would.
pub struct Subtask<S: Schema> {
    index: usize,
    shared: Arc<Shared<S>>,
    intake: Intake<S>,
    /// How far each of its shards was handed out; ended ones stay, since the user may not have kept their end yet.
    shards: BTreeMap<StreamShard, ReadShard>,
    /// The job's watermark; nothing before the first shard, and where no event time is kept.
    published: Option<watch::Receiver<Published>>,
    in_hand: Option<InHand<S::Item>>,
    /// The batch handed out last; the user is done with it when the next one is asked for.
    handed_out: Option<HandedOut>,
    end: Option<End>,
}

impl<S: Schema> Subtask<S> {
    pub(super) fn new(index: usize, shared: Arc<Shared<S>>, intake: Intake<S>) -> Self {
        let (shards, published) = (BTreeMap::new(), None);
        Self { index, shared, intake, shards, published, in_hand: None, handed_out: None, end: None }
    }

    /// Its number among the job's subtasks, from 0.
    pub const fn index(&self) -> usize {
        self.index
    }

    /// Waits for the next batch; nothing once the job was stopped or drained.
    ///
    /// Asking says that the batch before was dealt with: its memory is given back, and where it was the last of its
    /// shard, the shard's children may begin.
    ///
    /// Cancel safety: dropping the future loses nothing; a batch is handed out with the return, or by the next call. A
    /// dead-letter hook at work is not called again, it is waited for by the next call. So a time limit on this call is
    /// a way to save the positions of streams that are silent.
    ///
    /// # Errors
    /// [`ConsumerError`]; the job has ended, and each later call fails with
    /// [`JobFailed`](ConsumerError::JobFailed). What was handed out stands, and positions taken after the error are good.
    pub async fn next_batch(&mut self) -> Result<Option<Batch<S::Item>>, ConsumerError> {
        poll_fn(|context| self.poll_batch(context)).await
    }

    /// How far was read: all that was handed out, and nothing else.
    ///
    /// Keep it in the transaction that keeps the results of the batches up to the last one. Also good before the first
    /// batch, where it fixes a start at LATEST, and after the end. It holds every shard of the job, and costs as much: take
    /// one per transaction, not per record.
    pub fn snapshot(&self) -> Positions {
        let mut checkpoint = Checkpoint::clone(&self.shared.lineage.borrow());
        checkpoint.taken_at = self.shared.readers.clock.now();
        for stream in &mut checkpoint.streams {
            for state in &mut stream.shards {
                let id = StreamShard { stream: stream.name.clone(), shard: state.shard.id.clone() };
                let own = self.shards.get(&id).map(|shard| self.progress_of(shard));
                let given_up = state.progress.take_if(|progress| progress.position.is_ended());
                let known = own.or(given_up).or_else(|| self.shared.base.get(&id).cloned());
                state.progress = known.or_else(|| state.progress.take());
            }
        }
        Positions::new(checkpoint)
    }

    pub(crate) fn poll_batch(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Batch<S::Item>>, ConsumerError>> {
        match &self.end {
            Some(End::Stopped) => return Poll::Ready(Ok(None)),
            Some(End::Failed(cause)) => {
                return Poll::Ready(Err(ConsumerError::JobFailed { cause: cause.clone() }));
            }
            None => {}
        }
        if let Some(HandedOut { shard, watermark, .. }) = self.handed_out.take() {
            self.advance(&shard, watermark);
        }
        let result = ready!(self.poll_open(context));
        match &result {
            Ok(Some(_)) => {}
            Ok(None) => self.end = Some(End::Stopped),
            Err(error) => self.fail(error),
        }
        Poll::Ready(result)
    }

    fn poll_open(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Batch<S::Item>>, ConsumerError>> {
        loop {
            if let Some(batch) = ready!(self.poll_in_hand(context))? {
                return Poll::Ready(Ok(Some(batch)));
            }
            match ready!(self.intake.poll_next(context)) {
                Work::Start(start) => self.start(&start),
                Work::Barrier { epoch, last } => {
                    let (subtask, shards) = (self.index, self.progress());
                    self.tell(ToCoordinator::Acknowledged { subtask, epoch, shards });
                    if last {
                        return Poll::Ready(Ok(None));
                    }
                }
                Work::Over => return Poll::Ready(self.shared.outcome.get().map(|()| None)),
                Work::Message(message) => self.take_in(message)?,
                Work::ReaderEnded(Ok(())) => {}
                Work::ReaderEnded(Err(_)) => {
                    let task = format!("a reader of subtask {}", self.index);
                    return Poll::Ready(Err(ConsumerError::Panicked { task }));
                }
            }
        }
    }

    /// Hands out what is in hand, once the dead-letter hook is done; nothing where there is nothing to hand out.
    fn poll_in_hand(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Batch<S::Item>>, ConsumerError>> {
        let Some(in_hand) = &mut self.in_hand else {
            return Poll::Ready(Ok(None));
        };
        if let Some(settling) = &mut in_hand.settling {
            let settled = ready!(settling.as_mut().poll(context));
            // A future that is done must not be polled again, whatever it came to.
            in_hand.settling = None;
            if let Err(error) = settled {
                self.in_hand = None;
                return Poll::Ready(Err(error));
            }
        }
        let Some(InHand { mut batch, position, watermark, memory, .. }) = self.in_hand.take() else {
            return Poll::Ready(Ok(None));
        };
        if let Some(known) = self.shards.get_mut(&batch.shard) {
            known.position.delivered(position);
        }
        if batch.items.is_empty() {
            self.advance(&batch.shard, watermark);
            return Poll::Ready(Ok(None));
        }
        batch.watermark = self.watermark();
        self.handed_out = Some(HandedOut { shard: batch.shard.clone(), watermark, _memory: memory });
        Poll::Ready(Ok(Some(batch)))
    }

    fn start(&mut self, start: &StartShard) {
        self.intake.read(start);
        let (shard, subtask) = (start.id.clone(), self.index);
        (self.shared.readers.listener)(&ConsumerEvent::ShardStarted { shard, subtask });
        if self.published.is_none() {
            self.published = start.time.as_ref().map(ShardTime::published);
        }
        let shard = ReadShard { position: start.position, time: start.time.clone() };
        self.shards.insert(start.id.clone(), shard);
    }

    fn take_in(&mut self, message: FromReader<Decoded<S::Item>>) -> Result<(), ConsumerError> {
        match message {
            FromReader::Batch(delivery) => self.take_in_hand(delivery),
            FromReader::AtTip { shard, asked_at, served_at, last_arrival } => {
                if let Some(known) = self.shards.get_mut(&shard) {
                    if let Some(served_at) = served_at {
                        known.position.caught_up(served_at, last_arrival);
                    }
                    if let Some(time) = &known.time {
                        time.at_tip(Instant::now());
                    }
                }
                self.tell(ToCoordinator::AtTip { shard, asked_at });
            }
            FromReader::Held { shard, watermark } => {
                self.advance(&shard, Some(watermark));
                self.tell(ToCoordinator::Held);
            }
            FromReader::Ended { shard } => self.end_shard(shard),
            FromReader::TakenOver { shard } => self.tell(ToCoordinator::TakenOver { shard }),
            FromReader::Vanished { shard, error } => self.tell(ToCoordinator::Vanished { shard, error }),
            FromReader::Failed(error) => return Err(error),
        }
        Ok(())
    }

    fn take_in_hand(&mut self, delivery: Delivery<Decoded<S::Item>>) {
        let Delivery { shard, items, position, behind_latest, watermark, _memory: memory } = delivery;
        let Judgement { items, refusals } = Judgement::of(items);
        let settling = refusals.map(|refusals| -> BoxFuture<'static, _> {
            Box::pin(settle(Arc::clone(&self.shared.readers), shard.clone(), refusals))
        });
        let batch = Batch { shard, items, behind_latest, watermark: None };
        self.in_hand = Some(InHand { batch, position, watermark, memory, settling });
    }

    /// All of the shard was handed out, and more was asked for: its children may begin.
    fn end_shard(&mut self, shard: StreamShard) {
        let Some(known) = self.shards.get_mut(&shard).filter(|known| !known.position.is_ended()) else {
            return;
        };
        known.position.end();
        let progress = ShardProgress::without_state(known.position, known.time.as_ref().and_then(ShardTime::watermark));
        (self.shared.readers.listener)(&ConsumerEvent::ShardEnded { shard: shard.clone() });
        self.tell(ToCoordinator::Ended { shard, progress });
    }

    fn progress(&self) -> Vec<(StreamShard, ShardProgress)> {
        self.shards.iter().map(|(id, shard)| (id.clone(), self.progress_of(shard))).collect()
    }

    /// Raised to the job's watermark, so that it does not go back where the job is restored.
    fn progress_of(&self, shard: &ReadShard) -> ShardProgress {
        let own = shard.time.as_ref().and_then(ShardTime::watermark);
        ShardProgress::without_state(shard.position, own.max(self.watermark()))
    }

    /// The job's watermark.
    fn watermark(&self) -> Option<SystemTime> {
        self.published.as_ref().and_then(|published| published.borrow().watermark)
    }

    /// The user is done with records with which the shard came to `watermark`, or will come with the next.
    fn advance(&self, shard: &StreamShard, watermark: Option<SystemTime>) {
        if let Some(time) = self.shards.get(shard).and_then(|known| known.time.as_ref()) {
            time.advance(watermark);
        }
    }

    fn fail(&mut self, error: &ConsumerError) {
        let cause = cause_of(error);
        self.tell(ToCoordinator::Failed(ConsumerError::JobFailed { cause: cause.clone() }));
        self.end = Some(End::Failed(cause));
    }

    fn tell(&self, message: ToCoordinator) {
        // A coordinator that is gone has ended the job.
        let _ = self.shared.coordinator.send(message);
    }
}

/// Items are moved, never pinned in place.
impl<S: Schema> Unpin for Subtask<S> {}

impl<S: Schema> Stream for Subtask<S> {
    type Item = Result<Batch<S::Item>, ConsumerError>;

    /// As [`next_batch`](Subtask::next_batch), but for an error, after which the stream ends.
    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let subtask = self.get_mut();
        if subtask.is_terminated() {
            return Poll::Ready(None);
        }
        subtask.poll_batch(context).map(Result::transpose)
    }
}

impl<S: Schema> FusedStream for Subtask<S> {
    fn is_terminated(&self) -> bool {
        self.end.is_some()
    }
}

impl<S: Schema> Drop for Subtask<S> {
    fn drop(&mut self) {
        if self.end.is_none() {
            self.tell(ToCoordinator::Failed(ConsumerError::SubtaskDropped { subtask: self.index }));
        }
    }
}

impl<S: Schema> fmt::Debug for Subtask<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subtask")
            .field("index", &self.index)
            .field("shards", &self.shards.len())
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}
