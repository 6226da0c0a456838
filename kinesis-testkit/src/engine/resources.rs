//! What streams and consumers have in common: tags and policies.

use std::collections::BTreeMap;
use std::time::SystemTime;

use kinesis_core::StreamArn;

use super::account::{Account, StreamRef};
use super::consumers::{ConsumerArn, ConsumerRef};
use super::error::ServiceError;
use super::tags::{TagPage, Tags};

/// A resource as a request names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ResourceRef {
    Stream(StreamRef),
    Consumer(ConsumerRef),
    /// A channel or a queue, of which there are none.
    Absent(String),
}

impl ResourceRef {
    /// Reads an ARN whose form was checked before.
    pub(crate) fn of_arn(arn: &str) -> Result<Self, ServiceError> {
        let resource = arn.splitn(6, ':').nth(5).unwrap_or_default();
        if resource.starts_with("channel/") || resource.starts_with("queue/") {
            return Ok(Self::Absent(arn.to_owned()));
        }
        if arn.contains("/consumer/") {
            return arn.parse::<ConsumerArn>().map(|arn| Self::Consumer(arn.into()));
        }
        let arn: StreamArn = arn
            .parse()
            .map_err(|error: kinesis_core::ParseStreamArnError| ServiceError::invalid_argument(error.to_string()))?;
        Ok(Self::Stream(StreamRef { name: arn.name().clone(), arn: Some(arn) }))
    }

    /// The stream that is, or that has, the resource.
    pub(crate) const fn stream(&self) -> Option<&StreamRef> {
        match self {
            Self::Stream(stream) => Some(stream),
            Self::Consumer(consumer) => Some(&consumer.stream),
            Self::Absent(_) => None,
        }
    }
}

impl Account {
    fn attachments(
        &mut self,
        now: SystemTime,
        resource: &ResourceRef,
    ) -> Result<(&mut Tags, &mut Option<String>), ServiceError> {
        match resource {
            ResourceRef::Stream(stream) => {
                let found = self.stream(now, stream)?;
                Ok((&mut found.tags, &mut found.policy))
            }
            ResourceRef::Consumer(consumer) => self.attachments_of_consumer(now, consumer),
            ResourceRef::Absent(arn) => Err(no_such_resource(arn)),
        }
    }

    /// Refuses a change of a stream's tags while it is not active (API reference, CreateStream).
    fn require_taggable(&mut self, now: SystemTime, resource: &ResourceRef) -> Result<(), ServiceError> {
        match resource {
            ResourceRef::Stream(stream) => self.stream(now, stream)?.require_active(),
            ResourceRef::Consumer(_) | ResourceRef::Absent(_) => Ok(()),
        }
    }

    /// A resource as messages name it.
    fn owner(&self, resource: &ResourceRef) -> String {
        match resource {
            ResourceRef::Stream(stream) => format!("stream {} under account {}", stream.name, self.place.account),
            ResourceRef::Consumer(consumer) => format!("consumer {}", consumer.name),
            ResourceRef::Absent(arn) => arn.clone(),
        }
    }

    pub(crate) fn add_tags(
        &mut self,
        now: SystemTime,
        resource: &ResourceRef,
        tags: &BTreeMap<String, String>,
    ) -> Result<(), ServiceError> {
        let owner = self.owner(resource);
        self.require_taggable(now, resource)?;
        self.attachments(now, resource)?.0.add(tags, &owner)
    }

    pub(crate) fn remove_tags(
        &mut self,
        now: SystemTime,
        resource: &ResourceRef,
        keys: &[String],
    ) -> Result<(), ServiceError> {
        let owner = self.owner(resource);
        self.require_taggable(now, resource)?;
        self.attachments(now, resource)?.0.remove(keys, &owner)
    }

    pub(crate) fn list_tags(
        &mut self,
        now: SystemTime,
        resource: &ResourceRef,
        after: Option<&str>,
        limit: usize,
    ) -> Result<TagPage, ServiceError> {
        Ok(self.attachments(now, resource)?.0.page(after, limit))
    }

    /// Attaches a policy; that it is JSON is all that is asked of it, and nobody is kept out by it.
    pub(crate) fn put_policy(
        &mut self,
        now: SystemTime,
        resource: &ResourceRef,
        policy: &str,
    ) -> Result<(), ServiceError> {
        let attached = self.attachments(now, resource)?.1;
        if !serde_json::from_str::<serde_json::Value>(policy).is_ok_and(|policy| policy.is_object()) {
            return Err(ServiceError::invalid_argument("The policy is not a JSON object."));
        }
        *attached = Some(policy.to_owned());
        Ok(())
    }

    pub(crate) fn policy(&mut self, now: SystemTime, resource: &ResourceRef) -> Result<String, ServiceError> {
        let owner = self.owner(resource);
        let attached = self.attachments(now, resource)?.1.clone();
        attached.ok_or_else(|| no_policy(&owner))
    }

    pub(crate) fn delete_policy(&mut self, now: SystemTime, resource: &ResourceRef) -> Result<(), ServiceError> {
        let owner = self.owner(resource);
        let attached = self.attachments(now, resource)?.1;
        attached.take().map(|_| ()).ok_or_else(|| no_policy(&owner))
    }
}

fn no_policy(owner: &str) -> ServiceError {
    ServiceError::not_found(format!("No resource policy is attached to {owner}."))
}

/// The refusal of what names a channel or a queue.
pub(crate) fn no_such_resource(name: &str) -> ServiceError {
    ServiceError::not_found(format!("Resource {name} not found."))
}
