//! The tests that `docs/conformance.md` names are there.

use std::path::{Path, PathBuf};
use std::{fs, io};

const PAGE: &str = include_str!("../../docs/conformance.md");

fn sources(folder: PathBuf) -> io::Result<String> {
    let mut text = String::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        text += &if path.is_dir() { sources(path)? } else { fs::read_to_string(path)? };
    }
    Ok(text)
}

#[test]
fn every_test_that_the_page_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = sources(root.join("src")).unwrap() + &sources(root.join("tests")).unwrap();
    let last_word = |code: &'static str| code.rsplit("::").next().unwrap_or_default();
    // Names of tests are sentences; a test of another crate is looked for there.
    let foreign = "a_listing_of_several_pages_is_read_whole";
    let is_name =
        |name: &&str| name.matches('_').count() >= 2 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let names: Vec<_> = PAGE.split('`').skip(1).step_by(2).map(last_word).filter(is_name).collect();
    assert!(names.len() > 35, "{names:?}");
    let is_missing = |name: &&&str| **name != foreign && !sources.contains(&format!("fn {name}("));
    let missing: Vec<_> = names.iter().filter(is_missing).collect();
    assert_eq!(missing, [&""; 0]);
}
