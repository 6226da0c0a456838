//! The calls that consumer and producer make.

use std::time::{Duration, SystemTime};

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::Builder as ConfigBuilder;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::operation::get_records::GetRecordsOutput;
use aws_sdk_kinesis::operation::list_shards::ListShardsOutput;
use aws_sdk_kinesis::operation::put_records::PutRecordsOutput;
use aws_sdk_kinesis::types::{
    PutRecordsRequestEntry, RecordDistributionStrategy, Shard as SdkShard, ShardFilter, ShardFilterType,
    ShardIteratorType, StreamDescriptionSummary, StreamStatus,
};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use crate::client::attempt::{attempt, sdk_timeouts};
use crate::client::error::{RequestError, RequestErrorKind};
use crate::client::served_at::ServedAt;
#[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
use crate::client::subscription_connections::SubscriptionConnections;
use crate::stream::{HashKeyRange, SequenceNumber, Shard, ShardId, StreamArn, StreamName};

/// The record size that the service allows where a stream says nothing else: 1 MiB (AWS quota page).
const DEFAULT_MAX_RECORD_SIZE_KIB: i32 = 1024;

/// A listing of more pages, a thousand shards each, has no end: a stream has at most some ten thousand shards.
const MOST_PAGES: usize = 1000;
/// How often a listing is begun whose token expires; a token lives five minutes.
const LISTINGS: usize = 3;

/// Time limits of the client's calls.
///
/// They count from when a request is handed to its connection. The wait for credentials before it is limited on its own:
/// to 25 s by the cache of an [`AwsConfig`](crate::AwsConfig), to 30 s with any provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientOptions {
    data_timeout: Duration,
    control_timeout: Duration,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self { data_timeout: Duration::from_secs(10), control_timeout: Duration::from_secs(10) }
    }
}

impl ClientOptions {
    /// Limits one attempt of PutRecords and GetRecords; 10 s by default.
    pub fn data_timeout(mut self, timeout: Duration) -> Self {
        self.data_timeout = timeout;
        self
    }

    /// Limits one attempt of every other call; 10 s by default.
    pub fn control_timeout(mut self, timeout: Duration) -> Self {
        self.control_timeout = timeout;
        self
    }
}

/// Which shards a listing holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListShardsScope {
    /// Every shard, closed ones too, until retention removes them.
    All,
    /// The shards that take records now.
    Open,
}

/// Where a shard iterator starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IteratorStart {
    /// The oldest record that is kept.
    TrimHorizon,
    /// The first record that arrived at or after the time.
    AtTimestamp(SystemTime),
    /// The record of this number.
    AtSequenceNumber(SequenceNumber),
    /// The record after this number.
    AfterSequenceNumber(SequenceNumber),
}

/// What the service says of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamSummary {
    /// The stream's ARN.
    pub arn: StreamArn,
    /// When the stream was created: with the ARN, what tells it from a later one of the same name.
    pub created_at: SystemTime,
    /// Whether the stream can be written to and read.
    pub is_active: bool,
    /// The most that a record may hold, data and partition key together.
    pub max_record_size_bytes: usize,
    /// How long a record is kept.
    pub retention: Duration,
    /// Whether partition keys decide the shard; not so with the distribution strategy AUTO.
    pub uses_partition_keys: bool,
    /// The service's clock when it answered, from its `Date` header.
    pub served_at: Option<SystemTime>,
}

/// What GetRecords returned, and when by the service's clock.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GetRecordsReply {
    /// The reply.
    pub output: GetRecordsOutput,
    /// The service's clock when it answered, in whole seconds, from its `Date` header.
    pub served_at: Option<SystemTime>,
}

impl GetRecordsReply {
    /// Makes a reply of what was read, and when by the service's clock.
    pub const fn new(output: GetRecordsOutput, served_at: Option<SystemTime>) -> Self {
        Self { output, served_at }
    }
}

