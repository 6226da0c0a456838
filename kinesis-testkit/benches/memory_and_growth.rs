//! What a stored record costs in memory, and what calls cost as records pile up.
//!
//! Fills a stream with records of 100 bytes through PutRecords, journal off, and prints the resident bytes per record
//! and the CPU time of PutRecords and GetRecords at growing numbers of records. Fails where a record takes more than
//! 200 bytes, or where a call slows down by more than a fifth from empty to full. `--records` sets the number.

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

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, ShardIteratorType};
use clap::Parser;
use kinesis_testkit::FakeKinesis;

use crate::cpu_time::cpu_time;
use crate::measure::verdict;
use crate::resident::resident_bytes;

const STREAM: &str = "orders";
const SHARDS: u32 = 2;
const DATA_BYTES: usize = 100;
const ENTRIES: u64 = 500;
const READ_RECORDS: i32 = 1000;
/// Resident bytes per stored record of 100 bytes and a key of 8.
const BYTES_BUDGET: f64 = 200.0;
/// The cost of a call at the last size to that at the first.
const GROWTH_BUDGET: f64 = 1.2;
/// How many calls a median is taken of; those of PutRecords stay below the step from one size to the next.
const PUT_SAMPLES: usize = 15;
const GET_SAMPLES: usize = 41;

#[derive(Debug, Parser)]
struct Arguments {
    /// How many records are stored in the end.
    #[arg(long, default_value_t = 1_000_000)]
    records: u64,
    /// Passed by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    virtual_time::run("memory_and_growth", run(&arguments))
}

async fn run(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    warm_up().await?;
    let before_bytes = resident_bytes()?;
    let mut fill = Fill::new();
    let sizes = [0, 10_000, 100_000, 1_000_000];
    let mut costs = Vec::new();
    println!("{:>10} {:>18} {:>18}", "records", "PutRecords (us)", "GetRecords (us)");
    for size in sizes.into_iter().filter(|size| *size < arguments.records).chain([arguments.records]) {
        fill.up_to(size).await?;
        let cost = fill.cost().await?;
        println!("{size:>10} {:>18.1} {:>18.1}", micros(cost.put), micros(cost.get));
        costs.push(cost);
    }
    let grown_bytes = resident_bytes()?.saturating_sub(before_bytes);
    let records = fill.fake.stored(STREAM)?.records;
    let (first, last) = (costs[0], costs[costs.len() - 1]);
    println!("{grown_bytes} resident bytes more for {records} stored records");
    let verdicts = [
        verdict("bytes per record", grown_bytes as f64 / records as f64, BYTES_BUDGET),
        verdict("PutRecords, last to first", last.put.as_secs_f64() / first.put.as_secs_f64(), GROWTH_BUDGET),
        verdict("GetRecords, last to first", last.get.as_secs_f64() / first.get.as_secs_f64(), GROWTH_BUDGET),
    ];
    Ok(!verdicts.contains(&false))
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// Grows the heap by what calls need in passing, and warms the code, on a fake of its own.
async fn warm_up() -> Result<(), Box<dyn Error>> {
    let mut fill = Fill::new();
    fill.up_to(20 * ENTRIES).await?;
    fill.cost().await?;
    Ok(())
}

#[derive(Clone, Copy)]
struct Cost {
    put: Duration,
    get: Duration,
}

struct Fill {
    fake: FakeKinesis,
    client: Client,
    put: u64,
}

impl Fill {
    fn new() -> Self {
        let fake = FakeKinesis::builder().stream(STREAM, SHARDS).journal(false).virtual_time().build();
        Self { client: fake.client(), fake, put: 0 }
    }

    async fn up_to(&mut self, records: u64) -> Result<(), Box<dyn Error>> {
        while self.put < records {
            self.put_records().await?;
        }
        Ok(())
    }

    /// Puts 500 records, and returns the CPU time of the call.
    async fn put_records(&mut self) -> Result<Duration, Box<dyn Error>> {
        let mut entries = Vec::new();
        for number in self.put..self.put + ENTRIES {
            let key = format!("k{:07}", number % 10_000_000);
            let mut data = vec![b'x'; DATA_BYTES];
            data[..8].copy_from_slice(key.as_bytes());
            entries.push(PutRecordsRequestEntry::builder().partition_key(key).data(Blob::new(data)).build()?);
        }
        let request = self.client.put_records().stream_name(STREAM).set_records(Some(entries));
        let before = cpu_time()?;
        let reply = request.send().await?;
        let cost = cpu_time()?.saturating_sub(before);
        if reply.failed_record_count() != Some(0) {
            return Err("an entry failed".into());
        }
        self.put += ENTRIES;
        Ok(cost)
    }

    /// Reads 1,000 records from the middle of a shard, and returns the CPU time of the call.
    async fn get_records(&self, iterator: &str) -> Result<Duration, Box<dyn Error>> {
        let request = self.client.get_records().shard_iterator(iterator).limit(READ_RECORDS);
        let before = cpu_time()?;
        let reply = request.send().await?;
        let cost = cpu_time()?.saturating_sub(before);
        if reply.records().len() != READ_RECORDS as usize {
            return Err(format!("{} records were read", reply.records().len()).into());
        }
        Ok(cost)
    }

    /// The medians of both calls at the present size.
    async fn cost(&mut self) -> Result<Cost, Box<dyn Error>> {
        let mut puts = Vec::with_capacity(PUT_SAMPLES);
        for _ in 0..PUT_SAMPLES {
            puts.push(self.put_records().await?);
        }
        let iterator = self.middle().await?;
        let mut gets = Vec::with_capacity(GET_SAMPLES);
        for _ in 0..GET_SAMPLES {
            gets.push(self.get_records(&iterator).await?);
        }
        Ok(Cost { put: median(puts), get: median(gets) })
    }

    /// An iterator in the middle of the first shard, where a search through the records is at its longest.
    async fn middle(&self) -> Result<String, Box<dyn Error>> {
        let skip = self.fake.stored(STREAM)?.records / u64::from(SHARDS) / 2;
        let request = self.client.get_shard_iterator().stream_name(STREAM).shard_id("shardId-000000000000");
        let reply = request.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await?;
        let mut iterator = reply.shard_iterator.ok_or("no iterator")?;
        let mut read = 0;
        while read < skip {
            let limit = i32::try_from((skip - read).min(10_000))?;
            let reply = self.client.get_records().shard_iterator(iterator).limit(limit).send().await?;
            read += reply.records().len() as u64;
            iterator = reply.next_shard_iterator.ok_or("an open shard has ended")?;
        }
        Ok(iterator)
    }
}

fn median(mut samples: Vec<Duration>) -> Duration {
    samples.sort_unstable();
    samples[samples.len() / 2]
}
