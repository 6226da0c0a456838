//! Consumers with enhanced fan-out, as the control plane knows them.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use kinesis_core::{StreamArn, unix_millis};
use serde::{Deserialize, Serialize};

use super::account::{Account, StreamRef, require_settled};
use super::error::ServiceError;
use super::listing;
use super::streams::{Stream, due};
use super::subscriptions::Slots;
use super::tags::{self, Tags};
use super::token::{Purpose, Token};

/// The most consumers of one page (API reference, ListStreamConsumers).
const MAX_PAGE: usize = 100;

/// The name of a consumer: its stream's ARN, its own name and the second of its creation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConsumerArn {
    pub(crate) stream: StreamArn,
    pub(crate) name: String,
    pub(crate) created_secs: u64,
}

impl fmt::Display for ConsumerArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/consumer/{}:{}", self.stream, self.name, self.created_secs)
    }
}

impl FromStr for ConsumerArn {
    type Err = ServiceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_arn(text).ok_or_else(|| ServiceError::invalid_argument(format!("ConsumerARN {text} is invalid.")))
    }
}

fn parse_arn(text: &str) -> Option<ConsumerArn> {
    let (stream, consumer) = text.split_once("/consumer/")?;
    let (name, created_secs) = consumer.rsplit_once(':')?;
    Some(ConsumerArn { stream: stream.parse().ok()?, name: name.to_owned(), created_secs: created_secs.parse().ok()? })
}

/// A consumer as a request names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConsumerRef {
    pub(crate) stream: StreamRef,
    pub(crate) name: String,
    /// The second of its creation, where the request gave the ARN.
    pub(crate) created_secs: Option<u64>,
}

impl From<ConsumerArn> for ConsumerRef {
    fn from(arn: ConsumerArn) -> Self {
        let stream = StreamRef { name: arn.stream.name().clone(), arn: Some(arn.stream) };
        Self { stream, name: arn.name, created_secs: Some(arn.created_secs) }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
enum Life {
    Creating { until_millis: u64 },
    Active,
    Deleting { until_millis: u64 },
}

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Consumer {
    created_millis: u64,
    life: Life,
    tags: Tags,
    policy: Option<String>,
    #[serde(skip)]
    pub(super) slots: Slots,
}

/// What the service says of a consumer.
#[derive(Clone, Debug)]
pub(crate) struct ConsumerView {
    pub(crate) arn: ConsumerArn,
    pub(crate) status: &'static str,
    pub(crate) created_millis: u64,
}

/// One page of a listing.
#[derive(Clone, Debug)]
pub(crate) struct ConsumerPage {
    pub(crate) consumers: Vec<ConsumerView>,
    pub(crate) next_token: Option<String>,
}

/// The consumers of a stream, by name.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct Consumers {
    by_name: BTreeMap<String, Consumer>,
    /// When the last one of each name was made, so that no two have one ARN.
    last_created_secs: BTreeMap<String, u64>,
}

impl Consumers {
    pub(super) fn count(&self) -> usize {
        self.by_name.len()
    }

    /// Carries out what is due.
    pub(super) fn settle(&mut self, now_millis: u64) {
        self.by_name.retain(|_, consumer| match consumer.life {
            Life::Deleting { until_millis } => until_millis > now_millis,
            Life::Creating { until_millis } => {
                if until_millis <= now_millis {
                    consumer.life = Life::Active;
                }
                true
            }
            Life::Active => true,
        });
    }

    fn creating(&self) -> usize {
        self.by_name.values().filter(|consumer| matches!(consumer.life, Life::Creating { .. })).count()
    }
}

impl Consumer {
    const fn status(&self) -> &'static str {
        match self.life {
            Life::Creating { .. } => "CREATING",
            Life::Active => "ACTIVE",
            Life::Deleting { .. } => "DELETING",
        }
    }

    pub(super) const fn is_active(&self) -> bool {
        matches!(self.life, Life::Active)
    }
}

