//! A fake, and a producer that is measured.

use std::time::Duration;

use kinesis_core::{ClientOptions, KinesisClient, Randomness};
use kinesis_producer::{KinesisProducer, KinesisProducerBuilder, MetricsConfig, ProducerConfig, UserRecord};
use kinesis_testkit::FakeKinesis;

use crate::recorder::Kept;

pub(crate) const STREAM: &str = "orders";

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A fake with one stream, on tokio's time, whose calls take 20 ms.
pub(crate) fn kinesis(shards: u32) -> FakeKinesis {
    FakeKinesis::builder().stream(STREAM, shards).latency(millis(20)).virtual_time().build()
}

pub(crate) fn builder(kinesis: &FakeKinesis, config: ProducerConfig) -> KinesisProducerBuilder {
    let client = KinesisClient::new(kinesis.client(), ClientOptions::default());
    KinesisProducer::builder().client(client).config(config).randomness(Randomness::from_seed(1))
}

/// A record of ten bytes.
pub(crate) fn record(key: &str) -> UserRecord {
    UserRecord::new(STREAM, key, "0123456789")
}

/// Runs a measured producer until it is closed, on a recorder of its own; `act` puts records.
pub(crate) async fn measured(
    kinesis: &FakeKinesis,
    config: ProducerConfig,
    metrics: MetricsConfig,
    act: impl AsyncFnOnce(&KinesisProducer),
) -> Kept {
    let kept = Kept::default();
    {
        let _guard = metrics::set_default_local_recorder(&kept);
        let producer = builder(kinesis, config).metrics(metrics).build().await.unwrap();
        act(&producer).await;
        producer.close().await.unwrap();
    }
    kept
}
