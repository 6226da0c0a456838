//! The tests that `docs/conformance.md` names are there.

use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = include_str!("../../docs/conformance.md");

fn sources(folder: PathBuf) -> String {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.fold(String::new(), |text, path| match path.extension() {
        None => text + &sources(path),
        Some(_) => text + &fs::read_to_string(path).unwrap(),
    })
}

#[test]
fn every_test_that_the_page_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = sources(root.join("src")) + &sources(root.join("tests"));
    let last_word = |code: &'static str| code.rsplit("::").next().unwrap_or_default();
    // Names of tests are sentences.
    let is_name =
        |name: &&str| name.matches('_').count() >= 2 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let names: Vec<_> = PAGE.split('`').skip(1).step_by(2).map(last_word).filter(is_name).collect();
    assert!(names.len() > 20, "{names:?}");
    let missing: Vec<_> = names.iter().filter(|name| !sources.contains(&format!("fn {name}("))).collect();
    assert_eq!(missing, [&""; 0]);
}
