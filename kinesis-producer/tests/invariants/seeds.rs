//! The runs that all checks share, each played once.

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use kinesis_producer::Outcome;

use crate::account::{Account, End, Fate, Verdict, Violation};
use crate::run::play;

const SEEDS: Range<u64> = 0..150;
const PARTS: usize = 12;

static PLAYED: [OnceLock<Vec<Account>>; PARTS] = [const { OnceLock::new() }; PARTS];
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// The seeds that are played: those of `PRODUCER_SEEDS`, which is a number or a range such as `0..1000`, or all.
fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var("PRODUCER_SEEDS") else { return SEEDS };
    let number = |text: &str| text.parse::<u64>().expect("PRODUCER_SEEDS is a number or a range such as 0..1000");
    match text.split_once("..") {
        Some((from, to)) => number(from)..number(to),
        None => number(&text)..number(&text) + 1,
    }
}

/// Whether all seeds are played, so that it can be asked what they meet.
pub(crate) fn are_complete() -> bool {
    seeds() == SEEDS
}

fn part(index: usize) -> &'static [Account] {
    PLAYED[index].get_or_init(|| seeds().filter(|seed| *seed as usize % PARTS == index).map(played).collect())
}

fn played(seed: u64) -> Account {
    let played = std::panic::catch_unwind(|| play(seed));
    played.unwrap_or_else(|_| panic!("seed {seed} panicked\n{}", replay(seed)))
}

/// How to play one seed again.
fn replay(seed: u64) -> String {
    format!("again: PRODUCER_SEEDS={seed} cargo test -p kinesis-producer --test invariants")
}

/// Checks every run; the first that fails is named by its seed, with the record and all that happened to it.
#[track_caller]
pub(crate) fn check_all(invariant: &str, check: impl Fn(&Account) -> Verdict) {
    // Tests that run at the same time begin at different parts, so that they play them for each other.
    let first = NEXT.fetch_add(1, Ordering::Relaxed) * 5;
    let mut failed = Vec::new();
    for offset in 0..PARTS {
        for account in part((first + offset) % PARTS) {
            failed.extend(check(account).err().map(|violation| (account, violation)));
        }
    }
    failed.sort_by_key(|(account, _)| account.setup.seed);
    if let Some((account, violation)) = failed.first() {
        let seeds: Vec<u64> = failed.iter().map(|(account, _)| account.setup.seed).collect();
        panic!("{invariant}: seed {} of {seeds:?}: {}", account.setup.seed, story(account, violation));
    }
}

/// What a violation is about, for the message of a test that fails.
fn story(account: &Account, violation: &Violation) -> String {
    let mut story = format!("{}\n{}\n{:?}\n", violation.what, replay(account.setup.seed), account.setup);
    if let Some(id) = violation.id {
        story += &format!("record {id}: {:?}\n", account.puts.get(id as usize));
        account.tries_of(id).iter().for_each(|tried| story += &format!("  tried {tried:?}\n"));
        account.copies_of(id).for_each(|copy| story += &format!("  stored {copy:?}\n"));
    }
    story + &format!("the plan: {}", account.plan.to_json())
}

/// An account that has everything in it that a falsified one could be made of: in ordered mode, or not.
pub(crate) fn sound(ordered: bool) -> Account {
    let is_sound = |account: &&Account| {
        let stored = account.resolved().filter(|(_, _, outcome)| outcome.is_stored()).count();
        let failed = account.resolved().filter(|(_, _, outcome)| matches!(outcome, Outcome::Failed { .. })).count();
        let refused = account.puts.iter().any(|put| matches!(put.fate, Fate::NotAccepted));
        let closed = account.setup.end == End::Close && account.setup.ordered == ordered;
        closed && stored > 50 && (failed > 0 || ordered) && (refused || ordered)
    };
    let found = if are_complete() {
        (0..PARTS).flat_map(part).find(is_sound).cloned()
    } else {
        // The one seed that is looked into may have nothing of it.
        SEEDS.map(play).find(|account| is_sound(&account))
    };
    found.expect("one seed in ten has all of that")
}

/// Looks at every run.
pub(crate) fn for_each(look: impl FnMut(&Account)) {
    (0..PARTS).flat_map(part).for_each(look);
}
