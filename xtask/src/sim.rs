//! `cargo xtask sim`: builds the simulation with optimisation and plays seeds, or a plan.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use crate::cargo::{cargo, workspace_root};
use crate::demo::artifact_by;

/// What is played where nothing is asked for: two hundred seeds that stay the same, and fifty that do not.
const SHORT_SET: &str = "0..200+50";

/// Asks for the deliberate faults; the simulation is told nothing.
const MUTANTS: &str = "SIM_MUTANTS";

/// What is to be played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// What tells the simulation, and what it is told.
    variable: &'static str,
    value: OsString,
}

impl Options {
    /// Reads `[--seeds A..B[+N] | --plan FILE | --shrink FILE | --mutants]`; nothing where it is something else.
    pub(crate) fn parse(words: &[OsString]) -> Option<Self> {
        let (variable, value) = match words {
            [] => ("SIM_SEEDS", SHORT_SET.into()),
            [option] if option == "--mutants" => (MUTANTS, OsString::new()),
            [option, value] => match option.to_str()? {
                "--seeds" if are_seeds(value.to_str()?) => ("SIM_SEEDS", value.clone()),
                "--plan" => ("SIM_PLAN", value.clone()),
                "--shrink" => ("SIM_SHRINK", value.clone()),
                _ => return None,
            },
            _ => return None,
        };
        Some(Self { variable, value })
    }
}

/// Whether a text reads `A..B` or `A..B+N`.
fn are_seeds(text: &str) -> bool {
    let (range, more) = text.split_once('+').unwrap_or((text, "0"));
    let is_number = |text: &str| text.parse::<u64>().is_ok();
    range.split_once("..").is_some_and(|(from, to)| is_number(from) && is_number(to)) && is_number(more)
}

/// Builds the simulation, its progress on stderr, and runs it in the current directory.
pub(crate) fn run(options: &Options) -> ExitCode {
    match play(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Plays the short set.
pub(crate) fn check() -> Result<(), String> {
    play(&Options { variable: "SIM_SEEDS", value: SHORT_SET.into() })
}

fn play(options: &Options) -> Result<(), String> {
    let program = build()?;
    let test = |name: &str| -> Result<(), String> {
        let mut command = Command::new(&program);
        command.args([name, "--nocapture"]).env(options.variable, &options.value);
        let status = command.status().map_err(|error| format!("cannot start the simulation: {error}"))?;
        if status.success() { Ok(()) } else { Err(format!("{name} failed; what is above says how to play it again")) }
    };
    if options.variable == MUTANTS {
        return test("mutants::");
    }
    if options.variable == "SIM_SEEDS" {
        // Where seeds do not repeat themselves, nothing else is worth a look.
        test("meta::a_seed_does_the_same_in_two_processes")?;
    }
    test("seeds::every_seed_holds")
}

/// In a directory of its own: tokio is built so that its randomness has a seed too, which it offers as unstable.
fn build() -> Result<PathBuf, String> {
    let mut cargo = cargo();
    let given = std::env::var("RUSTFLAGS").unwrap_or_default();
    cargo.env("RUSTFLAGS", format!("{given} --cfg tokio_unstable").trim_start());
    cargo.env("CARGO_TARGET_DIR", workspace_root().join("target").join("sim"));
    artifact_by(&mut cargo, &["--test", "sim"], "sim")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Option<(&'static str, OsString)> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        Options::parse(&words).map(|options| (options.variable, options.value))
    }

    #[test]
    fn seeds_and_files_are_read_and_everything_else_is_refused() {
        assert_eq!(parse(&[]), Some(("SIM_SEEDS", SHORT_SET.into())));
        assert_eq!(parse(&["--mutants"]), Some((MUTANTS, OsString::new())));
        assert_eq!(parse(&["--seeds", "5..9"]), Some(("SIM_SEEDS", "5..9".into())));
        assert_eq!(parse(&["--seeds", "5..9+10"]), Some(("SIM_SEEDS", "5..9+10".into())));
        assert_eq!(parse(&["--plan", "a.json"]), Some(("SIM_PLAN", "a.json".into())));
        assert_eq!(parse(&["--shrink", "a.json"]), Some(("SIM_SHRINK", "a.json".into())));
        for words in
            [&["--seeds"][..], &["--seeds", "7"], &["--seeds", "a..b"], &["--plan"], &["x"], &["--seeds", "1..2", "x"]]
        {
            assert_eq!(parse(words), None, "{words:?}");
        }
    }
}
