//! The tests.

use std::collections::BTreeMap;

use crate::model::Mutant;
use crate::run::run;

const SEQUENCES: u64 = 10_000;
/// A wrong model must be found by one of the first so many sequences.
const FOUND_WITHIN: u64 = 2_000;

/// What all sequences together must have done, and how often at least.
const COVERAGE: &[(&str, u64)] = &[
    ("served", 200_000),
    ("records put", 100_000),
    ("records put into children", 40_000),
    ("records put while UPDATING", 5_000),
    ("records trimmed", 20_000),
    ("records as large as can be", 5),
    ("reads of several records", 5_000),
    ("reads that leave records behind", 3_000),
    ("iterators at trimmed records", 300),
    ("expired iterators", 10_000),
    ("iterators of gone streams", 2_000),
    ("iterators of gone shards", 100),
    ("splits", 8_000),
    ("splits of closed shards", 500),
    ("merges", 6_000),
    ("merges of shards apart", 3_000),
    ("ends with the last records", 3_000),
    ("ends without records", 5_000),
    ("closed shards vanished", 5_000),
    ("filtered listings", 8_000),
    ("shard pages", 4_000),
    ("page tokens redeemed", 1_000),
    ("expired page tokens", 500),
    ("retention increased", 1_000),
    ("retention decreased", 400),
    ("record sizes updated", 500),
    ("streams deleted", 2_000),
    ("streams created again", 600),
    ("shard counts updated", 1_000),
    ("tags added", 1_000),
    ("tags removed", 500),
    ("consumers registered", 500),
    ("consumers deregistered", 100),
    ("encryption changed", 1_000),
    ("modes changed", 300),
];

#[tokio::test(start_paused = true)]
async fn ten_thousand_sequences_agree_with_a_naive_model() {
    if let Ok(seed) = std::env::var("NAIVE_SEED") {
        let seed = seed.parse().expect("NAIVE_SEED is a number");
        run(seed, None).await.unwrap_or_else(|difference| panic!("{difference}"));
        return;
    }
    let mut total: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 0..SEQUENCES {
        let coverage = run(seed, None).await.unwrap_or_else(|difference| panic!("{difference}"));
        for (what, count) in coverage {
            *total.entry(what).or_default() += count;
        }
    }
    for (what, count) in &total {
        println!("{count:>8} {what}");
    }
    for (what, least) in COVERAGE.iter().copied() {
        let count = total.get(what).copied().unwrap_or_default();
        assert!(count >= least, "{what}: {count}, which is less than {least}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_model_is_found() {
    for mutant in Mutant::ALL {
        let mut found = None;
        for seed in 0..FOUND_WITHIN {
            if run(seed, Some(mutant)).await.is_err() {
                found = Some(seed);
                break;
            }
        }
        println!("{mutant:?} is found by seed {found:?}");
        assert!(found.is_some(), "{mutant:?} is not found within {FOUND_WITHIN} sequences");
    }
}