/// A client for the calls of this workspace.
///
/// It wraps an SDK client, also one that was handed in, and switches the SDK's retries off for every call: those are
/// the caller's decision, per shard. Every attempt has a time limit. Clones share the connections.
///
/// Credentials that the service calls expired are dropped from the cache of an [`AwsConfig`](crate::AwsConfig), so that
/// the next attempt is signed with new ones; a client that was handed in needs `IdentityCache::no_cache()` for it.
///
/// The recorder of the `metrics` facade is told every attempt (`kinesis_client_requests` by `operation` and `outcome`, which
/// is `Ok` or a [`RequestErrorKind`], and `kinesis_client_request_time_ms`), and every call that is made again
/// (`kinesis_client_retries`).
#[derive(Clone, Debug)]
pub struct KinesisClient {
    sdk: Client,
    options: ClientOptions,
    /// Those of the SDK client where there are none of our own.
    subscription_connections: Option<SharedHttpClient>,
}

impl KinesisClient {
    /// Wraps an SDK client, which keeps its endpoint, credentials and HTTP client.
    ///
    /// Subscriptions to shards go over that HTTP client too: see
    /// [`with_subscription_connections`](Self::with_subscription_connections) for more than a few of them.
    pub const fn new(sdk: Client, options: ClientOptions) -> Self {
        Self { sdk, options, subscription_connections: None }
    }

    /// Reads subscriptions over connections of this crate's own, as [`connect`](Self::connect) does.
    ///
    /// The HTTP client of the SDK has one connection of HTTP/2, with room for three subscriptions whose events nobody takes
    /// for the moment; they then stop everything else. Those of this crate carry 64 subscriptions each, speak HTTP/2 alone,
    /// have a window for each subscription, and probe their other end every ten seconds.
    /// They trust the operating system's certificates.
    #[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
    pub fn with_subscription_connections(mut self, connect_timeout: Duration) -> Self {
        let connections = SubscriptionConnections::new(connect_timeout);
        self.subscription_connections = Some(SharedHttpClient::new(connections));
        self
    }

    pub(super) fn subscription_connections(&self) -> Option<SharedHttpClient> {
        self.subscription_connections.clone()
    }

    pub(super) const fn control_timeout(&self) -> Duration {
        self.options.control_timeout
    }

    /// The SDK client, for calls that are not here; its own retry settings apply to them.
    pub const fn sdk(&self) -> &Client {
        &self.sdk
    }

    /// Writes up to 500 records; some may be refused, which their entries in the answer say.
    ///
    /// Cancel safety: a cancelled call may have been applied.
    ///
    /// # Errors
    /// [`RequestError`]; ask it whether a retry makes sense and whether the records may be stored.
    pub async fn put_records(
        &self,
        stream: &StreamName,
        records: Vec<PutRecordsRequestEntry>,
    ) -> Result<PutRecordsOutput, RequestError> {
        let request = self
            .sdk
            .put_records()
            .stream_name(stream.as_str())
            .set_records(Some(records))
            .customize()
            .config_override(overrides(self.options.data_timeout));
        let send = |transmission| request.interceptor(transmission).send();
        attempt("PutRecords", stream.as_str(), self.options.data_timeout, send).await
    }

    /// Reads from an iterator; `shard` names the shard in errors.
    ///
    /// Cancel safety: reading changes nothing, the iterator can be used again.
    ///
    /// # Errors
    /// [`RequestError`]; a retry with the same iterator is safe until it expires.
    pub async fn get_records(
        &self,
        stream: &StreamName,
        shard: &ShardId,
        iterator: &str,
        limit: u32,
    ) -> Result<GetRecordsReply, RequestError> {
        let served_at = ServedAt::default();
        let request = self
            .sdk
            .get_records()
            .shard_iterator(iterator)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .customize()
            .interceptor(served_at.clone())
            .config_override(overrides(self.options.data_timeout));
        let send = |transmission| request.interceptor(transmission).send();
        let target = shard_target(stream, shard);
        let output = attempt("GetRecords", &target, self.options.data_timeout, send).await?;
        Ok(GetRecordsReply { output, served_at: served_at.time() })
    }

