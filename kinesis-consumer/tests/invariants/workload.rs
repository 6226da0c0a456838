//! What is put while the job runs.

use std::time::Duration;

use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use bytes::Bytes;
use kinesis_aggregation::AggregateBuilder;
use kinesis_core::RandomStream;
use kinesis_testkit::{Corruption, FakeKinesis, corrupt_aggregate};

use crate::run::STREAM;

const KEYS: u64 = 24;

/// Puts about so many requests, spread over `span`; what fails is not put again, and what is stored is in the journal.
pub(crate) async fn put(fake: &FakeKinesis, mut random: RandomStream, requests: u32, span: Duration) {
    let client = fake.client();
    for number in 0..requests {
        tokio::time::sleep(span.mul_f64(2.0 * random.fraction()) / requests).await;
        if random.below(3) == 0 {
            let entries = (0..1 + random.below(6)).map(|entry| {
                let (key, data) = one(&mut random, number * 10 + entry as u32);
                PutRecordsRequestEntry::builder().partition_key(key).data(Blob::new(data)).build().unwrap()
            });
            let request = client.put_records().stream_name(STREAM).set_records(Some(entries.collect()));
            // The journal tells what was stored, whatever the answer says.
            let _ = tokio::time::timeout(Duration::from_secs(5), request.send()).await;
        } else {
            let (key, data) = one(&mut random, number * 10);
            let request = client.put_record().stream_name(STREAM).partition_key(key).data(Blob::new(data));
            let _ = tokio::time::timeout(Duration::from_secs(5), request.send()).await;
        }
    }
}

/// A Kinesis record: its key, and a text, an aggregate, or a broken one.
fn one(random: &mut RandomStream, number: u32) -> (String, Bytes) {
    let key = format!("key-{}", random.below(KEYS));
    let kind = random.below(20);
    if kind < 12 {
        return (key, Bytes::from(format!("text-{number}")));
    }
    let mut builder = AggregateBuilder::new();
    for member in 0..2 + random.below(5) {
        // One aggregate in a few is of several keys, and so of several shards: a producer that did not look (F18).
        let own = if kind == 19 { format!("key-{}", random.below(KEYS)) } else { key.clone() };
        builder.add(&own, None, format!("text-{number}.{member}").as_bytes());
    }
    let aggregate = builder.finish();
    if kind != 18 {
        return (key, aggregate);
    }
    // F17; the one of a hundred thousand members is for the format's own tests.
    let broken: Vec<Corruption> = Corruption::ALL.iter().copied().filter(|how| *how != Corruption::Count).collect();
    let how = broken[random.below(broken.len() as u64) as usize];
    (key, corrupt_aggregate(&aggregate, how, random))
}
