//! One random run, from its seed to its account.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kinesis_consumer::{
    ConsumerBuilder, ConsumerError, ConsumerEvent, KinesisConsumer, MemoryStore, RawRecords, WatermarkStrategy,
};
use kinesis_core::{
    Backoff, ConsumerConfig, Epoch, EventTimeConfig, FanOutConfig, RandomStream, Randomness, RecordPublisher,
    RetryPolicy, Shard, ShardId, StartingPosition,
};
use kinesis_testkit::testing::{ReshardEvery, ReshardSchedule};
use kinesis_testkit::{FakeKinesis, FaultClass, FaultPlan, Journal, JournalCall, PlanShape};
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::account::{Account, Step};
use crate::job::{Lister, Log, WatchedStore};
use crate::sink::{Disk, TwoPhase};
use crate::{truth, workload};

pub(crate) const STREAM: &str = "orders";
/// How long the faults and crashes go on, in virtual time.
const SPAN: Duration = Duration::from_secs(24);
/// How long the last run may take, which meets no fault.
const DRAIN_WITHIN: Duration = Duration::from_secs(60);

/// How late a request may be delivered (F21).
const LATEST_DELIVERY: Duration = Duration::from_secs(62);

/// The classes that a reader meets; F10 and F15 take data away and are tested by themselves.
const CLASSES: [FaultClass; 15] = [
    FaultClass::F1,
    FaultClass::F2,
    FaultClass::F3,
    FaultClass::F4,
    FaultClass::F5,
    FaultClass::F6,
    FaultClass::F7,
    FaultClass::F8,
    FaultClass::F9,
    FaultClass::F11,
    FaultClass::F12,
    FaultClass::F14,
    FaultClass::F16,
    FaultClass::F18,
    FaultClass::F21,
];

/// A stream of the fake, and what a job leaves behind between its runs.
pub(crate) struct World {
    pub(crate) fake: FakeKinesis,
    pub(crate) log: Log,
    store: MemoryStore,
    disk: Arc<Mutex<Disk>>,
    runs: u64,
    pub(crate) publisher: RecordPublisher,
    /// How event time is kept, where it is; shards are aligned then.
    pub(crate) event_time: Option<EventTimeConfig>,
    /// How much slower the first subtask is than the others: barriers then lie apart, and shards end in between.
    pub(crate) uneven: u32,
    /// Every shard that was ever listed; the fake forgets those that retention took.
    shards: Mutex<BTreeMap<ShardId, Shard>>,
}

/// A job that runs.
pub(crate) struct Running {
    job: JoinHandle<Result<Epoch, ConsumerError>>,
    pub(crate) handle: kinesis_consumer::ConsumerHandle,
}

impl Running {
    /// Ends it as a crash does, or tells how it ended.
    pub(crate) async fn crash_after(mut self, after: Duration) -> Option<Result<Epoch, ConsumerError>> {
        match timeout(after, &mut self.job).await {
            Ok(ended) => Some(ended.expect("a job was neither aborted nor does it panic")),
            Err(_) => {
                self.job.abort();
                assert!(self.job.await.unwrap_err().is_cancelled());
                None
            }
        }
    }
}

impl World {
    pub(crate) fn new(fake: FakeKinesis) -> Self {
        Self::read_by(RecordPublisher::Polling, fake)
    }

    pub(crate) fn read_by(publisher: RecordPublisher, fake: FakeKinesis) -> Self {
        Self {
            fake,
            publisher,
            event_time: None,
            log: Log::default(),
            store: MemoryStore::new(),
            disk: Arc::default(),
            runs: 0,
            uneven: 1,
            shards: Mutex::default(),
        }
    }

