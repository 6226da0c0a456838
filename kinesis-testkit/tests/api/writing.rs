//! PutRecord and PutRecords: placement, sequence numbers, validation.

use std::collections::BTreeMap;

use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use kinesis_core::{HashKey, SequenceNumber};

use crate::support::{SHARD_0, SHARD_1, STREAM, code, drain, entry, fake, refusal};

#[tokio::test(start_paused = true)]
async fn a_record_goes_to_the_shard_that_holds_its_hash_key() {
    let (fake, client) = fake(3);
    let ranges: Vec<_> =
        fake.shards(STREAM).unwrap().into_iter().map(|shard| (shard.id, shard.hash_key_range)).collect();
    let holder = |key: HashKey| ranges.iter().find(|(_, range)| range.contains(key)).unwrap().0.to_string();
    for n in 0..50 {
        let key = format!("customer-{n}");
        let put =
            client.put_record().stream_name(STREAM).partition_key(&key).data(Blob::new("x")).send().await.unwrap();
        assert_eq!(put.shard_id(), holder(HashKey::of_partition_key(&key)), "{key}");
    }
    for (_, range) in &ranges {
        for key in [range.start(), range.end()] {
            let put = client.put_record().stream_name(STREAM).partition_key("same").data(Blob::new("x"));
            let put = put.explicit_hash_key(key.to_string()).send().await.unwrap();
            assert_eq!(put.shard_id(), holder(key), "{key}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_records_rise_strictly_within_each_shard() {
    let (fake, client) = fake(4);
    let mut last: BTreeMap<String, SequenceNumber> = BTreeMap::new();
    let mut seen = BTreeMap::new();
    for batch in 0..200 {
        let entries = (0..500).map(|n| entry(format!("key-{}", batch * 500 + n), "data"));
        let output =
            client.put_records().stream_name(STREAM).set_records(Some(entries.collect())).send().await.unwrap();
        assert_eq!(output.failed_record_count(), Some(0));
        for record in output.records() {
            let text = record.sequence_number().unwrap();
            assert_eq!(text.len(), 56);
            let (shard, number) = (record.shard_id().unwrap().to_owned(), text.parse::<SequenceNumber>().unwrap());
            *seen.entry(shard.clone()).or_insert(0) += 1;
            let before = last.insert(shard, number);
            assert!(before < Some(number), "{before:?} is not below {number}");
        }
    }
    assert_eq!(seen.values().sum::<i32>(), 100_000);
    assert!(seen.len() == 4 && seen.values().all(|count| *count > 20_000), "{seen:?}");
    assert_eq!(fake.stored(STREAM).unwrap().records, 100_000);
    // What was promised is what is read, in the same order.
    let mut read = 0;
    for shard in fake.shards(STREAM).unwrap() {
        let records = drain(&client, shard.id.as_str()).await;
        assert!(records.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(records.last().unwrap().0, last[shard.id.as_str()]);
        assert!(records[0].0 > shard.starting_sequence_number);
        read += records.len();
    }
    assert_eq!(read, 100_000);
}

#[tokio::test(start_paused = true)]
async fn data_and_keys_come_back_byte_for_byte() {
    let (_, client) = fake(1);
    let all_bytes: Vec<u8> = (0..=255).collect();
    let cases = [
        ("plain", all_bytes),
        ("with \"quotes\" and \\ and \u{1} and é and 😀", b"two".to_vec()),
        ("empty", Vec::new()),
    ];
    let entries = cases.iter().map(|(key, data)| entry(*key, data.clone())).collect();
    client.put_records().stream_name(STREAM).set_records(Some(entries)).send().await.unwrap();
    let iterator =
        crate::support::iterator(&client, SHARD_0, aws_sdk_kinesis::types::ShardIteratorType::TrimHorizon).await;
    let output = crate::support::read(&client, iterator).await;
    let read: Vec<_> =
        output.records().iter().map(|it| (it.partition_key().unwrap(), it.data().as_ref().to_vec())).collect();
    assert_eq!(read, cases);
}

#[tokio::test(start_paused = true)]
async fn a_request_holds_1_to_500_records() {
    let (fake, client) = fake(1);
    let put = |count: usize| {
        let entries = (0..count).map(|n| entry(n.to_string(), "x")).collect();
        client.put_records().stream_name(STREAM).set_records(Some(entries)).send()
    };
    put(500).await.unwrap();
    for (count, text) in [(501, "Member must have length less than or equal to 500"), (0, "greater than or equal to 1")]
    {
        let (code, message) = refusal(put(count).await);
        assert_eq!(code, "ValidationException");
        assert!(message.starts_with("1 validation error detected") && message.contains(text), "{message}");
    }
    assert_eq!(fake.stored(STREAM).unwrap().records, 500, "a refused request stores nothing");
}

#[tokio::test(start_paused = true)]
async fn a_request_holds_ten_mebibytes_of_keys_and_data() {
    let (fake, client) = fake(1);
    let mib = 1024 * 1024;
    let put = |last: usize| {
        let data = (0..10).map(|n| if n < 9 { mib - 1 } else { last });
        let entries = data.map(|size| entry("k", vec![0; size])).collect();
        client.put_records().stream_name(STREAM).set_records(Some(entries)).send()
    };
    put(mib - 1).await.unwrap();
    assert_eq!(fake.stored(STREAM).unwrap().bytes, 10 * mib as u64);
    client
        .update_max_record_size()
        .stream_arn("arn:aws:kinesis:us-east-1:123456789012:stream/orders")
        .max_record_size_in_kib(2048)
        .send()
        .await
        .unwrap();
    let refused = refusal(put(mib).await);
    assert_eq!(refused, ("InvalidArgumentException".to_owned(), "Records size exceeds 10 MB limit".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_record_holds_one_mebibyte_of_key_and_data() {
    let (_, client) = fake(1);
    let put = |size: usize| {
        let entries = vec![entry("ok", "x"), entry("key", vec![0; size])];
        client.put_records().stream_name(STREAM).set_records(Some(entries)).send()
    };
    put(1024 * 1024 - 3).await.unwrap();
    assert_eq!(code(put(1024 * 1024 - 2).await), "InvalidArgumentException");
}

#[tokio::test(start_paused = true)]
async fn one_bad_entry_refuses_the_whole_request() {
    let (fake, client) = fake(2);
    let with = |key: &str, explicit: Option<&str>| {
        PutRecordsRequestEntry::builder()
            .partition_key(key)
            .set_explicit_hash_key(explicit.map(str::to_owned))
            .data(Blob::new("x"))
            .build()
            .unwrap()
    };
    let longest = "ä".repeat(256);
    client.put_records().stream_name(STREAM).records(with(&longest, None)).send().await.unwrap();
    let two_to_the_128th = "340282366920938463463374607431768211456";
    let cases = [
        (with("", None), "ValidationException", "at 'records.2.member.partitionKey'"),
        (with(&"k".repeat(257), None), "ValidationException", "length less than or equal to 256"),
        (with("k", Some("007")), "ValidationException", "0|([1-9]\\d{0,38})"),
        (with("k", Some("-1")), "ValidationException", "explicitHashKey"),
        (
            with("k", Some(two_to_the_128th)),
            "InvalidArgumentException",
            "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was 3402",
        ),
        (
            PutRecordsRequestEntry::builder()
                .partition_key("k")
                .data(Blob::new(vec![0; 10 * 1024 * 1024 + 1]))
                .build()
                .unwrap(),
            "ValidationException",
            "java.nio.HeapByteBuffer[pos=0 lim=10485761 cap=10485761]",
        ),
    ];
    for (bad, expected_code, expected_text) in cases {
        let request = client.put_records().stream_name(STREAM).records(with("good", None)).records(bad);
        let (code, message) = refusal(request.send().await);
        assert_eq!(code, expected_code, "{message}");
        assert!(message.contains(expected_text), "{message}");
    }
    assert_eq!(fake.stored(STREAM).unwrap().records, 1);
}

#[tokio::test(start_paused = true)]
async fn put_record_refuses_what_put_records_refuses() {
    let (_, client) = fake(1);
    let put = |key: &str| client.put_record().stream_name(STREAM).partition_key(key).data(Blob::new("x"));
    assert!(put("k").send().await.is_ok());
    assert_eq!(code(put("").send().await), "ValidationException");
    assert_eq!(code(put("k").explicit_hash_key("1e9").send().await), "ValidationException");
    assert_eq!(code(put("k").sequence_number_for_ordering("x").send().await), "ValidationException");
    assert_eq!(code(put("k").stream_name("none").send().await), "ResourceNotFoundException");
    assert_eq!(code(client.put_record().stream_name(STREAM).partition_key("k").send().await), "ValidationException");
}

#[tokio::test(start_paused = true)]
async fn the_journal_holds_what_was_applied_and_every_call() {
    let (fake, client) = fake(2);
    let put = client.put_records().stream_name(STREAM).records(entry("a", "one")).records(entry("b", "two"));
    let output = put.send().await.unwrap();
    assert_eq!(code(client.list_shards().stream_name("none").send().await), "ResourceNotFoundException");
    let journal = fake.journal();
    let records: Vec<_> = journal
        .records
        .iter()
        .map(|it| {
            (
                it.call(),
                it.partition_key(),
                it.data().to_vec(),
                it.shard().to_string(),
                it.sequence_number().to_string(),
            )
        })
        .collect();
    let stored = output.records().iter();
    let stored: Vec<_> = stored.map(|it| (it.shard_id().unwrap(), it.sequence_number().unwrap())).collect();
    let expected = [("a", "one"), ("b", "two")].iter().zip(&stored).map(|((key, data), (shard, number))| {
        (1, *key, data.as_bytes().to_vec(), (*shard).to_owned(), (*number).to_owned())
    });
    assert_eq!(records, expected.collect::<Vec<_>>());
    assert!(stored.iter().any(|(shard, _)| *shard == SHARD_0 || *shard == SHARD_1));
    assert!(journal.records.iter().all(|it| it.arrived_at() == fake.clock().now()));
    let calls: Vec<_> = journal.calls.iter().map(|it| (it.id, it.operation.as_str(), it.stored_records)).collect();
    assert_eq!(calls, [(1, "PutRecords", 2), (2, "ListShards", 0)]);
    let refused = kinesis_testkit::CallOutcome::Refused("ResourceNotFoundException".to_owned());
    assert_eq!(
        (&journal.calls[0].outcome, &journal.calls[1].outcome),
        (&kinesis_testkit::CallOutcome::Applied, &refused)
    );
}

#[tokio::test(start_paused = true)]
async fn without_a_journal_the_counters_are_kept() {
    let fake = kinesis_testkit::FakeKinesis::builder().stream(STREAM, 1).virtual_time().journal(false).build();
    fake.client().put_records().stream_name(STREAM).records(entry("a", "one")).send().await.unwrap();
    assert_eq!(fake.journal(), kinesis_testkit::Journal::default());
    let counts = fake.call_counts()[&kinesis_testkit::Operation::PutRecords];
    assert_eq!((counts.calls, counts.stored_records, counts.refused), (1, 1, 0));
}
