//! A million records through the producer: what they cost, and what they take of memory meanwhile.
//!
//! Records of 100 bytes go into a stream of the fake in this process, with the service's limits, in virtual time. What
//! is stored is trimmed as it comes, so that the memory that grows is the producer's. Prints the records per second of
//! CPU time, of all and without what the same Kinesis records cost through the bare SDK into the same fake. Fails where
//! a record is missing, where more is outstanding than configured at any time, or where the resident memory grows by
//! more than four times the bytes that the queue may hold. `--records` sets the number.

#[path = "shared/cpu_time.rs"]
mod cpu_time;
#[path = "shared/measure.rs"]
mod measure;
#[path = "shared/resident.rs"]
mod resident;
#[path = "shared/virtual_time.rs"]
mod virtual_time;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use clap::Parser;
use kinesis_aggregation::AggregateBuilder;
use kinesis_core::{ClientOptions, KinesisClient, Randomness, StreamName};
use kinesis_producer::{KinesisProducer, ProducerConfig, ProducerStats, UserRecord};
use kinesis_testkit::FakeKinesis;
use tokio::time::Instant;

use crate::cpu_time::cpu_time;
use crate::measure::verdict;
use crate::resident::resident_bytes;

const STREAM: &str = "orders";
const SHARDS: u32 = 16;
const DATA_BYTES: usize = 100;
/// So many keys, each of 13 bytes.
const KEYS: u64 = 50_000;
const QUEUE_RECORDS: usize = 50_000;
const QUEUE_BYTES: usize = 8 * 1024 * 1024;
/// The producer's documentation: as records, and up to three times more on their way.
const MEMORY_BUDGET: f64 = 4.0;
const SAMPLE_EVERY: u64 = 5_000;

#[derive(Debug, Parser)]
struct Arguments {
    /// How many records are put; a twentieth of them in a build without optimisation.
    #[arg(long, default_value_t = if cfg!(debug_assertions) { 50_000 } else { 1_000_000 })]
    records: u64,
    /// Passed by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    virtual_time::run("million_records", run(&arguments))
}

async fn run(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    // Grows the heap by what calls need in passing, and warms the code.
    Run::of(arguments.records / 20).await?;
    let run = Run::of(arguments.records).await?;
    let floor = bare_sdk(run.stats.kinesis_records_put, arguments.records).await?;
    let records = arguments.records as f64;
    println!(
        "{records} records of {DATA_BYTES} bytes in {} Kinesis records and {} requests, {:.1} virtual seconds",
        run.stats.kinesis_records_put,
        run.stats.put_records_calls,
        run.virtual_time.as_secs_f64()
    );
    println!("records per CPU second, fake and SDK included: {:.0}", records / run.cpu.as_secs_f64());
    let own = run.cpu.saturating_sub(floor);
    println!(
        "the same Kinesis records through the bare SDK: {:.3} s of {:.3} s",
        floor.as_secs_f64(),
        run.cpu.as_secs_f64()
    );
    println!("records per CPU second, the producer alone: {:.0}", records / own.as_secs_f64());
    let verdicts = [
        verdict("records not stored", (arguments.records - run.stats.user_records_put) as f64, 0.0),
        verdict("records outstanding, to the limit", run.most_records as f64 / QUEUE_RECORDS as f64, 1.0),
        verdict("bytes outstanding, to the limit", run.most_bytes as f64 / QUEUE_BYTES as f64, 1.0),
        verdict("resident bytes more, to the queue's", run.grown_bytes as f64 / QUEUE_BYTES as f64, MEMORY_BUDGET),
    ];
    Ok(!verdicts.contains(&false))
}

fn fake() -> FakeKinesis {
    let limits = kinesis_testkit::Limits::aws();
    FakeKinesis::builder().stream(STREAM, SHARDS).limits(limits).journal(false).virtual_time().build()
}

struct Run {
    stats: ProducerStats,
    cpu: Duration,
    virtual_time: Duration,
    grown_bytes: u64,
    most_records: usize,
    most_bytes: usize,
}

impl Run {
    async fn of(records: u64) -> Result<Self, Box<dyn Error>> {
        let fake = fake();
        let client = KinesisClient::new(fake.client(), ClientOptions::default());
        let config = ProducerConfig::default().queue_limit_records(QUEUE_RECORDS).queue_limit_bytes(QUEUE_BYTES);
        let builder = KinesisProducer::builder().client(client).config(config);
        let producer = builder.randomness(Randomness::from_seed(1)).build().await?;
        let stream: StreamName = STREAM.parse()?;
        producer.open(&stream).await?;
        let (began, before_bytes, cpu) = (Instant::now(), resident_bytes()?, cpu_time()?);
        let (mut grown_bytes, mut most_records, mut most_bytes) = (0, 0, 0);
        for number in 0..records {
            let key = format!("customer-{:04}", number % KEYS);
            drop(producer.put(UserRecord::new(&stream, key, vec![b'x'; DATA_BYTES])).await?);
            if number % SAMPLE_EVERY == 0 {
                let outstanding = producer.outstanding();
                most_records = most_records.max(outstanding.records);
                most_bytes = most_bytes.max(outstanding.bytes);
                grown_bytes = grown_bytes.max(resident_bytes()?.saturating_sub(before_bytes));
                fake.trim(STREAM, fake.clock().now())?;
            }
        }
        let stats = producer.close().await?;
        let cpu = cpu_time()?.saturating_sub(cpu);
        Ok(Self { stats, cpu, virtual_time: began.elapsed(), grown_bytes, most_records, most_bytes })
    }
}

/// The CPU time of as many aggregates of as many records through the SDK alone, ready before the clock runs.
async fn bare_sdk(aggregates: u64, records: u64) -> Result<Duration, Box<dyn Error>> {
    const ENTRIES_AT_ONCE: u64 = 16;
    let fake = FakeKinesis::builder().stream(STREAM, SHARDS).journal(false).virtual_time().build();
    let client = fake.client();
    let mut builder = AggregateBuilder::new();
    for number in 0..records / aggregates {
        builder.add(&format!("customer-{number:04}"), None, &[b'x'; DATA_BYTES]);
    }
    let data = builder.finish().to_vec();
    let entry = PutRecordsRequestEntry::builder().partition_key("a").data(Blob::new(data)).build()?;
    let mut cost = Duration::ZERO;
    for _ in 0..aggregates / ENTRIES_AT_ONCE {
        let entries = (0..ENTRIES_AT_ONCE).map(|_| entry.clone()).collect();
        let request = client.put_records().stream_name(STREAM).set_records(Some(entries));
        let before = cpu_time()?;
        request.send().await?;
        cost += cpu_time()?.saturating_sub(before);
        fake.trim(STREAM, fake.clock().now())?;
    }
    Ok(cost)
}