impl Stream {
    fn consumer_view(&self, name: &str, consumer: &Consumer) -> ConsumerView {
        let created_millis = consumer.created_millis;
        let arn = ConsumerArn { stream: self.arn.clone(), name: name.to_owned(), created_secs: created_millis / 1000 };
        ConsumerView { arn, status: consumer.status(), created_millis }
    }

    fn register(
        &mut self,
        name: &str,
        tags: &BTreeMap<String, String>,
        now_millis: u64,
        creating: Duration,
    ) -> Result<ConsumerView, ServiceError> {
        if self.consumers.by_name.contains_key(name) {
            let (stream, account) = (self.name(), self.arn.account());
            return Err(ServiceError::in_use(format!(
                "Consumer {name} of stream {stream} under account {account} already exists."
            )));
        }
        tags::check_new(tags, &format!("consumer {name}"))?;
        let life = Life::Creating { until_millis: due(now_millis, creating) };
        let earlier = self.consumers.last_created_secs.get(name).map_or(0, |secs| (secs + 1) * 1000);
        let created_millis = now_millis.max(earlier);
        self.consumers.last_created_secs.insert(name.to_owned(), created_millis / 1000);
        let consumer =
            Consumer { created_millis, life, tags: Tags::new(tags.clone()), policy: None, slots: Slots::default() };
        let view = self.consumer_view(name, &consumer);
        self.consumers.by_name.insert(name.to_owned(), consumer);
        self.consumers.settle(now_millis);
        Ok(view)
    }

    pub(super) fn consumer(&mut self, consumer: &ConsumerRef) -> Result<&mut Consumer, ServiceError> {
        let error = self.no_such_consumer(consumer);
        let found = self.consumers.by_name.get_mut(&consumer.name);
        let is_meant = |it: &&mut Consumer| consumer.created_secs.is_none_or(|secs| it.created_millis / 1000 == secs);
        found.filter(is_meant).ok_or(error)
    }

    pub(super) fn no_such_consumer(&self, consumer: &ConsumerRef) -> ServiceError {
        let (name, stream, account) = (&consumer.name, self.name(), self.arn.account());
        ServiceError::not_found(format!("Consumer {name} of stream {stream} under account {account} not found."))
    }

    /// Refuses a consumer that nothing is pushed to yet, or no longer; the text is the service's (awslabs,
    /// kinesis-hot-shard-advisor #37).
    pub(super) fn require_active_consumer(&mut self, consumer: &ConsumerRef) -> Result<(), ServiceError> {
        let (stream, account) = (self.name().clone(), self.arn.account().to_owned());
        let found = self.consumer(consumer)?;
        if found.is_active() {
            return Ok(());
        }
        let (name, created_secs) = (&consumer.name, found.created_millis / 1000);
        Err(ServiceError::in_use(format!(
            "Consumer {name} with creation timestamp {created_secs} under stream: {stream} , account {account} is not \
             in ACTIVE status."
        )))
    }

    fn consumer_page(&self, after: Option<&str>, limit: usize, now_millis: u64) -> ConsumerPage {
        let later = self.consumers.by_name.iter().filter(|(name, _)| after.is_none_or(|after| name.as_str() > after));
        let limit = limit.min(MAX_PAGE);
        let mut consumers: Vec<_> =
            later.take(limit + 1).map(|(name, consumer)| self.consumer_view(name, consumer)).collect();
        let more = consumers.len() > limit;
        consumers.truncate(limit);
        let last = consumers.last().filter(|_| more).map(|last| last.arn.name.clone());
        let next_token = last.map(|last| {
            let token = Token {
                issued_millis: now_millis,
                stream_created_millis: self.created_millis,
                shard_index: 0,
                detail: 0,
                value: 0,
                stream: self.name().clone(),
            };
            format!("{}:{last}", token.encode(Purpose::ConsumerPage, &self.secret))
        });
        ConsumerPage { consumers, next_token }
    }
}

