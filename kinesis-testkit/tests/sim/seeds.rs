//! Seeds by the hundred.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use kinesis_core::Randomness;
use parking_lot::Mutex;

use crate::draw::draw;
use crate::plan::Plan;
use crate::play::play;
use crate::shrink::shrink;
use crate::suite::{judge, report, write_plan};
use crate::tally::Tally;

/// Seeds, as `A..B`, and so many more at random: `A..B+N`.
const SEEDS: &str = "SIM_SEEDS";
/// The file of a plan that is to be played.
const PLAN: &str = "SIM_PLAN";
/// The file of a plan that is to be made smaller.
const SHRINK: &str = "SIM_SHRINK";
/// What is played where nothing is asked for; `cargo xtask sim` asks for more.
const FEW: &str = "0..4+2";
/// Of violations the first are told; more of them say no more.
const MOST_REPORTS: usize = 5;

/// The seeds that a text names.
fn seeds_of(text: &str) -> Option<Vec<u64>> {
    let (range, more) = text.split_once('+').unwrap_or((text, "0"));
    let (from, to) = range.split_once("..")?;
    let (from, to, more): (u64, u64, u64) = (from.parse().ok()?, to.parse().ok()?, more.parse().ok()?);
    let mut random = Randomness::from_entropy().stream("seeds");
    // Numbers that are easily told apart from those that are always played.
    let drawn = (0..more).map(|_| 1_000_000 + random.below(1 << 40));
    Some((from..to).chain(drawn).collect())
}

/// What this thread has had of a processor; nothing where the system does not tell.
fn cpu_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// Plays every seed, as many at a time as there are processors; returns what it came to, and what was broken.
fn play_all(seeds: &[u64]) -> (Tally, Vec<String>) {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(seeds.len());
    let bar = ProgressBar::new(seeds.len() as u64);
    let style = "{elapsed_precise} {wide_bar} {pos}/{len} seeds, {eta} left";
    bar.set_style(ProgressStyle::with_template(style).expect("the template is sound"));
    let (next, results) = (AtomicUsize::new(0), Mutex::new((Tally::default(), Vec::new())));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let begun = cpu_time();
                let mut tally = Tally::default();
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let plan = draw(*seed);
                    let played = play(&plan);
                    tally.add(&played);
                    if let Some(violation) = judge(&played) {
                        tally.violations += 1;
                        results.lock().1.push(report(&plan, &played, &violation));
                    }
                    bar.inc(1);
                }
                tally.cpu_time = cpu_time().zip(begun).map(|(now, begun)| now - begun);
                results.lock().0.merge(tally);
            });
        }
    });
    bar.finish_and_clear();
    results.into_inner()
}

fn plan_in(file: &str) -> Plan {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{file} cannot be read: {error}"));
    Plan::from_json(&text).unwrap_or_else(|problem| panic!("{file}: {problem}"))
}

/// Plays a plan of a file once.
fn replay(file: &str) {
    let plan = plan_in(file);
    let played = play(&plan);
    let mut tally = Tally::default();
    tally.add(&played);
    println!("{tally}");
    if let Some(violation) = judge(&played) {
        panic!("{}", report(&plan, &played, &violation));
    }
}

/// Makes the plan of a file smaller, as long as it breaks the same invariant.
fn make_smaller(file: &str) {
    let plan = plan_in(file);
    let Some(violation) = judge(&play(&plan)) else { panic!("{file} breaks nothing") };
    let smallest = shrink(&plan, |plan| judge(&play(plan)).is_some_and(|found| found.invariant == violation.invariant));
    let (steps, runs) = (smallest.steps.len(), smallest.runs.len());
    println!("{} steps and {runs} runs break {}: {}", steps, violation.invariant, write_plan(&smallest).display());
    let played = play(&smallest);
    if let Some(violation) = judge(&played) {
        println!("{}", report(&smallest, &played, &violation));
    }
}

/// All invariants hold for every seed that is asked for; or the plan of a file is played, or made smaller.
#[test]
fn every_seed_holds() {
    if let Ok(file) = std::env::var(PLAN) {
        return replay(&file);
    }
    if let Ok(file) = std::env::var(SHRINK) {
        return make_smaller(&file);
    }
    let asked = std::env::var(SEEDS).unwrap_or_else(|_| FEW.to_owned());
    let seeds = seeds_of(&asked).unwrap_or_else(|| panic!("{SEEDS}={asked} is not of the form A..B or A..B+N"));
    let (tally, reports) = play_all(&seeds);
    println!("{tally}");
    let shown = reports.iter().take(MOST_REPORTS).cloned().collect::<Vec<_>>().join("\n\n");
    assert!(reports.is_empty(), "{} of {} seeds:\n{shown}", reports.len(), seeds.len());
    assert!(tally.records > 1000 * tally.seeds, "the runs have next to nothing to check: {tally}");
}

#[test]
fn seeds_are_read_as_they_are_written() {
    assert_eq!(seeds_of("3..6"), Some(vec![3, 4, 5]));
    let some = seeds_of("0..1+2").unwrap();
    assert!(some.len() == 3 && some[0] == 0 && some[1] >= 1_000_000 && some[1] != some[2]);
    assert!(["", "3", "a..b", "3..6+x"].iter().all(|text| seeds_of(text).is_none()));
}
