//! `cargo xtask ci`: everything that must hold before a change lands.

mod step;
mod totals;

use std::process::ExitCode;
use std::time::Duration;

use crate::ci::step::{Action, Step, Stopwatch};
use crate::ci::totals::Totals;
use crate::console::say;
use crate::{cargo, downstream, package_check, sim, tidy};

/// What must not be in the tree of the aggregation format: it is for programs without runtime and SDK.
const HEAVY: [&str; 4] = ["aws-", "tokio", "hyper", "rustls"];

/// The tests that need the SDK of CloudWatch.
const CLOUDWATCH: [&str; 6] = ["-p", "kinesis-producer", "--features", "cloudwatch", "--lib", "--test=metrics"];

/// The tests that need the SDK of DynamoDB's streams.
const DYNAMODB: [&str; 6] = ["-p", "kinesis-consumer", "--features", "dynamodb-streams", "--lib", "--test=dynamodb"];

fn steps() -> Vec<Step> {
    let deny = ["--", "-D", "warnings"];
    let clippy = |args: &[&str]| Action::cargo(&[&["clippy", "--locked", "--all-targets"], args, &deny].concat());
    vec![
        Step::new("format", Action::cargo(&["fmt", "--all", "--", "--check"])),
        Step::new("tidy", Action::Check("cargo xtask tidy", tidy::check)),
        Step::new(
            "aggregation without SDK",
            Action::Check("cargo tree -p kinesis-aggregation -e normal", aggregation_is_light),
        ),
        Step::new("clippy", clippy(&["--workspace"])),
        Step::new("clippy, core without SDK", clippy(&["-p", "kinesis-core", "--no-default-features"])),
        Step::new("clippy, aggregation alone", clippy(&["-p", "kinesis-aggregation", "--no-default-features"])),
        Step::new("clippy, all features", clippy(&["--workspace", "--all-features"])),
        Step::new("tests", Action::cargo(&["test", "--locked", "--workspace", "--all-targets", "--no-fail-fast"])),
        Step::new("tests, cloudwatch", Action::cargo(&[&["test", "--locked"], &CLOUDWATCH[..]].concat())),
        Step::new("tests, dynamodb", Action::cargo(&[&["test", "--locked"], &DYNAMODB[..]].concat())),
        Step::new("simulation", Action::Check("cargo xtask sim", sim::check)),
        Step::new("doctests", Action::cargo(&["test", "--locked", "--workspace", "--doc", "--no-fail-fast"])),
        Step::new(
            "docs",
            Action::cargo(&["doc", "--locked", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"),
        ),
        Step::new("packages", Action::Check("cargo xtask package-check", package_check::check)),
        Step::new("downstream", Action::Check("cargo xtask downstream", downstream::check)),
    ]
}

/// Runs every step, also after a failed one, so that one run tells everything.
pub(crate) fn run() -> ExitCode {
    let whole = Stopwatch::start();
    let mut totals = Totals::default();
    let mut report = Vec::new();
    for step in steps() {
        say(format_args!("\n=== {}: {}", step.name, step.action.described()));
        let watch = Stopwatch::start();
        let outcome = step.action.run(&mut totals);
        let took = watch.elapsed();
        match &outcome {
            Ok(()) => say(format_args!("--- {} took {}", step.name, seconds(took))),
            Err(problem) => say(format_args!("--- {} FAILED after {}: {problem}", step.name, seconds(took))),
        }
        report.push((step, outcome.is_ok(), took));
    }
    print_report(&report, &totals, whole.elapsed());
    if report.iter().all(|(_, passed, _)| *passed) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print_report(report: &[(Step, bool, Duration)], totals: &Totals, whole: Duration) {
    say("");
    for (step, passed, took) in report {
        say(format_args!("{:<26} {:>9}  {}", step.name, seconds(*took), if *passed { "ok" } else { "FAILED" }));
    }
    say(format_args!("{:<26} {:>9}", "all", seconds(whole)));
    for (step, ..) in report.iter().filter(|(_, passed, _)| !passed) {
        say(format_args!("failed: {}; repeat it with: {}", step.name, step.action.described()));
    }
    say(totals);
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// Builds of the whole workspace unify features, so the tree is asked for by package.
fn aggregation_is_light() -> Result<(), String> {
    let args = ["tree", "--locked", "-p", "kinesis-aggregation", "-e", "normal", "--prefix", "none", "--format", "{p}"];
    let tree = cargo::output(&args)?;
    let heavy = heavy_packages(&tree);
    if heavy.is_empty() {
        return Ok(());
    }
    Err(format!("kinesis-aggregation depends on {}; it must not know the SDK, a runtime or TLS", heavy.join(", ")))
}

/// The packages of a tree that a program without runtime and SDK must not have.
pub(crate) fn heavy_packages(tree: &str) -> Vec<&str> {
    let mut heavy: Vec<_> = tree
        .lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|name| HEAVY.iter().any(|prefix| name.starts_with(prefix)))
        .collect();
    heavy.sort_unstable();
    heavy.dedup();
    heavy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cargo_step_that_resolves_is_locked() {
        for step in steps() {
            let described = step.action.described();
            let resolves = described.starts_with("cargo ") || described.contains(" cargo ");
            let exempt = described.contains("cargo fmt") || matches!(step.action, Action::Check(..));
            assert!(!resolves || exempt || described.contains("--locked"), "{described}");
        }
    }

    #[test]
    fn heavy_packages_are_found_once() {
        let tree = "kinesis-aggregation v0.1.0\nbytes v1.12.2\naws-types v1.7.0\ntokio v1.54.1\ntokio v1.54.1 (*)\n";
        assert_eq!(heavy_packages(tree), ["aws-types", "tokio"]);
        assert!(heavy_packages("kinesis-aggregation v0.1.0\nmd-5 v0.11.0").is_empty());
    }
}
