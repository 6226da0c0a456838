//! What the KPL's rules do, and that ours do not: each finding with the rule switched on and off.

use std::time::Duration;

use kinesis_core::RequestErrorKind;

use super::tests::{Bench, MIB, after_split, is_open, millis, place, refused, stored};
use crate::config::ProducerConfig;
use crate::outcome::Outcome;
use crate::pipeline::kpl_rule::KplRule;
use crate::pipeline::unit::Unit;

const THROUGHPUT: &str = "ProvisionedThroughputExceededException";

/// The same case by our rule, and by the KPL's.
fn both<T>(rule: KplRule, config: &ProducerConfig, case: impl Fn(Bench) -> T) -> (T, T) {
    (case(Bench::new(config.clone())), case(Bench::new(config.clone().following(Some(rule)))))
}

/// A reader by the KCL's rule drops an aggregate of which one member is outside the shard.
#[test]
fn finding_1_a_member_is_acknowledged_that_the_kcl_drops() {
    let (ours, kpls) = both(KplRule::JudgeEachMember, &ProducerConfig::default(), |mut bench| {
        let (inside, outside) = (bench.put("a", 1), bench.put("b", 60));
        let units = bench.flush();
        // The map is renewed while the request is on its way, and knows the child that the aggregate lands on.
        bench.stream.refresh.request_again();
        assert!(bench.read_map(after_split()));
        bench.answer(units, vec![stored(1, 7)]);
        (place(&inside).is_some(), place(&outside).is_some())
    });
    assert_eq!(kpls, (true, false), "acknowledged in an aggregate that is dropped whole");
    assert_eq!(ours, (false, false), "all of them are sent again");
}

#[test]
fn finding_2_what_fits_an_unknown_shard_is_stored_twice() {
    for members in [vec![1], vec![1, 2]] {
        let (ours, kpls) = both(KplRule::ResendFromUnknownShard, &ProducerConfig::default(), |mut bench| {
            members.iter().for_each(|key| drop(bench.put("k", *key)));
            let units = bench.flush();
            bench.answer(units, vec![stored(1, 7)]);
            bench.read_map(after_split());
            bench.send_after(millis(100)).len()
        });
        assert_eq!((ours, kpls), (0, 1), "sent again: {members:?}");
    }
}

#[test]
fn finding_3_an_error_that_nothing_changes_is_repeated_until_the_end() {
    let (ours, kpls) = both(KplRule::RepeatEverything, &ProducerConfig::default(), |mut bench| {
        let outcome = bench.put("a", 1);
        let mut units = bench.flush();
        let mut calls = 0;
        while outcome.outcome().is_none() {
            if !units.is_empty() {
                calls += 1;
                bench.answer_error(units, RequestErrorKind::AccessDenied);
            }
            units = bench.send_after(millis(100));
        }
        (calls, bench.elapsed())
    });
    assert!(ours.0 == 1 && ours.1 < millis(200), "{ours:?}");
    assert!(kpls.0 > 5 && kpls.1 >= Duration::from_secs(30), "{kpls:?}");
}

#[test]
fn finding_4_a_poison_record_takes_its_company_along() {
    // A limit that does not keep the poison apart by itself; without aggregation the KPL has none at all.
    let config = ProducerConfig::default().aggregation(false).rate_limit(10_000);
    let (ours, kpls) = both(KplRule::KeepPoisonInCompany, &config, |mut bench| {
        let company: Vec<_> = (2..5).map(|key| bench.put("k", key)).collect();
        let poison = bench.put_data("key", 1, &vec![0; MIB]);
        let mut units = bench.flush();
        while poison.outcome().is_none() || company.iter().any(is_open) {
            let is_refused = units.iter().any(|unit| unit.size_bytes() > MIB);
            let entries = units.iter().map(|_| stored(0, 1)).collect();
            match units.len() {
                0 => {}
                _ if is_refused => bench.answer_error(units, RequestErrorKind::InvalidArgument),
                _ => bench.answer(units, entries),
            }
            units = bench.send_after(millis(100));
        }
        company.iter().filter(|outcome| outcome.outcome().unwrap().is_stored()).count()
    });
    assert_eq!((ours, kpls), (3, 0), "records stored beside one of 1 MiB and a key of 3 bytes");
}

/// How many requests a shard gets that refuses everything for a while.
fn calls_under_throttle(mut bench: Bench) -> u32 {
    let outcome = bench.put("a", 1);
    let mut units = bench.flush();
    let mut calls = 0;
    while outcome.outcome().is_none() {
        if !units.is_empty() {
            calls += 1;
            bench.answer(units, vec![refused(THROUGHPUT)]);
        }
        units = bench.send_after(millis(10));
    }
    calls
}

