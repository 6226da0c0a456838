//! Requests that carry records: one copy from the request into the buffer that is stored.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use kinesis_core::HashKey;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::Request;
use crate::engine::{PutEntry, RecordBody, ServiceError};
use crate::operation::Operation;
use crate::protocol::cbor;
use crate::protocol::constraints::decoded_length;
use crate::protocol::format::Format;
use crate::protocol::input::{self, stream_ref};

/// The most records of a request (API reference, PutRecords).
const MAX_ENTRIES: usize = 500;
/// The most bytes of a request, data and partition keys (API reference, PutRecords).
const MAX_REQUEST_BYTES: u64 = 10 * 1024 * 1024;
/// The most bytes of one record's data, whatever the stream allows (service model).
const MAX_DATA_BYTES: usize = 10 * 1024 * 1024;
/// The most characters of a partition key (service model).
const MAX_KEY_CHARACTERS: usize = 256;

/// Text that is borrowed from the request where it has no escapes, also inside of an `Option`.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(in crate::protocol) struct Text<'a>(#[serde(borrow)] pub(in crate::protocol) Cow<'a, str>);

impl Text<'_> {
    fn as_str(&self) -> &str {
        &self.0
    }
}

/// The data of a record, as the format has it.
#[derive(Debug)]
pub(in crate::protocol) enum Data<'a> {
    Base64(Text<'a>),
    Bytes(Cow<'a, [u8]>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Data<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Text::deserialize(deserializer).map(Self::Base64)
    }
}

impl Data<'_> {
    fn decoded_length(&self) -> usize {
        match self {
            Self::Base64(text) => decoded_length(text.as_str()),
            Self::Bytes(bytes) => bytes.len(),
        }
    }

    fn append_to(&self, buffer: &mut Vec<u8>) -> Result<(), ServiceError> {
        match self {
            Self::Base64(text) => {
                STANDARD.decode_vec(text.as_str(), buffer).map_err(|_| not_base64(text.as_str()))?;
            }
            Self::Bytes(bytes) => buffer.extend_from_slice(bytes),
        }
        Ok(())
    }
}

/// A structure that is written as an object: serde's derive would take an array, too.
#[derive(Debug)]
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData)).map(Self)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

/// The entries of a request: no more are read than it may have, whatever it claims.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Entries<'a>(Vec<Entry<'a>>);

impl<'a> Entries<'a> {
    /// Adds an entry where there may be one more.
    #[must_use]
    pub(in crate::protocol) fn add(&mut self, entry: Entry<'a>) -> bool {
        let fits = self.0.len() < MAX_ENTRIES;
        if fits {
            self.0.push(entry);
        }
        fits
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(EntriesVisitor(PhantomData))
    }
}

struct EntriesVisitor<'a>(PhantomData<&'a ()>);

impl<'de: 'a, 'a> Visitor<'de> for EntriesVisitor<'a> {
    type Value = Entries<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MAX_ENTRIES} records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut entries = Entries::default();
        while let Some(Object(entry)) = list.next_element()? {
            if !entries.add(entry) {
                return Err(A::Error::invalid_length(MAX_ENTRIES + 1, &self));
            }
        }
        Ok(entries)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::protocol) struct Entry<'a> {
    #[serde(borrow)]
    pub(in crate::protocol) data: Option<Data<'a>>,
    #[serde(borrow)]
    pub(in crate::protocol) partition_key: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in crate::protocol) explicit_hash_key: Option<Text<'a>>,
}

/// What both operations say of their stream.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::protocol) struct PutRecords<'a> {
    #[serde(borrow)]
    pub(in crate::protocol) records: Option<Entries<'a>>,
    pub(in crate::protocol) stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    pub(in crate::protocol) stream_arn: Option<String>,
    pub(in crate::protocol) stream_id: Option<String>,
    pub(in crate::protocol) dry_run: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::protocol) struct PutRecord<'a> {
    #[serde(borrow)]
    pub(in crate::protocol) data: Option<Data<'a>>,
    #[serde(borrow)]
    pub(in crate::protocol) partition_key: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in crate::protocol) explicit_hash_key: Option<Text<'a>>,
    pub(in crate::protocol) sequence_number_for_ordering: Option<String>,
    pub(in crate::protocol) stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    pub(in crate::protocol) stream_arn: Option<String>,
    pub(in crate::protocol) stream_id: Option<String>,
    pub(in crate::protocol) dry_run: Option<bool>,
}

pub(super) fn put_records(format: Format, body: &[u8]) -> Result<Request, ServiceError> {
    let fits = |input: &PutRecords<'_>| {
        input.records.as_ref().is_some_and(|records| {
            (1..=MAX_ENTRIES).contains(&records.0.len()) && records.0.iter().all(Entry::certainly_fits)
        }) && names_certainly_fit([&input.stream_name, &input.stream_arn, &input.stream_id])
    };
    let fast = match format {
        Format::Json => fast(body),
        Format::Cbor => cbor::put_records(body),
    };
    if let Some(input) = fast.filter(fits) {
        return put_records_of(input);
    }
    let tree = checked(Operation::PutRecords, format, body)?;
    put_records_of(PutRecords::deserialize(&tree).map_err(|_| ServiceError::serialization(""))?)
}

