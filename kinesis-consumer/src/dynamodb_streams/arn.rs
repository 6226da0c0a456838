//! ARNs of the streams of tables.

use std::str::FromStr;

use kinesis_core::{ParseStreamNameError, StreamArn, StreamName};
use thiserror::Error;

/// The ARN of a table's stream, `arn:<partition>:dynamodb:<region>:<account>:table/<table>/stream/<label>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TableStreamArn {
    text: String,
    region: String,
    account: String,
}

impl TableStreamArn {
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// The ARN that checkpoints have for the stream: as that of a stream of Kinesis, under the name that it was given.
    ///
    /// What tells two streams of one table apart is their creation times.
    pub(super) fn as_stream(&self, name: &StreamName) -> StreamArn {
        StreamArn::new(&self.region, &self.account, name).expect("invariant: checked when the ARN was parsed")
    }
}

/// Text that is no ARN of a table's stream.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "`{text}` is no ARN of a DynamoDB stream: it must read \
     arn:<partition>:dynamodb:<region>:<12-digit account>:table/<table>/stream/<label>"
)]
pub struct ParseDynamoDbStreamArnError {
    text: String,
}

/// Why a stream cannot be added.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DynamoDbStreamError {
    /// The name is not of the form of a stream's.
    #[error("the name under which a DynamoDB stream is read is not usable")]
    Name(#[source] ParseStreamNameError),
    /// The ARN is not of its form.
    #[error("the ARN of a DynamoDB stream is not usable")]
    Arn(#[source] ParseDynamoDbStreamArnError),
    /// Another stream has the name.
    #[error("two DynamoDB streams are to be read under the name {name}: give each its own")]
    NameTaken {
        /// The name.
        name: StreamName,
    },
}

impl FromStr for TableStreamArn {
    type Err = ParseDynamoDbStreamArnError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| ParseDynamoDbStreamArnError { text: text.to_owned() })
    }
}

fn parse(text: &str) -> Option<TableStreamArn> {
    // The label is a time of day, and has colons of its own.
    let mut parts = text.strip_prefix("arn:")?.splitn(5, ':');
    let (_partition, service, region) = (parts.next()?, parts.next()?, parts.next()?);
    let (account, resource) = (parts.next()?, parts.next()?);
    let (table, label) = resource.strip_prefix("table/")?.split_once("/stream/")?;
    if service != "dynamodb" || table.is_empty() || table.contains('/') || label.is_empty() {
        return None;
    }
    StreamArn::new(region, account, &"x".parse().ok()?).ok()?;
    Some(TableStreamArn { text: text.to_owned(), region: region.to_owned(), account: account.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:dynamodb:us-west-2:111122223333:table/Forum/stream/2021-05-20T17:14:57.044";

    #[test]
    fn an_arn_of_a_table_stands_for_a_stream() {
        let arn: TableStreamArn = ARN.parse().unwrap();
        assert_eq!(arn.as_str(), ARN);
        let stream = arn.as_stream(&"forum".parse().unwrap());
        assert_eq!(stream.to_string(), "arn:aws:kinesis:us-west-2:111122223333:stream/forum");
    }

    #[test]
    fn what_is_no_arn_of_a_stream_is_refused_with_the_form() {
        for text in [
            "",
            "orders",
            "arn:aws:kinesis:us-west-2:111122223333:stream/orders",
            "arn:aws:dynamodb:us-west-2:111122223333:table/Forum",
            "arn:aws:dynamodb:us-west-2:111122223333:table/Forum/stream/",
            "arn:aws:dynamodb:us-west-2:111122223333:table//stream/2021-05-20T17:14:57.044",
            "arn:aws:dynamodb:us-west-2:1:table/Forum/stream/2021-05-20T17:14:57.044",
            "arn:aws:dynamodb::111122223333:table/Forum/stream/2021-05-20T17:14:57.044",
        ] {
            let error = text.parse::<TableStreamArn>().unwrap_err().to_string();
            assert!(error.contains(&format!("`{text}`")) && error.contains("table/<table>/stream/<label>"), "{error}");
        }
    }
}
