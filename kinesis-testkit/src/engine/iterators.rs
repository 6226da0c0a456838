//! Shard iterators: where they start, what they carry, when they end.

use std::time::SystemTime;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use kinesis_core::{SequenceNumber, StreamName};

use super::error::ServiceError;
use super::sequence::{LAST_INDEX, ServiceNumber};
use super::shards::Shard;
use super::streams::Stream;
use super::token::{Purpose, Token};
use crate::operation::Operation;

/// How long an iterator lives (API reference, GetShardIterator).
const ITERATOR_LIFE_MILLIS: u64 = 300_000;

/// Where an iterator is asked to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum IteratorType {
    AtSequenceNumber(String),
    AfterSequenceNumber(String),
    TrimHorizon,
    Latest,
    AtTimestamp { millis: u64 },
}

/// A position in a shard, as an iterator carries it.
#[derive(Clone, Debug)]
pub(super) struct Position {
    pub(super) stream: StreamName,
    pub(super) stream_created_millis: u64,
    pub(super) shard_index: u32,
    /// The index of the first record to read.
    pub(super) from_index: u64,
}

impl Position {
    pub(super) fn encode(&self, account: &str, now_millis: u64) -> String {
        let token = Token {
            issued_millis: now_millis,
            stream_created_millis: self.stream_created_millis,
            shard_index: self.shard_index,
            detail: 0,
            value: self.from_index,
            stream: self.stream.clone(),
        };
        token.encode(Purpose::Iterator, account)
    }

    pub(super) fn decode(iterator: &str, account: &str, now: SystemTime) -> Result<Self, ServiceError> {
        let token = Token::decode(iterator, Purpose::Iterator, account)
            .ok_or_else(|| ServiceError::invalid_argument("Invalid ShardIterator."))?;
        let now_millis = kinesis_core::unix_millis(now);
        if now_millis.saturating_sub(token.issued_millis) > ITERATOR_LIFE_MILLIS {
            return Err(expired(token.issued_millis, now_millis));
        }
        Ok(Self {
            stream: token.stream,
            stream_created_millis: token.stream_created_millis,
            shard_index: token.shard_index,
            from_index: token.value,
        })
    }
}

fn expired(issued_millis: u64, now_millis: u64) -> ServiceError {
    let (issued, now) = (amazon_date(issued_millis), amazon_date(now_millis));
    ServiceError::new(
        "ExpiredIteratorException",
        format!(
            "Iterator expired. The iterator was created at time {issued} while right now it is {now} which is further \
             in the future than the tolerated delay of {ITERATOR_LIFE_MILLIS} milliseconds."
        ),
        400,
    )
}

/// A date as the service writes it in messages: `Thu Jan 22 01:22:02 UTC 2015`.
fn amazon_date(millis: u64) -> String {
    let secs = i64::try_from(millis / 1000).unwrap_or(i64::MAX);
    let http = DateTime::from_secs(secs).fmt(Format::HttpDate).unwrap_or_default();
    match http.replace(',', "").split(' ').collect::<Vec<_>>()[..] {
        [weekday, day, month, year, time, _] => format!("{weekday} {month} {day} {time} UTC {year}"),
        _ => http,
    }
}

/// The index of the first record that is to be read from where a call of the operation starts.
pub(super) fn start_index(
    stream: &Stream,
    shard: &Shard,
    start: &IteratorType,
    asked_by: Operation,
    now_millis: u64,
) -> Result<u64, ServiceError> {
    match start {
        IteratorType::TrimHorizon => Ok(0),
        IteratorType::Latest => Ok(stream.next_index),
        IteratorType::AtSequenceNumber(number) => index_of(stream, shard, number, asked_by),
        IteratorType::AfterSequenceNumber(number) => match index_of(stream, shard, number, asked_by)? {
            LAST_INDEX => Err(ServiceError::invalid_argument(
                "Invalid SequenceNumber for ShardIteratorType AFTER_SEQUENCE_NUMBER, SequenceNumber has reached max \
                 possible value for the shard.",
            )),
            index => Ok(index + 1),
        },
        IteratorType::AtTimestamp { millis } if *millis > now_millis => Err(ServiceError::invalid_argument(format!(
            "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. timestampInMillis: \
             {millis}, currentTimestampInMillis: {now_millis}"
        ))),
        IteratorType::AtTimestamp { millis } => Ok(shard.log.index_at(*millis).unwrap_or(stream.next_index)),
    }
}

fn index_of(stream: &Stream, shard: &Shard, text: &str, asked_by: Operation) -> Result<u64, ServiceError> {
    let (name, account, id) = (stream.name(), stream.arn.account(), &shard.id);
    let number = format!(
        "StartingSequenceNumber {text} used in {asked_by} on shard {id} in stream {name} under account {account}"
    );
    let given = text.parse::<SequenceNumber>().ok().and_then(ServiceNumber::of);
    let given = given.ok_or_else(|| ServiceError::invalid_argument(format!("{number} is invalid.")))?;
    if i64::from(given.shard_index()) != i64::from(shard.index) {
        let encoded = given.shard_index();
        return Err(ServiceError::invalid_argument(format!(
            "Invalid StartingSequenceNumber. It encodes shardId-{encoded:012}, while it was used in a call to a shard with {id}"
        )));
    }
    match given {
        ServiceNumber::Current(parts) if parts.shard_created_secs == shard.created_secs => Ok(parts.index),
        // The service fails inside (recorded by kinesalite, actions/getShardIterator.js).
        ServiceNumber::First { .. } => Err(ServiceError::internal_failure()),
        _ => Err(ServiceError::invalid_argument(format!(
            "{number} is invalid because it did not come from this stream."
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_in_messages_read_as_the_services() {
        assert_eq!(amazon_date(1_421_889_722_999), "Thu Jan 22 01:22:02 UTC 2015");
    }

    #[test]
    fn an_iterator_lives_five_minutes() {
        let position =
            Position { stream: "orders".parse().unwrap(), stream_created_millis: 1, shard_index: 2, from_index: 3 };
        let iterator = position.encode("123456789012", 1_421_889_722_000);
        let at = |millis| Position::decode(&iterator, "123456789012", kinesis_core::from_unix_millis(millis));
        assert_eq!(at(1_421_890_022_000).unwrap().from_index, 3);
        let refusal = at(1_421_890_022_001).unwrap_err();
        assert_eq!(refusal.code(), "ExpiredIteratorException");
        assert_eq!(
            refusal.message(),
            "Iterator expired. The iterator was created at time Thu Jan 22 01:22:02 UTC 2015 while right now it is Thu \
             Jan 22 01:27:02 UTC 2015 which is further in the future than the tolerated delay of 300000 milliseconds."
        );
    }
}
