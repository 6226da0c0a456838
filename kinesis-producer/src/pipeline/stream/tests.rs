use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kinesis::operation::put_records::PutRecordsOutput;
use aws_sdk_kinesis::types::PutRecordsResultEntry;
use kinesis_core::{HashKey, HashKeyRange, RandomStream, Randomness, RequestError, RequestErrorKind, Shard, ShardId};
use tokio::time::Instant;

use super::{Context, OpenStream};
use crate::acknowledgement::PutHandle;
use crate::config::ProducerConfig;
use crate::outcome::{AttemptResult, FailureCause, Outcome};
use crate::pipeline::fixtures::{awaited_record, ledger, start, stream};
use crate::pipeline::ledger::Ledger;
use crate::pipeline::opening::{StreamInfo, StreamSettings};
use crate::pipeline::unit::Unit;

pub(super) const MIB: usize = 1024 * 1024;

pub(super) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn shard(index: u64, start: u128, end: u128, open: bool) -> Shard {
    Shard {
        id: ShardId::from_index(index),
        hash_key_range: HashKeyRange::new(start.into(), end.into()).unwrap(),
        parent: None,
        adjacent_parent: None,
        starting_sequence_number: 1.into(),
        ending_sequence_number: (!open).then(|| 2.into()),
    }
}

/// One shard 0 of hash keys 0 to 99, and its two halves 1 and 2.
pub(super) fn before_split() -> Vec<Shard> {
    vec![shard(0, 0, 99, true)]
}

pub(super) fn after_split() -> Vec<Shard> {
    vec![shard(0, 0, 99, false), shard(1, 0, 49, true), shard(2, 50, 99, true)]
}

pub(super) fn info(shards: Vec<Shard>) -> StreamInfo {
    StreamInfo { settings: StreamSettings { record_limit_bytes: MIB, by_partition_key: true }, shards }
}

/// A stream with its accounts, stepped by hand.
pub(super) struct Bench {
    pub(super) stream: OpenStream,
    ledger: Ledger,
    random: RandomStream,
    pub(super) now: Instant,
    sequence: u64,
}

impl Bench {
    pub(super) fn new(config: ProducerConfig) -> Self {
        let info = info(before_split());
        Self {
            stream: OpenStream::new(stream(), Arc::new(config), &info, start()).unwrap(),
            ledger: ledger(),
            random: Randomness::from_seed(1).stream("retry"),
            now: start(),
            sequence: 0,
        }
    }

