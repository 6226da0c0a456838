//! Every check on every run, and what is said of one that fails.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::OnceLock;

use kinesis_consumer::Checkpoint;

use crate::account::{Account, Step};
use crate::draw::draw;
use crate::plan::Plan;
use crate::play::{Played, play};
use crate::{
    c01_no_loss, c02_no_double_effect, c03_prefix, c04_monotone, c05_lineage_order, c06_coverage, c07_one_reader,
    c08_honest_loss, c12_liveness, event_time, producer,
};

const SHOWN_STEPS: usize = 50;

/// A check, by the name of its invariant.
type Check = (&'static str, fn(&Played) -> Result<(), String>);

const CHECKS: [Check; 14] = [
    // First, as a run that did not come to its end breaks others too.
    ("C12", |played| c12_liveness::check(&played.account)),
    ("C1", |played| c01_no_loss::check(&played.account)),
    ("C2", |played| c02_no_double_effect::check(&played.account)),
    ("C3", |played| c03_prefix::check(&played.account)),
    ("C4", |played| c04_monotone::check(&played.account)),
    ("C5", |played| c05_lineage_order::check(&played.account)),
    ("C6", |played| c06_coverage::check(&played.account)),
    ("C7", |played| c07_one_reader::check(&played.account)),
    ("C8", |played| c08_honest_loss::none_is_made_up(&played.account)),
    ("no late record", |played| event_time::nothing_is_late(&played.account)),
    ("ascending watermarks", |played| event_time::nothing_goes_back(&played.account)),
    ("P1-P4", |played| producer::check(&played.account, &played.journal)),
    ("P6", |played| producer::limits(&played.journal)),
    ("P9", |played| producer::close(&played.account, &played.journal)),
];

/// What a run breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) invariant: &'static str,
    pub(crate) what: String,
}

/// The first invariant that a run breaks.
pub(crate) fn judge(played: &Played) -> Option<Violation> {
    let broken = |(invariant, check): &Check| check(played).err().map(|what| Violation { invariant, what });
    CHECKS.iter().find_map(broken)
}

/// All that somebody needs who is to find the fault, in one block.
pub(crate) fn report(plan: &Plan, played: &Played, violation: &Violation) -> String {
    let Violation { invariant, what } = violation;
    let file = write_plan(plan);
    let mut text = format!("{invariant} is broken by seed {}: {what}\n", plan.seed);
    let _ = writeln!(text, "commit: {}", commit());
    let _ = writeln!(text, "virtual time: {:?}", played.virtual_time);
    let _ = writeln!(text, "plan: {}", file.display());
    let _ = writeln!(text, "again: cargo xtask sim --plan {}", file.display());
    let _ = writeln!(text, "smaller: cargo xtask sim --shrink {}", file.display());
    text + &story(&played.account)
}

fn commit() -> String {
    let output = std::process::Command::new("git").args(["describe", "--always", "--dirty"]).output();
    let text = output.ok().map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.filter(|text| !text.is_empty()).unwrap_or_else(|| "not known".to_owned())
}

/// Writes a plan beside what was built.
pub(crate) fn write_plan(plan: &Plan) -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let file = directory.join(format!("seed-{}.json", plan.seed));
    std::fs::write(&file, plan.to_json()).expect("the plan can be written");
    file
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

/// A run that has everything in it that a falsified account could be made of; every check passes on it.
pub(crate) fn sound_run() -> &'static Played {
    static SOUND: OnceLock<Played> = OnceLock::new();
    SOUND.get_or_init(|| {
        let has_all = |played: &Played| {
            let account = &played.account;
            let restores = account.steps.iter().any(|step| step.run() > 1);
            account.shards.len() > 3 && account.truth.len() > 20 && restores && account.drained
        };
        let found = (0..40).map(|seed| play(&draw(seed))).find(has_all);
        found.expect("one seed in four reshards and crashes")
    })
}

/// Its account.
pub(crate) fn sound() -> Account {
    sound_run().account.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_run_breaks_nothing_and_a_falsified_one_is_named() {
        assert_eq!(judge(sound_run()), None);
        let played = play(&draw(0));
        let mut falsified = Played { account: played.account.clone(), ..played };
        falsified.account.drained = false;
        let violation = judge(&falsified).unwrap();
        assert_eq!(violation.invariant, "C12");
        let text = report(&draw(0), &falsified, &violation);
        for part in ["C12 is broken by seed 0", "commit: ", "--plan ", "--shrink ", ": saved "] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
