//! From bytes to a checked request.

mod consumers;
mod put;
mod reading;
mod streams;

use std::collections::BTreeMap;
use std::sync::Arc;

use kinesis_core::StreamName;

pub(super) use put::{Data, Entries, Entry, PutRecord, PutRecords, Text};

use super::format::Format;
use super::input::Input;
use crate::engine::{
    ConsumerRef, IteratorType, Metric, Place, PutEntry, ResourceRef, ServiceError, SettingChange, ShardFilter,
    StreamOptions, StreamRef,
};
use crate::journal::CallName;
use crate::operation::Operation;

/// A request that satisfies the constraints of the service model.
#[derive(Debug)]
pub(crate) enum Request {
    CreateStream {
        name: StreamName,
        options: StreamOptions,
    },
    DeleteStream {
        stream: StreamRef,
        with_consumers: bool,
    },
    DescribeStream {
        stream: StreamRef,
        exclusive_start: Option<String>,
        limit: usize,
    },
    DescribeStreamSummary(StreamRef),
    ListStreams {
        exclusive_start: Option<String>,
        next_token: Option<String>,
        limit: usize,
    },
    ListShards {
        stream: StreamRef,
        created_millis: Option<u64>,
        filter: Option<ShardFilter>,
        exclusive_start: Option<String>,
        max_results: usize,
    },
    ListMoreShards {
        /// The stream, where it was named by its ARN.
        stream: Option<StreamRef>,
        next_token: String,
        max_results: usize,
    },
    PutRecord {
        stream: StreamRef,
        entry: PutEntry,
        /// A hash key that is out of range: the service looks for the stream first.
        refusal: Option<ServiceError>,
        ordering: Option<String>,
        dry_run: bool,
    },
    PutRecords {
        stream: StreamRef,
        entries: Vec<PutEntry>,
        refusal: Option<ServiceError>,
        dry_run: bool,
    },
    GetShardIterator {
        stream: StreamRef,
        shard: String,
        /// Or what is wrong with it: the service looks for the shard first.
        start: Result<IteratorType, ServiceError>,
        dry_run: bool,
    },
    GetRecords {
        stream: Option<StreamRef>,
        iterator: String,
        limit: usize,
        dry_run: bool,
    },
    SplitShard {
        stream: StreamRef,
        shard: String,
        at: String,
    },
    MergeShards {
        stream: StreamRef,
        shard: String,
        adjacent: String,
    },
    UpdateShardCount {
        stream: StreamRef,
        target: u32,
    },
    Change {
        stream: StreamRef,
        change: SettingChange,
    },
    AddTags {
        resource: ResourceRef,
        tags: BTreeMap<String, String>,
    },
    RemoveTags {
        resource: ResourceRef,
        keys: Vec<String>,
    },
    ListTags {
        resource: ResourceRef,
        after: Option<String>,
        limit: usize,
        /// Whether the reply says if there are more.
        paged: bool,
    },
    PutPolicy {
        resource: ResourceRef,
        policy: String,
    },
    GetPolicy(ResourceRef),
    DeletePolicy(ResourceRef),
    RegisterConsumer {
        stream: StreamRef,
        name: String,
        tags: BTreeMap<String, String>,
    },
    DescribeConsumer(ConsumerRef),
    DeregisterConsumer(ConsumerRef),
    ListConsumers {
        stream: StreamRef,
        created_millis: Option<u64>,
        next_token: Option<String>,
        limit: usize,
    },
    Subscribe {
        consumer: ConsumerRef,
        shard: String,
        start: Result<IteratorType, ServiceError>,
        dry_run: bool,
    },
    DescribeLimits,
    DescribeAccountSettings,
    UpdateAccountSettings {
        commit: bool,
    },
    /// The creation of a channel or a queue, of which an account may have none.
    CreateAbsent(&'static str),
    /// A listing of channels or queues.
    ListAbsent {
        member: &'static str,
        continued: bool,
    },
    /// What names a channel or a queue.
    NameAbsent(String),
}

impl Request {
    /// The stream that the request names; reads may name theirs within the iterator alone.
    pub(crate) const fn stream(&self) -> Option<&StreamRef> {
        match self {
            Self::DeleteStream { stream, .. }
            | Self::DescribeStreamSummary(stream)
            | Self::DescribeStream { stream, .. }
            | Self::ListShards { stream, .. }
            | Self::PutRecord { stream, .. }
            | Self::PutRecords { stream, .. }
            | Self::GetShardIterator { stream, .. }
            | Self::SplitShard { stream, .. }
            | Self::MergeShards { stream, .. }
            | Self::UpdateShardCount { stream, .. }
            | Self::Change { stream, .. }
            | Self::RegisterConsumer { stream, .. }
            | Self::ListConsumers { stream, .. } => Some(stream),
            Self::AddTags { resource, .. }
            | Self::RemoveTags { resource, .. }
            | Self::ListTags { resource, .. }
            | Self::PutPolicy { resource, .. }
            | Self::GetPolicy(resource)
            | Self::DeletePolicy(resource) => resource.stream(),
            Self::DescribeConsumer(consumer)
            | Self::DeregisterConsumer(consumer)
            | Self::Subscribe { consumer, .. } => Some(&consumer.stream),
            Self::GetRecords { stream, .. } | Self::ListMoreShards { stream, .. } => stream.as_ref(),
            Self::CreateStream { .. }
            | Self::ListStreams { .. }
            | Self::DescribeLimits
            | Self::DescribeAccountSettings
            | Self::UpdateAccountSettings { .. }
            | Self::CreateAbsent(_)
            | Self::ListAbsent { .. }
            | Self::NameAbsent(_) => None,
        }
    }

