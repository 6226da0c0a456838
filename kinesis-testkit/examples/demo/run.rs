//! The run: writer and consumer side by side, kills and restores, and the verdict.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kinesis_consumer::{
    CheckpointStore, ConsumerEvent, ConsumerHandle, FileSink, FileStore, KinesisConsumer, RawRecords,
};
use kinesis_core::{ConsumerConfig, Epoch, Randomness, StartingPosition};
use kinesis_producer::{KinesisProducer, ProducerConfig};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::arguments::Arguments;
use crate::dedup::{Dedup, Seen};
use crate::failure::{Failure, failed, usage, usage_because};
use crate::feed::{Fed, Feed};
use crate::input::{Input, Scan, spool};
use crate::observer::Observer;
use crate::plan;
use crate::verdict::{Verdict, compare};
use crate::view::{Progress, View};
use crate::workspace::{Manifest, Workspace};
use crate::world::World;

const JOB: &str = "demo";
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(2);
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);
/// About as many lines of a hundred bytes as fit an aggregate of the producer.
const LINES_PER_AGGREGATE: u64 = 450;
/// Throttling delays records here; it must not fail them.
const RECORD_TTL: Duration = Duration::from_secs(3600);

/// Runs the demo; whether the verdict is good.
pub(crate) async fn run(arguments: Arguments) -> Result<bool, Failure> {
    let view = Arc::new(View::new(arguments.json));
    let begun = Instant::now();
    let world = World::reach(&arguments).await?;
    let prepared = Prepared::new(&arguments, &world).await?;
    let demo = Demo::new(arguments, world, view, prepared)?;
    demo.go(begun).await
}

/// Input and output of a run, both looked at before anything is written.
struct Prepared {
    input: Input,
    scan: Scan,
    manifest: Manifest,
    workspace: Workspace,
    /// Removed with everything in it at the end, where no output directory was named.
    _temporary: Option<TempDir>,
}

impl Prepared {
    async fn new(arguments: &Arguments, world: &World) -> Result<Self, Failure> {
        let max_record_bytes = world.max_record_bytes().await?;
        let from_stdin = arguments.input.as_deref() == Some(Path::new("-"));
        let named = (!from_stdin).then(|| named_input(arguments));
        // A file is looked at before anything is made; standard input has to be kept first.
        let scanned = named.as_ref().map(|input| scan(input, max_record_bytes)).transpose()?;
        if let Some(line) = scanned.as_ref().and_then(|scan| scan.too_large.first()) {
            let what = format!("line {} does not fit a record of {max_record_bytes} bytes", line + 1);
            return Err(usage(format!("{}: {what}", describe(named.as_ref()))));
        }
        let temporary = arguments.output.is_none().then(TempDir::new).transpose();
        let temporary = temporary.map_err(|error| usage_because("no temporary directory", &error))?;
        let directory = match (&arguments.output, &temporary) {
            (Some(directory), _) => directory.clone(),
            (None, Some(temporary)) => temporary.path().join("out"),
            (None, None) => return Err(usage("no output directory".into())),
        };
        let identity = identity(arguments);
        let (workspace, manifest) = if arguments.consume_only {
            let (workspace, manifest) = Workspace::reopen(&directory)?;
            if manifest.arguments != identity {
                return Err(usage(format!("{} holds a run of other arguments", directory.display())));
            }
            (workspace, Some(manifest))
        } else {
            (Workspace::create(&directory)?, None)
        };
        let input = match named {
            Some(input) => input,
            None => stdin_input(&workspace, manifest.is_some())?,
        };
        let scan = scanned.map_or_else(|| scan(&input, max_record_bytes), Ok)?;
        let manifest = manifest.unwrap_or_else(|| Manifest {
            run: Randomness::from_entropy().stream("run").next_u64(),
            arguments: identity,
            left_out: scan.too_large.clone(),
        });
        workspace.remember(&manifest)?;
        Ok(Self { input, scan, manifest, workspace, _temporary: temporary })
    }
}

fn named_input(arguments: &Arguments) -> Input {
    let generated =
        Input::Generated { records: arguments.records, bytes: arguments.record_bytes, seed: arguments.seed };
    arguments.input.clone().map_or(generated, Input::File)
}

fn describe(input: Option<&Input>) -> String {
    match input {
        Some(Input::File(path)) => path.display().to_string(),
        _ => "the input".to_owned(),
    }
}

fn scan(input: &Input, max_record_bytes: usize) -> Result<Scan, Failure> {
    input.scan(max_record_bytes).map_err(|error| usage_because(&describe(Some(input)), &error))
}

