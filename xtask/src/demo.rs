//! `cargo xtask demo`: builds the main job with optimisation and becomes it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use crate::cargo::{cargo, workspace_root};

/// Builds the demo, its progress on stderr, and runs it in the current directory with these options.
pub(crate) fn run(options: &[OsString]) -> ExitCode {
    match build() {
        Ok(program) => become_program(Command::new(program).args(options)),
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// The path of the built demo.
pub(crate) fn build() -> Result<PathBuf, String> {
    artifact(&["--example", "demo"], "demo")
}

/// Builds a program of the testkit with optimisation; returns its path.
pub(crate) fn artifact(target: &[&str], name: &str) -> Result<PathBuf, String> {
    artifact_by(&mut cargo(), target, name)
}

/// The same, by a cargo that was set up otherwise.
pub(crate) fn artifact_by(cargo: &mut Command, target: &[&str], name: &str) -> Result<PathBuf, String> {
    let output = cargo
        .args(["build", "--release", "--locked", "--package", "kinesis-testkit"])
        .args(target)
        .arg("--message-format=json-render-diagnostics")
        .arg("--manifest-path")
        .arg(workspace_root().join("Cargo.toml"))
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot start cargo: {error}"))?;
    if !output.status.success() {
        return Err(format!("{name} does not build; the compiler's messages are above"));
    }
    executable(&String::from_utf8_lossy(&output.stdout), name)
        .ok_or_else(|| format!("cargo built {name} without saying where; run `cargo clean` and try again"))
}

/// The executable of that name among cargo's messages, one JSON object per line.
fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == name)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

/// Replaces this process, so that signals and the exit code are the program's own.
#[cfg(unix)]
fn become_program(command: &mut Command) -> ExitCode {
    use std::os::unix::process::CommandExt;
    let error = command.exec();
    eprintln!("error: cannot start {}: {error}", command.get_program().display());
    ExitCode::FAILURE
}

#[cfg(not(unix))]
fn become_program(command: &mut Command) -> ExitCode {
    match command.status() {
        Ok(status) => ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)),
        Err(error) => {
            eprintln!("error: cannot start {}: {error}", command.get_program().display());
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_the_examples() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"kinesis_core"},"executable":null}
not json
{"reason":"compiler-artifact","target":{"name":"demo"},"executable":"/t/release/examples/demo"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages, "demo"), Some(PathBuf::from("/t/release/examples/demo")));
        assert_eq!(executable("{}", "demo"), None);
    }
}
