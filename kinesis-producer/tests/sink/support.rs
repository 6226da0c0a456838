//! A fake with two streams, a producer, sinks of texts, and what the fake has stored.

use std::sync::Arc;
use std::time::Duration;

use kinesis_aggregation::decode;
use kinesis_core::{ClientOptions, KinesisClient, Randomness};
use kinesis_producer::{DeadLetter, KinesisProducer, KinesisSink, KinesisSinkBuilder, ProducerConfig, Utf8};
use kinesis_testkit::{FakeKinesis, FakeKinesisBuilder, Fault, FaultRule, Operation};
use parking_lot::Mutex;

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A fake with the streams `orders` and `errors`, whose calls take 20 ms.
pub(crate) fn kinesis() -> FakeKinesisBuilder {
    FakeKinesis::builder().stream("orders", 2).stream("errors", 1).latency(millis(20)).virtual_time()
}

pub(crate) async fn producer(kinesis: &FakeKinesis) -> KinesisProducer {
    producer_with(kinesis, ProducerConfig::default()).await
}

pub(crate) async fn producer_with(kinesis: &FakeKinesis, config: ProducerConfig) -> KinesisProducer {
    let client = KinesisClient::new(kinesis.client(), ClientOptions::default());
    let builder = KinesisProducer::builder().client(client).config(config);
    builder.randomness(Randomness::from_seed(1)).build().await.unwrap()
}

/// A sink of texts into `orders`, whose key is the text.
pub(crate) fn sink(producer: &KinesisProducer) -> KinesisSinkBuilder<String> {
    let builder = KinesisSink::builder().producer(producer.clone()).stream("orders").schema(Utf8);
    builder.partitioner(|text: &String| text.clone())
}

/// The number as the element that it stands for.
pub(crate) fn element(number: usize) -> String {
    number.to_string()
}

pub(crate) async fn write(sink: &KinesisSink<String>, numbers: std::ops::Range<usize>) {
    for number in numbers {
        sink.write(&element(number)).await.unwrap();
    }
}

/// What stands in a stream: partition keys and data, in the order in which they were stored.
pub(crate) fn stored(kinesis: &FakeKinesis, stream: &str) -> Vec<(String, String)> {
    let text = |data: &[u8]| String::from_utf8(data.to_vec()).unwrap();
    let mut stored = Vec::new();
    for record in kinesis.journal().records.iter().filter(|record| record.stream().as_str() == stream) {
        match decode(&record.data()).unwrap() {
            Some(aggregate) => {
                let members = aggregate.members();
                stored.extend(members.map(|member| (member.partition_key().to_owned(), text(&member.data()))));
            }
            None => stored.push((record.partition_key().to_owned(), text(&record.data()))),
        }
    }
    stored
}

/// The data of a stream, sorted.
pub(crate) fn data(kinesis: &FakeKinesis, stream: &str) -> Vec<String> {
    let mut data: Vec<_> = stored(kinesis, stream).into_iter().map(|(_, data)| data).collect();
    data.sort();
    data
}

/// Writes that fail at once and for good.
pub(crate) fn denied() -> FaultRule {
    let denied = Fault::Error { code: "AccessDeniedException".to_owned(), message: "no".to_owned(), status: 400 };
    FaultRule::on(Operation::PutRecords).fault(denied)
}

/// The dead letters that were taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Letters(pub(crate) Arc<Mutex<Vec<DeadLetter>>>);

impl Letters {
    pub(crate) fn data(&self) -> Vec<String> {
        self.0.lock().iter().map(|letter| String::from_utf8(letter.data.to_vec()).unwrap()).collect()
    }
}

/// An error and its causes, as a log shows them.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}
