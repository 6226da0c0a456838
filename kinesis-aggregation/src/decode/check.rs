//! The check of a whole aggregate, and what it keeps.

use std::ops::Range;

use kinesis_core::HashKey;
use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use crate::error::{DecodeError, Table};
use crate::frame::MAGIC;
use crate::wire::WireTag;

/// A field that cannot be read as the format has it.
#[derive(Debug)]
pub(super) struct Malformed;

impl From<prost::DecodeError> for Malformed {
    fn from(_: prost::DecodeError) -> Self {
        Self
    }
}

/// A stretch of the message, in half the memory of a `Range`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    pub(super) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// A message's fields, one after another.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    /// The length of the message: offsets are found from what is left.
    len: usize,
}

/// A field of the format; others are skipped.
#[derive(Debug)]
pub(super) enum Field<'a> {
    Varint { number: u32, value: u64 },
    Bytes { number: u32, value: &'a [u8], start: usize },
}

impl<'a> Fields<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self { rest: message, len: message.len() }
    }

    pub(super) fn offset(&self) -> usize {
        self.len - self.rest.len()
    }

    /// The next field that `kind` knows; nothing at the end.
    #[inline]
    pub(super) fn next(&mut self, kind: fn(u32) -> Option<WireType>) -> Result<Option<Field<'a>>, Malformed> {
        while !self.rest.is_empty() {
            let (number, wire_type) = self.next_key()?;
            match kind(number) {
                None => skip_field(wire_type, number, &mut self.rest, DecodeContext::default())?,
                Some(expected) if expected != wire_type => return Err(Malformed),
                Some(WireType::Varint) => {
                    let value = decode_varint(&mut self.rest)?;
                    return Ok(Some(Field::Varint { number, value }));
                }
                Some(_) => return self.next_bytes(number).map(Some),
            }
        }
        Ok(None)
    }

    /// The key of a field; those of the format take one byte, and are worth a way of their own.
    #[inline]
    fn next_key(&mut self) -> Result<(u32, WireType), Malformed> {
        if let [key @ 0x08..0x80, rest @ ..] = self.rest {
            let wire_type = match key & 7 {
                0 => WireType::Varint,
                2 => WireType::LengthDelimited,
                _ => return Ok(decode_key(&mut self.rest)?),
            };
            self.rest = rest;
            return Ok((u32::from(key >> 3), wire_type));
        }
        Ok(decode_key(&mut self.rest)?)
    }

    #[inline]
    fn next_bytes(&mut self, number: u32) -> Result<Field<'a>, Malformed> {
        let len = usize::try_from(decode_varint(&mut self.rest)?).map_err(|_| Malformed)?;
        let start = self.offset();
        let (value, rest) = self.rest.split_at_checked(len).ok_or(Malformed)?;
        self.rest = rest;
        Ok(Field::Bytes { number, value, start })
    }
}

pub(super) const PARTITION_KEY_TABLE: u32 = 1;
pub(super) const EXPLICIT_HASH_KEY_TABLE: u32 = 2;
pub(super) const RECORDS: u32 = 3;

/// The fields of the message `AggregatedRecord`.
pub(super) fn aggregate_field(number: u32) -> Option<WireType> {
    matches!(number, PARTITION_KEY_TABLE | EXPLICIT_HASH_KEY_TABLE | RECORDS).then_some(WireType::LengthDelimited)
}

pub(super) const TAGS: u32 = 4;

/// The fields of the message `Record`.
pub(super) fn record_field(number: u32) -> Option<WireType> {
    match number {
        1 | 2 => Some(WireType::Varint),
        3 | TAGS => Some(WireType::LengthDelimited),
        _ => None,
    }
}

/// The fields of one record; where a field is repeated, the last one counts, as protobuf has it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RawRecord {
    pub(super) partition_key: Option<u64>,
    pub(super) explicit_hash_key: Option<u64>,
    /// The data's place, from the start of the record.
    pub(super) data: Option<(usize, usize)>,
    pub(super) has_tags: bool,
}

impl RawRecord {
    #[inline]
    pub(super) fn read(record: &[u8]) -> Result<Self, Malformed> {
        let mut raw = Self::default();
        let mut fields = Fields::new(record);
        while let Some(field) = fields.next(record_field)? {
            match field {
                Field::Varint { number: 1, value } => raw.partition_key = Some(value),
                Field::Varint { value, .. } => raw.explicit_hash_key = Some(value),
                Field::Bytes { number: TAGS, .. } => raw.has_tags = true,
                Field::Bytes { value, start, .. } => raw.data = Some((start, start + value.len())),
            }
        }
        Ok(raw)
    }
}

