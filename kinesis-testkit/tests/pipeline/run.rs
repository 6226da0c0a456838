//! One random run, from its seed to its account.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kinesis::primitives::Blob;
use bytes::Bytes;
use kinesis_aggregation::AggregateBuilder;
use kinesis_consumer::{ConsumerError, ConsumerHandle, ForwardSink, KinesisConsumer, MemoryStore};
use kinesis_core::{ConsumerConfig, Epoch, RandomStream, Randomness, StartingPosition};
use kinesis_producer::{KinesisSink, ProducerConfig};
use kinesis_testkit::testing::{ReshardEvery, ReshardSchedule};
use kinesis_testkit::{Entries, FakeKinesis, Fault, FaultRule, Operation};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::account::{Account, Step};
use crate::job::{INPUT, Log, OUTPUT, Output, Part, Transform, WatchedStore, sink};

/// How long crashes go on, in virtual time.
const SPAN: Duration = Duration::from_secs(15);
/// How long the last run may take.
const DRAIN_WITHIN: Duration = Duration::from_secs(60);

/// How a run is played.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Play {
    /// Whether writes of outputs meet faults.
    pub(crate) faults: bool,
    /// Whether the sink takes part in checkpoints.
    pub(crate) takes_part: bool,
}

/// Plays a seed in a runtime of its own, whose time is paused.
pub(crate) fn play(seed: u64, how: Play) -> Account {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| runtime.block_on(run(seed, how))));
    played.unwrap_or_else(|_| panic!("seed {seed} panicked"))
}

/// What a job leaves behind between its runs.
struct World {
    fake: FakeKinesis,
    log: Log,
    store: MemoryStore,
    how: Play,
    runs: u64,
}

struct Running {
    job: JoinHandle<Result<Epoch, ConsumerError>>,
    handle: ConsumerHandle,
}

impl Running {
    /// Ends it as a crash does, or tells how it ended.
    async fn crash_after(mut self, after: Duration) -> Option<Result<Epoch, ConsumerError>> {
        if let Ok(ended) = timeout(after, &mut self.job).await {
            return Some(ended.expect("a job was neither aborted nor does it panic"));
        }
        self.job.abort();
        assert!(self.job.await.unwrap_err().is_cancelled());
        None
    }
}

impl World {
    fn start(&mut self, sink: KinesisSink<Output>, random: &mut RandomStream) -> Running {
        self.runs += 1;
        let run = self.runs;
        let config = ConsumerConfig::builder()
            .starting_position(StartingPosition::TrimHorizon)
            .get_records_interval(Duration::from_millis(200))
            .get_records_limit(20)
            .discovery_interval(Duration::from_secs(2));
        let (inner, fake, log) = (self.store.clone(), self.fake.clone(), Arc::clone(&self.log));
        let consumer = KinesisConsumer::builder()
            .sdk_client(self.fake.client())
            .clock(self.fake.clock())
            .streams([INPUT])
            .config(config.build().unwrap())
            .seed(random.next_u64())
            .parallelism(1 + random.below(4) as usize)
            .max_batch(1 + random.below(7) as usize)
            .checkpoints(WatchedStore { inner, fake, log, run }, Duration::from_millis(200 + random.below(1500)))
            .build()
            .unwrap();
        let handle = consumer.handle();
        let into = Arc::new(ForwardSink::new(
            Part { sink, takes_part: self.how.takes_part },
            |part: Part, output| async move { part.sink.write(&output).await },
        ));
        let job = tokio::spawn(async move { consumer.run_into(into, move |_| Transform { run }).await });
        Running { job, handle }
    }

    fn failed(&self, error: &ConsumerError) {
        let mut text = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            text += &format!(": {cause}");
            source = cause.source();
        }
        self.log.lock().push(Step::Failed { error: text });
    }
}

async fn run(seed: u64, how: Play) -> Account {
    let randomness = Randomness::from_seed(seed);
    let mut random = randomness.stream("run");
    let fake = FakeKinesis::builder()
        .stream(INPUT, 1 + random.below(3) as u32)
        .stream(OUTPUT, 1 + random.below(3) as u32)
        .latency(Duration::from_millis(random.below(40)))
        .seed(seed)
        .virtual_time()
        .build();
    if how.faults {
        inject(&fake, &mut random);
    }
    let mut world = World { fake: fake.clone(), log: Log::default(), store: MemoryStore::new(), how, runs: 0 };
    let inputs = tokio::spawn(put_while_resharding(fake.clone(), seed));
    let config = ProducerConfig::default()
        .record_ttl(Duration::from_secs(3))
        .record_max_buffered_time(Duration::from_millis(random.below(400)));
    let mut process = sink(&fake, config.clone(), seed).await;
    let end = Instant::now() + SPAN;
    while Instant::now() < end {
        let running = world.start(process.clone(), &mut random);
        if let Some(ended) = running.crash_after(Duration::from_millis(50 + random.below(4000))).await {
            world.failed(&ended.expect_err("nobody asked the job to end"));
        }
        // Either the job alone is restored, in a process that goes on, or all of it is gone.
        if random.below(2) == 0 {
            process = sink(&fake, config.clone(), random.next_u64()).await;
        }
    }
    inputs.await.unwrap();
    fake.heal();
    let last = world.start(process, &mut random);
    last.handle.drain();
    let ended = last.crash_after(DRAIN_WITHIN).await;
    if let Some(Err(error)) = &ended {
        world.failed(error);
    }
    let steps = world.log.lock().clone();
    Account::of(seed, &fake, steps, matches!(ended, Some(Ok(_))))
}

/// Faults of the writes: some are survived, some fail records, and with them the job.
fn inject(fake: &FakeKinesis, random: &mut RandomStream) {
    let denied = || Fault::Error { code: "AccessDeniedException".to_owned(), message: "no".to_owned(), status: 400 };
    for _ in 0..2 + random.below(6) {
        let fault = match random.below(6) {
            0 => Fault::LoseReply,
            1 => denied(),
            2 => Fault::throttle(),
            3 => Fault::Reset,
            4 => Fault::FailEntries(Entries::EveryNth(1 + random.below(3) as usize)),
            _ => Fault::Delay(Duration::from_millis(random.below(5000))),
        };
        let rule = FaultRule::on(Operation::PutRecords).stream(OUTPUT.parse().unwrap()).fault(fault);
        fake.inject(rule.nth(1 + random.below(60)).times(1 + random.below(6)));
    }
}

async fn put_while_resharding(fake: FakeKinesis, seed: u64) {
    let random = Randomness::from_seed(seed).stream("inputs");
    let mut schedule = ReshardSchedule::random(seed, seed as usize % 4).max_open_shards(4);
    let every = ReshardEvery::Interval(Duration::from_secs(3));
    schedule.run_during(&fake, INPUT, every, put(&fake, random)).await.unwrap();
}

/// Puts texts, alone and in aggregates of one key.
async fn put(fake: &FakeKinesis, mut random: RandomStream) {
    let client = fake.client();
    for number in 0..60 {
        sleep(SPAN.mul_f64(2.0 * random.fraction()) / 60).await;
        let key = format!("key-{}", random.below(20));
        let data = match random.below(2) {
            0 => Bytes::from(format!("order-{number}")),
            _ => {
                let mut builder = AggregateBuilder::new();
                for member in 0..2 + random.below(8) {
                    builder.add(&key, None, format!("order-{number}.{member}").as_bytes());
                }
                builder.finish()
            }
        };
        client.put_record().stream_name(INPUT).partition_key(key).data(Blob::new(data)).send().await.unwrap();
    }
}
