//! A change of an item, between the SDK's type and the JSON of the API.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodbstreams::primitives::{Blob, DateTime};
use aws_sdk_dynamodbstreams::types::{
    AttributeValue, Identity, OperationType, Record as ChangeRecord, StreamRecord, StreamViewType,
};
use aws_sdk_kinesis::types::Record as KinesisRecord;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// Why a record is not the change of an item that it should be; never with its data.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DynamoDbRecordError {
    /// The data is not a change in DynamoDB's JSON.
    #[error("the record is no change of a DynamoDB item, from line {line}, column {column} on")]
    NotAChange {
        /// The line of the data, from 1.
        line: usize,
        /// The column in it, from 1.
        column: usize,
    },
    /// The service sent a change without a part that every change has.
    #[error("the change has no {0}")]
    Incomplete(&'static str),
    /// An attribute is of a type that this version does not know.
    #[error("the change has an attribute of a type that this version does not know: update aws-sdk-dynamodbstreams")]
    UnknownType,
}

/// A change as JSON, as the API has it.
#[derive(Debug, Serialize, Deserialize)]
struct Change {
    #[serde(rename = "eventID", skip_serializing_if = "Option::is_none")]
    event_id: Option<String>,
    #[serde(rename = "eventName", skip_serializing_if = "Option::is_none")]
    event_name: Option<String>,
    #[serde(rename = "eventVersion", skip_serializing_if = "Option::is_none")]
    event_version: Option<String>,
    #[serde(rename = "eventSource", skip_serializing_if = "Option::is_none")]
    event_source: Option<String>,
    #[serde(rename = "awsRegion", skip_serializing_if = "Option::is_none")]
    aws_region: Option<String>,
    dynamodb: Item,
    #[serde(rename = "userIdentity", skip_serializing_if = "Option::is_none")]
    user_identity: Option<User>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    #[serde(skip_serializing_if = "Option::is_none")]
    approximate_creation_date_time: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<Attributes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_image: Option<Attributes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    old_image: Option<Attributes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence_number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_bytes: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_view_type: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct User {
    #[serde(skip_serializing_if = "Option::is_none")]
    principal_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<String>,
}

/// In the order of their names, so that equal keys are equal texts.
type Attributes = BTreeMap<String, Attribute>;

#[derive(Debug, Serialize, Deserialize)]
enum Attribute {
    S(String),
    N(String),
    B(Binary),
    #[serde(rename = "SS")]
    Strings(Vec<String>),
    #[serde(rename = "NS")]
    Numbers(Vec<String>),
    #[serde(rename = "BS")]
    Binaries(Vec<Binary>),
    #[serde(rename = "M")]
    Map(Attributes),
    #[serde(rename = "L")]
    List(Vec<Self>),
    #[serde(rename = "NULL")]
    Null(bool),
    #[serde(rename = "BOOL")]
    Bool(bool),
}

/// Bytes, in base 64.
#[derive(Debug)]
struct Binary(Blob);

impl Serialize for Binary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&aws_smithy_types::base64::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Binary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = aws_smithy_types::base64::decode(text).map_err(serde::de::Error::custom)?;
        Ok(Self(Blob::new(bytes)))
    }
}

/// A time in seconds, which may have a fraction.
#[derive(Debug)]
struct Seconds(DateTime);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.subsec_nanos() {
            0 => serializer.serialize_i64(self.0.secs()),
            _ => serializer.serialize_f64(self.0.as_secs_f64()),
        }
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(DateTime::from_secs_f64(f64::deserialize(deserializer)?)))
    }
}

impl TryFrom<AttributeValue> for Attribute {
    type Error = DynamoDbRecordError;

    fn try_from(value: AttributeValue) -> Result<Self, Self::Error> {
        Ok(match value {
            AttributeValue::S(text) => Self::S(text),
            AttributeValue::N(number) => Self::N(number),
            AttributeValue::B(bytes) => Self::B(Binary(bytes)),
            AttributeValue::Ss(texts) => Self::Strings(texts),
            AttributeValue::Ns(numbers) => Self::Numbers(numbers),
            AttributeValue::Bs(binaries) => Self::Binaries(binaries.into_iter().map(Binary).collect()),
            AttributeValue::M(map) => Self::Map(attributes(map)?),
            AttributeValue::L(list) => Self::List(list.into_iter().map(Self::try_from).collect::<Result<_, _>>()?),
            AttributeValue::Null(is_null) => Self::Null(is_null),
            AttributeValue::Bool(value) => Self::Bool(value),
            _ => return Err(DynamoDbRecordError::UnknownType),
        })
    }
}