pub(super) fn put_record(format: Format, body: &[u8]) -> Result<Request, ServiceError> {
    let fits = |input: &PutRecord<'_>| {
        fits(&input.data, &input.partition_key, &input.explicit_hash_key)
            && input.sequence_number_for_ordering.is_none()
            && names_certainly_fit([&input.stream_name, &input.stream_arn, &input.stream_id])
    };
    let fast = match format {
        Format::Json => fast(body),
        Format::Cbor => cbor::put_record(body),
    };
    if let Some(input) = fast.filter(fits) {
        return put_record_of(input);
    }
    let tree = checked(Operation::PutRecord, format, body)?;
    put_record_of(PutRecord::deserialize(&tree).map_err(|_| ServiceError::serialization(""))?)
}

/// The fast way, without a tree between.
fn fast<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Option<T> {
    serde_json::from_slice::<Object<T>>(body).ok().map(|Object(input)| input)
}

/// The slow way, for what may break a constraint: the service model decides, and words the refusal.
fn checked(operation: Operation, format: Format, body: &[u8]) -> Result<Value, ServiceError> {
    let tree = input::tree(operation, format, body)?;
    input::check(operation, &tree)?;
    Ok(tree)
}

/// Whether a record satisfies the model for sure; where it may not, the model is asked.
fn fits(data: &Option<Data<'_>>, key: &Option<Text<'_>>, explicit: &Option<Text<'_>>) -> bool {
    let key_fits = key.as_ref().is_none_or(|key| (1..=MAX_KEY_CHARACTERS).contains(&key.as_str().len()));
    let explicit_fits = explicit.as_ref().is_none_or(|explicit| {
        let text = explicit.as_str();
        (text == "0" || !text.starts_with('0')) && text.parse::<HashKey>().is_ok()
    });
    let data_fits = data.as_ref().is_some_and(|data| data.decoded_length() <= MAX_DATA_BYTES);
    key_fits && explicit_fits && data_fits
}

impl Entry<'_> {
    fn certainly_fits(&self) -> bool {
        fits(&self.data, &self.partition_key, &self.explicit_hash_key)
    }
}

fn names_certainly_fit([name, arn, id]: [&Option<String>; 3]) -> bool {
    name.as_ref().is_none_or(|name| name.parse::<kinesis_core::StreamName>().is_ok())
        && arn.as_ref().is_none_or(|arn| arn.parse::<kinesis_core::StreamArn>().is_ok())
        && id.is_none()
}

fn put_records_of(input: PutRecords<'_>) -> Result<Request, ServiceError> {
    let (entries, refusal) = decode(&input.records.unwrap_or_default().0)?;
    let stream = stream_ref(input.stream_name.as_deref(), input.stream_arn.as_deref())?;
    let size_bytes: u64 = entries.iter().map(|entry| entry.body.size_bytes()).sum();
    if size_bytes > MAX_REQUEST_BYTES {
        return Err(ServiceError::invalid_argument("Records size exceeds 10 MB limit"));
    }
    Ok(Request::PutRecords { stream, entries, refusal, dry_run: input.dry_run.unwrap_or_default() })
}

fn put_record_of(input: PutRecord<'_>) -> Result<Request, ServiceError> {
    let entry =
        Entry { data: input.data, partition_key: input.partition_key, explicit_hash_key: input.explicit_hash_key };
    let (mut entries, refusal) = decode(&[entry])?;
    let entry = entries.pop().ok_or_else(|| ServiceError::serialization(""))?;
    let stream = stream_ref(input.stream_name.as_deref(), input.stream_arn.as_deref())?;
    Ok(Request::PutRecord {
        stream,
        entry,
        refusal,
        ordering: input.sequence_number_for_ordering,
        dry_run: input.dry_run.unwrap_or_default(),
    })
}

/// Decodes all records into one buffer, which they share; beside them what is wrong with a hash key.
fn decode(records: &[Entry<'_>]) -> Result<(Vec<PutEntry>, Option<ServiceError>), ServiceError> {
    let mut refusal = None;
    let text = |text: &Option<Text<'_>>| text.as_ref().map_or(0, |text| text.as_str().len());
    let data_length = |record: &Entry<'_>| record.data.as_ref().map_or(0, Data::decoded_length);
    let capacity = records.iter().map(|record| text(&record.partition_key) + data_length(record)).sum();
    let mut buffer = Vec::with_capacity(capacity);
    let mut parts = Vec::with_capacity(records.len());
    for record in records {
        let start = buffer.len();
        let key = record.partition_key.as_ref().map_or("", Text::as_str);
        buffer.extend_from_slice(key.as_bytes());
        if let Some(data) = &record.data {
            data.append_to(&mut buffer)?;
        }
        let explicit = record.explicit_hash_key.as_ref();
        let explicit = explicit.and_then(|key| match hash_key(key.as_str()) {
            Ok(key) => Some(key),
            Err(error) => {
                refusal.get_or_insert(error);
                None
            }
        });
        let key_length = u16::try_from(key.len()).map_err(|_| ServiceError::serialization(""))?;
        parts.push((start..buffer.len(), key_length, explicit));
    }
    let buffer = Bytes::from(buffer);
    let entry = |(range, key_length, explicit_hash_key)| PutEntry {
        body: RecordBody::new(buffer.slice(range), key_length),
        explicit_hash_key,
    };
    Ok((parts.into_iter().map(entry).collect(), refusal))
}

/// The refusal of data that was not looked at before.
fn not_base64(data: &str) -> ServiceError {
    crate::protocol::types::blob(data).map_or_else(|| ServiceError::serialization(""), ServiceError::serialization)
}

/// Reads a hash key whose digits were checked before.
fn hash_key(text: &str) -> Result<HashKey, ServiceError> {
    text.parse().map_err(|_| {
        ServiceError::invalid_argument(format!(
            "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was {text}"
        ))
    })
}
