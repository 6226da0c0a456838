//! Puts records of 100 bytes into a fake Kinesis in this process, and prints how many came through per second.
//!
//! `cargo run --release -p kinesis-producer --example throughput [records] [shards]`

use std::error::Error;

use kinesis_core::{ClientOptions, KinesisClient, StreamName};
use kinesis_producer::{KinesisProducer, ProducerConfig, UserRecord};
use kinesis_testkit::FakeKinesis;
use tokio::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let records = arguments.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let shards = arguments.next().map_or(Ok(4), |text| text.parse())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(records, shards))
}

async fn run(records: u64, shards: u32) -> Result<(), Box<dyn Error>> {
    let kinesis = FakeKinesis::builder().stream("orders", shards).journal(false).build();
    let client = KinesisClient::new(kinesis.client(), ClientOptions::default());
    // The limits of a shard are out of the way, to see what the producer itself can do.
    let config = ProducerConfig::default().rate_limit(100_000);
    let producer = KinesisProducer::builder().client(client).config(config).build().await?;
    let stream: StreamName = "orders".parse()?;
    let started = Instant::now();
    for index in 0..records {
        let record = UserRecord::new(&stream, format!("customer-{}", index % 100_000), vec![b'x'; 100]);
        drop(producer.put(record).await?);
    }
    let stats = producer.close().await?;
    let seconds = started.elapsed().as_secs_f64();
    println!("{:.0} records/s on one thread, the fake included", records as f64 / seconds);
    println!("{stats:#?}");
    Ok(())
}
