//! A stream of the fake, and a job on it that is started again and again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kinesis_consumer::{
    ConsumerBuilder, ConsumerError, ConsumerEvent, KinesisConsumer, MemoryStore, RawRecords, WatermarkStrategy,
};
use kinesis_core::{
    Backoff, ConsumerConfig, Epoch, EventTimeConfig, FanOutConfig, RecordPublisher, RetryPolicy, Shard, ShardId,
    StartingPosition,
};
use kinesis_testkit::FakeKinesis;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use crate::account::{Account, Step};
use crate::job::{Lister, Log, WatchedStore};
use crate::sink::{Disk, TwoPhase};
use crate::truth;

pub(crate) const STREAM: &str = "orders";
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
    /// The client of the job; the fake's own without one.
    pub(crate) client: Option<aws_sdk_kinesis::Client>,
}

/// A job that runs.
pub(crate) struct Running {
    job: JoinHandle<Result<Epoch, ConsumerError>>,
    pub(crate) handle: kinesis_consumer::ConsumerHandle,
}

impl Running {
    /// Tells how it ended, where it did before that time.
    pub(crate) async fn ended_before(&mut self, time: Instant) -> Option<Result<Epoch, ConsumerError>> {
        let ended = timeout_at(time, &mut self.job).await.ok()?;
        Some(ended.expect("a job was neither aborted nor does it panic"))
    }

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
            client: None,
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
            .sdk_client(self.client.clone().unwrap_or_else(|| self.fake.client()))
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
    pub(crate) fn account(&self, drained: bool) -> Account {
        self.note_shards();
        let shards = self.shards.lock().clone();
        let (steps, journal) = (self.log.lock().clone(), self.fake.journal());
        let mut account = Account {
            event_time: self.event_time.clone(),
            stored: truth::items(&journal, &shards),
            truth: Vec::new(),
            arrivals: journal.records.iter().map(|record| (record.sequence_number(), record.arrived_at())).collect(),
            shards,
            steps,
            visible: self.disk.lock().visible(),
            behind: 0,
            drained,
            produced: Vec::new(),
            closed_at: None,
        };
        let start = start_of(&account).unwrap_or(SystemTime::UNIX_EPOCH);
        account.truth = account.stored.iter().filter(|item| item.arrived_at >= start).cloned().collect();
        account
    }
}

/// Fan-out with short waits; an event comes every five seconds at the least.
fn fan_out(policy: RetryPolicy) -> FanOutConfig {
    let mut fan_out = FanOutConfig::named("simulation");
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
