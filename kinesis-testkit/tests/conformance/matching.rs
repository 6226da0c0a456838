//! Expected replies against the replies that came.

use serde_json::{Map, Value};

/// Where and how `got` differs from `expected`; nothing where it matches.
///
/// Members that are not listed are let through, unless `exact`. Lists have the same length and match in order.
pub(crate) fn difference(expected: &Value, got: &Value, exact: bool) -> Option<String> {
    at("$", expected, got, exact)
}

fn at(path: &str, expected: &Value, got: &Value, exact: bool) -> Option<String> {
    match (expected, got) {
        (Value::Object(members), _) if members.keys().any(|name| name.starts_with('$')) => {
            members.iter().find_map(|(name, argument)| matcher(path, name, argument, got, exact))
        }
        (Value::Object(members), Value::Object(got_members)) => object(path, members, got_members, exact),
        (Value::Array(items), Value::Array(got_items)) if items.len() == got_items.len() => {
            let pairs = items.iter().zip(got_items).enumerate();
            pairs.into_iter().find_map(|(n, (item, got))| at(&format!("{path}[{n}]"), item, got, exact))
        }
        (Value::Number(number), Value::Number(got)) if number.as_f64() == got.as_f64() => None,
        _ if expected == got => None,
        _ => Some(format!("{path}: expected {}, got {}", short(expected), short(got))),
    }
}

fn object(path: &str, members: &Map<String, Value>, got: &Map<String, Value>, exact: bool) -> Option<String> {
    let listed = members.iter().find_map(|(name, expected)| match got.get(name) {
        None => Some(format!("{path}.{name}: missing, expected {}", short(expected))),
        Some(got) => at(&format!("{path}.{name}"), expected, got, exact),
    });
    let unlisted = || got.iter().find(|(name, _)| exact && !members.contains_key(*name));
    listed.or_else(|| unlisted().map(|(name, got)| format!("{path}.{name}: not expected, got {}", short(got))))
}

fn matcher(path: &str, name: &str, argument: &Value, got: &Value, exact: bool) -> Option<String> {
    let is_met = match name {
        "$any" => true,
        "$type" => argument == kind(got),
        "$regex" => match is_match(argument.as_str().unwrap_or("("), got.as_str().unwrap_or_default()) {
            Ok(found) => found && got.is_string(),
            Err(error) => return Some(format!("{path}: the case is wrong: {error}")),
        },
        "$number_between" => got.as_f64().is_some_and(|got| {
            let bound = |n: usize| argument.get(n).and_then(Value::as_f64).unwrap_or(f64::NAN);
            bound(0) <= got && got <= bound(1)
        }),
        "$greater_than" => is_greater(got, argument),
        "$length" => got.as_array().map(Vec::len) == length(argument),
        "$each" => {
            let items = got.as_array()?.iter().enumerate();
            return items.into_iter().find_map(|(n, item)| at(&format!("{path}[{n}]"), argument, item, exact));
        }
        "$contains" => {
            got.as_array().is_some_and(|items| items.iter().any(|item| at(path, argument, item, exact).is_none()))
        }
        "$unordered" => unordered(path, argument, got, exact),
        "$one_of" => argument.as_array().is_some_and(|all| all.iter().any(|one| at(path, one, got, exact).is_none())),
        _ => return Some(format!("{path}: the case is wrong: there is no matcher `{name}`")),
    };
    (!is_met).then(|| format!("{path}: expected {name} {}, got {}", short(argument), short(got)))
}

