//! Whether a request satisfies the constraints of the model, in the service's words.
//!
//! Wording and order as kinesalite recorded them from the service (`validations/index.js`); at most ten problems are
//! reported.

use std::fmt::{Display, Write};

use serde_json::Value;

use super::model::{Model, Shape, ShapeType};
use super::text::lower_first;
use crate::engine::ServiceError;

const MAX_REPORTED: usize = 10;
/// The most of a value that a message repeats: above all that a client sends in earnest.
const MAX_SHOWN_BYTES: usize = 64 * 1024;

/// Refuses an input, whose types were checked before, that breaks constraints.
pub(super) fn check(model: &Model, shape: &Shape, input: &Value) -> Result<(), ServiceError> {
    let mut checker = Checker { model, problems: Vec::new() };
    checker.structure("", shape, input);
    let count = checker.problems.len();
    if count == 0 {
        return Ok(());
    }
    let plural = if count > 1 { "s" } else { "" };
    let problems = checker.problems.join("; ");
    Err(ServiceError::validation(format!("{count} validation error{plural} detected: {problems}")))
}

/// The bounds that hold for each text of a list or a map.
#[derive(Clone, Copy)]
struct Bounds {
    min: Option<i64>,
    max: Option<i64>,
}

impl Bounds {
    const fn of(shape: &Shape) -> Self {
        Self { min: shape.min, max: shape.max }
    }

    fn hold(self, measure: i64) -> bool {
        self.min.is_none_or(|min| measure >= min) && self.max.is_none_or(|max| measure <= max)
    }

    /// As the service writes the lengths of what a list or a map holds.
    fn lengths(self) -> String {
        let limit = |word: &str, limit: Option<i64>| {
            limit.map(|limit| format!("Member must have length {word} than or equal to {limit}"))
        };
        let limits = [limit("less", self.max), limit("greater", self.min)];
        limits.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

struct Checker<'a> {
    model: &'a Model,
    problems: Vec<String>,
}

impl Checker<'_> {
    fn report(&mut self, shown: impl Display, path: &str, constraint: impl Display) {
        if self.problems.len() < MAX_REPORTED {
            self.problems.push(format!("Value {shown} at '{path}' failed to satisfy constraint: {constraint}"));
        }
    }

    fn report_value(&mut self, value: &Value, shape: &Shape, path: &str, constraint: impl Display) {
        if self.problems.len() == MAX_REPORTED {
            return;
        }
        let mut shown = self.shown(value, shape);
        if shown.len() > MAX_SHOWN_BYTES {
            let end = (0..=MAX_SHOWN_BYTES).rev().find(|end| shown.is_char_boundary(*end)).unwrap_or_default();
            shown.truncate(end);
            shown.push_str("...");
        }
        self.report(format_args!("'{shown}'"), path, constraint);
    }

    fn structure(&mut self, prefix: &str, shape: &Shape, value: &Value) {
        for member in &shape.members {
            let path = || format!("{prefix}{}", lower_first(&member.name));
            match value.get(&member.name).filter(|value| !value.is_null()) {
                None if member.required => self.report("null", &path(), "Member must not be null"),
                None => {}
                Some(value) => {
                    let shape = self.model.of_member(member);
                    self.value(&path(), shape, value);
                }
            }
        }
    }

