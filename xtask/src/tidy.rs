//! `cargo xtask tidy`: the layers and the house rules, read off the tree.

mod conformance;
mod layers;
mod lengths;
mod rules;
mod source;
mod text;
mod tree;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::cargo::workspace_root;
use crate::console::say;
use crate::tidy::source::Source;

/// Something to be put right, and where.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: PathBuf,
    /// Counted from 1; 0 stands for the whole file.
    line: usize,
    advice: String,
}

impl Finding {
    fn new(path: &Path, line: usize, advice: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, advice: advice.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path.display(), self.advice),
            line => write!(f, "{}:{line}: {}", self.path.display(), self.advice),
        }
    }
}

/// Runs the check alone.
pub(crate) fn run() -> ExitCode {
    match check() {
        Ok(()) => {
            say("tidy: nothing to put right");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Looks at the whole workspace and prints what is to be put right, one line each.
pub(crate) fn check() -> Result<(), String> {
    let root = workspace_root();
    let mut findings = layers::check()?;
    findings.extend(tree::check_top_level(&root)?);
    let (mut sources, mut pages) = (Vec::new(), Vec::new());
    for path in tree::files(&root)? {
        let text = std::fs::read_to_string(root.join(&path)).map_err(|error| format!("{}: {error}", path.display()))?;
        findings.extend(text::check(&path, &text, &root));
        if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push(Source::new(path, text));
        } else if conformance::is_page(&path) {
            pages.push((path, text));
        }
    }
    let test_modules: Vec<_> = sources.iter().flat_map(Source::test_modules).collect();
    for source in &mut sources {
        source.belongs_to(&test_modules);
        findings.extend(lengths::check(source));
        findings.extend(rules::check(source));
    }
    findings.extend(conformance::check(&pages, &sources));
    findings.sort();
    findings.iter().for_each(say);
    match findings.len() {
        0 => Ok(()),
        count => Err(format!("{count} findings, listed above")),
    }
}
