//! The pages of conformance name tests that exist.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::tidy::Finding;
use crate::tidy::source::Source;

/// Whether a file is such a page.
pub(super) fn is_page(path: &Path) -> bool {
    path.ends_with("docs/conformance.md")
}

/// Finds names of tests that no source file has, neither as a function nor as a module.
pub(super) fn check(pages: &[(PathBuf, String)], sources: &[Source]) -> Vec<Finding> {
    let known: BTreeSet<&str> = sources.iter().flat_map(|source| declared(&source.code)).collect();
    let mut findings = Vec::new();
    for (path, text) in pages {
        for (index, line) in text.lines().enumerate() {
            let missing = names(line).filter(|name| !known.contains(name));
            findings.extend(
                missing.map(|name| {
                    Finding::new(path, index + 1, format!("there is no test `{name}`; name one that exists"))
                }),
            );
        }
    }
    findings
}

/// The names of tests in a line: the last words of paths in code, which are sentences.
fn names(line: &str) -> impl Iterator<Item = &str> {
    let code = line.split('`').skip(1).step_by(2);
    let last_words = code.map(|code| code.rsplit("::").next().unwrap_or_default());
    last_words.filter(|word| {
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        word.matches('_').count() >= 3 && word.bytes().all(is_word)
    })
}

/// The names of functions and modules.
fn declared(code: &str) -> impl Iterator<Item = &str> {
    let end = |rest: &str| rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(rest.len());
    ["fn ", "mod "].into_iter().flat_map(move |keyword| code.split(keyword).skip(1).map(move |rest| &rest[..end(rest)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_its_test_is_found_by_its_line() {
        let source = Source::new("a/src/lib.rs".into(), "fn this_is_a_test() {}\nmod that_is_a_file;\n".to_owned());
        let page = "# Page\n\n`x::tests::this_is_a_test`, `x::that_is_a_file`, `too_short`, `Not_A_Test_At_All`\n\
                    | a | `gone::this_was_a_test` |\n";
        let findings = check(&[("a/docs/conformance.md".into(), page.to_owned())], &[source]);
        let found: Vec<_> = findings.iter().map(|finding| (finding.line, finding.advice.as_str())).collect();
        assert_eq!(found, [(4, "there is no test `this_was_a_test`; name one that exists")]);
    }

    #[test]
    fn pages_are_known_by_their_place() {
        assert!(is_page(Path::new("kinesis-core/docs/conformance.md")));
        assert!(!is_page(Path::new("kinesis-core/docs/configuration.md")));
    }
}