impl Account {
    pub(crate) fn register_consumer(
        &mut self,
        now: SystemTime,
        stream: &StreamRef,
        name: &str,
        tags: &BTreeMap<String, String>,
    ) -> Result<ConsumerView, ServiceError> {
        let (limits, creating) = (self.settings.limits.clone(), self.settings.delays.creating);
        let most = limits.consumer_quota(self.has_advantage(now));
        let stream = self.stream(now, stream)?;
        stream.require_active()?;
        let refuse = |problem: String| Err(ServiceError::limit_exceeded(problem));
        let (id, account) = (stream.name(), stream.arn.account());
        if most.is_some_and(|most| stream.consumers.count() >= most as usize) {
            return refuse(format!("Stream {id} under account {account} has all the consumers that it may have."));
        }
        if limits.creating.is_some_and(|most| stream.consumers.creating() >= most as usize) {
            return refuse(format!("Too many consumers of stream {id} under account {account} are being created."));
        }
        stream.register(name, tags, unix_millis(now), creating)
    }

    pub(crate) fn describe_consumer(
        &mut self,
        now: SystemTime,
        consumer: &ConsumerRef,
    ) -> Result<ConsumerView, ServiceError> {
        let stream = self.stream(now, &consumer.stream)?;
        stream.consumer(consumer)?;
        let found = stream.consumers.by_name.get(&consumer.name);
        found.map(|found| stream.consumer_view(&consumer.name, found)).ok_or_else(ServiceError::internal_failure)
    }

    pub(crate) fn deregister_consumer(&mut self, now: SystemTime, consumer: &ConsumerRef) -> Result<(), ServiceError> {
        let (now_millis, deleting) = (unix_millis(now), self.settings.delays.deleting);
        let stream = self.stream(now, &consumer.stream)?;
        let found = stream.consumer(consumer)?;
        if !matches!(found.life, Life::Deleting { .. }) {
            found.life = Life::Deleting { until_millis: due(now_millis, deleting) };
        }
        stream.consumers.settle(now_millis);
        stream.wake_all();
        Ok(())
    }

    pub(crate) fn list_consumers(
        &mut self,
        now: SystemTime,
        stream: &StreamRef,
        limit: usize,
    ) -> Result<ConsumerPage, ServiceError> {
        let stream = self.stream(now, stream)?;
        require_settled(stream)?;
        Ok(stream.consumer_page(None, limit, unix_millis(now)))
    }

    /// A later page; the token must be of this stream.
    pub(crate) fn list_more_consumers(
        &mut self,
        now: SystemTime,
        stream: &StreamRef,
        token: &str,
        limit: usize,
    ) -> Result<ConsumerPage, ServiceError> {
        let now_millis = unix_millis(now);
        let invalid = || ServiceError::invalid_argument("Invalid NextToken.");
        let (token, after) = token.rsplit_once(':').ok_or_else(invalid)?;
        let token = listing::read_token(token, Purpose::ConsumerPage, &self.secret, now_millis)?;
        let stream = self.stream(now, stream)?;
        require_settled(stream)?;
        if token.stream != *stream.name() || token.stream_created_millis != stream.created_millis {
            return Err(invalid());
        }
        Ok(stream.consumer_page(Some(after), limit, now_millis))
    }

    /// The tags and the policy of a consumer.
    pub(super) fn attachments_of_consumer(
        &mut self,
        now: SystemTime,
        consumer: &ConsumerRef,
    ) -> Result<(&mut Tags, &mut Option<String>), ServiceError> {
        let found = self.stream(now, &consumer.stream)?.consumer(consumer)?;
        Ok((&mut found.tags, &mut found.policy))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_survives_the_round_trip() {
        let text = "arn:aws:kinesis:us-east-1:123456789012:stream/orders/consumer/app-1:1700000000";
        let arn: ConsumerArn = text.parse().unwrap();
        assert_eq!((arn.name.as_str(), arn.created_secs, arn.to_string().as_str()), ("app-1", 1_700_000_000, text));
        for bad in ["", "arn:aws:kinesis:us-east-1:123456789012:stream/orders", &text.replace(":1700000000", "")] {
            assert!(bad.parse::<ConsumerArn>().is_err(), "{bad}");
        }
    }
}
