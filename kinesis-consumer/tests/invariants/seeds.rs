//! The runs that all checks share, each played once.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use kinesis_consumer::Checkpoint;
use kinesis_core::RecordPublisher;

use crate::account::{Account, Step};
use crate::run::play;

const SEEDS: u64 = 204;
const PARTS: usize = 12;
const SHOWN_STEPS: usize = 60;

/// Every seed is read in both ways.
const PUBLISHERS: [RecordPublisher; 2] = [RecordPublisher::Polling, RecordPublisher::EnhancedFanOut];

static PLAYED: [OnceLock<Vec<Account>>; PARTS] = [const { OnceLock::new() }; PARTS];
static NEXT: AtomicUsize = AtomicUsize::new(0);

fn part(index: usize) -> &'static [Account] {
    PLAYED[index].get_or_init(|| {
        let seeds = (0..SEEDS).filter(|seed| *seed as usize % PARTS == index);
        seeds.flat_map(|seed| PUBLISHERS.map(|publisher| played(publisher, seed))).collect()
    })
}

fn played(publisher: RecordPublisher, seed: u64) -> Account {
    in_paused_time(seed, play(publisher, seed))
}

/// Plays a seed in a runtime of its own, whose time is paused.
pub(crate) fn in_paused_time<T>(seed: u64, run: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| runtime.block_on(run)));
    played.unwrap_or_else(|_| panic!("seed {seed} panicked"))
}

/// Checks every run; the first that fails is named by its seed, with its last steps.
#[track_caller]
pub(crate) fn check_all(invariant: &str, check: impl Fn(&Account) -> Result<(), String>) {
    // Tests that run at the same time begin at different parts, so that they play them for each other.
    let first = NEXT.fetch_add(1, Ordering::Relaxed) * 5;
    let mut failed = Vec::new();
    for offset in 0..PARTS {
        for account in part((first + offset) % PARTS) {
            if let Err(problem) = check(account) {
                failed.push((account, problem));
            }
        }
    }
    failed.sort_by_key(|(account, _)| account.seed);
    if let Some((account, problem)) = failed.first() {
        let seeds: Vec<_> = failed.iter().map(|(account, _)| (account.publisher, account.seed)).collect();
        let Account { publisher, seed, .. } = account;
        panic!("{invariant}: {publisher:?}, seed {seed} of {seeds:?}: {problem}\n{}", story(account));
    }
}

/// The last steps of a run, for the message of a test that fails.
pub(crate) fn story(account: &Account) -> String {
    let brief = |step: &Step| match step {
        Step::Saved { run, checkpoint } => {
            format!("run {run}: saved {} of {:?}", checkpoint.epoch, positions(checkpoint))
        }
        Step::Opened { run, restored } => format!("run {run}: opened {:?}", restored.as_ref().map(positions)),
        step => format!("{step:?}"),
    };
    let first = account.steps.len().saturating_sub(SHOWN_STEPS);
    account.steps[first..].iter().map(brief).collect::<Vec<_>>().join("\n")
}

fn positions(checkpoint: &Checkpoint) -> Vec<(String, String)> {
    let progress = |state: &kinesis_consumer::ShardState| match &state.progress {
        Some(progress) => format!("{:?}", progress.position),
        None => "waits".to_owned(),
    };
    checkpoint.streams[0].shards.iter().map(|state| (state.shard.id.to_string(), progress(state))).collect()
}

/// An account that has everything in it that a falsified one could be made of.
pub(crate) fn sound() -> Account {
    let has_all = |account: &&Account| {
        let splits = account.shards.len() > 3;
        splits && account.truth.len() > 20 && account.steps.iter().any(|step| step.run() > 1) && account.drained
    };
    part(0).iter().find(has_all).expect("one seed in twenty reshards and crashes").clone()
}

/// Looks at every run.
pub(crate) fn for_each(look: impl FnMut(&Account)) {
    (0..PARTS).flat_map(part).for_each(look);
}
