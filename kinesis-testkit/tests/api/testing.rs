//! The helpers for test suites, against the fake and its server.

use std::collections::BTreeSet;
use std::time::Duration;

use kinesis_core::{HashKey, HashKeyRange, Shard};
use kinesis_testkit::testing::{
    ExactlyOnce, NewRecord, PutAllError, ReadAllError, ReadShardError, ReshardEvery, ReshardSchedule, ReshardStep,
    WaitUntilActiveError, assert_exactly_once, assert_in_order_per_key, assert_stored_once, eventually, put_all,
    read_all, read_shard, wait_until, wait_until_active,
};
use kinesis_testkit::{Entries, FakeKinesis, Fault, FaultRule, Limits, Operation, Server};
use tokio::time::{Instant, sleep};

use crate::support::{SHARD_0, SHARD_1, SHARD_2, STREAM, fake, put_at};

const SECOND: Duration = Duration::from_secs(1);

fn records(range: std::ops::Range<usize>) -> impl Iterator<Item = (String, String)> {
    range.map(|number| (format!("key-{number}"), number.to_string()))
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

async fn read_texts(client: &aws_sdk_kinesis::Client) -> Vec<String> {
    let read = read_all(client, STREAM).await.unwrap();
    read.into_iter().map(|record| String::from_utf8(record.data.to_vec()).unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_put_is_read_back_from_where_it_was_put() {
    let (fake, client) = fake(4);
    let places = put_all(&client, STREAM, records(0..1201)).await.unwrap();
    assert_eq!(fake.call_counts()[&Operation::PutRecords].calls, 3, "500, 500 and 201 records");
    let read = read_all(&client, STREAM).await.unwrap();
    assert_eq!((places.len(), read.len()), (1201, 1201));
    for (number, place) in places.iter().enumerate() {
        let found = read.iter().find(|it| it.shard == place.shard && it.sequence_number == place.sequence_number);
        let found = found.unwrap();
        assert_eq!(found.data, number.to_string());
        assert_eq!(found.partition_key, Some(format!("key-{number}")));
        assert_eq!(found.arrived_at, Some(fake.clock().now()));
    }
}

#[tokio::test(start_paused = true)]
async fn an_explicit_hash_key_chooses_the_shard() {
    let (fake, client) = fake(2);
    let record = |key| NewRecord::new("key", "x").explicit_hash_key(key);
    let places = put_all(&client, STREAM, [HashKey::MAX, HashKey::MIN].map(record)).await.unwrap();
    assert_eq!(places.iter().map(|place| place.shard.as_str()).collect::<Vec<_>>(), [SHARD_1, SHARD_0]);
    assert_eq!(fake.journal().records[0].explicit_hash_key(), Some(HashKey::MAX));
}

#[tokio::test(start_paused = true)]
async fn failed_entries_and_throttled_calls_are_put_again() {
    let (fake, client) = fake(2);
    let rule = || FaultRule::on(Operation::PutRecords);
    fake.inject(rule().fault(Fault::FailEntries(Entries::EveryNth(3))).times(2));
    fake.inject(rule().nth(3).fault(Fault::throttle()));
    let places = put_all(&client, STREAM, records(0..100)).await.unwrap();
    assert_eq!(places.iter().collect::<BTreeSet<_>>().len(), 100);
    assert_exactly_once(read_texts(&client).await, numbers(0..100));
}

#[tokio::test(start_paused = true)]
async fn records_above_the_limit_take_their_time() {
    let fake = FakeKinesis::builder().stream(STREAM, 1).limits(Limits::aws()).virtual_time().build();
    let start = Instant::now();
    put_all(&fake.client(), STREAM, records(0..5000)).await.unwrap();
    let took = start.elapsed();
    assert!((4 * SECOND..6 * SECOND).contains(&took), "1,000 at once and 1,000 a second: {took:?}");
    assert_exactly_once(read_texts(&fake.client()).await, numbers(0..5000));
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_answer_is_lost_is_not_repeated() {
    let (fake, client) = fake(1);
    fake.inject(FaultRule::on(Operation::PutRecords).nth(2).fault(Fault::LoseReply));
    let error = put_all(&client, STREAM, records(0..1200)).await.unwrap_err();
    assert!(matches!(error, PutAllError::Call { stored: 500, records: 1200, .. }), "{error:?}");
    assert_eq!(fake.stored(STREAM).unwrap().records, 1000);
}

#[tokio::test(start_paused = true)]
async fn records_that_are_never_taken_end_with_their_code() {
    let (fake, client) = fake(1);
    fake.inject(FaultRule::on(Operation::PutRecords).always().fault(Fault::FailEntries(Entries::At(vec![0]))));
    let error = put_all(&client, STREAM, records(0..3)).await.unwrap_err();
    let PutAllError::Refused { stored, records, attempts, code, .. } = error else { panic!("{error:?}") };
    assert_eq!((stored, records, attempts, code.as_str()), (2, 3, 20, "InternalFailure"));
    fake.heal();
    fake.inject(FaultRule::on(Operation::PutRecords).always().fault(Fault::throttle()));
    let error = put_all(&client, STREAM, [("key", "x")]).await.unwrap_err();
    let PutAllError::Refused { stored, code, .. } = error else { panic!("{error:?}") };
    assert_eq!((stored, code.as_str()), (0, "ProvisionedThroughputExceededException"));
}

#[tokio::test(start_paused = true)]
async fn a_missing_stream_fails_every_helper_at_once() {
    let (_, client) = fake(1);
    let start = Instant::now();
    let put = put_all(&client, "none", [("key", "x")]).await.unwrap_err();
    assert!(matches!(put, PutAllError::Call { stored: 0, .. }), "{put:?}");
    let all = read_all(&client, "none").await.unwrap_err();
    assert!(matches!(all, ReadAllError::List { .. }), "{all:?}");
    let shard = read_shard(&client, STREAM, SHARD_2).await.unwrap_err();
    assert!(matches!(shard, ReadShardError::Iterator { .. }), "{shard:?}");
    let active = wait_until_active(&client, "none").await.unwrap_err();
    assert!(matches!(active, WaitUntilActiveError::Describe { .. }), "{active:?}");
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn parents_are_read_before_their_children() {
    let (fake, client) = fake(2);
    let mut schedule = ReshardSchedule::random(3, 30);
    for number in 0..31 {
        put_at(&client, 1 << 100, &number.to_string()).await;
        schedule.apply_next(&fake, STREAM).unwrap();
    }
    assert_eq!(read_texts(&client).await, numbers(0..31), "{schedule}");
}

#[tokio::test(start_paused = true)]
async fn a_shard_is_read_to_its_tip_or_its_end() {
    let (fake, client) = fake(1);
    put_all(&client, STREAM, records(0..3)).await.unwrap();
    let open = read_shard(&client, STREAM, SHARD_0).await.unwrap();
    assert_eq!((open.records.len(), open.ended, open.children.len()), (3, false, 0));
    let [low, high] = fake.split(STREAM, SHARD_0).unwrap();
    let closed = read_shard(&client, STREAM, SHARD_0).await.unwrap();
    assert_eq!((closed.records.len(), closed.ended), (3, true));
    let parents = vec![SHARD_0.parse().unwrap()];
    assert_eq!(closed.children.into_iter().collect::<Vec<_>>(), [(low, parents.clone()), (high, parents)]);
}

#[tokio::test(start_paused = true)]
async fn every_page_of_shards_is_read() {
    let (fake, client) = fake(1001);
    let record = |key| NewRecord::new("key", "x").explicit_hash_key(key);
    put_all(&client, STREAM, [HashKey::MAX, HashKey::MIN].map(record)).await.unwrap();
    let read = read_all(&client, STREAM).await.unwrap();
    assert_eq!(read.iter().map(|it| it.shard.index()).collect::<Vec<_>>(), [Some(0), Some(1000)]);
    assert_eq!(fake.call_counts()[&Operation::ListShards].calls, 4, "two pages, and again in search of new shards");
}

#[tokio::test(start_paused = true)]
async fn shards_that_come_up_while_reading_are_read_too() {
    let fake = FakeKinesis::builder().stream(STREAM, 1).latency(SECOND).virtual_time().build();
    let client = fake.client();
    put_all(&client, STREAM, records(0..10)).await.unwrap();
    let reading = tokio::spawn({
        let client = client.clone();
        async move { read_texts(&client).await }
    });
    sleep(Duration::from_millis(2500)).await;
    assert!(fake.call_counts().contains_key(&Operation::GetRecords), "the shards are listed by now");
    fake.split(STREAM, SHARD_0).unwrap();
    put_all(&client, STREAM, records(10..20)).await.unwrap();
    assert_exactly_once(reading.await.unwrap(), numbers(0..20));
}

#[tokio::test(start_paused = true)]
async fn reads_wait_for_the_limits_and_give_up_on_errors() {
    let limits = Limits::off().read_calls_per_second(5).read_bytes_per_second(500_000);
    let fake = FakeKinesis::builder().stream(STREAM, 1).virtual_time().limits(limits).build();
    let client = fake.client();
    put_all(&client, STREAM, (0..9).map(|_| ("key", vec![b'x'; 200_000]))).await.unwrap();
    let start = Instant::now();
    assert_eq!(read_all(&client, STREAM).await.unwrap().len(), 9);
    assert!(start.elapsed() > 3 * SECOND, "1.8 MB take 3.6 s at 0.5 MB/s: {:?}", start.elapsed());
    fake.inject(FaultRule::on(Operation::GetRecords).fault(Fault::internal_failure()));
    let error = read_all(&client, STREAM).await.unwrap_err();
    let ReadAllError::Shard { source, .. } = error else { panic!("{error:?}") };
    assert!(matches!(source, ReadShardError::Records { read: 0, .. }), "{source:?}");
}

#[tokio::test]
async fn the_helpers_work_over_a_socket() {
    let fake = FakeKinesis::builder().stream(STREAM, 2).build();
    let server = Server::bind(&fake, "127.0.0.1:0").await.unwrap();
    let config = fake.client().config().to_builder().endpoint_url(server.url());
    let serving = tokio::spawn(server.run(std::future::pending()));
    let http = aws_smithy_http_client::Builder::new().build_http();
    let client = aws_sdk_kinesis::Client::from_conf(config.http_client(http).build());
    wait_until_active(&client, STREAM).await.unwrap();
    put_all(&client, STREAM, records(0..50)).await.unwrap();
    fake.split(STREAM, SHARD_1).unwrap();
    put_all(&client, STREAM, records(50..100)).await.unwrap();
    assert_exactly_once(read_texts(&client).await, numbers(0..100));
    serving.abort();
}

#[tokio::test(start_paused = true)]
async fn an_active_stream_is_waited_for() {
    let fake = FakeKinesis::builder().virtual_time().creating(30 * SECOND).build();
    fake.create_stream(STREAM, 1).unwrap();
    let start = Instant::now();
    wait_until_active(&fake.client(), STREAM).await.unwrap();
    assert!((30 * SECOND..=31 * SECOND).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_never_becomes_active_is_given_up() {
    let fake = FakeKinesis::builder().virtual_time().creating(3600 * SECOND).build();
    fake.create_stream(STREAM, 1).unwrap();
    let error = wait_until_active(&fake.client(), STREAM).await.unwrap_err();
    assert_eq!(error.to_string(), "stream `orders` is still CREATING after 180s");
}

#[tokio::test(start_paused = true)]
async fn conditions_are_awaited_while_other_tasks_run() {
    let (fake, client) = fake(1);
    let writer = tokio::spawn({
        let client = client.clone();
        async move {
            sleep(60 * SECOND).await;
            put_all(&client, STREAM, records(0..10)).await.unwrap();
        }
    });
    let stored = || fake.stored(STREAM).unwrap().records == 10;
    wait_until("ten records are stored", 59 * SECOND, stored).await.unwrap_err();
    wait_until("ten records are stored", 2 * SECOND, stored).await.unwrap();
    let read = eventually("ten records can be read", SECOND, async || {
        let read = read_shard(&client, STREAM, SHARD_0).await.ok()?;
        (read.records.len() == 10).then_some(read.records)
    });
    assert_eq!(read.await.unwrap().len(), 10);
    writer.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_consumer_is_judged_by_the_journal() {
    let (fake, client) = fake(2);
    fake.create_stream("other", 1).unwrap();
    put_all(&client, STREAM, records(0..20)).await.unwrap();
    put_all(&client, STREAM, records(0..1)).await.unwrap();
    put_all(&client, "other", [("key", "other")]).await.unwrap();
    let mut consumed = read_texts(&client).await;
    assert_stored_once(&fake, STREAM, consumed.clone());
    consumed.retain(|text| text != "7");
    consumed.push("8".to_owned());
    consumed.push("other".to_owned());
    let report = ExactlyOnce::of_journal(&fake.journal(), STREAM, consumed);
    assert_eq!(
        report.to_string(),
        "21 expected, 22 came\nlost 1 (1 different): b\"7\"\nduplicated 1 (1 different): b\"8\"\n\
         unexpected 1 (1 different): b\"other\""
    );
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "not every stored record exactly once: 2 expected, 1 came")]
async fn a_consumer_that_loses_a_record_fails_the_assertion() {
    let (fake, client) = fake(1);
    put_all(&client, STREAM, records(0..2)).await.unwrap();
    assert_stored_once(&fake, STREAM, ["0"]);
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "the journal has no record of stream `orders`")]
async fn an_empty_journal_asserts_nothing() {
    let fake = FakeKinesis::builder().stream(STREAM, 1).virtual_time().journal(false).build();
    put_all(&fake.client(), STREAM, records(0..2)).await.unwrap();
    assert_stored_once(&fake, STREAM, Vec::<Vec<u8>>::new());
}

#[tokio::test(start_paused = true)]
async fn records_of_a_key_are_read_in_order_through_random_resharding() {
    for seed in 0..8 {
        let (fake, client) = fake(2);
        let mut schedule = ReshardSchedule::random(seed, 20);
        for number in 0..200 {
            put_all(&client, STREAM, [(format!("key-{}", number % 7), number.to_string())]).await.unwrap();
            if number % 10 == 9 {
                schedule.apply_next(&fake, STREAM).unwrap();
            }
        }
        let read = read_all(&client, STREAM).await.unwrap();
        let number = |data: &[u8]| std::str::from_utf8(data).unwrap().parse::<usize>().unwrap();
        println!("{schedule}");
        assert_eq!(read.len(), 200);
        assert_in_order_per_key(read.into_iter().map(|it| (it.partition_key, number(&it.data))));
    }
}

/// The ranges of the open shards, in order.
fn open(fake: &FakeKinesis) -> Vec<HashKeyRange> {
    let shards = fake.shards(STREAM).unwrap();
    let mut open: Vec<_> = shards.iter().filter(|it| it.is_open()).map(|it| it.hash_key_range).collect();
    open.sort();
    open
}

#[tokio::test(start_paused = true)]
async fn every_step_of_every_schedule_is_valid() {
    let (mut splits, mut merges, mut again, mut uneven) = (0, 0, 0, 0);
    for seed in 0..60 {
        let (fake, _) = fake(1 + seed as u32 % 5);
        let mut schedule = ReshardSchedule::random(seed, 40).max_open_shards(4);
        for step in 1..=40 {
            let before = open(&fake);
            let made = schedule.apply_next(&fake, STREAM).unwrap_or_else(|error| panic!("{error}: {}", error.source));
            match made.unwrap() {
                ReshardStep::Split { shard, at, children: [low, _] } => {
                    splits += 1;
                    let range = before.iter().find(|range| range.contains(at)).unwrap();
                    uneven += usize::from(at.value() - range.start().value() != range.end().value() - at.value() + 1);
                    let shards: Vec<Shard> = fake.shards(STREAM).unwrap();
                    let [parent, low] = [&shard, &low].map(|id| shards.iter().find(|it| it.id == *id).unwrap());
                    assert_eq!((low.parent.as_ref(), parent.is_open()), (Some(&shard), false), "{schedule}");
                }
                ReshardStep::Merge { .. } => merges += 1,
                other => panic!("{other}"),
            }
            let now = open(&fake);
            assert!(now.len() <= before.len().max(4), "{schedule}");
            assert!(now.windows(2).all(|pair| pair[0].is_adjacent(&pair[1])), "{schedule}");
            assert_eq!(schedule.remaining(), 40 - step);
        }
        assert_eq!(schedule.apply_next(&fake, STREAM), Ok(None));
        let pairs = schedule.made().windows(2);
        again += pairs
            .filter(|pair| match pair {
                [ReshardStep::Merge { child, .. }, ReshardStep::Split { shard, .. }] => child == shard,
                _ => false,
            })
            .count();
    }
    assert!(splits > 600 && merges > 600 && again > 150 && uneven * 10 > splits * 9, "{splits} {merges} {again}");
}

#[tokio::test(start_paused = true)]
async fn one_seed_makes_one_schedule() {
    let steps = |seed| {
        let (fake, _) = fake(3);
        let mut schedule = ReshardSchedule::random(seed, 25);
        while schedule.apply_next(&fake, STREAM).unwrap().is_some() {}
        schedule.to_string()
    };
    assert_eq!(steps(1), steps(1));
    assert_ne!(steps(1), steps(2));
    let first = "reshard schedule with seed 1, 25 of 25 steps made\n1: ";
    assert!(steps(1).starts_with(first), "{}", steps(1));
}

#[tokio::test(start_paused = true)]
async fn a_refused_step_is_made_by_the_next_attempt() {
    let updating = || FakeKinesis::builder().stream(STREAM, 2).virtual_time().updating(30 * SECOND).build();
    let fake = updating();
    let mut schedule = ReshardSchedule::random(5, 3);
    schedule.apply_next(&fake, STREAM).unwrap();
    let error = schedule.apply_next(&fake, STREAM).unwrap_err();
    assert_eq!((error.step, error.source.code()), (2, "ResourceInUseException"));
    sleep(30 * SECOND).await;
    schedule.apply_next(&fake, STREAM).unwrap();
    assert_eq!(schedule.remaining(), 1);

    let (start, mut again) = (Instant::now(), ReshardSchedule::random(5, 3));
    again.run(&updating(), STREAM, ReshardEvery::Interval(SECOND)).await.unwrap();
    assert_eq!(again.made()[..2], *schedule.made(), "a refusal draws nothing");
    assert_eq!(start.elapsed(), 61 * SECOND, "a step a second, and 30 s of updating after each but the last");

    let error = schedule.apply_next(&fake, "none").unwrap_err();
    assert_eq!(error.source.code(), "ResourceNotFoundException");
}

#[tokio::test(start_paused = true)]
async fn steps_are_made_by_the_number_of_records() {
    let (fake, client) = fake(1);
    put_all(&client, STREAM, records(0..95)).await.unwrap();
    let mut schedule = ReshardSchedule::random(1, 100);
    let work = async {
        for number in 0..30 {
            put_all(&client, STREAM, records(number * 10..number * 10 + 10)).await.unwrap();
            sleep(SECOND).await;
        }
        fake.shards(STREAM).unwrap().len()
    };
    let shards = schedule.run_during(&fake, STREAM, ReshardEvery::Records(50), work).await.unwrap();
    assert_eq!(schedule.made().len(), 6, "300 records by 50");
    assert!(shards > 6);
}

#[tokio::test(start_paused = true)]
async fn steps_are_made_by_the_time_and_end_with_the_work() {
    let (fake, _) = fake(1);
    let mut schedule = ReshardSchedule::random(1, 5);
    let every = ReshardEvery::Interval(10 * SECOND);
    schedule.run_during(&fake, STREAM, every, sleep(35 * SECOND)).await.unwrap();
    assert_eq!(schedule.made().len(), 3);
    let start = Instant::now();
    schedule.run_during(&fake, STREAM, every, sleep(100 * SECOND)).await.unwrap();
    assert_eq!((schedule.remaining(), start.elapsed()), (0, 100 * SECOND), "the work goes on without steps");
    let mut lost = ReshardSchedule::random(1, 5);
    lost.run_during(&fake, "none", every, sleep(100 * SECOND)).await.unwrap_err();
}
