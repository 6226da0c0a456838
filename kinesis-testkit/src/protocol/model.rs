//! The constraints of the service model, as `model/generate.py` took them from botocore.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex_lite::Regex;
use serde::{Deserialize, Deserializer};

use crate::operation::Operation;

static MODEL: LazyLock<Model> = LazyLock::new(|| {
    let text = include_str!("../../model/kinesis-2013-12-02.json");
    serde_json::from_str(text).expect("invariant: the model of the repository is read by every test of the protocol")
});

/// Every operation's input, and the shapes that inputs are made of.
#[derive(Debug, Deserialize)]
pub(super) struct Model {
    operations: BTreeMap<String, OperationModel>,
    shapes: BTreeMap<String, Shape>,
}

#[derive(Debug, Deserialize)]
struct OperationModel {
    input: String,
}

/// What kind of value a shape is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ShapeType {
    Blob,
    Boolean,
    Integer,
    List,
    Long,
    Map,
    String,
    Structure,
    Timestamp,
}

/// A kind of value with its constraints.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) struct Shape {
    pub(super) r#type: ShapeType,
    pub(super) min: Option<i64>,
    pub(super) max: Option<i64>,
    pub(super) pattern: Option<Pattern>,
    #[serde(default)]
    pub(super) r#enum: Vec<String>,
    /// The members of a structure, in the order in which the service checks them.
    #[serde(default)]
    pub(super) members: Vec<Member>,
    member: Option<String>,
    key: Option<String>,
    value: Option<String>,
}

/// A member of a structure.
#[derive(Debug, Deserialize)]
pub(super) struct Member {
    pub(super) name: String,
    shape: String,
    #[serde(default)]
    pub(super) required: bool,
}

/// A regular expression that a whole text has to match.
#[derive(Debug)]
pub(super) struct Pattern {
    /// As messages show it.
    pub(super) text: String,
    regex: Regex,
}

impl Pattern {
    pub(super) fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let regex = Regex::new(&format!("^(?:{text})$")).map_err(serde::de::Error::custom)?;
        Ok(Self { text, regex })
    }
}

impl Model {
    pub(super) fn get() -> &'static Self {
        &MODEL
    }

    /// The shape of an operation's input.
    pub(super) fn input(&self, operation: Operation) -> &Shape {
        self.shape(&self.operations[operation.as_str()].input)
    }

    fn shape(&self, name: &str) -> &Shape {
        &self.shapes[name]
    }

    pub(super) fn of_member(&self, member: &Member) -> &Shape {
        self.shape(&member.shape)
    }

    /// The name of what a list holds, and its shape.
    pub(super) fn of_list<'a>(&'a self, list: &'a Shape) -> Option<(&'a str, &'a Shape)> {
        list.member.as_deref().map(|name| (name, self.shape(name)))
    }

    /// What a map's keys and values are.
    pub(super) fn of_map(&self, map: &Shape) -> Option<(&Shape, &Shape)> {
        Some((self.shape(map.key.as_deref()?), self.shape(map.value.as_deref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_and_every_shape_that_is_named_is_there() {
        let model = Model::get();
        assert_eq!(model.operations.keys().map(String::as_str).collect::<Vec<_>>(), operation_names());
        for shape in model.shapes.values() {
            let members = shape.members.iter().map(|member| &member.shape);
            for name in members.chain(&shape.member).chain(&shape.key).chain(&shape.value) {
                assert!(model.shapes.contains_key(name), "{name}");
            }
        }
    }

    fn operation_names() -> Vec<&'static str> {
        Operation::ALL.iter().map(|operation| operation.as_str()).collect()
    }

    #[test]
    fn a_pattern_is_matched_by_a_whole_text() {
        let model = Model::get();
        let pattern = model.shape("HashKey").pattern.as_ref().unwrap();
        for (text, matches) in [("0", true), ("12", true), ("012", false), ("12x", false), ("", false)] {
            assert_eq!(pattern.matches(text), matches, "{text}");
        }
    }
}
