//! The coordinator: discovery, starts, checkpoints, and the end of a job.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kinesis_core::{CheckpointParticipant, Epoch, RetryPolicy, Shard, StartingPosition, StreamName};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tracing::Instrument;

use super::barriers::{Barriers, Collected};
use super::commit::{Committer, Completed};
use super::messages::{StartShard, ToCoordinator, ToSubtask};
use super::startup::{Prepared, prepare};
use super::streams::{JobStreams, Ready, SuspectedLoss};
use crate::assign::{ShardAssigner, subtask_of};
use crate::control::Control;
use crate::error::{ConsumerError, PossibleLoss};
use crate::event_time::{EventTime, JobWatermark, WATERMARK_INTERVAL};
use crate::events::ConsumerEvent;
use crate::lineage::ShardProgress;
use crate::metrics;
use crate::mutants::Mutant;
use crate::reader::{LossPolicy, ReaderShared};
use crate::record::StreamShard;
use crate::schema::{Judged, Schema};
use crate::state::{Checkpoint, ShardState};
use crate::store::CheckpointStore;

mod discovery;
mod watermark;

use discovery::Answer;

/// Longer than any job runs without a restart, and still a time that can be added to.
const LONGEST_PERIOD: Duration = Duration::from_secs(365 * 24 * 3600);

/// How often what grows by itself is told to the metrics.
const LEVELS_INTERVAL: Duration = Duration::from_secs(10);

/// What a job is made of; fixed while it runs.
pub(crate) struct Job<S> {
    pub(crate) name: String,
    pub(crate) streams: Vec<StreamName>,
    pub(crate) start: StartingPosition,
    pub(crate) parallelism: usize,
    /// Nothing for a job whose positions its user keeps: it takes no checkpoint but the last.
    pub(crate) checkpoint_interval: Option<Duration>,
    pub(crate) discovery_interval: Duration,
    pub(crate) list_shards: RetryPolicy,
    pub(crate) describe: RetryPolicy,
    pub(crate) assigner: Arc<dyn ShardAssigner>,
    pub(crate) store: Arc<dyn CheckpointStore>,
    pub(crate) readers: Arc<ReaderShared<Judged<S>>>,
    /// Nothing where no event time is kept.
    pub(crate) event_time: Option<EventTime>,
    pub(crate) mutant: Option<Mutant>,
}

/// Those who work for a coordinator.
pub(crate) struct Crew {
    /// The way to each subtask, by its index.
    pub(crate) commands: Vec<mpsc::UnboundedSender<ToSubtask>>,
    /// The subtasks that are tasks of the job's own.
    pub(crate) tasks: JoinSet<()>,
    /// Is told the shards before one is begun, for subtasks that keep positions themselves.
    pub(crate) lineage: Option<watch::Sender<Arc<Checkpoint>>>,
}

enum Input {
    Message(ToCoordinator),
    Answer(Result<Answer, JoinError>),
    Checkpointed(Result<Result<Completed, ConsumerError>, JoinError>),
    SubtaskEnded(Result<(), JoinError>),
    Control,
    CheckpointDue,
    DiscoveryDue,
    WatermarkDue,
    LevelsDue,
}

/// A shard that was handed to a subtask.
struct Begun {
    subtask: usize,
    watermark: Option<SystemTime>,
}

