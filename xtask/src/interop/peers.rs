//! Other implementations: kinesalite, kinesis-mock and ferrokinesis.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::{Server, free_port, output, startup};
use super::{INSTALLED, Tools, keep};
use crate::cargo::cargo;
use crate::console::say;
use crate::demo::artifact;

/// The closest rival, which speed is compared with.
const FERROKINESIS: &str = "0.7.0";
/// How often each server is started, in turns.
const STARTS: usize = 11;
/// How long each operation is measured, five times in turns.
const SPEED_SECONDS: &str = "1";

/// Puts the cases to all, and measures the fastest beside ours.
pub(super) fn compare(root: &Path, tools: &Tools) -> Result<Vec<String>, String> {
    let ferrokinesis = install(root)?;
    let ours = artifact(&["--bin", "kinesis-testkit"], "kinesis-testkit")?;
    say("ferrokinesis listens on all interfaces while it runs, and has no option against it");
    let mut found = Vec::new();
    for (name, command) in [
        ("kinesalite 3.3.3", kinesalite as fn(&Tools, &Path, u16) -> Command),
        ("kinesis-mock 0.6.2", kinesis_mock),
        ("ferrokinesis 0.7.0", |_, program, port| ferrokinesis_on(program, port)),
    ] {
        let port = free_port()?;
        let peer = format!("{name}=http://127.0.0.1:{port}");
        let differences = root.join(INSTALLED).join(format!("{}.txt", name.replace(' ', "-")));
        // It is started there, and again where a case ends it.
        let start = command(tools, &ferrokinesis, port);
        let mut put = bench(root);
        put.args(["--cases", "--all", "--peer", &peer, "--"]).arg(start.get_program()).args(start.get_args());
        let all = output(&mut put)?;
        std::fs::write(&differences, &all).map_err(|error| format!("{}: {error}", differences.display()))?;
        // What follows the counts is every difference in full, which stays in its file.
        all.lines().take_while(|line| !line.starts_with("cases/")).for_each(|line| keep(&mut found, line));
    }
    keep(&mut found, "");
    starts(&ours, &ferrokinesis, &mut found)?;
    let port = free_port()?;
    let (us, them) =
        (Server::start(&ours, None)?, Server::start_other(&mut ferrokinesis_on(&ferrokinesis, port), port)?);
    let peers = [format!("kinesis-testkit={}", us.endpoint), format!("ferrokinesis={}", them.endpoint)];
    let mut measure = bench(root);
    measure.args(["--speed", SPEED_SECONDS]);
    peers.iter().for_each(|peer| {
        measure.args(["--peer", peer]);
    });
    output(&mut measure)?.lines().for_each(|line| keep(&mut found, line));
    Ok(found)
}

fn kinesalite(tools: &Tools, _: &Path, port: u16) -> Command {
    let mut command = Command::new("env");
    command.args(["AWS_ACCOUNT_ID=123456789012", "AWS_REGION=us-east-1", "node"]);
    command.arg(tools.node.join("node_modules/.bin/kinesalite")).args(["--port", &port.to_string()]);
    for state in ["create", "update", "delete"] {
        command.args([&format!("--{state}StreamMs"), "0"]);
    }
    command.args(["--shardLimit", "1000"]);
    command
}

fn kinesis_mock(tools: &Tools, _: &Path, port: u16) -> Command {
    // It wants its own folder, and its settings in the environment.
    let mut command = Command::new("env");
    command.arg("-C").arg(tools.node.join("node_modules/kinesis-local"));
    command.args([format!("KINESIS_MOCK_PLAIN_PORT={port}"), format!("KINESIS_MOCK_TLS_PORT={}", port ^ 1)]);
    command.args(["SHARD_LIMIT=1000", "LOG_LEVEL=ERROR", "AWS_ACCOUNT_ID=123456789012", "AWS_REGION=us-east-1"]);
    for duration in [
        "CREATE_STREAM",
        "DELETE_STREAM",
        "REGISTER_STREAM_CONSUMER",
        "DEREGISTER_STREAM_CONSUMER",
        "START_STREAM_ENCRYPTION",
        "STOP_STREAM_ENCRYPTION",
        "MERGE_SHARDS",
        "SPLIT_SHARD",
        "UPDATE_SHARD_COUNT",
        "UPDATE_STREAM_MODE",
    ] {
        command.arg(format!("{duration}_DURATION=1ms"));
    }
    command.args(["node", "main.js"]);
    command
}

fn ferrokinesis_on(program: &Path, port: u16) -> Command {
    let mut command = Command::new(program);
    command.args(["--port", &port.to_string(), "--account-id", "123456789012", "--region", "us-east-1"]);
    for state in ["create", "update", "delete"] {
        command.args([&format!("--{state}-stream-ms"), "0"]);
    }
    command.args(["--shard-limit", "1000"]);
    command
}

fn install(root: &Path) -> Result<PathBuf, String> {
    let folder = root.join(INSTALLED).join("ferrokinesis");
    let program = folder.join("bin/ferrokinesis");
    if !program.is_file() {
        let mut install = cargo();
        install.args(["install", "--quiet", "--locked", "ferrokinesis", "--version", FERROKINESIS, "--root"]);
        output(install.arg(&folder))?;
    }
    Ok(program)
}

/// The program that compares, with optimisation.
fn bench(root: &Path) -> Command {
    let mut bench = cargo();
    bench.args(["bench", "--quiet", "--locked", "--package", "kinesis-testkit", "--bench", "peers", "--"]);
    bench.current_dir(root);
    bench
}

/// How long each takes until it answers, and what memory it has then.
fn starts(ours: &Path, ferrokinesis: &Path, found: &mut Vec<String>) -> Result<(), String> {
    let mut figures = [Vec::new(), Vec::new()];
    for _ in 0..STARTS {
        for (index, figures) in figures.iter_mut().enumerate() {
            let port = free_port()?;
            let mut command = if index == 0 { serve(ours, port) } else { ferrokinesis_on(ferrokinesis, port) };
            figures.push(startup(&mut command, port)?);
        }
    }
    for (name, mut figures) in ["kinesis-testkit", "ferrokinesis"].into_iter().zip(figures) {
        figures.sort();
        let (median, resident_kib) = figures[STARTS / 2];
        let line = format!(
            "{name}: answers {} ms after its start, with {resident_kib} KiB of memory",
            median.as_micros() as f64 / 1000.0
        );
        keep(found, line);
    }
    Ok(())
}

fn serve(program: &Path, port: u16) -> Command {
    let mut command = Command::new(program);
    command.args(["serve", "--port", &port.to_string()]);
    command
}
