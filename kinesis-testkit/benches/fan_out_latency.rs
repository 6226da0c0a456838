//! From a put to its delivery by enhanced fan-out, over HTTP/2, beside the fake's own push.
//!
//! Two consumers of one stream subscribe to every shard: bare subscriptions, which show when the fake pushed a record, and
//! a job, whose processors show when it was delivered. Prints both as percentiles, and the time between the two. Fails
//! where the 99th percentile of that is above five milliseconds, or a record is missing. `--records` and `--per-second` set
//! the load.

#[path = "shared/measure.rs"]
mod measure;

use std::collections::BTreeMap;
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_kinesis::primitives::Blob;
use bytes::Bytes;
use clap::Parser;
use kinesis_consumer::{
    Batch, BoxError, ConsumerHandle, KinesisConsumer, MemoryStore, Processor, Record, SavedState, ShardContext,
};
use kinesis_core::{
    AwsConfig, ConsumerConfig, CredentialsSource, FanOutConfig, FanOutConsumerStatus, IteratorStart, KinesisClient,
    RecordPublisher, ShardId, StartingPosition, StreamName,
};
use kinesis_testkit::{FakeKinesis, Server};
use parking_lot::Mutex;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};

use crate::measure::{exit_code, verdict};

const STREAM: &str = "orders";
const SHARDS: u32 = 4;
const DATA_BYTES: usize = 200;
const BUDGET_MS: f64 = 5.0;
const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug, Parser)]
struct Arguments {
    /// How many records are put; a fifth of them in a build without optimisation.
    #[arg(long, default_value_t = if cfg!(debug_assertions) { 400 } else { 2_000 })]
    records: usize,
    /// How many a second.
    #[arg(long, default_value_t = 400)]
    per_second: u64,
    /// Passed by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

/// When each record was seen first, by its number.
type Times = Arc<Mutex<BTreeMap<usize, Instant>>>;

fn note(times: &Times, data: &[u8]) {
    let number = data.split(|byte| *byte == b' ').next().and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
    let now = Instant::now();
    times.lock().entry(number.expect("every record begins with its number")).or_insert(now);
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    exit_code("fan_out_latency", runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(run(&arguments))))
}

async fn run(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    let fake = FakeKinesis::builder().stream(STREAM, SHARDS).build();
    let server = Server::bind(&fake, "127.0.0.1:0").await?;
    let endpoint = format!("http://{}", server.local_addr());
    tokio::spawn(server.run(std::future::pending()));
    let (pushed, delivered) = (Times::default(), Times::default());
    let _subscriptions = subscribe(&connect(&endpoint).await?, &pushed).await?;
    let (handle, job) = start(connect(&endpoint).await?, &delivered)?;
    // Seen by both before anything is measured: each shard once.
    let mut put = BTreeMap::new();
    for number in 0..SHARDS as usize {
        put_one(&fake, number, &mut put).await?;
    }
    until_seen(&[&pushed, &delivered], put.len()).await?;
    let mut ticks = tokio::time::interval(SECOND / u32::try_from(arguments.per_second)?);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in put.len()..put.len() + arguments.records {
        ticks.tick().await;
        put_one(&fake, number, &mut put).await?;
    }
    until_seen(&[&pushed, &delivered], put.len()).await?;
    handle.stop();
    job.await??;
    let is_kept = report(&put, &pushed.lock(), &delivered.lock());
    Ok(is_kept)
}

async fn connect(endpoint: &str) -> Result<KinesisClient, Box<dyn Error>> {
    let credentials = CredentialsSource::basic("id", "key");
    Ok(KinesisClient::connect(&AwsConfig::builder().endpoint(endpoint).credentials(credentials).build()?).await)
}

