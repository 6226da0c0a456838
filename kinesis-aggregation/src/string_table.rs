//! A table of distinct strings in first-seen order, kept in its encoded form.

use std::hash::{BuildHasher, RandomState};

use prost::encoding::{encode_varint, encoded_len_varint};

const EMPTY: u32 = u32::MAX;
const INITIAL_SLOTS: usize = 64;

/// Where a string stands in the encoded table.
#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u64,
    start: usize,
    end: usize,
}

/// Where a string stands, or would stand, in a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probe {
    hash: u64,
    slot: usize,
    /// The index that the string has, or will have.
    pub(crate) index: u64,
    /// What the string adds to the encoded size; nothing where the table has it.
    pub(crate) added_bytes: usize,
}

/// Distinct strings, written as the entries of one repeated protobuf field as they arrive.
///
/// The strings are looked up in the encoded bytes themselves, so that a string is kept once and never allocated alone.
#[derive(Clone, Debug)]
pub(crate) struct StringTable {
    /// The field's key byte.
    key: u8,
    encoded: Vec<u8>,
    entries: Vec<Entry>,
    /// Open addressing over a power of two of slots, at most half full.
    slots: Vec<u32>,
    hasher: RandomState,
}

impl StringTable {
    /// Makes the table of the repeated field `number`.
    pub(crate) fn new(number: u8) -> Self {
        const LENGTH_DELIMITED: u8 = 2;
        Self {
            key: number << 3 | LENGTH_DELIMITED,
            encoded: Vec::new(),
            entries: Vec::new(),
            slots: vec![EMPTY; INITIAL_SLOTS],
            hasher: RandomState::new(),
        }
    }

    /// The table as it goes on the wire.
    pub(crate) fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    /// Looks `text` up; good for [`insert`](Self::insert) until the table changes.
    pub(crate) fn probe(&self, text: &str) -> Probe {
        let hash = self.hasher.hash_one(text);
        let slot = self.slot_of(text, hash);
        match self.slots[slot] {
            EMPTY => {
                let added_bytes = 1 + encoded_len_varint(text.len() as u64) + text.len();
                Probe { hash, slot, index: self.entries.len() as u64, added_bytes }
            }
            index => Probe { hash, slot, index: u64::from(index), added_bytes: 0 },
        }
    }

    /// Appends `text` where the probe of it did not find it.
    pub(crate) fn insert(&mut self, text: &str, probe: Probe) {
        if probe.added_bytes == 0 {
            return;
        }
        self.encoded.push(self.key);
        encode_varint(text.len() as u64, &mut self.encoded);
        let start = self.encoded.len();
        self.encoded.extend_from_slice(text.as_bytes());
        self.slots[probe.slot] = self.entries.len() as u32;
        self.entries.push(Entry { hash: probe.hash, start, end: self.encoded.len() });
        if self.entries.len() * 2 > self.slots.len() {
            self.grow();
        }
    }

    /// Empties the table and keeps its memory.
    pub(crate) fn clear(&mut self) {
        self.encoded.clear();
        self.entries.clear();
        self.slots.fill(EMPTY);
    }

    /// The slot that holds `text`, or the free one where it belongs.
    fn slot_of(&self, text: &str, hash: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let index = self.slots[slot];
            if index == EMPTY {
                return slot;
            }
            let entry = &self.entries[index as usize];
            if entry.hash == hash && self.encoded[entry.start..entry.end] == *text.as_bytes() {
                return slot;
            }
            slot = (slot + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let mask = self.slots.len() * 2 - 1;
        self.slots.clear();
        self.slots.resize(mask + 1, EMPTY);
        for (index, entry) in self.entries.iter().enumerate() {
            let mut slot = entry.hash as usize & mask;
            while self.slots[slot] != EMPTY {
                slot = (slot + 1) & mask;
            }
            self.slots[slot] = index as u32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_keep_the_index_of_their_first_arrival() {
        let mut table = StringTable::new(1);
        let keys: Vec<_> = (0..1000).map(|index| format!("key-{}", index * 7919)).collect();
        for round in 0..2 {
            for (index, key) in keys.iter().enumerate() {
                let probe = table.probe(key);
                assert_eq!(probe.index, index as u64);
                let before = table.encoded().len();
                table.insert(key, probe);
                assert_eq!(table.encoded().len(), before + probe.added_bytes);
                assert_eq!(probe.added_bytes == 0, round == 1, "only a new string adds to the size");
            }
        }
    }

    #[test]
    fn a_cleared_table_is_as_new() {
        let mut table = StringTable::new(2);
        table.insert("123", table.probe("123"));
        assert_eq!(table.encoded(), b"\x12\x03123");
        table.clear();
        let probe = table.probe("123");
        assert_eq!((table.encoded(), probe.index, probe.added_bytes), (&b""[..], 0, 5));
    }
}