    /// Gets an iterator; it expires after five minutes.
    ///
    /// Cancel safety: nothing is changed.
    ///
    /// # Errors
    /// [`RequestError`]; a retry is safe.
    pub async fn get_shard_iterator(
        &self,
        stream: &StreamName,
        shard: &ShardId,
        start: IteratorStart,
    ) -> Result<String, RequestError> {
        let request = self.sdk.get_shard_iterator().stream_name(stream.as_str()).shard_id(shard.as_str());
        let request = match start {
            IteratorStart::TrimHorizon => request.shard_iterator_type(ShardIteratorType::TrimHorizon),
            IteratorStart::AtTimestamp(time) => {
                request.shard_iterator_type(ShardIteratorType::AtTimestamp).timestamp(time.into())
            }
            IteratorStart::AtSequenceNumber(number) => request
                .shard_iterator_type(ShardIteratorType::AtSequenceNumber)
                .starting_sequence_number(number.to_string()),
            IteratorStart::AfterSequenceNumber(number) => request
                .shard_iterator_type(ShardIteratorType::AfterSequenceNumber)
                .starting_sequence_number(number.to_string()),
        };
        let target = shard_target(stream, shard);
        let request = request.customize().config_override(overrides(self.options.control_timeout));
        let send = |transmission| request.interceptor(transmission).send();
        let output = attempt("GetShardIterator", &target, self.options.control_timeout, send).await?;
        output.shard_iterator.ok_or_else(|| invalid_response("GetShardIterator", &target, "no iterator in the answer"))
    }

    /// Lists a stream's shards, all pages, in the service's order.
    ///
    /// Either the listing is complete or there is an error: a part of it is never returned. One whose page token expires
    /// is begun again, three times in all. Cancel safety: nothing is changed.
    ///
    /// # Errors
    /// [`RequestError`]; a retry starts over and is safe.
    pub async fn list_shards(&self, stream: &StreamName, scope: ListShardsScope) -> Result<Vec<Shard>, RequestError> {
        for _ in 1..LISTINGS {
            match self.list_all_pages(stream, scope).await {
                Err(error) if error.kind() == RequestErrorKind::ExpiredNextToken => {
                    tracing::debug!(%error, "listing from the first page again");
                }
                result => return result,
            }
        }
        self.list_all_pages(stream, scope).await
    }

    async fn list_all_pages(&self, stream: &StreamName, scope: ListShardsScope) -> Result<Vec<Shard>, RequestError> {
        let endless = |what| Err(invalid_response("ListShards", stream.as_str(), what));
        let mut shards = Vec::new();
        let mut token: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let page = self.list_shards_page(stream, scope, token.clone()).await?;
            for shard in page.shards.unwrap_or_default() {
                shards.push(shard_from_sdk(stream, shard)?);
            }
            if page.next_token.is_none() {
                return Ok(shards);
            }
            if page.next_token == token {
                return endless("the token of the next page is that of the same page");
            }
            token = page.next_token;
        }
        endless("the listing has no end")
    }

    async fn list_shards_page(
        &self,
        stream: &StreamName,
        scope: ListShardsScope,
        token: Option<String>,
    ) -> Result<ListShardsOutput, RequestError> {
        let request = self.sdk.list_shards().max_results(1000);
        // The service refuses a name or a filter beside a token (API reference, ListShards).
        let request = match token {
            Some(token) => request.next_token(token),
            None if scope == ListShardsScope::Open => {
                let open = ShardFilter::builder().r#type(ShardFilterType::AtLatest).build().map_err(|error| {
                    RequestError::new(
                        "ListShards",
                        stream.as_str(),
                        RequestErrorKind::NotSent,
                        None,
                        &error.to_string(),
                    )
                })?;
                request.stream_name(stream.as_str()).shard_filter(open)
            }
            None => request.stream_name(stream.as_str()),
        };
        let request = request.customize().config_override(overrides(self.options.control_timeout));
        let send = |transmission| request.interceptor(transmission).send();
        attempt("ListShards", stream.as_str(), self.options.control_timeout, send).await
    }

    /// Describes a stream: its identity, its limits, and the service's clock.
    ///
    /// Cancel safety: nothing is changed.
    ///
    /// # Errors
    /// [`RequestError`]; a retry is safe.
    pub async fn describe_stream_summary(&self, stream: &StreamName) -> Result<StreamSummary, RequestError> {
        let served_at = ServedAt::default();
        let request = self
            .sdk
            .describe_stream_summary()
            .stream_name(stream.as_str())
            .customize()
            .interceptor(served_at.clone())
            .config_override(overrides(self.options.control_timeout));
        let send = |transmission| request.interceptor(transmission).send();
        let target = stream.as_str();
        let output = attempt("DescribeStreamSummary", target, self.options.control_timeout, send).await?;
        let invalid = |what: &str| invalid_response("DescribeStreamSummary", stream.as_str(), what);
        let summary = output.stream_description_summary.ok_or_else(|| invalid("no description in the answer"))?;
        summary_from_sdk(&summary, served_at.time()).map_err(|what| invalid(&what))
    }
}

