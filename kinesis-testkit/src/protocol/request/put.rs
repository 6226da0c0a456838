//! Requests that carry records: one copy from the request's base64 into the buffer that is stored.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use kinesis_core::HashKey;

use super::{Request, unreadable};
use crate::engine::{PutEntry, RecordBody, ServiceError};
use crate::protocol::input::{PutRecordInput, PutRecordsEntryInput, PutRecordsInput, Text};
use crate::protocol::validation::{Validator, stream_ref};

/// The most records of a request (API reference, PutRecords).
const MAX_ENTRIES: usize = 500;
/// The most bytes of a request, data and partition keys (API reference, PutRecords).
const MAX_REQUEST_BYTES: usize = 10 * 1024 * 1024;
/// The most bytes of one record's data, whatever the stream allows (service model).
const MAX_DATA_BYTES: usize = 10 * 1024 * 1024;
/// The most characters of a partition key (service model).
const MAX_KEY_CHARACTERS: usize = 256;

pub(super) fn put_records(body: &[u8]) -> Result<Request, ServiceError> {
    let input: PutRecordsInput<'_> = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
    let mut check = Validator::default();
    check.required("records", input.records.as_ref());
    let records = input.records.unwrap_or_default();
    if records.is_empty() || records.len() > MAX_ENTRIES {
        let shown =
            if records.is_empty() { "[]" } else { "[com.amazonaws.kinesis.v20131202.PutRecordsRequestEntry, ...]" };
        check.length("records", records.len(), 1, MAX_ENTRIES, shown);
    }
    for (index, record) in records.iter().enumerate() {
        let path = |member: &str| format!("records.{}.member.{member}", index + 1);
        check_entry(&mut check, record, &path);
    }
    check.stream(input.stream_name.as_deref(), input.stream_arn.as_deref());
    check.finish()?;
    let stream = stream_ref(input.stream_name.as_deref(), input.stream_arn.as_deref())?;
    let entries = decode(&records)?;
    let size_bytes: u64 = entries.iter().map(|entry| entry.body.size_bytes()).sum();
    if size_bytes > MAX_REQUEST_BYTES as u64 {
        return Err(ServiceError::invalid_argument("Records size exceeds 10 MB limit"));
    }
    Ok(Request::PutRecords { stream, entries })
}

pub(super) fn put_record(body: &[u8]) -> Result<Request, ServiceError> {
    let input: PutRecordInput<'_> = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
    let record = PutRecordsEntryInput {
        data: input.data,
        partition_key: input.partition_key,
        explicit_hash_key: input.explicit_hash_key,
    };
    let mut check = Validator::default();
    check_entry(&mut check, &record, &str::to_owned);
    if let Some(number) = &input.sequence_number_for_ordering {
        check.decimal("sequenceNumberForOrdering", number, 129);
    }
    check.stream(input.stream_name.as_deref(), input.stream_arn.as_deref());
    check.finish()?;
    let stream = stream_ref(input.stream_name.as_deref(), input.stream_arn.as_deref())?;
    let entry = decode(&[record])?.pop();
    let entry = entry.ok_or_else(|| ServiceError::serialization(""))?;
    Ok(Request::PutRecord { stream, entry })
}

fn check_entry(check: &mut Validator, record: &PutRecordsEntryInput<'_>, path: &dyn Fn(&str) -> String) {
    match &record.partition_key {
        None => check.required::<()>(&path("partitionKey"), None),
        // Most keys are short: nothing is counted, and no path is written, for them.
        Some(key) if (1..=MAX_KEY_CHARACTERS).contains(&key.as_str().len()) => {}
        Some(key) => check.text_length(&path("partitionKey"), key.as_str(), 1, MAX_KEY_CHARACTERS),
    }
    match &record.data {
        None => check.required::<()>(&path("data"), None),
        Some(data) => {
            let size = decoded_length(data.as_str());
            if size > MAX_DATA_BYTES {
                let shown = format!("java.nio.HeapByteBuffer[pos=0 lim={size} cap={size}]");
                check.length(&path("data"), size, 0, MAX_DATA_BYTES, shown);
            }
        }
    }
    if let Some(key) = &record.explicit_hash_key {
        check.hash_key(&path("explicitHashKey"), key.as_str());
    }
}

/// Decodes all records into one buffer, which they share.
fn decode(records: &[PutRecordsEntryInput<'_>]) -> Result<Vec<PutEntry>, ServiceError> {
    let text = |text: &Option<Text<'_>>| text.as_ref().map_or(0, |text| text.as_str().len());
    let data_length =
        |record: &PutRecordsEntryInput<'_>| record.data.as_ref().map_or(0, |data| decoded_length(data.as_str()));
    let capacity = records.iter().map(|record| text(&record.partition_key) + data_length(record)).sum();
    let mut buffer = Vec::with_capacity(capacity);
    let mut parts = Vec::with_capacity(records.len());
    for record in records {
        let start = buffer.len();
        let key = record.partition_key.as_ref().map_or("", Text::as_str);
        buffer.extend_from_slice(key.as_bytes());
        let data = record.data.as_ref().map_or("", Text::as_str);
        STANDARD
            .decode_vec(data, &mut buffer)
            .map_err(|error| ServiceError::serialization(format!("The data is not base64: {error}")))?;
        let explicit = record.explicit_hash_key.as_ref();
        let explicit = explicit.map(|key| hash_key("ExplicitHashKey", key.as_str())).transpose()?;
        let key_length = u16::try_from(key.len()).map_err(|_| ServiceError::serialization(""))?;
        parts.push((start..buffer.len(), key_length, explicit));
    }
    let buffer = Bytes::from(buffer);
    Ok(parts
        .into_iter()
        .map(|(range, key_length, explicit_hash_key)| PutEntry {
            body: RecordBody::new(buffer.slice(range), key_length),
            explicit_hash_key,
        })
        .collect())
}

/// The bytes that a base64 text stands for.
fn decoded_length(text: &str) -> usize {
    let padding = text.bytes().rev().take(2).filter(|byte| *byte == b'=').count();
    (text.len() / 4 * 3).saturating_sub(padding)
}

/// Reads a hash key whose digits were checked before.
pub(super) fn hash_key(name: &str, text: &str) -> Result<HashKey, ServiceError> {
    text.parse().map_err(|_| {
        ServiceError::invalid_argument(format!(
            "Invalid {name}. {name} must be in the range: [0, 2^128-1]. Specified value was {text}"
        ))
    })
}
