//! Requests that arrive twice, or late (F21).

use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::SdkError;
use kinesis_testkit::{CallOutcome, Delivery, FakeKinesis, Fault, FaultRule, Journal, Operation, Unanswered};
use tokio::time::{advance, timeout};

use crate::support::{STREAM, entry, fake};

const MINUTE: Duration = Duration::from_secs(60);

async fn put(client: &Client, data: &str) -> bool {
    client.put_records().stream_name(STREAM).records(entry("key", data)).send().await.is_ok()
}

fn data(journal: &Journal) -> Vec<String> {
    journal.records.iter().map(|it| String::from_utf8(it.data().to_vec()).unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn f21_a_request_is_applied_twice() {
    let (fake, client) = fake(1);
    let start = fake.clock().now();
    fake.inject(FaultRule::on(Operation::PutRecords).fault(Fault::ApplyTwice { after: MINUTE }));
    assert!(put(&client, "a").await);
    assert_eq!(fake.stored(STREAM).unwrap().records, 1);
    advance(2 * MINUTE).await;
    // Nobody called for it, and its time is that at which it was due.
    assert_eq!(fake.stored(STREAM).unwrap().records, 2);
    assert!(put(&client, "b").await);
    let journal = fake.journal();
    assert_eq!(data(&journal), ["a", "a", "b"]);
    assert_eq!(journal.records[1].arrived_at(), start + MINUTE);
    let calls: Vec<_> = journal.calls.iter().map(|it| (it.id, it.request, it.delivery)).collect();
    assert_eq!(calls, [(1, 1, Delivery::First), (2, 1, Delivery::Repeated), (3, 3, Delivery::First)]);
    assert_eq!(journal.calls[0].request_id, journal.calls[1].request_id);
    assert_eq!(journal.records.iter().map(|it| it.call()).collect::<Vec<_>>(), [1, 2, 3]);
    let counts = fake.call_counts()[&Operation::PutRecords];
    assert_eq!((counts.calls, counts.stored_records, counts.unanswered), (2, 3, 0));
}

#[tokio::test(start_paused = true)]
async fn f21_a_request_is_applied_after_its_caller_gave_up() {
    let (fake, client) = fake(1);
    let late = Fault::ApplyLate { after: MINUTE, answer: Unanswered::Silence };
    fake.inject(FaultRule::on(Operation::PutRecords).fault(late));
    assert!(timeout(Duration::from_secs(10), put(&client, "a")).await.is_err());
    assert!(put(&client, "b").await);
    advance(MINUTE).await;
    assert!(put(&client, "c").await);
    let journal = fake.journal();
    assert_eq!(data(&journal), ["b", "a", "c"]);
    let calls: Vec<_> = journal.calls.iter().map(|it| (it.request, it.delivery, it.outcome.clone())).collect();
    let applied = |request, delivery| (request, delivery, CallOutcome::Applied);
    assert_eq!(
        calls,
        [
            (1, Delivery::First, CallOutcome::Deferred),
            applied(2, Delivery::First),
            applied(1, Delivery::Late),
            applied(4, Delivery::First)
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn f21_a_late_request_whose_connection_broke() {
    let (fake, client) = fake(1);
    let late = Fault::ApplyLate { after: Duration::ZERO, answer: Unanswered::Reset };
    fake.inject(FaultRule::on(Operation::PutRecords).fault(late));
    let broken = client.put_records().stream_name(STREAM).records(entry("k", "a")).send().await;
    assert!(matches!(&broken, Err(SdkError::DispatchFailure(failure)) if failure.is_io()), "{broken:?}");
    assert_eq!(fake.stored(STREAM).unwrap().records, 1);
}

#[tokio::test(start_paused = true)]
async fn f21_late_requests_are_applied_in_the_order_of_their_times() {
    let (fake, client) = fake(1);
    for (nth, secs) in [(1, 30), (2, 10), (3, 20), (4, 20)] {
        let late = Fault::ApplyLate { after: Duration::from_secs(secs), answer: Unanswered::Reset };
        fake.inject(FaultRule::on(Operation::PutRecords).nth(nth).fault(late));
    }
    for text in ["a", "b", "c", "d"] {
        assert!(!put(&client, text).await);
    }
    advance(Duration::from_secs(25)).await;
    assert_eq!(data(&fake.journal()), ["b", "c", "d"]);
    advance(MINUTE).await;
    assert_eq!(data(&fake.journal()), ["b", "c", "d", "a"]);
}

#[tokio::test(start_paused = true)]
async fn f21_a_late_request_meets_the_stream_as_it_is_then() {
    let fake = FakeKinesis::builder().stream(STREAM, 1).virtual_time().build();
    let client = fake.client();
    let late = Fault::ApplyLate { after: MINUTE, answer: Unanswered::Reset };
    fake.inject(FaultRule::on(Operation::PutRecords).fault(late));
    assert!(!put(&client, "a").await);
    client.delete_stream().stream_name(STREAM).send().await.unwrap();
    advance(MINUTE).await;
    let journal = fake.journal();
    let last = journal.calls.last().unwrap();
    assert_eq!(last.outcome, CallOutcome::Refused("ResourceNotFoundException".to_owned()));
    assert_eq!((last.delivery, journal.records.len()), (Delivery::Late, 0));
}

#[tokio::test(start_paused = true)]
async fn healing_recalls_no_request_that_is_on_its_way() {
    let (fake, client) = fake(1);
    fake.inject(FaultRule::on(Operation::PutRecords).fault(Fault::ApplyTwice { after: MINUTE }));
    assert!(put(&client, "a").await);
    fake.heal();
    advance(MINUTE).await;
    assert_eq!(fake.stored(STREAM).unwrap().records, 2);
}