/// Runs a job. Dropping it ends the job at once, with nothing saved: as a crash would.
pub(crate) struct Coordinator<S: Schema> {
    job: Arc<Job<S>>,
    committer: Arc<Committer<dyn CheckpointParticipant>>,
    streams: JobStreams,
    subtasks: Vec<mpsc::UnboundedSender<ToSubtask>>,
    tasks: JoinSet<()>,
    /// Where a pulled job's subtasks look the shards up.
    lineage: Option<watch::Sender<Arc<Checkpoint>>>,
    inbox: mpsc::UnboundedReceiver<ToCoordinator>,
    questions: JoinSet<Answer>,
    checkpoint: JoinSet<Result<Completed, ConsumerError>>,
    /// When the barriers of the checkpoint under way went out.
    checkpoint_began: Instant,
    barriers: Barriers,
    /// Shards that were handed to a subtask.
    begun: BTreeMap<StreamShard, Begun>,
    /// When each shard was last seen empty at its tip.
    tips: BTreeMap<StreamShard, Instant>,
    /// Shards of a job that drains which were not seen empty since; those that came later may be missing.
    awaited: BTreeSet<StreamShard>,
    /// Streams whose retention is being looked up.
    looking_up: BTreeSet<StreamName>,
    /// When each stream's last complete listing was asked for.
    listed: BTreeMap<StreamName, Instant>,
    listing: BTreeSet<StreamName>,
    /// Shards that the service denies: when their readers were told, and what.
    vanished: BTreeMap<StreamShard, (Instant, ConsumerError)>,
    control: watch::Receiver<Control>,
    /// How many checkpoints had been asked for when it was last looked at.
    asked: u64,
    /// Whether a shard may have become ready since it was last looked for one.
    starts_due: bool,
    /// Nothing where no event time is kept.
    watermark: Option<JobWatermark>,
    /// Whether shards wait for the watermark to advance.
    is_watermark_due: bool,
    checkpoint_timer: Interval,
    discovery_timer: Interval,
    watermark_timer: Interval,
    levels_timer: Interval,
}

impl<S: Schema> Coordinator<S> {
    /// Takes the job over, restores it or writes checkpoint 0, hires its subtasks, and begins its shards.
    pub(crate) async fn start(
        job: Arc<Job<S>>,
        sink: Arc<dyn CheckpointParticipant>,
        hire: impl FnOnce(Epoch, &mpsc::UnboundedSender<ToCoordinator>) -> Crew + Send,
    ) -> Result<Self, ConsumerError> {
        metrics::describe();
        let opened = job.store.open(&job.name).await.map_err(ConsumerError::Store)?;
        let (store, incarnation, mutant) = (Arc::clone(&job.store), opened.incarnation, job.mutant);
        let committer = Arc::new(Committer { store, sink, incarnation, mutant });
        if let Some(checkpoint) = &opened.latest {
            committer.recover(checkpoint).await?;
        }
        let prepared = prepare(&job, opened.latest.as_ref()).await?;
        let mut coordinator = Self::assemble(job, committer, prepared, hire).await?;
        coordinator.begin_ready()?;
        // What was asked before the job began.
        coordinator.take_control();
        Ok(coordinator)
    }

    async fn assemble(
        job: Arc<Job<S>>,
        committer: Arc<Committer<dyn CheckpointParticipant>>,
        prepared: Prepared,
        hire: impl FnOnce(Epoch, &mpsc::UnboundedSender<ToCoordinator>) -> Crew + Send,
    ) -> Result<Self, ConsumerError> {
        let (outbox, inbox) = mpsc::unbounded_channel();
        let Crew { commands: subtasks, tasks, lineage } = hire(prepared.epoch, &outbox);
        let control = job.readers.control.clone();
        let mut coordinator = Self {
            checkpoint_timer: timer(job.checkpoint_interval.unwrap_or(LONGEST_PERIOD)),
            discovery_timer: timer(job.discovery_interval),
            watermark_timer: timer(job.event_time.as_ref().map_or(LONGEST_PERIOD, |_| WATERMARK_INTERVAL)),
            watermark: job.event_time.clone().map(|event_time| JobWatermark::new(event_time, prepared.streams.holds())),
            levels_timer: timer(LEVELS_INTERVAL),
            is_watermark_due: true,
            asked: 0,
            control,
            starts_due: true,
            barriers: Barriers::new(prepared.epoch),
            streams: prepared.streams,
            committer,
            job,
            subtasks,
            tasks,
            lineage,
            inbox,
            questions: JoinSet::new(),
            checkpoint: JoinSet::new(),
            checkpoint_began: Instant::now(),
            awaited: BTreeSet::new(),
            looking_up: BTreeSet::new(),
            begun: BTreeMap::new(),
            tips: BTreeMap::new(),
            listed: BTreeMap::new(),
            listing: BTreeSet::new(),
            vanished: BTreeMap::new(),
        };
        let watermark = coordinator.watermark.as_ref().and_then(JobWatermark::current);
        coordinator.job.readers.board.reached(watermark);
        coordinator.take_first_listings(prepared.listings)?;
        if prepared.has_new_streams {
            let taken_at = coordinator.job.readers.clock.now();
            let first = coordinator.streams.snapshot(&coordinator.job.name, prepared.epoch, taken_at);
            coordinator.committer.begin(&first).await?;
        }
        coordinator.tell(&ConsumerEvent::Started { restored: prepared.is_restored.then_some(prepared.epoch) });
        Ok(coordinator)
    }

