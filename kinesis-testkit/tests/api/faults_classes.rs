//! Faults that the service answers with, class by class: F1, F2, F3, F6 to F9, F11, F12.

use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::SdkError;
use aws_sdk_kinesis::types::ShardIteratorType;
use kinesis_testkit::{
    CallOutcome, Entries, EntryFaults, FakeKinesis, Fault, FaultClass, FaultPlan, FaultRule, Operation, PlanShape,
};
use tokio::time::{advance, timeout};

use crate::support::{SHARD_0, SHARD_1, STREAM, code, entry, fake, iterator, put_at, read, refusal, texts};

async fn get(client: &Client, iterator: &str) -> String {
    code(client.get_records().shard_iterator(iterator).send().await)
}

#[tokio::test(start_paused = true)]
async fn f1_one_shard_is_throttled_and_its_neighbour_is_not() {
    let (fake, client) = fake(2);
    let [first, second] = [
        iterator(&client, SHARD_0, ShardIteratorType::TrimHorizon).await,
        iterator(&client, SHARD_1, ShardIteratorType::TrimHorizon).await,
    ];
    let rule = FaultRule::on(Operation::GetRecords).shard(SHARD_1.parse().unwrap()).times(2);
    let handle = fake.inject(rule.fault(Fault::throttle()));
    read(&client, &first).await;
    for _ in 0..2 {
        assert_eq!(get(&client, &second).await, "ProvisionedThroughputExceededException");
        read(&client, &first).await;
    }
    read(&client, &second).await;
    assert_eq!((handle.fired(), handle.seen()), (2, 3));
    let rule = FaultRule::on(Operation::GetShardIterator).shard(SHARD_0.parse().unwrap());
    fake.inject(rule.fault(Fault::throttle()));
    iterator(&client, SHARD_1, ShardIteratorType::Latest).await;
    let request = client.get_shard_iterator().stream_name(STREAM).shard_id(SHARD_0);
    let refused = request.shard_iterator_type(ShardIteratorType::Latest).send().await;
    assert_eq!(code(refused), "ProvisionedThroughputExceededException");
}

#[tokio::test(start_paused = true)]
async fn f2_entries_fail_mixed_and_some_are_stored_all_the_same() {
    let (fake, client) = fake(2);
    let faults =
        EntryFaults::none().throttled(Entries::At(vec![0])).failed(Entries::At(vec![2])).stored(Entries::At(vec![3]));
    fake.inject(FaultRule::on(Operation::PutRecords).fault(Fault::FailMixed(faults)));
    let entries = (0..5).map(|n| entry(format!("key-{n}"), n.to_string())).collect();
    let output = client.put_records().stream_name(STREAM).set_records(Some(entries)).send().await.unwrap();
    let codes: Vec<_> = output.records().iter().map(|it| it.error_code().unwrap_or("stored")).collect();
    let throttled = "ProvisionedThroughputExceededException";
    assert_eq!(codes, [throttled, "stored", "InternalFailure", "InternalFailure", "stored"]);
    assert_eq!(output.failed_record_count(), Some(3));
    assert_eq!(output.records()[3].sequence_number(), None);
    let journal = fake.journal();
    assert_eq!(journal.records.iter().map(|it| it.data()).collect::<Vec<_>>(), ["1", "3", "4"]);
    let call = &journal.calls[0];
    assert_eq!((call.stored_records, call.failed_records, call.misreported_records), (3, 2, 1));
    assert_eq!(fake.call_counts()[&Operation::PutRecords].misreported_records, 1);
}

#[tokio::test(start_paused = true)]
async fn f2_positions_are_drawn_from_the_seed() {
    let positions = async |seed: u64| {
        let fake = FakeKinesis::builder().stream(STREAM, 1).virtual_time().seed(seed).build();
        let client = fake.client();
        let third = Entries::PerMille(333);
        fake.inject(FaultRule::on(Operation::PutRecords).always().fault(Fault::FailEntries(third)));
        let mut calls = Vec::new();
        for _ in 0..2 {
            let entries = (0..100).map(|n| entry(format!("key-{n}"), n.to_string())).collect();
            let output = client.put_records().stream_name(STREAM).set_records(Some(entries)).send().await.unwrap();
            calls.push(output.records().iter().map(|it| it.error_code().is_some()).collect::<Vec<_>>());
        }
        calls
    };
    let (first, again, other) = (positions(1).await, positions(1).await, positions(2).await);
    assert_eq!(first, again);
    assert!(first != other && first[0] != first[1], "seed 1: {first:?}, seed 2: {other:?}");
    let failed = first[0].iter().filter(|it| **it).count();
    assert!((15..55).contains(&failed), "seed 1: {failed} of 100");
}

