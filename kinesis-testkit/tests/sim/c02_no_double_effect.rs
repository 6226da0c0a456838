//! C2: the final state is the fold of what was stored, each position once, and so is the output.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_kinesis::primitives::Blob;
use kinesis_consumer::ShardAssigner;
use kinesis_core::{HashKeyRange, Shard, StartingPosition, StreamName};
use kinesis_testkit::FakeKinesis;
use kinesis_testkit::testing::ExactlyOnce;

use crate::account::{Account, Place, Step};
use crate::suite::sound;
use crate::world::{STREAM, World};

pub(crate) fn check(account: &Account) -> Result<(), String> {
    let mut expected: BTreeMap<String, Vec<Place>> = BTreeMap::new();
    for item in &account.truth {
        expected.entry(item.key.clone()).or_default().push(item.place.clone());
    }
    let found = account.final_places()?;
    // Key by key in the order of the journal, through splits and merges.
    for (key, places) in &expected {
        let of_key = found.get(key).map(Vec::as_slice).unwrap_or_default();
        if of_key != places {
            return Err(format!("the state of {key} is {of_key:?}, the journal has {places:?}"));
        }
    }
    if let Some(key) = found.keys().find(|key| !expected.contains_key(*key)) {
        return Err(format!("the key {key} is in the state and was never put"));
    }
    let places = || account.truth.iter().map(|item| item.place.clone());
    let output = ExactlyOnce::compare(places(), account.visible.iter().cloned());
    if !output.is_ok() {
        return Err(format!("the output is not exactly once: {output}"));
    }
    let texts: BTreeMap<&Place, &String> = account.truth.iter().map(|item| (&item.place, &item.text)).collect();
    let wrong = |step: &&Step| matches!(step, Step::Record { place, text, .. } if texts.get(place) != Some(&text));
    account.steps.iter().find(wrong).map_or(Ok(()), |step| Err(format!("another record than was stored: {step:?}")))
}

#[test]
fn c2_sees_an_output_that_came_twice() {
    let mut account = sound();
    account.visible.push(account.visible[0].clone());
    assert!(check(&account).unwrap_err().contains("exactly once"));
}

#[test]
fn c2_sees_a_key_out_of_order() {
    let mut account = sound();
    let (first, second) = (0..account.truth.len())
        .flat_map(|one| (one + 1..account.truth.len()).map(move |two| (one, two)))
        .find(|(one, two)| account.truth[*one].key == account.truth[*two].key)
        .unwrap();
    account.truth.swap(first, second);
    assert!(check(&account).unwrap_err().contains("the state of"));
}

/// Gives each shard to the subtask of its number.
#[derive(Debug)]
struct ByNumber;

impl ShardAssigner for ByNumber {
    fn assign(&self, _stream: &StreamName, shard: &Shard, _parallelism: usize) -> i32 {
        shard.id.index().unwrap_or_default() as i32
    }
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_ends_between_two_acknowledgements_is_saved_as_it_was_at_the_barrier() {
    // Saved as it was at its end, the checkpoint would have records whose output belongs to the next epoch.
    let fake = FakeKinesis::builder().stream(STREAM, 2).virtual_time().build();
    let ranges = HashKeyRange::uniform(2);
    // Keys that hash to the second shard, and one that does not.
    let of = |range: HashKeyRange| {
        let keys = (0..).map(|key| format!("key-{key}"));
        keys.filter(move |key| range.contains(kinesis_core::HashKey::of_partition_key(key)))
    };
    let keys: Vec<String> = of(ranges[0]).take(1).chain(of(ranges[1]).take(10)).collect();
    for key in keys {
        let request = fake.client().put_record().stream_name(STREAM).partition_key(&key);
        request.data(Blob::new(key)).send().await.unwrap();
    }
    fake.split(STREAM, "shardId-000000000001").unwrap();
    let mut world = World::new(fake);
    // The first subtask is in its one batch for six seconds; the second reads a record every 400 ms, to the end.
    world.uneven = 15;
    let (hour, pace) = (Duration::from_secs(3600), Duration::from_millis(400));
    let consumer = |world: &World| {
        let builder = world.consumer(StartingPosition::TrimHorizon).seed(1).parallelism(2).max_batch(1);
        builder.assigner(ByNumber)
    };
    let running = world.start(consumer(&world), hour, pace);
    tokio::time::sleep(Duration::from_secs(1)).await;
    running.handle.checkpoint();
    assert!(running.crash_after(Duration::from_millis(5_500)).await.is_none());
    let account = world.account(false);
    let at = |wanted: fn(&Step) -> bool| account.steps.iter().position(wanted);
    let ended = at(|step| matches!(step, Step::Ended { .. }));
    let saved = at(|step| matches!(step, Step::Saved { checkpoint, .. } if checkpoint.epoch.0 == 1));
    assert!(ended.is_some() && ended < saved, "{:?}", account.steps);
    let last = world.start(consumer(&world), hour, Duration::ZERO);
    last.handle.drain();
    last.crash_after(Duration::from_secs(60)).await.unwrap().unwrap();
    check(&world.account(true)).unwrap();
}
