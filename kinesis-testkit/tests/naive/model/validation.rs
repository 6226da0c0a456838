//! The constraints of the service model, as far as the generator breaks them.

use serde_json::Value;

use super::{Refusal, refuse};

pub(super) fn check(operation: &str, input: &Value) -> Result<(), Refusal> {
    let most_tags = if operation == "ListTagsForStream" { 50 } else { 10_000 };
    let in_range = |field: &str, most: i64| input[field].as_i64().is_none_or(|value| (1..=most).contains(&value));
    let named = |field: &str| input[field].as_str().is_none_or(is_name);
    let sound = in_range("Limit", most_tags)
        && in_range("MaxResults", 10_000)
        && in_range("ShardCount", i64::MAX)
        && in_range("TargetShardCount", i64::MAX)
        && input["MaxRecordSizeInKiB"].as_i64().is_none_or(|kib| (1024..=10_240).contains(&kib))
        && named("StreamName")
        && named("ShardId")
        && named("ShardToSplit")
        && named("ExclusiveStartShardId")
        && is_hash_key(&input["NewStartingHashKey"])
        && is_entry(input)
        && input["Records"].as_array().is_none_or(|entries| entries.iter().all(is_entry));
    if sound { Ok(()) } else { refuse("ValidationException") }
}

fn is_name(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    (1..=128).contains(&text.len()) && text.bytes().all(letter)
}

/// `0|([1-9]\d{0,38})`
fn is_hash_key(value: &Value) -> bool {
    value.as_str().is_none_or(|text| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text == "0" || (digits && !text.starts_with('0') && text.len() <= 39)
    })
}

fn is_entry(entry: &Value) -> bool {
    let key = entry["PartitionKey"].as_str().is_none_or(|key| (1..=256).contains(&key.chars().count()));
    key && is_hash_key(&entry["ExplicitHashKey"])
}
