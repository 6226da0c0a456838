//! The streams of DynamoDB tables, read as streams of Kinesis are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sdk_dynamodbstreams::Client;
use aws_sdk_dynamodbstreams::config::retry::RetryConfig;
use aws_sdk_dynamodbstreams::config::{Builder as ConfigBuilder, Config};
use aws_sdk_dynamodbstreams::types::{ShardIteratorType, StreamDescription};
use aws_sdk_kinesis::operation::get_records::GetRecordsOutput;
use kinesis_core::{
    GetRecordsReply, IteratorStart, RequestError, RequestErrorKind, ServedAt, Shard, ShardId, SharedClock, StreamName,
    SystemClock, attempt, sdk_timeouts,
};
use parking_lot::Mutex;

use crate::service::StreamFacts;

mod arn;
mod iterator;
mod listing;
mod record;
mod schema;

use arn::TableStreamArn;
pub use arn::{DynamoDbStreamError, ParseDynamoDbStreamArnError};
use iterator::{Page, ShardIterator};
use listing::{missing_parents, parse_shard};
pub use record::DynamoDbRecordError;
pub use schema::DynamoDbRecords;

const DESCRIBE_STREAM: &str = "DescribeStream";
const GET_SHARD_ITERATOR: &str = "GetShardIterator";
const GET_RECORDS: &str = "GetRecords";

/// Every stream keeps its records for a day (DynamoDB developer guide, "Change data capture for DynamoDB Streams").
const RETENTION: Duration = Duration::from_secs(24 * 3600);
/// The most records that are in one reply (API reference, GetRecords).
const MAX_RECORDS: u32 = 1000;
/// A listing of more pages, a hundred shards each, has no end.
const MOST_PAGES: usize = 10_000;
/// How often a listing that lacks a shard is made again (the reference's `inconsistencyresolution.retries`).
const LISTINGS_AGAIN: u32 = 5;
/// Ten calls of DescribeStream a second are allowed (API reference, DescribeStream).
const PAUSE_BETWEEN_LISTINGS: Duration = Duration::from_secs(1);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// The streams of DynamoDB tables, for [`ConsumerBuilder::dynamodb_streams`](crate::ConsumerBuilder::dynamodb_streams).
///
/// They are read as streams of Kinesis are: by polling, in the order of their shards, with the same checkpoints. An item's
/// changes arrive in their order and once. The data of a [`Record`](crate::Record) is the change in the JSON of DynamoDB's
/// API, which [`DynamoDbRecords`] makes a `Record` of the SDK of, its partition key the JSON of the item's keys, and its
/// arrival the change's time, in whole seconds.
///
/// ```no_run
/// use std::time::Duration;
///
/// use kinesis_consumer::{Batch, BoxError, DynamoDbRecords, DynamoDbStreams, FileStore, KinesisConsumer, Stateless};
/// use kinesis_core::AwsConfig;
///
/// # async fn example(arn: &str) -> Result<(), Box<dyn std::error::Error>> {
/// let aws = AwsConfig::builder().region("eu-central-1").build()?;
/// let sdk = aws_sdk_dynamodbstreams::Client::new(&aws.sdk_config().await);
/// let consumer = KinesisConsumer::builder()
///     .dynamodb_streams(DynamoDbStreams::new(sdk).stream("orders", arn)?)
///     .schema(DynamoDbRecords)
///     .checkpoints(FileStore::open("checkpoints")?, Duration::from_secs(10))
///     .build()?;
/// let print = |batch: Batch<aws_sdk_dynamodbstreams::types::Record>| {
///     batch.items.iter().for_each(|change| println!("{:?}", change.event_name()));
///     Ok::<_, BoxError>(Vec::<()>::new())
/// };
/// consumer.run(move |_shard| Stateless(print)).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Differences
///
/// - A shard takes no range of hash keys that is known: each is given all of them. What a processor inherits after a split
///   is for its own keys to find in; a [`UniformAssigner`](crate::UniformAssigner) would give every shard to one subtask.
/// - A time to start at is looked for from the oldest record on, as the service has no iterator for it.
/// - A reply without records does not say that there are none. After five in a row the shard counts as read to its tip, as
///   a [drain](crate::ConsumerHandle::drain) and the idleness of watermarks ask for it.
/// - Records are kept for a day. A position that is older goes on at the oldest record, and the
///   [loss](crate::PossibleLoss) is told.
/// - A listing may lack a shard for a while. Where the parent of a young shard is missing it is made again, five times a
///   second apart; after that the parent counts as gone, and a warning is logged.
/// - The service lets two consumers read a shard at once, and has no enhanced fan-out.
#[derive(Clone, Debug)]
pub struct DynamoDbStreams {
    sdk: Client,
    streams: BTreeMap<StreamName, TableStreamArn>,
    attempt_timeout: Duration,
    clock: SharedClock,
    /// The parents that no listing had, however often it was made.
    given_up: Arc<Mutex<BTreeMap<StreamName, BTreeSet<ShardId>>>>,
}

