//! JSON by serde.

use std::fmt;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde_json::error::Category;
use thiserror::Error;

use super::{BoxError, Schema};
use crate::record::Record;

/// Reads each record's data as one JSON value of type `T`.
///
/// White space around the value is allowed, a second value is not.
pub struct Json<T>(PhantomData<fn() -> T>);

impl<T> Json<T> {
    /// The schema; all of what it does is said by `T`.
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T> Default for Json<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for Json<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Json<T> {}

impl<T> fmt::Debug for Json<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Json")
    }
}

impl<T: DeserializeOwned + Send + 'static> Schema for Json<T> {
    type Item = T;

    fn decode(&self, record: Record) -> Result<Option<T>, BoxError> {
        let value = serde_json::from_slice(&record.data).map_err(|error| JsonError::new::<T>(&error))?;
        Ok(Some(value))
    }
}

/// What is wrong with data that is no JSON of the type asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JsonErrorKind {
    /// It is not JSON.
    Syntax,
    /// It is JSON of another shape.
    Data,
    /// It ends too early.
    Truncated,
}

impl fmt::Display for JsonErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax => "the data is no JSON",
            Self::Data => "the data is JSON of another shape",
            Self::Truncated => "the data is JSON that ends too early",
        })
    }
}

/// Data that is no JSON of the type asked for.
///
/// It says what and where, and holds nothing of the data: serde's own message would quote it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{kind}, at line {line}, column {column}, where `{expected}` is expected")]
#[non_exhaustive]
pub struct JsonError {
    /// What is wrong.
    pub kind: JsonErrorKind,
    /// The type that was asked for.
    pub expected: &'static str,
    /// The line, from 1; 0 where it is not known.
    pub line: usize,
    /// The column, in bytes.
    pub column: usize,
}

impl JsonError {
    fn new<T>(error: &serde_json::Error) -> Self {
        let kind = match error.classify() {
            Category::Syntax => JsonErrorKind::Syntax,
            Category::Data => JsonErrorKind::Data,
            // A slice has no I/O errors.
            Category::Eof | Category::Io => JsonErrorKind::Truncated,
        };
        Self { kind, expected: std::any::type_name::<T>(), line: error.line(), column: error.column() }
    }
}
