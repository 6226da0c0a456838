//! Records, bytes and text.

use std::str::Utf8Error;

use bytes::Bytes;
use thiserror::Error;

use super::{BoxError, Schema};
use crate::record::Record;

/// Hands on the records as they are, without a copy.
#[derive(Clone, Copy, Debug, Default)]
pub struct RawRecords;

impl Schema for RawRecords {
    type Item = Record;

    fn decode(&self, record: Record) -> Result<Option<Record>, BoxError> {
        Ok(Some(record))
    }
}

/// Hands on each record's data, without a copy.
///
/// The members of an aggregate share its memory: one that is kept keeps all of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct RawBytes;

impl Schema for RawBytes {
    type Item = Bytes;

    fn decode(&self, record: Record) -> Result<Option<Bytes>, BoxError> {
        Ok(Some(record.data))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_the_record_itself() {
        let record = Record::for_tests(7, Bytes::from(vec![1, 2, 3]));
        let data = record.data.as_ptr();
        assert_eq!(RawBytes.decode(record).unwrap().unwrap().as_ptr(), data);
    }

    #[test]
    fn text_that_is_none_is_refused_without_its_bytes() {
        let error = Utf8.decode(Record::for_tests(7, Bytes::from_static(b"secret\xff"))).unwrap_err();
        assert!(error.is::<NotUtf8Error>());
        assert!(!format!("{error} {error:?}").contains("secret"));
    }
}
