//! The CBOR 1.1 protocol.
//!
//! It is JSON 1.1 with other bytes: the same members and codes. What differs is what the SDKs for Java do (the class
//! `SdkCborGenerator` of both versions): blobs are byte strings, and a time is tag 1 on whole **milliseconds**, where
//! RFC 8949 has seconds.

mod decode;
mod encode;
mod put;
mod tree;

pub(super) use encode::{pushed_event, reply, value};
pub(super) use put::{put_record, put_records};
pub(super) use tree::{is_map, tree};

#[cfg(test)]
mod tests;
