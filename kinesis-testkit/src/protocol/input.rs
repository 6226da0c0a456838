//! A request's members, after the model has had its say.

use std::collections::BTreeMap;

use kinesis_core::{StreamArn, StreamName};
use serde_json::{Map, Value};

use super::constraints::{self, integer};
use super::format::Format;
use super::model::Model;
use super::types;
use crate::engine::{ServiceError, StreamRef};
use crate::operation::Operation;

/// The members of a request that satisfies the service model.
#[derive(Debug)]
pub(super) struct Input(Map<String, Value>);

impl Input {
    /// Reads and checks the body of a call.
    pub(super) fn read(operation: Operation, format: Format, body: &[u8]) -> Result<Self, ServiceError> {
        let value = tree(operation, format, body)?;
        check(operation, &value)?;
        match value {
            Value::Object(members) => Ok(Self(members)),
            _ => Err(ServiceError::serialization("")),
        }
    }

    fn member(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.member(name).is_some()
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.member(name)?.as_str()
    }

    /// A text that may be empty where it is absent; the model has required it before.
    pub(super) fn required(&self, name: &str) -> String {
        self.text(name).unwrap_or_default().to_owned()
    }

    pub(super) fn integer(&self, name: &str) -> Option<i64> {
        self.member(name).map(integer)
    }

    /// A number that the model has kept above zero.
    pub(super) fn count(&self, name: &str) -> Option<usize> {
        self.integer(name).and_then(|number| usize::try_from(number).ok())
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.member(name).and_then(Value::as_bool).unwrap_or_default()
    }

    /// A time in milliseconds since the epoch; an earlier one counts as the epoch.
    pub(super) fn millis(&self, name: &str) -> Option<u64> {
        self.member(name)?.as_f64().map(|seconds| (seconds * 1000.0).round() as u64)
    }

    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        let items = self.member(name).and_then(Value::as_array).into_iter().flatten();
        items.filter_map(Value::as_str).map(str::to_owned).collect()
    }

    pub(super) fn text_map(&self, name: &str) -> BTreeMap<String, String> {
        let entries = self.member(name).and_then(Value::as_object).into_iter().flatten();
        entries.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
    }

    pub(super) fn structure(&self, name: &str) -> Option<Self> {
        self.member(name).and_then(Value::as_object).map(|members| Self(members.clone()))
    }

    /// The stream that the request names.
    pub(super) fn stream(&self) -> Result<StreamRef, ServiceError> {
        stream_ref(self.text("StreamName"), self.text("StreamARN"))
    }

    /// The stream that the request names, if it names one.
    pub(super) fn optional_stream(&self) -> Result<Option<StreamRef>, ServiceError> {
        let named = self.text("StreamName").is_some() || self.text("StreamARN").is_some();
        named.then(|| self.stream()).transpose()
    }
}

/// Reads JSON; what is none is refused without a message.
pub(super) fn parse(body: &[u8]) -> Result<Value, ServiceError> {
    serde_json::from_slice(body).map_err(|_| ServiceError::serialization(""))
}

/// Reads the input of an operation.
pub(super) fn tree(operation: Operation, format: Format, body: &[u8]) -> Result<Value, ServiceError> {
    let model = Model::get();
    format.tree(model, model.input(operation), body)
}

/// Checks types first, then constraints, as the service does.
pub(super) fn check(operation: Operation, value: &Value) -> Result<(), ServiceError> {
    if !value.is_object() {
        return Err(ServiceError::serialization(""));
    }
    let model = Model::get();
    let shape = model.input(operation);
    types::check(model, shape, value)?;
    constraints::check(model, shape, value)
}

/// The stream that name and ARN, both checked before, stand for.
pub(super) fn stream_ref(name: Option<&str>, arn: Option<&str>) -> Result<StreamRef, ServiceError> {
    let arn: Option<StreamArn> = arn
        .map(str::parse)
        .transpose()
        .map_err(|error: kinesis_core::ParseStreamArnError| ServiceError::invalid_argument(error.to_string()))?;
    let name: Option<StreamName> = name
        .map(str::parse)
        .transpose()
        .map_err(|error: kinesis_core::ParseStreamNameError| ServiceError::invalid_argument(error.to_string()))?;
    match (name, arn) {
        (None, None) => Err(ServiceError::invalid_argument("Either StreamName or StreamARN should be provided.")),
        (Some(name), Some(arn)) if *arn.name() != name => {
            Err(ServiceError::invalid_argument(format!("StreamARN {arn} and StreamName {name} do not match.")))
        }
        (name, Some(arn)) => Ok(StreamRef { name: name.unwrap_or_else(|| arn.name().clone()), arn: Some(arn) }),
        (Some(name), None) => Ok(StreamRef::named(name)),
    }
}
