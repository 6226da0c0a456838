//! Faults on the way to the service and back.

use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::SdkError;
use aws_sdk_kinesis::operation::put_records::{PutRecordsError, PutRecordsOutput};
use kinesis_testkit::{CallOutcome, Entries, Fault, FaultRule, Operation};
use tokio::time::{Instant, timeout};

use crate::support::{STREAM, code, entry, fake, refusal};

type Put = Result<PutRecordsOutput, SdkError<PutRecordsError>>;

async fn put(client: &Client, data: &str) -> Put {
    client.put_records().stream_name(STREAM).records(entry("key", data)).send().await
}

fn lost(result: &Put) -> bool {
    matches!(result, Err(SdkError::DispatchFailure(failure)) if failure.is_io())
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_is_stored_exactly_once() {
    let (fake, client) = fake(1);
    let handle = fake.inject(FaultRule::on(Operation::PutRecords).nth(3).fault(Fault::LoseReply));
    let mut outcomes = Vec::new();
    for n in 0..5 {
        outcomes.push(lost(&put(&client, &n.to_string()).await));
    }
    assert_eq!(outcomes, [false, false, true, false, false]);
    assert_eq!((handle.fired(), handle.seen()), (1, 5));
    let journal = fake.journal();
    let data: Vec<_> = journal.records.iter().map(|it| it.data()).collect();
    assert_eq!(data, ["0", "1", "2", "3", "4"]);
    let call = &journal.calls[2];
    assert_eq!((&call.outcome, call.reply_lost, call.stored_records), (&CallOutcome::Applied, true, 1));
    assert_eq!(journal.calls.iter().filter(|it| it.reply_lost).count(), 1);
    let counts = fake.call_counts()[&Operation::PutRecords];
    assert_eq!((counts.calls, counts.unanswered, counts.stored_records), (5, 1, 5));
}

#[tokio::test(start_paused = true)]
async fn a_reset_stores_nothing() {
    let (fake, client) = fake(1);
    fake.inject(FaultRule::on(Operation::PutRecords).fault(Fault::Reset));
    assert!(lost(&put(&client, "x").await));
    assert_eq!(fake.stored(STREAM).unwrap().records, 0);
    assert_eq!(fake.journal().calls[0].outcome, CallOutcome::Reset);
    put(&client, "x").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_error_comes_before_anything_is_applied() {
    let (fake, client) = fake(1);
    let rule = || FaultRule::on(Operation::PutRecords);
    fake.inject(rule().fault(Fault::internal_failure()));
    fake.inject(rule().nth(2).fault(Fault::throttle()));
    let internal = put(&client, "x").await;
    assert_eq!(internal.as_ref().unwrap_err().raw_response().unwrap().status().as_u16(), 500);
    assert_eq!(refusal(internal), ("InternalFailure".to_owned(), "Internal service failure.".to_owned()));
    assert_eq!(code(put(&client, "x").await), "ProvisionedThroughputExceededException");
    assert_eq!(fake.stored(STREAM).unwrap().records, 0);
    put(&client, "x").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn chosen_entries_fail_in_their_places() {
    let (fake, client) = fake(2);
    fake.inject(FaultRule::on(Operation::PutRecords).fault(Fault::FailEntries(Entries::At(vec![1, 3]))));
    let entries = (0..5).map(|n| entry(format!("key-{n}"), n.to_string())).collect();
    let output = client.put_records().stream_name(STREAM).set_records(Some(entries)).send().await.unwrap();
    assert_eq!(output.failed_record_count(), Some(2));
    let failed: Vec<_> = output.records().iter().map(|it| it.error_code() == Some("InternalFailure")).collect();
    assert_eq!(failed, [false, true, false, true, false]);
    assert_eq!(fake.journal().records.iter().map(|it| it.data()).collect::<Vec<_>>(), ["0", "2", "4"]);
    assert_eq!(fake.journal().calls[0].failed_records, 2);
}

#[tokio::test(start_paused = true)]
async fn a_hang_never_answers_and_stores_nothing() {
    let (fake, client) = fake(1);
    fake.inject(FaultRule::on(Operation::PutRecords).fault(Fault::Hang));
    assert!(timeout(Duration::from_secs(3600), put(&client, "x")).await.is_err());
    assert_eq!(fake.stored(STREAM).unwrap().records, 0);
    assert_eq!(fake.journal().calls[0].outcome, CallOutcome::Hung);
}

#[tokio::test(start_paused = true)]
async fn a_delay_holds_up_the_call() {
    let (fake, client) = fake(1);
    fake.inject(FaultRule::on(Operation::PutRecords).fault(Fault::Delay(Duration::from_secs(7))));
    let (begin, start) = (Instant::now(), fake.clock().now());
    put(&client, "x").await.unwrap();
    assert_eq!(begin.elapsed(), Duration::from_secs(7));
    assert_eq!(fake.journal().records[0].arrived_at(), start + Duration::from_secs(7));
}

#[tokio::test(start_paused = true)]
async fn a_fault_can_wait_for_records() {
    let (fake, client) = fake(1);
    let handle = fake.inject(FaultRule::on(Operation::PutRecords).once_stored(3).fault(Fault::LoseReply));
    let mut outcomes = Vec::new();
    for _ in 0..5 {
        outcomes.push(lost(&put(&client, "x").await));
    }
    assert_eq!((outcomes, handle.fired()), (vec![false, false, false, true, false], 1));
}

#[tokio::test(start_paused = true)]
async fn a_fault_can_be_about_one_stream_and_be_healed() {
    let (fake, client) = fake(1);
    fake.create_stream("payments", 1).unwrap();
    fake.inject(FaultRule::on(Operation::PutRecords).stream("payments".parse().unwrap()).always().fault(Fault::Reset));
    let pay = || client.put_records().stream_name("payments").records(entry("k", "v")).send();
    put(&client, "x").await.unwrap();
    assert!(lost(&pay().await) && lost(&pay().await));
    fake.heal();
    pay().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_read_that_is_lost_can_be_read_again() {
    let (fake, client) = fake(1);
    put(&client, "x").await.unwrap();
    fake.inject(FaultRule::on(Operation::GetRecords).stream(STREAM.parse().unwrap()).fault(Fault::LoseReply));
    let kind = aws_sdk_kinesis::types::ShardIteratorType::TrimHorizon;
    let iterator = crate::support::iterator(&client, crate::support::SHARD_0, kind).await;
    assert!(client.get_records().shard_iterator(&iterator).send().await.is_err());
    assert_eq!(crate::support::read(&client, &iterator).await.records().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_journal() {
    let mut journals = Vec::new();
    for _ in 0..2 {
        let (fake, client) = fake(2);
        fake.inject(FaultRule::on(Operation::PutRecords).nth(2).fault(Fault::LoseReply));
        for n in 0..4 {
            let result = put(&client, &n.to_string()).await;
            journals.push(result.ok().map(|it| format!("{it:?}")).unwrap_or_default());
        }
        journals.push(format!("{:?}", fake.journal()));
    }
    let (first, second) = journals.split_at(journals.len() / 2);
    assert_eq!(first, second);
}
