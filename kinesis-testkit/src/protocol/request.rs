//! From bytes to a checked request.

mod put;

use serde::de::DeserializeOwned;

use super::input::{
    CreateStreamInput, GetRecordsInput, GetShardIteratorInput, ListShardsInput, ListStreamsInput, MergeShardsInput,
    RetentionInput, ShardFilterInput, SplitShardInput, StreamInput, UpdateMaxRecordSizeInput,
};
use super::operations::Operation;
use super::validation::{Validator, stream_ref};
use crate::engine::{
    DEFAULT_MAX_RECORD_KIB, IteratorType, PutEntry, ServiceError, ShardFilter, StreamMode, StreamOptions, StreamRef,
};

/// How many shards an on-demand stream begins with (AWS developer guide).
const ON_DEMAND_SHARDS: i64 = 4;

/// A request that satisfies the constraints of the service model.
#[derive(Debug)]
pub(crate) enum Request {
    CreateStream {
        name: kinesis_core::StreamName,
        options: StreamOptions,
    },
    DeleteStream(StreamRef),
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
        next_token: String,
        max_results: usize,
    },
    PutRecord {
        stream: StreamRef,
        entry: PutEntry,
    },
    PutRecords {
        stream: StreamRef,
        entries: Vec<PutEntry>,
    },
    GetShardIterator {
        stream: StreamRef,
        shard: String,
        start: IteratorType,
    },
    GetRecords {
        iterator: String,
        limit: usize,
    },
    SplitShard {
        stream: StreamRef,
        shard: String,
        at: kinesis_core::HashKey,
    },
    MergeShards {
        stream: StreamRef,
        shard: String,
        adjacent: String,
    },
    SetRetention {
        stream: StreamRef,
        hours: u64,
        longer: bool,
    },
    UpdateMaxRecordSize {
        stream: StreamRef,
        kib: u32,
    },
}

impl Request {
    /// The stream that the request names; reads name theirs within the iterator.
    pub(crate) const fn stream(&self) -> Option<&StreamRef> {
        match self {
            Self::DeleteStream(stream)
            | Self::DescribeStreamSummary(stream)
            | Self::DescribeStream { stream, .. }
            | Self::ListShards { stream, .. }
            | Self::PutRecord { stream, .. }
            | Self::PutRecords { stream, .. }
            | Self::GetShardIterator { stream, .. }
            | Self::SplitShard { stream, .. }
            | Self::MergeShards { stream, .. }
            | Self::SetRetention { stream, .. }
            | Self::UpdateMaxRecordSize { stream, .. } => Some(stream),
            Self::CreateStream { .. }
            | Self::ListStreams { .. }
            | Self::ListMoreShards { .. }
            | Self::GetRecords { .. } => None,
        }
    }
}

/// A call as it came in: which operation, and the request or what is wrong with it.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) operation: Option<Operation>,
    pub(crate) name: String,
    pub(crate) request: Result<Request, ServiceError>,
}

impl Call {
    /// Reads a call of its `X-Amz-Target` and its body.
    pub(crate) fn parse(target: &str, body: &[u8]) -> Self {
        let operation = Operation::of_target(target);
        let request =
            operation.map_or_else(|| Err(ServiceError::unknown_operation()), |operation| parse(operation, body));
        let name = target.rsplit('.').next().unwrap_or_default().to_owned();
        Self { operation, name, request }
    }
}