/// Subscribes to every shard with nothing in between.
async fn subscribe(client: &KinesisClient, pushed: &Times) -> Result<JoinSet<()>, Box<dyn Error>> {
    let stream: StreamName = STREAM.parse()?;
    let arn = client.describe_stream_summary(&stream).await?.arn;
    let consumer = client.register_stream_consumer(&arn, "bare").await?;
    while client.describe_stream_consumer(&arn, "bare").await?.status != FanOutConsumerStatus::Active {
        tokio::task::yield_now().await;
    }
    let mut subscriptions = JoinSet::new();
    for index in 0..u64::from(SHARDS) {
        let (shard, start) = (ShardId::from_index(index), IteratorStart::TrimHorizon);
        let mut subscription = client.subscribe_to_shard(&consumer.arn, &stream, &shard, start, 10 * SECOND).await?;
        let pushed = Arc::clone(pushed);
        subscriptions.spawn(async move {
            while let Ok(Some(event)) = subscription.next_event().await {
                event.records().iter().for_each(|record| note(&pushed, record.data().as_ref()));
            }
        });
    }
    Ok(subscriptions)
}

type Job = JoinHandle<Result<kinesis_core::Epoch, kinesis_consumer::ConsumerError>>;

fn start(client: KinesisClient, delivered: &Times) -> Result<(ConsumerHandle, Job), Box<dyn Error>> {
    let config = ConsumerConfig::builder()
        .starting_position(StartingPosition::TrimHorizon)
        .record_publisher(RecordPublisher::EnhancedFanOut)
        .fan_out(FanOutConfig::named("job"));
    let consumer = KinesisConsumer::builder()
        .client(client)
        .config(config.build()?)
        .streams([STREAM])
        .parallelism(2)
        .checkpoints(MemoryStore::new(), SECOND)
        .build()?;
    let (handle, delivered) = (consumer.handle(), Arc::clone(delivered));
    let noting = move |_: &ShardContext| Noting(Arc::clone(&delivered));
    Ok((handle, tokio::spawn(async move { consumer.run(noting).await })))
}

/// Notes when each record is delivered.
struct Noting(Times);

#[async_trait]
impl Processor<Record> for Noting {
    type Output = ();

    async fn process(&mut self, batch: Batch<Record>, _output: &mut Vec<()>) -> Result<(), BoxError> {
        batch.items.iter().for_each(|record| note(&self.0, &record.data));
        Ok(())
    }

    fn snapshot(&self) -> Result<Bytes, BoxError> {
        Ok(Bytes::new())
    }

    fn restore(&mut self, _states: &[SavedState]) -> Result<(), BoxError> {
        Ok(())
    }
}

async fn put_one(fake: &FakeKinesis, number: usize, put: &mut BTreeMap<usize, Instant>) -> Result<(), Box<dyn Error>> {
    let data = Blob::new(format!("{number:<DATA_BYTES$}"));
    let client = fake.client();
    let request = client.put_record().stream_name(STREAM).partition_key(format!("key-{number}")).data(data);
    put.insert(number, Instant::now());
    request.send().await?;
    Ok(())
}

async fn until_seen(all: &[&Times], count: usize) -> Result<(), Box<dyn Error>> {
    let seen = async {
        while all.iter().any(|times| times.lock().len() < count) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(30 * SECOND, seen).await.map_err(|_| "records are missing".into())
}

/// The 50th and 99th percentile of what passed between two times of each record, in milliseconds.
fn percentiles(from: &BTreeMap<usize, Instant>, to: &BTreeMap<usize, Instant>) -> (f64, f64) {
    let signed = |from: Instant, to: Instant| {
        to.saturating_duration_since(from).as_secs_f64() - from.saturating_duration_since(to).as_secs_f64()
    };
    let elapsed = |(number, from): (&usize, &Instant)| to.get(number).map(|to| 1000.0 * signed(*from, *to));
    let mut values: Vec<f64> = from.iter().skip(SHARDS as usize).filter_map(elapsed).collect();
    values.sort_by(f64::total_cmp);
    (values[values.len() / 2], values[values.len() * 99 / 100])
}

fn report(
    put: &BTreeMap<usize, Instant>,
    pushed: &BTreeMap<usize, Instant>,
    delivered: &BTreeMap<usize, Instant>,
) -> bool {
    let print = |what: &str, (median, high): (f64, f64)| println!("{what}: p50 {median:.2} ms, p99 {high:.2} ms");
    print("put to the fake's push", percentiles(put, pushed));
    print("put to delivery", percentiles(put, delivered));
    let between = percentiles(pushed, delivered);
    print("the fake's push to delivery", between);
    verdict("99th percentile between push and delivery, ms", between.1, BUDGET_MS)
}
