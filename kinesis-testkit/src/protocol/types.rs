//! Whether a value is of the type that the model wants, in the service's words.
//!
//! The words are those that kinesalite recorded (`validations/index.js`): the service runs on a JVM and shows it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::model::{Model, Shape, ShapeType};
use crate::engine::ServiceError;

/// Refuses a value that cannot be read as its shape; null counts as absent.
pub(super) fn check(model: &Model, shape: &Shape, value: &Value) -> Result<(), ServiceError> {
    let refuse = |problem: String| Err(ServiceError::serialization(problem));
    match (shape.r#type, value) {
        (_, Value::Null)
        | (ShapeType::Boolean, Value::Bool(_))
        | (ShapeType::Integer | ShapeType::Long | ShapeType::Timestamp, Value::Number(_))
        | (ShapeType::String, Value::String(_)) => Ok(()),
        (ShapeType::Blob, Value::String(text)) => blob(text).map_or(Ok(()), refuse),
        (ShapeType::List, Value::Array(items)) => {
            let Some((_, item)) = model.of_list(shape) else { return Ok(()) };
            items.iter().try_for_each(|value| check(model, item, value))
        }
        (ShapeType::Map, Value::Object(entries)) => {
            let Some((_, of_value)) = model.of_map(shape) else { return Ok(()) };
            entries.values().try_for_each(|value| check(model, of_value, value))
        }
        (ShapeType::Structure, Value::Object(entries)) => shape.members.iter().try_for_each(|member| {
            entries.get(&member.name).map_or(Ok(()), |value| check(model, model.of_member(member), value))
        }),
        (wanted, found) => refuse(mismatch(wanted, found)),
    }
}

/// What the service says where the types differ.
fn mismatch(wanted: ShapeType, found: &Value) -> String {
    match (wanted, found) {
        (_, Value::Array(_)) => return "Start of list found where not expected".to_owned(),
        (_, Value::Object(_)) => return "Start of structure or map found where not expected.".to_owned(),
        (ShapeType::List, _) => return "Expected list or null".to_owned(),
        (ShapeType::Map, _) => return "Expected map or null".to_owned(),
        (ShapeType::Structure, _) => return "Expected null".to_owned(),
        (ShapeType::Boolean, Value::String(text)) => {
            return format!("'{}' can not be converted to an Boolean", text.to_uppercase());
        }
        _ => {}
    }
    let found = match found {
        Value::Bool(_) => "class java.lang.Boolean",
        Value::Number(_) => "class com.amazon.coral.value.json.numbers.TruncatingBigNumber",
        _ => "class java.lang.String",
    };
    not_converted(found, wanted)
}

/// What is said of bytes where the model wants no blob: CBOR has them, JSON has not.
///
/// Whether the service says this is not known; it is what it says of other types.
pub(super) fn bytes_mismatch(wanted: ShapeType) -> String {
    match wanted {
        ShapeType::List | ShapeType::Map | ShapeType::Structure => mismatch(wanted, &Value::Bool(true)),
        _ => not_converted("class java.nio.HeapByteBuffer", wanted),
    }
}

/// What is said of a text where the model wants a blob: JSON takes it for base64, CBOR has bytes for that.
pub(super) fn text_mismatch() -> String {
    not_converted("class java.lang.String", ShapeType::Blob)
}

fn not_converted(found: &str, wanted: ShapeType) -> String {
    let wanted = match wanted {
        ShapeType::Blob => "a Blob",
        ShapeType::Boolean => "an Boolean",
        ShapeType::Integer => "an Integer",
        ShapeType::Long => "an Long",
        ShapeType::Timestamp => "milliseconds since epoch",
        _ => "an String",
    };
    format!("{found} can not be converted to {wanted}")
}

/// What is wrong with a text that should be base64.
pub(super) fn blob(text: &str) -> Option<String> {
    let problem = |what: String| Some(format!("'{text}' can not be converted to a Blob: {what}"));
    if !text.len().is_multiple_of(4) {
        return problem(format!("Base64 encoded length is expected a multiple of 4 bytes but found: {}", text.len()));
    }
    let padding = text.bytes().rev().take_while(|byte| *byte == b'=').count().min(2);
    let content = &text.as_bytes()[..text.len() - padding];
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    if let Some(at) = content.iter().position(|byte| !is_base64(*byte)) {
        let character = text[at..].chars().next().unwrap_or_default();
        return problem(format!("Invalid Base64 character: '{character}'"));
    }
    // "dectected" is the service's spelling.
    STANDARD.decode(text).err().and_then(|_| problem("Invalid last non-pad Base64 character dectected".to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::operation::Operation;

    fn refusal(operation: Operation, input: &Value) -> String {
        let model = Model::get();
        match check(model, model.input(operation), input) {
            Ok(()) => String::new(),
            Err(error) => error.message().to_owned(),
        }
    }

    #[test]
    fn types_are_refused_in_the_services_words() {
        let put = |member: &str, value: Value| refusal(Operation::PutRecord, &json!({ member: value }));
        let number = "class com.amazon.coral.value.json.numbers.TruncatingBigNumber can not be converted to";
        assert_eq!(put("StreamName", json!(1)), format!("{number} an String"));
        assert_eq!(put("StreamName", json!(true)), "class java.lang.Boolean can not be converted to an String");
        assert_eq!(put("StreamName", json!([])), "Start of list found where not expected");
        assert_eq!(put("Data", json!({})), "Start of structure or map found where not expected.");
        assert_eq!(put("Data", json!(2)), format!("{number} a Blob"));
        assert_eq!(put("DryRun", json!("yes")), "'YES' can not be converted to an Boolean");
        let limit = refusal(Operation::GetRecords, &json!({ "Limit": "1" }));
        assert_eq!(limit, "class java.lang.String can not be converted to an Integer");
        let tags = |tags: Value| refusal(Operation::AddTagsToStream, &json!({ "Tags": tags }));
        assert_eq!(tags(json!("x")), "Expected map or null");
        assert_eq!(tags(json!({ "a": 1 })), format!("{number} an String"));
        assert_eq!(refusal(Operation::PutRecords, &json!({ "Records": "x" })), "Expected list or null");
        assert_eq!(refusal(Operation::PutRecords, &json!({ "Records": ["x"] })), "Expected null");
        let at = refusal(Operation::GetShardIterator, &json!({ "Timestamp": "now" }));
        assert_eq!(at, "class java.lang.String can not be converted to milliseconds since epoch");
    }

    #[test]
    fn blobs_are_checked_as_the_service_does() {
        let data = |text: &str| refusal(Operation::PutRecord, &json!({ "Data": text }));
        for fine in ["", "eA==", "eHk=", "eHl6"] {
            assert_eq!(data(fine), "", "{fine}");
        }
        assert_eq!(
            data("abc"),
            "'abc' can not be converted to a Blob: Base64 encoded length is expected a multiple of 4 bytes but found: 3"
        );
        assert_eq!(data("=+/="), "'=+/=' can not be converted to a Blob: Invalid Base64 character: '='");
        assert_eq!(data("ää"), "'ää' can not be converted to a Blob: Invalid Base64 character: 'ä'");
        assert_eq!(
            data("+/+="),
            "'+/+=' can not be converted to a Blob: Invalid last non-pad Base64 character dectected"
        );
    }

    #[test]
    fn null_and_unknown_members_are_passed_over() {
        assert_eq!(refusal(Operation::PutRecord, &json!({ "Data": null, "Pizza": 3 })), "");
    }
}
