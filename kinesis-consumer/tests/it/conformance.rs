//! The tests that `docs/conformance.md` names are there.

use std::fs;
use std::path::Path;

/// The text of every source file under a folder.
fn sources(folder: &Path) -> String {
    let mut text = String::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text += &fs::read_to_string(path).unwrap();
            }
        }
    }
    text
}

#[test]
fn every_test_that_the_tables_name_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = fs::read_to_string(root.join("docs/conformance.md")).unwrap();
    let sources = sources(&root.join("src")) + &sources(&root.join("tests"));
    // Names of functions are sentences, which no module's name is.
    let last_word = |code: &str| code.rsplit("::").next().unwrap_or_default().to_owned();
    let names: Vec<String> =
        document.split('`').skip(1).step_by(2).map(last_word).filter(|name| name.matches('_').count() >= 3).collect();
    assert!(names.len() > 40, "{names:?}");
    let missing: Vec<_> = names
        .iter()
        .filter(|name| !sources.contains(&format!("fn {name}(")) && !sources.contains(&format!("mod {name};")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
