//! What a stream makes of listings and answers that contradict each other.

use kinesis_core::{RequestErrorKind, Shard};

use super::tests::{Bench, MIB, after_split, before_split, info, millis, stored};
use crate::config::ProducerConfig;
use crate::pipeline::opening::{StreamInfo, StreamSettings};

#[test]
fn a_listing_that_goes_back_to_the_parent_does_not_end_the_producer() {
    for ordered in [false, true] {
        let mut bench = Bench::new(ProducerConfig::default().ordered(ordered));
        let outcome = bench.put("k", 10);
        let mut units = bench.flush();
        if units.is_empty() {
            units = bench.send_after(millis(100));
        }
        assert_eq!(units.len(), 1);
        bench.act(|stream, ctx| stream.on_map(Ok(info(after_split())), ctx));
        // A stale answer of another host of the service.
        bench.act(|stream, ctx| stream.on_map(Ok(info(before_split())), ctx));
        bench.answer(units, vec![stored(0, 1)]);
        assert!(outcome.outcome().unwrap().is_stored());
        assert_eq!(bench.stream.lanes[0].out, 0);
        assert!(!bench.stream.is_held(0), "nothing is out any more");
    }
}

#[test]
fn a_shard_that_waits_for_room_gets_its_turn_though_it_takes_records() {
    let config = ProducerConfig::default().aggregation(false).rate_limit(1_000_000).collection_max_count(10);
    let mut bench = Bench::new(config);
    bench.act(|stream, ctx| stream.on_map(Ok(info(after_split())), ctx));
    let backlog: Vec<_> = (0..1000).map(|_| bench.put("b", 60)).collect();
    let mut hot = Vec::new();
    let mut sent = 0u64;
    for round in 0..100 {
        hot.push(bench.put("a", 10));
        let units = bench.act(|stream, ctx| stream.take_request(ctx)).unwrap_or_default();
        let entries = units
            .iter()
            .map(|unit| {
                sent += 1;
                stored(if unit.explicit_hash_key().value() < 50 { 1 } else { 2 }, sent)
            })
            .collect();
        bench.answer(units, entries);
        if round == 20 {
            let waiting = hot.iter().filter(|handle| handle.outcome().is_none()).count();
            let other = backlog.iter().filter(|handle| handle.outcome().is_some()).count();
            assert!(
                waiting < 20,
                "round {round}: {waiting} of {} of the one wait, {other} of the other sent",
                hot.len()
            );
        }
    }
}

#[test]
fn a_shard_that_is_listed_twice_loses_no_record() {
    let mut bench = Bench::new(ProducerConfig::default());
    let twice = [before_split(), before_split()].concat();
    bench.act(|stream, ctx| stream.on_map(Ok(info(twice)), ctx));
    let outcome = bench.put("k", 10);
    bench.act(|stream, ctx| stream.on_map(Ok(info(after_split())), ctx));
    assert!(outcome.outcome().is_none(), "{:?}", outcome.outcome());
}

#[test]
fn what_fits_a_lower_limit_is_stored_though_it_was_packed_for_a_higher_one() {
    let config = ProducerConfig::default().aggregation_max_size_bytes(5 * MIB);
    let mut bench = Bench::new(config);
    let with_limit = |limit| StreamInfo {
        settings: StreamSettings { record_limit_bytes: limit, by_partition_key: true },
        shards: before_split(),
    };
    bench.act(|stream, ctx| stream.on_map(Ok(with_limit(10 * MIB)), ctx));
    let outcomes: Vec<_> = (0..20).map(|_| bench.put_data("k", 10, &vec![0; 100_000])).collect();
    let units = bench.send_after(millis(100));
    assert_eq!(units.len(), 1);
    bench.act(|stream, ctx| stream.on_map(Ok(with_limit(MIB)), ctx));
    bench.answer_error(units, RequestErrorKind::InvalidArgument);
    assert!(outcomes[0].outcome().is_none(), "{:?}", outcomes[0].outcome());
}

/// A stream of more than 1,000 shards is listed in pages: the parent's is older than the split, the children's is not.
#[test]
fn in_ordered_mode_a_listing_with_a_parent_and_its_children_keeps_the_order() {
    let mut bench = Bench::new(ProducerConfig::default().ordered(true));
    let _first = bench.put("k", 10);
    let out = bench.send_after(millis(100));
    assert_eq!(out.len(), 1);
    let mut straddling = after_split();
    straddling[0].ending_sequence_number = None;
    bench.act(|stream, ctx| stream.on_map(Ok(info(straddling)), ctx));
    let _second = bench.put("k", 10);
    let early = bench.send_after(millis(100));
    assert!(early.is_empty(), "the second record of the key is sent while the first is on its way");
}

#[test]
fn a_reading_that_began_before_an_aggregate_landed_does_not_judge_it() {
    let mut bench = Bench::new(ProducerConfig::default());
    let outcomes = [bench.put("a", 10), bench.put("b", 20)];
    let units = bench.send_after(millis(100));
    let units = if units.is_empty() { bench.send_after(millis(100)) } else { units };
    assert_eq!(units.len(), 1);
    bench.stream.refresh.request_again();
    bench.stream.start_map_reading();
    // The shard is split, and the aggregate lands on the child that all its members belong to.
    bench.answer(units, vec![stored(1, 1)]);
    assert!(outcomes[0].outcome().is_none(), "the child is not known yet");
    // The reading was answered before the split.
    bench.act(|stream, ctx| stream.on_map(Ok(info(before_split())), ctx));
    let again = bench.send_after(millis(300)).len();
    assert!(bench.read_map(after_split()));
    assert!(outcomes[0].outcome().is_some_and(|outcome| outcome.is_stored()), "{again} sent again");
}

/// An AUTO stream that is not known as one, since DescribeStreamSummary is denied.
#[test]
fn an_aggregate_that_never_lands_in_its_shard_is_not_stored_over_and_over() {
    let mut bench = Bench::new(ProducerConfig::default());
    bench.act(|stream, ctx| stream.on_map(Ok(info(after_split())), ctx));
    let outcomes = [bench.put("a", 10), bench.put("b", 20)];
    let mut copies = 0;
    while outcomes[0].outcome().is_none() {
        let units = bench.send_after(millis(10));
        if !units.is_empty() {
            copies += units.len() as u64;
            let entries = units.iter().map(|_| stored(2, copies)).collect();
            bench.answer(units, entries);
        }
        bench.read_map_if_due(after_split());
    }
    assert!(
        copies < 20,
        "{copies} copies in {:?}: {:?}",
        bench.elapsed(),
        outcomes[0].outcome().map(|o| o.is_stored())
    );
}

impl Bench {
    fn read_map_if_due(&mut self, shards: Vec<Shard>) {
        if self.stream.map_due_at(self.now).is_some_and(|due| due <= self.now) {
            self.stream.start_map_reading();
            self.act(|stream, ctx| stream.on_map(Ok(info(shards)), ctx));
        }
    }
}
