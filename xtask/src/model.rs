//! `cargo xtask model`: whether the service model's constraints are still those that their script makes.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use crate::cargo::workspace_root;
use crate::console::say;

const SCRIPT: &str = "kinesis-testkit/model/generate.py";
const MODEL: &str = "kinesis-testkit/model/kinesis-2013-12-02.json";

/// Runs the check; with `write` the file is made anew.
pub(crate) fn run(write: bool) -> ExitCode {
    match check(&workspace_root(), write) {
        Ok(outcome) => {
            say(outcome);
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn check(root: &Path, write: bool) -> Result<String, String> {
    let script =
        std::fs::read_to_string(root.join(SCRIPT)).map_err(|error| format!("cannot read {SCRIPT}: {error}"))?;
    let version = botocore_version(&script).ok_or_else(|| format!("{SCRIPT} names no version of botocore"))?;
    let python = python_with_botocore(root, version)?;
    let made = output(Command::new(python).arg(root.join(SCRIPT)))?;
    if write {
        std::fs::write(root.join(MODEL), made).map_err(|error| format!("cannot write {MODEL}: {error}"))?;
        return Ok(format!("{MODEL} is made from botocore {version}"));
    }
    let kept = std::fs::read(root.join(MODEL)).map_err(|error| format!("cannot read {MODEL}: {error}"))?;
    if kept == made {
        return Ok(format!("{MODEL} is what {SCRIPT} makes from botocore {version}"));
    }
    Err(format!("{MODEL} is not what {SCRIPT} makes from botocore {version}: run `cargo xtask model --write`"))
}

/// The version that the script wants: `BOTOCORE = "1.2.3"`.
fn botocore_version(script: &str) -> Option<&str> {
    let line = script.lines().find_map(|line| line.strip_prefix("BOTOCORE = \""))?;
    line.strip_suffix('"')
}

/// The interpreter of an environment under `target/` that has botocore, made where it is not there.
fn python_with_botocore(root: &Path, version: &str) -> Result<PathBuf, String> {
    let environment = root.join("target").join("model").join(format!("botocore-{version}"));
    let python = environment.join("bin").join("python");
    if !environment.join("ready").is_file() {
        output(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
        let package = format!("botocore=={version}");
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", &package];
        output(Command::new(&python).args(install))?;
        std::fs::write(environment.join("ready"), "")
            .map_err(|error| format!("cannot mark the environment: {error}"))?;
    }
    Ok(python)
}

/// Runs a command and returns what it printed; its stderr is passed through.
fn output(command: &mut Command) -> Result<Vec<u8>, String> {
    let described = [command.get_program()].into_iter().chain(command.get_args()).collect::<Vec<&OsStr>>();
    let described = described.join(OsStr::new(" ")).display().to_string();
    let output =
        command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().map_err(|error| {
            format!("cannot start `{described}` (it needs Python 3 and the package index): {error}")
        })?;
    if !output.status.success() {
        return Err(format!("`{described}` failed: {}", output.status));
    }
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_names_its_botocore() {
        let script = std::fs::read_to_string(workspace_root().join(SCRIPT)).unwrap();
        let version = botocore_version(&script).unwrap();
        assert!(version.split('.').count() == 3, "{version}");
        let model = std::fs::read_to_string(workspace_root().join(MODEL)).unwrap();
        assert!(model.contains(&format!("\"botocore\": \"{version}\"")), "the model is of another version");
        assert_eq!(botocore_version("import json"), None);
    }
}
