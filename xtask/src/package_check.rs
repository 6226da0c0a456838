//! `cargo xtask package-check`: every crate packs, and builds from what was packed.

use std::process::ExitCode;

use crate::cargo::{cargo, workspace_root};

/// Packs in publish order; each crate is built against the packages of those before it, not against their folders.
///
/// Uncommitted changes are packed, too: the check is run before they are committed.
pub(crate) const ARGS: [&str; 6] = ["package", "--workspace", "--exclude", "xtask", "--locked", "--allow-dirty"];

/// Runs the check alone.
pub(crate) fn run() -> ExitCode {
    match cargo().args(ARGS).current_dir(workspace_root()).status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: cannot start cargo: {error}");
            ExitCode::FAILURE
        }
    }
}
