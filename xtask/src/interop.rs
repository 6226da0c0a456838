//! `cargo xtask interop`: other people's clients against the server, and with `--peers` other servers beside it.
//!
//! Everything that is needed besides Python 3, Node and npm is installed under `target/interop`, in the versions that
//! the files in `xtask/interop` name.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::cargo::{cargo, workspace_root};
use crate::console::say;
use crate::demo::artifact;

mod peers;
mod process;

use process::{Server, output};

/// Where the scripts are, and the versions of what they need.
const SCRIPTS: &str = "xtask/interop";
/// Where things are installed.
const INSTALLED: &str = "target/interop";
/// What was found, for those who read it without running it.
const PAGE: &str = "kinesis-testkit/docs/interop.md";

/// What stands above the figures.
const INTRODUCTION: &str = "\
# Interoperability

What other people's clients get from the server, and where other implementations differ by the conformance cases. A case names its
source: \"recorded\" (from the service), \"model\", \"documentation\", or \"unverified\" (nobody says; ours); every difference in full,
with what was sent, expected and received, is in `target/interop` after a run. Speed is calls with requests that were written
before, over eight connections on loopback, the median of five runs in turns; server and client share the machine's cores.
";

/// What is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    /// Compares other implementations, too.
    pub(crate) peers: bool,
    /// Writes what was found down.
    pub(crate) write: bool,
}

impl Options {
    /// Of the words behind the command; nothing where one is unknown.
    pub(crate) fn parse(words: &[std::ffi::OsString]) -> Option<Self> {
        let mut options = Self::default();
        for word in words {
            match word.to_str()? {
                "--peers" => options.peers = true,
                "--write" => options.write = true,
                _ => return None,
            }
        }
        Some(options)
    }
}

/// Runs it all; whether every client was served.
pub(crate) fn run(options: Options) -> ExitCode {
    match check(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn check(options: Options) -> Result<(), String> {
    let root = workspace_root();
    let tools = Tools::install(&root)?;
    let mut found = clients(&root, &tools)?;
    if options.peers {
        found.push(String::new());
        found.extend(peers::compare(&root, &tools)?);
    }
    if options.write {
        let page = root.join(PAGE);
        fs::write(&page, document(&found, options.peers)).map_err(|error| format!("{}: {error}", page.display()))?;
    }
    Ok(())
}

/// Says a line, and keeps it.
fn keep(found: &mut Vec<String>, line: impl Into<String>) {
    let line = line.into();
    say(&line);
    found.push(line);
}

/// What was installed.
#[derive(Debug)]
struct Tools {
    python: PathBuf,
    /// The folder whose packages scripts for Node find.
    node: PathBuf,
}

impl Tools {
    fn install(root: &Path) -> Result<Self, String> {
        let (scripts, installed) = (root.join(SCRIPTS), root.join(INSTALLED));
        let (python, node) = (installed.join("python"), installed.join("node"));
        let requirements = scripts.join("requirements.txt");
        once(&python.join("ready"), &requirements, || {
            output(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&python))?;
            let mut install = Command::new(python.join("bin/python"));
            install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
            output(install.arg(&requirements)).map(drop)
        })?;
        let packages = scripts.join("package.json");
        once(&node.join("ready"), &packages, || {
            fs::copy(&packages, node.join("package.json")).map_err(|error| error.to_string())?;
            let mut install = Command::new("npm");
            install.args(["install", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(&node);
            output(&mut install).map(drop)
        })?;
        Ok(Self { python: python.join("bin/python"), node })
    }
}

/// Does something unless a mark says that it was done for this very file.
fn once(mark: &Path, file: &Path, act: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    let wanted = fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    if fs::read(mark).is_ok_and(|done| done == wanted) {
        return Ok(());
    }
    if let Some(folder) = mark.parent() {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    act()?;
    fs::write(mark, wanted).map_err(|error| format!("{}: {error}", mark.display()))
}

/// The clients, over HTTP and TLS.
fn clients(root: &Path, tools: &Tools) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    let scripts = root.join(SCRIPTS);
    let program = artifact(&["--bin", "kinesis-testkit"], "kinesis-testkit")?;
    for tls in [false, true] {
        let certificate = root.join(INSTALLED).join("certificate.pem");
        let server = Server::start(&program, tls.then_some(certificate.as_path()))?;
        let over = if tls { "TLS" } else { "HTTP" };
        let mut python = Command::new(&tools.python);
        python.arg(scripts.join("boto3_calls.py")).arg(&server.endpoint);
        let mut node = Command::new("node");
        node.arg("--no-warnings").arg(scripts.join("sdk.mjs")).arg(&server.endpoint).current_dir(&tools.node);
        if tls {
            python.arg(&certificate);
            node.arg(&certificate).env("NODE_EXTRA_CA_CERTS", &certificate);
        }
        for client in [&mut python, &mut node] {
            keep(&mut found, format!("{over}: {}", output(client)?.trim()));
        }
    }
    let interchange = example(root)?;
    let mut python = Command::new(&tools.python);
    keep(&mut found, output(python.arg(scripts.join("aggregation.py")).arg(interchange))?.trim());
    let mut cases = cargo();
    cases.args(["test", "--quiet", "--locked", "--package", "kinesis-testkit", "--test", "conformance", "remote"]);
    output(cases.current_dir(root))?;
    keep(&mut found, "conformance: every case that needs no virtual time holds over HTTP and over TLS");
    Ok(found)
}

/// Builds the example that speaks to the script of aggregates.
fn example(root: &Path) -> Result<PathBuf, String> {
    let mut build = cargo();
    build.args(["build", "--quiet", "--locked", "--package", "kinesis-aggregation", "--example", "interchange"]);
    output(build.current_dir(root))?;
    Ok(root.join("target/debug/examples/interchange"))
}

fn document(found: &[String], with_peers: bool) -> String {
    let options = if with_peers { " --peers" } else { "" };
    format!("{INTRODUCTION}\n```text\n$ cargo xtask interop{options}\n{}\n```\n", found.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_known_words() {
        let parse = |words: &[&str]| Options::parse(&words.iter().map(Into::into).collect::<Vec<_>>());
        assert!(parse(&["--write", "--peers"]).is_some_and(|options| options.write && options.peers));
        assert!(parse(&[]).is_some_and(|options| !options.write && !options.peers));
        assert!(parse(&["--fast"]).is_none());
    }

    #[test]
    fn what_was_found_stands_in_the_page() {
        let page = document(&["a: 1".to_owned(), "b: 2".to_owned()], true);
        assert!(page.ends_with("```text\n$ cargo xtask interop --peers\na: 1\nb: 2\n```\n"), "{page}");
    }
}
