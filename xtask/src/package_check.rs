//! `cargo xtask package-check`: every crate packs, and builds from what was packed.

use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::process::ExitCode;

use crate::cargo::{cargo, workspace_root};

/// Packs in publish order; each crate is built against the packages of those before it, not against their folders.
///
/// Uncommitted changes are packed, too: the check is run before they are committed.
const ARGS: [&str; 6] = ["package", "--workspace", "--exclude", "xtask", "--locked", "--allow-dirty"];
const FOLDER: &str = "target/packages";

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

/// Packs and builds every crate, in a folder that no run before has used.
///
/// Cargo keeps what it unpacks by the folder that the package came from, and does not look whether it has changed: in a
/// folder used before, the crates would be built against those of the last run.
pub(crate) fn check() -> Result<(), String> {
    let folder = workspace_root().join(FOLDER);
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let unused = folder.join(format!("{:016x}", RandomState::new().build_hasher().finish()));
    let packed = cargo().args(ARGS).arg("--target-dir").arg(unused).current_dir(workspace_root()).status();
    // Half a gigabyte that nothing will use again.
    let removed = fs::remove_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()));
    match packed {
        Ok(status) if status.success() => removed,
        Ok(status) => Err(format!("a crate does not build from its package: {status}")),
        Err(error) => Err(format!("cannot start cargo: {error}")),
    }
}
