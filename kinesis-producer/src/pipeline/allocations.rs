//! What a record costs in allocations on its way from the put to its outcome.

use std::collections::VecDeque;

use allocation_counter::measure;
use aws_sdk_kinesis::operation::put_records::PutRecordsOutput;
use aws_sdk_kinesis::types::PutRecordsResultEntry;
use kinesis_core::Randomness;

use super::fixtures::start;
use super::tests::{info, name};
use super::{Action, Pipeline};
use crate::acknowledgement::PutHandle;
use crate::config::ProducerConfig;
use crate::queue::{Command, Queue};
use crate::record::UserRecord;

/// Puts those records as callers do.
fn put(queue: &Queue, records: Vec<UserRecord>, handles: &mut Vec<PutHandle>) {
    for record in records {
        let room = queue.try_reserve(record.size_bytes()).unwrap().unwrap();
        let (stream, hash_key) = (record.validate().unwrap().clone(), record.hash_key());
        handles.push(queue.put(room, stream, record, hash_key).unwrap());
    }
}

/// Takes them as the engine does.
fn accept(queue: &Queue, pipeline: &mut Pipeline, commands: &mut VecDeque<Command>) {
    queue.take(commands);
    for command in commands.drain(..) {
        if let Command::Put(incoming) = command {
            pipeline.accept(incoming, start());
        }
    }
    pipeline.flush(None, start());
}

/// Acknowledges everything that is sent; how many Kinesis records that were.
fn answer(pipeline: &mut Pipeline) -> u64 {
    let mut sent = 0;
    while let Some(Action::Put { id, entries, .. }) = pipeline.next_action(start()) {
        sent += entries.len() as u64;
        let entry = PutRecordsResultEntry::builder().shard_id("shardId-000000000000").sequence_number("1").build();
        let records = entries.iter().map(|_| entry.clone()).collect();
        let output = PutRecordsOutput::builder().set_records(Some(records)).build().unwrap();
        pipeline.on_answer(id, Ok(output), start());
    }
    pipeline.take_released();
    sent
}

#[test]
fn records_cost_allocations_by_the_aggregate_and_not_by_the_record() {
    const RECORDS: usize = 100_000;
    let config = ProducerConfig::default().rate_limit(100_000);
    let queue = Queue::new(&config);
    let mut pipeline = Pipeline::new(config, &Randomness::from_seed(1));
    let (waiter, _opened) = tokio::sync::oneshot::channel();
    pipeline.open(&name("orders"), waiter);
    pipeline.next_action(start());
    pipeline.on_opened(&name("orders"), Ok(info()), start());
    let orders = name("orders");
    // The user's own: a key and its data for each record.
    let record = |index: usize| UserRecord::new(&orders, format!("customer-{:04}", index % 1000), vec![0; 100]);
    let records: Vec<_> = (0..RECORDS).map(record).collect();
    let (mut handles, mut commands) = (Vec::with_capacity(RECORDS), VecDeque::new());
    let mut sent = 0;
    let info = measure(|| {
        put(&queue, records, &mut handles);
        accept(&queue, &mut pipeline, &mut commands);
        sent = answer(&mut pipeline);
        assert!(handles.iter().all(|handle| handle.outcome().is_some_and(|outcome| outcome.is_stored())));
    });
    assert!((200..300).contains(&sent), "{sent} Kinesis records");
    let (total, per_aggregate) = (info.count_total, info.count_total as f64 / sent as f64);
    println!("{total} allocations for {RECORDS} records in {sent} aggregates: {per_aggregate:.1} each");
    assert!(per_aggregate < 20.0, "{total} allocations for {sent} aggregates");
}