    /// A consumer with short intervals, so that much happens in little virtual time.
    pub(crate) fn consumer(&self, start: StartingPosition) -> ConsumerBuilder<RawRecords> {
        let policy = RetryPolicy {
            max_retries: 3,
            backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(1), 1.5),
        };
        let config = ConsumerConfig::builder()
            .starting_position(start)
            .get_records_interval(Duration::from_millis(500))
            .get_records_limit(50)
            .discovery_interval(Duration::from_secs(3))
            .list_shards_retry(policy)
            .describe_stream_retry(policy)
            .record_publisher(self.publisher)
            .fan_out(fan_out(policy));
        let config = config.event_time(self.event_time.clone().unwrap_or_default()).build().unwrap();
        let builder = KinesisConsumer::builder()
            .sdk_client(self.fake.client())
            .clock(self.fake.clock())
            .streams([STREAM])
            .config(config);
        if self.event_time.is_none() {
            return builder;
        }
        builder.watermarks(WatermarkStrategy::monotonous()).align_watermarks()
    }

    /// Starts the next run of the job.
    pub(crate) fn start(&mut self, builder: ConsumerBuilder<RawRecords>, every: Duration, pace: Duration) -> Running {
        self.note_shards();
        self.runs += 1;
        let (run, log) = (self.runs, Arc::clone(&self.log));
        let store = WatchedStore { inner: self.store.clone(), log: Arc::clone(&log), run };
        let (events, clock) = (Arc::clone(&log), self.fake.clock());
        let consumer = builder
            .checkpoints(store, every)
            .on_event(move |event| events.lock().extend(step_of(run, event, clock.now())))
            .build()
            .unwrap();
        let uneven = self.uneven;
        let (handle, sink) = (consumer.handle(), Arc::new(TwoPhase::on(&self.disk)));
        let job = async move {
            consumer
                .run_into(sink, move |context| Lister {
                    run,
                    context: context.clone(),
                    log: Arc::clone(&log),
                    pace: if context.subtask == 0 { pace * uneven } else { pace },
                    state: BTreeMap::new(),
                    watermark: None,
                })
                .await
        };
        Running { job: tokio::spawn(job), handle }
    }

    pub(crate) fn failed(&self, error: &ConsumerError) {
        let source = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        self.log.lock().push(Step::Failed { run: self.runs, error: format!("{error}: {source}") });
    }

    fn note_shards(&self) {
        let shards = self.fake.shards(STREAM).unwrap();
        self.shards.lock().extend(shards.into_iter().map(|shard| (shard.id.clone(), shard)));
    }

    /// Closes the books.
    pub(crate) fn account(&self, seed: u64, drained: bool) -> Account {
        self.note_shards();
        let shards = self.shards.lock().clone();
        let (steps, journal) = (self.log.lock().clone(), self.fake.journal());
        let mut account = Account {
            publisher: self.publisher,
            event_time: self.event_time.clone(),
            reads: ["GetRecords", "SubscribeToShard"].map(|name| calls_of(&journal, name).count()),
            struck_subscriptions: calls_of(&journal, "SubscribeToShard").filter(|call| is_of_events(call)).count(),
            seed,
            truth: truth::items(&journal, &shards),
            arrivals: journal.records.iter().map(|record| (record.sequence_number(), record.arrived_at())).collect(),
            shards,
            steps,
            visible: self.disk.lock().visible(),
            drained,
        };
        if let Some(start) = start_of(&account) {
            account.truth.retain(|item| item.arrived_at >= start);
        }
        account
    }
}

fn calls_of<'a>(journal: &'a Journal, name: &'a str) -> impl Iterator<Item = &'a JournalCall> {
    journal.calls.iter().filter(move |call| call.operation.as_str() == name)
}

fn is_of_events(call: &JournalCall) -> bool {
    call.fault.as_ref().is_some_and(|mark| ["at_event", "at_age"].contains(&mark.kind()))
}

/// Half of the runs keep event time, and half of these know idle shards; nobody reads more than a second ahead.
pub(crate) fn event_time(seed: u64) -> Option<EventTimeConfig> {
    let mut config = EventTimeConfig::default();
    config.sync_interval = Duration::from_millis(100);
    config.lookahead = Duration::from_secs(1);
    config.idle_interval = (seed % 4 == 3).then(|| Duration::from_secs(2));
    (seed % 2 == 1).then_some(config)
}

/// Fan-out with short waits; an event comes every five seconds at the least.
fn fan_out(policy: RetryPolicy) -> FanOutConfig {
    let mut fan_out = FanOutConfig::named("invariants");
    fan_out.describe_consumer_retry = policy;
    fan_out.register_retry = policy;
    fan_out.deregister_retry = policy;
    fan_out.subscribe_retry = policy;
    fan_out.subscribe_timeout = Duration::from_secs(5);
    fan_out.read_timeout = Duration::from_secs(7);
    fan_out
}

/// T0 where the job began at one, by checkpoint 0.
fn start_of(account: &Account) -> Option<SystemTime> {
    account.checkpoints().next().and_then(|first| first.streams[0].start.not_before())
}

