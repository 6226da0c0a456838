//! From records to what a program works with.

use std::str::Utf8Error;

use thiserror::Error;

use crate::record::Record;

/// The cause of a failure in user code.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Turns user records into items.
pub trait Schema: Send + Sync + 'static {
    /// What the schema makes.
    type Item: Send + 'static;

    /// Makes an item of a record; nothing skips the record, and its position advances all the same.
    ///
    /// # Errors
    /// Any error fails the job at this record; a restored job reads it again.
    fn decode(&self, record: Record) -> Result<Option<Self::Item>, BoxError>;
}

/// Hands on the records as they are, without a copy.
#[derive(Clone, Copy, Debug, Default)]
pub struct RawRecords;

impl Schema for RawRecords {
    type Item = Record;

    fn decode(&self, record: Record) -> Result<Option<Record>, BoxError> {
        Ok(Some(record))
    }
}

/// Reads each record's data as UTF-8 text.
#[derive(Clone, Copy, Debug, Default)]
pub struct Utf8;

/// Data that is no UTF-8 text.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the data is no UTF-8 text: use another schema, or one that skips such records")]
pub struct NotUtf8Error(#[source] Utf8Error);

impl Schema for Utf8 {
    type Item = String;

    fn decode(&self, record: Record) -> Result<Option<String>, BoxError> {
        let text = std::str::from_utf8(&record.data).map_err(NotUtf8Error)?;
        Ok(Some(text.to_owned()))
    }
}
