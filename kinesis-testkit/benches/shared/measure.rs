//! Budgets, and the exit code of a bench.

use std::error::Error;
use std::process::ExitCode;

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
