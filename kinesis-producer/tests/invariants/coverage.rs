//! What the runs meet: figures below these would mean that the checks look at very little.

use std::collections::BTreeMap;

use kinesis_producer::{AttemptResult, FailureCause, Outcome};
use kinesis_testkit::Delivery;

use crate::account::{End, Fate};
use crate::faults::KINDS;
use crate::seeds::{are_complete, for_each};
use crate::wire::Seen;

/// How often each kind of fault strikes at least, over all seeds.
const AT_LEAST: u64 = 20;

/// What the runs themselves make, which no rule does.
const MADE: [&str; 8] = [
    "F13 the provider failed",
    "F13 the provider was slow",
    "F13 credentials expired",
    "F14 reshard between two calls",
    "F22 a put was dropped",
    "F22 the producer was dropped",
    "F22 the runtime was dropped",
    "queue full",
];

#[test]
fn every_kind_of_fault_strikes_often() {
    let mut struck = BTreeMap::<&str, u64>::new();
    for_each(|account| account.struck.iter().for_each(|(kind, count)| *struck.entry(kind).or_default() += count));
    struck.iter().for_each(|(kind, count)| println!("{count:>6} {kind}"));
    if !are_complete() {
        return;
    }
    for kind in KINDS.iter().map(|(kind, _)| *kind).chain(MADE) {
        let count = struck.get(kind).copied().unwrap_or_default();
        assert!(count >= AT_LEAST, "{kind}: {count}, which is less than {AT_LEAST}");
    }
}

#[test]
fn the_runs_meet_what_they_are_to_meet() {
    let mut met = BTreeMap::<&str, u64>::new();
    for_each(|account| {
        let mut count = |what: &'static str, by: usize| *met.entry(what).or_default() += by as u64;
        count("runs in ordered mode", usize::from(account.setup.ordered));
        count("runs that are closed", usize::from(account.setup.end == End::Close));
        count("records", account.puts.iter().filter(|put| put.was_accepted()).count());
        count("records not accepted", account.puts.iter().filter(|put| matches!(put.fate, Fate::NotAccepted)).count());
        count("requests", account.wire.len());
        let entries = || account.wire.iter().flat_map(|request| &request.entries);
        count("aggregates", entries().filter(|entry| entry.is_aggregate).count());
        count("copies", account.copies.len());
        count("copies that a reader drops", account.copies.iter().filter(|copy| !copy.is_visible).count());
        let replayed = |copy: &&crate::account::Copy| copy.delivery != Delivery::First;
        count("copies by a replay or a late delivery", account.copies.iter().filter(replayed).count());
        let tries = || account.tries.values().flatten();
        count("ambiguous tries", tries().filter(|tried| matches!(tried.seen, Seen::Ambiguous(_))).count());
        count("refused tries", tries().filter(|tried| matches!(tried.seen, Seen::Refused(_))).count());
        for (_, _, outcome) in account.resolved() {
            let what = match outcome {
                Outcome::Stored { .. } => "stored",
                Outcome::Failed { cause: FailureCause::Expired { .. }, .. } => "failed: expired",
                Outcome::Failed { cause: FailureCause::OrderBroken, .. } => "failed: order broken",
                Outcome::Failed { cause: FailureCause::Request(_), .. } => "failed: a request",
                Outcome::Failed { .. } => "failed: otherwise",
                Outcome::Unknown { cause: FailureCause::Abandoned, .. } => "unknown: abandoned",
                Outcome::Unknown { .. } => "unknown: otherwise",
            };
            count(what, 1);
            let is_wrong =
                |attempt: &kinesis_producer::Attempt| matches!(attempt.result, AttemptResult::WrongShard { .. });
            count("sent again for a wrong shard", usize::from(outcome.attempts().iter().any(is_wrong)));
        }
    });
    met.iter().for_each(|(what, count)| println!("{count:>7} {what}"));
    if are_complete() {
        let least = BTreeMap::from([("stored", 20_000), ("unknown: otherwise", 300), ("failed: expired", 100)]);
        let least = least.into_iter().chain([
            ("failed: order broken", 200),
            ("failed: a request", 300),
            ("unknown: abandoned", 300),
            ("sent again for a wrong shard", 300),
            ("copies that a reader drops", 300),
            ("copies by a replay or a late delivery", 300),
            ("ambiguous tries", 1000),
            ("runs in ordered mode", 30),
            ("records not accepted", 200),
        ]);
        for (what, least) in least {
            let count = met.get(what).copied().unwrap_or_default();
            assert!(count >= least, "{what}: {count}, which is less than {least}");
        }
    }
}