fn parse(operation: Operation, body: &[u8]) -> Result<Request, ServiceError> {
    match operation {
        Operation::CreateStream => create_stream(&read(body)?),
        Operation::DecreaseStreamRetentionPeriod => retention(&read(body)?, false),
        Operation::DeleteStream => stream_only(&read(body)?).map(Request::DeleteStream),
        Operation::DescribeStream => describe_stream(read(body)?),
        Operation::DescribeStreamSummary => stream_only(&read(body)?).map(Request::DescribeStreamSummary),
        Operation::GetRecords => get_records(read(body)?),
        Operation::GetShardIterator => get_shard_iterator(read(body)?),
        Operation::IncreaseStreamRetentionPeriod => retention(&read(body)?, true),
        Operation::ListShards => list_shards(read(body)?),
        Operation::ListStreams => list_streams(read(body)?),
        Operation::MergeShards => merge_shards(read(body)?),
        Operation::PutRecord => put::put_record(body),
        Operation::PutRecords => put::put_records(body),
        Operation::SplitShard => split_shard(read(body)?),
        Operation::UpdateMaxRecordSize => update_max_record_size(&read(body)?),
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ServiceError> {
    serde_json::from_slice(body).map_err(|error| unreadable(&error))
}

/// Broken JSON is refused without a message, a value of the wrong type with one.
fn unreadable(error: &serde_json::Error) -> ServiceError {
    if error.is_data() { ServiceError::serialization(error.to_string()) } else { ServiceError::serialization("") }
}

/// A number that was checked to be in range.
fn count(value: Option<i64>, default: usize) -> usize {
    value.and_then(|value| usize::try_from(value).ok()).unwrap_or(default)
}

fn millis(seconds: f64) -> u64 {
    // Saturates: a negative time is the epoch.
    (seconds * 1000.0).round() as u64
}

fn create_stream(input: &CreateStreamInput) -> Result<Request, ServiceError> {
    let mode = input.stream_mode_details.as_ref().map(|details| details.stream_mode.as_deref());
    let mut check = Validator::default();
    check.required("streamName", input.stream_name.as_ref());
    check.stream(input.stream_name.as_deref(), None);
    if let Some(shards) = input.shard_count {
        check.range("shardCount", shards, 1, 100_000);
    }
    if let Some(kib) = input.max_record_size_in_kib {
        check.range("maxRecordSizeInKiB", kib, 1024, 10_240);
    }
    if let Some(mode) = mode {
        check.required("streamModeDetails.streamMode", mode.as_ref());
        check.one_of("streamModeDetails.streamMode", mode.unwrap_or("PROVISIONED"), &["PROVISIONED", "ON_DEMAND"]);
    }
    check.finish()?;
    let mode = match mode.flatten() {
        Some("ON_DEMAND") => StreamMode::OnDemand,
        _ => StreamMode::Provisioned,
    };
    let shards = match (mode, input.shard_count) {
        (StreamMode::Provisioned, None) => {
            return Err(ServiceError::invalid_argument(
                "ShardCount must be specified for streams in PROVISIONED mode.",
            ));
        }
        (StreamMode::OnDemand, Some(_)) => {
            return Err(ServiceError::invalid_argument(
                "ShardCount cannot be specified for streams in ON_DEMAND mode.",
            ));
        }
        (_, shards) => shards.unwrap_or(ON_DEMAND_SHARDS),
    };
    let name = stream_ref(input.stream_name.as_deref(), None)?.name;
    let options = StreamOptions {
        shards: u32::try_from(shards).unwrap_or(u32::MAX),
        mode,
        max_record_kib: input
            .max_record_size_in_kib
            .and_then(|kib| u32::try_from(kib).ok())
            .unwrap_or(DEFAULT_MAX_RECORD_KIB),
    };
    Ok(Request::CreateStream { name, options })
}

fn stream_only(input: &StreamInput) -> Result<StreamRef, ServiceError> {
    let (name, arn) = (input.stream_name.as_deref(), input.stream_arn.as_deref());
    let mut check = Validator::default();
    check.stream(name, arn);
    check.finish()?;
    stream_ref(name, arn)
}

fn describe_stream(input: StreamInput) -> Result<Request, ServiceError> {
    let mut check = Validator::default();
    if let Some(limit) = input.limit {
        check.range("limit", limit, 1, 10_000);
    }
    if let Some(shard) = &input.exclusive_start_shard_id {
        check.name("exclusiveStartShardId", shard);
    }
    check.stream(input.stream_name.as_deref(), input.stream_arn.as_deref());
    check.finish()?;
    Ok(Request::DescribeStream {
        stream: stream_ref(input.stream_name.as_deref(), input.stream_arn.as_deref())?,
        exclusive_start: input.exclusive_start_shard_id,
        limit: count(input.limit, 100),
    })
}

fn list_streams(input: ListStreamsInput) -> Result<Request, ServiceError> {
    let mut check = Validator::default();
    if let Some(limit) = input.limit {
        check.range("limit", limit, 1, 10_000);
    }
    if let Some(name) = &input.exclusive_start_stream_name {
        check.name("exclusiveStartStreamName", name);
    }
    check.finish()?;
    Ok(Request::ListStreams {
        exclusive_start: input.exclusive_start_stream_name,
        next_token: input.next_token,
        limit: count(input.limit, 100),
    })
}

fn list_shards(input: ListShardsInput) -> Result<Request, ServiceError> {
    let mut check = Validator::default();
    if let Some(results) = input.max_results {
        check.range("maxResults", results, 1, 10_000);
    }
    if let Some(shard) = &input.exclusive_start_shard_id {
        check.name("exclusiveStartShardId", shard);
    }
    check.stream(input.stream_name.as_deref(), input.stream_arn.as_deref());
    let filter = shard_filter(&mut check, input.shard_filter.as_ref());
    check.finish()?;
    let filter = filter?;
    let max_results = count(input.max_results, 1000);
    let Some(next_token) = input.next_token else {
        if input.stream_name.is_none() && input.stream_arn.is_none() {
            return Err(ServiceError::invalid_argument("Either NextToken or StreamName should be provided."));
        }
        return Ok(Request::ListShards {
            stream: stream_ref(input.stream_name.as_deref(), input.stream_arn.as_deref())?,
            created_millis: input.stream_creation_timestamp.map(millis),
            filter,
            exclusive_start: input.exclusive_start_shard_id,
            max_results,
        });
    };
    let beside_token = [
        ("StreamName", input.stream_name.is_some()),
        ("StreamCreationTimestamp", input.stream_creation_timestamp.is_some()),
        ("ExclusiveStartShardId", input.exclusive_start_shard_id.is_some()),
        ("ShardFilter", filter.is_some()),
    ];
    if let Some((name, _)) = beside_token.into_iter().find(|(_, given)| *given) {
        return Err(ServiceError::invalid_argument(format!("NextToken and {name} cannot be provided together.")));
    }
    Ok(Request::ListMoreShards { next_token, max_results })
}

fn shard_filter(check: &mut Validator, input: Option<&ShardFilterInput>) -> Result<Option<ShardFilter>, ServiceError> {
    const TYPES: [&str; 6] =
        ["AFTER_SHARD_ID", "AT_TRIM_HORIZON", "FROM_TRIM_HORIZON", "AT_LATEST", "AT_TIMESTAMP", "FROM_TIMESTAMP"];
    let Some(input) = input else { return Ok(None) };
    check.required("shardFilter.type", input.r#type.as_ref());
    let kind = input.r#type.as_deref().unwrap_or_default();
    if input.r#type.is_some() {
        check.one_of("shardFilter.type", kind, &TYPES);
    }
    let timestamp = || {
        let missing = format!("Timestamp must be specified for ShardFilter type {kind}.");
        input.timestamp.map(millis).ok_or_else(|| ServiceError::invalid_argument(missing))
    };
    let filter = match kind {
        "AFTER_SHARD_ID" => ShardFilter::AfterShardId(input.shard_id.clone().ok_or_else(|| {
            ServiceError::invalid_argument("ShardId must be specified for ShardFilter type AFTER_SHARD_ID.")
        })?),
        "AT_TRIM_HORIZON" => ShardFilter::AtTrimHorizon,
        "FROM_TRIM_HORIZON" => ShardFilter::FromTrimHorizon,
        "AT_LATEST" => ShardFilter::AtLatest,
        "AT_TIMESTAMP" => ShardFilter::AtTimestamp { millis: timestamp()? },
        "FROM_TIMESTAMP" => ShardFilter::FromTimestamp { millis: timestamp()? },
        _ => return Ok(None),
    };
    Ok(Some(filter))
}

fn get_shard_iterator(input: GetShardIteratorInput) -> Result<Request, ServiceError> {
    const TYPES: [&str; 5] = ["AFTER_SEQUENCE_NUMBER", "LATEST", "AT_TIMESTAMP", "AT_SEQUENCE_NUMBER", "TRIM_HORIZON"];
    let mut check = Validator::default();
    check.required("shardId", input.shard_id.as_ref());
    if let Some(shard) = &input.shard_id {
        check.name("shardId", shard);
    }
    check.required("shardIteratorType", input.shard_iterator_type.as_ref());
    let kind = input.shard_iterator_type.unwrap_or_default();
    if !kind.is_empty() {
        check.one_of("shardIteratorType", &kind, &TYPES);
    }
    if let Some(number) = &input.starting_sequence_number {
        check.decimal("startingSequenceNumber", number, 129);
    }
    check.stream(input.stream_name.as_deref(), input.stream_arn.as_deref());
    check.finish()?;
    let stream = stream_ref(input.stream_name.as_deref(), input.stream_arn.as_deref())?;
    Ok(Request::GetShardIterator {
        stream,
        shard: input.shard_id.unwrap_or_default(),
        start: iterator_type(&kind, input.starting_sequence_number, input.timestamp.map(millis))?,
    })
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

fn get_records(input: GetRecordsInput) -> Result<Request, ServiceError> {
    let mut check = Validator::default();
    check.required("shardIterator", input.shard_iterator.as_ref());
    if let Some(iterator) = &input.shard_iterator {
        check.text_length("shardIterator", iterator, 1, 512);
    }
    if let Some(limit) = input.limit {
        check.range("limit", limit, 1, 10_000);
    }
    check.stream(None, input.stream_arn.as_deref());
    check.finish()?;
    Ok(Request::GetRecords { iterator: input.shard_iterator.unwrap_or_default(), limit: count(input.limit, 10_000) })
}

fn split_shard(input: SplitShardInput) -> Result<Request, ServiceError> {
    let mut check = Validator::default();
    check.required("newStartingHashKey", input.new_starting_hash_key.as_ref());
    check.required("shardToSplit", input.shard_to_split.as_ref());
    if let Some(key) = &input.new_starting_hash_key {
        check.hash_key("newStartingHashKey", key);
    }
    if let Some(shard) = &input.shard_to_split {
        check.name("shardToSplit", shard);
    }
    check.stream(input.stream_name.as_deref(), input.stream_arn.as_deref());
    check.finish()?;
    let key = input.new_starting_hash_key.unwrap_or_default();
    Ok(Request::SplitShard {
        stream: stream_ref(input.stream_name.as_deref(), input.stream_arn.as_deref())?,
        shard: input.shard_to_split.unwrap_or_default(),
        at: put::hash_key("NewStartingHashKey", &key)?,
    })
}

fn merge_shards(input: MergeShardsInput) -> Result<Request, ServiceError> {
    let mut check = Validator::default();
    check.required("shardToMerge", input.shard_to_merge.as_ref());
    check.required("adjacentShardToMerge", input.adjacent_shard_to_merge.as_ref());
    if let Some(shard) = &input.shard_to_merge {
        check.name("shardToMerge", shard);
    }
    if let Some(shard) = &input.adjacent_shard_to_merge {
        check.name("adjacentShardToMerge", shard);
    }
    check.stream(input.stream_name.as_deref(), input.stream_arn.as_deref());
    check.finish()?;
    Ok(Request::MergeShards {
        stream: stream_ref(input.stream_name.as_deref(), input.stream_arn.as_deref())?,
        shard: input.shard_to_merge.unwrap_or_default(),
        adjacent: input.adjacent_shard_to_merge.unwrap_or_default(),
    })
}

fn retention(input: &RetentionInput, longer: bool) -> Result<Request, ServiceError> {
    let mut check = Validator::default();
    check.required("retentionPeriodHours", input.retention_period_hours.as_ref());
    if let Some(hours) = input.retention_period_hours {
        check.range("retentionPeriodHours", hours, 1, i64::from(i32::MAX));
    }
    check.stream(input.stream_name.as_deref(), input.stream_arn.as_deref());
    check.finish()?;
    Ok(Request::SetRetention {
        stream: stream_ref(input.stream_name.as_deref(), input.stream_arn.as_deref())?,
        hours: count(input.retention_period_hours, 0) as u64,
        longer,
    })
}

fn update_max_record_size(input: &UpdateMaxRecordSizeInput) -> Result<Request, ServiceError> {
    let mut check = Validator::default();
    check.required("maxRecordSizeInKiB", input.max_record_size_in_kib.as_ref());
    if let Some(kib) = input.max_record_size_in_kib {
        check.range("maxRecordSizeInKiB", kib, 1024, 10_240);
    }
    check.stream(None, input.stream_arn.as_deref());
    check.finish()?;
    Ok(Request::UpdateMaxRecordSize {
        stream: stream_ref(None, input.stream_arn.as_deref())?,
        kib: input.max_record_size_in_kib.and_then(|kib| u32::try_from(kib).ok()).unwrap_or_default(),
    })
}
