//! Files of one subject, functions that fit on a screen.

use std::path::Path;

use crate::tidy::Finding;
use crate::tidy::source::{Source, item_end};

const FILE_LINES: usize = 500;
const LONGEST_FILE_LINES: usize = 800;
const FUNCTION_LINES: usize = 100;

/// Files that may have more than 500 lines of production code, each with its reason.
const LONG_FILES: [(&str, &str); 0] = [];

/// Finds files and functions that are too long.
pub(super) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = long_functions(source);
    findings.extend(
        file_advice(&source.path, source.production_lines()).map(|advice| Finding::new(&source.path, 0, advice)),
    );
    findings.extend(test_file_advice(source));
    findings
}

fn file_advice(path: &Path, lines: usize) -> Option<String> {
    if lines > LONGEST_FILE_LINES {
        return Some(format!("{lines} lines of code, at most {LONGEST_FILE_LINES} are allowed; split it by subject"));
    }
    let is_allowed = LONG_FILES.iter().any(|(allowed, _)| path == Path::new(allowed));
    (lines > FILE_LINES && !is_allowed).then(|| {
        format!("{lines} lines of code; split it by subject, or name it with a reason in xtask's tidy/lengths.rs")
    })
}

fn test_file_advice(source: &Source) -> Option<Finding> {
    let lines = source.text.lines().count();
    (source.production_lines() == 0 && lines > LONGEST_FILE_LINES)
        .then(|| Finding::new(&source.path, 0, format!("{lines} lines of tests; split it by subject")))
}

fn long_functions(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for at in source.find("fn") {
        // A type such as `fn(u8)` has no name behind the word.
        if !source.code_after(at + 2).starts_with(|letter: char| letter.is_alphabetic() || letter == '_') {
            continue;
        }
        let first = source.line(at);
        let lines = source.line(item_end(&source.code, at) - 1) + 1 - first;
        if lines > FUNCTION_LINES {
            let advice = format!("a function of {lines} lines, at most {FUNCTION_LINES} are allowed; split it by step");
            findings.push(Finding::new(&source.path, first, advice));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn only_functions_over_a_hundred_lines_are_found() {
        let function =
            |name: &str, lines: usize| format!("fn {name}(a: [u8; 2]) {{\n{}}}\n", "    x;\n".repeat(lines - 2));
        let text = format!("trait T {{\n    fn d(&self, f: fn(u8));\n}}\n{}{}", function("a", 100), function("b", 101));
        let findings = check(&Source::new(PathBuf::from("c/src/a.rs"), text));
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(findings[0].line, 104);
    }

    #[test]
    fn files_are_judged_by_their_production_code() {
        let path = Path::new("c/src/a.rs");
        assert!(file_advice(path, 500).is_none());
        assert!(file_advice(path, 501).is_some_and(|advice| advice.contains("reason")));
        assert!(file_advice(path, 801).is_some_and(|advice| advice.contains("at most 800")));
        let tests = format!("fn a() {{}}\n#[cfg(test)]\nmod tests {{\n{}}}\n", "const A: u8 = 0;\n".repeat(600));
        assert!(check(&Source::new(path.to_owned(), tests)).is_empty());
    }
}