#[test]
fn finding_5_a_throttled_shard_is_asked_again_and_again() {
    let (ours, kpls) = both(KplRule::RepeatWithoutBackoff, &ProducerConfig::default(), calls_under_throttle);
    assert!(ours < 30 && kpls > 300, "{ours} and {kpls} requests in 30 s");
}

#[test]
fn finding_5_without_aggregation_the_limit_of_a_shard_does_not_hold() {
    let config = ProducerConfig::default().aggregation(false);
    let (ours, kpls) = both(KplRule::LimitAggregatesOnly, &config, |mut bench| {
        (0..5000).for_each(|_| drop(bench.put("k", 1)));
        bench.act(super::OpenStream::flush);
        let mut sent = 0;
        while let Some(units) = bench.act(super::OpenStream::take_request) {
            sent += units.len();
        }
        sent
    });
    assert!(ours <= 1000, "{ours} records at once, of 1,000 in a second");
    assert_eq!(kpls, 5000);
}

#[test]
fn finding_6_while_the_map_is_read_nothing_is_aggregated() {
    let (ours, kpls) = both(KplRule::ForgetMapWhileReading, &ProducerConfig::default(), |mut bench| {
        bench.stream.refresh.request_again();
        bench.now += millis(500);
        bench.stream.start_map_reading();
        (0..100).for_each(|key| drop(bench.put("k", key)));
        bench.flush().len()
    });
    assert_eq!((ours, kpls), (1, 100), "Kinesis records for 100 records");
}

#[test]
fn finding_7_a_map_that_splits_have_made_old_is_never_read_again() {
    let config = ProducerConfig::default().record_ttl(Duration::from_secs(3600));
    let (ours, kpls) = both(KplRule::TrustOldMap, &config, |mut bench| {
        bench.now += Duration::from_secs(700);
        let outcome = bench.put("a", 1);
        let is_wanted_by_age = bench.stream.map_due_at(bench.now).is_some();
        bench.read_map(super::tests::before_split());
        // The shard throttles: it may have been split long ago, and this be half of what it takes.
        bench.now += Duration::from_secs(60);
        let mut units = bench.flush();
        for _ in 0..3 {
            assert_eq!(units.len(), 1);
            bench.answer(units, vec![refused(THROUGHPUT)]);
            bench.now += Duration::from_secs(6);
            units = bench.flush();
        }
        drop(outcome);
        (is_wanted_by_age, bench.stream.map_due_at(bench.now).is_some())
    });
    assert_eq!((ours, kpls), ((true, true), (false, false)), "wanted by age, and by throttles");
}

#[test]
fn finding_8_what_expires_while_it_is_collected_is_sent_all_the_same() {
    let (ours, kpls) = both(KplRule::CollectExpired, &ProducerConfig::default(), |mut bench| {
        let outcome = bench.put("a", 1);
        bench.now += millis(100);
        bench.act(super::OpenStream::advance);
        assert!(bench.stream.collector.oldest().is_some(), "it waits for a request that may be made");
        bench.now += Duration::from_secs(31);
        bench.act(super::OpenStream::advance);
        let sent = bench.act(super::OpenStream::take_request).map_or(0, |units: Vec<Unit>| units.len());
        (sent, matches!(outcome.outcome(), Some(Outcome::Failed { .. })))
    });
    assert_eq!((ours, kpls), ((0, true), (1, false)), "sent, and failed");
}

#[test]
fn finding_9_the_longest_time_to_live_is_over_at_once() {
    let config = ProducerConfig::default().record_ttl(Duration::from_millis(i64::MAX as u64));
    let (ours, kpls) = both(KplRule::OverflowTimes, &config, |mut bench| {
        let outcome = bench.put("a", 1);
        bench.send_after(millis(1));
        is_open(&outcome)
    });
    assert_eq!((ours, kpls), (true, false), "still waits");
}

#[test]
fn finding_10_an_idle_shard_is_sent_ten_times_what_it_takes() {
    let config = ProducerConfig::default().collection_max_count(1);
    let (ours, kpls) = both(KplRule::BurstTenMebibytes, &config, |mut bench| {
        (0..300).for_each(|_| drop(bench.put_data("k", 1, &[0; 50_000])));
        bench.act(super::OpenStream::flush);
        let mut sent = 0;
        while let Some(units) = bench.act(super::OpenStream::take_request) {
            sent += units.iter().map(Unit::size_bytes).sum::<usize>();
        }
        sent
    });
    assert!(ours <= MIB && kpls > 9 * MIB, "{ours} and {kpls} bytes at once");
}
