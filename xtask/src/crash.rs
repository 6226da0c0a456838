//! `cargo xtask crash`: SIGKILL to the consuming demo, ten times, and each time another process finishes the job.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::cargo::workspace_root;
use crate::console::say;
use crate::demo::{artifact, build};

/// Enough that ten moments lie well apart.
const RECORDS: u64 = 200_000;
const ROUNDS: u64 = 10;
const POLL: Duration = Duration::from_millis(2);

/// Runs ten rounds against one server in another process; whether all of them held.
pub(crate) fn run() -> ExitCode {
    match rounds() {
        Ok(()) => {
            say(format!("{ROUNDS} passed, 0 failed"));
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn rounds() -> Result<(), String> {
    let demo = build()?;
    let server = Server::start(&server_program()?)?;
    let scratch = workspace_root().join("target").join("crash");
    remove(&scratch)?;
    for round in 0..ROUNDS {
        // Early in each decile: lines go on being committed until the kill arrives.
        let wanted = RECORDS * (10 * round + 2) / 100;
        let job = Job { demo: &demo, endpoint: &server.endpoint, output: scratch.join(round.to_string()), round };
        let committed = job.kill_at(wanted)?;
        if committed == 0 || committed >= RECORDS {
            return Err(format!("round {round}: {committed} of {RECORDS} were committed at the kill"));
        }
        job.finish()?;
        say(format!(
            "round {round}: killed at {committed} of {RECORDS} committed, finished with nothing lost or repeated"
        ));
        remove(&job.output)?;
    }
    Ok(())
}

/// Built together with the demo: alone it would be built with other features, and everything below it again.
fn server_program() -> Result<PathBuf, String> {
    artifact(&["--example", "demo", "--bin", "kinesis-testkit"], "kinesis-testkit")
}

fn remove(directory: &Path) -> Result<(), String> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(format!("{}: {error}", directory.display())),
        _ => Ok(()),
    }
}

/// A fake Kinesis in a process of its own; ended with the value.
struct Server {
    process: Child,
    endpoint: String,
}

impl Server {
    fn start(program: &Path) -> Result<Self, String> {
        let mut process = Command::new(program)
            .args(["serve", "--port", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", program.display()))?;
        let mut ready = String::new();
        if let Some(output) = process.stdout.as_mut() {
            BufReader::new(output)
                .read_line(&mut ready)
                .map_err(|error| format!("the server says nothing: {error}"))?;
        }
        match ready.trim().strip_prefix("listening on ") {
            Some(endpoint) => Ok(Self { endpoint: endpoint.to_owned(), process }),
            None => Err(format!("the server is not ready, it says `{}`", ready.trim())),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Job<'a> {
    demo: &'a Path,
    endpoint: &'a str,
    output: PathBuf,
    round: u64,
}

impl Job<'_> {
    fn command(&self) -> Command {
        let mut command = Command::new(self.demo);
        command.args(["--endpoint", self.endpoint, "--json"]);
        command.args(["--records", &RECORDS.to_string(), "--seed", &self.round.to_string()]);
        command.args(["--stream", &format!("crash-{}", self.round)]).arg("--output").arg(&self.output);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command
    }

    /// Kills the job while it consumes, once so many lines are committed; returns how many were when it was dead.
    fn kill_at(&self, wanted: u64) -> Result<u64, String> {
        let mut process = self.command().spawn().map_err(|error| format!("cannot start the demo: {error}"))?;
        let outcome = self.watch(&mut process, wanted);
        // Child::kill sends SIGKILL: the job gets no say.
        process.kill().and_then(|()| process.wait()).map_err(|error| format!("cannot kill the demo: {error}"))?;
        outcome?;
        committed(&self.output)
    }

    fn watch(&self, process: &mut Child, wanted: u64) -> Result<(), String> {
        let output = process.stdout.take().ok_or("the demo has no output")?;
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        if !lines.any(|line| line.contains("\"consuming\"")) {
            return Err(format!("round {}: the demo ended before it consumed", self.round));
        }
        while committed(&self.output)? < wanted {
            if process.try_wait().map_err(|error| error.to_string())?.is_some() {
                return Err(format!("round {}: the demo ended before {wanted} lines were committed", self.round));
            }
            pause();
        }
        Ok(())
    }

    /// Resumes the job in a new process, which has to end well.
    fn finish(&self) -> Result<(), String> {
        let output =
            self.command().arg("--consume-only").output().map_err(|error| format!("cannot resume: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let result: Value = text.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
        let good = output.status.success()
            && result["lost"] == 0
            && result["duplicated"] == 0
            && result["records_out"] == RECORDS;
        if good { Ok(()) } else { Err(format!("round {}: the job did not end well: {result}", self.round)) }
    }
}

/// The lines in the files `part-*`.
fn committed(directory: &Path) -> Result<u64, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
    let mut lines = 0;
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_name().to_string_lossy().starts_with("part-") {
            let bytes = fs::read(entry.path()).map_err(failed)?;
            lines += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        }
    }
    Ok(lines)
}

#[expect(clippy::disallowed_methods, reason = "another process is waited for; there is no clock to turn")]
fn pause() {
    std::thread::sleep(POLL);
}
