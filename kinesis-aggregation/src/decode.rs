//! Reading an aggregate: all of it is checked first, then its members are yielded as slices of the input.

mod check;
mod member;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use bytes::Bytes;
use kinesis_core::{HashKey, HashKeyRange};

use self::check::Checked;
pub use self::member::{Member, Members, Tag};
use crate::error::DecodeError;
use crate::frame::message;

/// What a decoder accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeOptions {
    max_members: usize,
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self { max_members: 200_000 }
    }
}

impl DecodeOptions {
    /// Limits the members of an aggregate, and the entries of its tables; 200,000 by default.
    ///
    /// A record of 1 MiB cannot hold more than 174,762 members, one of 10 MiB ten times as many.
    pub fn max_members(mut self, limit: usize) -> Self {
        self.max_members = limit;
        self
    }

    /// Reads a Kinesis record's data, as [`decode`] does.
    ///
    /// # Errors
    /// As [`decode`].
    pub fn decode(&self, data: &Bytes) -> Result<Option<Aggregate>, DecodeError> {
        let Some(message) = message(data) else {
            return Ok(None);
        };
        let checked = Checked::read(&message, self.max_members)?;
        Ok(Some(Aggregate { message, checked, hash_keys: OnceLock::new() }))
    }
}

/// Reads a Kinesis record's data: an aggregate, or nothing where it is a plain record.
///
/// Plain is what fails [`has_magic`](crate::has_magic) or [`digest_matches`](crate::digest_matches). Everything else is
/// checked whole before a member is yielded. Memory beside the input: two words per table entry.
///
/// # Errors
/// [`DecodeError`] where the digest matches and the content is corrupt, or where there are more members than
/// [`DecodeOptions::max_members`]; the same input fails again.
pub fn decode(data: &Bytes) -> Result<Option<Aggregate>, DecodeError> {
    DecodeOptions::default().decode(data)
}

/// An aggregate that was found valid.
///
/// It shares the memory of the record that it was decoded from.
#[derive(Debug)]
pub struct Aggregate {
    /// The protobuf message, without the frame.
    message: Bytes,
    checked: Checked,
    /// The MD5 of each partition key that was asked for.
    hash_keys: OnceLock<Box<[OnceLock<HashKey>]>>,
}

impl Aggregate {
    /// How many members there are; at least one.
    #[expect(clippy::len_without_is_empty, reason = "an aggregate without members is refused")]
    pub fn len(&self) -> usize {
        self.checked.members
    }

    /// The members in wire order.
    pub fn members(&self) -> Members<'_> {
        Members::new(self)
    }

    /// Whether every member belongs to a shard of that hash key range.
    ///
    /// The third of the KCL's rules: it drops an aggregate whole where this does not hold, since the KPL writes such
    /// an aggregate again (`AggregatorUtil`).
    pub fn is_within(&self, range: &HashKeyRange) -> bool {
        self.members().all(|member| range.contains(member.hash_key()))
    }

    fn partition_key(&self, entry: usize) -> &str {
        let bytes = &self.message[self.checked.partition_keys[entry].range()];
        std::str::from_utf8(bytes).expect("invariant: Checked::read accepts UTF-8 keys only")
    }

    fn partition_key_bytes(&self, entry: usize) -> Bytes {
        self.message.slice(self.checked.partition_keys[entry].range())
    }

    fn hash_of_partition_key(&self, entry: usize) -> HashKey {
        let entries = self.checked.partition_keys.len();
        let cache = self.hash_keys.get_or_init(|| std::iter::repeat_with(OnceLock::new).take(entries).collect());
        *cache[entry].get_or_init(|| HashKey::of_partition_key(self.partition_key(entry)))
    }
}
