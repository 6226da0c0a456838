//! What an idle shard costs a consumer: resident memory, CPU time, and calls.
//!
//! The fake serves over HTTP in a process of its own, with the service's limits; the consumer reads all shards of a
//! stream in another, once for few shards and once for many. Fails where a shard takes more than 32 KiB, where its CPU
//! time among many is more than 1.2 times that among few, where a call is throttled, or where discovery lists more often
//! than once an interval. `--shards 10000 --interval-ms 10000` is the whole; the default is a quick look.

#[path = "shared/cpu_time.rs"]
mod cpu_time;
#[path = "shared/measure.rs"]
mod measure;
#[path = "shared/resident.rs"]
mod resident;

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::time::Duration;

use clap::{Parser, Subcommand};
use kinesis_consumer::{Batch, BoxError, ConsumerEvent, KinesisConsumer, MemoryStore, RawRecords, Record, Stateless};
use kinesis_core::{AwsConfig, ConsumerConfig, CredentialsSource, KinesisClient, StartingPosition};
use kinesis_testkit::{CallCounts, FakeKinesis, Limits, Operation, Server};
use tokio::sync::mpsc;

use crate::cpu_time::cpu_time;
use crate::measure::verdict;
use crate::resident::resident_bytes;

const STREAM: &str = "orders";
/// Resident bytes for each shard more.
const BYTES_BUDGET: f64 = 32.0 * 1024.0;
/// The CPU time of a shard among many to that of a shard among few.
const CPU_BUDGET: f64 = 1.2;
/// Shards on a page of ListShards.
const PAGE_SHARDS: u32 = 1000;
/// Checkpoints, one an interval, that pass before anything is measured: all shards have been taken up then.
const WARM_UP: usize = 3;

#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role>,
    /// How many shards are many.
    #[arg(long, default_value_t = if cfg!(debug_assertions) { 300 } else { 10_000 })]
    shards: u32,
    /// How many shards are few.
    #[arg(long, default_value_t = 30)]
    few: u32,
    /// How often each shard is polled, discovery lists, and a checkpoint is taken.
    #[arg(long, default_value_t = 500)]
    interval_ms: u64,
    /// For how many intervals the CPU time is measured.
    #[arg(long, default_value_t = 2)]
    intervals: usize,
    /// Passed by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Debug, Subcommand)]
enum Role {
    /// Serves the fake until standard input ends, then prints what was called.
    Serve { shards: u32 },
    /// Reads a stream, and prints what that took.
    Consume { endpoint: String, interval_ms: u64, intervals: usize },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.role.clone() {
        None => compare(&arguments),
        Some(Role::Serve { shards }) => in_real_time(serve(shards)).map(|()| true),
        Some(Role::Consume { endpoint, interval_ms, intervals }) => {
            in_real_time(consume(&endpoint, Duration::from_millis(interval_ms), intervals)).map(|()| true)
        }
    };
    measure::exit_code("idle_shards", outcome)
}

fn in_real_time<T>(role: impl Future<Output = Result<T, Box<dyn Error>>>) -> Result<T, Box<dyn Error>> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(role)
}

/// Measures few shards, then many, each with two fresh processes.
fn compare(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    println!(
        "{:>8} {:>14} {:>20} {:>12} {:>10}",
        "shards", "resident MB", "CPU us/shard/poll", "GetRecords", "listings"
    );
    let few = Figures::of(arguments.few, arguments)?;
    let many = Figures::of(arguments.shards, arguments)?;
    let more = f64::from(arguments.shards - arguments.few);
    let per_shard = many.resident_bytes.saturating_sub(few.resident_bytes) as f64 / more;
    let verdicts = [
        verdict("resident bytes per idle shard", per_shard, BYTES_BUDGET),
        verdict("CPU time of a shard, many to few", many.cpu_per_poll / few.cpu_per_poll, CPU_BUDGET),
        verdict("listings per interval", few.listings_per_interval.max(many.listings_per_interval), 1.0),
        verdict("throttled calls", (few.throttled + many.throttled) as f64, 0.0),
    ];
    Ok(!verdicts.contains(&false))
}

struct Figures {
    resident_bytes: u64,
    /// Microseconds for each shard and interval.
    cpu_per_poll: f64,
    listings_per_interval: f64,
    throttled: u64,
}