    /// The account and region whose resources the request is about: an ARN may name another account's.
    pub(crate) fn place(&self, caller: &Place) -> Place {
        let arn = self.stream().and_then(|stream| stream.arn.as_ref());
        caller.at(arn.map(kinesis_core::StreamArn::account), None)
    }
}

/// A call as it came in: who makes it, which operation, and the request or what is wrong with it.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) operation: Option<Operation>,
    pub(crate) name: String,
    /// How it was written, and how it is answered.
    pub(crate) format: Format,
    /// The account and region whose resources it is about.
    pub(crate) place: Place,
    /// The same, where it is not home.
    pub(crate) elsewhere: Option<Arc<Place>>,
    pub(crate) request: Result<Request, ServiceError>,
}

impl Call {
    /// The operation's name, as the caller wrote it where it is none of the API's.
    pub(crate) fn call_name(&self) -> CallName {
        self.operation.map_or_else(|| CallName::Unknown(self.name.as_str().into()), CallName::Known)
    }

    /// Reads a call of its `X-Amz-Target` and its body; `caller` is who signed it, or what is wrong with that.
    ///
    /// In the service's order: the body's syntax, the operation, the signature, types, constraints.
    pub(crate) fn parse(
        target: &str,
        format: Format,
        body: &[u8],
        caller: Result<Place, ServiceError>,
        home: &Place,
    ) -> Self {
        let operation = Operation::of_target(target);
        let place = caller.as_ref().map_or_else(|_| home.clone(), Clone::clone);
        let request = match (operation, caller) {
            (None, _) if body.is_empty() => Err(ServiceError::unknown_operation()),
            (None, _) => format.readable(body).and_then(|()| Err(ServiceError::unknown_operation())),
            (Some(_), Err(refusal)) => format.readable(body).and_then(|()| Err(refusal)),
            (Some(operation), Ok(_)) => parse(operation, format, body),
        };
        let place = request.as_ref().map_or_else(|_| place.clone(), |request| request.place(&place));
        let name = target.rsplit('.').next().unwrap_or_default().to_owned();
        let elsewhere = (place != *home).then(|| Arc::new(place.clone()));
        Self { operation, name, format, place, elsewhere, request }
    }
}