fn length(argument: &Value) -> Option<usize> {
    argument.as_u64().and_then(|length| usize::try_from(length).ok())
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Compares numbers, or whole numbers of any length in strings.
fn is_greater(got: &Value, bound: &Value) -> bool {
    match (got, bound) {
        (Value::String(got), Value::String(bound)) => (got.len(), got) > (bound.len(), bound),
        _ => got.as_f64() > bound.as_f64() && bound.is_number(),
    }
}

fn unordered(path: &str, expected: &Value, got: &Value, exact: bool) -> bool {
    let (Some(expected), Some(got)) = (expected.as_array(), got.as_array()) else { return false };
    let mut left: Vec<_> = got.iter().collect();
    let all_found = expected.iter().all(|item| {
        let found = left.iter().position(|got| at(path, item, got, exact).is_none());
        found.map(|position| left.swap_remove(position)).is_some()
    });
    all_found && left.is_empty()
}

/// The value at a path such as `$.Records[0].Data`.
pub(crate) fn lookup<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let steps = path.trim_start_matches('$').split(['.', '[']).filter(|step| !step.is_empty());
    steps.into_iter().try_fold(value, |value, step| match step.strip_suffix(']') {
        Some(index) => value.get(index.parse::<usize>().ok()?),
        None => value.get(step),
    })
}

/// A value's JSON, cut where it is long.
pub(crate) fn short(value: &Value) -> String {
    cut(&value.to_string())
}

/// A text, cut where it is long.
pub(crate) fn cut(text: &str) -> String {
    const LONGEST: usize = 600;
    let length = text.chars().count();
    if length <= LONGEST {
        return text.to_owned();
    }
    let kept: String = text.chars().take(LONGEST).collect();
    format!("{kept}… ({length} characters)")
}

/// Whether a regular expression is found in a text; an error where it is none.
fn is_match(pattern: &str, text: &str) -> Result<bool, regex_lite::Error> {
    regex_lite::Regex::new(pattern).map(|regex| regex.is_match(text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn is_met(expected: Value, got: Value) -> bool {
        difference(&expected, &got, false).is_none()
    }

    #[test]
    fn unlisted_members_pass_unless_it_is_exact() {
        let (expected, got) = (json!({"a": {"b": 1}}), json!({"a": {"b": 1.0, "c": 2}}));
        assert_eq!(difference(&expected, &got, false), None);
        assert_eq!(difference(&expected, &got, true).unwrap(), "$.a.c: not expected, got 2");
        assert_eq!(difference(&json!({"x": 1}), &got, false).unwrap(), "$.x: missing, expected 1");
    }

    #[test]
    fn lists_match_item_by_item() {
        assert!(is_met(json!([1, {"a": 1}]), json!([1, {"a": 1, "b": 2}])));
        assert!(!is_met(json!([1]), json!([1, 1])));
        assert!(is_met(json!({"$unordered": [1, 2]}), json!([2, 1])));
        assert!(!is_met(json!({"$unordered": [1, 2]}), json!([2, 1, 1])));
        assert!(is_met(json!({"$length": 2, "$each": {"$type": "number"}}), json!([1, 2])));
        assert!(!is_met(json!({"$each": 1}), json!([1, 2])));
        assert!(is_met(json!({"$contains": 2}), json!([1, 2])));
    }

    #[test]
    fn matchers_can_fail() {
        assert!(is_met(json!({"$greater_than": "99"}), json!("100")));
        assert!(!is_met(json!({"$greater_than": "99"}), json!("99")));
        assert!(!is_met(json!({"$regex": "^a$"}), json!(1)));
        assert!(!is_met(json!({"$number_between": [1, 2]}), json!(3)));
        assert!(!is_met(json!({"$type": "string"}), json!(null)));
        assert!(!is_met(json!({"$one_of": [1, 2]}), json!(3)));
        assert!(!is_met(json!({"$unknown": 1}), json!(1)));
    }

    #[test]
    fn paths_lead_through_members_and_indices() {
        let value = json!({"a": [{"b": 7}]});
        assert_eq!(lookup(&value, "$.a[0].b"), Some(&json!(7)));
        assert_eq!(lookup(&value, "a[1]"), None);
        assert_eq!(lookup(&value, "$"), Some(&value));
    }
}