#[tokio::test(start_paused = true)]
async fn f3_an_error_and_a_silence_after_the_write() {
    let (fake, client) = fake(1);
    let rule = || FaultRule::on(Operation::PutRecords);
    fake.inject(rule().fault(Fault::internal_failure_after()));
    fake.inject(rule().nth(2).fault(Fault::HangAfter));
    let put = || client.put_records().stream_name(STREAM).records(entry("k", "x")).send();
    let failed = put().await;
    assert_eq!(failed.as_ref().unwrap_err().raw_response().unwrap().status().as_u16(), 500);
    assert_eq!(code(failed), "InternalFailure");
    assert!(timeout(Duration::from_secs(3600), put()).await.is_err());
    assert_eq!(fake.stored(STREAM).unwrap().records, 2);
    let calls = fake.journal().calls;
    assert!(calls.iter().all(|it| it.outcome == CallOutcome::Applied && it.reply_lost), "{calls:?}");
    let marks = calls.iter().map(|it| it.fault.map(|mark| (mark.kind(), mark.rule())));
    assert_eq!(marks.collect::<Vec<_>>(), [Some(("error_after", 0)), Some(("hang_after", 1))]);
    assert_eq!(fake.call_counts()[&Operation::PutRecords].unanswered, 2);
}

#[tokio::test(start_paused = true)]
async fn f7_reads_return_nothing_and_a_fresh_iterator_at_the_same_place() {
    let (fake, client) = fake(1);
    put_at(&client, 0, "x").await;
    let mut next = iterator(&client, SHARD_0, ShardIteratorType::TrimHorizon).await;
    fake.inject(FaultRule::any().times(3).fault(Fault::EmptyRead));
    for n in 1..=3 {
        // Together longer than one iterator lives.
        advance(Duration::from_secs(200)).await;
        let output = read(&client, &next).await;
        assert_eq!((output.records().len(), output.millis_behind_latest()), (0, Some(200_000 * n)));
        next = output.next_shard_iterator().unwrap().to_owned();
    }
    let output = read(&client, &next).await;
    assert_eq!((texts(&output), output.millis_behind_latest()), (vec!["x"], Some(0)));
    fake.inject(FaultRule::any().fault(Fault::EmptyRead));
    let tip = read(&client, output.next_shard_iterator().unwrap()).await;
    assert_eq!(tip.millis_behind_latest(), Some(0), "there is nothing to be behind of");
}