/// What every call overrides, also on a client that was handed in.
pub(super) fn overrides(limit: Duration) -> ConfigBuilder {
    let config = aws_sdk_kinesis::config::Config::builder();
    config.retry_config(RetryConfig::disabled()).timeout_config(sdk_timeouts(limit))
}

pub(super) fn shard_target(stream: &StreamName, shard: &ShardId) -> String {
    format!("{stream}/{shard}")
}

pub(super) fn invalid_response(operation: &'static str, target: &str, what: &str) -> RequestError {
    RequestError::new(operation, target, RequestErrorKind::InvalidResponse, None, what)
}

fn summary_from_sdk(
    summary: &StreamDescriptionSummary,
    served_at: Option<SystemTime>,
) -> Result<StreamSummary, String> {
    let max_record_size_kib = summary.max_record_size_in_kib.unwrap_or(DEFAULT_MAX_RECORD_SIZE_KIB);
    let retention_hours = u64::try_from(summary.retention_period_hours).unwrap_or_default();
    Ok(StreamSummary {
        arn: summary.stream_arn.parse().map_err(|error| format!("{error}"))?,
        created_at: summary.stream_creation_timestamp.try_into().map_err(|error| format!("creation time: {error}"))?,
        is_active: matches!(summary.stream_status, StreamStatus::Active | StreamStatus::Updating),
        max_record_size_bytes: usize::try_from(max_record_size_kib).unwrap_or_default() * 1024,
        retention: Duration::from_secs(retention_hours * 3600),
        uses_partition_keys: summary.record_distribution_strategy != Some(RecordDistributionStrategy::Auto),
        served_at,
    })
}

fn shard_from_sdk(stream: &StreamName, shard: SdkShard) -> Result<Shard, RequestError> {
    parse_shard(&shard).map_err(|what| {
        invalid_response("ListShards", stream.as_str(), &format!("shard {} is not readable: {what}", shard.shard_id))
    })
}

fn parse_shard(shard: &SdkShard) -> Result<Shard, String> {
    fn text(error: impl ToString) -> String {
        error.to_string()
    }
    let range = shard.hash_key_range.as_ref().ok_or("it has no hash key range")?;
    let numbers = shard.sequence_number_range.as_ref().ok_or("it has no sequence number range")?;
    let parse_id = |id: &String| id.parse::<ShardId>().map_err(text);
    Ok(Shard {
        id: parse_id(&shard.shard_id)?,
        hash_key_range: HashKeyRange::new(
            range.starting_hash_key.parse().map_err(text)?,
            range.ending_hash_key.parse().map_err(text)?,
        )
        .map_err(text)?,
        parent: shard.parent_shard_id.as_ref().map(parse_id).transpose()?,
        adjacent_parent: shard.adjacent_parent_shard_id.as_ref().map(parse_id).transpose()?,
        starting_sequence_number: numbers.starting_sequence_number.parse().map_err(text)?,
        ending_sequence_number: numbers
            .ending_sequence_number
            .as_ref()
            .map(|number| number.parse().map_err(text))
            .transpose()?,
    })
}
