//! What is put while the job runs.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use bytes::Bytes;
use kinesis_aggregation::AggregateBuilder;
use kinesis_core::{RandomStream, Randomness};
use kinesis_testkit::{Corruption, FakeKinesis, corrupt_aggregate};
use tokio::time::{sleep, timeout};

use crate::plan::Step;
use crate::world::STREAM;

const KEYS: u64 = 24;
/// How long a put is waited for; the journal tells what was stored, whatever the answer says.
const PATIENCE: Duration = Duration::from_secs(5);

/// The key of a record.
pub(crate) fn key(random: &mut RandomStream) -> String {
    format!("key-{}", random.below(KEYS))
}

/// What is drawn for a step.
pub(crate) fn stream_of(randomness: &Randomness, number: u32) -> RandomStream {
    randomness.stream(&format!("step {number}"))
}

/// Puts what a step says, by calls of its own; other steps are not for here.
pub(crate) async fn put_step(fake: FakeKinesis, randomness: Arc<Randomness>, step: Step) {
    let put = async {
        match step {
            Step::Text { number } | Step::Aggregate { number } | Step::Foreign { number } | Step::Broken { number } => {
                let mut random = stream_of(&randomness, number);
                let (key, data) = one(&mut random, number * 10, step);
                let request = fake.client().put_record().stream_name(STREAM).partition_key(key).data(Blob::new(data));
                drop(request.send().await);
            }
            Step::Entries { number, entries } => {
                let mut random = stream_of(&randomness, number);
                let entries = (0..entries).map(|entry| {
                    let step = if random.below(2) == 0 { Step::Text { number } } else { Step::Aggregate { number } };
                    let (key, data) = one(&mut random, number * 10 + entry, step);
                    PutRecordsRequestEntry::builder().partition_key(key).data(Blob::new(data)).build().unwrap()
                });
                let request = fake.client().put_records().stream_name(STREAM).set_records(Some(entries.collect()));
                drop(request.send().await);
            }
            _ => {}
        }
    };
    let _ = timeout(PATIENCE, put).await;
}

/// Puts about so many requests, spread over `span`.
pub(crate) async fn put(fake: &FakeKinesis, mut random: RandomStream, requests: u32, span: Duration) {
    let randomness = Arc::new(Randomness::from_seed(random.next_u64()));
    for number in 0..requests {
        sleep(span.mul_f64(2.0 * random.fraction()) / requests).await;
        let step = match random.below(20) {
            0..7 => Step::Text { number },
            7..12 => Step::Aggregate { number },
            12 => Step::Foreign { number },
            13 => Step::Broken { number },
            _ => Step::Entries { number, entries: 1 + random.below(6) as u32 },
        };
        put_step(fake.clone(), Arc::clone(&randomness), step).await;
    }
}

/// A Kinesis record: its key, and a text, an aggregate, or a broken one.
fn one(random: &mut RandomStream, number: u32, step: Step) -> (String, Bytes) {
    let own = key(random);
    if matches!(step, Step::Text { .. }) {
        return (own, Bytes::from(format!("text-{number}")));
    }
    let mut builder = AggregateBuilder::new();
    for member in 0..2 + random.below(5) {
        // A producer that did not look (F18).
        let key = if matches!(step, Step::Foreign { .. }) { key(random) } else { own.clone() };
        builder.add(&key, None, format!("text-{number}.{member}").as_bytes());
    }
    let aggregate = builder.finish();
    if !matches!(step, Step::Broken { .. }) {
        return (own, aggregate);
    }
    // F17; the one of a hundred thousand members is for the format's own tests.
    let broken: Vec<Corruption> = Corruption::ALL.iter().copied().filter(|how| *how != Corruption::Count).collect();
    let how = broken[random.below(broken.len() as u64) as usize];
    (own, corrupt_aggregate(&aggregate, how, random))
}
