//! The constraints of the service model, in the service's words.
//!
//! Wording and order as kinesalite recorded them from the service (`validations/index.js`); at most ten are reported.

use std::fmt::Display;

use kinesis_core::{StreamArn, StreamName};

use crate::engine::{ServiceError, StreamRef};

const MAX_REPORTED: usize = 10;

/// Collects what is wrong with a request.
#[derive(Debug, Default)]
pub(super) struct Validator {
    problems: Vec<String>,
}

impl Validator {
    fn report(&mut self, value: impl Display, path: &str, constraint: impl Display) {
        if self.problems.len() < MAX_REPORTED {
            self.problems.push(format!("Value {value} at '{path}' failed to satisfy constraint: {constraint}"));
        }
    }

    fn report_quoted(&mut self, value: impl Display, path: &str, constraint: impl Display) {
        self.report(format_args!("'{value}'"), path, constraint);
    }

    /// Wants a value to be there.
    pub(super) fn required<T>(&mut self, path: &str, value: Option<&T>) {
        if value.is_none() {
            self.report("null", path, "Member must not be null");
        }
    }

    /// Wants a text of `min` to `max` characters.
    pub(super) fn text_length(&mut self, path: &str, text: &str, min: usize, max: usize) {
        let length = text.chars().count();
        self.length(path, length, min, max, format_args!("{text}"));
    }

    /// Wants a length of `min` to `max`; `shown` is how the service shows the value.
    pub(super) fn length(&mut self, path: &str, length: usize, min: usize, max: usize, shown: impl Display) {
        if length < min {
            let constraint = format!("Member must have length greater than or equal to {min}");
            self.report_quoted(&shown, path, constraint);
        }
        if length > max {
            let constraint = format!("Member must have length less than or equal to {max}");
            self.report_quoted(&shown, path, constraint);
        }
    }

    /// Wants a number from `min` to `max`.
    pub(super) fn range(&mut self, path: &str, value: i64, min: i64, max: i64) {
        if value < min {
            let constraint = format!("Member must have value greater than or equal to {min}");
            self.report_quoted(value, path, constraint);
        }
        if value > max {
            let constraint = format!("Member must have value less than or equal to {max}");
            self.report_quoted(value, path, constraint);
        }
    }

    /// Wants one of a set of words.
    pub(super) fn one_of(&mut self, path: &str, value: &str, allowed: &[&str]) {
        if !allowed.contains(&value) {
            let constraint = format!("Member must satisfy enum value set: [{}]", allowed.join(", "));
            self.report_quoted(value, path, constraint);
        }
    }

    /// Wants the name of a stream, a shard or the like: 1 to 128 of `A-Z a-z 0-9 _ . -`.
    pub(super) fn name(&mut self, path: &str, text: &str) {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        if text.is_empty() || !text.bytes().all(allowed) {
            self.report_quoted(text, path, "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+");
        }
        self.text_length(path, text, 1, 128);
    }

    /// Wants a decimal without leading zeros of at most `digits` digits.
    pub(super) fn decimal(&mut self, path: &str, text: &str, digits: usize) {
        let is_decimal = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_decimal || text.len() > digits || (text.len() > 1 && text.starts_with('0')) {
            let pattern = format!("0|([1-9]\\d{{0,{}}})", digits - 1);
            self.report_quoted(text, path, format_args!("Member must satisfy regular expression pattern: {pattern}"));
        }
    }

    /// Wants a hash key; its range is checked elsewhere.
    pub(super) fn hash_key(&mut self, path: &str, text: &str) {
        self.decimal(path, text, 39);
    }

    /// Wants the names of a stream to be well-formed where they are there.
    pub(super) fn stream(&mut self, name: Option<&str>, arn: Option<&str>) {
        if let Some(name) = name {
            self.name("streamName", name);
        }
        if let Some(arn) = arn.filter(|arn| arn.parse::<StreamArn>().is_err()) {
            self.report_quoted(
                arn,
                "streamARN",
                "Member must satisfy regular expression pattern: arn:aws.*:kinesis:.*:\\d{12}:stream/\\S+",
            );
        }
    }

    /// The refusal that all problems make together.
    pub(super) fn finish(self) -> Result<(), ServiceError> {
        let count = self.problems.len();
        if count == 0 {
            return Ok(());
        }
        let plural = if count > 1 { "s" } else { "" };
        let problems = self.problems.join("; ");
        Err(ServiceError::validation(format!("{count} validation error{plural} detected: {problems}")))
    }
}

/// The stream that name and ARN, both checked before, stand for.
pub(super) fn stream_ref(name: Option<&str>, arn: Option<&str>) -> Result<StreamRef, ServiceError> {
    let invalid = |text: String| ServiceError::invalid_argument(text);
    let arn: Option<StreamArn> = arn
        .map(str::parse)
        .transpose()
        .map_err(|error: kinesis_core::ParseStreamArnError| invalid(error.to_string()))?;
    let name: Option<StreamName> = name
        .map(str::parse)
        .transpose()
        .map_err(|error: kinesis_core::ParseStreamNameError| invalid(error.to_string()))?;
    match (name, arn) {
        (None, None) => Err(invalid("Either StreamName or StreamARN should be provided.".to_owned())),
        (Some(name), Some(arn)) if *arn.name() != name => {
            Err(invalid(format!("StreamARN {arn} and StreamName {name} do not match.")))
        }
        (name, Some(arn)) => Ok(StreamRef { name: name.unwrap_or_else(|| arn.name().clone()), arn: Some(arn) }),
        (Some(name), None) => Ok(StreamRef::named(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(check: impl FnOnce(&mut Validator)) -> String {
        let mut validator = Validator::default();
        check(&mut validator);
        validator.finish().map_or_else(|error| error.message().to_owned(), |()| String::new())
    }

    #[test]
    fn problems_are_worded_as_the_service_words_them() {
        assert_eq!(
            message(|it| it.range("limit", 10_001, 1, 10_000)),
            "1 validation error detected: Value '10001' at 'limit' failed to satisfy constraint: Member must have \
             value less than or equal to 10000"
        );
        assert_eq!(
            message(|it| {
                it.required::<&str>("shardId", None);
                it.one_of("shardIteratorType", "NOWHERE", &["LATEST", "TRIM_HORIZON"]);
            }),
            "2 validation errors detected: Value null at 'shardId' failed to satisfy constraint: Member must not be \
             null; Value 'NOWHERE' at 'shardIteratorType' failed to satisfy constraint: Member must satisfy \
             enum value set: [LATEST, TRIM_HORIZON]"
        );
        assert!(message(|it| it.name("streamName", "a b")).contains("pattern: [a-zA-Z0-9_.-]+"));
        assert!(message(|it| it.hash_key("explicitHashKey", "007")).contains("pattern: 0|([1-9]\\d{0,38})"));
    }

    #[test]
    fn what_is_allowed_passes() {
        let text = message(|it| {
            it.name("streamName", "orders.v2_x-1");
            it.text_length("partitionKey", &"ä".repeat(256), 1, 256);
            it.hash_key("explicitHashKey", "0");
            it.hash_key("explicitHashKey", "340282366920938463463374607431768211456");
            it.stream(Some("orders"), Some("arn:aws:kinesis:us-east-1:123456789012:stream/orders"));
        });
        assert_eq!(text, "");
    }

    #[test]
    fn at_most_ten_problems_are_reported() {
        let text = message(|it| (0..20).for_each(|_| it.required::<&str>("records", None)));
        assert!(text.starts_with("10 validation errors detected"), "{text}");
    }
}
