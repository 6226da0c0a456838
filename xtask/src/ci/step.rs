//! One step of the checks: a call of cargo, or a check of our own.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::cargo::{cargo, workspace_root};
use crate::ci::totals::Totals;
use crate::console::say;

/// A named step.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) action: Action,
}

impl Step {
    pub(super) const fn new(name: &'static str, action: Action) -> Self {
        Self { name, action }
    }
}

/// What a step does.
#[derive(Debug)]
pub(super) enum Action {
    /// Runs cargo with these arguments, and with these variables in the environment.
    Cargo { args: Vec<String>, env: Vec<(&'static str, &'static str)> },
    /// Runs a function; the text is the command that repeats it.
    Check(&'static str, fn() -> Result<(), String>),
}

impl Action {
    pub(super) fn cargo(args: &[&str]) -> Self {
        Self::Cargo { args: args.iter().map(|arg| (*arg).to_owned()).collect(), env: Vec::new() }
    }

    pub(super) fn env(mut self, name: &'static str, value: &'static str) -> Self {
        if let Self::Cargo { env, .. } = &mut self {
            env.push((name, value));
        }
        self
    }

    /// The command that repeats the step, for a shell in the workspace's root.
    pub(super) fn described(&self) -> String {
        match self {
            Self::Check(command, _) => (*command).to_owned(),
            Self::Cargo { args, env } => {
                let variables: String = env.iter().map(|(name, value)| format!("{name}='{value}' ")).collect();
                format!("{variables}cargo {}", args.join(" "))
            }
        }
    }

    pub(super) fn run(&self, totals: &mut Totals) -> Result<(), String> {
        match self {
            Self::Check(_, check) => check(),
            Self::Cargo { args, env } => pass_through(cargo().args(args).envs(env.iter().copied()), totals),
        }
    }
}

/// Shows the command's output as it comes, and reads the results of tests off it.
fn pass_through(command: &mut Command, totals: &mut Totals) -> Result<(), String> {
    let mut child = command
        .current_dir(workspace_root())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start cargo: {error}"))?;
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line.map_err(|error| format!("cannot read the output of cargo: {error}"))?;
            let line = String::from_utf8_lossy(&line);
            totals.read(&line);
            say(line);
        }
    }
    let status = child.wait().map_err(|error| format!("cannot wait for cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err(status.to_string()) }
}

/// Measures how long a step takes.
pub(super) struct Stopwatch(std::time::Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "the time that a person waits; there is no runtime here")]
    pub(super) fn start() -> Self {
        Self(std::time::Instant::now())
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