impl DynamoDbStreams {
    /// Reads through an SDK client that you own; its retries are switched off call by call.
    pub fn new(sdk: Client) -> Self {
        Self {
            sdk,
            streams: BTreeMap::new(),
            attempt_timeout: ATTEMPT_TIMEOUT,
            clock: Arc::new(SystemClock),
            given_up: Arc::default(),
        }
    }

    /// Adds a stream, under a name of your choice: the one that checkpoints and metrics have for it.
    ///
    /// The ARN is the one that DynamoDB shows as `LatestStreamArn`. A stream that was disabled and enabled again has
    /// another one, and a job that goes on from a checkpoint refuses it: start a new job.
    ///
    /// # Errors
    /// [`DynamoDbStreamError`] where the name or the ARN is not of its form, or the name is taken.
    pub fn stream(mut self, name: &str, arn: &str) -> Result<Self, DynamoDbStreamError> {
        let name: StreamName = name.parse().map_err(DynamoDbStreamError::Name)?;
        let arn = arn.parse().map_err(DynamoDbStreamError::Arn)?;
        if self.streams.insert(name.clone(), arn).is_some() {
            return Err(DynamoDbStreamError::NameTaken { name });
        }
        Ok(self)
    }

    /// Limits one attempt of every call; 10 s by default.
    pub const fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &StreamName> {
        self.streams.keys()
    }

    pub(crate) fn with_clock(mut self, clock: SharedClock) -> Self {
        self.clock = clock;
        self
    }

    pub(crate) async fn describe(&self, stream: &StreamName) -> Result<StreamFacts, RequestError> {
        let arn = self.arn(DESCRIBE_STREAM, stream)?;
        let (description, served_at) = self.describe_stream(stream, Some(1), None).await?;
        let created_at = description.creation_request_date_time.and_then(|time| SystemTime::try_from(time).ok());
        let created_at = created_at
            .ok_or_else(|| unreadable(DESCRIBE_STREAM, stream.as_str(), "the answer has no creation time"))?;
        Ok(StreamFacts { arn: arn.as_stream(stream), created_at, retention: RETENTION, served_at })
    }

    /// A complete listing, or an error: never a part.
    pub(crate) async fn list_shards(&self, stream: &StreamName) -> Result<Vec<Shard>, RequestError> {
        for _ in 0..LISTINGS_AGAIN {
            let (listing, missing) = self.list_once(stream).await?;
            let known = self.given_up.lock().get(stream).cloned().unwrap_or_default();
            if missing.is_subset(&known) {
                self.given_up.lock().insert(stream.clone(), missing);
                return Ok(listing);
            }
            tracing::debug!(%stream, ?missing, "the listing lacks the parents of young shards and is made again");
            tokio::time::sleep(PAUSE_BETWEEN_LISTINGS).await;
        }
        let (listing, missing) = self.list_once(stream).await?;
        if !missing.is_empty() {
            tracing::warn!(%stream, ?missing, "no listing has the parents of young shards: they count as gone");
        }
        self.given_up.lock().insert(stream.clone(), missing);
        Ok(listing)
    }

    /// All pages, and the parents that they lack.
    async fn list_once(&self, stream: &StreamName) -> Result<(Vec<Shard>, BTreeSet<ShardId>), RequestError> {
        let invalid = |what: &str| unreadable(DESCRIBE_STREAM, stream.as_str(), what);
        let (mut shards, mut after): (Vec<Shard>, Option<String>) = (Vec::new(), None);
        for _ in 0..MOST_PAGES {
            let (description, served_at) = self.describe_stream(stream, None, after.clone()).await?;
            for shard in description.shards() {
                shards.push(parse_shard(shard).map_err(|what| invalid(&what))?);
            }
            match description.last_evaluated_shard_id {
                None => {
                    let missing = missing_parents(&shards, served_at.unwrap_or_else(|| self.clock.now()));
                    return Ok((shards, missing));
                }
                last if last == after => return Err(invalid("the next page begins where the same page began")),
                last => after = last,
            }
        }
        Err(invalid("the listing has no end"))
    }

    async fn describe_stream(
        &self,
        stream: &StreamName,
        limit: Option<i32>,
        after: Option<String>,
    ) -> Result<(StreamDescription, Option<SystemTime>), RequestError> {
        let served_at = ServedAt::default();
        let request = self
            .sdk
            .describe_stream()
            .stream_arn(self.arn(DESCRIBE_STREAM, stream)?.as_str())
            .set_limit(limit)
            .set_exclusive_start_shard_id(after)
            .customize()
            .interceptor(served_at.clone())
            .config_override(self.overrides());
        let send = |transmission| request.interceptor(transmission).send();
        let output = attempt(DESCRIBE_STREAM, stream.as_str(), self.attempt_timeout, send).await?;
        let description = output.stream_description;
        let description =
            description.ok_or_else(|| unreadable(DESCRIBE_STREAM, stream.as_str(), "the answer has no description"))?;
        Ok((description, served_at.time()))
    }

