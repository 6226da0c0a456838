//! The calls of enhanced fan-out.

use std::fmt;
use std::time::{Duration, SystemTime};

use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::primitives::event_stream::EventReceiver;
use aws_sdk_kinesis::types::error::SubscribeToShardEventStreamError;
use aws_sdk_kinesis::types::{
    ConsumerStatus, ShardIteratorType, StartingPosition as SdkPosition, SubscribeToShardEvent,
    SubscribeToShardEventStream,
};
use aws_smithy_types::event_stream::RawMessage;

use crate::client::attempt::attempt;
use crate::client::calls::{IteratorStart, KinesisClient, invalid_response, overrides, shard_target};
use crate::client::error::{RequestError, RequestErrorKind};
use crate::client::served_at::ServedAt;
use crate::stream::{ShardId, StreamArn, StreamName};

/// How far the registration of a fan-out consumer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FanOutConsumerStatus {
    /// It can be subscribed with.
    Active,
    /// It will be active.
    Creating,
    /// It will be gone.
    Deleting,
    /// A status that this version does not know.
    Other,
}

/// A consumer that is registered with a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FanOutConsumer {
    /// What subscriptions name it by.
    pub arn: String,
    /// Whether it can be subscribed with.
    pub status: FanOutConsumerStatus,
}

fn status(status: &ConsumerStatus) -> FanOutConsumerStatus {
    match status {
        ConsumerStatus::Active => FanOutConsumerStatus::Active,
        ConsumerStatus::Creating => FanOutConsumerStatus::Creating,
        ConsumerStatus::Deleting => FanOutConsumerStatus::Deleting,
        _ => FanOutConsumerStatus::Other,
    }
}

impl KinesisClient {
    /// Registers a consumer by a name; it can be subscribed with once it is active.
    ///
    /// Cancel safety: a cancelled call may have been applied.
    ///
    /// # Errors
    /// [`RequestError`]; of kind [`InUse`](RequestErrorKind::InUse) where the name is taken already, so that a retry is
    /// safe.
    pub async fn register_stream_consumer(
        &self,
        stream: &StreamArn,
        name: &str,
    ) -> Result<FanOutConsumer, RequestError> {
        let limit = self.control_timeout();
        let request = self.sdk().register_stream_consumer().stream_arn(stream.to_string()).consumer_name(name);
        let request = request.customize().config_override(overrides(limit));
        let send = |transmission| request.interceptor(transmission).send();
        let (operation, target) = ("RegisterStreamConsumer", consumer_target(stream, name));
        let output = attempt(operation, &target, limit, send).await?;
        let found = output.consumer.ok_or_else(|| invalid_response(operation, &target, "no consumer in the answer"))?;
        Ok(FanOutConsumer { arn: found.consumer_arn, status: status(&found.consumer_status) })
    }

    /// Looks a consumer up by its name.
    ///
    /// Cancel safety: nothing is changed.
    ///
    /// # Errors
    /// [`RequestError`]; of kind [`NotFound`](RequestErrorKind::NotFound) where there is none. A retry is safe.
    pub async fn describe_stream_consumer(
        &self,
        stream: &StreamArn,
        name: &str,
    ) -> Result<FanOutConsumer, RequestError> {
        let limit = self.control_timeout();
        let request = self.sdk().describe_stream_consumer().stream_arn(stream.to_string()).consumer_name(name);
        let request = request.customize().config_override(overrides(limit));
        let send = |transmission| request.interceptor(transmission).send();
        let (operation, target) = ("DescribeStreamConsumer", consumer_target(stream, name));
        let output = attempt(operation, &target, limit, send).await?;
        let found = output.consumer_description;
        let found = found.ok_or_else(|| invalid_response(operation, &target, "no consumer in the answer"))?;
        Ok(FanOutConsumer { arn: found.consumer_arn, status: status(&found.consumer_status) })
    }

    /// Deregisters a consumer; what it subscribes to ends.
    ///
    /// Cancel safety: a cancelled call may have been applied.
    ///
    /// # Errors
    /// [`RequestError`]; of kind [`NotFound`](RequestErrorKind::NotFound) where it is gone already. A retry is safe.
    pub async fn deregister_stream_consumer(&self, consumer_arn: &str) -> Result<(), RequestError> {
        let limit = self.control_timeout();
        let request = self.sdk().deregister_stream_consumer().consumer_arn(consumer_arn);
        let request = request.customize().config_override(overrides(limit));
        let send = |transmission| request.interceptor(transmission).send();
        attempt("DeregisterStreamConsumer", consumer_arn, limit, send).await.map(drop)
    }

