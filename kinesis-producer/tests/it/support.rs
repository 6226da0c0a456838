//! A fake, a producer, and the fold over what the fake has stored.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kinesis_aggregation::decode;
use kinesis_core::{
    ClientOptions, HashKey, HashKeyRange, KinesisClient, Randomness, SequenceNumber, ShardId, StreamName,
};
use kinesis_producer::{AttemptResult, KinesisProducer, Outcome, ProducerConfig, PutHandle, UserRecord};
use kinesis_testkit::{FakeKinesis, FakeKinesisBuilder, Operation};

pub(crate) const STREAM: &str = "orders";

pub(crate) fn stream() -> StreamName {
    STREAM.parse().unwrap()
}

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A fake with one stream, on tokio's time, whose calls take 20 ms.
pub(crate) fn kinesis(shards: u32) -> FakeKinesisBuilder {
    FakeKinesis::builder().stream(STREAM, shards).latency(millis(20)).virtual_time()
}

pub(crate) async fn producer(kinesis: &FakeKinesis, config: ProducerConfig, seed: u64) -> KinesisProducer {
    let client = KinesisClient::new(kinesis.client(), ClientOptions::default());
    let builder = KinesisProducer::builder().client(client).config(config);
    builder.randomness(Randomness::from_seed(seed)).build().await.unwrap()
}

/// A record whose data names it.
pub(crate) fn record(key: &str, index: usize) -> UserRecord {
    UserRecord::new(stream(), key, format!("{key}/{index}"))
}

pub(crate) async fn outcomes(handles: Vec<PutHandle>) -> Vec<Outcome> {
    let mut outcomes = Vec::with_capacity(handles.len());
    for handle in handles {
        outcomes.push(handle.await);
    }
    outcomes
}

pub(crate) fn puts(kinesis: &FakeKinesis) -> u64 {
    kinesis.call_counts().get(&Operation::PutRecords).map_or(0, |counts| counts.calls)
}

/// One copy of a user record, where the service has it.
#[derive(Clone, Debug)]
pub(crate) struct Copy {
    pub(crate) data: String,
    pub(crate) key: String,
    pub(crate) place: (ShardId, SequenceNumber, u64),
    /// Whether a reader by the KCL's rule takes it.
    pub(crate) is_visible: bool,
}

/// Everything the fake has stored, unpacked, in the order in which it was stored.
pub(crate) fn copies(kinesis: &FakeKinesis) -> Vec<Copy> {
    let mut ranges = BTreeMap::<(StreamName, ShardId), HashKeyRange>::new();
    let journal = kinesis.journal();
    let streams: BTreeSet<_> = journal.records.iter().map(|stored| stored.stream().clone()).collect();
    for stream in streams {
        let shards = kinesis.shards(stream.as_str()).unwrap();
        ranges.extend(shards.into_iter().map(|shard| ((stream.clone(), shard.id), shard.hash_key_range)));
    }
    let mut copies = Vec::new();
    for stored in journal.records {
        let place = |index| (stored.shard().clone(), stored.sequence_number(), index);
        let Some(aggregate) = decode(&stored.data()).unwrap() else {
            copies.push(Copy {
                data: String::from_utf8(stored.data().to_vec()).unwrap(),
                key: stored.partition_key().to_owned(),
                place: place(0),
                is_visible: true,
            });
            continue;
        };
        let is_visible = aggregate.is_within(&ranges[&(stored.stream().clone(), stored.shard().clone())]);
        copies.extend(aggregate.members().map(|member| Copy {
            data: String::from_utf8(member.data().to_vec()).unwrap(),
            key: member.partition_key().to_owned(),
            place: place(member.index()),
            is_visible,
        }));
    }
    copies
}

/// How many attempts of a record may have left a copy that was not acknowledged.
pub(crate) fn excused(outcome: &Outcome) -> usize {
    let excuses =
        |result: &AttemptResult| matches!(result, AttemptResult::Ambiguous { .. } | AttemptResult::WrongShard { .. });
    outcome.attempts().iter().filter(|attempt| excuses(&attempt.result)).count()
}

/// Checks P1 to P4 and the KCL's view of them for records named by their data.
pub(crate) fn check(kinesis: &FakeKinesis, outcomes: &[(String, Outcome)], seed: u64) {
    let mut by_data = BTreeMap::<String, Vec<Copy>>::new();
    for copy in copies(kinesis) {
        by_data.entry(copy.data.clone()).or_default().push(copy);
    }
    for (data, outcome) in outcomes {
        let copies = by_data.remove(data).unwrap_or_default();
        let bound = excused(outcome) + usize::from(outcome.is_stored());
        assert!(copies.len() <= bound, "seed {seed}: P4: {} copies of {data}: {outcome:?}", copies.len());
        match outcome {
            Outcome::Stored { shard, sequence_number, sub_sequence_number, .. } => {
                let place = (shard.clone(), *sequence_number, *sub_sequence_number);
                let found = copies.iter().find(|copy| copy.place == place);
                let copy = found.unwrap_or_else(|| panic!("seed {seed}: P1: {data} is not at {place:?}"));
                assert!(copy.is_visible, "seed {seed}: {data} is acknowledged where the KCL drops it");
            }
            Outcome::Failed { .. } => assert!(copies.is_empty(), "seed {seed}: P3: {data} failed, but is stored"),
            Outcome::Unknown { .. } => {}
        }
    }
    assert!(by_data.is_empty(), "seed {seed}: nobody has put {:?}", by_data.keys().next());
}

/// Keys of the lower and of the upper half of the hash key space.
pub(crate) fn keys_of_halves(count: usize) -> [Vec<String>; 2] {
    let mut halves = [Vec::new(), Vec::new()];
    for index in 0.. {
        let key = format!("key-{index}");
        let half = usize::from(HashKey::of_partition_key(&key).value() >= 1 << 127);
        if halves[half].len() < count {
            halves[half].push(key);
        } else if halves[1 - half].len() == count {
            break;
        }
    }
    halves
}
