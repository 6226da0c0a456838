//! Changes as the SDK has them.

use aws_sdk_dynamodbstreams::types::Record as ChangeRecord;

use super::record;
use crate::record::Record;
use crate::schema::{BoxError, Schema};

/// Makes a `Record` of the SDK of each change of a DynamoDB table; for [`DynamoDbStreams`](super::DynamoDbStreams).
///
/// A record that is no change in DynamoDB's JSON is refused with a
/// [`DynamoDbRecordError`](super::DynamoDbRecordError), which does not hold its data.
#[derive(Clone, Copy, Debug, Default)]
pub struct DynamoDbRecords;

impl Schema for DynamoDbRecords {
    type Item = ChangeRecord;

    fn decode(&self, record: Record) -> Result<Option<ChangeRecord>, BoxError> {
        Ok(Some(record::from_json(&record.data)?))
    }
}
