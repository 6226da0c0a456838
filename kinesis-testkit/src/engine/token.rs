//! Tokens that a client hands back: shard iterators and page tokens.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kinesis_core::StreamName;

/// What a token is for; part of the token, so that one cannot pass for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Iterator = 1,
    ShardPage = 2,
    StreamPage = 3,
    ConsumerPage = 4,
}

/// The content of a token; what `detail` and `value` mean depends on the purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) issued_millis: u64,
    pub(super) stream_created_millis: u64,
    pub(super) shard_index: u32,
    pub(super) detail: u8,
    pub(super) value: u64,
    pub(super) stream: StreamName,
}

const HEADER_BYTES: usize = 8 + 8 + 4 + 1 + 8;
const CHECKSUM_BYTES: usize = 8;

impl Token {
    /// Writes the token as text, at most 376 characters; `secret` keeps others' tokens out.
    pub(super) fn encode(&self, purpose: Purpose, secret: &str) -> String {
        let mut bytes = vec![0, 0, 0, 0, 0, 0, 0, purpose as u8];
        bytes.extend(self.issued_millis.to_be_bytes());
        bytes.extend(self.stream_created_millis.to_be_bytes());
        bytes.extend(self.shard_index.to_be_bytes());
        bytes.push(self.detail);
        bytes.extend(self.value.to_be_bytes());
        bytes.extend(self.stream.as_str().as_bytes());
        if purpose == Purpose::Iterator {
            bytes.resize(8 + iterator_content_bytes(self.stream.as_str().len()) - CHECKSUM_BYTES, 0);
        }
        let checksum = checksum(&bytes, secret);
        scramble(&mut bytes[8..], checksum);
        bytes.extend(checksum.to_be_bytes());
        STANDARD.encode(bytes)
    }

    /// Reads a token; nothing where it is of another purpose or was changed.
    pub(super) fn decode(text: &str, purpose: Purpose, secret: &str) -> Option<Self> {
        let mut bytes = STANDARD.decode(text).ok()?;
        let checksum_at = bytes.len().checked_sub(CHECKSUM_BYTES)?;
        let given = u64::from_be_bytes(bytes.split_off(checksum_at).try_into().ok()?);
        let content = bytes.strip_prefix(&[0, 0, 0, 0, 0, 0, 0, purpose as u8])?.len();
        let content_at = bytes.len() - content;
        scramble(&mut bytes[content_at..], given);
        if checksum(&bytes, secret) != given || content < HEADER_BYTES {
            return None;
        }
        let (header, name) = bytes[content_at..].split_at(HEADER_BYTES);
        let number = |range: std::ops::Range<usize>| header[range].try_into().ok().map(u64::from_be_bytes);
        Some(Self {
            issued_millis: number(0..8)?,
            stream_created_millis: number(8..16)?,
            shard_index: u32::from_be_bytes(header[16..20].try_into().ok()?),
            detail: header[20],
            value: number(21..29)?,
            stream: std::str::from_utf8(name).ok()?.trim_end_matches('\0').parse().ok()?,
        })
    }
}

/// The bytes behind the head of an iterator, so that its text is as long as one of the service.
///
/// The service's holds a time, the stream, the shard and a sequence number, in whole blocks of a cipher (recorded by
/// kinesalite, `db/index.js`).
const fn iterator_content_bytes(name_bytes: usize) -> usize {
    const PLAIN_BYTES: usize = 130;
    ((PLAIN_BYTES + name_bytes) / 16 + 1) * 16
}

/// FNV-1a, finished as splitmix64 does; tells an accident or a trial from a token, not an attack.
fn checksum(bytes: &[u8], secret: &str) -> u64 {
    let hash = bytes
        .iter()
        .chain(secret.as_bytes())
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let mixed = (hash ^ hash >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ mixed >> 31
}

/// Makes the content unreadable, so that nobody comes to rely on what it says; its own inverse.
fn scramble(bytes: &mut [u8], key: u64) {
    let mut state = key;
    for byte in bytes {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *byte ^= (state >> 56) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(stream: &str) -> Token {
        Token {
            issued_millis: 1_700_000_000_000,
            stream_created_millis: 1_600_000_000_000,
            shard_index: 7,
            detail: 3,
            value: u64::MAX,
            stream: stream.parse().unwrap(),
        }
    }

    #[test]
    fn a_token_survives_the_round_trip_within_512_characters() {
        for name in ["a", &"x".repeat(128)] {
            let text = token(name).encode(Purpose::Iterator, "secret");
            assert_eq!(text.len(), if name.len() == 1 { 204 } else { 376 });
            assert_eq!(Token::decode(&text, Purpose::Iterator, "secret"), Some(token(name)));
        }
    }

    #[test]
    fn a_changed_token_is_refused() {
        let text = token("orders").encode(Purpose::Iterator, "secret");
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(Token::decode(&changed, Purpose::Iterator, "secret"), None, "character {at}");
        }
        assert_eq!(Token::decode(&text, Purpose::ShardPage, "secret"), None);
        assert_eq!(Token::decode(&text, Purpose::Iterator, "other"), None);
        for bad in ["", "AAAA", "not base64!"] {
            assert_eq!(Token::decode(bad, Purpose::Iterator, "secret"), None);
        }
    }
}