impl From<Attribute> for AttributeValue {
    fn from(attribute: Attribute) -> Self {
        match attribute {
            Attribute::S(text) => Self::S(text),
            Attribute::N(number) => Self::N(number),
            Attribute::B(Binary(bytes)) => Self::B(bytes),
            Attribute::Strings(texts) => Self::Ss(texts),
            Attribute::Numbers(numbers) => Self::Ns(numbers),
            Attribute::Binaries(binaries) => Self::Bs(binaries.into_iter().map(|Binary(bytes)| bytes).collect()),
            Attribute::Map(map) => Self::M(values(map)),
            Attribute::List(list) => Self::L(list.into_iter().map(Self::from).collect()),
            Attribute::Null(is_null) => Self::Null(is_null),
            Attribute::Bool(value) => Self::Bool(value),
        }
    }
}

fn attributes(map: HashMap<String, AttributeValue>) -> Result<Attributes, DynamoDbRecordError> {
    map.into_iter().map(|(name, value)| Ok((name, value.try_into()?))).collect()
}

fn values(attributes: Attributes) -> HashMap<String, AttributeValue> {
    attributes.into_iter().map(|(name, attribute)| (name, attribute.into())).collect()
}

impl TryFrom<ChangeRecord> for Change {
    type Error = DynamoDbRecordError;