    fn value(&mut self, path: &str, shape: &Shape, value: &Value) {
        match value {
            Value::String(text) => self.text(path, shape, value, text),
            Value::Number(_) if shape.r#type != ShapeType::Timestamp => {
                self.bounded(path, shape, value, integer(value), "value");
            }
            Value::Array(items) => self.list(path, shape, value, items),
            Value::Object(entries) if shape.r#type == ShapeType::Map => {
                self.bounded(path, shape, value, length(entries.len()), "length");
                self.map_entries(path, shape, value);
            }
            Value::Object(_) => self.structure(&format!("{path}."), shape, value),
            _ => {}
        }
    }

    fn text(&mut self, path: &str, shape: &Shape, value: &Value, text: &str) {
        // A text that is far too long is not searched for what else is wrong.
        let searched = text.len() <= MAX_SHOWN_BYTES;
        if let Some(pattern) = shape.pattern.as_ref().filter(|pattern| searched && !pattern.matches(text)) {
            let constraint = format!("Member must satisfy regular expression pattern: {}", pattern.text);
            self.report_value(value, shape, path, constraint);
        }
        let measure = if shape.r#type == ShapeType::Blob { decoded_length(text) } else { text.chars().count() };
        self.bounded(path, shape, value, length(measure), "length");
        if !shape.r#enum.is_empty() && !shape.r#enum.iter().any(|word| word == text) {
            self.report_value(value, shape, path, enum_constraint(shape));
        }
    }

    fn bounded(&mut self, path: &str, shape: &Shape, value: &Value, measure: i64, what: &str) {
        if let Some(min) = shape.min.filter(|min| measure < *min) {
            let constraint = format!("Member must have {what} greater than or equal to {min}");
            self.report_value(value, shape, path, constraint);
        }
        if let Some(max) = shape.max.filter(|max| measure > *max) {
            let constraint = format!("Member must have {what} less than or equal to {max}");
            self.report_value(value, shape, path, constraint);
        }
    }

    /// A list of texts is reported as a whole, a list of structures member by member.
    fn list(&mut self, path: &str, shape: &Shape, value: &Value, items: &[Value]) {
        self.bounded(path, shape, value, length(items.len()), "length");
        let Some((_, of_item)) = self.model.of_list(shape) else { return };
        if of_item.r#type != ShapeType::String {
            for (index, item) in items.iter().enumerate() {
                if self.problems.len() == MAX_REPORTED {
                    return;
                }
                self.value(&format!("{path}.{}.member", index + 1), of_item, item);
            }
            return;
        }
        let bounds = Bounds::of(of_item);
        let texts = || items.iter().filter_map(Value::as_str);
        if texts().any(|text| !bounds.hold(length(text.chars().count()))) {
            let constraint = format!("Member must satisfy constraint: [{}]", bounds.lengths());
            self.report_value(value, shape, path, constraint);
        }
        if !of_item.r#enum.is_empty() && texts().any(|text| !of_item.r#enum.iter().any(|word| word == text)) {
            let constraint = format!("Member must satisfy constraint: [{}]", enum_constraint(of_item));
            self.report_value(value, shape, path, constraint);
        }
        if let Some(pattern) = &of_item.pattern
            && texts().any(|text| !pattern.matches(text))
        {
            let constraint = format!(
                "Member must satisfy constraint: [Member must satisfy regular expression pattern: {}]",
                pattern.text
            );
            self.report_value(value, shape, path, constraint);
        }
    }

    fn map_entries(&mut self, path: &str, shape: &Shape, value: &Value) {
        let (Some((of_key, of_value)), Some(entries)) = (self.model.of_map(shape), value.as_object()) else { return };
        let (keys, values) = (Bounds::of(of_key), Bounds::of(of_value));
        if entries.keys().any(|key| !keys.hold(length(key.chars().count()))) {
            let constraint = format!("Map keys must satisfy constraint: [{}]", keys.lengths());
            self.report_value(value, shape, path, constraint);
        }
        if entries.values().filter_map(Value::as_str).any(|text| !values.hold(length(text.chars().count()))) {
            let constraint = format!("Map value must satisfy constraint: [{}]", values.lengths());
            self.report_value(value, shape, path, constraint);
        }
    }

    /// A value as the service shows it in messages.
    fn shown(&self, value: &Value, shape: &Shape) -> String {
        match value {
            Value::String(text) if shape.r#type == ShapeType::Blob => {
                let size = decoded_length(text);
                format!("java.nio.HeapByteBuffer[pos=0 lim={size} cap={size}]")
            }
            Value::String(text) => text.clone(),
            Value::Number(_) => integer(value).to_string(),
            Value::Array(items) => {
                let structure = self.model.of_list(shape).filter(|(_, item)| item.r#type == ShapeType::Structure);
                // What is cut off later is not written first.
                let items = items.iter().take(MAX_SHOWN_BYTES).map(|item| match (structure, item) {
                    // The hash code of a Java object: this one was recorded.
                    (Some((name, _)), _) => format!("com.amazonaws.kinesis.v20131202.{name}@c965e310"),
                    (None, Value::String(text)) => text.clone(),
                    (None, other) => other.to_string(),
                });
                format!("[{}]", items.collect::<Vec<_>>().join(", "))
            }
            Value::Object(entries) => {
                let mut shown = String::from("{");
                for (index, (key, value)) in entries.iter().take(MAX_SHOWN_BYTES).enumerate() {
                    let separator = if index > 0 { ", " } else { "" };
                    let written = write!(shown, "{separator}{key}={}", value.as_str().unwrap_or_default());
                    debug_assert!(written.is_ok(), "text only grows");
                }
                shown + "}"
            }
            other => other.to_string(),
        }
    }
}

