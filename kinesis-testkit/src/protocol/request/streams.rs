//! Requests about streams and their settings.

use super::{Request, metrics};
use crate::engine::{
    DEFAULT_MAX_RECORD_KIB, Distribution, ON_DEMAND_SHARDS, ServiceError, SettingChange, StreamMode, StreamOptions,
    StreamRef,
};
use crate::operation::Operation;
use crate::protocol::input::{Input, stream_ref};

/// How many shards a provisioned stream has where nobody says.
const DEFAULT_SHARDS: u32 = 4;
/// How many streams or shards a page holds where nobody asks for fewer, and at most (API reference).
const MAX_PAGE: usize = 100;

pub(super) fn parse(operation: Operation, input: &Input) -> Result<Request, ServiceError> {
    let change = |change| Ok(Request::Change { stream: input.stream()?, change });
    match operation {
        Operation::CreateStream => create_stream(input),
        Operation::DeleteStream => {
            Ok(Request::DeleteStream { stream: input.stream()?, with_consumers: input.flag("EnforceConsumerDeletion") })
        }
        Operation::DescribeStream => Ok(Request::DescribeStream {
            stream: input.stream()?,
            exclusive_start: input.text("ExclusiveStartShardId").map(str::to_owned),
            limit: page(input),
        }),
        Operation::DescribeStreamSummary => Ok(Request::DescribeStreamSummary(input.stream()?)),
        Operation::ListStreams => Ok(Request::ListStreams {
            exclusive_start: input.text("ExclusiveStartStreamName").map(str::to_owned),
            next_token: input.text("NextToken").map(str::to_owned),
            limit: page(input),
        }),
        Operation::SplitShard => Ok(Request::SplitShard {
            stream: input.stream()?,
            shard: input.required("ShardToSplit"),
            at: input.required("NewStartingHashKey"),
        }),
        Operation::MergeShards => Ok(Request::MergeShards {
            stream: input.stream()?,
            shard: input.required("ShardToMerge"),
            adjacent: input.required("AdjacentShardToMerge"),
        }),
        Operation::UpdateShardCount => {
            Ok(Request::UpdateShardCount { stream: input.stream()?, target: number(input, "TargetShardCount") })
        }
        Operation::IncreaseStreamRetentionPeriod | Operation::DecreaseStreamRetentionPeriod => {
            let hours = input.integer("RetentionPeriodHours").unwrap_or_default();
            let longer = operation == Operation::IncreaseStreamRetentionPeriod;
            change(SettingChange::Retention { hours, longer })
        }
        Operation::UpdateMaxRecordSize => change(SettingChange::MaxRecordKib(number(input, "MaxRecordSizeInKiB"))),
        Operation::UpdateStreamMode => {
            change(SettingChange::Mode { mode: mode(input), warm_mibps: warm_throughput(input) })
        }
        Operation::UpdateStreamWarmThroughput => {
            change(SettingChange::WarmThroughput(number(input, "WarmThroughputMiBps")))
        }
        Operation::UpdateStreamRecordDistributionStrategy => change(SettingChange::Distribution(distribution(input))),
        Operation::EnableEnhancedMonitoring => change(SettingChange::Monitor(metrics(input))),
        Operation::DisableEnhancedMonitoring => change(SettingChange::StopMonitoring(metrics(input))),
        Operation::StartStreamEncryption if input.text("EncryptionType") == Some("NONE") => {
            Err(ServiceError::invalid_argument("EncryptionType NONE cannot be started; use StopStreamEncryption."))
        }
        Operation::StartStreamEncryption => change(SettingChange::StartEncryption { key: input.required("KeyId") }),
        Operation::StopStreamEncryption => change(SettingChange::StopEncryption),
        _ => Err(ServiceError::unknown_operation()),
    }
}

fn page(input: &Input) -> usize {
    input.count("Limit").unwrap_or(MAX_PAGE).min(MAX_PAGE)
}

/// A number that the model has kept above or at zero.
fn number(input: &Input, name: &str) -> u32 {
    input.integer(name).and_then(|number| u32::try_from(number).ok()).unwrap_or_default()
}

fn warm_throughput(input: &Input) -> Option<u32> {
    input.integer("WarmThroughputMiBps").map(|_| number(input, "WarmThroughputMiBps"))
}

fn mode(input: &Input) -> StreamMode {
    let details = input.structure("StreamModeDetails");
    match details.as_ref().and_then(|details| details.text("StreamMode")) {
        Some("ON_DEMAND") => StreamMode::OnDemand,
        _ => StreamMode::Provisioned,
    }
}

fn distribution(input: &Input) -> Distribution {
    match input.text("RecordDistributionStrategy") {
        Some("AUTO") => Distribution::Auto,
        _ => Distribution::UserPartitionKey,
    }
}

fn create_stream(input: &Input) -> Result<Request, ServiceError> {
    let invalid = |problem: &str| Err(ServiceError::invalid_argument(problem));
    let (mode, warm_mibps) = (mode(input), warm_throughput(input));
    let shards = match (mode, input.integer("ShardCount")) {
        (StreamMode::OnDemand, Some(_)) => {
            return invalid("ShardCount cannot be specified for streams in ON_DEMAND mode.");
        }
        (StreamMode::Provisioned, Some(_)) => number(input, "ShardCount"),
        (StreamMode::Provisioned, None) if input.has("StreamModeDetails") => {
            return invalid("ShardCount must be specified for streams in PROVISIONED mode.");
        }
        // Recorded by LocalStack (test_create_stream_without_shard_count).
        (StreamMode::Provisioned, None) => DEFAULT_SHARDS,
        // A shard takes 1 MiB/s.
        (StreamMode::OnDemand, None) => ON_DEMAND_SHARDS.max(warm_mibps.unwrap_or_default()),
    };
    if mode == StreamMode::Provisioned && warm_mibps.is_some() {
        return invalid("WarmThroughputMiBps is valid for ON_DEMAND mode only.");
    }
    if mode == StreamMode::Provisioned && distribution(input) == Distribution::Auto {
        return invalid("RecordDistributionStrategy AUTO is not supported for streams in PROVISIONED mode.");
    }
    let StreamRef { name, .. } = stream_ref(input.text("StreamName"), None)?;
    let max_record_kib =
        input.integer("MaxRecordSizeInKiB").map_or(DEFAULT_MAX_RECORD_KIB, |_| number(input, "MaxRecordSizeInKiB"));
    let (distribution, tags) = (distribution(input), input.text_map("Tags"));
    let options = StreamOptions { shards, mode, max_record_kib, distribution, warm_mibps, tags };
    Ok(Request::CreateStream { name, options })
}
