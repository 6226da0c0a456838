//! CPU time, budgets, and the exit code of a bench.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

/// How a bench ends that returned whether all budgets are kept.
pub(crate) fn exit_code(name: &str, outcome: Result<bool, Box<dyn Error>>) -> ExitCode {
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The CPU time that this process, which has one thread, has had.
pub(crate) fn cpu_time() -> Result<Duration, Box<dyn Error>> {
    // The kernel brings the figure up to date at its ticks, milliseconds apart, and whenever it may switch tasks.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/self/schedstat")?;
    let nanos = text.split_whitespace().next().ok_or("/proc/self/schedstat is empty")?;
    Ok(Duration::from_nanos(nanos.parse()?))
}

/// Prints a figure and returns whether it keeps its budget, to which a build without optimisation is not held.
pub(crate) fn verdict(what: &str, figure: f64, budget: f64) -> bool {
    let is_within = figure <= budget;
    let note = match (is_within, cfg!(debug_assertions)) {
        (true, _) => "within",
        (false, true) => "without optimisation not held to",
        (false, false) => "OVER",
    };
    println!("{what}: {figure:.3}, {note} the budget of {budget}");
    is_within || cfg!(debug_assertions)
}