    fn try_from(record: ChangeRecord) -> Result<Self, Self::Error> {
        let item = record.dynamodb.ok_or(DynamoDbRecordError::Incomplete("item"))?;
        let text = |user: Identity| User { principal_id: user.principal_id, r#type: user.r#type };
        Ok(Self {
            event_id: record.event_id,
            event_name: record.event_name.map(|name| name.as_str().to_owned()),
            event_version: record.event_version,
            event_source: record.event_source,
            aws_region: record.aws_region,
            dynamodb: Item {
                approximate_creation_date_time: item.approximate_creation_date_time.map(Seconds),
                keys: item.keys.map(attributes).transpose()?,
                new_image: item.new_image.map(attributes).transpose()?,
                old_image: item.old_image.map(attributes).transpose()?,
                sequence_number: item.sequence_number,
                size_bytes: item.size_bytes,
                stream_view_type: item.stream_view_type.map(|kind| kind.as_str().to_owned()),
            },
            user_identity: record.user_identity.map(text),
        })
    }
}

impl From<Change> for ChangeRecord {
    fn from(change: Change) -> Self {
        let item = change.dynamodb;
        let user = |user: User| Identity::builder().set_principal_id(user.principal_id).set_type(user.r#type).build();
        let dynamodb = StreamRecord::builder()
            .set_approximate_creation_date_time(item.approximate_creation_date_time.map(|Seconds(time)| time))
            .set_keys(item.keys.map(values))
            .set_new_image(item.new_image.map(values))
            .set_old_image(item.old_image.map(values))
            .set_sequence_number(item.sequence_number)
            .set_size_bytes(item.size_bytes)
            .set_stream_view_type(item.stream_view_type.map(|kind| StreamViewType::from(kind.as_str())));
        Self::builder()
            .set_event_id(change.event_id)
            .set_event_name(change.event_name.map(|name| OperationType::from(name.as_str())))
            .set_event_version(change.event_version)
            .set_event_source(change.event_source)
            .set_aws_region(change.aws_region)
            .dynamodb(dynamodb.build())
            .set_user_identity(change.user_identity.map(user))
            .build()
    }
}

/// The record that a stream of Kinesis would have for the change.
pub(super) fn to_kinesis(record: ChangeRecord) -> Result<KinesisRecord, DynamoDbRecordError> {
    let written = "invariant: JSON has a form for all of it";
    let change = Change::try_from(record)?;
    let item = &change.dynamodb;
    let number = item.sequence_number.clone().ok_or(DynamoDbRecordError::Incomplete("sequence number"))?;
    let keys = item.keys.as_ref().ok_or(DynamoDbRecordError::Incomplete("keys"))?;
    let record = KinesisRecord::builder()
        .sequence_number(number)
        .set_approximate_arrival_timestamp(item.approximate_creation_date_time.as_ref().map(|Seconds(time)| *time))
        .partition_key(serde_json::to_string(keys).expect(written))
        .data(Blob::new(serde_json::to_vec(&change).expect(written)));
    Ok(record.build().expect("invariant: every field that is needed is set"))
}

/// The change that a record of [`to_kinesis`] holds.
pub(super) fn from_json(data: &[u8]) -> Result<ChangeRecord, DynamoDbRecordError> {
    let change: Change = serde_json::from_slice(data)
        .map_err(|error| DynamoDbRecordError::NotAChange { line: error.line(), column: error.column() })?;
    Ok(change.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute_of_every_type() -> HashMap<String, AttributeValue> {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let blob = |bytes: &[u8]| Blob::new(bytes);
        let map = HashMap::from([("inner \"quoted\"".to_owned(), AttributeValue::L(vec![text("ä"), text("")]))]);
        let values = [
            ("text", text("line\nand \u{1F600}")),
            ("number", AttributeValue::N("-12345678901234567890.12345678901234567890E-120".to_owned())),
            ("bytes", AttributeValue::B(blob(&[0, 255, 254, 1]))),
            ("texts", AttributeValue::Ss(vec!["a".to_owned(), "b".to_owned()])),
            ("numbers", AttributeValue::Ns(vec!["1".to_owned(), "2.50".to_owned()])),
            ("binaries", AttributeValue::Bs(vec![blob(&[]), blob(b"x")])),
            ("map", AttributeValue::M(map)),
            ("list", AttributeValue::L(vec![])),
            ("null", AttributeValue::Null(true)),
            ("bool", AttributeValue::Bool(false)),
        ];
        values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn change() -> ChangeRecord {
        let keys = HashMap::from([
            ("sort".to_owned(), AttributeValue::N("7".to_owned())),
            ("id".to_owned(), AttributeValue::S("order-1".to_owned())),
        ]);
        let item = StreamRecord::builder()
            .approximate_creation_date_time(DateTime::from_secs(1_764_000_000))
            .set_keys(Some(keys))
            .set_new_image(Some(attribute_of_every_type()))
            .set_old_image(Some(HashMap::new()))
            .sequence_number("20500000000000000910398")
            .size_bytes(26)
            .stream_view_type(StreamViewType::NewAndOldImages);
        ChangeRecord::builder()
            .event_id("a9fd2ac8")
            .event_name(OperationType::Modify)
            .event_version("1.1")
            .event_source("aws:dynamodb")
            .aws_region("eu-central-1")
            .dynamodb(item.build())
            .user_identity(Identity::builder().principal_id("dynamodb.amazonaws.com").r#type("Service").build())
            .build()
    }

    #[test]
    fn a_change_is_read_back_as_it_was() {
        let record = to_kinesis(change()).unwrap();
        assert_eq!(from_json(record.data().as_ref()).unwrap(), change());
    }

    #[test]
    fn what_a_record_of_kinesis_has_besides_is_taken_from_the_change() {
        let record = to_kinesis(change()).unwrap();
        assert_eq!(record.sequence_number(), "20500000000000000910398");
        assert_eq!(record.partition_key(), Some(r#"{"id":{"S":"order-1"},"sort":{"N":"7"}}"#));
        assert_eq!(record.approximate_arrival_timestamp(), Some(&DateTime::from_secs(1_764_000_000)));
    }

    /// Of the API reference (GetRecords), so that other tools read it too.
    #[test]
    fn the_data_is_the_json_of_the_api() {
        let text = r#"{"awsRegion":"us-west-2","dynamodb":{"ApproximateCreationDateTime":1.46480527E9,"Keys":{"ForumName":{"S":"DynamoDB"},"Subject":{"S":"DynamoDB Thread 3"}},"SequenceNumber":"300000000000000499659","SizeBytes":41,"StreamViewType":"KEYS_ONLY"},"eventID":"e2fd9c34eff2d779b297b26f5fef4206","eventName":"INSERT","eventSource":"aws:dynamodb","eventVersion":"1.0"}"#;
        let record = to_kinesis(from_json(text.as_bytes()).unwrap()).unwrap();
        let mut expected: serde_json::Value = serde_json::from_str(text).unwrap();
        expected["dynamodb"]["ApproximateCreationDateTime"] = 1_464_805_270.into();
        let written: serde_json::Value = serde_json::from_slice(record.data().as_ref()).unwrap();
        assert_eq!(written, expected);
    }

    #[test]
    fn what_is_no_change_is_refused_without_its_data() {
        for data in [
            "secret",
            "{}",
            r#"{"dynamodb":{"Keys":{"id":{"X":"secret"}}}}"#,
            r#"{"dynamodb":{"Keys":{"id":{"B":"se cret"}}}}"#,
        ] {
            let error = from_json(data.as_bytes()).unwrap_err();
            assert!(matches!(error, DynamoDbRecordError::NotAChange { line: 1, .. }), "{error:?}");
            assert!(!format!("{error:?} {error}").contains("cret"), "{error:?}");
        }
    }

    #[test]
    fn a_change_that_lacks_what_every_change_has_is_refused() {
        let incomplete = |record: ChangeRecord| to_kinesis(record).unwrap_err().to_string();
        assert_eq!(incomplete(ChangeRecord::builder().build()), "the change has no item");
        let item = StreamRecord::builder();
        assert_eq!(
            incomplete(ChangeRecord::builder().dynamodb(item.clone().build()).build()),
            "the change has no sequence number"
        );
        let item = item.sequence_number("1").build();
        assert_eq!(incomplete(ChangeRecord::builder().dynamodb(item).build()), "the change has no keys");
    }
}
