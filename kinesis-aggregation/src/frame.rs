//! The frame around the protobuf message: magic bytes before it, its MD5 after it.

use bytes::Bytes;
use md5::{Digest, Md5};

/// The bytes that every aggregate begins with.
pub const MAGIC: [u8; 4] = [0xF3, 0x89, 0x9A, 0xC2];

const DIGEST_BYTES: usize = 16;

/// What the frame adds to the message: magic bytes and digest.
pub const FRAME_OVERHEAD_BYTES: usize = MAGIC.len() + DIGEST_BYTES;

/// Whether the data can be an aggregate by its first bytes.
///
/// The first of the KCL's rules: the magic bytes, and more than a digest after them (`AggregatorUtil`).
pub fn has_magic(data: &[u8]) -> bool {
    data.len() > FRAME_OVERHEAD_BYTES && data.starts_with(&MAGIC)
}

/// Whether the last 16 bytes are the MD5 of what stands between them and the magic bytes.
///
/// The second of the KCL's rules. It checks the format, not the origin: anyone can write such a digest.
pub fn digest_matches(data: &[u8]) -> bool {
    message_range(data).is_some_and(|range| digest(&data[range.clone()]) == data[range.end..])
}

/// The message of data that has the magic bytes.
pub(crate) fn message(data: &Bytes) -> Bytes {
    data.slice(MAGIC.len()..data.len() - DIGEST_BYTES)
}

pub(crate) fn digest(message: &[u8]) -> [u8; DIGEST_BYTES] {
    Md5::digest(message).into()
}

fn message_range(data: &[u8]) -> Option<std::ops::Range<usize>> {
    (data.len() >= FRAME_OVERHEAD_BYTES).then(|| MAGIC.len()..data.len() - DIGEST_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(message: &[u8]) -> Vec<u8> {
        [&MAGIC[..], message, &digest(message)].concat()
    }

    #[test]
    fn magic_needs_more_than_a_digest_behind_it() {
        assert!(!has_magic(&[]));
        assert!(!has_magic(&MAGIC));
        assert!(!has_magic(&framed(b"")), "20 bytes are a plain record");
        assert!(has_magic(&framed(b"x")));
        assert!(!has_magic(&framed(b"x")[1..]));
    }

    #[test]
    fn the_digest_covers_the_message_alone() {
        let good = framed(b"message");
        assert!(digest_matches(&good));
        for index in MAGIC.len()..good.len() {
            let mut bad = good.clone();
            bad[index] ^= 1;
            assert!(!digest_matches(&bad), "byte {index}");
        }
        let mut other_magic = good;
        other_magic[0] ^= 1;
        assert!(digest_matches(&other_magic), "the rules are separate");
    }
}
