//! Faults of subscriptions (F16, and F5 for streams).

use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::SdkError;
use aws_sdk_kinesis::types::{ShardIteratorType, SubscribeToShardEvent};
use kinesis_core::ShardId;
use kinesis_testkit::testing::put_all;
use kinesis_testkit::{EventFault, FakeKinesis, Fault, FaultClass, FaultPlan, FaultRule, Operation, PlanShape};
use tokio::time::{Instant, sleep, timeout};

use crate::support::{
    Events, Received, SHARD_0, STREAM, after, code, fake, from, pushed_texts, put_at, register, subscribe,
    try_subscribe,
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn rule(fault: Fault) -> FaultRule {
    FaultRule::on(Operation::SubscribeToShard).fault(fault)
}

fn at_event(nth: u64, fault: EventFault) -> FaultRule {
    rule(Fault::AtEvent { nth, fault })
}

/// A subscription that the rules strike; a record is put once an event is waited for.
struct Struck {
    fake: FakeKinesis,
    client: Client,
    consumer: String,
    events: Events,
    put: u32,
}

impl Struck {
    async fn by(rules: impl IntoIterator<Item = FaultRule>) -> Self {
        let (fake, client) = fake(1);
        let consumer = register(&client, "app").await;
        for rule in rules {
            fake.inject(rule);
        }
        let events = subscribe(&client, &consumer, SHARD_0, from(ShardIteratorType::Latest)).await;
        Self { fake, client, consumer, events, put: 0 }
    }

    /// Puts the next number, and takes what comes then.
    async fn next(&mut self) -> Received {
        self.put += 1;
        put_at(&self.client, 0, &self.put.to_string()).await;
        self.events.next().await
    }

    async fn text(&mut self) -> String {
        text(self.next().await)
    }
}

fn text(received: Received) -> String {
    pushed_texts(&received.unwrap().unwrap()).concat()
}

fn is_broken(received: &Received) -> bool {
    matches!(received, Err(SdkError::DispatchFailure(failure)) if failure.is_io())
}

#[tokio::test(start_paused = true)]
async fn f16_a_stream_ends_early_without_an_error() {
    let mut struck = Struck::by([at_event(2, EventFault::End)]).await;
    assert_eq!(struck.text().await, "1");
    assert!(struck.next().await.unwrap().is_none());
    assert_eq!(struck.fake.stored(STREAM).unwrap().records, 2);
    let calls = struck.fake.journal().calls;
    let call = calls.iter().find(|call| call.operation.as_str() == "SubscribeToShard").unwrap();
    assert!(call.fault.is_some_and(|mark| mark.kind() == "at_event") && !call.reply_lost, "{call:?}");
}

#[tokio::test(start_paused = true)]
async fn f16_a_stream_ends_with_every_error_frame() {
    for exception in EventFault::EXCEPTIONS {
        let mut struck = Struck::by([at_event(2, EventFault::exception(exception))]).await;
        assert_eq!(struck.text().await, "1");
        let error = struck.next().await;
        let Err(SdkError::ServiceError(context)) = &error else { panic!("{exception}: {error:?}") };
        assert!(!format!("{:?}", context.err()).starts_with("Unhandled"), "{exception}: {error:?}");
        assert_eq!(code(error), *exception);
    }
    let mut struck = Struck::by([at_event(1, EventFault::exception("NotOfTheModel"))]).await;
    assert!(matches!(struck.next().await, Err(SdkError::ServiceError(_))));
}

#[tokio::test(start_paused = true)]
async fn f16_an_event_is_repeated() {
    let mut struck = Struck::by([at_event(2, EventFault::Repeat)]).await;
    assert_eq!(struck.text().await, "1");
    let first = struck.next().await.unwrap().unwrap();
    let second = struck.events.event().await;
    assert_eq!((pushed_texts(&first), first), (vec!["2".to_owned()], second));
    assert_eq!(struck.text().await, "3");
}

#[tokio::test(start_paused = true)]
async fn f16_an_event_is_missing() {
    let mut struck = Struck::by([at_event(2, EventFault::Drop)]).await;
    assert_eq!(struck.text().await, "1");
    let begin = Instant::now();
    let after_it = struck.next().await.unwrap().unwrap();
    assert_eq!((pushed_texts(&after_it).len(), begin.elapsed()), (0, 5 * SECOND), "a heartbeat comes next");
    assert_eq!(struck.text().await, "3");
}

#[tokio::test(start_paused = true)]
async fn f5_f16_headers_and_then_silence() {
    // Not even the frame before all events, so that the SDK's call does not return.
    let (fake, client) = fake(1);
    let consumer = register(&client, "app").await;
    fake.inject(rule(Fault::StallBody { after_bytes: 0 }));
    let calling = try_subscribe(&client, &consumer, SHARD_0, from(ShardIteratorType::Latest));
    assert!(timeout(60 * MINUTE, calling).await.is_err());
    // That frame, and no event.
    let mut struck = Struck::by([at_event(1, EventFault::Stall)]).await;
    assert!(timeout(60 * MINUTE, struck.next()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn f16_a_stream_stalls_in_the_middle_and_outlives_its_five_minutes() {
    let mut struck = Struck::by([at_event(3, EventFault::Stall)]).await;
    assert_eq!((struck.text().await, struck.text().await), ("1".to_owned(), "2".to_owned()));
    assert!(timeout(60 * MINUTE, struck.next()).await.is_err());
    // The shard is free for another.
    let mut other = subscribe(&struck.client, &struck.consumer, SHARD_0, from(ShardIteratorType::TrimHorizon)).await;
    assert_eq!(other.take(3).await.concat(), "123");
}

#[tokio::test(start_paused = true)]
async fn f16_the_connection_breaks_within_a_frame() {
    for after_bytes in [0, 1, 13, 100, u64::MAX] {
        let mut struck = Struck::by([at_event(2, EventFault::Cut { after_bytes })]).await;
        assert_eq!(struck.text().await, "1");
        let broken = struck.next().await;
        assert!(is_broken(&broken), "{after_bytes}: {broken:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn f4_f5_bodies_of_streams_are_cut_and_trickle() {
    let (fake, client) = fake(1);
    let consumer = register(&client, "app").await;
    put_at(&client, 0, "x").await;
    fake.inject(rule(Fault::CutBody { after_bytes: 200 }));
    let mut events = subscribe(&client, &consumer, SHARD_0, from(ShardIteratorType::TrimHorizon)).await;
    let broken = events.next().await;
    assert!(is_broken(&broken), "{broken:?}");
    sleep(5 * SECOND).await;
    fake.inject(rule(Fault::TrickleBody { interval: Duration::from_millis(10) }));
    let begin = Instant::now();
    let mut events = subscribe(&client, &consumer, SHARD_0, from(ShardIteratorType::TrimHorizon)).await;
    assert_eq!(events.take(1).await, ["x"]);
    assert!((3 * SECOND..9 * SECOND).contains(&begin.elapsed()), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn f16_the_connection_breaks_at_five_minutes_where_it_should_end() {
    let cut = |age| rule(Fault::AtAge { age, fault: EventFault::Cut { after_bytes: 0 } });
    for age in [5 * MINUTE, Duration::from_millis(123_456)] {
        let mut struck = Struck::by([cut(age)]).await;
        let begin = Instant::now();
        let broken = loop {
            let received = struck.events.next().await;
            if received.is_err() {
                break received;
            }
            assert!(received.unwrap().is_some(), "it did not end");
        };
        assert!(is_broken(&broken) && begin.elapsed() == age, "{broken:?} after {:?}", begin.elapsed());
    }
    let mut struck = Struck::by([cut(6 * MINUTE)]).await;
    while struck.events.next().await.unwrap().is_some() {}
}

#[tokio::test(start_paused = true)]
async fn f16_events_come_late_and_in_order() {
    let faults = [at_event(2, EventFault::Delay(20 * SECOND)), at_event(3, EventFault::Delay(SECOND))];
    let mut struck = Struck::by(faults).await;
    assert_eq!(struck.text().await, "1");
    let begin = Instant::now();
    assert_eq!((struck.text().await, begin.elapsed()), ("2".to_owned(), 20 * SECOND));
    assert_eq!((struck.text().await, begin.elapsed()), ("3".to_owned(), 21 * SECOND));
    assert_eq!((struck.text().await, begin.elapsed()), ("4".to_owned(), 21 * SECOND));
    // However long: no calendar overflows.
    let mut struck = Struck::by([at_event(1, EventFault::Delay(Duration::MAX))]).await;
    assert!(timeout(60 * MINUTE, struck.next()).await.is_ok(), "a delay beyond the calendar is none");
}

#[tokio::test(start_paused = true)]
async fn f16_a_call_is_refused_by_another_subscription_that_is_none() {
    let (fake, client) = fake(1);
    let consumer = register(&client, "app").await;
    fake.inject(rule(Fault::resource_in_use()));
    let refused = try_subscribe(&client, &consumer, SHARD_0, from(ShardIteratorType::Latest)).await;
    assert_eq!(code(refused), "ResourceInUseException");
    subscribe(&client, &consumer, SHARD_0, from(ShardIteratorType::Latest)).await;
}

#[tokio::test(start_paused = true)]
async fn a_rule_about_a_shard_strikes_the_subscriptions_of_that_shard() {
    let (fake, client) = fake(2);
    let consumer = register(&client, "app").await;
    let handle = fake.inject(at_event(1, EventFault::End).shard(ShardId::from_index(1)).always());
    let mut events = subscribe(&client, &consumer, SHARD_0, from(ShardIteratorType::Latest)).await;
    put_at(&client, 0, "x").await;
    assert_eq!(events.take(1).await, ["x"]);
    assert_eq!((handle.seen(), handle.fired()), (0, 0));
    let mut events = subscribe(&client, &consumer, "shardId-1", from(ShardIteratorType::Latest)).await;
    assert_eq!((handle.seen(), handle.fired()), (1, 0), "its event has not come");
    assert!(events.next().await.unwrap().is_none());
    assert_eq!((handle.seen(), handle.fired()), (1, 1));
}

/// Reads until it has that many distinct numbers, and goes on by `ContinuationSequenceNumber` whatever happens.
async fn read_all(client: &Client, consumer: &str, count: usize) -> Vec<String> {
    let mut read: Vec<String> = Vec::new();
    let mut start = from(ShardIteratorType::TrimHorizon);
    let mut take = |event: SubscribeToShardEvent| {
        for text in pushed_texts(&event) {
            if !read.contains(&text) {
                read.push(text);
            }
        }
        (read.len() == count, event.continuation_sequence_number().to_owned())
    };
    loop {
        sleep(5 * SECOND).await;
        let calling = try_subscribe(client, consumer, SHARD_0, start.clone());
        let Ok(Ok(output)) = timeout(30 * SECOND, calling).await else { continue };
        let mut events = Events::of(output);
        while let Ok(Ok(Some(event))) = timeout(30 * SECOND, events.next()).await {
            let (is_done, reached) = take(event);
            if is_done {
                return read;
            }
            start = after(reached);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn f16_a_reader_that_goes_on_where_it_was_loses_nothing_to_any_seeded_plan() {
    let mut fired = 0;
    for seed in 0..40 {
        let (fake, client) = fake(1);
        let consumer = register(&client, "app").await;
        let shape = PlanShape::new(5, 40 * MINUTE, vec![]);
        let handles = fake.inject_plan(&FaultPlan::generate(seed, &[FaultClass::F16], &shape));
        let writing = async {
            for chunk in 0..60 {
                let records = (0..5).map(|n| ("k", format!("{chunk}-{n}")));
                put_all(&client, STREAM, records).await.unwrap();
                sleep(20 * SECOND).await;
            }
        };
        let (read, ()) = tokio::join!(biased; read_all(&client, &consumer, 300), writing);
        let stored: Vec<String> =
            fake.journal().records.iter().map(|it| String::from_utf8(it.data().to_vec()).unwrap()).collect();
        assert_eq!(read, stored, "seed {seed}");
        fired += handles.iter().map(kinesis_testkit::FaultHandle::fired).sum::<u64>();
    }
    assert!(fired > 80, "{fired}");
}

#[tokio::test(start_paused = true)]
async fn a_run_with_faults_repeats_itself() {
    let run = async |seed| {
        let fake = FakeKinesis::builder().stream(STREAM, 1).seed(seed).virtual_time().build();
        let client = fake.client();
        let consumer = register(&client, "app").await;
        let shape = PlanShape::new(3, 10 * MINUTE, vec![]);
        fake.inject_plan(&FaultPlan::generate(seed, &[FaultClass::F16], &shape));
        let writing = async {
            for n in 0..30 {
                put_at(&client, 0, &n.to_string()).await;
                sleep(7 * SECOND).await;
            }
        };
        tokio::join!(biased; read_all(&client, &consumer, 30), writing);
        fake.journal().to_json_lines()
    };
    for seed in 0..10 {
        assert_eq!(run(seed).await, run(seed).await, "seed {seed}");
    }
}