    fn take_first_listings(&mut self, listings: BTreeMap<StreamName, Vec<Shard>>) -> Result<(), ConsumerError> {
        let now = Instant::now();
        listings.into_iter().try_for_each(|(stream, listing)| self.observe(&stream, listing, now))
    }

    /// Reports what retention may have removed of a shard that is taken up.
    fn report_loss(&self, loss: PossibleLoss) -> Result<(), ConsumerError> {
        self.tell(&ConsumerEvent::PossibleLoss(loss.clone()));
        match self.job.readers.settings.loss {
            LossPolicy::Fail => Err(ConsumerError::PossibleLoss(Box::new(loss))),
            LossPolicy::Continue => Ok(()),
        }
    }

    fn tell(&self, event: &ConsumerEvent) {
        (self.job.readers.listener)(event);
    }

    /// Runs until the job is asked to end, or fails; its tasks are gone when it returns.
    pub(crate) async fn run(mut self) -> Result<Epoch, ConsumerError> {
        let result = self.work().await;
        self.inbox.close();
        self.questions.shutdown().await;
        self.checkpoint.shutdown().await;
        self.tasks.shutdown().await;
        if let (Ok(_), Some(fan_out)) = (&result, &self.job.readers.fan_out) {
            let mut random = self.job.readers.randomness.stream("deregistration");
            fan_out.release(&mut random).await;
        }
        result
    }

    async fn work(&mut self) -> Result<Epoch, ConsumerError> {
        loop {
            let input = self.next().await;
            if let Some(last) = self.handle(input)? {
                return Ok(last);
            }
            self.begin_ready()?;
            self.begin_checkpoint();
            self.update_watermark_if_due();
        }
    }

    async fn next(&mut self) -> Input {
        tokio::select! {
            biased;
            Some(message) = self.inbox.recv() => Input::Message(message),
            Some(done) = self.checkpoint.join_next() => Input::Checkpointed(done),
            Some(answer) = self.questions.join_next() => Input::Answer(answer),
            Some(ended) = self.tasks.join_next() => Input::SubtaskEnded(ended),
            Ok(()) = self.control.changed() => Input::Control,
            _ = self.checkpoint_timer.tick() => Input::CheckpointDue,
            _ = self.discovery_timer.tick() => Input::DiscoveryDue,
            _ = self.watermark_timer.tick() => Input::WatermarkDue,
            _ = self.levels_timer.tick() => Input::LevelsDue,
        }
    }

    /// Takes an input in; the last checkpoint's epoch when the job is done.
    fn handle(&mut self, input: Input) -> Result<Option<Epoch>, ConsumerError> {
        match input {
            Input::Message(message) => self.take_in(message)?,
            Input::Answer(answer) => self.take_answer(answer.map_err(|_| panicked("the discovery of shards"))?)?,
            Input::Checkpointed(done) => return self.checkpointed(done.map_err(|_| panicked("a checkpoint"))??),
            Input::SubtaskEnded(ended) => ended.map_err(|_| panicked("a subtask"))?,
            Input::Control => self.take_control(),
            Input::CheckpointDue => self.request_checkpoint(),
            Input::DiscoveryDue => self.discover(),
            Input::WatermarkDue => self.is_watermark_due = true,
            Input::LevelsDue => self.measure_levels(),
        }
        Ok(None)
    }
}

