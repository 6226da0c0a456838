//! What stands for something long, saved or of now, in inputs and expectations.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value};

/// What placeholders stand for.
pub(crate) struct Scope<'a> {
    /// Values that earlier steps saved, for `${name}`.
    pub(crate) saved: &'a BTreeMap<String, Value>,
    /// The service's time in seconds since 1970, for `$seconds_from_now`.
    pub(crate) now: f64,
}

impl Scope<'_> {
    /// Puts the values in the place of what stands for them.
    pub(crate) fn expand(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.text(text),
            Value::Array(items) => Value::Array(items.iter().map(|item| self.expand(item)).collect()),
            Value::Object(members) => self.object(members),
            _ => value.clone(),
        }
    }

    fn text(&self, text: &str) -> Value {
        if let Some(value) =
            text.strip_prefix("${").and_then(|it| it.strip_suffix('}')).and_then(|it| self.saved.get(it))
        {
            return value.clone();
        }
        let filled = self.saved.iter().fold(text.to_owned(), |text, (name, value)| {
            let plain = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            text.replace(&format!("${{{name}}}"), &plain)
        });
        Value::String(filled)
    }

    fn object(&self, members: &Map<String, Value>) -> Value {
        let special = (members.len() == 1).then(|| members.iter().next()).flatten();
        match special.map(|(name, argument)| (name.as_str(), argument)) {
            Some(("$fill", argument)) => {
                let piece = argument[0].as_str().unwrap_or_default();
                Value::String(piece.repeat(count(&argument[1])))
            }
            Some(("$base64_zeros", argument)) => Value::String(STANDARD.encode(vec![0; count(argument)])),
            Some(("$join", argument)) => {
                let pieces = argument.as_array().into_iter().flatten().map(|piece| self.expand(piece));
                Value::String(pieces.filter_map(|piece| piece.as_str().map(str::to_owned)).collect())
            }
            Some(("$times", argument)) => {
                Value::Array((1..=count(&argument[0])).map(|n| numbered(&self.expand(&argument[1]), n)).collect())
            }
            Some(("$map", argument)) => {
                let key = argument[1].as_str().unwrap_or_default();
                let entry = |n: usize| (key.replace("${i}", &n.to_string()), self.expand(&argument[2]));
                Value::Object((1..=count(&argument[0])).map(entry).collect())
            }
            Some(("$seconds_from_now", argument)) => {
                let seconds = self.now + argument.as_f64().unwrap_or_default();
                Number::from_f64((seconds * 1000.0).round() / 1000.0).map_or(Value::Null, Value::Number)
            }
            _ => Value::Object(members.iter().map(|(name, value)| (name.clone(), self.expand(value))).collect()),
        }
    }
}

fn count(value: &Value) -> usize {
    value.as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or_default()
}

/// Puts the number of the repetition in the place of `${i}`.
fn numbered(value: &Value, n: usize) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace("${i}", &n.to_string())),
        Value::Array(items) => Value::Array(items.iter().map(|item| numbered(item, n)).collect()),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(name, value)| (name.clone(), numbered(value, n))).collect())
        }
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn placeholders_become_what_they_stand_for() {
        let saved = BTreeMap::from([("it".to_owned(), json!("abc")), ("n".to_owned(), json!(7))]);
        let scope = Scope { saved: &saved, now: 1000.0 };
        let given = json!({
            "a": {"$fill": ["x", 3]},
            "b": {"$base64_zeros": 3},
            "c": {"$times": [2, {"k": "${i}"}]},
            "d": "${it}-${n}",
            "e": "${n}",
            "f": {"$join": ["<", {"$fill": ["y", 2]}, ">"]},
            "g": {"$map": [2, "k${i}", "v"]},
            "h": {"$seconds_from_now": -1.5},
            "i": {"$regex": "${it}"},
        });
        let expected = json!({
            "a": "xxx", "b": "AAAA", "c": [{"k": "1"}, {"k": "2"}], "d": "abc-7", "e": 7, "f": "<yy>",
            "g": {"k1": "v", "k2": "v"}, "h": 998.5, "i": {"$regex": "abc"},
        });
        assert_eq!(scope.expand(&given), expected);
    }
}