    pub(super) fn act<T>(&mut self, act: impl FnOnce(&mut OpenStream, &mut Context<'_>) -> T) -> T {
        let mut ctx = Context { now: self.now, ledger: &mut self.ledger, random: &mut self.random, urgent: false };
        act(&mut self.stream, &mut ctx)
    }

    pub(super) fn put_data(&mut self, key: &str, hash_key: u128, data: &[u8]) -> PutHandle {
        let (mut record, outcome) = awaited_record(self.sequence, key, data, self.now);
        self.sequence += 1;
        record.explicit_hash_key = Some(HashKey::new(hash_key));
        record.hash_key = HashKey::new(hash_key);
        record.tracker.generation = self.ledger.open(0, self.now);
        self.act(|stream, ctx| stream.accept(record, ctx));
        outcome
    }

    pub(super) fn put(&mut self, key: &str, hash_key: u128) -> PutHandle {
        self.put_data(key, hash_key, b"data")
    }

    /// Lets time pass, and returns what is sent at its end.
    pub(super) fn send_after(&mut self, time: Duration) -> Vec<Unit> {
        self.now += time;
        self.act(|stream, ctx| stream.advance(ctx));
        self.act(|stream, ctx| stream.take_request(ctx)).unwrap_or_default()
    }

    pub(super) fn flush(&mut self) -> Vec<Unit> {
        self.act(|stream, ctx| stream.flush(ctx));
        self.act(|stream, ctx| {
            stream.collector.flush(ctx.now);
            stream.take_request(ctx)
        })
        .unwrap_or_default()
    }

    pub(super) fn answer(&mut self, units: Vec<Unit>, entries: Vec<PutRecordsResultEntry>) {
        let started = self.now;
        self.now += millis(10);
        let output = PutRecordsOutput::builder().set_records(Some(entries)).build().unwrap();
        self.act(|stream, ctx| stream.on_answer(units, started, Ok(output), ctx));
    }

    pub(super) fn answer_error(&mut self, units: Vec<Unit>, kind: RequestErrorKind) {
        let started = self.now;
        self.now += millis(10);
        let error = RequestError::new("PutRecords", "orders", kind, None, "no");
        self.act(|stream, ctx| stream.on_answer(units, started, Err(error), ctx));
    }

    /// Whether a reading of the map is wanted; if so it comes.
    pub(super) fn read_map(&mut self, shards: Vec<Shard>) -> bool {
        self.now += millis(500);
        if self.stream.map_due_at(self.now).is_none_or(|due| due > self.now) {
            return false;
        }
        self.stream.start_map_reading();
        self.act(|stream, ctx| stream.on_map(Ok(info(shards)), ctx));
        true
    }

    /// The time since the bench began.
    pub(super) fn elapsed(&self) -> Duration {
        self.now - start()
    }
}

pub(super) fn stored(shard: u64, sequence: u64) -> PutRecordsResultEntry {
    PutRecordsResultEntry::builder()
        .shard_id(ShardId::from_index(shard).as_str())
        .sequence_number(sequence.to_string())
        .build()
}

pub(super) fn refused(code: &str) -> PutRecordsResultEntry {
    PutRecordsResultEntry::builder().error_code(code).error_message("no").build()
}

pub(super) fn keys(units: &[Unit]) -> Vec<Vec<u128>> {
    let of = |unit: &Unit| unit.members.iter().map(|member| member.hash_key.value()).collect();
    units.iter().map(of).collect()
}

pub(super) fn place(outcome: &PutHandle) -> Option<(u64, String, u64)> {
    match outcome.outcome()? {
        Outcome::Stored { shard, sequence_number, sub_sequence_number, .. } => {
            Some((shard.index().unwrap(), sequence_number.to_string(), sub_sequence_number))
        }
        other => panic!("not stored: {other:?}"),
    }
}

pub(super) fn is_open(outcome: &PutHandle) -> bool {
    outcome.outcome().is_none()
}

#[test]
fn members_of_an_aggregate_share_its_place_and_count_from_zero() {
    let mut bench = Bench::new(ProducerConfig::default());
    let outcomes = [bench.put("a", 1), bench.put("b", 60)];
    assert!(bench.send_after(millis(99)).is_empty());
    assert!(bench.send_after(millis(1)).is_empty(), "the collector waits for other shards");
    let units = bench.send_after(millis(20));
    assert_eq!(keys(&units), [[1, 60]]);
    bench.answer(units, vec![stored(0, 7)]);
    let places: Vec<_> = outcomes.iter().map(|outcome| place(outcome).unwrap()).collect();
    assert_eq!(places, [(0, "7".to_owned(), 0), (0, "7".to_owned(), 1)]);
}

#[test]
fn no_member_counts_where_one_is_outside_the_shard_it_landed_on() {
    let mut bench = Bench::new(ProducerConfig::default());
    let (inside, outside) = (bench.put("a", 1), bench.put("b", 60));
    let units = bench.flush();
    bench.answer(units, vec![stored(1, 7)]);
    assert!(is_open(&inside) && is_open(&outside), "a shard that is not known judges nothing");
    assert!(bench.read_map(after_split()));
    assert!(is_open(&inside) && is_open(&outside), "all of them are sent again");
    let units = bench.send_after(millis(20));
    assert_eq!(keys(&units), [[1], [60]], "each to its own shard now");
    bench.answer(units, vec![stored(1, 8), stored(2, 3)]);
    assert_eq!(place(&inside).unwrap(), (1, "8".to_owned(), 0));
    let Outcome::Stored { attempts, .. } = outside.outcome().unwrap() else {
        panic!("it must be stored");
    };
    let results: Vec<_> = attempts.iter().map(|attempt| attempt.result.clone()).collect();
    let shard = ShardId::from_index(1);
    assert_eq!(results, [AttemptResult::WrongShard { shard }, AttemptResult::Stored]);
    assert_eq!(bench.ledger.stats.wrong_shard, 1);
}

#[test]
fn an_aggregate_that_fits_the_shard_it_landed_on_is_stored() {
    let mut bench = Bench::new(ProducerConfig::default());
    let outcomes = [bench.put("a", 1), bench.put("b", 2)];
    let units = bench.flush();
    bench.answer(units, vec![stored(1, 7)]);
    assert!(bench.read_map(after_split()));
    assert!(outcomes.iter().all(|outcome| place(outcome).is_some()));
    assert_eq!(bench.ledger.stats.wrong_shard, 0);
}

#[test]
fn a_single_record_is_stored_wherever_it_landed() {
    let mut bench = Bench::new(ProducerConfig::default());
    let outcome = bench.put("a", 60);
    let units = bench.flush();
    bench.answer(units, vec![stored(2, 7)]);
    assert_eq!(place(&outcome).unwrap(), (2, "7".to_owned(), 0));
    assert!(bench.read_map(after_split()), "the map is refreshed all the same");
    assert!(!bench.read_map(after_split()), "once");
}

#[test]
fn the_old_map_serves_while_the_new_one_is_read() {
    let mut bench = Bench::new(ProducerConfig::default());
    bench.put("a", 60);
    let units = bench.flush();
    bench.answer(units, vec![stored(2, 7)]);
    bench.now += millis(500);
    bench.stream.start_map_reading();
    bench.put("a", 1);
    bench.put("b", 60);
    assert_eq!(keys(&bench.flush()), [[1, 60]], "still packed for the shard of the old map");
}

#[test]
fn what_waits_moves_to_the_new_shards() {
    let mut bench = Bench::new(ProducerConfig::default());
    bench.put("first", 1);
    let units = bench.flush();
    bench.put("a", 60);
    bench.put("b", 2);
    bench.answer(units, vec![stored(1, 7)]);
    assert!(bench.read_map(after_split()));
    assert_eq!(keys(&bench.send_after(millis(50))), [[2], [60]]);
}

#[test]
fn what_waits_moves_too_where_another_shard_has_the_same_range() {
    let mut bench = Bench::new(ProducerConfig::default());
    let outcome = bench.put("a", 60);
    bench.stream.refresh.request_again();
    assert!(bench.read_map(vec![shard(0, 0, 99, false), shard(3, 0, 99, true)]), "split and merged in one step");
    assert!(is_open(&outcome));
    let units = bench.flush();
    bench.answer(units, vec![stored(3, 7)]);
    assert!(place(&outcome).is_some());
}

#[test]
fn a_throttled_shard_is_left_alone_and_its_record_sent_again() {
    let mut bench = Bench::new(ProducerConfig::default());
    let outcome = bench.put("a", 1);
    let units = bench.flush();
    bench.answer(units, vec![refused("ProvisionedThroughputExceededException")]);
    assert!(bench.stream.lanes[0].pause.until(bench.now).is_some());
    let units = (0..10).map(|_| bench.send_after(millis(20))).find(|units| !units.is_empty()).unwrap();
    bench.answer(units, vec![stored(0, 7)]);
    let Outcome::Stored { attempts, .. } = outcome.outcome().unwrap() else {
        panic!("it must be stored");
    };
    assert_eq!(attempts.count(), 2);
    assert_eq!((bench.ledger.stats.throttled, bench.ledger.stats.ambiguous), (1, 0));
}

#[test]
fn a_record_that_was_throttled_alone_is_definitely_not_stored() {
    let mut bench = Bench::new(ProducerConfig::default());
    for (code, definite) in [("ProvisionedThroughputExceededException", true), ("InternalFailure", false)] {
        let outcome = bench.put("a", 1);
        let units = bench.flush();
        bench.answer(units, vec![refused(code)]);
        bench.send_after(Duration::from_secs(30));
        let outcome = outcome.outcome().unwrap();
        assert_eq!(matches!(outcome, Outcome::Failed { .. }), definite, "{outcome:?}");
        assert_eq!(matches!(outcome, Outcome::Unknown { .. }), !definite, "{outcome:?}");
    }
}

#[test]
fn permanent_errors_fail_at_once_with_their_cause() {
    let mut bench = Bench::new(ProducerConfig::default());
    let outcome = bench.put("a", 1);
    let units = bench.flush();
    bench.answer_error(units, RequestErrorKind::AccessDenied);
    let Outcome::Failed { cause, attempts } = outcome.outcome().unwrap() else {
        panic!("it must fail");
    };
    assert!(matches!(cause, FailureCause::Request(error) if error.kind() == RequestErrorKind::AccessDenied));
    assert_eq!(attempts.count(), 1);
    let outcome = bench.put("a", 1);
    let units = bench.flush();
    bench.answer(units, vec![refused("KMSDisabledException")]);
    assert!(matches!(outcome.outcome().unwrap(), Outcome::Failed { cause: FailureCause::Refused { .. }, .. }));
}

#[test]
fn an_error_after_an_ambiguous_attempt_leaves_the_outcome_unknown() {
    let mut bench = Bench::new(ProducerConfig::default());
    let outcome = bench.put("a", 1);
    let units = bench.flush();
    bench.answer_error(units, RequestErrorKind::Timeout);
    let units = bench.send_after(millis(200));
    bench.answer_error(units, RequestErrorKind::AccessDenied);
    assert!(matches!(outcome.outcome().unwrap(), Outcome::Unknown { .. }));
}

#[test]
fn a_poison_record_fails_alone() {
    let mut bench = Bench::new(ProducerConfig::default().aggregation(false));
    let mut outcomes: Vec<_> = (0..8).map(|key| bench.put("k", key)).collect();
    let mut requests = vec![bench.flush()];
    let mut calls = 0;
    while let Some(units) = requests.pop() {
        calls += 1;
        if keys(&units).concat().contains(&5) {
            bench.answer_error(units, RequestErrorKind::InvalidArgument);
        } else {
            let entries = units.iter().map(|_| stored(0, 1)).collect();
            bench.answer(units, entries);
        }
        requests.extend(std::iter::from_fn(|| bench.act(|stream, ctx| stream.take_request(ctx))));
    }
    for (key, outcome) in outcomes.iter_mut().enumerate() {
        let outcome = outcome.outcome().unwrap();
        assert_eq!(outcome.is_stored(), key != 5, "{key}: {outcome:?}");
    }
    assert_eq!(calls, 7, "by halves, not one by one");
}

#[test]
fn a_record_over_the_streams_limit_never_reaches_a_request() {
    let mut bench = Bench::new(ProducerConfig::default());
    let fits = bench.put_data("k", 1, &vec![0; MIB - 1]);
    let too_large = bench.put_data("k", 1, &vec![0; MIB]);
    let cause = too_large.outcome().unwrap().into_result().unwrap_err();
    assert!(std::error::Error::source(&cause).unwrap().to_string().contains("1048577 bytes"), "the key counts");
    assert!(is_open(&fits));
}

#[test]
fn an_answer_of_another_length_is_no_answer() {
    let mut bench = Bench::new(ProducerConfig::default());
    let outcome = bench.put("a", 1);
    let units = bench.flush();
    bench.answer(units, vec![stored(0, 7), stored(0, 8)]);
    assert!(is_open(&outcome));
    assert_eq!(bench.ledger.stats.ambiguous, 1);
    assert_eq!(keys(&bench.send_after(millis(200))), [[1]]);
}

#[test]
fn only_members_whose_time_is_up_expire() {
    let config = ProducerConfig::default().record_max_buffered_time(Duration::from_secs(10)).record_ttl(millis(10_100));
    let mut bench = Bench::new(config);
    let old = bench.put("a", 1);
    bench.now += Duration::from_secs(5);
    let young = bench.put("b", 2);
    let units = bench.flush();
    bench.answer_error(units, RequestErrorKind::Unreachable);
    bench.stream.pause.fail(
        bench.now,
        bench.now,
        &kinesis_core::Backoff::new(millis(60_000), millis(60_000), 1.0),
        &mut bench.random,
    );
    bench.send_after(Duration::from_secs(6));
    assert!(matches!(old.outcome().unwrap(), Outcome::Failed { cause: FailureCause::Expired { .. }, .. }));
    assert!(is_open(&young));
    bench.send_after(Duration::from_secs(5));
    assert!(matches!(young.outcome().unwrap(), Outcome::Failed { cause: FailureCause::Expired { .. }, .. }));
}

#[test]
fn what_waits_for_a_map_that_does_not_come_ends_as_unknown() {
    let mut bench = Bench::new(ProducerConfig::default());
    let outcomes = [bench.put("a", 1), bench.put("b", 60)];
    let units = bench.flush();
    bench.answer(units, vec![stored(1, 7)]);
    bench.send_after(Duration::from_secs(30));
    for outcome in &outcomes {
        assert!(matches!(outcome.outcome().unwrap(), Outcome::Unknown { .. }), "a copy is in the wrong shard");
    }
}

fn ordered() -> Bench {
    Bench::new(ProducerConfig::default().ordered(true))
}

#[test]
fn in_ordered_mode_a_shard_has_one_kinesis_record_on_its_way() {
    let mut bench = ordered();
    bench.put("a", 1);
    let first = bench.flush();
    bench.put("a", 1);
    assert!(bench.flush().is_empty() && bench.send_after(millis(500)).is_empty());
    bench.answer_error(first, RequestErrorKind::Timeout);
    let again = bench.send_after(millis(200));
    assert_eq!(again[0].sequence(), 0, "what was on its way goes first");
    bench.answer(again, vec![stored(0, 7)]);
    assert_eq!(bench.send_after(Duration::ZERO)[0].sequence(), 1, "at once, its time to wait is over");
}

#[test]
fn in_ordered_mode_a_child_waits_for_what_its_parent_has_on_the_way() {
    let mut bench = ordered();
    bench.put("a", 1);
    bench.put("b", 60);
    let parent = bench.flush();
    bench.put("b", 60);
    bench.stream.refresh.request_again();
    assert!(bench.read_map(after_split()));
    assert!(bench.send_after(millis(500)).is_empty(), "the parent's record may still land");
    bench.answer(parent, vec![stored(2, 7)]);
    assert!(bench.read_map(after_split()));
    let sequences: Vec<_> = bench.send_after(Duration::ZERO).iter().map(Unit::sequence).collect();
    assert_eq!(sequences, [0, 1], "the members of the wrong shard before the record that came later");
    assert!(bench.send_after(millis(500)).is_empty());
}

#[test]
fn in_ordered_mode_an_unknown_outcome_breaks_its_key_until_acknowledged() {
    let mut bench = ordered();
    let first = bench.put("a", 1);
    let units = bench.flush();
    bench.now += millis(10);
    let (queued, other) = (bench.put("a", 1), bench.put("b", 2));
    bench.answer_error(units, RequestErrorKind::Timeout);
    bench.stream.pause.succeed();
    let at_its_end = start() + Duration::from_secs(30) - bench.now;
    let units = bench.send_after(at_its_end);
    assert!(matches!(first.outcome().unwrap(), Outcome::Unknown { .. }));
    let outcome = queued.outcome().unwrap();
    assert!(matches!(outcome, Outcome::Failed { cause: FailureCause::OrderBroken, .. }), "{outcome:?}");
    assert_eq!(keys(&units), [[2]], "other keys go on");
    bench.answer(units, vec![stored(0, 7)]);
    assert!(place(&other).is_some());
    let later = bench.put("a", 1);
    assert!(matches!(later.outcome().unwrap(), Outcome::Failed { cause: FailureCause::OrderBroken, .. }));
    bench.stream.acknowledge("a");
    assert!(is_open(&bench.put("a", 1)));
}

#[test]
fn attempts_tell_when_they_began_and_how_long_they_took() {
    let mut bench = Bench::new(ProducerConfig::default());
    let outcome = bench.put("a", 1);
    let units = bench.flush();
    bench.answer_error(units, RequestErrorKind::Timeout);
    let again = bench.send_after(millis(200));
    bench.answer(again, vec![stored(0, 7)]);
    let outcome = outcome.outcome().unwrap();
    let attempts = outcome.attempts().iter().map(|attempt| (attempt.started - start(), attempt.duration));
    assert_eq!(attempts.collect::<Vec<_>>(), [(millis(0), millis(10)), (millis(210), millis(10))]);
    assert_eq!(outcome.attempts().iter().filter(|attempt| attempt.result == AttemptResult::Stored).count(), 1);
}

#[test]
fn a_success_after_the_time_to_live_is_a_success() {
    let mut bench = Bench::new(ProducerConfig::default());
    let outcome = bench.put("a", 1);
    let units = bench.flush();
    bench.now += Duration::from_secs(40);
    bench.act(|stream, ctx| stream.advance(ctx));
    assert!(is_open(&outcome), "an attempt under way is not cut short");
    bench.answer(units, vec![stored(0, 7)]);
    assert!(place(&outcome).is_some());
}

#[test]
fn a_map_that_cannot_be_read_leaves_the_old_one_and_is_read_again_after_a_pause() {
    let mut bench = Bench::new(ProducerConfig::default());
    bench.stream.refresh.request_again();
    let mut waits = Vec::new();
    for _ in 0..12 {
        let due = bench.stream.map_due_at(bench.now).unwrap().max(bench.now);
        waits.push(due - bench.now);
        bench.now = due;
        bench.stream.start_map_reading();
        let kind = RequestErrorKind::Internal;
        let error = RequestError::new("ListShards", "orders", kind, None, "no");
        bench.act(|stream, ctx| stream.on_map(Err(error), ctx));
    }
    assert!(waits.iter().all(|wait| *wait <= Duration::from_secs(5)), "{waits:?}");
    assert!(waits.iter().sum::<Duration>() > Duration::from_secs(5), "{waits:?}");
    bench.put("a", 1);
    bench.put("b", 60);
    assert_eq!(keys(&bench.flush()), [[1, 60]], "packed by the old map");
}

#[test]
fn after_a_refused_request_one_goes_ahead_of_the_others() {
    let mut bench = Bench::new(ProducerConfig::default().aggregation(false).collection_max_count(1));
    let outcomes: Vec<_> = (0..4).map(|key| bench.put("k", key)).collect();
    let requests: Vec<_> = std::iter::from_fn(|| bench.act(|stream, ctx| stream.take_request(ctx))).collect();
    assert_eq!(requests.len(), 4);
    for units in requests {
        bench.answer_error(units, RequestErrorKind::Throttled);
    }
    bench.now += Duration::from_secs(6);
    bench.act(|stream, ctx| stream.advance(ctx));
    let probe = bench.act(|stream, ctx| stream.take_request(ctx)).unwrap();
    assert!(bench.act(|stream, ctx| stream.take_request(ctx)).is_none(), "its answer says whether the others may go");
    assert!(bench.stream.next_deadline(bench.now, true).is_none_or(|due| due > bench.now), "the answer wakes");
    bench.answer(probe, vec![stored(0, 7)]);
    let rest: Vec<_> = std::iter::from_fn(|| bench.act(|stream, ctx| stream.take_request(ctx))).collect();
    assert_eq!((rest.len(), outcomes.iter().filter(|outcome| !is_open(outcome)).count()), (3, 1));
}
