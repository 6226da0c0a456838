//! The members of an aggregate, read one by one.

use bytes::Bytes;
use kinesis_core::{HashKey, HashKeyRange};
use prost::Message;

use super::Aggregate;
use super::check::{Field, Fields, RECORDS, RawRecord, TAGS, aggregate_field, record_field};
use crate::tag::Tag;
use crate::wire::WireTag;

/// The members of an aggregate, in wire order.
#[derive(Clone, Debug)]
pub struct Members<'a> {
    aggregate: &'a Aggregate,
    fields: Fields<'a>,
    next_index: usize,
}

impl<'a> Members<'a> {
    pub(super) fn new(aggregate: &'a Aggregate) -> Self {
        Self { aggregate, fields: Fields::new(&aggregate.message), next_index: 0 }
    }
}

/// A place between two members of an aggregate, to go on from later without walking the ones before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemberCursor {
    offset: usize,
    index: usize,
}

impl MemberCursor {
    /// The place of the next member in wire order, from 0.
    pub const fn index(&self) -> u64 {
        self.index as u64
    }
}

impl<'a> Members<'a> {
    /// Goes on where another iterator of the same aggregate stood.
    pub(super) fn resume(aggregate: &'a Aggregate, cursor: MemberCursor) -> Self {
        let fields = Fields::from_offset(&aggregate.message, cursor.offset);
        Self { aggregate, fields, next_index: cursor.index }
    }

    /// The place in front of the next member.
    pub fn cursor(&self) -> MemberCursor {
        MemberCursor { offset: self.fields.offset(), index: self.next_index }
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    #[inline]
    fn next(&mut self) -> Option<Member<'a>> {
        loop {
            let field = self.fields.next(aggregate_field);
            let Field::Bytes { number, value, start } =
                field.expect("invariant: Checked::read walked the same fields")?
            else {
                continue;
            };
            if number != RECORDS {
                continue;
            }
            let raw = RawRecord::read(value).expect("invariant: Checked::read read the same record");
            let index = self.next_index as u64;
            self.next_index += 1;
            return Some(Member { aggregate: self.aggregate, index, record: value, start, raw });
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.aggregate.len() - self.next_index;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Members<'_> {}

/// A user record inside an aggregate.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    aggregate: &'a Aggregate,
    index: u64,
    record: &'a [u8],
    /// Where the record begins in the message.
    start: usize,
    raw: RawRecord,
}

impl<'a> Member<'a> {
    /// The place in wire order, from 0: the sub-sequence number.
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// The partition key that the user gave.
    pub fn partition_key(&self) -> &'a str {
        self.aggregate.partition_key(self.key_entry())
    }

    /// The partition key as a slice of the input; UTF-8.
    #[inline]
    pub fn partition_key_bytes(&self) -> Bytes {
        self.aggregate.partition_key_bytes(self.key_entry())
    }

    /// The explicit hash key, where one was given.
    pub fn explicit_hash_key(&self) -> Option<HashKey> {
        let entry = self.raw.explicit_hash_key?;
        Some(self.aggregate.checked.explicit_hash_keys[entry as usize])
    }

    /// The hash key that counts: the explicit one, else the partition key's.
    ///
    /// The MD5 of a partition key is computed once per table entry.
    pub fn hash_key(&self) -> HashKey {
        self.explicit_hash_key().unwrap_or_else(|| self.aggregate.hash_of_partition_key(self.key_entry()))
    }

    /// Whether the member belongs to a shard of that hash key range.
    pub fn is_within(&self, range: &HashKeyRange) -> bool {
        range.contains(self.hash_key())
    }

    /// The data, as a slice of the input.
    #[inline]
    pub fn data(&self) -> Bytes {
        let (start, end) = self.data_range();
        self.aggregate.message.slice(self.start + start..self.start + end)
    }

    /// The data, borrowed.
    #[inline]
    pub fn data_bytes(&self) -> &'a [u8] {
        let (start, end) = self.data_range();
        &self.record[start..end]
    }

    /// The tags in wire order; the KPL writes none.
    pub fn tags(&self) -> Vec<Tag> {
        let mut tags = Vec::new();
        let mut fields = Fields::new(self.record);
        while let Ok(Some(field)) = fields.next(record_field) {
            if let Field::Bytes { number: TAGS, value, .. } = field {
                let tag = WireTag::decode(value).expect("invariant: Checked::read decoded the same tag");
                tags.push(Tag { key: tag.key.unwrap_or_default(), value: tag.value });
            }
        }
        tags
    }

    #[inline]
    fn key_entry(&self) -> usize {
        self.raw.partition_key.expect("invariant: Checked::read requires the index") as usize
    }

    #[inline]
    fn data_range(&self) -> (usize, usize) {
        self.raw.data.expect("invariant: Checked::read requires the data")
    }
}