/// Standard input, kept in the workspace; a resumed run finds it there.
fn stdin_input(workspace: &Workspace, resumed: bool) -> Result<Input, Failure> {
    let path = workspace.private("input");
    if !resumed {
        spool(&mut io::stdin().lock(), &path).map_err(|error| usage_because("standard input", &error))?;
    }
    Ok(Input::File(path))
}

/// What has to be the same for a run to be gone on with.
fn identity(arguments: &Arguments) -> String {
    let input = arguments.input.as_ref().map_or_else(
        || format!("{} events of {} bytes, seed {}", arguments.records, arguments.record_bytes, arguments.seed),
        |path| path.display().to_string(),
    );
    format!("{input}; {} at {:?}", arguments.stream, arguments.endpoint)
}

/// Everything that a run works with.
struct Demo {
    arguments: Arguments,
    world: World,
    view: Arc<View>,
    prepared: Prepared,
    observer: Arc<Observer>,
    store: FileStore,
    checkpoints: Arc<AtomicU64>,
    written: Arc<AtomicU64>,
}

/// What the consumer's side of a run came to.
#[derive(Clone, Copy, Debug, Default)]
struct Consumed {
    fed: Fed,
    restores: u64,
}

type Running = JoinHandle<Result<Epoch, kinesis_consumer::ConsumerError>>;

impl Demo {
    fn new(arguments: Arguments, world: World, view: Arc<View>, prepared: Prepared) -> Result<Self, Failure> {
        let store = FileStore::open(prepared.workspace.private("state"))
            .map_err(|error| usage_because("the output directory cannot be used", &error))?;
        let lines = prepared.scan.lines;
        let kills = if arguments.with_faults() { plan::kills(lines) } else { Vec::new() };
        let observer = Arc::new(Observer::new(prepared.manifest.run, lines, kills));
        let (checkpoints, written) = (Arc::default(), Arc::default());
        Ok(Self { arguments, world, view, prepared, observer, store, checkpoints, written })
    }

    async fn go(self, begun: Instant) -> Result<bool, Failure> {
        if !self.arguments.consume_only {
            self.world.make_stream(self.arguments.shards).await?;
        }
        let progress = tokio::spawn(show_progress(
            Arc::clone(&self.view),
            Arc::clone(&self.observer),
            Arc::clone(&self.written),
            self.prepared.scan.lines,
        ));
        let consumed = self.work().await;
        progress.abort();
        let consumed = consumed?;
        self.view.stage("verifying");
        let directory = self.prepared.workspace.directory();
        let verdict = compare(&self.prepared.input, &self.prepared.manifest.left_out, directory)
            .map_err(|error| failed("input and output cannot be compared", &error))?;
        self.report(consumed, verdict, begun.elapsed()).await
    }

    /// Writes and reads to the end.
    async fn work(&self) -> Result<Consumed, Failure> {
        if self.arguments.consume_only {
            self.view.stage("consuming");
            return self.consume(None).await;
        }
        self.view.stage("producing");
        let feed = tokio::spawn(self.feed().await?.run());
        if self.arguments.with_faults() {
            return self.consume(Some(feed)).await;
        }
        if self.arguments.endpoint.is_none() {
            return self.consume(Some(feed)).await;
        }
        // On an endpoint all is written first: what was killed while it consumed can then be finished by --consume-only.
        let fed = fed(feed.await)?;
        self.view.stage("consuming");
        Ok(Consumed { fed, ..self.consume(None).await? })
    }

    async fn feed(&self) -> Result<Feed, Failure> {
        let config = ProducerConfig::default()
            .rate_limit(u64::from(self.arguments.rate_limit_percent()))
            .record_ttl(RECORD_TTL)
            .ordered(self.arguments.ordered);
        let producer = KinesisProducer::builder()
            .client(self.world.client.clone())
            .config(config)
            .randomness(Randomness::from_seed(self.arguments.seed))
            .build()
            .await
            .map_err(|error| failed("the producer cannot be built", &error))?;
        let steps = match self.arguments.with_faults() {
            true => plan::steps(self.prepared.scan.lines, self.world.can_lose_replies()),
            false => Vec::new(),
        };
        Ok(Feed {
            world: self.world.clone(),
            producer,
            observer: Arc::clone(&self.observer),
            view: Arc::clone(&self.view),
            input: self.prepared.input.clone(),
            left_out: self.prepared.manifest.left_out.clone(),
            sample: self.prepared.scan.sample.clone(),
            steps,
            written: Arc::clone(&self.written),
        })
    }

