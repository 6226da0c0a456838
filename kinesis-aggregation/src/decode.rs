//! Reading an aggregate: all of it is checked first, then its members are yielded as slices of the input.

mod check;
mod member;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use bytes::Bytes;
use kinesis_core::{HashKey, HashKeyRange};

use self::check::Checked;
pub use self::member::{Member, MemberCursor, Members};
use crate::error::DecodeError;
use crate::frame::{digest_matches, has_magic, message};

/// What becomes of a record with the magic bytes whose digest does not match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DigestRule {
    /// It is a plain record, as for the KCL.
    #[default]
    Plain,
    /// It is refused with [`DecodeError::DigestMismatch`], for who wants to know of it.
    Refuse,
    /// Digests are not looked at: the magic bytes make an aggregate, and what does not parse is refused.
    ///
    /// Saves most of the time of reading. A plain record that begins with the magic bytes may then be taken for an
    /// aggregate, and a damaged one for whole.
    Skip,
}

/// What becomes of an aggregate with members outside the hash key range of its shard.
///
/// The KPL stores such an aggregate when a shard was split or merged on the way, and then stores its records again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RangeRule {
    /// One member outside drops all of them, as for the KCL: the producer sends all of them again.
    #[default]
    WholeAggregate,
    /// Members outside are dropped, those inside are delivered.
    PerMember,
    /// Everything is delivered, as by readers that do not know the shard.
    Deliver,
}

/// What a decoder accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeOptions {
    max_members: usize,
    digest: DigestRule,
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self { max_members: 200_000, digest: DigestRule::Plain }
    }
}

impl DecodeOptions {
    /// Limits the members of an aggregate, and the entries of its tables; 200,000 by default.
    ///
    /// A record of 1 MiB cannot hold more than 174,762 members, one of 10 MiB ten times as many. The limit bounds the
    /// memory beside the input: a table entry takes up to 64 bytes.
    pub fn max_members(mut self, limit: usize) -> Self {
        self.max_members = limit;
        self
    }

    /// Sets what a digest that does not match means; [`DigestRule::Plain`] by default.
    pub fn digest(mut self, rule: DigestRule) -> Self {
        self.digest = rule;
        self
    }

    /// Reads a Kinesis record's data, as [`decode`] does.
    ///
    /// # Errors
    /// As [`decode`], and [`DecodeError::DigestMismatch`] with [`DigestRule::Refuse`].
    pub fn decode(&self, data: &Bytes) -> Result<Option<Aggregate>, DecodeError> {
        if !has_magic(data) {
            return Ok(None);
        }
        match self.digest {
            DigestRule::Plain if !digest_matches(data) => return Ok(None),
            DigestRule::Refuse if !digest_matches(data) => return Err(DecodeError::DigestMismatch),
            DigestRule::Plain | DigestRule::Refuse | DigestRule::Skip => {}
        }
        let message = message(data);
        let checked = Checked::read(&message, self.max_members)?;
        Ok(Some(Aggregate { message, checked, hash_keys: OnceLock::new() }))
    }
}

/// Reads a Kinesis record's data: an aggregate, or nothing where it is a plain record.
///
/// Plain is what fails [`has_magic`] or [`digest_matches`]. Everything else is checked whole before a member is
/// yielded: either all members are readable, or none. Memory beside the input: two words per table entry, and two more
/// once hash keys are asked for. No length that the input claims is ever allocated.
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

    /// The members from a place on, in wire order, without a look at those before it.
    ///
    /// # Panics
    /// The iterator may, where the cursor is of another aggregate.
    pub fn members_from(&self, cursor: MemberCursor) -> Members<'_> {
        Members::resume(self, cursor)
    }

    /// Whether every member belongs to a shard of that hash key range.
    ///
    /// The third of the KCL's rules: it drops an aggregate whole where this does not hold, since the KPL writes such
    /// an aggregate again (`AggregatorUtil`).
    pub fn is_within(&self, range: &HashKeyRange) -> bool {
        self.members().all(|member| range.contains(member.hash_key()))
    }

    /// The members to deliver of an aggregate that was read from a shard of that range, in wire order.
    ///
    /// Dropped members keep their place: [`Member::index`] counts them.
    pub fn members_within(&self, range: HashKeyRange, rule: RangeRule) -> impl Iterator<Item = Member<'_>> {
        let members = match rule {
            RangeRule::WholeAggregate if !self.is_within(&range) => None,
            RangeRule::WholeAggregate | RangeRule::PerMember | RangeRule::Deliver => Some(self.members()),
        };
        let is_judged = rule == RangeRule::PerMember;
        members.into_iter().flatten().filter(move |member| !is_judged || member.is_within(&range))
    }

    fn partition_key(&self, entry: usize) -> &str {
        let bytes = &self.message[self.checked.partition_keys[entry].range()];
        std::str::from_utf8(bytes).expect("invariant: Checked::read accepts UTF-8 keys only")
    }

    #[inline]
    fn partition_key_bytes(&self, entry: usize) -> Bytes {
        self.message.slice(self.checked.partition_keys[entry].range())
    }

    fn hash_of_partition_key(&self, entry: usize) -> HashKey {
        let entries = self.checked.partition_keys.len();
        let cache = self.hash_keys.get_or_init(|| std::iter::repeat_with(OnceLock::new).take(entries).collect());
        *cache[entry].get_or_init(|| HashKey::of_partition_key(self.partition_key(entry)))
    }
}
