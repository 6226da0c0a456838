//! What is shown while it runs: bars on a terminal, lines elsewhere, JSON where asked.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use parking_lot::Mutex;
use serde_json::{Value, json};

/// Plain progress lines come so far apart.
const PLAIN_EVERY: Duration = Duration::from_secs(2);

/// Shows stages, events and progress.
#[derive(Debug)]
pub(crate) struct View {
    json: bool,
    bars: Option<Bars>,
    last_plain: Mutex<Option<tokio::time::Instant>>,
}

#[derive(Debug)]
struct Bars {
    all: MultiProgress,
    produced: ProgressBar,
    delivered: ProgressBar,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    pub(crate) total: u64,
    pub(crate) produced: u64,
    pub(crate) delivered: u64,
}

impl View {
    pub(crate) fn new(json: bool) -> Self {
        let bars = (!json && io::stderr().is_terminal()).then(Bars::new);
        Self { json, bars, last_plain: Mutex::default() }
    }

    pub(crate) fn stage(&self, stage: &str) {
        self.object(&json!({ "stage": stage }), || format!("stage: {stage}"));
    }

    pub(crate) fn event(&self, event: &str, at_record: u64, detail: &str) {
        self.object(&json!({ "event": event, "at_record": at_record }), || {
            format!("{event} at record {at_record}: {detail}")
        });
    }

    pub(crate) fn progress(&self, progress: Progress) {
        if let Some(bars) = &self.bars {
            bars.produced.set_length(progress.total);
            bars.produced.set_position(progress.produced);
            bars.delivered.set_length(progress.total);
            bars.delivered.set_position(progress.delivered);
        } else if !self.json && self.plain_is_due() {
            let Progress { total, produced, delivered } = progress;
            eprintln!("{produced} of {total} lines written, {delivered} delivered");
        }
    }

    fn plain_is_due(&self) -> bool {
        let now = tokio::time::Instant::now();
        let mut last = self.last_plain.lock();
        let due = last.is_some_and(|last| now - last >= PLAIN_EVERY);
        if due || last.is_none() {
            *last = Some(now);
        }
        due
    }

    /// Shows the result: a table, or one object.
    pub(crate) fn result(&self, rows: &[(&str, Value)], verdict: &str) {
        if let Some(bars) = &self.bars {
            bars.produced.finish_and_clear();
            bars.delivered.finish_and_clear();
        }
        if self.json {
            let object: serde_json::Map<_, _> =
                rows.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
            print_line(&Value::Object(object).to_string());
        } else {
            rows.iter().for_each(|(name, value)| print_line(&format!("{name:>24}  {value}")));
            print_line(&format!("\nverdict: {verdict}"));
        }
    }

    fn object(&self, object: &Value, text: impl FnOnce() -> String) {
        match &self.bars {
            _ if self.json => print_line(&object.to_string()),
            // A terminal that cannot be written to is no reason to stop.
            Some(bars) => _ = bars.all.println(text()),
            None => eprintln!("{}", text()),
        }
    }
}

impl Bars {
    fn new() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let bar = |name: &'static str| {
            let style = ProgressStyle::with_template("{msg:>9} {wide_bar} {human_pos}/{human_len} {per_sec}");
            let bar = all.add(ProgressBar::new(0)).with_message(name);
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        };
        let (produced, delivered) = (bar("written"), bar("delivered"));
        Self { all, produced, delivered }
    }
}

/// A reader that went away is not a failure of the run: its exit code still tells.
fn print_line(line: &str) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}