impl Figures {
    fn of(shards: u32, arguments: &Arguments) -> Result<Self, Box<dyn Error>> {
        let mut fake = Role::Serve { shards }.start()?;
        let endpoint = fake.line()?;
        let (interval_ms, intervals) = (arguments.interval_ms, arguments.intervals);
        let consumer = Role::Consume { endpoint, interval_ms, intervals }.start()?.numbers()?;
        let &[resident_bytes, cpu_nanos, elapsed_millis] = consumer.as_slice() else {
            return Err(format!("the consumer printed {consumer:?}").into());
        };
        fake.close_input();
        let called = fake.numbers()?;
        let &[reads, pages, throttled] = called.as_slice() else {
            return Err(format!("the fake printed {called:?}").into());
        };
        let listings = pages / u64::from(shards.div_ceil(PAGE_SHARDS));
        // The first listing is that of the start.
        let passed = (elapsed_millis as f64 / interval_ms as f64).ceil();
        let figures = Self {
            resident_bytes,
            cpu_per_poll: cpu_nanos as f64 / 1e3 / f64::from(shards) / intervals as f64,
            listings_per_interval: (listings - 1) as f64 / passed,
            throttled,
        };
        let resident = resident_bytes as f64 / 1e6;
        println!("{shards:>8} {resident:>14.1} {:>20.1} {reads:>12} {listings:>10}", figures.cpu_per_poll);
        Ok(figures)
    }
}

/// A process of this program in another role.
struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Role {
    fn start(&self) -> Result<Process, Box<dyn Error>> {
        let mut command = Command::new(std::env::current_exe()?);
        match self {
            Self::Serve { shards } => command.args(["serve", &shards.to_string()]),
            Self::Consume { endpoint, interval_ms, intervals } => {
                command.args(["consume", endpoint, &interval_ms.to_string(), &intervals.to_string()])
            }
        };
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        Ok(Process { child, input, output })
    }
}

impl Process {
    fn line(&mut self) -> Result<String, Box<dyn Error>> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    fn close_input(&mut self) {
        self.input = None;
    }

    /// The numbers in the last line, once the process has ended well.
    fn numbers(mut self) -> Result<Vec<u64>, Box<dyn Error>> {
        let line = self.line()?;
        let ended = self.child.wait()?;
        if !ended.success() {
            return Err(format!("a process ended with {ended}").into());
        }
        Ok(line.split(' ').map(str::parse).collect::<Result<_, _>>()?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Of a process that has ended already nothing is left to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn serve(shards: u32) -> Result<(), Box<dyn Error>> {
    let fake = FakeKinesis::builder().stream(STREAM, shards).limits(Limits::aws()).journal(false).build();
    let server = Server::bind(&fake, "127.0.0.1:0").await?;
    println!("{}", server.url());
    let input_ended = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
    server.run(async { drop(input_ended.await) }).await;
    let counts = fake.call_counts();
    let of = |operation| counts.get(&operation).copied().unwrap_or_default();
    let throttled: u64 = counts.values().map(|count: &CallCounts| count.refused).sum();
    println!("{} {} {throttled}", of(Operation::GetRecords).calls, of(Operation::ListShards).calls);
    Ok(())
}

fn nothing(_: Batch<Record>) -> Result<Vec<()>, BoxError> {
    Ok(Vec::new())
}

async fn consume(endpoint: &str, interval: Duration, intervals: usize) -> Result<(), Box<dyn Error>> {
    let aws = AwsConfig::builder().endpoint(endpoint).credentials(CredentialsSource::basic("id", "key")).build()?;
    let config = ConsumerConfig::builder()
        .starting_position(StartingPosition::TrimHorizon)
        .get_records_interval(interval)
        .discovery_interval(interval)
        .build()?;
    let (checkpointed, mut checkpoints) = mpsc::unbounded_channel();
    let consumer = KinesisConsumer::builder()
        .client(KinesisClient::connect(&aws).await)
        .config(config)
        .streams([STREAM])
        .schema(RawRecords)
        .checkpoints(MemoryStore::new(), interval)
        .on_event(move |event| {
            if let ConsumerEvent::CheckpointCompleted { .. } = event {
                let _ = checkpointed.send(());
            }
        })
        .build()?;
    let began = tokio::time::Instant::now();
    let handle = consumer.handle();
    let job = tokio::spawn(async move { consumer.run(|_shard| Stateless(nothing)).await });
    pass(&mut checkpoints, WARM_UP).await?;
    let before = cpu_time()?;
    pass(&mut checkpoints, intervals).await?;
    let (cpu, resident) = (cpu_time()?.saturating_sub(before), resident_bytes()?);
    handle.stop();
    job.await??;
    println!("{resident} {} {}", cpu.as_nanos(), began.elapsed().as_millis());
    Ok(())
}

async fn pass(checkpoints: &mut mpsc::UnboundedReceiver<()>, count: usize) -> Result<(), Box<dyn Error>> {
    for _ in 0..count {
        checkpoints.recv().await.ok_or("the job ended early")?;
    }
    Ok(())
}