impl<S: Schema> Coordinator<S> {
    fn take_in(&mut self, message: ToCoordinator) -> Result<(), ConsumerError> {
        match message {
            ToCoordinator::Acknowledged { subtask, epoch, shards } => self.acknowledge(subtask, epoch, shards),
            ToCoordinator::Ended { shard, progress } => {
                self.streams.advance(&shard, progress);
                if let Some(watermark) = &mut self.watermark {
                    watermark.end(&shard);
                }
                self.starts_due = true;
                self.no_longer_awaited(&shard);
                if !self.streams.knows_children_of(&shard) {
                    // Their readers should not wait for the timer.
                    self.discover();
                }
            }
            ToCoordinator::AtTip { shard, asked_at } => {
                self.tips.insert(shard.clone(), asked_at);
                if self.control.borrow().drain.is_some_and(|since| asked_at >= since) {
                    self.no_longer_awaited(&shard);
                }
            }
            ToCoordinator::TakenOver { shard } => {
                self.tell(&ConsumerEvent::TakenOver { shard });
                // If that was a successor of this job, the store says so, before the reader subscribes again.
                self.request_checkpoint();
            }
            ToCoordinator::Held => self.is_watermark_due = true,
            ToCoordinator::Vanished { shard, error } => {
                self.vanished.insert(shard, (Instant::now(), error));
                self.discover();
            }
            ToCoordinator::Failed(error) => return Err(error),
        }
        Ok(())
    }

    fn acknowledge(&mut self, subtask: usize, epoch: Epoch, shards: Vec<(StreamShard, ShardProgress)>) {
        if let Some(collected) = self.barriers.acknowledge(subtask, epoch, shards) {
            self.write_checkpoint(collected);
        }
    }

    fn write_checkpoint(&mut self, collected: Collected) {
        let taken_at = self.job.readers.clock.now();
        let mut checkpoint = self.streams.checkpoint(&self.job.name, collected, taken_at);
        if self.job.mutant == Some(Mutant::ForgetFinishedShards) {
            let is_read = |state: &ShardState| state.progress.as_ref().is_none_or(|it| !it.position.is_ended());
            checkpoint.streams.iter_mut().for_each(|stream| stream.shards.retain(is_read));
        }
        checkpoint.reach(self.watermark.as_ref().and_then(JobWatermark::current));
        let (committer, span) =
            (Arc::clone(&self.committer), tracing::info_span!("checkpoint", epoch = checkpoint.epoch.0));
        self.checkpoint.spawn(async move { committer.complete(checkpoint).await }.instrument(span));
    }

    /// Tells the metrics what grows or moves without an event.
    fn measure_levels(&self) {
        let Job { readers, .. } = &*self.job;
        readers.meter.levels(&readers.board.status(true, Instant::now()));
        let watermarks = self.watermark.iter().flat_map(JobWatermark::reading);
        watermarks.for_each(|(shard, watermark)| readers.meter.reached(shard, watermark));
    }

    fn checkpointed(&mut self, completed: Completed) -> Result<Option<Epoch>, ConsumerError> {
        let Completed { epoch, bytes } = completed;
        self.job.readers.meter.checkpointed(bytes, self.checkpoint_began.elapsed());
        self.tell(&ConsumerEvent::CheckpointCompleted { epoch });
        self.job.readers.board.checkpointed(epoch, Instant::now());
        Ok(self.barriers.completed().then_some(epoch))
    }

    fn begin_checkpoint(&mut self) {
        if let Some((epoch, last)) = self.barriers.begin(self.subtasks.len()) {
            self.checkpoint_began = Instant::now();
            self.subtasks.iter().for_each(|subtask| send(subtask, ToSubtask::Barrier { epoch, last }));
        }
    }

