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

    /// Goes on at an offset that such a walk stood at.
    pub(super) fn from_offset(message: &'a [u8], offset: usize) -> Self {
        Self { rest: message.get(offset..).unwrap_or_default(), len: message.len() }
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
        Self::read_as_written(record).map_or_else(|| Self::read_any(record), Ok)
    }

    /// Reads the layout that every known producer writes: each field once, in order, without tags.
    #[inline]
    fn read_as_written(record: &[u8]) -> Option<Self> {
        let (partition_key, mut rest) = short_varint(record.strip_prefix(&[0x08])?)?;
        let mut explicit_hash_key = None;
        if let Some(behind) = rest.strip_prefix(&[0x10]) {
            let (index, behind) = short_varint(behind)?;
            (explicit_hash_key, rest) = (Some(index), behind);
        }
        let (len, data) = short_varint(rest.strip_prefix(&[0x1a])?)?;
        let data = (data.len() as u64 == len).then_some((record.len() - data.len(), record.len()))?;
        Some(Self { partition_key: Some(partition_key), explicit_hash_key, data: Some(data), has_tags: false })
    }

    fn read_any(record: &[u8]) -> Result<Self, Malformed> {
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

/// A varint of at most two bytes, and what is behind it.
#[inline]
fn short_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    match bytes {
        [low @ 0..0x80, rest @ ..] => Some((u64::from(*low), rest)),
        [low, high @ 0..0x80, rest @ ..] => Some((u64::from(low & 0x7f) | u64::from(*high) << 7, rest)),
        _ => None,
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
        checked.fill(message, limit)?;
        Ok(checked)
    }

    fn fill(&mut self, message: &[u8], limit: usize) -> Result<(), DecodeError> {
        let (mut keys, mut explicit) = (Highest::default(), Highest::default());
        let mut fields = Fields::new(message);
        loop {
            let offset = MAGIC.len() + fields.offset();
            match fields.next(aggregate_field) {
                Err(Malformed) => return Err(DecodeError::Malformed { offset }),
                Ok(None) => break,
                Ok(Some(Field::Bytes { number, value, start })) => match number {
                    PARTITION_KEY_TABLE => self.add_partition_key(value, start)?,
                    EXPLICIT_HASH_KEY_TABLE => self.add_explicit_hash_key(value)?,
                    _ => self.add_record(value, offset, &mut keys, &mut explicit)?,
                },
                Ok(Some(Field::Varint { .. })) => {}
            }
            if self.partition_keys.len().max(self.explicit_hash_keys.len()).max(self.members) > limit {
                return Err(DecodeError::TooManyMembers { limit });
            }
        }
        keys.check(Table::PartitionKeys, self.partition_keys.len())?;
        explicit.check(Table::ExplicitHashKeys, self.explicit_hash_keys.len())?;
        if self.members == 0 {
            return Err(DecodeError::NoMembers);
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use kinesis_core::{RandomStream, Randomness};
    use prost::encoding::encode_varint;

    use super::*;

    /// What the check keeps after that message, read to the end or to where it is refused.
    fn fill(message: &[u8], limit: usize) -> (Checked, Result<(), DecodeError>) {
        let mut checked = Checked::default();
        let result = checked.fill(message, limit);
        (checked, result)
    }

    fn assert_bounded(checked: &Checked, message: &[u8], limit: usize, what: &str) {
        let (keys, explicit) = (&checked.partition_keys, &checked.explicit_hash_keys);
        // A vector that is pushed to has at least four places and at most twice of what it holds.
        for (len, capacity) in [(keys.len(), keys.capacity()), (explicit.len(), explicit.capacity())] {
            assert!(capacity <= 4.max(2 * len), "{what}: {capacity} places for {len} entries");
            assert!(len <= limit + 1 && 2 * len <= message.len(), "{what}: {len} entries of {} bytes", message.len());
        }
    }

    #[test]
    fn a_length_that_the_input_claims_is_never_allocated() {
        for field in [0x0a, 0x12, 0x1a] {
            for shift in 0..64 {
                let mut message = vec![0x0a, 0x01, b'k', field];
                encode_varint(1 << shift, &mut message);
                let (checked, result) = fill(&message, 1000);
                assert_eq!(result, Err(DecodeError::Malformed { offset: MAGIC.len() + 3 }), "2^{shift}");
                assert_bounded(&checked, &message, 1000, &format!("2^{shift}"));
            }
        }
    }

    #[test]
    fn what_is_kept_is_bounded_by_the_input_and_by_the_limit() {
        for seed in 0..2000 {
            let mut random = Randomness::from_seed(seed).stream("message");
            // The last one is corrupt, and has a part in the short messages only.
            let pieces: [&[u8]; 5] =
                [b"\x0a\x00", b"\x0a\x01k", b"\x12\x017", b"\x1a\x05\x08\x00\x1a\x01x", b"\x1a\x7f"];
            let (bound, kinds) = [(3, 5), (50, 5), (3000, 4)][random.below(3) as usize];
            let message: Vec<_> =
                (0..random.below(bound)).flat_map(|_| pieces[random.below(kinds) as usize]).copied().collect();
            for limit in [10, 5000] {
                let (checked, _) = fill(&message, limit);
                assert_bounded(&checked, &message, limit, &format!("seed {seed}, limit {limit}"));
            }
        }
    }

    /// A number of up to that many bits, all lengths alike.
    fn number(random: &mut RandomStream, bits: u64) -> u64 {
        let bits = random.below(bits + 1);
        random.below(1 << bits)
    }

    #[test]
    fn records_in_the_usual_layout_read_as_by_the_general_way() {
        let mut usual = 0;
        for seed in 0..5000 {
            let mut random = Randomness::from_seed(seed).stream("record");
            let mut record = vec![0x08];
            encode_varint(number(&mut random, 20), &mut record);
            if random.below(2) == 0 {
                record.push(0x10);
                encode_varint(number(&mut random, 20), &mut record);
            }
            let len = number(&mut random, 15);
            record.push(0x1a);
            encode_varint(len, &mut record);
            record.extend(vec![b'x'; len as usize]);
            let general = RawRecord::read_any(&record).unwrap();
            assert_eq!(RawRecord::read(&record).unwrap(), general, "seed {seed}");
            usual += usize::from(RawRecord::read_as_written(&record).is_some_and(|raw| raw == general));
            record.push(0);
            assert!(RawRecord::read_as_written(&record).is_none(), "seed {seed}: what is behind the data is looked at");
        }
        assert!(usual > 2000, "{usual}");
    }
}
