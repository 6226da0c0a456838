//! `cargo xtask downstream`: packages outside of the workspace that use the crates as others do.
//!
//! A build of the workspace unifies features and shares its dev-dependencies; what a user's package sees, only such a
//! package can show. Each is built and tested from a copy under `target`, beside the workspace's lock file, so that
//! nothing is fetched and no other version is chosen.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::cargo::{cargo, workspace_root};
use crate::ci::heavy_packages;
use crate::console::say;

/// Where the packages are, from the workspace's root.
const SOURCE: &str = "xtask/downstream";
/// Where they are copied: as deep as [`SOURCE`], so that the paths in their manifests hold.
const COPIES: &str = "target/downstream";
/// What they are built into, side by side with the copies.
const TARGET: &str = "build";
/// The package whose tree must be without SDK and runtime.
const LIGHT: &str = "aggregation-only";

/// Runs the check alone.
pub(crate) fn run() -> ExitCode {
    match check() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Builds and tests every package.
pub(crate) fn check() -> Result<(), String> {
    let root = workspace_root();
    for name in packages(&root.join(SOURCE))? {
        let package = root.join(COPIES).join(&name);
        copy(&root.join(SOURCE).join(&name), &package)?;
        copy_file(&root.join("Cargo.lock"), &package.join("Cargo.lock"))?;
        say(format_args!("{SOURCE}/{name}"));
        pass(call(&package).args(["test", "--offline", "--target-dir"]).arg(root.join(COPIES).join(TARGET)), &name)?;
        if name == LIGHT {
            require_light(&package)?;
        }
    }
    Ok(())
}

/// The folders with a manifest, in order.
fn packages(folder: &Path) -> Result<Vec<String>, String> {
    let mut names: Vec<String> = entries(folder)?
        .into_iter()
        .filter(|path| path.join("Cargo.toml").is_file())
        .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    if names.is_empty() { Err(format!("no package in {}", folder.display())) } else { Ok(names) }
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    let entries = fs::read_dir(folder).map_err(failed)?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(failed)).collect()
}

/// Copies a folder over what an earlier run left of it, which must not stay where the source has gone.
fn copy(from: &Path, to: &Path) -> Result<(), String> {
    if to.exists() {
        fs::remove_dir_all(to).map_err(|error| format!("{}: {error}", to.display()))?;
    }
    let mut waiting = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = waiting.pop() {
        fs::create_dir_all(&to).map_err(|error| format!("{}: {error}", to.display()))?;
        for path in entries(&from)? {
            let target = to.join(path.file_name().unwrap_or_default());
            if path.is_dir() {
                waiting.push((path, target));
            } else {
                copy_file(&path, &target)?;
            }
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> Result<(), String> {
    fs::copy(from, to).map(|_| ()).map_err(|error| format!("{} to {}: {error}", from.display(), to.display()))
}

fn call(package: &Path) -> Command {
    let mut command = cargo();
    command.current_dir(package);
    command
}

fn pass(command: &mut Command, name: &str) -> Result<(), String> {
    let status = command.status().map_err(|error| format!("cannot start cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{SOURCE}/{name} does not pass: {status}")) }
}

fn require_light(package: &Path) -> Result<(), String> {
    let args = ["tree", "--offline", "-e", "normal", "--prefix", "none", "--format", "{p}"];
    let output = call(package).args(args).output().map_err(|error| format!("cannot start cargo: {error}"))?;
    let tree = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() || !tree.contains("kinesis-aggregation") {
        return Err(format!("cargo tree of {LIGHT} failed: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let heavy = heavy_packages(&tree);
    if heavy.is_empty() { Ok(()) } else { Err(format!("{LIGHT} has {} in its tree", heavy.join(", "))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packages_are_outside_of_the_workspace_and_name_no_registry_version_of_ours() {
        let folder = workspace_root().join(SOURCE);
        let names = packages(&folder).unwrap();
        assert_eq!(names, [LIGHT, "consumer-only", "tested-with-testkit"]);
        for name in names {
            let manifest = fs::read_to_string(folder.join(&name).join("Cargo.toml")).unwrap();
            assert!(manifest.contains("\n[workspace]\n"), "{name}");
            let ours = manifest.lines().filter(|line| line.starts_with("kinesis-"));
            assert!(ours.clone().count() > 0, "{name}");
            assert!(ours.into_iter().all(|line| line.contains("path = \"../../../kinesis-")), "{name}");
        }
    }

    #[test]
    fn copies_are_as_deep_as_their_source() {
        let depth = |path: &str| Path::new(path).components().count();
        assert_eq!(depth(SOURCE), depth(COPIES));
    }
}
