//! The operations that are implemented.

use std::fmt;

macro_rules! operations {
    ($($name:ident),+ $(,)?) => {
        /// An operation of the Kinesis API that the fake implements.
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
    CreateStream,
    DecreaseStreamRetentionPeriod,
    DeleteStream,
    DescribeStream,
    DescribeStreamSummary,
    GetRecords,
    GetShardIterator,
    IncreaseStreamRetentionPeriod,
    ListShards,
    ListStreams,
    MergeShards,
    PutRecord,
    PutRecords,
    SplitShard,
    UpdateMaxRecordSize,
}

/// What stands before an operation's name in `X-Amz-Target`.
pub(crate) const TARGET_PREFIX: &str = "Kinesis_20131202.";

impl Operation {
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
        for bad in ["PutRecords", "Kinesis_20131202.PutPizza", "DynamoDB_20120810.PutRecords", ""] {
            assert_eq!(Operation::of_target(bad), None, "{bad}");
        }
    }
}
