use std::time::Duration;

use aws_sdk_kinesis::operation::put_records::PutRecordsOutput;
use aws_sdk_kinesis::types::PutRecordsResultEntry;
use kinesis_core::{HashKeyRange, Randomness, RequestError, RequestErrorKind, Shard, ShardId, StreamName};

use super::fixtures::start;
use super::{Action, Incoming, Pipeline, StreamInfo, StreamSettings};
use crate::acknowledgement::{Places, PutHandle};
use crate::config::ProducerConfig;
use crate::outcome::Outcome;
use crate::record::UserRecord;

pub(super) fn name(name: &str) -> StreamName {
    name.parse().unwrap()
}

pub(super) fn info() -> StreamInfo {
    let shard = Shard {
        id: ShardId::from_index(0),
        hash_key_range: HashKeyRange::FULL,
        parent: None,
        adjacent_parent: None,
        starting_sequence_number: 1.into(),
        ending_sequence_number: None,
    };
    StreamInfo {
        settings: StreamSettings { record_limit_bytes: 1024 * 1024, by_partition_key: true },
        shards: vec![shard],
    }
}

fn pipeline(requests: usize) -> Pipeline {
    let config = ProducerConfig::default().max_requests_in_flight(requests).aggregation(false).collection_max_count(1);
    Pipeline::new(config, &Randomness::from_seed(1))
}

fn put(pipeline: &mut Pipeline, stream: &str) -> PutHandle {
    put_at(pipeline, stream, start())
}

fn put_at(pipeline: &mut Pipeline, stream: &str, now: tokio::time::Instant) -> PutHandle {
    let (responder, outcome) = Places::default().next();
    let record = UserRecord::new(stream, "key", "data");
    let incoming = Incoming { stream: name(stream), hash_key: record.hash_key(), record, responder };
    pipeline.accept(incoming, now);
    outcome
}

fn next_put(pipeline: &mut Pipeline) -> Option<(u64, String)> {
    match pipeline.next_action(start())? {
        Action::Put { id, stream, .. } => Some((id, stream.to_string())),
        other => panic!("{other:?}"),
    }
}

fn answer(pipeline: &mut Pipeline, id: u64) {
    let entry = PutRecordsResultEntry::builder().shard_id("shardId-000000000000").sequence_number("1").build();
    let output = PutRecordsOutput::builder().records(entry).build().unwrap();
    pipeline.on_answer(id, Ok(output), start());
}

#[test]
fn no_more_requests_are_on_their_way_than_allowed() {
    let mut pipeline = pipeline(2);
    let mut outcomes = Vec::new();
    for _ in 0..4 {
        outcomes.push(put(&mut pipeline, "orders"));
    }
    let Some(Action::Open(stream)) = pipeline.next_action(start()) else {
        panic!("the stream is looked up first");
    };
    assert!(pipeline.next_action(start()).is_none(), "once");
    pipeline.on_opened(&stream, Ok(info()), start());
    let (first, _) = next_put(&mut pipeline).unwrap();
    next_put(&mut pipeline).unwrap();
    assert!(next_put(&mut pipeline).is_none());
    let later = start() + Duration::from_millis(1);
    assert!(pipeline.next_deadline(start()).is_none_or(|deadline| deadline > later), "an answer wakes, not the time");
    answer(&mut pipeline, first);
    assert!(outcomes[0].outcome().unwrap().is_stored());
    assert!(next_put(&mut pipeline).is_some());
}

#[test]
fn streams_are_served_in_turn() {
    let mut pipeline = pipeline(1);
    let streams = ["a", "b", "c"];
    for stream in streams {
        (0..3).for_each(|_| drop(put(&mut pipeline, stream)));
    }
    for stream in streams {
        let Some(Action::Open(_)) = pipeline.next_action(start()) else {
            panic!("{stream} is looked up");
        };
    }
    for stream in streams {
        pipeline.on_opened(&name(stream), Ok(info()), start());
    }
    let mut served = Vec::new();
    while let Some((id, stream)) = next_put(&mut pipeline) {
        served.push(stream);
        answer(&mut pipeline, id);
    }
    assert_eq!(served, ["a", "b", "c", "a", "b", "c", "a", "b", "c"]);
}

/// Looks a stream up at that time, in vain.
fn look_up_in_vain(pipeline: &mut Pipeline, now: tokio::time::Instant) -> bool {
    let Some(Action::Open(stream)) = pipeline.next_action(now) else { return false };
    let error = RequestError::new("ListShards", "orders", RequestErrorKind::NotFound, None, "no such stream");
    pipeline.on_opened(&stream, Err(error), now);
    true
}

#[test]
fn a_stream_that_was_missing_is_looked_up_again_after_a_second_and_not_for_every_record() {
    let mut pipeline = pipeline(1);
    let mut look_ups = 0;
    for at in 0..30 {
        let now = start() + Duration::from_millis(100 * at);
        let outcome = put_at(&mut pipeline, "orders", now);
        look_ups += u32::from(look_up_in_vain(&mut pipeline, now));
        assert!(matches!(outcome.outcome().unwrap(), Outcome::Failed { .. }), "at once: {at}");
    }
    assert_eq!(look_ups, 3, "in three seconds");
}

#[test]
fn streams_that_do_not_exist_are_forgotten() {
    let mut pipeline = pipeline(1);
    for stream in ["a", "b", "c"] {
        drop(put(&mut pipeline, stream));
        assert!(look_up_in_vain(&mut pipeline, start()));
    }
    pipeline.advance(start());
    assert_eq!(pipeline.streams.len(), 3, "what was refused is remembered for a second");
    let later = start() + Duration::from_secs(2);
    pipeline.advance(later);
    assert_eq!(pipeline.streams.len(), 0);
    drop(put_at(&mut pipeline, "d", later));
    assert!(look_up_in_vain(&mut pipeline, later));
    assert_eq!((pipeline.stats().outstanding(), pipeline.stats().user_records_failed), (0, 4));
}