#[tokio::test(start_paused = true)]
async fn f6_f8_f9_f11_f12_f13_refusals_carry_the_services_codes() {
    let (fake, client) = fake(1);
    let cases = [
        (Fault::expired_iterator(), "ExpiredIteratorException", 400),
        (Fault::expired_next_token(), "ExpiredNextTokenException", 400),
        (Fault::limit_exceeded(), "LimitExceededException", 400),
        (Fault::resource_not_found(), "ResourceNotFoundException", 400),
        (Fault::kms_throttled(), "KMSThrottlingException", 400),
        (Fault::kms_disabled(), "KMSDisabledException", 400),
        (Fault::kms_access_denied(), "KMSAccessDeniedException", 400),
        (Fault::kms_invalid_state(), "KMSInvalidStateException", 400),
        (Fault::kms_not_found(), "KMSNotFoundException", 400),
        (Fault::kms_opt_in_required(), "KMSOptInRequired", 400),
        (Fault::request_expired(), "RequestExpired", 400),
        (Fault::request_time_too_skewed(), "RequestTimeTooSkewed", 403),
        (Fault::expired_token(), "ExpiredTokenException", 400),
    ];
    for (fault, expected, status) in cases {
        fake.inject(FaultRule::on(Operation::ListShards).fault(fault));
        let refused = client.list_shards().stream_name(STREAM).send().await;
        let raw = refused.as_ref().unwrap_err().raw_response().unwrap().status().as_u16();
        let (code, message) = refusal(refused);
        assert_eq!((code.as_str(), raw, message.is_empty()), (expected, status, false));
    }
    client.list_shards().stream_name(STREAM).send().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn f9_a_stream_is_not_seen_for_ten_seconds() {
    let (fake, client) = fake(1);
    advance(Duration::from_secs(1000)).await;
    let window = FaultRule::any().always().after(Duration::from_secs(5)).until(Duration::from_secs(15));
    let handle = fake.inject(window.fault(Fault::resource_not_found()));
    let mut refused = Vec::new();
    for _ in 0..5 {
        refused.push(client.list_shards().stream_name(STREAM).send().await.is_err());
        advance(Duration::from_secs(5)).await;
    }
    assert_eq!((refused, handle.fired()), (vec![false, true, true, false, false], 2));
}

/// A client whose own retries are on.
fn retrying(fake: &FakeKinesis) -> Client {
    let config = fake.client().config().to_builder();
    let retries = aws_smithy_types::retry::RetryConfig::standard().with_max_attempts(3);
    Client::from_conf(config.retry_config(retries).build())
}

#[tokio::test(start_paused = true)]
async fn f12_a_signature_is_judged_by_a_clock_that_is_off() {
    let (fake, client) = fake(1);
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    let list = || client.list_shards().stream_name(STREAM).send();
    fake.inject(FaultRule::any().fault(Fault::signature_expired(minutes(20))));
    let refused = list().await;
    let date = refused.as_ref().unwrap_err().raw_response().unwrap().headers().get("date").map(str::to_owned);
    let (code, message) = refusal(refused);
    assert_eq!(code, "InvalidSignatureException");
    assert_eq!(
        message,
        "Signature expired: 20260101T000000Z is now earlier than 20260101T001500Z (20260101T002000Z - 5 min.)"
    );
    assert_eq!(date.as_deref(), Some("Thu, 01 Jan 2026 00:20:00 GMT"));
    fake.inject(FaultRule::any().fault(Fault::signature_not_yet_current(minutes(6))));
    // A client remembers by how much its clock was off; this one has not learned it.
    let (_, message) = refusal(fake.client().list_shards().stream_name(STREAM).send().await);
    assert!(message.starts_with("Signature not yet current: 20260101T000000Z is still later than"), "{message}");
    let within = fake.inject(FaultRule::any().fault(Fault::signature_expired(minutes(5))));
    fake.client().list_shards().stream_name(STREAM).send().await.unwrap();
    assert_eq!(within.fired(), 1, "the call passes, with a date that is off");
}

#[tokio::test(start_paused = true)]
async fn f12_a_client_that_corrects_its_date_passes() {
    for fault in [Fault::signature_expired, Fault::signature_not_yet_current] {
        let (fake, _) = fake(1);
        let client = retrying(&fake);
        let handle = fake.inject(FaultRule::any().always().fault(fault(Duration::from_secs(1200))));
        let list = || client.list_shards().stream_name(STREAM).send();
        list().await.unwrap();
        assert_eq!(handle.fired(), 2, "one corrected retry");
        list().await.unwrap();
        assert_eq!(handle.fired(), 3, "and none any more");
    }
}

#[tokio::test(start_paused = true)]
async fn a_plan_is_injected_and_strikes() {
    let (fake, client) = fake(1);
    let text = r#"{"version":1,"rules":[
        {"on":"PutRecords","nth":2,"fault":"reset"},{"on":"PutRecords","fault":{"delay_millis":7000}}
    ]}"#;
    let handles = fake.inject_plan(&FaultPlan::from_json(text).unwrap());
    let put = || client.put_records().stream_name(STREAM).records(entry("k", "x")).send();
    put().await.unwrap();
    assert!(matches!(put().await, Err(SdkError::DispatchFailure(_))));
    put().await.unwrap();
    assert_eq!(handles.iter().map(|it| (it.fired(), it.seen())).collect::<Vec<_>>(), [(1, 3), (1, 3)]);
}

/// A client that knows no more than to try again until the plan has healed; it must get through.
async fn survives(seed: u64) {
    let (fake, client) = fake(2);
    let classes: Vec<FaultClass> = FaultClass::ALL.iter().copied().filter(|class| *class != FaultClass::F10).collect();
    let shape = PlanShape::new(10, Duration::from_secs(120), vec![STREAM.parse().unwrap()]);
    fake.inject_plan(&FaultPlan::generate(seed, &classes, &shape));
    for n in 0..20u32 {
        let attempts = async {
            loop {
                let put = client.put_records().stream_name(STREAM).records(entry(n.to_string(), n.to_string())).send();
                let done = timeout(Duration::from_secs(5), put).await;
                if done.is_ok_and(|result| result.is_ok_and(|output| output.failed_record_count() == Some(0))) {
                    return;
                }
                advance(Duration::from_secs(1)).await;
            }
        };
        assert!(timeout(Duration::from_secs(3600), attempts).await.is_ok(), "seed {seed}: record {n} is never put");
    }
    let journal = fake.journal();
    for n in 0..20u32 {
        let text = n.to_string();
        assert!(journal.records.iter().any(|it| it.partition_key() == text), "seed {seed}: record {n} is lost");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_on_outlives_every_plan() {
    for seed in 0..60 {
        survives(seed).await;
    }
}
