//! Plays a plan, from its begin to its account.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kinesis::config::IdentityCache;
use kinesis_consumer::{ConsumerBuilder, RawRecords};
use kinesis_core::{Randomness, Shard};
use kinesis_producer::ProducerConfig;
use kinesis_testkit::{FakeCredentials, FakeKinesis, FaultHandle, Journal};
use tokio::time::{Instant, sleep, sleep_until};

use crate::account::Account;
use crate::plan::{Plan, Run, Step, Timed};
use crate::producing::{Producing, config_of};
use crate::workload;
use crate::world::{Running, STREAM, World};

/// How long the last run may take, which meets no fault.
const DRAIN_WITHIN: Duration = Duration::from_secs(60);
/// How late a request may be delivered (F21).
const LATEST_DELIVERY: Duration = Duration::from_secs(62);
/// The part of the span after which a run is not killed, where the plan has it so.
const SURVIVES_FROM: f64 = 0.1;
/// How long a call may take that was made before everything worked again.
const LAST_CALLS: Duration = Duration::from_secs(15);
/// How long a pair of credentials is good for.
const VALID_FOR: Duration = Duration::from_secs(10);

/// A run that is over.
#[derive(Debug)]
pub(crate) struct Played {
    pub(crate) account: Account,
    /// How often each class of faults struck.
    pub(crate) struck: Vec<(String, u64)>,
    pub(crate) journal: Journal,
    /// How often the job was started, and how often with another parallelism than before.
    pub(crate) starts: u64,
    pub(crate) rescales: u64,
    pub(crate) virtual_time: Duration,
}

/// Plays a plan in a runtime of its own, whose time is paused.
pub(crate) fn play(plan: &Plan) -> Played {
    play_with(plan, |builder| builder)
}

/// Plays a plan with consumers that are built otherwise.
pub(crate) fn play_with(
    plan: &Plan,
    adapt: impl Fn(ConsumerBuilder<RawRecords>) -> ConsumerBuilder<RawRecords>,
) -> Played {
    play_set_up(plan, adapt, |config| config)
}

/// The same with producers that are set up otherwise, too.
pub(crate) fn play_set_up(
    plan: &Plan,
    adapt: impl Fn(ConsumerBuilder<RawRecords>) -> ConsumerBuilder<RawRecords>,
    set_up: impl FnOnce(ProducerConfig) -> ProducerConfig,
) -> Played {
    in_paused_time(plan.seed, async {
        let mut stage = Stage::set(plan, set_up).await;
        let begun = Instant::now();
        let survivor = stage.span(&adapt).await;
        stage.end(&adapt, begun, survivor).await
    })
}

/// Plays a future in a runtime of its own, whose time is paused; the jitter of the SDK is of the seed too, and where tokio
/// is built for it (`--cfg tokio_unstable`, as `cargo xtask sim` does) its own.
pub(crate) fn in_paused_time<T>(seed: u64, run: impl Future<Output = T>) -> T {
    // One generator for each thread, which has done with the run before.
    fastrand::seed(seed);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true);
    // The order in which tokio wakes those who wait for the same.
    #[cfg(tokio_unstable)]
    runtime.rng_seed(tokio::runtime::RngSeed::from_bytes(&seed.to_be_bytes()));
    let runtime = runtime.build().unwrap();
    let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| runtime.block_on(run)));
    played.unwrap_or_else(|_| panic!("seed {seed} panicked"))
}

/// A run while it goes on.
struct Stage<'a> {
    plan: &'a Plan,
    world: World,
    credentials: FakeCredentials,
    producing: Producing,
    handles: Vec<(String, Vec<FaultHandle>)>,
    starts: u64,
    rescales: u64,
    parallelism: Option<usize>,
}

impl<'a> Stage<'a> {
    async fn set(plan: &'a Plan, set_up: impl FnOnce(ProducerConfig) -> ProducerConfig) -> Self {
        let randomness = Arc::new(Randomness::from_seed(plan.seed));
        let fake = FakeKinesis::builder()
            .stream(STREAM, plan.shards)
            .latency(Duration::from_millis(plan.latency_millis))
            .seed(plan.seed)
            .virtual_time()
            .build();
        let credentials = FakeCredentials::new(fake.clock()).valid_for(VALID_FOR);
        let config = fake.client().config().to_builder().credentials_provider(credentials.clone());
        let sdk = aws_sdk_kinesis::Client::from_conf(config.identity_cache(IdentityCache::lazy().build()).build());
        let mut world = World::read_by(plan.publisher(), fake.clone());
        world.client = Some(sdk.clone());
        world.event_time = plan.event_time();
        world.uneven = plan.uneven;
        let producing = Producing::begin(&fake, sdk, set_up(config_of(plan.producer)), Arc::clone(&randomness)).await;
        workload::put(&fake, randomness.stream("before"), 8, Duration::from_secs(2)).await;
        let classes = plan.faults.keys();
        let handles = classes.map(|class| (class.clone(), fake.inject_plan(&plan.faults_of(class)))).collect();
        Self { plan, world, credentials, producing, handles, starts: 0, rescales: 0, parallelism: None }
    }

