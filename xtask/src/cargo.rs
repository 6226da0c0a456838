//! Running cargo from inside `cargo run`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The directory that holds the workspace's `Cargo.toml`.
pub(crate) fn workspace_root() -> PathBuf {
    // Cargo sets the variable for what it runs; the constant serves a binary that is started by hand.
    let own = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let own = PathBuf::from(own);
    own.parent().map_or_else(|| own.clone(), Path::to_path_buf)
}

/// A call of cargo in the current directory, free of what `cargo run` has put into the environment.
///
/// Some build scripts ask to be run again when those variables change; they would alternate between two builds.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_set_by_cargo_run) {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

fn is_set_by_cargo_run(name: &str) -> bool {
    const NAMES: [&str; 5] = ["CARGO_CRATE_NAME", "CARGO_BIN_NAME", "CARGO_PRIMARY_PACKAGE", "OUT_DIR", "CARGO"];
    name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || NAMES.contains(&name)
}

/// Runs cargo in the workspace and returns what it printed on stdout.
///
/// Its stderr is passed through.
pub(crate) fn output(args: &[&str]) -> Result<String, String> {
    let described = format!("cargo {}", args.join(" "));
    let output = cargo()
        .args(args)
        .current_dir(workspace_root())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot start `{described}`: {error}"))?;
    if !output.status.success() {
        return Err(format!("`{described}` failed: {}", output.status));
    }
    String::from_utf8(output.stdout).map_err(|error| format!("the output of `{described}` is not UTF-8: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cargo_run_sets_is_removed() {
        assert!(is_set_by_cargo_run("CARGO_PKG_NAME") && is_set_by_cargo_run("CARGO_MANIFEST_DIR"));
        assert!(!is_set_by_cargo_run("CARGO_HOME") && !is_set_by_cargo_run("CARGO_TARGET_DIR"));
    }

    #[test]
    fn the_root_holds_the_lock_file() {
        assert!(workspace_root().join("Cargo.lock").is_file());
    }
}
