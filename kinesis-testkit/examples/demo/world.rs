//! The Kinesis that the demo works against: the embedded fake, or an endpoint.

use std::time::Duration;

use aws_sdk_kinesis::Client;
use kinesis_core::{
    AwsConfig, CredentialsSource, HashKey, KinesisClient, ListShardsScope, RequestErrorKind, Shard, ShardId, StreamName,
};
use kinesis_testkit::{FakeKinesis, Fault, FaultRule, Limits, Operation};

use crate::arguments::{Arguments, LimitsChoice};
use crate::failure::{Failure, failed, in_vain, usage, usage_because};

/// How long a stream may take to become active.
const ACTIVE_POLLS: u32 = 600;
const ACTIVE_POLL: Duration = Duration::from_millis(100);

/// A stream, and the ways to it.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) client: KinesisClient,
    pub(crate) stream: StreamName,
    fake: Option<FakeKinesis>,
}

impl World {
    /// Reaches the service, or starts the fake; nothing is made yet.
    pub(crate) async fn reach(arguments: &Arguments) -> Result<Self, Failure> {
        let stream = arguments.stream.parse().map_err(|error| usage_because("--stream", &error))?;
        let Some(endpoint) = &arguments.endpoint else { return Self::embedded(arguments, stream) };
        let mut config = AwsConfig::builder().region(&arguments.region).endpoint(endpoint);
        if std::env::var_os("AWS_ACCESS_KEY_ID").is_none() {
            // An endpoint that checks credentials is given them by the environment; a fake wants any.
            config = config.credentials(CredentialsSource::basic("demo", "demo"));
        }
        let config = config.build().map_err(|error| usage_because("--endpoint or --region", &error))?;
        Ok(Self { client: KinesisClient::connect(&config).await, stream, fake: None })
    }

    fn embedded(arguments: &Arguments, stream: StreamName) -> Result<Self, Failure> {
        let limits = match arguments.limits {
            LimitsChoice::Off => Limits::off(),
            LimitsChoice::Aws => Limits::aws(),
        };
        let fake = FakeKinesis::builder()
            .region(&arguments.region)
            .seed(arguments.seed)
            .limits(limits)
            .journal(false)
            .try_build()
            .map_err(|error| usage_because("--region", &error))?;
        let client = KinesisClient::new(fake.client(), kinesis_core::ClientOptions::default());
        Ok(Self { client, stream, fake: Some(fake) })
    }

    /// The most that a record of the stream may hold; the service's default where the stream is still to be made.
    pub(crate) async fn max_record_bytes(&self) -> Result<usize, Failure> {
        match self.client.describe_stream_summary(&self.stream).await {
            Ok(summary) => Ok(summary.max_record_size_bytes),
            Err(error) if error.kind() == RequestErrorKind::NotFound => Ok(1024 * 1024),
            Err(error) => Err(usage_because("the stream cannot be reached", &error)),
        }
    }

    /// Makes the stream where it is missing, and waits until it is active.
    pub(crate) async fn make_stream(&self, shards: u32) -> Result<(), Failure> {
        if let Err(error) = self.client.describe_stream_summary(&self.stream).await {
            if error.kind() != RequestErrorKind::NotFound {
                return Err(failed("the stream cannot be described", &error));
            }
            let shards = i32::try_from(shards).map_err(|_| usage("--shards is too large".into()))?;
            let request = self.sdk().create_stream().stream_name(self.stream.as_str()).shard_count(shards);
            request.send().await.map_err(|error| failed("the stream cannot be made", &error))?;
        }
        self.wait_until_active().await
    }

    fn sdk(&self) -> &Client {
        self.client.sdk()
    }

    async fn wait_until_active(&self) -> Result<(), Failure> {
        for _ in 0..ACTIVE_POLLS {
            let output = self.sdk().describe_stream_summary().stream_name(self.stream.as_str()).send().await;
            let output = output.map_err(|error| failed("the stream cannot be described", &error))?;
            let status = output.stream_description_summary().map(|summary| summary.stream_status().as_str().to_owned());
            if status.as_deref() == Some("ACTIVE") {
                return Ok(());
            }
            tokio::time::sleep(ACTIVE_POLL).await;
        }
        Err(in_vain(format!("stream {} did not become active", self.stream)))
    }

    /// The shards that take records now.
    pub(crate) async fn open_shards(&self) -> Result<Vec<Shard>, Failure> {
        let open = self.client.list_shards(&self.stream, ListShardsScope::Open).await;
        open.map_err(|error| failed("the shards cannot be listed", &error))
    }

    /// Splits a shard, and returns its children.
    pub(crate) async fn split(&self, shard: &Shard, at: HashKey) -> Result<Vec<Shard>, Failure> {
        let request = self.sdk().split_shard().stream_name(self.stream.as_str());
        let request = request.shard_to_split(shard.id.as_str()).new_starting_hash_key(at.to_string());
        request.send().await.map_err(|error| failed(&format!("{} cannot be split", shard.id), &error))?;
        self.children(&[&shard.id]).await
    }

    /// Merges two shards, and returns the one that they became.
    pub(crate) async fn merge(&self, low: &Shard, high: &Shard) -> Result<Vec<Shard>, Failure> {
        let request = self.sdk().merge_shards().stream_name(self.stream.as_str());
        let request = request.shard_to_merge(low.id.as_str()).adjacent_shard_to_merge(high.id.as_str());
        request.send().await.map_err(|error| failed(&format!("{} cannot be merged", low.id), &error))?;
        self.children(&[&low.id, &high.id]).await
    }

    async fn children(&self, parents: &[&ShardId]) -> Result<Vec<Shard>, Failure> {
        self.wait_until_active().await?;
        let open = self.open_shards().await?;
        Ok(open.into_iter().filter(|shard| shard.parents().any(|parent| parents.contains(&parent))).collect())
    }

    /// Whether replies can be lost on purpose.
    pub(crate) const fn can_lose_replies(&self) -> bool {
        self.fake.is_some()
    }

    /// Loses the reply to the next write, after it was stored.
    pub(crate) fn lose_next_reply(&self) {
        if let Some(fake) = &self.fake {
            fake.inject(FaultRule::on(Operation::PutRecords).fault(Fault::LoseReply));
        }
    }
}
