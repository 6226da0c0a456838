//! Which crate may know which, read off `cargo metadata`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

use crate::cargo;
use crate::tidy::Finding;

/// A crate, what it may depend on, and what its tests may use besides.
struct Layer {
    name: &'static str,
    normal: &'static [&'static str],
    dev: &'static [&'static str],
}

const LAYERS: [Layer; 6] = [
    Layer { name: "kinesis-core", normal: &[], dev: &[] },
    Layer { name: "kinesis-aggregation", normal: &["kinesis-core"], dev: &[] },
    Layer {
        name: "kinesis-consumer",
        normal: &["kinesis-core", "kinesis-aggregation"],
        dev: &["kinesis-testkit", "kinesis-producer"],
    },
    Layer {
        name: "kinesis-producer",
        normal: &["kinesis-core", "kinesis-aggregation"],
        dev: &["kinesis-testkit", "kinesis-consumer"],
    },
    Layer {
        name: "kinesis-testkit",
        normal: &["kinesis-core", "kinesis-aggregation"],
        dev: &["kinesis-consumer", "kinesis-producer"],
    },
    Layer { name: "xtask", normal: &[], dev: &[] },
];

/// The feature with deliberate faults.
const MUTANTS: &str = "mutants";

/// Finds edges that the layers do not have, and settings that leak through an edge.
pub(super) fn check() -> Result<Vec<Finding>, String> {
    let text = cargo::output(&["metadata", "--format-version", "1", "--no-deps", "--locked"])?;
    let metadata: Value = serde_json::from_str(&text).map_err(|error| format!("cargo metadata: {error}"))?;
    Ok(findings(&metadata))
}

fn findings(metadata: &Value) -> Vec<Finding> {
    let root = metadata["workspace_root"].as_str().unwrap_or_default();
    let mut findings = Vec::new();
    for package in array(&metadata["packages"]) {
        let manifest = PathBuf::from(text(package, "manifest_path"));
        let manifest = manifest.strip_prefix(root).unwrap_or(&manifest);
        let mut report = |advice: String| findings.push(Finding::new(manifest, 0, advice));
        let name = text(package, "name");
        let Some(layer) = LAYERS.iter().find(|layer| layer.name == name) else {
            report(format!("{name} is in no layer; add it to xtask's tidy/layers.rs and to ARCHITECTURE.md"));
            continue;
        };
        for dependency in array(&package["dependencies"]) {
            edge_advice(layer, dependency).into_iter().for_each(&mut report);
        }
        if default_features(package).iter().any(|feature| is_mutants(feature)) {
            report(format!("the default features include `{MUTANTS}`; deliberate faults must be asked for"));
        }
    }
    findings
}

/// What is wrong with one dependency of a crate.
fn edge_advice(layer: &Layer, dependency: &Value) -> Vec<String> {
    let target = text(dependency, "name");
    let is_dev = dependency["kind"] == "dev";
    let uses_defaults = dependency["uses_default_features"] == true;
    let mut advice = Vec::new();
    if LAYERS.iter().any(|layer| layer.name == target) {
        let is_allowed = layer.normal.contains(&target) || (is_dev && layer.dev.contains(&target));
        if !is_allowed {
            let kind = if is_dev { "the tests of " } else { "" };
            advice.push(format!("{kind}{} must not depend on {target} (ARCHITECTURE.md, layers)", layer.name));
        }
        if is_dev && dependency["req"] != "*" {
            advice.push(format!(
                "the dev-dependency on {target} has a version; give its path alone, so that it publishes"
            ));
        }
        let light = layer.name == "kinesis-aggregation" && !is_dev;
        if light && (uses_defaults || !array(&dependency["features"]).is_empty()) {
            advice.push(format!("{} must use {target} without features, so that no SDK comes with it", layer.name));
        }
        let has_mutants = array(&dependency["features"]).iter().filter_map(Value::as_str).any(is_mutants);
        if !is_dev && has_mutants {
            advice.push(format!("{target} is used with `{MUTANTS}`; deliberate faults are for tests"));
        }
    }
    let has_heavy_defaults =
        target.starts_with("aws-sdk-") || ["aws-config", "aws-smithy-http-client"].contains(&target);
    if has_heavy_defaults && uses_defaults {
        advice.push(format!("{target} has its default features on; they bring a second HTTP stack, turn them off"));
    }
    advice
}