fn step_of(run: u64, event: &ConsumerEvent, at: SystemTime) -> Option<Step> {
    match event {
        ConsumerEvent::ShardStarted { shard, .. } => Some(Step::Started { run, shard: shard.shard.clone() }),
        ConsumerEvent::ShardEnded { shard } => Some(Step::Ended { run, shard: shard.shard.clone() }),
        ConsumerEvent::PossibleLoss(loss) => Some(Step::Loss { run, at, loss: loss.clone() }),
        ConsumerEvent::ShardLost { shard } => Some(Step::ShardLost { run, shard: shard.clone() }),
        _ => None,
    }
}

/// Plays a seed.
pub(crate) async fn play(publisher: RecordPublisher, seed: u64) -> Account {
    play_with(publisher, seed, |builder| builder).await
}

/// Plays a seed with consumers that are built otherwise.
pub(crate) async fn play_with(
    publisher: RecordPublisher,
    seed: u64,
    adapt: impl Fn(ConsumerBuilder<RawRecords>) -> ConsumerBuilder<RawRecords>,
) -> Account {
    let randomness = Randomness::from_seed(seed);
    let mut random = randomness.stream("run");
    let shards = 1 + random.below(4) as u32;
    let latency = Duration::from_millis(random.below(40));
    let fake = FakeKinesis::builder().stream(STREAM, shards).latency(latency).seed(seed).virtual_time().build();
    let mut world = World::read_by(publisher, fake.clone());
    world.event_time = event_time(seed);
    let from_latest = random.below(4) == 0;
    let start = if from_latest { StartingPosition::Latest } else { StartingPosition::TrimHorizon };
    workload::put(&fake, randomness.stream("before"), 8, Duration::from_secs(2)).await;

    let shape = PlanShape::new(60, SPAN, vec![STREAM.parse().unwrap()]);
    let classes: Vec<FaultClass> = CLASSES.into_iter().filter(|_| random.below(3) == 0).collect();
    fake.inject_plan(&FaultPlan::generate(seed, &classes, &shape));
    if publisher == RecordPublisher::EnhancedFanOut && random.below(2) == 0 {
        // Subscriptions are few, so that more is aimed at them.
        let aimed = PlanShape::new(12, SPAN, vec![STREAM.parse().unwrap()]);
        for part in 0..4 {
            fake.inject_plan(&FaultPlan::generate(seed * 4 + part, &[FaultClass::F16], &aimed));
        }
    }
    let mut schedule = ReshardSchedule::random(seed, random.below(5) as usize).max_open_shards(5);
    let resharding = ReshardEvery::Interval(Duration::from_millis(2000 + random.below(6000)));
    let putting = {
        let (fake, random) = (fake.clone(), randomness.stream("workload"));
        tokio::spawn(async move {
            let work = workload::put(&fake, random, 30, SPAN);
            // A step that the fake refuses, as one of an unlucky plan, ends the schedule and not the work.
            if schedule.run_during(&fake, STREAM, resharding, work).await.is_err() {
                workload::put(&fake, Randomness::from_seed(seed).stream("rest"), 10, SPAN / 4).await;
            }
        })
    };
    world.uneven = if random.below(2) == 0 { 1 } else { 15 };
    let end = Instant::now() + SPAN;
    while Instant::now() < end {
        let running = run_once(&mut world, &mut random, start, &adapt);
        let rest = end.saturating_duration_since(Instant::now());
        let crash_after = rest.min(Duration::from_millis(300 + random.below(SPAN.as_millis() as u64)));
        if let Some(ended) = running.crash_after(crash_after).await {
            world.failed(&ended.expect_err("nobody asked the job to end"));
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    putting.await.unwrap();
    fake.heal();
    world.uneven = 1;
    // A request that was delivered late must be there before the job drains.
    tokio::time::sleep(LATEST_DELIVERY).await;
    let last = run_once(&mut world, &mut random, start, &adapt);
    last.handle.drain();
    let drained = match last.crash_after(DRAIN_WITHIN).await {
        Some(Ok(_)) => true,
        Some(Err(error)) => {
            world.failed(&error);
            false
        }
        None => false,
    };
    world.account(seed, drained)
}

/// Starts a run with another parallelism, other batches, another interval of checkpoints.
fn run_once(
    world: &mut World,
    random: &mut RandomStream,
    start: StartingPosition,
    adapt: &impl Fn(ConsumerBuilder<RawRecords>) -> ConsumerBuilder<RawRecords>,
) -> Running {
    let builder = adapt(world.consumer(start))
        .seed(random.next_u64())
        .parallelism(1 + random.below(4) as usize)
        .max_batch(1 + random.below(7) as usize);
    let every = Duration::from_millis(300 + random.below(3000));
    let pace = Duration::from_millis(random.below(2) * random.below(60));
    world.start(builder, every, pace)
}
