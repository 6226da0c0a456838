//! One hour of a hundred idle shards that are polled five times a second, in virtual time.
//!
//! Prints the CPU time of a GetRecords call against the fake and against a transport that always gives one reply, both
//! below the SDK's own client, and fails where the fake needs more than 1.5 times as much, or where two runs of one
//! seed differ. `--minutes 60` makes the full 1.8 million calls; the default is a quick look.

#[path = "shared/cpu_time.rs"]
mod cpu_time;
#[path = "shared/measure.rs"]
mod measure;
#[path = "shared/virtual_time.rs"]
mod virtual_time;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::SharedHttpClient;
use aws_sdk_kinesis::types::ShardIteratorType;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use clap::Parser;
use kinesis_core::Randomness;
use kinesis_testkit::FakeKinesis;
use kinesis_testkit::testing::put_all;
use tokio::time::{Instant, sleep, sleep_until};

use crate::cpu_time::cpu_time;
use crate::measure::verdict;

const STREAM: &str = "orders";
const POLLS_PER_SECOND: u32 = 5;
/// How many times the CPU time of the canned transport the fake may take.
const BUDGET: f64 = 1.5;
/// How much virtual time one side takes before it is the other's turn.
const CHUNK: Duration = Duration::from_secs(6);

#[derive(Debug, Parser)]
struct Arguments {
    /// How many virtual minutes are polled.
    #[arg(long, default_value_t = 2)]
    minutes: u64,
    /// How many shards are polled.
    #[arg(long, default_value_t = 100)]
    shards: u32,
    /// Passed by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    virtual_time::run("virtual_hour", run(&arguments))
}

async fn run(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    let within = compare(arguments).await?;
    let same = repeat(arguments.shards).await?;
    Ok(within && same)
}

/// Polls both sides in turns, and compares what they cost.
async fn compare(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    let fake = FakeKinesis::builder().stream(STREAM, arguments.shards).virtual_time().build();
    let iterators = iterators(&fake.client(), arguments.shards).await?;
    let mut sides =
        [Side { client: fake.client(), iterators, cpu: Duration::ZERO, calls: 0 }, canned(&fake, arguments).await?];
    // Not measured: the first calls grow the heap and fill caches.
    for side in &mut sides {
        side.poll(CHUNK).await?;
        (side.cpu, side.calls) = (Duration::ZERO, 0);
    }
    for chunk in 0..arguments.minutes * 60 / CHUNK.as_secs() {
        // Whoever comes second may find warmer caches: take turns.
        let first = usize::from(chunk % 2 == 1);
        sides[first].poll(CHUNK).await?;
        sides[1 - first].poll(CHUNK).await?;
    }
    let [fake_side, canned_side] = &sides;
    let ratio = fake_side.cpu.as_secs_f64() / canned_side.cpu.as_secs_f64();
    let Arguments { minutes, shards, .. } = arguments;
    println!("{minutes} virtual minutes, {shards} shards, {POLLS_PER_SECOND} polls a second and shard");
    println!("fake:   {fake_side}");
    println!("canned: {canned_side}");
    Ok(verdict("CPU time, fake to canned", ratio, BUDGET))
}

/// A client, where its shards stand, and what its calls cost.
struct Side {
    client: Client,
    iterators: Vec<String>,
    cpu: Duration,
    calls: u64,
}

impl Side {
    /// Polls every shard five times a second for so long, in virtual time.
    async fn poll(&mut self, duration: Duration) -> Result<(), Box<dyn Error>> {
        let before = cpu_time()?;
        let round = Duration::from_secs(1) / POLLS_PER_SECOND;
        let rounds = duration.as_millis() / round.as_millis();
        let mut next = Instant::now();
        for _ in 0..rounds {
            for iterator in &mut self.iterators {
                let reply = self.client.get_records().shard_iterator(std::mem::take(iterator)).send().await?;
                *iterator = reply.next_shard_iterator.ok_or("an open shard has ended")?;
                self.calls += 1;
            }
            next += round;
            sleep_until(next).await;
        }
        self.cpu += cpu_time()?.saturating_sub(before);
        Ok(())
    }
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let per_call = self.cpu.as_secs_f64() * 1e6 / self.calls.max(1) as f64;
        write!(f, "{} calls, {:.2} s of CPU time, {per_call:.2} us a call", self.calls, self.cpu.as_secs_f64())
    }
}

async fn iterators(client: &Client, shards: u32) -> Result<Vec<String>, Box<dyn Error>> {
    let mut iterators = Vec::new();
    for shard in 0..shards {
        let request = client.get_shard_iterator().stream_name(STREAM).shard_id(format!("shardId-{shard:012}"));
        let reply = request.shard_iterator_type(ShardIteratorType::Latest).send().await?;
        iterators.push(reply.shard_iterator.ok_or("no iterator")?);
    }
    Ok(iterators)
}

/// The same client over a transport that answers with what the fake answered once.
async fn canned(fake: &FakeKinesis, arguments: &Arguments) -> Result<Side, Box<dyn Error>> {
    let iterators = iterators(&fake.client(), arguments.shards).await?;
    let iterator = iterators.first().ok_or("there are no shards")?;
    let reply = fake.call("GetRecords", &format!("{{\"ShardIterator\":\"{iterator}\"}}")).await?;
    let http = SharedHttpClient::new(Canned(reply.body));
    let config = fake.client().config().to_builder().http_client(http).build();
    Ok(Side { client: Client::from_conf(config), iterators, cpu: Duration::ZERO, calls: 0 })
}

/// Answers every request with one body.
#[derive(Clone, Debug)]
struct Canned(String);

impl HttpClient for Canned {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Canned {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let status = StatusCode::try_from(200).map_err(|error| ConnectorError::user(error.into()));
        let body = self.0.clone();
        HttpConnectorFuture::ready(status.map(|status| {
            let mut response = HttpResponse::new(status, SdkBody::from(body));
            response.headers_mut().insert("content-type", "application/x-amz-json-1.1");
            response
        }))
    }
}

/// Whether one seed gives one journal, byte for byte, and whether two journals can differ at all.
async fn repeat(shards: u32) -> Result<bool, Box<dyn Error>> {
    let (first, second, other) = (journal(shards, 7).await?, journal(shards, 7).await?, journal(shards, 8).await?);
    if first == other {
        println!("journals: those of two seeds are EQUAL, so that the comparison says nothing");
        return Ok(false);
    }
    let is_same = first == second;
    println!(
        "journals: two runs of one seed are {}, of {} bytes",
        if is_same { "equal" } else { "DIFFERENT" },
        first.len()
    );
    Ok(is_same)
}

/// What the fake wrote down of ten seconds with seeded writes, as lines of JSON.
async fn journal(shards: u32, seed: u64) -> Result<String, Box<dyn Error>> {
    let fake = FakeKinesis::builder().stream(STREAM, shards).virtual_time().seed(seed).build();
    let client = fake.client();
    let iterators = iterators(&client, shards).await?;
    let mut side = Side { client: client.clone(), iterators, cpu: Duration::ZERO, calls: 0 };
    let mut random = Randomness::from_seed(seed).stream("writes");
    for _ in 0..10 {
        let key = format!("key-{}", random.below(1000));
        put_all(&client, STREAM, [(key, random.next_u64().to_string())]).await?;
        sleep(Duration::from_millis(random.below(300))).await;
        side.poll(Duration::from_secs(1)).await?;
    }
    Ok(fake.journal().to_json_lines())
}