/// A use of a table entry, the highest so far.
#[derive(Clone, Copy, Debug, Default)]
struct Highest {
    used: Option<(u64, u64)>,
}

impl Highest {
    fn see(&mut self, index: u64, member: u64) {
        if self.used.is_none_or(|(highest, _)| index > highest) {
            self.used = Some((index, member));
        }
    }

    fn check(self, table: Table, entries: usize) -> Result<(), DecodeError> {
        match self.used {
            Some((index, member)) if index >= entries as u64 => {
                Err(DecodeError::IndexOutOfRange { member, table, index, entries })
            }
            _ => Ok(()),
        }
    }
}

/// What the check keeps: the tables, and how many members there are.
#[derive(Debug, Default)]
pub(super) struct Checked {
    pub(super) partition_keys: Vec<Span>,
    pub(super) explicit_hash_keys: Vec<HashKey>,
    pub(super) members: usize,
}

impl Checked {
    /// Checks everything: after this, members can be read without an error.
    pub(super) fn read(message: &[u8], limit: usize) -> Result<Self, DecodeError> {
        let mut checked = Self::default();
        let (mut keys, mut explicit) = (Highest::default(), Highest::default());
        let mut fields = Fields::new(message);
        loop {
            let offset = MAGIC.len() + fields.offset();
            match fields.next(aggregate_field) {
                Err(Malformed) => return Err(DecodeError::Malformed { offset }),
                Ok(None) => break,
                Ok(Some(Field::Bytes { number, value, start })) => match number {
                    PARTITION_KEY_TABLE => checked.add_partition_key(value, start)?,
                    EXPLICIT_HASH_KEY_TABLE => checked.add_explicit_hash_key(value)?,
                    _ => checked.add_record(value, offset, &mut keys, &mut explicit)?,
                },
                Ok(Some(Field::Varint { .. })) => {}
            }
            if checked.partition_keys.len().max(checked.explicit_hash_keys.len()).max(checked.members) > limit {
                return Err(DecodeError::TooManyMembers { limit });
            }
        }
        keys.check(Table::PartitionKeys, checked.partition_keys.len())?;
        explicit.check(Table::ExplicitHashKeys, checked.explicit_hash_keys.len())?;
        if checked.members == 0 {
            return Err(DecodeError::NoMembers);
        }
        Ok(checked)
    }

    fn add_partition_key(&mut self, value: &[u8], start: usize) -> Result<(), DecodeError> {
        let entry = self.partition_keys.len();
        let span = (u32::try_from(start), u32::try_from(start + value.len()));
        match (std::str::from_utf8(value), span) {
            (Ok(_), (Ok(start), Ok(end))) => self.partition_keys.push(Span { start, end }),
            _ => return Err(DecodeError::InvalidPartitionKey { entry }),
        }
        Ok(())
    }

    fn add_explicit_hash_key(&mut self, value: &[u8]) -> Result<(), DecodeError> {
        let invalid = |source| DecodeError::InvalidExplicitHashKey { entry: self.explicit_hash_keys.len(), source };
        let text = std::str::from_utf8(value).map_err(|_| invalid(None))?;
        let key = text.parse().map_err(|error| invalid(Some(error)))?;
        self.explicit_hash_keys.push(key);
        Ok(())
    }

    fn add_record(
        &mut self,
        record: &[u8],
        offset: usize,
        keys: &mut Highest,
        explicit: &mut Highest,
    ) -> Result<(), DecodeError> {
        let member = self.members as u64;
        let Ok(raw) = RawRecord::read(record) else {
            return Err(DecodeError::Malformed { offset });
        };
        let missing = |field| DecodeError::MissingField { member, field };
        keys.see(raw.partition_key.ok_or_else(|| missing("partition_key_index"))?, member);
        if let Some(index) = raw.explicit_hash_key {
            explicit.see(index, member);
        }
        raw.data.ok_or_else(|| missing("data"))?;
        if raw.has_tags {
            check_tags(record, &DecodeError::Malformed { offset }, &missing("tag key"))?;
        }
        self.members += 1;
        Ok(())
    }
}

fn check_tags(record: &[u8], malformed: &DecodeError, missing: &DecodeError) -> Result<(), DecodeError> {
    let mut fields = Fields::new(record);
    while let Some(field) = fields.next(record_field).map_err(|Malformed| malformed.clone())? {
        if let Field::Bytes { number: TAGS, value, .. } = field {
            let tag = WireTag::decode(value).map_err(|_| malformed.clone())?;
            tag.key.ok_or_else(|| missing.clone())?;
        }
    }
    Ok(())
}
