//! Names and ARNs of streams.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// The name of a stream within its account and region.
///
/// 1 to 128 of the characters `A-Z a-z 0-9 _ . -`, as the service's API reference has it. Clones share the text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamName(Arc<str>);

impl StreamName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for StreamName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Text that is no stream name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` is no stream name: it must be 1 to 128 of the characters A-Z a-z 0-9 _ . -")]
pub struct ParseStreamNameError {
    text: String,
}

impl FromStr for StreamName {
    type Err = ParseStreamNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        if text.is_empty() || text.len() > 128 || !text.bytes().all(allowed) {
            return Err(ParseStreamNameError { text: text.to_owned() });
        }
        Ok(Self(text.into()))
    }
}

/// The ARN of a stream, `arn:<partition>:kinesis:<region>:<account>:stream/<name>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamArn {
    partition: Arc<str>,
    region: Arc<str>,
    account: Arc<str>,
    name: StreamName,
}

impl StreamArn {
    /// Makes the ARN of a stream, in the partition of its region: `aws-cn` for `cn-north-1`, for most `aws`.
    ///
    /// # Errors
    /// [`ParseStreamArnError`] where region or account are not of an ARN's form.
    pub fn new(region: &str, account: &str, name: &StreamName) -> Result<Self, ParseStreamArnError> {
        format!("arn:{}:kinesis:{region}:{account}:stream/{name}", partition(region)).parse()
    }

    /// The region that the stream lives in.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The twelve-digit account that owns the stream.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The stream's name.
    pub const fn name(&self) -> &StreamName {
        &self.name
    }
}

impl fmt::Display for StreamArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, region, account, name } = self;
        write!(f, "arn:{partition}:kinesis:{region}:{account}:stream/{name}")
    }
}

/// Text that is no ARN of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` is no stream ARN: it must read arn:<partition>:kinesis:<region>:<12-digit account>:stream/<name>")]
pub struct ParseStreamArnError {
    text: String,
}

impl FromStr for StreamArn {
    type Err = ParseStreamArnError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_arn(text).ok_or_else(|| ParseStreamArnError { text: text.to_owned() })
    }
}

/// The partition of a region (AWS General Reference).
fn partition(region: &str) -> &'static str {
    const PARTITIONS: [(&str, &str); 4] =
        [("cn-", "aws-cn"), ("us-gov-", "aws-us-gov"), ("us-iso-", "aws-iso"), ("us-isob-", "aws-iso-b")];
    PARTITIONS.iter().find(|(prefix, _)| region.starts_with(prefix)).map_or("aws", |(_, partition)| partition)
}

fn parse_arn(text: &str) -> Option<StreamArn> {
    let mut parts = text.strip_prefix("arn:")?.splitn(5, ':');
    let (partition, service, region) = (parts.next()?, parts.next()?, parts.next()?);
    let (account, resource) = (parts.next()?, parts.next()?);
    let word = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    let account_is_valid = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    if service != "kinesis" || !word(partition) || !word(region) || !account_is_valid {
        return None;
    }
    Some(StreamArn {
        partition: partition.into(),
        region: region.into(),
        account: account.into(),
        name: resource.strip_prefix("stream/")?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_is_of_its_regions_partition() {
        let name = "orders".parse().unwrap();
        for (region, partition) in [("eu-west-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")] {
            let arn = StreamArn::new(region, "123456789012", &name).unwrap().to_string();
            assert_eq!(arn, format!("arn:{partition}:kinesis:{region}:123456789012:stream/orders"));
        }
    }

    #[test]
    fn an_arn_survives_the_round_trip() {
        let text = "arn:aws-cn:kinesis:cn-north-1:123456789012:stream/orders.v2";
        let arn: StreamArn = text.parse().unwrap();
        assert_eq!((arn.region(), arn.account(), arn.name().as_str()), ("cn-north-1", "123456789012", "orders.v2"));
        assert_eq!(arn.to_string(), text);
    }

    #[test]
    fn what_is_no_stream_arn_is_refused() {
        for bad in [
            "orders",
            "arn:aws:s3:us-east-1:123456789012:stream/orders",
            "arn:aws:kinesis:us-east-1:1234:stream/orders",
            "arn:aws:kinesis:us-east-1:123456789012:stream/",
            "arn:aws:kinesis::123456789012:stream/orders",
            "arn:aws:kinesis:us-east-1:123456789012:stream/orders/consumer/x:1",
        ] {
            assert!(bad.parse::<StreamArn>().is_err(), "{bad:?} was accepted");
        }
    }
}