    /// The time of faults and crashes; a run that survives it.
    async fn span(
        &mut self,
        adapt: &impl Fn(ConsumerBuilder<RawRecords>) -> ConsumerBuilder<RawRecords>,
    ) -> Option<Running> {
        let begun = Instant::now();
        let doing = tokio::spawn(do_all(Deeds {
            steps: self.plan.steps.clone(),
            begun,
            fake: self.world.fake.clone(),
            credentials: self.credentials.clone(),
            producing: self.producing.clone(),
            randomness: Arc::new(Randomness::from_seed(self.plan.seed)),
        }));
        let end = begun + self.plan.span();
        let mut survivor = None;
        for run in self.plan.runs.iter().cycle() {
            if Instant::now() >= end {
                break;
            }
            if self.plan.survives && Instant::now() >= begun + self.plan.span().mul_f64(SURVIVES_FROM) {
                // As fast as it can, as it is to be done soon after the last fault.
                let run = Run { pace_millis: 0, max_batch: run.max_batch.max(100), ..*run };
                let mut running = self.start(&run, adapt);
                match running.ended_before(end).await {
                    None => {
                        survivor = Some(running);
                        break;
                    }
                    Some(ended) => self.world.failed(&ended.expect_err("nobody asked the job to end")),
                }
                sleep(Duration::from_millis(200)).await;
                continue;
            }
            let running = self.start(run, adapt);
            let rest = end.saturating_duration_since(Instant::now());
            let crash_after = rest.min(Duration::from_millis(run.crash_after_millis));
            if let Some(ended) = running.crash_after(crash_after).await {
                self.world.failed(&ended.expect_err("nobody asked the job to end"));
                sleep(Duration::from_millis(200)).await;
            }
        }
        sleep_until(end).await;
        doing.await.unwrap();
        survivor
    }

    /// Everything works again; what is under way comes to its end, and the job drains.
    async fn end(
        mut self,
        adapt: &impl Fn(ConsumerBuilder<RawRecords>) -> ConsumerBuilder<RawRecords>,
        begun: Instant,
        survivor: Option<Running>,
    ) -> Played {
        let fake = self.world.fake.clone();
        fake.heal();
        self.credentials.heal();
        let closed_at = self.producing.close().await;
        self.world.uneven = 1;
        sleep(LAST_CALLS).await;
        let survivor = match survivor {
            Some(mut running) => match running.ended_before(Instant::now()).await {
                // What it failed of was on its way before everything worked again.
                Some(ended) => {
                    self.world.failed(&ended.expect_err("nobody asked the job to end"));
                    None
                }
                None => Some(running),
            },
            None => None,
        };
        // A request that was delivered late must be there before the job drains.
        sleep(LATEST_DELIVERY).await;
        // Before it is asked to drain, which has it look for itself.
        let behind = if survivor.is_some() { self.world.account(false).unread() } else { 0 };
        let last = survivor.unwrap_or_else(|| self.start(&self.plan.last, adapt));
        last.handle.drain();
        let drained = match last.crash_after(DRAIN_WITHIN).await {
            Some(Ok(_)) => true,
            Some(Err(error)) => {
                self.world.failed(&error);
                false
            }
            None => false,
        };
        let mut account = self.world.account(drained);
        account.behind = behind;
        account.produced = self.producing.produced();
        account.closed_at = Some(closed_at);
        Played {
            account,
            struck: self.struck(),
            journal: fake.journal(),
            starts: self.starts,
            rescales: self.rescales,
            virtual_time: begun.elapsed(),
        }
    }