fn is_mutants(feature: &str) -> bool {
    feature == MUTANTS || feature.rsplit('/').next() == Some(MUTANTS)
}

/// The features that are on by default, and those that they turn on.
fn default_features(package: &Value) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    let mut waiting = vec!["default"];
    while let Some(feature) = waiting.pop() {
        if found.insert(feature) {
            waiting.extend(array(&package["features"][feature]).iter().filter_map(Value::as_str));
        }
    }
    found
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    fn dependency(name: &str, kind: Option<&str>, req: &str, features: &[&str]) -> Value {
        json!({"name": name, "kind": kind, "req": req, "uses_default_features": false, "features": features})
    }

    fn advice(package: &str, dependencies: &[Value], features: &Value) -> Vec<String> {
        let metadata = json!({
            "workspace_root": "/w",
            "packages": [{
                "name": package,
                "manifest_path": format!("/w/{package}/Cargo.toml"),
                "dependencies": dependencies,
                "features": features,
            }],
        });
        let findings = findings(&metadata);
        let manifest = Path::new(package).join("Cargo.toml");
        assert!(findings.iter().all(|finding| finding.path == manifest), "{findings:?}");
        findings.into_iter().map(|finding| finding.advice).collect()
    }

    #[test]
    fn edges_of_the_layers_pass() {
        let none = json!({});
        let core = dependency("kinesis-core", None, "^0.1.0", &[]);
        let testkit = dependency("kinesis-testkit", Some("dev"), "*", &[]);
        assert!(advice("kinesis-aggregation", std::slice::from_ref(&core), &none).is_empty());
        assert!(advice("kinesis-consumer", &[core, testkit], &json!({"default": [], "mutants": []})).is_empty());
    }

    #[test]
    fn edges_against_the_layers_are_found() {
        let none = json!({});
        for (package, target, kind) in [
            ("kinesis-core", "kinesis-aggregation", None),
            ("kinesis-core", "kinesis-testkit", Some("dev")),
            ("kinesis-aggregation", "kinesis-consumer", None),
            ("kinesis-consumer", "kinesis-producer", None),
            ("kinesis-producer", "kinesis-consumer", None),
            ("kinesis-consumer", "kinesis-testkit", None),
            ("kinesis-testkit", "kinesis-consumer", None),
            ("kinesis-testkit", "kinesis-consumer", Some("build")),
            ("xtask", "kinesis-core", None),
        ] {
            let found = advice(package, &[dependency(target, kind, "*", &[])], &none);
            assert_eq!(found.len(), 1, "{package} {target} {kind:?}: {found:?}");
        }
        assert_eq!(advice("kinesis-new", &[], &none).len(), 1);
    }

    #[test]
    fn settings_that_leak_are_found() {
        let none = json!({});
        let versioned = dependency("kinesis-testkit", Some("dev"), "^0.1.0", &[]);
        assert_eq!(advice("kinesis-consumer", &[versioned], &none).len(), 1);
        let with_sdk = dependency("kinesis-core", None, "^0.1.0", &["sdk"]);
        assert_eq!(advice("kinesis-aggregation", &[with_sdk], &none).len(), 1);
        let mut heavy = dependency("aws-sdk-kinesis", None, "^1", &[]);
        heavy["uses_default_features"] = json!(true);
        assert_eq!(advice("kinesis-core", &[heavy], &none).len(), 1);
    }

    #[test]
    fn mutants_are_never_on_by_default() {
        for features in [
            json!({"default": ["mutants"], "mutants": []}),
            json!({"default": ["full"], "full": ["kinesis-consumer/mutants"]}),
        ] {
            assert_eq!(advice("kinesis-consumer", &[], &features).len(), 1, "{features}");
        }
        let faulty = dependency("kinesis-core", None, "^0.1.0", &["mutants"]);
        assert_eq!(advice("kinesis-consumer", &[faulty], &json!({})).len(), 1);
    }
}
