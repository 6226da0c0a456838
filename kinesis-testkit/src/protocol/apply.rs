//! From a checked request through the engine to a reply.

use std::time::SystemTime;

use kinesis_core::{StreamName, from_unix_millis};
use serde_json::Value;

use super::json;
use super::request::Request;
use crate::engine::{
    Account, GetRecordsReply, PutOutcome, ServiceError, SettingChange, StoredAt, StreamRef, Subscription,
    no_such_resource,
};
use crate::operation::Operation;

/// A reply before it is written.
#[derive(Debug)]
pub(crate) enum Reply {
    Put(StoredAt),
    PutAll(Vec<PutOutcome>),
    Records(GetRecordsReply),
    /// An event stream, which is no body.
    Subscribed(Box<Subscription>),
    /// The members of any other reply; fractions are times.
    Body(Value),
    /// A reply without a body.
    Empty,
}

impl Reply {
    /// Writes the reply as the body of an answer.
    pub(super) fn to_json(&self) -> Vec<u8> {
        match self {
            Self::Put(stored) => json::put_record(stored),
            Self::PutAll(outcomes) => json::put_records(outcomes),
            Self::Records(reply) => json::records(reply),
            Self::Body(tree) => tree.to_string().into_bytes(),
            Self::Subscribed(_) | Self::Empty => Vec::new(),
        }
    }

    /// How many records it holds for a reader.
    pub(crate) const fn read(&self) -> usize {
        match self {
            Self::Records(reply) => reply.records.len(),
            _ => 0,
        }
    }