fn enum_constraint(shape: &Shape) -> String {
    format!("Member must satisfy enum value set: [{}]", shape.r#enum.join(", "))
}

fn length(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The bytes that a base64 text stands for.
pub(super) fn decoded_length(text: &str) -> usize {
    let padding = text.bytes().rev().take(2).filter(|byte| *byte == b'=').count();
    (text.len() / 4 * 3).saturating_sub(padding)
}

/// A number as the service reads it: rounded down, and no larger than Java's int.
pub(super) fn integer(value: &Value) -> i64 {
    let whole = value.as_i64().or_else(|| value.as_f64().map(|number| number.floor() as i64));
    whole.unwrap_or(i64::MAX).clamp(i64::from(i32::MIN), i64::from(i32::MAX))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::operation::Operation;

    fn message(operation: Operation, input: &Value) -> String {
        let model = Model::get();
        match check(model, model.input(operation), input) {
            Ok(()) => String::new(),
            Err(error) => error.message().to_owned(),
        }
    }

    #[test]
    fn problems_are_worded_and_ordered_as_recorded() {
        assert_eq!(
            message(Operation::GetRecords, &json!({ "ShardIterator": "x", "Limit": 10_001 })),
            "1 validation error detected: Value '10001' at 'limit' failed to satisfy constraint: Member must have \
             value less than or equal to 10000"
        );
        assert_eq!(
            message(Operation::GetShardIterator, &json!({ "ShardIteratorType": "NOWHERE", "StreamName": "" })),
            "4 validation errors detected: Value null at 'shardId' failed to satisfy constraint: Member must not be \
             null; Value 'NOWHERE' at 'shardIteratorType' failed to satisfy constraint: Member must satisfy enum value \
             set: [AFTER_SEQUENCE_NUMBER, LATEST, AT_TIMESTAMP, AT_SEQUENCE_NUMBER, TRIM_HORIZON]; Value '' at \
             'streamName' failed to satisfy constraint: Member must satisfy regular expression pattern: \
             [a-zA-Z0-9_.-]+; Value '' at 'streamName' failed to satisfy constraint: Member must have length greater \
             than or equal to 1"
        );
    }

    #[test]
    fn entries_are_named_by_their_place() {
        let records = json!({ "Records": [{ "Data": "", "PartitionKey": "" }, { "ExplicitHashKey": "007" }] });
        assert_eq!(
            message(Operation::PutRecords, &records),
            "3 validation errors detected: Value '' at 'records.1.member.partitionKey' failed to satisfy constraint: \
             Member must have length greater than or equal to 1; Value '007' at 'records.2.member.explicitHashKey' \
             failed to satisfy constraint: Member must satisfy regular expression pattern: 0|([1-9]\\d{0,38}); Value \
             null at 'records.2.member.data' failed to satisfy constraint: Member must not be null"
        );
    }

    #[test]
    fn what_lists_and_maps_hold_is_reported_as_a_whole() {
        assert_eq!(
            message(Operation::RemoveTagsFromStream, &json!({ "TagKeys": ["a", ""] })),
            "1 validation error detected: Value '[a, ]' at 'tagKeys' failed to satisfy constraint: Member must satisfy \
             constraint: [Member must have length less than or equal to 128, Member must have length greater than or \
             equal to 1]"
        );
        assert_eq!(
            message(Operation::AddTagsToStream, &json!({ "Tags": { "": "b" } })),
            "1 validation error detected: Value '{=b}' at 'tags' failed to satisfy constraint: Map keys must satisfy \
             constraint: [Member must have length less than or equal to 128, Member must have length greater than or \
             equal to 1]"
        );
        let metrics = json!({ "StreamName": "a", "ShardLevelMetrics": ["Pizza"] });
        assert!(
            message(Operation::EnableEnhancedMonitoring, &metrics)
                .contains("constraint: Member must satisfy constraint: [Member must satisfy enum value set: [")
        );
    }

    #[test]
    fn characters_are_counted_not_bytes() {
        let put = |key: String| message(Operation::PutRecord, &json!({ "Data": "", "PartitionKey": key }));
        assert_eq!(put("ä".repeat(256)), "");
        assert!(put("ä".repeat(257)).contains("less than or equal to 256"));
    }

    #[test]
    fn at_most_ten_problems_are_reported() {
        let records: Vec<Value> = (0..20).map(|_| json!({})).collect();
        let text = message(Operation::PutRecords, &json!({ "Records": records }));
        assert!(text.starts_with("10 validation errors detected"), "{text}");
    }

    #[test]
    fn numbers_are_read_as_java_reads_them() {
        for (given, read) in [(json!(1.9), 1), (json!(-1.5), -2), (json!(1e300), i64::from(i32::MAX)), (json!(7), 7)] {
            assert_eq!(integer(&given), read, "{given}");
        }
    }
}
