//! The checkpoint's protobuf messages; `docs/state-format.md` describes the bytes.

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(super) struct CheckpointMessage {
    #[prost(string, tag = "1")]
    pub(super) job: String,
    #[prost(uint64, tag = "2")]
    pub(super) epoch: u64,
    #[prost(uint64, tag = "3")]
    pub(super) taken_at_millis: u64,
    #[prost(message, repeated, tag = "4")]
    pub(super) streams: Vec<StreamMessage>,
    #[prost(message, repeated, tag = "5")]
    pub(super) pending: Vec<CommitHandleMessage>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct StreamMessage {
    #[prost(string, tag = "1")]
    pub(super) arn: String,
    #[prost(uint64, tag = "2")]
    pub(super) created_at_millis: u64,
    #[prost(message, optional, tag = "3")]
    pub(super) start: Option<PositionMessage>,
    #[prost(message, repeated, tag = "4")]
    pub(super) shards: Vec<ShardMessage>,
    #[prost(uint64, tag = "5")]
    pub(super) listed_at_millis: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ShardMessage {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    /// 16 bytes, big-endian.
    #[prost(bytes = "vec", tag = "2")]
    pub(super) starting_hash_key: Vec<u8>,
    /// 16 bytes, big-endian, included in the range.
    #[prost(bytes = "vec", tag = "3")]
    pub(super) ending_hash_key: Vec<u8>,
    #[prost(string, optional, tag = "4")]
    pub(super) parent: Option<String>,
    #[prost(string, optional, tag = "5")]
    pub(super) adjacent_parent: Option<String>,
    #[prost(string, tag = "6")]
    pub(super) starting_sequence_number: String,
    #[prost(string, optional, tag = "7")]
    pub(super) ending_sequence_number: Option<String>,
    #[prost(message, optional, tag = "8")]
    pub(super) start: Option<PositionMessage>,
    #[prost(message, optional, tag = "9")]
    pub(super) progress: Option<ProgressMessage>,
    #[prost(uint64, tag = "10")]
    pub(super) owed_since_millis: u64,
    #[prost(bool, tag = "11")]
    pub(super) skipped: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ProgressMessage {
    #[prost(message, optional, tag = "1")]
    pub(super) position: Option<PositionMessage>,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) user_state: bytes::Bytes,
    #[prost(uint64, optional, tag = "3")]
    pub(super) watermark_millis: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PositionMessage {
    #[prost(string, optional, tag = "1")]
    pub(super) last_sequence_number: Option<String>,
    #[prost(uint64, tag = "2")]
    pub(super) last_sub_sequence_number: u64,
    #[prost(uint64, optional, tag = "3")]
    pub(super) not_before_millis: Option<u64>,
    #[prost(bool, tag = "4")]
    pub(super) ended: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct CommitHandleMessage {
    #[prost(uint64, tag = "1")]
    pub(super) epoch: u64,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) payload: bytes::Bytes,
}
