//! K3: no secret is in anything that a run writes: logs at their most talkative, steps, outcomes, errors, the journal.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::Level;
use tracing_subscriber::fmt::MakeWriter;

use crate::draw::draw;
use crate::play::{Played, play};
use crate::suite::sound_run;

/// What the fake's credentials have in their secret keys and their tokens, and nothing else has.
const MARKS: [&str; 2] = ["fake-secret", "fake-token"];
/// Ours are looked at in full; of the SDK's the warnings, as its own debug texts are not ours to word.
const OURS: &str = "kinesis_";

/// A log in memory.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The first line of a text that has a secret in it.
fn leak<'a>(what: &str, text: &'a str, is_looked_at: impl Fn(&str) -> bool) -> Result<(), String> {
    let has_mark = |line: &&'a str| is_looked_at(line) && MARKS.iter().any(|mark| line.contains(mark));
    text.lines().find(has_mark).map_or(Ok(()), |line| Err(format!("a secret is in the {what}: {line}")))
}

/// Whether a line of the log is of the crates here, or a warning.
fn is_ours(line: &str) -> bool {
    line.contains(OURS) || line.contains(" WARN ") || line.contains("ERROR")
}

fn check(played: &Played, log: &str) -> Result<(), String> {
    leak("log", log, is_ours)?;
    leak("account", &format!("{:?}", played.account), |_| true)?;
    leak("journal", &played.journal.to_json_lines(), |_| true)
}

/// Plays a seed, with its log.
fn play_logged(seed: u64) -> (Played, String) {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(Level::TRACE).with_ansi(false).with_writer(log.clone());
    let played = tracing::subscriber::with_default(subscriber.finish(), || play(&draw(seed)));
    let text = String::from_utf8(std::mem::take(&mut *log.0.lock())).unwrap();
    (played, text)
}

#[test]
fn k3_no_secret_is_written_anywhere() {
    for seed in 0..2 {
        let (played, log) = play_logged(seed);
        check(&played, &log).unwrap_or_else(|problem| panic!("K3: seed {seed}: {problem}"));
        // That there is something to look at.
        for part in ["kinesis_consumer", "aws_smithy", "checkpoint"] {
            assert!(log.contains(part), "nothing of {part} in {} bytes of log", log.len());
        }
    }
}

#[test]
fn k3_sees_a_secret() {
    let played = sound_run();
    let line = |text: &str| format!("2026-01-01T00:00:00Z DEBUG kinesis_core::client: {text}\n");
    check(played, &line("signed with fake-secret-1")).unwrap_err();
    check(played, &line("x-amz-security-token: fake-token")).unwrap_err();
    check(played, "2026-01-01T00:00:00Z  WARN aws_runtime: fake-secret-7\n").unwrap_err();
    check(played, &line("signed")).unwrap();
}
