//! Requests that read: listings of shards, iterators, records.

use super::Request;
use crate::engine::{ConsumerArn, IteratorType, ServiceError, ShardFilter};
use crate::protocol::input::Input;

/// How many shards a page holds where nobody asks for fewer, and at most (API reference, ListShards).
const MAX_SHARDS: usize = 1000;
/// How many records a reply holds at most where nobody asks for fewer (API reference, GetRecords).
const DEFAULT_RECORDS: usize = 10_000;

pub(super) fn list_shards(input: &Input) -> Result<Request, ServiceError> {
    let filter = shard_filter(input.structure("ShardFilter").as_ref())?;
    let max_results = input.count("MaxResults").unwrap_or(MAX_SHARDS).min(MAX_SHARDS);
    let stream = input.optional_stream()?;
    let Some(next_token) = input.text("NextToken") else {
        let stream = stream
            .ok_or_else(|| ServiceError::invalid_argument("Either NextToken or StreamName should be provided."))?;
        return Ok(Request::ListShards {
            stream,
            created_millis: input.millis("StreamCreationTimestamp"),
            filter,
            exclusive_start: input.text("ExclusiveStartShardId").map(str::to_owned),
            max_results,
        });
    };
    let beside_token = [
        ("StreamName", input.has("StreamName")),
        ("StreamCreationTimestamp", input.millis("StreamCreationTimestamp").is_some()),
        ("ExclusiveStartShardId", input.text("ExclusiveStartShardId").is_some()),
        ("ShardFilter", filter.is_some()),
    ];
    if let Some((name, _)) = beside_token.into_iter().find(|(_, given)| *given) {
        return Err(ServiceError::invalid_argument(format!("NextToken and {name} cannot be provided together.")));
    }
    Ok(Request::ListMoreShards { stream, next_token: next_token.to_owned(), max_results })
}

fn shard_filter(input: Option<&Input>) -> Result<Option<ShardFilter>, ServiceError> {
    let Some(input) = input else { return Ok(None) };
    let kind = input.text("Type").unwrap_or_default();
    let needs =
        |what: &str| ServiceError::invalid_argument(format!("{what} must be specified for ShardFilter type {kind}."));
    let takes = [("ShardId", &["AFTER_SHARD_ID"][..]), ("Timestamp", &["AT_TIMESTAMP", "FROM_TIMESTAMP"][..])];
    for (member, kinds) in takes {
        if input.has(member) && !kinds.contains(&kind) {
            return Err(ServiceError::invalid_argument(format!(
                "{member} cannot be specified for ShardFilter type {kind}."
            )));
        }
    }
    let timestamp = || input.millis("Timestamp").ok_or_else(|| needs("Timestamp"));
    let filter = match kind {
        "AFTER_SHARD_ID" => {
            let shard = input.text("ShardId").ok_or_else(|| needs("ShardId"))?;
            ShardFilter::AfterShardId(shard.to_owned())
        }
        "AT_TRIM_HORIZON" => ShardFilter::AtTrimHorizon,
        "FROM_TRIM_HORIZON" => ShardFilter::FromTrimHorizon,
        "AT_LATEST" => ShardFilter::AtLatest,
        "AT_TIMESTAMP" => ShardFilter::AtTimestamp { millis: timestamp()? },
        _ => ShardFilter::FromTimestamp { millis: timestamp()? },
    };
    Ok(Some(filter))
}

pub(super) fn get_shard_iterator(input: &Input) -> Result<Request, ServiceError> {
    Ok(Request::GetShardIterator {
        stream: input.stream()?,
        shard: input.required("ShardId"),
        start: start(input, "ShardIteratorType", "StartingSequenceNumber"),
        dry_run: input.flag("DryRun"),
    })
}

pub(super) fn subscribe_to_shard(input: &Input) -> Result<Request, ServiceError> {
    let consumer: ConsumerArn = input.text("ConsumerARN").unwrap_or_default().parse()?;
    let position = input.structure("StartingPosition");
    let position = position.ok_or_else(|| ServiceError::serialization(""))?;
    Ok(Request::Subscribe {
        consumer: consumer.into(),
        shard: input.required("ShardId"),
        start: start(&position, "Type", "SequenceNumber"),
        dry_run: input.flag("DryRun"),
    })
}

fn start(input: &Input, kind: &str, number: &str) -> Result<IteratorType, ServiceError> {
    let number = input.text(number).map(str::to_owned);
    iterator_type(input.text(kind).unwrap_or_default(), number, input.millis("Timestamp"))
}

fn iterator_type(kind: &str, number: Option<String>, millis: Option<u64>) -> Result<IteratorType, ServiceError> {
    let either = |what: &str| {
        ServiceError::invalid_argument(format!(
            "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or (2) \
             TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request specified {kind} and {what}."
        ))
    };
    match (kind, number) {
        ("TRIM_HORIZON" | "LATEST" | "AT_TIMESTAMP", Some(_)) => Err(either("also a StartingSequenceNumber")),
        ("TRIM_HORIZON", None) => Ok(IteratorType::TrimHorizon),
        ("LATEST", None) => Ok(IteratorType::Latest),
        ("AT_TIMESTAMP", None) => millis.map(|millis| IteratorType::AtTimestamp { millis }).ok_or_else(|| {
            ServiceError::invalid_argument(
                "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. Current request has no \
                 timestamp parameter.",
            )
        }),
        (_, None) => Err(either("no StartingSequenceNumber")),
        ("AT_SEQUENCE_NUMBER", Some(number)) => Ok(IteratorType::AtSequenceNumber(number)),
        (_, Some(number)) => Ok(IteratorType::AfterSequenceNumber(number)),
    }
}

pub(super) fn get_records(input: &Input) -> Result<Request, ServiceError> {
    Ok(Request::GetRecords {
        stream: input.optional_stream()?,
        iterator: input.required("ShardIterator"),
        limit: input.count("Limit").unwrap_or(DEFAULT_RECORDS),
        dry_run: input.flag("DryRun"),
    })
}