    /// Consumes until everything is committed, through every kill; `feed` is the writer that is still at work.
    async fn consume(&self, mut feed: Option<JoinHandle<Result<Fed, Failure>>>) -> Result<Consumed, Failure> {
        let mut consumed = Consumed::default();
        let (mut running, mut handle) = self.start_consumer(0)?;
        loop {
            if feed.is_none() {
                handle.drain();
            }
            tokio::select! {
                biased;
                () = self.observer.kill_due() => {
                    self.kill(running).await;
                    consumed.restores += 1;
                    (running, handle) = self.start_consumer(consumed.restores)?;
                    let detail = format!("parallelism {}", self.parallelism(consumed.restores));
                    self.view.event("restore", self.observer.lines(), &detail);
                }
                result = finished(&mut feed) => {
                    consumed.fed = result?;
                    feed = None;
                    self.view.stage("consuming");
                }
                result = &mut running => {
                    return match result {
                        Ok(Ok(_)) => Ok(consumed),
                        Ok(Err(error)) => Err(failed("the consumer failed", &error)),
                        Err(error) => Err(failed("the consumer failed", &error)),
                    };
                }
            }
        }
    }

    /// Ends the consumer as a crash would: its tasks are aborted, and nothing is saved on the way out.
    async fn kill(&self, running: Running) {
        running.abort();
        // Only to see it gone; that it was cancelled is what was asked for.
        let _ = running.await;
        self.view.event("kill", self.observer.lines(), "the consumer's tasks are aborted");
    }

    fn parallelism(&self, restores: u64) -> usize {
        let first = usize::from(self.arguments.parallelism);
        match restores % 3 {
            0 => first,
            1 => first + 1,
            _ => (first / 2).max(1) + usize::from(first == 1),
        }
    }

    /// A hundredth of the input in a call, as far as aggregates allow it, so that checkpoints are spread over the run.
    fn get_records_limit(&self) -> u32 {
        u32::try_from(self.prepared.scan.lines / LINES_PER_AGGREGATE / 100).unwrap_or(u32::MAX).clamp(1, 10_000)
    }

    fn start_consumer(&self, restores: u64) -> Result<(Running, ConsumerHandle), Failure> {
        let config = ConsumerConfig::builder()
            .starting_position(StartingPosition::TrimHorizon)
            .get_records_limit(self.get_records_limit())
            .build();
        let config = config.map_err(|error| failed("the consumer cannot be configured", &error))?;
        let checkpoints = Arc::clone(&self.checkpoints);
        let max_batch = (self.prepared.scan.lines / 200).clamp(1, 5000);
        let consumer = KinesisConsumer::builder()
            .schema(RawRecords)
            .client(self.world.client.clone())
            .streams([self.world.stream.as_str()])
            .job(JOB)
            .config(config)
            .parallelism(self.parallelism(restores))
            .checkpoints(self.store.clone(), CHECKPOINT_INTERVAL)
            .max_batch(usize::try_from(max_batch).unwrap_or(1))
            .seed(self.arguments.seed.wrapping_add(restores))
            .on_event(move |event| {
                if let ConsumerEvent::CheckpointCompleted { .. } = event {
                    checkpoints.fetch_add(1, Ordering::Relaxed);
                }
            })
            .build()
            .map_err(|error| failed("the consumer cannot be built", &error))?;
        let sink = FileSink::open(self.prepared.workspace.directory());
        let sink = Arc::new(sink.map_err(|error| failed("the output directory cannot be used", &error))?);
        let handle = consumer.handle();
        self.observer.begin_incarnation(handle.clone());
        let observer = Arc::clone(&self.observer);
        let running = tokio::spawn(async move {
            let factory = move |context: &_| Dedup::new(Arc::clone(&observer), context);
            consumer.run_into(sink, factory).await
        });
        Ok((running, handle))
    }

    /// How many duplicates the processors dropped, from their last saved states.
    async fn log_duplicates(&self) -> Result<u64, Failure> {
        let opened =
            self.store.open(JOB).await.map_err(|error| failed("the last checkpoint cannot be read", &error))?;
        let shards = opened.latest.iter().flat_map(|checkpoint| &checkpoint.streams).flat_map(|stream| &stream.shards);
        let states = shards.filter_map(|shard| shard.progress.as_ref()).map(|progress| &progress.user_state);
        let mut duplicates = 0;
        for state in states.filter(|state| !state.is_empty()) {
            let seen = Seen::decode(state.clone());
            duplicates += seen.map_err(|error| failed("the last checkpoint cannot be read", &error))?.duplicates;
        }
        Ok(duplicates)
    }

