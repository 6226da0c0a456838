//! What can be wrong inside an aggregate.

use std::fmt;

use kinesis_core::ParseHashKeyError;
use thiserror::Error;

/// One of an aggregate's two tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Table {
    /// The table of partition keys.
    PartitionKeys,
    /// The table of explicit hash keys.
    ExplicitHashKeys,
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PartitionKeys => "partition key",
            Self::ExplicitHashKeys => "explicit hash key",
        })
    }
}

/// A record that looks like an aggregate and is not read as one.
///
/// No member of it is readable: it is all or nothing. A reader should take the Kinesis record as one plain record and
/// count the event, so that nothing is lost; the same input fails again.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The magic bytes are there and the digest is another; with [`DigestRule::Refuse`](crate::DigestRule) alone.
    #[error("not an aggregate: it has the magic bytes and another digest; treat the record as a plain one")]
    DigestMismatch,
    /// The bytes are no protobuf message of this form.
    #[error("corrupt aggregate: malformed protobuf field at byte {offset}; treat the record as a plain one")]
    Malformed {
        /// Where the field begins, from the start of the Kinesis record.
        offset: usize,
    },
    /// A field that the format requires is not there.
    #[error("corrupt aggregate: member {member} has no {field}; treat the record as a plain one")]
    MissingField {
        /// The member, counted from 0.
        member: u64,
        /// The field's name in the format.
        field: &'static str,
    },
    /// A member refers to an entry that its table does not have.
    #[error(
        "corrupt aggregate: member {member} refers to {table} {index} of {entries}; treat the record as a plain one"
    )]
    IndexOutOfRange {
        /// The member, counted from 0.
        member: u64,
        /// The table concerned.
        table: Table,
        /// The index in the member.
        index: u64,
        /// How many entries the table has.
        entries: usize,
    },
    /// A partition key is not UTF-8.
    #[error("corrupt aggregate: partition key {entry} is not UTF-8; treat the record as a plain one")]
    InvalidPartitionKey {
        /// The entry of the table, counted from 0.
        entry: usize,
    },
    /// An explicit hash key is no number of 128 bits.
    #[error("corrupt aggregate: explicit hash key {entry} is not readable; treat the record as a plain one")]
    InvalidExplicitHashKey {
        /// The entry of the table, counted from 0.
        entry: usize,
        /// What is wrong with it; nothing where it is not even UTF-8.
        #[source]
        source: Option<ParseHashKeyError>,
    },
    /// There is no member at all.
    #[error("corrupt aggregate: it has no members; treat the record as a plain one")]
    NoMembers,
    /// There are more members, or more entries of a table, than the decoder was told to accept.
    #[error("aggregate refused: more than {limit} members; raise DecodeOptions::max_members to read it")]
    TooManyMembers {
        /// The limit that was set.
        limit: usize,
    },
}
