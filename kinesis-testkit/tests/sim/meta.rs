//! Whether a seed is worth its name: played twice, in two processes, it does the same.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use crate::draw::draw;
use crate::play::play;

/// Names the file that the other process writes its trace to, and the seed.
const TRACE: &str = "SIM_TRACE";
const SEEDS: std::ops::Range<u64> = 0..6;

/// All that a run did and saw.
fn trace(seed: u64) -> String {
    let played = play(&draw(seed));
    let steps = played.account.steps.iter().map(|step| format!("{step:?}\n"));
    let produced = played.account.produced.iter().map(|record| format!("{record:?}\n"));
    steps.chain(produced).chain([played.journal.to_json_lines()]).collect()
}

/// Writes the trace of a seed where another process asks for it; without that there is nothing to do.
#[test]
fn a_trace_for_another_process() {
    let Ok(asked) = std::env::var(TRACE) else { return };
    let (seed, file) = asked.split_once(':').unwrap();
    std::fs::write(file, trace(seed.parse().unwrap())).unwrap();
}

#[test]
fn a_seed_does_the_same_in_two_processes() {
    let traces: BTreeMap<u64, String> = SEEDS.map(|seed| (seed, trace(seed))).collect();
    for (seed, here) in traces {
        let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("trace-{seed}"));
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "meta::a_trace_for_another_process"])
            .env(TRACE, format!("{seed}:{}", file.display()))
            .output()
            .unwrap();
        assert!(status.status.success(), "{status:?}");
        let there = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        let differs = here.lines().zip(there.lines()).position(|(here, there)| here != there);
        if let Some(line) = differs {
            let of = |text: &str| text.lines().nth(line).unwrap_or_default().to_owned();
            panic!("seed {seed}, line {line}:\n{}\n{}", of(&here), of(&there));
        }
        assert_eq!(here.len(), there.len(), "seed {seed}");
        assert!(here.len() > 10_000, "seed {seed} does next to nothing");
    }
}
