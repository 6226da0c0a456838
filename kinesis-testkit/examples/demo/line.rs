//! Lines, their keys, and the envelope that they travel in.

use bytes::{BufMut, Bytes, BytesMut};

/// A line travels behind a run id, its number, and what it is.
pub(crate) const ENVELOPE_BYTES: usize = 8 + 8 + 1;
/// The most characters of a partition key (API reference, PutRecords).
const MAX_KEY_CHARS: usize = 256;
/// The keys of lines that bring none of their own.
const FIXED_KEYS: u64 = 16;

const LINE: u8 = 1;
const PROBE: u8 = 2;

/// What a record of the demo holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// A line of the input.
    Line {
        /// Its number, from 0.
        number: u64,
        /// Its bytes, without the newline.
        text: Bytes,
    },
    /// Sent to every shard that resharding makes, whatever keys the input has.
    Probe,
}

/// Puts content into its envelope.
pub(crate) fn seal(run: u64, content: &Content) -> Bytes {
    let (kind, number, text) = match content {
        Content::Line { number, text } => (LINE, *number, text.as_ref()),
        Content::Probe => (PROBE, 0, &[][..]),
    };
    let mut bytes = BytesMut::with_capacity(ENVELOPE_BYTES + text.len());
    bytes.put_u64(run);
    bytes.put_u64(number);
    bytes.put_u8(kind);
    bytes.put_slice(text);
    bytes.freeze()
}

/// Takes content out of its envelope; nothing where it is not of this run.
pub(crate) fn open(run: u64, data: &Bytes) -> Option<Content> {
    let header = data.get(..ENVELOPE_BYTES)?;
    let of_run = header[..8] == run.to_be_bytes();
    let number = u64::from_be_bytes(header[8..16].try_into().ok()?);
    match header[16] {
        LINE if of_run => Some(Content::Line { number, text: data.slice(ENVELOPE_BYTES..) }),
        PROBE if of_run => Some(Content::Probe),
        _ => None,
    }
}

/// What stands before a line's first blank, if that can be a partition key.
pub(crate) fn own_key(line: &[u8]) -> Option<&str> {
    let end = line.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(line.len());
    let key = std::str::from_utf8(&line[..end]).ok()?;
    (!key.is_empty() && key.chars().count() <= MAX_KEY_CHARS).then_some(key)
}

/// The partition key of a line: its own, or else one of a fixed set.
pub(crate) fn partition_key(line: &[u8], number: u64) -> String {
    own_key(line).map_or_else(|| format!("line-{:02}", number % FIXED_KEYS), str::to_owned)
}

/// What a line takes of a record's size limit: key, envelope and bytes.
pub(crate) fn record_bytes(line: &[u8], number: u64) -> usize {
    partition_key(line, number).len() + ENVELOPE_BYTES + line.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_survives_its_envelope_byte_for_byte() {
        for text in [&b""[..], b"plain", b"crlf\r", b"\xff\xfe not utf-8", b" leading blank"] {
            let content = Content::Line { number: 7, text: Bytes::copy_from_slice(text) };
            assert_eq!(open(3, &seal(3, &content)), Some(content));
        }
    }

    #[test]
    fn records_of_another_run_are_passed_over() {
        assert_eq!(open(4, &seal(3, &Content::Probe)), None);
        assert_eq!(open(4, &Bytes::from_static(b"short")), None);
    }

    #[test]
    fn keys_stand_before_the_first_blank_or_come_from_the_fixed_set() {
        assert_eq!(partition_key(b"081109 203615 INFO", 0), "081109");
        assert_eq!(partition_key(b"[Sun\tDec", 0), "[Sun");
        for odd in [&b" x"[..], b"", b"\xff x", "x".repeat(257).as_bytes()] {
            assert_eq!(partition_key(odd, 18), "line-02");
        }
    }
}
