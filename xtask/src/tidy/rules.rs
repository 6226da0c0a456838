//! The house rules that a compiler does not know.

use crate::tidy::Finding;
use crate::tidy::source::Source;

/// A rule finds the bytes where it is broken, and says what to do.
type Rule = (fn(&Source) -> Vec<usize>, &'static str);

const RULES: [Rule; 7] = [
    (ignored_tests, "an ignored test; make it run, or delete it"),
    (ignored_doctests, "an ignored doctest; make it run, or mark it `text`"),
    (sleeping_tests, "wall-clock time in a test; use tokio's paused time"),
    (unbiased_selects, "`biased;` must be the first token in `select!`, so that a run can be repeated"),
    (globs, "a glob import; name what is imported (`use super::*` is for test modules only)"),
    (unwraps, "`.unwrap()` outside of tests; return an error, or `expect(\"invariant: …\")` with the proof"),
    (bare_expects, "`.expect()` outside of tests; its text must start with \"invariant: \""),
];

/// Finds every breach in a file.
pub(super) fn check(source: &Source) -> Vec<Finding> {
    let mut findings: Vec<_> = RULES
        .iter()
        .flat_map(|(rule, advice)| {
            let found = rule(source).into_iter();
            found.map(|at| Finding::new(&source.path, source.line(at), *advice))
        })
        .collect();
    if source.path.file_name().is_some_and(|name| name == "mod.rs") {
        findings.push(Finding::new(&source.path, 0, "no mod.rs; name the file after its module"));
    }
    findings
}

fn ignored_tests(source: &Source) -> Vec<usize> {
    let plain = source.find("#[ignore");
    let conditional = source.find("ignore").filter(|at| {
        let line = source.code[..*at].rsplit('\n').next().unwrap_or_default();
        line.trim_start().starts_with("#[cfg_attr(")
    });
    plain.chain(conditional).collect()
}

fn ignored_doctests(source: &Source) -> Vec<usize> {
    let mut at = 0;
    let mut found = Vec::new();
    for line in source.text.split_inclusive('\n') {
        let comment = line.trim().strip_prefix("///").or_else(|| line.trim().strip_prefix("//!"));
        let language = comment.and_then(|comment| comment.trim().strip_prefix("```"));
        if language.is_some_and(|language| language.split(',').any(|word| word.trim().starts_with("ignore"))) {
            found.push(at);
        }
        at += line.len();
    }
    found
}

fn sleeping_tests(source: &Source) -> Vec<usize> {
    ["thread::sleep", "std::time::Instant"]
        .into_iter()
        .flat_map(|piece| source.find(piece))
        .chain(imported_instants(source))
        .filter(|at| source.is_test(*at))
        .collect()
}

/// `use std::time::{Duration, Instant}`.
fn imported_instants(source: &Source) -> impl Iterator<Item = usize> {
    uses(source)
        .filter(|(_, import)| import.starts_with("use std::time::{") && import.contains("Instant"))
        .map(|(at, _)| at)
}

fn unbiased_selects(source: &Source) -> Vec<usize> {
    source
        .find("select!")
        .filter(|at| {
            let body = source.code_after(at + "select!".len());
            let body = body.strip_prefix(['{', '(', '[']).unwrap_or(body);
            !body.trim_start().starts_with("biased;")
        })
        .collect()
}

fn globs(source: &Source) -> Vec<usize> {
    uses(source)
        .filter(|(at, import)| import.contains('*') && !(source.is_test(*at) && *import == "use super::*"))
        .map(|(at, _)| at)
        .collect()
}

/// The imports, without their semicolons.
fn uses(source: &Source) -> impl Iterator<Item = (usize, &str)> {
    source.find("use").filter_map(|at| {
        let line = source.code[..at].rsplit('\n').next().unwrap_or_default().trim();
        let starts_item = line.is_empty() || line == "pub" || line.starts_with("pub(");
        let import = source.code[at..].split(';').next()?;
        starts_item.then_some((at, import))
    })
}

fn unwraps(source: &Source) -> Vec<usize> {
    source.find(".unwrap()").filter(|at| !source.is_test(*at)).collect()
}

fn bare_expects(source: &Source) -> Vec<usize> {
    const CALL: &str = ".expect(";
    source
        .find(CALL)
        .filter(|at| {
            let argument = source.text[at + CALL.len()..].trim_start();
            !source.is_test(*at) && argument.starts_with('"') && !argument.starts_with("\"invariant: ")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// The lines where the rule is broken.
    fn broken(rule: fn(&Source) -> Vec<usize>, text: &str) -> Vec<usize> {
        let source = Source::new(PathBuf::from("crate/src/lib.rs"), text.to_owned());
        rule(&source).into_iter().map(|at| source.line(at)).collect()
    }

    #[test]
    fn ignored_tests_are_found() {
        assert_eq!(broken(ignored_tests, "#[ignore]\nfn a() {}\n#[ignore = \"slow\"]\nfn b() {}"), [1, 3]);
        assert_eq!(broken(ignored_tests, "#[cfg_attr(miri, ignore)]\nfn a() {}"), [1]);
        assert!(broken(ignored_tests, "let ignore = 1; // #[ignore]").is_empty());
    }

    #[test]
    fn ignored_doctests_are_found() {
        assert_eq!(broken(ignored_doctests, "/// ```ignore\n/// ```\n//! ```rust,ignore\n//! ```\n"), [1, 3]);
        assert!(broken(ignored_doctests, "/// ```\n/// ignore\n/// ```text\n// ```ignore\n").is_empty());
    }

    #[test]
    fn sleeping_tests_are_found() {
        let tests = |line: &str| format!("#[cfg(test)]\nmod tests {{\n    {line}\n}}\n");
        for line in [
            "fn a() { std::thread::sleep(x); }",
            "fn a() { let x = std::time::Instant::now(); }",
            "use std::time::{Duration, Instant};",
        ] {
            assert_eq!(broken(sleeping_tests, &tests(line)), [3], "{line}");
        }
        assert!(broken(sleeping_tests, &tests("use tokio::time::{Duration, Instant};")).is_empty());
        assert!(broken(sleeping_tests, "fn a() { std::thread::sleep(x); }").is_empty());
    }

    #[test]
    fn selects_must_be_biased() {
        assert_eq!(broken(unbiased_selects, "tokio::select! {\n    x = y => {}\n}"), [1]);
        assert!(broken(unbiased_selects, "tokio::select! {\n    // why\n    biased;\n    x = y => {}\n}").is_empty());
        assert!(broken(unbiased_selects, "select!(biased; x = y => {})").is_empty());
    }

    #[test]
    fn globs_are_found_but_for_those_of_test_modules() {
        let globs = |text| broken(globs, text);
        assert_eq!(globs("use a::*;\npub use b::{c::*, d};\npub(crate) use e::*;"), [1, 2, 3]);
        assert_eq!(globs("use super::*;"), [1]);
        assert!(globs("#[cfg(test)]\nmod tests {\n    use super::*;\n}").is_empty());
        assert_eq!(globs("#[cfg(test)]\nmod tests {\n    use crate::*;\n}"), [3]);
        assert!(globs("use a::b;\nlet x = a * b; // use c::*;").is_empty());
    }

    #[test]
    fn unwraps_and_bare_expects_are_for_tests() {
        assert_eq!(broken(unwraps, "fn a() { b\n    .unwrap() }"), [2]);
        assert!(broken(unwraps, "#[cfg(test)]\nmod tests { fn a() { b.unwrap() } }").is_empty());
        assert!(broken(unwraps, "/// x.unwrap()\nfn a() { b.unwrap_or(c) }").is_empty());
        assert_eq!(
            broken(bare_expects, "b.expect(\"works\"); c.expect(\n\"invariant: d\"); self.expect(Kind::A)"),
            [1]
        );
    }
}