    /// Where the entries of a put were stored, each with its index.
    pub(crate) fn stored(&self) -> Vec<(usize, &StoredAt)> {
        match self {
            Self::Put(stored) => vec![(0, stored)],
            Self::PutAll(outcomes) => {
                let outcomes = outcomes.iter().enumerate();
                outcomes.filter_map(|(index, outcome)| Some((index, outcome.as_ref().ok()?))).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// Carries out a request; `fails(index)` names the error of a PutRecords entry that is not to be applied.
pub(crate) fn apply(
    account: &mut Account,
    now: SystemTime,
    operation: Operation,
    request: &mut Request,
    fails: impl Fn(usize) -> Option<ServiceError>,
) -> Result<Reply, ServiceError> {
    let of_page = match request {
        Request::ListMoreShards { next_token, .. } => account.stream_of_page(next_token),
        _ => None,
    };
    account.admit_control(now, operation, of_page.as_ref().or_else(|| request.stream().map(|stream| &stream.name)))?;
    if !operation.is_read() {
        account.note_change();
    }
    match request {
        Request::PutRecord { .. }
        | Request::PutRecords { .. }
        | Request::GetShardIterator { .. }
        | Request::GetRecords { .. }
        | Request::Subscribe { .. } => data_plane(account, now, request, fails),
        Request::AddTags { .. }
        | Request::RemoveTags { .. }
        | Request::ListTags { .. }
        | Request::PutPolicy { .. }
        | Request::GetPolicy(_)
        | Request::DeletePolicy(_)
        | Request::CreateAbsent(_)
        | Request::ListAbsent { .. }
        | Request::NameAbsent(_) => resources(account, now, request),
        Request::RegisterConsumer { .. }
        | Request::DescribeConsumer(_)
        | Request::DeregisterConsumer(_)
        | Request::ListConsumers { .. } => consumers(account, now, request),
        Request::Change { stream, change } => change_setting(account, now, stream, change),
        other => streams(account, now, other),
    }
}

fn data_plane(
    account: &mut Account,
    now: SystemTime,
    request: &mut Request,
    fails: impl Fn(usize) -> Option<ServiceError>,
) -> Result<Reply, ServiceError> {
    match request {
        Request::PutRecord { stream, refusal: Some(refusal), .. }
        | Request::PutRecords { stream, refusal: Some(refusal), .. } => {
            account.require_usable(now, stream)?;
            Err(refusal.clone())
        }
        Request::PutRecord { stream, entry, ordering, dry_run, .. } => {
            let entries = std::slice::from_mut(entry);
            if let Some(number) = ordering {
                account.check_ordering(now, stream, number)?;
            }
            if *dry_run {
                account.check_put(now, stream, entries, false)?;
                return Err(ServiceError::dry_run());
            }
            let outcome = account.put(now, stream, entries, false, |_| None)?.pop();
            outcome.unwrap_or_else(|| Err(ServiceError::internal_failure())).map(Reply::Put)
        }
        Request::PutRecords { stream, entries, dry_run: true, .. } => {
            account.check_put(now, stream, entries, true)?;
            Err(ServiceError::dry_run())
        }
        Request::PutRecords { stream, entries, .. } => {
            account.put(now, stream, entries, true, fails).map(Reply::PutAll)
        }
        Request::GetRecords { stream, iterator, dry_run: true, .. } => {
            account.check_records(now, stream.as_ref(), iterator)?;
            Err(ServiceError::dry_run())
        }
        Request::GetRecords { stream, iterator, limit, .. } => {
            account.get_records(now, stream.as_ref(), iterator, *limit).map(Reply::Records)
        }
        Request::GetShardIterator { stream, shard, start, dry_run: true } => {
            account.check_shard_iterator(now, stream, shard, start)?;
            Err(ServiceError::dry_run())
        }
        Request::GetShardIterator { stream, shard, start, .. } => {
            let iterator = account.get_shard_iterator(now, stream, shard, start)?;
            Ok(Reply::Body(json::iterator(&iterator)))
        }
        Request::Subscribe { consumer, shard, start, dry_run: true } => {
            account.check_subscription(now, consumer, shard, start)?;
            Err(ServiceError::dry_run())
        }
        Request::Subscribe { consumer, shard, start, .. } => {
            let subscription = account.subscribe(now, consumer, shard, start)?;
            Ok(Reply::Subscribed(Box::new(subscription)))
        }
        _ => Err(ServiceError::internal_failure()),
    }
}

fn resources(account: &mut Account, now: SystemTime, request: &Request) -> Result<Reply, ServiceError> {
    let done = |()| Reply::Empty;
    match request {
        Request::AddTags { resource, tags } => account.add_tags(now, resource, tags).map(done),
        Request::RemoveTags { resource, keys } => account.remove_tags(now, resource, keys).map(done),
        Request::ListTags { resource, after, limit, paged } => {
            let page = account.list_tags(now, resource, after.as_deref(), *limit)?;
            Ok(Reply::Body(json::tags(&page, *paged)))
        }
        Request::PutPolicy { resource, policy } => account.put_policy(now, resource, policy).map(done),
        Request::GetPolicy(resource) => account.policy(now, resource).map(|policy| Reply::Body(json::policy(&policy))),
        Request::DeletePolicy(resource) => account.delete_policy(now, resource).map(done),
        Request::ListAbsent { continued: true, .. } => Err(ServiceError::invalid_argument("Invalid NextToken.")),
        Request::ListAbsent { member, .. } => Ok(Reply::Body(json::empty_list(member))),
        Request::CreateAbsent(what) => Err(ServiceError::limit_exceeded(format!("The account may have no {what}."))),
        Request::NameAbsent(name) => Err(no_such_resource(name)),
        _ => Err(ServiceError::internal_failure()),
    }
}

fn consumers(account: &mut Account, now: SystemTime, request: &Request) -> Result<Reply, ServiceError> {
    match request {
        Request::RegisterConsumer { stream, name, tags } => {
            let consumer = account.register_consumer(now, stream, name, tags)?;
            Ok(Reply::Body(json::registered(&consumer)))
        }
        Request::DescribeConsumer(consumer) => {
            let consumer = account.describe_consumer(now, consumer)?;
            Ok(Reply::Body(json::consumer_description(&consumer)))
        }
        Request::DeregisterConsumer(consumer) => account.deregister_consumer(now, consumer).map(|()| Reply::Empty),
        Request::ListConsumers { stream, created_millis, next_token, limit } => {
            require_creation(account, now, stream, *created_millis)?;
            let page = match next_token {
                Some(token) => account.list_more_consumers(now, stream, token, *limit)?,
                None => account.list_consumers(now, stream, *limit)?,
            };
            Ok(Reply::Body(json::consumers(&page)))
        }
        _ => Err(ServiceError::internal_failure()),
    }
}

/// Some changes answer with what they changed.
fn change_setting(
    account: &mut Account,
    now: SystemTime,
    stream: &StreamRef,
    change: &SettingChange,
) -> Result<Reply, ServiceError> {
    let before = account.describe(now, stream)?;
    account.change(now, stream, change.clone())?;
    Ok(match change {
        SettingChange::Monitor(metrics) => {
            Reply::Body(json::monitoring(&before, &(&before.settings.metrics | metrics)))
        }
        SettingChange::StopMonitoring(metrics) => {
            Reply::Body(json::monitoring(&before, &(&before.settings.metrics - metrics)))
        }
        SettingChange::WarmThroughput(target) => Reply::Body(json::warm_throughput(&before, *target)),
        _ => Reply::Empty,
    })
}

fn streams(account: &mut Account, now: SystemTime, request: &Request) -> Result<Reply, ServiceError> {
    let done = |()| Reply::Empty;
    match request {
        Request::CreateStream { name, options } => account.create_stream(now, name, options).map(done),
        Request::DeleteStream { stream, with_consumers } => {
            account.delete_stream(now, stream, *with_consumers).map(done)
        }
        Request::SplitShard { stream, shard, at } => account.split(now, stream, shard, Some(at)).map(|_| Reply::Empty),
        Request::MergeShards { stream, shard, adjacent } => {
            account.merge(now, stream, shard, adjacent).map(|_| Reply::Empty)
        }
        Request::UpdateShardCount { stream, target } => {
            let view = account.describe(now, stream)?;
            let reply = account.update_shard_count(now, stream, *target)?;
            Ok(Reply::Body(json::shard_count(&view, &reply)))
        }
        Request::DescribeStream { stream, exclusive_start, limit } => {
            let view = account.describe(now, stream)?;
            let (shards, more) = account.describe_shards(now, stream, exclusive_start.as_deref(), *limit)?;
            Ok(Reply::Body(json::stream_description(&view, &shards, more)))
        }
        Request::DescribeStreamSummary(stream) => {
            account.describe(now, stream).map(|view| Reply::Body(json::stream_summary(&view)))
        }
        Request::ListStreams { exclusive_start, next_token, limit } => {
            list_streams(account, now, exclusive_start.as_deref(), next_token.as_deref(), *limit)
        }
        Request::ListShards { stream, created_millis, filter, exclusive_start, max_results } => {
            require_creation(account, now, stream, *created_millis)?;
            let page = account.list_shards(now, stream, filter.as_ref(), exclusive_start.as_deref(), *max_results)?;
            Ok(Reply::Body(json::shards(&page)))
        }
        Request::ListMoreShards { stream, next_token, max_results } => account
            .list_more_shards(now, stream.as_ref(), next_token, *max_results)
            .map(|page| Reply::Body(json::shards(&page))),
        Request::DescribeLimits => Ok(Reply::Body(json::limits(&account.limits(now)))),
        Request::DescribeAccountSettings => Ok(Reply::Body(json::account_settings(&account.commitment(now)))),
        Request::UpdateAccountSettings { commit } => {
            Ok(Reply::Body(json::account_settings(&account.commit(now, *commit))))
        }
        _ => Err(ServiceError::internal_failure()),
    }
}

/// Refuses a listing that means an earlier stream of the same name.
fn require_creation(
    account: &mut Account,
    now: SystemTime,
    stream: &StreamRef,
    created_millis: Option<u64>,
) -> Result<(), ServiceError> {
    let Some(created) = created_millis.map(from_unix_millis) else { return Ok(()) };
    let view = account.describe(now, stream)?;
    if view.created_at != created {
        return Err(ServiceError::stream_not_found(stream.name.as_str(), view.arn.account()));
    }
    Ok(())
}

fn list_streams(
    account: &mut Account,
    now: SystemTime,
    exclusive_start: Option<&str>,
    next_token: Option<&str>,
    limit: usize,
) -> Result<Reply, ServiceError> {
    let from_token: Option<StreamName> =
        next_token.map(|token| account.read_stream_page_token(now, token)).transpose()?;
    let after = from_token.as_ref().map(StreamName::as_str).or(exclusive_start);
    let (views, more) = account.list_streams(now, after, limit);
    let next_token = views.last().filter(|_| more).map(|last| account.stream_page_token(now, last.arn.name()));
    Ok(Reply::Body(json::streams(&views, next_token.as_deref())))
}
