//! Other implementations beside this one: where they differ by the conformance cases, and how fast they are.
//!
//! `cargo xtask interop --peers` starts them and calls this. Each is given as `NAME=URL` on loopback, and is emptied first.
//! `--cases` puts every case to them that needs no virtual time, and prints which differ; `--speed SECONDS` measures
//! the first against the others, in turns, and fails where it is not faster by what is promised.

#[path = "../../tests/conformance/case.rs"]
mod case;
#[path = "../../tests/conformance/events.rs"]
mod events;
#[path = "../../tests/conformance/expand.rs"]
#[expect(unused_imports, reason = "its tests have no harness here")]
mod expand;
#[path = "../../tests/conformance/matching.rs"]
#[expect(dead_code, unused_imports, reason = "its tests have no harness here")]
mod matching;
#[path = "../shared/measure.rs"]
#[expect(dead_code, reason = "what is measured is other processes")]
mod measure;
#[path = "../../tests/conformance/run.rs"]
#[expect(dead_code, reason = "the tests put cases to the fake in their own process")]
mod run;
mod speed;
#[path = "../../tests/conformance/target.rs"]
#[expect(dead_code, reason = "the tests put cases to the fake in their own process")]
mod target;

use std::collections::BTreeMap;
use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use clap::Parser;
use tokio::net::TcpStream;

use crate::case::CaseFile;
use crate::measure::exit_code;
use crate::run::{Outcome, put_to};
use crate::target::{Remote, Target};

#[derive(Debug, Parser)]
struct Arguments {
    /// An implementation that listens on loopback; may be repeated.
    #[arg(long = "peer", value_name = "NAME=URL", value_parser = parse_peer)]
    peers: Vec<(String, SocketAddr)>,
    /// Puts the conformance cases to each.
    #[arg(long)]
    cases: bool,
    /// Prints every difference, too.
    #[arg(long)]
    all: bool,
    /// Measures each for so many seconds and operation, five times in turns.
    #[arg(long, value_name = "SECONDS")]
    speed: Option<f64>,
    /// Measures this operation alone.
    #[arg(long, value_name = "NAME", requires = "speed")]
    operation: Option<String>,
    /// Passed by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
    /// What starts the one peer whose cases are wanted; it is started again where a case ends it.
    #[arg(last = true, requires = "cases")]
    command: Vec<String>,
}

fn parse_peer(text: &str) -> Result<(String, SocketAddr), String> {
    let (name, url) = text.split_once('=').ok_or("write NAME=URL")?;
    let address = url.strip_prefix("http://").and_then(|address| address.parse().ok());
    Ok((name.to_owned(), address.ok_or("the URL is no http://ADDRESS:PORT")?))
}

// One thread, as wrk is used: on few cores a busier client would measure itself.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut arguments = Arguments::parse();
    // Cargo's own word comes last, whatever that belongs to.
    arguments.command.retain(|word| word != "--bench");
    exit_code("peers", run(&arguments).await)
}

async fn run(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    if arguments.cases {
        for (name, address) in &arguments.peers {
            let mut process = Process { address: *address, command: &arguments.command, child: None, starts: 0 };
            compare(name, &mut process, arguments.all).await?;
        }
    }
    if arguments.peers.is_empty() {
        println!("nobody to compare with: see --help");
    }
    match arguments.speed {
        Some(seconds) => speed::compare(&arguments.peers, seconds, arguments.operation.as_deref()).await,
        None => Ok(true),
    }
}

/// A peer that is started here, where its command is known.
struct Process<'a> {
    address: SocketAddr,
    command: &'a [String],
    child: Option<Child>,
    starts: u32,
}

impl Process<'_> {
    /// Sees to it that it answers.
    async fn require(&mut self) -> Result<(), Box<dyn Error>> {
        if TcpStream::connect(self.address).await.is_ok() {
            return Ok(());
        }
        let [program, arguments @ ..] = self.command else { return Err("nothing answers there".into()) };
        self.end();
        let mut command = Command::new(program);
        self.child = Some(command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
        self.starts += 1;
        let answers = async {
            while TcpStream::connect(self.address).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        Ok(tokio::time::timeout(Duration::from_secs(30), answers).await?)
    }

    fn end(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Process<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

/// What became of the cases of an operation.
#[derive(Default)]
struct Tally {
    cases: usize,
    differ: usize,
    /// By the kind of source that the cases have which differ.
    kinds: BTreeMap<&'static str, usize>,
}

/// Prints where an implementation differs, operation by operation.
async fn compare(name: &str, process: &mut Process<'_>, all: bool) -> Result<(), Box<dyn Error>> {
    let address = process.address;
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    let mut differences = Vec::new();
    for text in case_files()? {
        let file = CaseFile::parse(&text);
        let tally = tallies.entry(file.operation.clone()).or_default();
        for case in file.cases.iter().filter(|case| case.is_portable()) {
            process.require().await?;
            Remote::new(address).empty().await?;
            let target = Target::Remote(Remote::new(address).settling());
            tally.cases += 1;
            if let Outcome::Differs(found) = put_to(&target, &file.operation, case).await {
                tally.differ += 1;
                *tally.kinds.entry(case.source_kind().unwrap_or("unverified")).or_default() += 1;
                differences.extend(found);
            }
        }
    }
    let (cases, differ) = tallies.values().fold((0, 0), |(cases, differ), it| (cases + it.cases, differ + it.differ));
    let ends = match process.starts {
        0 | 1 => String::new(),
        starts => format!(", and it ended {} times", starts - 1),
    };
    println!("{name}: {differ} of {cases} cases differ{ends}");
    for (operation, Tally { cases, differ, kinds }) in tallies.iter().filter(|(_, tally)| tally.differ > 0) {
        let kinds: Vec<String> = kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        println!("  {operation}: {differ} of {cases} ({})", kinds.join(", "));
    }
    if all {
        differences.iter().for_each(|difference| println!("{difference}"));
    }
    Ok(())
}

/// The case files, in the order of their names.
fn case_files() -> Result<Vec<String>, Box<dyn Error>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/cases");
    let mut paths =
        std::fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, std::io::Error>>()?;
    paths.sort();
    paths.iter().map(|path| Ok(std::fs::read_to_string(path)?)).collect()
}