    pub(crate) async fn get_shard_iterator(
        &self,
        stream: &StreamName,
        shard: &ShardId,
        start: IteratorStart,
    ) -> Result<String, RequestError> {
        use ShardIteratorType as Type;
        let (kind, number, not_before) = match start {
            IteratorStart::AtSequenceNumber(number) => (Type::AtSequenceNumber, Some(number), None),
            IteratorStart::AfterSequenceNumber(number) => (Type::AfterSequenceNumber, Some(number), None),
            IteratorStart::AtTimestamp(time) => (Type::TrimHorizon, None, Some(time)),
            // The enum may grow; the oldest record is a start that loses nothing.
            _ => (Type::TrimHorizon, None, None),
        };
        let number = number.map(|number| number.to_string());
        let iterator = match self.request_iterator(stream, shard, kind, number).await {
            // The reader sees that the record which it goes on from is not there, and tells the loss.
            Err(error) if error.kind() == RequestErrorKind::Trimmed => {
                self.request_iterator(stream, shard, Type::TrimHorizon, None).await?
            }
            iterator => iterator?,
        };
        Ok(ShardIterator::new(iterator, not_before).to_string())
    }

    async fn request_iterator(
        &self,
        stream: &StreamName,
        shard: &ShardId,
        kind: ShardIteratorType,
        number: Option<String>,
    ) -> Result<String, RequestError> {
        let request = self
            .sdk
            .get_shard_iterator()
            .stream_arn(self.arn(GET_SHARD_ITERATOR, stream)?.as_str())
            .shard_id(shard.as_str())
            .shard_iterator_type(kind)
            .set_sequence_number(number)
            .customize()
            .config_override(self.overrides());
        let target = format!("{stream}/{shard}");
        let send = |transmission| request.interceptor(transmission).send();
        let output = attempt(GET_SHARD_ITERATOR, &target, self.attempt_timeout, send).await?;
        output.shard_iterator.ok_or_else(|| unreadable(GET_SHARD_ITERATOR, &target, "the answer has no iterator"))
    }

    /// The reply has no time of the service: an idle shard's position must not move with it, as a reply without records is
    /// no proof that there are none.
    pub(crate) async fn get_records(
        &self,
        stream: &StreamName,
        shard: &ShardId,
        iterator: &str,
        limit: u32,
    ) -> Result<GetRecordsReply, RequestError> {
        let target = format!("{stream}/{shard}");
        let invalid = |what: &str| unreadable(GET_RECORDS, &target, what);
        let iterator: ShardIterator = iterator.parse().map_err(|error| invalid(&format!("{error}")))?;
        let served_at = ServedAt::default();
        let request = self
            .sdk
            .get_records()
            .shard_iterator(iterator.service())
            .limit(i32::try_from(limit.min(MAX_RECORDS)).unwrap_or(i32::MAX))
            .customize()
            .interceptor(served_at.clone())
            .config_override(self.overrides());
        let send = |transmission| request.interceptor(transmission).send();
        let output = attempt(GET_RECORDS, &target, self.attempt_timeout, send).await?;
        let now = served_at.time().unwrap_or_else(|| self.clock.now());
        let page = Page::of(iterator, output.records.unwrap_or_default(), output.next_shard_iterator, now);
        let records: Result<Vec<_>, _> = page.records.into_iter().map(record::to_kinesis).collect();
        let reply = GetRecordsOutput::builder()
            .set_records(Some(records.map_err(|error| invalid(&error.to_string()))?))
            .set_next_shard_iterator(page.next.map(|next| next.to_string()))
            .set_millis_behind_latest(page.millis_behind_latest)
            .build();
        Ok(GetRecordsReply::new(reply.map_err(|error| invalid(&error.to_string()))?, None))
    }

    fn arn(&self, operation: &'static str, stream: &StreamName) -> Result<&TableStreamArn, RequestError> {
        let unknown = || {
            let kind = RequestErrorKind::NotFound;
            RequestError::new(operation, stream.as_str(), kind, None, "no ARN was given for this name")
        };
        self.streams.get(stream).ok_or_else(unknown)
    }

    /// What every call overrides.
    fn overrides(&self) -> ConfigBuilder {
        Config::builder().retry_config(RetryConfig::disabled()).timeout_config(sdk_timeouts(self.attempt_timeout))
    }
}

/// What cannot be read will not be readable a moment later.
fn unreadable(operation: &'static str, target: &str, what: &str) -> RequestError {
    RequestError::new(operation, target, RequestErrorKind::Other, None, what)
}
