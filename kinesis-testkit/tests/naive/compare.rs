//! The comparison of a reply with what the model expects.

use kinesis_testkit::RawReply;
use serde_json::Value;

use crate::model::{Answer, Learn};

/// An opaque value that was found where it should be, and what it is.
pub(crate) type Found = (Learn, String);

/// Compares everything but opaque values, which are returned.
pub(crate) fn compare(answer: &Answer, reply: &RawReply) -> Result<Vec<Found>, String> {
    match answer {
        Answer::Refused(codes) => {
            let body: Value = serde_json::from_str(&reply.body).unwrap_or_default();
            let code = body["__type"].as_str().unwrap_or_default();
            let status = if code == "InternalFailure" { 500 } else { 400 };
            let refused = reply.status == status && codes.contains(&code);
            if refused { Ok(Vec::new()) } else { Err(format!("not refused with one of {codes:?}")) }
        }
        Answer::Nothing => {
            let served = reply.status == 200 && reply.body.is_empty();
            if served { Ok(Vec::new()) } else { Err("not served without a body".to_owned()) }
        }
        Answer::Body(expected, learn) => {
            if reply.status != 200 {
                return Err("not served".to_owned());
            }
            let got: Value = serde_json::from_str(&reply.body).map_err(|error| error.to_string())?;
            let mut found = Vec::new();
            walk("", expected, &got, &mut found)?;
            if found.len() != learn.len() {
                return Err(format!("{} opaque values instead of {}", found.len(), learn.len()));
            }
            found.sort_by_key(|(index, _)| *index);
            Ok(found.into_iter().map(|(index, text)| (learn[index].clone(), text)).collect())
        }
    }
}

fn walk(path: &str, expected: &Value, got: &Value, found: &mut Vec<(usize, String)>) -> Result<(), String> {
    match (expected, got) {
        (Value::String(text), Value::String(opaque)) if text.starts_with('$') => {
            found.push((text[1..].parse().map_err(|_| format!("{text} is no placeholder"))?, opaque.clone()));
            Ok(())
        }
        (Value::Object(expected), Value::Object(got)) => {
            if let Some(key) = got.keys().find(|key| !expected.contains_key(*key)) {
                return Err(format!("{path}.{key} should not be there"));
            }
            for (key, expected) in expected {
                let Some(got) = got.get(key) else { return Err(format!("{path}.{key} is missing")) };
                walk(&format!("{path}.{key}"), expected, got, found)?;
            }
            Ok(())
        }
        (Value::Array(expected), Value::Array(got)) => {
            if expected.len() != got.len() {
                return Err(format!("{path} has {} elements instead of {}", got.len(), expected.len()));
            }
            let pairs = expected.iter().zip(got).enumerate();
            pairs
                .into_iter()
                .try_for_each(|(index, (expected, got))| walk(&format!("{path}[{index}]"), expected, got, found))
        }
        (Value::Number(expected), Value::Number(got)) => {
            // A timestamp has three decimals, which a double holds to well below a millisecond.
            let near = (expected.as_f64().unwrap_or(f64::NAN) - got.as_f64().unwrap_or(f64::NAN)).abs() < 0.000_4;
            if near { Ok(()) } else { Err(format!("{path} is {got} instead of {expected}")) }
        }
        _ if expected == got => Ok(()),
        _ => Err(format!("{path} is {got} instead of {expected}")),
    }
}

#[cfg(test)]
mod tests {
    use kinesis_testkit::FakeKinesis;
    use serde_json::json;

    use super::*;

    /// The fake's answer to a listing of no streams, compared with a body.
    async fn compared(expected: Value) -> Result<Vec<Found>, String> {
        let reply = FakeKinesis::builder().build().call("ListStreams", "{}").await.unwrap();
        compare(&Answer::Body(expected, Vec::new()), &reply)
    }

    #[tokio::test(start_paused = true)]
    async fn every_field_counts() {
        let right = json!({ "StreamNames": [], "HasMoreStreams": false, "StreamSummaries": [] });
        assert!(compared(right.clone()).await.is_ok());
        let changed = |field: &str, value: Value| {
            let mut wrong = right.clone();
            wrong[field] = value;
            wrong
        };
        for (wrong, text) in [
            (json!({ "StreamNames": [], "HasMoreStreams": false }), ".StreamSummaries should not be there"),
            (changed("NextToken", json!("x")), ".NextToken is missing"),
            (changed("HasMoreStreams", json!(true)), ".HasMoreStreams is false instead of true"),
            (changed("StreamNames", json!(["a"])), ".StreamNames has 0 elements instead of 1"),
            (changed("StreamNames", json!(0)), ".StreamNames is [] instead of 0"),
        ] {
            assert_eq!(compared(wrong).await.unwrap_err(), text);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_are_told_apart() {
        let reply = FakeKinesis::builder().build().call("DescribeStream", r#"{"StreamName":"a"}"#).await.unwrap();
        assert!(compare(&Answer::Refused(vec!["ResourceNotFoundException"]), &reply).is_ok());
        let others =
            [Answer::Refused(vec!["ResourceInUseException"]), Answer::Nothing, Answer::Body(json!({}), Vec::new())];
        assert!(others.iter().all(|other| compare(other, &reply).is_err()));
    }
}