fn parse(operation: Operation, format: Format, body: &[u8]) -> Result<Request, ServiceError> {
    // Records are read without a copy.
    match operation {
        Operation::PutRecord => return put::put_record(format, body),
        Operation::PutRecords => return put::put_records(format, body),
        _ => {}
    }
    let input = Input::read(operation, format, body)?;
    match operation {
        Operation::GetRecords => reading::get_records(&input),
        Operation::GetShardIterator => reading::get_shard_iterator(&input),
        Operation::SubscribeToShard => reading::subscribe_to_shard(&input),
        Operation::ListShards => reading::list_shards(&input),
        Operation::AddTagsToStream => {
            Ok(Request::AddTags { resource: of_stream(&input)?, tags: input.text_map("Tags") })
        }
        Operation::RemoveTagsFromStream => {
            Ok(Request::RemoveTags { resource: of_stream(&input)?, keys: input.texts("TagKeys") })
        }
        Operation::ListTagsForStream => Ok(Request::ListTags {
            resource: of_stream(&input)?,
            after: input.text("ExclusiveStartTagKey").map(str::to_owned),
            limit: input.count("Limit").unwrap_or(MAX_TAGS),
            paged: true,
        }),
        Operation::TagResource => Ok(Request::AddTags { resource: of_arn(&input)?, tags: input.text_map("Tags") }),
        Operation::UntagResource => Ok(Request::RemoveTags { resource: of_arn(&input)?, keys: input.texts("TagKeys") }),
        Operation::ListTagsForResource => {
            Ok(Request::ListTags { resource: of_arn(&input)?, after: None, limit: MAX_TAGS, paged: false })
        }
        Operation::PutResourcePolicy => {
            Ok(Request::PutPolicy { resource: of_arn(&input)?, policy: input.required("Policy") })
        }
        Operation::GetResourcePolicy => Ok(Request::GetPolicy(of_arn(&input)?)),
        Operation::DeleteResourcePolicy => Ok(Request::DeletePolicy(of_arn(&input)?)),
        Operation::RegisterStreamConsumer
        | Operation::DescribeStreamConsumer
        | Operation::DeregisterStreamConsumer
        | Operation::ListStreamConsumers => consumers::parse(operation, &input),
        Operation::DescribeLimits => Ok(Request::DescribeLimits),
        Operation::DescribeAccountSettings => Ok(Request::DescribeAccountSettings),
        Operation::UpdateAccountSettings => {
            let commitment = input.structure("MinimumThroughputBillingCommitment");
            let status = commitment.as_ref().and_then(|commitment| commitment.text("Status"));
            Ok(Request::UpdateAccountSettings { commit: status == Some("ENABLED") })
        }
        _ => absent(operation, &input).map_or_else(|| streams::parse(operation, &input), Ok),
    }
}

/// The most tags that a resource has, and so the most that a page holds.
const MAX_TAGS: usize = 50;

fn of_stream(input: &Input) -> Result<ResourceRef, ServiceError> {
    input.stream().map(ResourceRef::Stream)
}

fn of_arn(input: &Input) -> Result<ResourceRef, ServiceError> {
    ResourceRef::of_arn(input.text("ResourceARN").unwrap_or_default())
}

/// What is asked of channels and queues.
fn absent(operation: Operation, input: &Input) -> Option<Request> {
    let name = || {
        let members = ["ChannelARN", "ChannelName", "QueueARN", "QueueName"];
        Request::NameAbsent(members.iter().find_map(|member| input.text(member)).unwrap_or_default().to_owned())
    };
    // An empty listing has one page: no token was ever given.
    let list = |member| Request::ListAbsent { member, continued: input.has("NextToken") };
    match operation {
        Operation::CreateChannel => Some(Request::CreateAbsent("channels")),
        Operation::CreateQueue => Some(Request::CreateAbsent("queues")),
        Operation::ListChannels => Some(list("ChannelSummaries")),
        Operation::ListQueues => Some(list("QueueSummaries")),
        Operation::AcknowledgeDeadLetterQueueRecords
        | Operation::AcknowledgeQueueRecords
        | Operation::DeleteChannel
        | Operation::DeleteQueue
        | Operation::DescribeChannel
        | Operation::DescribeQueue
        | Operation::ReceiveDeadLetterQueueRecords
        | Operation::ReceiveQueueRecords
        | Operation::RestoreDeadLetterQueueRecords
        | Operation::UpdateChannel
        | Operation::UpdateDeadLetterQueueRecordsVisibility
        | Operation::UpdateQueue
        | Operation::UpdateQueueRecordsVisibility => Some(name()),
        _ => None,
    }
}

/// The names of metrics to begin or stop to watch.
fn metrics(input: &Input) -> std::collections::BTreeSet<Metric> {
    Metric::of_names(&input.texts("ShardLevelMetrics"))
}
