//! Which files there are, and which may stand at the top.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::tidy::Finding;

const TOP_LEVEL: [&str; 23] = [
    ".cargo",
    ".ci",
    ".git",
    ".gitattributes",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "clippy.toml",
    "deny.toml",
    "kinesis-aggregation",
    "kinesis-consumer",
    "kinesis-core",
    "kinesis-producer",
    "kinesis-testkit",
    "rustfmt.toml",
    "target",
    "xtask",
];

/// What holds text of ours; fixtures and recorded data have other endings.
const TEXT_ENDINGS: [&str; 5] = ["rs", "toml", "md", "sh", "yml"];

/// Finds what does not belong at the top of the workspace.
pub(super) fn check_top_level(root: &Path) -> Result<Vec<Finding>, String> {
    Ok(entries(root)?
        .into_iter()
        .filter(|name| !TOP_LEVEL.contains(&name.to_str().unwrap_or_default()))
        .map(|name| {
            Finding::new(Path::new(&name), 0, "does not belong at the top; move it into its crate, or delete it")
        })
        .collect())
}

/// The text files of the workspace, relative to its root, in order.
pub(super) fn files(root: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    let mut waiting = vec![PathBuf::new()];
    while let Some(folder) = waiting.pop() {
        for name in entries(&root.join(&folder))? {
            let path = folder.join(&name);
            let is_folder = root.join(&path).is_dir();
            if is_folder && !is_skipped(&name) {
                waiting.push(path);
            } else if !is_folder && is_text(&path) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn entries(folder: &Path) -> Result<Vec<std::ffi::OsString>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut names = std::fs::read_dir(folder)
        .map_err(failed)?
        .map(|entry| entry.map(|entry| entry.file_name()).map_err(failed))
        .collect::<Result<Vec<_>, _>>()?;
    names.sort();
    Ok(names)
}

fn is_skipped(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name == "target" || (name.starts_with('.') && name != ".cargo" && name != ".ci")
}

fn is_text(path: &Path) -> bool {
    let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    TEXT_ENDINGS.contains(&ending) || path == Path::new(".ci/run")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cargo::workspace_root;

    #[test]
    fn sources_are_found_and_build_output_is_not() {
        let files = files(&workspace_root()).unwrap();
        assert!(files.contains(&PathBuf::from("xtask/src/tidy/tree.rs")));
        assert!(files.contains(&PathBuf::from(".ci/run")));
        assert!(!files.iter().any(|path| path.starts_with("target") || path.starts_with(".git")));
    }

    #[test]
    fn the_allowed_names_are_in_order() {
        assert!(TOP_LEVEL.is_sorted());
    }
}
