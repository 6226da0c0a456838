//! The protobuf messages of `messages.proto` (KPL), as prost derives them.

use prost::Message;

/// A tag of a record; the KPL never writes one.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct WireTag {
    #[prost(string, optional, tag = "1")]
    pub(crate) key: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub(crate) value: Option<String>,
}

/// A record of an aggregate: the reference that the hand-written paths are compared with.
#[cfg(test)]
#[derive(Clone, PartialEq, Message)]
pub(crate) struct WireRecord {
    #[prost(uint64, required, tag = "1")]
    pub(crate) partition_key_index: u64,
    #[prost(uint64, optional, tag = "2")]
    pub(crate) explicit_hash_key_index: Option<u64>,
    #[prost(bytes = "vec", required, tag = "3")]
    pub(crate) data: Vec<u8>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) tags: Vec<WireTag>,
}

/// An aggregate: the reference that the hand-written paths are compared with.
#[cfg(test)]
#[derive(Clone, PartialEq, Message)]
pub(crate) struct WireAggregate {
    #[prost(string, repeated, tag = "1")]
    pub(crate) partition_key_table: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub(crate) explicit_hash_key_table: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) records: Vec<WireRecord>,
}
