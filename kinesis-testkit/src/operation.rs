//! The operations of the API.

use std::fmt;

macro_rules! operations {
    ($($name:ident),+ $(,)?) => {
        /// An operation of the Kinesis API, version 2013-12-02.
        ///
        /// Channels, queues and dead-letter queues have no data plane in the fake: an account of it may own none, so
        /// that creating one is refused with `LimitExceededException`, listings are empty, and what names one is
        /// answered with `ResourceNotFoundException`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Operation {
            $(
                #[doc = concat!("The operation `", stringify!($name), "`.")]
                $name,
            )+
        }

        impl Operation {
            /// Every operation, in alphabetical order.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The name as the API writes it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }
        }
    };
}

operations! {
    AcknowledgeDeadLetterQueueRecords,
    AcknowledgeQueueRecords,
    AddTagsToStream,
    CreateChannel,
    CreateQueue,
    CreateStream,
    DecreaseStreamRetentionPeriod,
    DeleteChannel,
    DeleteQueue,
    DeleteResourcePolicy,
    DeleteStream,
    DeregisterStreamConsumer,
    DescribeAccountSettings,
    DescribeChannel,
    DescribeLimits,
    DescribeQueue,
    DescribeStream,
    DescribeStreamConsumer,
    DescribeStreamSummary,
    DisableEnhancedMonitoring,
    EnableEnhancedMonitoring,
    GetRecords,
    GetResourcePolicy,
    GetShardIterator,
    IncreaseStreamRetentionPeriod,
    ListChannels,
    ListQueues,
    ListShards,
    ListStreamConsumers,
    ListStreams,
    ListTagsForResource,
    ListTagsForStream,
    MergeShards,
    PutRecord,
    PutRecords,
    PutResourcePolicy,
    ReceiveDeadLetterQueueRecords,
    ReceiveQueueRecords,
    RegisterStreamConsumer,
    RemoveTagsFromStream,
    RestoreDeadLetterQueueRecords,
    SplitShard,
    StartStreamEncryption,
    StopStreamEncryption,
    SubscribeToShard,
    TagResource,
    UntagResource,
    UpdateAccountSettings,
    UpdateChannel,
    UpdateDeadLetterQueueRecordsVisibility,
    UpdateMaxRecordSize,
    UpdateQueue,
    UpdateQueueRecordsVisibility,
    UpdateShardCount,
    UpdateStreamMode,
    UpdateStreamRecordDistributionStrategy,
    UpdateStreamWarmThroughput,
}

/// What stands before an operation's name in `X-Amz-Target`.
pub(crate) const TARGET_PREFIX: &str = "Kinesis_20131202.";

impl Operation {
    /// Whether it changes no stream but by records.
    pub(crate) fn is_read(self) -> bool {
        let name = self.as_str();
        let is_of_data = matches!(self, Self::PutRecord | Self::PutRecords | Self::SubscribeToShard);
        is_of_data || ["Describe", "Get", "List"].iter().any(|verb| name.starts_with(verb))
    }

    /// The operation that a request's `X-Amz-Target` names, such as `Kinesis_20131202.PutRecords`.
    pub(crate) fn of_target(target: &str) -> Option<Self> {
        let name = target.strip_prefix(TARGET_PREFIX)?;
        Self::ALL.iter().copied().find(|operation| operation.as_str() == name)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_names_an_operation_of_this_api_version() {
        assert_eq!(Operation::of_target("Kinesis_20131202.PutRecords"), Some(Operation::PutRecords));
        assert!(Operation::ALL.is_sorted());
        for bad in ["PutRecords", "Kinesis_20131202.PutPizza", "DynamoDB_20120810.PutRecords", ""] {
            assert_eq!(Operation::of_target(bad), None, "{bad}");
        }
    }
}
