//! C11: what is fetched and not yet processed stays within the budget, however slow the job is.

use std::time::Duration;

use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use kinesis_core::{ConsumerConfig, FanOutConfig, HashKeyRange, Randomness, RecordPublisher, StartingPosition};
use kinesis_testkit::{CallCounts, FakeKinesis, Operation};

use crate::account::Step;
use crate::play::in_paused_time;
use crate::world::{STREAM, World};

const SHARDS: u32 = 5;
/// Records of every reply, as long as there are more.
const PER_REPLY: usize = 40;
const RECORD_BYTES: usize = 40 * 1024;
const REPLIES_PER_SHARD: usize = 3;

/// The most that an event of a subscription holds.
const EVENT_BYTES: usize = 2 << 20;

/// What a run came to.
#[derive(Debug)]
struct Played {
    /// The most bytes that were fetched and not yet processed.
    most: usize,
    budget: usize,
    subscriptions: u64,
}

fn calls(fake: &FakeKinesis, operation: Operation) -> CallCounts {
    fake.call_counts().get(&operation).copied().unwrap_or_default()
}

/// Reads more than the budget, so slowly that it is the budget that holds the readers back.
async fn play(publisher: RecordPublisher, seed: u64) -> Played {
    let mut random = Randomness::from_seed(seed).stream("budget");
    let budget = (10 + random.below(4) as usize) << 20;
    let fake = FakeKinesis::builder().stream(STREAM, SHARDS).virtual_time().build();
    let data = Blob::new(vec![b'x'; RECORD_BYTES]);
    for range in HashKeyRange::uniform(SHARDS) {
        for _ in 0..REPLIES_PER_SHARD {
            let entry = PutRecordsRequestEntry::builder().partition_key("key").data(data.clone());
            let entry = entry.explicit_hash_key(range.start().to_string()).build().unwrap();
            let entries = vec![entry; PER_REPLY];
            fake.client().put_records().stream_name(STREAM).set_records(Some(entries)).send().await.unwrap();
        }
    }
    let mut world = World::read_by(publisher, fake.clone());
    let config = ConsumerConfig::builder()
        .starting_position(StartingPosition::TrimHorizon)
        .get_records_limit(PER_REPLY as u32)
        .record_publisher(publisher)
        .fan_out(FanOutConfig::named("app"))
        .build()
        .unwrap();
    let builder = world.consumer(StartingPosition::TrimHorizon).config(config).memory_bytes(budget);
    // A subscription is left where its event waits for five seconds, and the event is read again: no such one here, or what
    // is thrown away would count.
    let pace = match publisher {
        RecordPublisher::EnhancedFanOut => 700 + random.below(400),
        _ => 1500 + random.below(1000),
    };
    let running = world.start(builder.parallelism(2), Duration::from_secs(60), Duration::from_millis(pace));
    let total = SHARDS as usize * REPLIES_PER_SHARD * PER_REPLY;
    let mut most = 0;
    loop {
        let processed = world.log.lock().iter().filter(|step| matches!(step, Step::Record { .. })).count();
        let read = |operation| calls(&fake, operation).read_records as usize;
        let fetched = read(Operation::GetRecords) + read(Operation::SubscribeToShard);
        most = most.max((fetched - processed.min(fetched)) * RECORD_BYTES);
        if processed == total {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    running.handle.stop();
    assert!(running.crash_after(Duration::from_secs(60)).await.is_some_and(|ended| ended.is_ok()));
    Played { most, budget, subscriptions: calls(&fake, Operation::SubscribeToShard).calls }
}

#[test]
fn c11_what_is_fetched_stays_within_the_budget() {
    for seed in 0..2 {
        let played = in_paused_time(seed, play(RecordPublisher::Polling, seed));
        let reply = PER_REPLY * RECORD_BYTES;
        assert!(played.most <= played.budget + reply, "C11: seed {seed}: {played:?}");
        // A budget that is never used would make the check say nothing.
        assert!(played.most > reply, "C11: seed {seed}: {played:?}");
    }
}

/// An event is there before its size is known: each shard may hold one that waits for room.
#[test]
fn c11_what_is_pushed_stays_within_the_budget_and_an_event_per_shard() {
    for seed in 0..2 {
        let played = in_paused_time(seed, play(RecordPublisher::EnhancedFanOut, seed));
        assert_eq!(played.subscriptions, u64::from(SHARDS), "C11: seed {seed}: one was left, {played:?}");
        let most = played.budget + SHARDS as usize * EVENT_BYTES;
        assert!(played.most <= most, "C11: seed {seed}: {played:?}");
        assert!(played.most > played.budget, "C11: seed {seed}: no event waited, {played:?}");
    }
}