    /// Subscribes to a shard; the events come for five minutes at most.
    ///
    /// `limit` is that of the start alone: how long an event may take is the reader's decision. Cancel safety: a cancelled
    /// call may have begun a subscription, which keeps others from it for five seconds.
    ///
    /// # Errors
    /// [`RequestError`]; of kind [`InUse`](RequestErrorKind::InUse) where the consumer has subscribed to the shard less
    /// than five seconds before. A retry is safe.
    pub async fn subscribe_to_shard(
        &self,
        consumer_arn: &str,
        stream: &StreamName,
        shard: &ShardId,
        start: IteratorStart,
        limit: Duration,
    ) -> Result<ShardSubscription, RequestError> {
        let (operation, target, served_at) = ("SubscribeToShard", shard_target(stream, shard), ServedAt::default());
        let position = sdk_position(start)
            .map_err(|what| RequestError::new(operation, &target, RequestErrorKind::NotSent, None, &what))?;
        let request = self.sdk().subscribe_to_shard().consumer_arn(consumer_arn).shard_id(shard.as_str());
        let mut config = overrides(limit);
        config.set_http_client(self.subscription_connections());
        let request = request.starting_position(position).customize().interceptor(served_at.clone());
        let request = request.config_override(config);
        let send = |transmission| request.interceptor(transmission).send();
        let output = attempt(operation, &target, limit, send).await?;
        Ok(ShardSubscription { events: output.event_stream, target, served_at: served_at.time() })
    }
}

fn consumer_target(stream: &StreamArn, name: &str) -> String {
    format!("{stream}/consumer/{name}")
}

fn sdk_position(start: IteratorStart) -> Result<SdkPosition, String> {
    let position = SdkPosition::builder();
    let position = match start {
        IteratorStart::TrimHorizon => position.r#type(ShardIteratorType::TrimHorizon),
        IteratorStart::AtTimestamp(time) => position.r#type(ShardIteratorType::AtTimestamp).timestamp(time.into()),
        IteratorStart::AtSequenceNumber(number) => {
            position.r#type(ShardIteratorType::AtSequenceNumber).sequence_number(number.to_string())
        }
        IteratorStart::AfterSequenceNumber(number) => {
            position.r#type(ShardIteratorType::AfterSequenceNumber).sequence_number(number.to_string())
        }
    };
    position.build().map_err(|error| error.to_string())
}

/// A subscription to a shard; dropping it ends it.
pub struct ShardSubscription {
    events: EventReceiver<SubscribeToShardEventStream, SubscribeToShardEventStreamError>,
    target: String,
    served_at: Option<SystemTime>,
}

impl ShardSubscription {
    /// The service's clock when the subscription began, from its `Date` header.
    pub const fn served_at(&self) -> Option<SystemTime> {
        self.served_at
    }

    /// Waits for the next event; nothing once the service has ended the subscription.
    ///
    /// It waits for as long as it takes, for ever where the other end of the connection is gone. Cancel safety: none; drop
    /// the subscription, too, and begin another behind the last event.
    ///
    /// # Errors
    /// [`RequestError`], after which no event comes. Of kind [`InUse`](RequestErrorKind::InUse) where another subscription
    /// of the consumer took the shard over, of kind [`ConnectionLost`](RequestErrorKind::ConnectionLost) where the
    /// connection broke.
    pub async fn next_event(&mut self) -> Result<Option<SubscribeToShardEvent>, RequestError> {
        loop {
            match self.events.recv().await {
                Ok(Some(SubscribeToShardEventStream::SubscribeToShardEvent(event))) => return Ok(Some(event)),
                // A kind of event that this version does not know says nothing about records.
                Ok(Some(_)) => {}
                Ok(None) => return Ok(None),
                Err(error) => return Err(event_error(&self.target, error)),
            }
        }
    }
}

impl fmt::Debug for ShardSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShardSubscription").field("target", &self.target).finish_non_exhaustive()
    }
}

fn event_error(target: &str, error: SdkError<SubscribeToShardEventStreamError, RawMessage>) -> RequestError {
    let (kind, code) = match &error {
        SdkError::ServiceError(context) => {
            let code = context.err().code();
            (code.map_or(RequestErrorKind::Other, RequestErrorKind::of_code), code)
        }
        // A frame that cannot be read, or the end of the body in the middle of one.
        SdkError::ResponseError(_) => (RequestErrorKind::InvalidResponse, None),
        _ => (RequestErrorKind::ConnectionLost, None),
    };
    let message = match &error {
        SdkError::ServiceError(context) => context.err().message().unwrap_or("no message").to_owned(),
        _ => innermost(&error),
    };
    RequestError::new("SubscribeToShard", target, kind, code, &message)
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}
