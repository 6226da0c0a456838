//! How many tests ran, summed over all binaries.

use std::fmt;

/// Sums the result lines of test binaries.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    started: u64,
    finished: u64,
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Totals {
    /// Takes in a line such as `test result: ok. 3 passed; 0 failed; 0 ignored; …`; most lines change nothing.
    pub(super) fn read(&mut self, line: &str) {
        let mut words = line.split(' ');
        if words.next() == Some("running") && matches!(words.nth(1), Some("test" | "tests")) {
            self.started += 1;
        }
        let Some(result) = line.trim_start().strip_prefix("test result: ") else {
            return;
        };
        let count = |what: &str| -> u64 {
            result
                .split([';', '.'])
                .filter_map(|part| part.trim().split_once(' '))
                .find(|(_, name)| *name == what)
                .and_then(|(number, _)| number.parse().ok())
                .unwrap_or(0)
        };
        self.finished += 1;
        self.passed += count("passed");
        self.failed += count("failed");
        self.ignored += count("ignored");
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "tests: {} passed, {} failed, {} ignored, in {} binaries",
            self.passed, self.failed, self.ignored, self.finished
        )?;
        match self.started.saturating_sub(self.finished) {
            0 => Ok(()),
            lost => write!(f, "; {lost} more ended without a result"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_summed() {
        let mut totals = Totals::default();
        totals.read("running 3 tests");
        totals.read("test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s");
        totals
            .read("test result: FAILED. 60 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 1.5s");
        assert_eq!(totals.to_string(), "tests: 63 passed, 1 failed, 2 ignored, in 2 binaries");
    }

    #[test]
    fn a_binary_that_dies_is_told() {
        let mut totals = Totals::default();
        totals.read("running 1 test");
        totals.read("test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s");
        totals.read("running 30 tests");
        totals.read("running late, as ever");
        let expected = "tests: 1 passed, 0 failed, 0 ignored, in 1 binaries; 1 more ended without a result";
        assert_eq!(totals.to_string(), expected);
    }
}
