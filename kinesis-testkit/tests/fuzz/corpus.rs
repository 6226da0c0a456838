//! What is spoiled: inputs of the conformance cases.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// An operation and a body in JSON that means something to it.
pub(crate) struct Sample {
    pub(crate) operation: String,
    pub(crate) body: Value,
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Every input of every case that is no larger than a kilobyte; expressions stand in it as they are.
pub(crate) fn samples() -> Vec<Sample> {
    let mut samples = Vec::new();
    for path in files(&here().join("conformance/cases")) {
        let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let steps = file["cases"].as_array().unwrap().iter().flat_map(|case| case["steps"].as_array().unwrap());
        let inputs = steps.filter_map(|step| {
            let (operation, body) = (step["call"].as_str()?.to_owned(), step.get("input")?.clone());
            (body.to_string().len() <= 1024).then_some(Sample { operation, body })
        });
        samples.extend(inputs);
    }
    assert!(samples.len() > 1000, "{} samples are too few", samples.len());
    samples
}

/// What once broke: files named after operation and format, such as `PutRecord.1.cbor`.
pub(crate) fn regressions(format: &str) -> Vec<(String, Vec<u8>)> {
    let named = |path: &PathBuf| path.extension().is_some_and(|extension| extension == format);
    let paths = files(&here().join("fuzz/regressions")).into_iter().filter(named);
    paths
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            (name.split('.').next().unwrap().to_owned(), std::fs::read(&path).unwrap())
        })
        .collect()
}
