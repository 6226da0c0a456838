//! A bench in virtual time.

use std::error::Error;
use std::process::ExitCode;

use crate::measure::exit_code;

/// Runs a bench on one thread, in virtual time; it succeeds where the bench returns that all budgets are kept.
pub(crate) fn run(name: &str, bench: impl Future<Output = Result<bool, Box<dyn Error>>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    exit_code(name, runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(bench)))
}
