//! C11: what is fetched and not yet processed stays within the budget, however slow the job is.

use std::time::Duration;

use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use kinesis_core::{ConsumerConfig, HashKeyRange, Randomness, StartingPosition};
use kinesis_testkit::{FakeKinesis, Operation};

use crate::account::Step;
use crate::run::{STREAM, World};
use crate::seeds::in_paused_time;

const SHARDS: u32 = 5;
/// Records of every reply, as long as there are more.
const PER_REPLY: usize = 40;
const RECORD_BYTES: usize = 40 * 1024;
const REPLIES_PER_SHARD: usize = 3;

/// The most bytes that were fetched and not yet processed, and the budget.
async fn play(seed: u64) -> (usize, usize) {
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
    let mut world = World::new(fake.clone());
    let config = ConsumerConfig::builder()
        .starting_position(StartingPosition::TrimHorizon)
        .get_records_limit(PER_REPLY as u32)
        .build()
        .unwrap();
    let builder = world.consumer(StartingPosition::TrimHorizon).config(config).memory_bytes(budget);
    // So slow that the budget, and neither the interval nor the pacer, holds the readers back.
    let pace = Duration::from_millis(1500 + random.below(1000));
    let running = world.start(builder.parallelism(2), Duration::from_secs(60), pace);
    let total = SHARDS as usize * REPLIES_PER_SHARD * PER_REPLY;
    let mut most = 0;
    loop {
        let processed = world.log.lock().iter().filter(|step| matches!(step, Step::Record { .. })).count();
        // Of empty replies at the end there are some, too: they make the figure too large, never too small.
        let replies = fake.call_counts().get(&Operation::GetRecords).map_or(0, |counts| counts.calls as usize);
        let fetched = (replies * PER_REPLY).min(total);
        if fetched < total {
            most = most.max((fetched - processed.min(fetched)) * RECORD_BYTES);
        }
        if processed == total {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    running.handle.stop();
    assert!(running.crash_after(Duration::from_secs(60)).await.is_some_and(|ended| ended.is_ok()));
    (most, budget)
}

#[test]
fn c11_what_is_fetched_stays_within_the_budget() {
    for seed in 0..2 {
        let (most, budget) = in_paused_time(seed, play(seed));
        let reply = PER_REPLY * RECORD_BYTES;
        assert!(most <= budget + reply, "C11: seed {seed}: {most} bytes of {budget}");
        // A budget that is never used would make the check say nothing.
        assert!(most > reply, "C11: seed {seed}: {most} bytes of {budget}");
    }
}
