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
//! The KCL's three rules are three functions: [`has_magic`], [`digest_matches`], and
//! [`Aggregate::is_within`] for the hash key range of the shard that an aggregate was read from.
//!
//! The format is ambiguous by design: a plain record that happens to begin with the magic bytes and to end with the
//! digest of what stands between them is read as an aggregate, here as everywhere.

mod decode;
mod encode;
mod error;
mod frame;
mod string_table;
mod wire;

pub use decode::{Aggregate, DecodeOptions, Member, Members, Tag, decode};
pub use encode::{AGGREGATE_PARTITION_KEY, AggregateBuilder};
pub use error::{DecodeError, Table};
pub use frame::{FRAME_OVERHEAD_BYTES, MAGIC, digest_matches, has_magic};