    fn request_checkpoint(&mut self) {
        if self.job.checkpoint_interval.is_some() {
            self.barriers.request();
        }
    }

    fn take_control(&mut self) {
        let control = *self.control.borrow();
        if control.checkpoints != self.asked {
            self.asked = control.checkpoints;
            self.request_checkpoint();
        }
        if control.stop {
            self.barriers.request_last();
        }
        if control.drain.is_some() {
            self.discover();
        }
    }

    /// Begins the shards that can be: those that a restored job takes up, and those whose parents are finished.
    fn begin_ready(&mut self) -> Result<(), ConsumerError> {
        if !self.starts_due || !self.barriers.allows_starts() {
            return Ok(());
        }
        self.starts_due = false;
        let now = Instant::now();
        let ready: Vec<_> = self.streams.ready(now).collect();
        let mut starts = Vec::with_capacity(ready.len());
        for Ready { mut start, loss } in ready {
            match loss {
                // It may have been raised in time.
                Some(SuspectedLoss { retention, .. }) if !retention.is_believed(now) => {
                    self.look_up_retention(&start.id.stream);
                    continue;
                }
                Some(SuspectedLoss { loss, .. }) => self.report_loss(loss)?,
                None => {}
            }
            starts.push((self.assign(&mut start, now), start));
        }
        // The shards of a start must be known before their first record is.
        self.publish_lineage();
        for (subtask, start) in starts {
            send(&self.subtasks[subtask], ToSubtask::Start(Box::new(start)));
        }
        Ok(())
    }

    fn assign(&mut self, start: &mut StartShard, now: Instant) -> usize {
        let assigned = self.job.assigner.assign(&start.id.stream, &start.shard, self.subtasks.len());
        let subtask = subtask_of(assigned, self.subtasks.len());
        let watermark = start.watermark;
        start.time = self.watermark.as_mut().map(|job| job.begin(&start.id, watermark, now));
        let before = self.begun.insert(start.id.clone(), Begun { subtask, watermark });
        if self.job.mutant == Some(Mutant::BeginTwice) && before.is_none() {
            self.starts_due = true;
        } else {
            self.streams.take_up(&start.id);
        }
        subtask
    }

    fn publish_lineage(&self) {
        if let Some(lineage) = &self.lineage {
            let taken_at = self.job.readers.clock.now();
            let shards = self.streams.snapshot(&self.job.name, Epoch(0), taken_at);
            let started = |shard: &_, start| {
                let begun = self.begun.get(shard)?;
                Some(ShardProgress::without_state(start, begun.watermark))
            };
            lineage.send_replace(Arc::new(shards.at_starts(started)));
        }
    }

    /// Ends a job that was asked to drain, once every shard was seen empty at its tip since.
    fn end_if_drained(&mut self) {
        let Some(since) = self.control.borrow().drain else {
            return;
        };
        let seen = |at: Option<&Instant>| at.is_some_and(|at| *at >= since);
        if !self.job.streams.iter().all(|stream| seen(self.listed.get(stream))) {
            return;
        }
        self.awaited = self.streams.unfinished().filter(|shard| !seen(self.tips.get(shard))).collect();
        if self.awaited.is_empty() {
            self.barriers.request_last();
        }
    }

    /// Looks at all shards just when none that it knows of is left: there may be thousands.
    fn no_longer_awaited(&mut self, shard: &StreamShard) {
        if self.awaited.remove(shard) && self.awaited.is_empty() {
            self.end_if_drained();
        }
    }
}

fn panicked(task: &str) -> ConsumerError {
    ConsumerError::Panicked { task: task.into() }
}

fn timer(period: Duration) -> Interval {
    let period = period.min(LONGEST_PERIOD);
    let mut timer = tokio::time::interval_at(Instant::now() + period, period);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    timer
}

fn send(subtask: &mpsc::UnboundedSender<ToSubtask>, message: ToSubtask) {
    // A subtask that is gone has reported why, or its panic is about to be seen.
    let _ = subtask.send(message);
}