    fn struck(&self) -> Vec<(String, u64)> {
        let fired = |handles: &[FaultHandle]| handles.iter().map(FaultHandle::fired).sum();
        let mut struck: Vec<(String, u64)> =
            self.handles.iter().map(|(class, handles)| (class.clone(), fired(handles))).collect();
        let count = |class: fn(Step) -> bool| self.plan.steps.iter().filter(|step| class(step.what)).count() as u64;
        struck.push(("F13".to_owned(), self.credentials.failed() + count(is_of_credentials)));
        struck.push(("F14".to_owned(), count(|step| matches!(step, Step::Split { .. } | Step::Merge { .. }))));
        struck.push(("F17".to_owned(), count(|step| matches!(step, Step::Broken { .. }))));
        struck.push(("F18".to_owned(), count(|step| matches!(step, Step::Foreign { .. }))));
        struck.push(("F19".to_owned(), self.starts.saturating_sub(1)));
        struck.push(("F22".to_owned(), count(is_of_shutdown)));
        struck
    }

    fn start(
        &mut self,
        run: &Run,
        adapt: &impl Fn(ConsumerBuilder<RawRecords>) -> ConsumerBuilder<RawRecords>,
    ) -> Running {
        let seed = Randomness::from_seed(self.plan.seed).stream(&format!("run {}", self.starts)).next_u64();
        self.starts += 1;
        self.rescales += u64::from(self.parallelism.is_some_and(|before| before != run.parallelism));
        self.parallelism = Some(run.parallelism);
        let builder = adapt(self.world.consumer(self.plan.start()));
        let builder = builder.seed(seed).parallelism(run.parallelism).max_batch(run.max_batch);
        let every = Duration::from_millis(run.checkpoint_millis);
        self.world.start(builder, every, Duration::from_millis(run.pace_millis))
    }
}

const fn is_of_credentials(step: Step) -> bool {
    matches!(step, Step::Rotate | Step::SlowCredentials { .. })
}

const fn is_of_shutdown(step: Step) -> bool {
    matches!(step, Step::Cancel { .. } | Step::DropProducer | Step::CloseProducer)
}

/// What the steps of a plan need.
struct Deeds {
    steps: Vec<Timed>,
    begun: Instant,
    fake: FakeKinesis,
    credentials: FakeCredentials,
    producing: Producing,
    randomness: Arc<Randomness>,
}

/// Does every step at its time, beside those that are not over; returns when all are.
async fn do_all(deeds: Deeds) {
    let Deeds { steps, begun, fake, credentials, producing, randomness } = deeds;
    let mut doing = tokio::task::JoinSet::new();
    for step in steps {
        sleep_until(begun + Duration::from_millis(step.at_millis)).await;
        let producing = producing.clone();
        match step.what {
            Step::Produce { number, records } => drop(doing.spawn(producing.produce(number, records, None))),
            Step::Cancel { number, records } => {
                drop(doing.spawn(producing.produce(number, records, Some(Duration::from_millis(2)))));
            }
            Step::Flush => drop(doing.spawn(producing.flush())),
            Step::DropProducer => drop(doing.spawn(producing.drop_producer())),
            Step::CloseProducer => drop(doing.spawn(producing.close_producer())),
            Step::Split { index } => split(&fake, index),
            Step::Merge { index } => merge(&fake, index),
            Step::Rotate => credentials.rotate(),
            Step::FailCredentials { calls } => credentials.fail(calls.into()),
            Step::SlowCredentials { millis } => credentials.set_delay(Duration::from_millis(millis.into())),
            put => drop(doing.spawn(workload::put_step(fake.clone(), Arc::clone(&randomness), put))),
        }
    }
    while let Some(done) = doing.join_next().await {
        done.unwrap();
    }
}

/// The open shards, by their ranges; none of a stream that a fault has taken away.
fn open(fake: &FakeKinesis) -> Vec<Shard> {
    let mut open: Vec<Shard> = fake.shards(STREAM).unwrap_or_default().into_iter().filter(Shard::is_open).collect();
    open.sort_by_key(|shard| shard.hash_key_range);
    open
}

/// What the fake refuses, such as a sixth shard, is as good as not asked for.
fn split(fake: &FakeKinesis, index: u32) {
    let open = open(fake);
    if (1..5).contains(&open.len()) {
        let _ = fake.split(STREAM, open[index as usize % open.len()].id.as_str());
    }
}

fn merge(fake: &FakeKinesis, index: u32) {
    let open = open(fake);
    if open.len() > 1 {
        let lower = index as usize % (open.len() - 1);
        let _ = fake.merge(STREAM, open[lower].id.as_str(), open[lower + 1].id.as_str());
    }
}
