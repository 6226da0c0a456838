//! Half an hour of load with a reshard in every minute.

use std::collections::BTreeMap;

use kinesis_producer::Outcome;

use crate::account::{Account, End, Fate};
use crate::faults::Schedule;
use crate::run::play_with;
use crate::workload::{Setup, millis};
use crate::{p1_acknowledged, p2_answered, p3_definite, p4_copies, p5_order, p6_limits, p7_bounds, p9_close};

const MINUTES: usize = 30;

fn setup(seed: u64, ordered: bool) -> Setup {
    let mut setup = Setup::draw(seed);
    // Times that every record can be stored in, and everything else as it is by default.
    let (ttl, whole) = (millis(120_000), kinesis_producer::ProducerConfig::default());
    setup.config = whole.record_ttl(ttl).ordered(ordered);
    (setup.ordered, setup.ttl, setup.end, setup.steps) = (ordered, ttl, End::Close, 0);
    (setup.queue_limit, setup.collection) = ((100_000, 64 << 20), (500, 5 << 20));
    (setup.aggregation, setup.data_timeout) = ((u32::MAX as usize, 51_200), millis(5000));
    (setup.limited, setup.provided, setup.updating) = (true, false, millis(1000));
    setup.minutes = MINUTES;
    setup
}

#[track_caller]
fn check_all(account: &Account) {
    for check in [
        p1_acknowledged::check,
        p2_answered::check,
        p3_definite::check,
        p4_copies::check,
        p5_order::check,
        p6_limits::check,
        p7_bounds::check_time,
        p9_close::check,
    ] {
        if let Err(violation) = check(account) {
            panic!("seed {}: {violation:?}", account.setup.seed);
        }
    }
    let made = account.struck["F14 reshard between two calls"];
    assert_eq!(made, MINUTES as u64);
    let records = account.puts.iter().filter(|put| put.was_accepted()).count();
    assert!(records > MINUTES * 300, "{records} records");
}

/// How often a reader by the KCL's rule meets each record.
fn met(account: &Account) -> BTreeMap<u64, usize> {
    let mut met = BTreeMap::new();
    account.copies.iter().filter(|copy| copy.is_visible).for_each(|copy| *met.entry(copy.id).or_default() += 1);
    met
}

#[test]
fn half_an_hour_of_reshards_loses_and_repeats_nothing() {
    for (seed, ordered) in [(1, false), (2, true)] {
        let account = play_with(setup(seed, ordered), &Schedule::none());
        check_all(&account);
        let met = met(&account);
        for (id, put) in account.puts.iter().enumerate() {
            assert!(
                !matches!(put.fate, Fate::Resolved(Outcome::Failed { .. } | Outcome::Unknown { .. }, _)),
                "{put:?}"
            );
            assert_eq!(met.get(&(id as u64)), Some(&1), "seed {seed}: record {id} for a reader by the KCL's rule");
        }
        let resent = account.copies.len() - met.len();
        println!("seed {seed}: {} records, {resent} copies in aggregates that a reader drops", met.len());
    }
}

#[test]
fn half_an_hour_of_reshards_and_faults_loses_nothing_that_is_acknowledged() {
    for (seed, ordered) in [(3, false), (4, true)] {
        let account = play_with(setup(seed, ordered), &Schedule::spread(seed));
        check_all(&account);
        let (met, stored) = (met(&account), account.resolved().filter(|(_, _, outcome)| outcome.is_stored()));
        let stored: Vec<u64> = stored.map(|(id, ..)| id).collect();
        assert!(stored.iter().all(|id| met.contains_key(id)), "seed {seed}");
        let ambiguous = account.resolved().filter(|(_, _, outcome)| matches!(outcome, Outcome::Unknown { .. })).count();
        println!("seed {seed}: {} stored, {ambiguous} unknown, {} copies", stored.len(), account.copies.len());
        assert!(stored.len() > account.puts.len() / 2, "seed {seed}: {} of {}", stored.len(), account.puts.len());
    }
}