    async fn report(&self, consumed: Consumed, verdict: Verdict, elapsed: Duration) -> Result<bool, Failure> {
        let left_out: Vec<u64> = self.prepared.manifest.left_out.iter().map(|number| number + 1).collect();
        let orphans = self.observer.children_without_records();
        let replayed = self.observer.replayed();
        let log_duplicates = self.log_duplicates().await?;
        let missing = self.missing_faults(&consumed, &replayed, log_duplicates);
        let all_arrived = verdict.is_good(self.arguments.ordered) && left_out.is_empty();
        let good = all_arrived && orphans == 0 && missing.is_empty();
        let Fed { stats, reshards } = consumed.fed;
        let mut rows: Vec<(&str, Value)> = vec![
            ("records_in", json!(verdict.records_in)),
            ("records_out", json!(verdict.records_out)),
            ("lost", json!(verdict.lost)),
            ("duplicated", json!(verdict.duplicated)),
            ("log_duplicates", json!(log_duplicates)),
            ("out_of_order", json!(verdict.out_of_order)),
            ("replayed", json!(replayed.iter().sum::<u64>())),
            ("replayed_by_restore", json!(replayed)),
            ("reshards", json!(reshards)),
            ("restores", json!(consumed.restores)),
            ("checkpoints", json!(self.checkpoints.load(Ordering::Relaxed))),
            ("put_records_calls", json!(stats.put_records_calls)),
            ("kinesis_records", json!(stats.kinesis_records_put)),
            ("children_without_records", json!(orphans)),
            ("seconds", json!((elapsed.as_secs_f64() * 1000.0).round() / 1000.0)),
        ];
        if !left_out.is_empty() {
            rows.push(("lines_left_out", json!(left_out)));
        }
        let text = self.verdict_text(&verdict, &left_out, orphans, &missing);
        rows.push(("verdict", json!(text)));
        self.view.result(&rows, &text);
        Ok(good)
    }

    /// What was to go wrong and did not; without it a good comparison proves little.
    fn missing_faults(&self, consumed: &Consumed, replayed: &[u64], log_duplicates: u64) -> Vec<&'static str> {
        let lines = self.prepared.scan.lines - self.prepared.manifest.left_out.len() as u64;
        if !self.arguments.with_faults() || lines == 0 {
            return Vec::new();
        }
        let all = [
            (replayed.len() < plan::KILLS.len(), "the consumer was not killed as often as planned"),
            (replayed.contains(&0), "a restore had nothing to repeat"),
            (consumed.fed.reshards < plan::RESHARDS, "the stream was not resharded as often as planned"),
            (self.world.can_lose_replies() && log_duplicates == 0, "no write was acknowledged into the void"),
        ];
        all.into_iter().filter(|(is_missing, _)| *is_missing).map(|(_, fault)| fault).collect()
    }

    fn verdict_text(&self, verdict: &Verdict, left_out: &[u64], orphans: usize, missing: &[&str]) -> String {
        let mut faults = Vec::new();
        let mut note = |count: u64, what: &str| {
            if count > 0 {
                faults.push(format!("{count} {what}"));
            }
        };
        note(verdict.lost, "lost");
        note(verdict.duplicated, "duplicated");
        note(u64::from(self.arguments.ordered) * verdict.out_of_order, "out of order");
        note(orphans as u64, "resharded shards without a record");
        if !left_out.is_empty() {
            let lines: Vec<_> = left_out.iter().map(u64::to_string).collect();
            faults.push(format!("too large for a record and left out: line {}", lines.join(", ")));
        }
        faults.extend(missing.iter().map(|fault| format!("nothing was proved: {fault}")));
        if faults.is_empty() { "every line arrived exactly once".to_owned() } else { faults.join("; ") }
    }
}

/// The writer's result, once it has one; never where there is no writer.
async fn finished(feed: &mut Option<JoinHandle<Result<Fed, Failure>>>) -> Result<Fed, Failure> {
    match feed {
        Some(feed) => fed(feed.await),
        None => std::future::pending().await,
    }
}

fn fed(result: Result<Result<Fed, Failure>, tokio::task::JoinError>) -> Result<Fed, Failure> {
    result.unwrap_or_else(|error| Err(failed("the writer failed", &error)))
}

async fn show_progress(view: Arc<View>, observer: Arc<Observer>, written: Arc<AtomicU64>, total: u64) {
    let mut timer = tokio::time::interval(PROGRESS_INTERVAL);
    loop {
        timer.tick().await;
        // Repeated lines are delivered more than once; a bar that is full has nothing to say of them.
        let (produced, delivered) = (written.load(Ordering::Relaxed), observer.lines().min(total));
        view.progress(Progress { total, produced, delivered });
    }
}
