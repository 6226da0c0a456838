//! The aggregated record format of the Kinesis Producer Library (KPL), byte-compatible.
//!
//! What it is: an encoder that knows the exact size before it adds a record, and a decoder that checks the whole
//! aggregate and then yields its members lazily, as slices of the input. What it is not: a client. There is no async
//! code and no AWS SDK below this crate; a Lambda function that only unpacks needs nothing else.
//!
//! Layout of an aggregate: the magic bytes `F3 89 9A C2`, a protobuf message (a table of partition keys, a table of
//! explicit hash keys, the records with indices into both), and the MD5 of that message
//! (`aggregation-format.md` of the KPL).
//!
//! ```
//! use bytes::Bytes;
//! use kinesis_aggregation::{AggregateBuilder, decode};
//!
//! let mut builder = AggregateBuilder::new();
//! builder.add("customer-7", None, b"ordered");
//! builder.add("customer-7", None, b"paid");
//! let size = builder.size_bytes();
//! let record: Bytes = builder.finish();
//! assert_eq!(record.len(), size);
//!
//! let aggregate = decode(&record)?.expect("it has the magic bytes and a digest that matches");
//! let texts: Vec<_> = aggregate.members().map(|member| member.data()).collect();
//! assert_eq!(texts, ["ordered", "paid"]);
//!
//! assert!(decode(&Bytes::from_static(b"a plain record"))?.is_none());
//! # Ok::<(), kinesis_aggregation::DecodeError>(())
//! ```
//!
//! # Reading by the KCL's three rules
//!
//! | rule | question | choice |
//! | --- | --- | --- |
//! | magic bytes | [`has_magic`] | none: without them a record is plain |
//! | digest | [`digest_matches`] | [`DigestRule`]: a mismatch makes a record plain, is refused, or is not looked at |
//! | hash key range of the shard | [`Aggregate::is_within`], [`Member::is_within`] | [`RangeRule`]: for the whole aggregate, per member, or not at all |
//!
//! A record that merely looks like an aggregate is a plain record: `Ok(None)` where the magic bytes or the digest say
//! so, [`DecodeError`] where both are right and the content is not. Nothing is ever read of such a record in part; who
//! delivers it as it is loses nothing. Plain records are not judged by the range.
//!
//! The format is ambiguous by design: a plain record that happens to begin with the magic bytes and to end with the
//! digest of what stands between them is read as an aggregate, here as everywhere.
//!
//! # Writing
//!
//! [`AggregateBuilder`] makes one aggregate of whatever it is given. [`RangeAggregator`] is for a function or a script
//! that puts records itself: it keeps the shards apart, checks each record, and hands back complete Kinesis records.
//! The producer of kinesis-producer does the same with deadlines, retries and a shard map of its own.
//!
//! [`conformance`] lists what the references' own tests say of the format, and the test here.

#[doc = include_str!("../docs/conformance.md")]
pub mod conformance {}

mod decode;
mod encode;
mod error;
mod frame;
mod range_aggregator;
mod string_table;
mod tag;
mod user_record;
mod wire;

pub use decode::{Aggregate, DecodeOptions, DigestRule, Member, MemberCursor, Members, RangeRule, decode};
pub use encode::{AGGREGATE_PARTITION_KEY, AggregateBuilder, AggregateFull};
pub use error::{DecodeError, Table};
pub use frame::{FRAME_OVERHEAD_BYTES, MAGIC, digest_matches, has_magic};
pub use range_aggregator::{KinesisRecord, PackingLimits, RangeAggregator, RangesError, RecordError};
pub use tag::Tag;
pub use user_record::UserRecord;
