//! The items of a request, one after the other.
//!
//! A claimed length never becomes a capacity. What is read is nested as deep as the model's shapes are; what is passed
//! over may be nested 256 times, which the reader counts.

use std::borrow::Cow;

use cbor4ii::core::dec::{self, Decode, IgnoredAny, Read};
use cbor4ii::core::types::{Array, Bytes, F16, Map, Tag};
use cbor4ii::core::utils::SliceReader;
use cbor4ii::core::{major, marker};

/// What is no CBOR, or nested too deep.
#[derive(Debug)]
pub(super) struct Unreadable;

impl<E> From<dec::Error<E>> for Unreadable {
    fn from(_: dec::Error<E>) -> Self {
        Self
    }
}

/// What an item is, as its first byte tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Bytes,
    Text,
    List,
    Map,
    Tag,
    Boolean,
    /// Null or undefined.
    Null,
    Float,
}

/// Reads items from the body of a request.
pub(super) struct Decoder<'a>(SliceReader<'a>);

impl<'a> Decoder<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self(SliceReader::new(body))
    }

    /// What comes next.
    pub(super) fn kind(&mut self) -> Result<Kind, Unreadable> {
        let first = *self.0.fill(1).map_err(|_| Unreadable)?.as_ref().first().ok_or(Unreadable)?;
        match dec::if_major(first) {
            major::UNSIGNED | major::NEGATIVE => Ok(Kind::Integer),
            major::BYTES => Ok(Kind::Bytes),
            major::STRING => Ok(Kind::Text),
            major::ARRAY => Ok(Kind::List),
            major::MAP => Ok(Kind::Map),
            major::TAG => Ok(Kind::Tag),
            _ => match first {
                marker::FALSE | marker::TRUE => Ok(Kind::Boolean),
                marker::NULL | marker::UNDEFINED => Ok(Kind::Null),
                marker::F16 | marker::F32 | marker::F64 => Ok(Kind::Float),
                _ => Err(Unreadable),
            },
        }
    }

    pub(super) fn integer(&mut self) -> Result<i128, Unreadable> {
        Ok(i128::decode(&mut self.0)?)
    }

    /// What follows the tag of an integer that is wider than 64 bits: 2, or 3 for a negative one.
    pub(super) fn big_integer(&mut self, tag: u64) -> Result<i128, Unreadable> {
        let magnitude = self.bytes()?.iter().try_fold(0i128, |number, byte| {
            number.checked_mul(256).and_then(|number| number.checked_add(i128::from(*byte))).ok_or(Unreadable)
        })?;
        Ok(if tag == 3 { -1 - magnitude } else { magnitude })
    }

    pub(super) fn boolean(&mut self) -> Result<bool, Unreadable> {
        Ok(bool::decode(&mut self.0)?)
    }

    pub(super) fn null(&mut self) -> Result<(), Unreadable> {
        let nothing: Option<bool> = Option::decode(&mut self.0)?;
        if nothing.is_none() { Ok(()) } else { Err(Unreadable) }
    }

    pub(super) fn float(&mut self) -> Result<f64, Unreadable> {
        let first = self.0.fill(1).map_err(|_| Unreadable)?.as_ref().first().copied();
        Ok(match first {
            Some(marker::F16) => F16::decode(&mut self.0).map(half_precision)?,
            Some(marker::F32) => f64::from(f32::decode(&mut self.0)?),
            _ => f64::decode(&mut self.0)?,
        })
    }

    /// A byte string, borrowed where it is in one piece.
    pub(super) fn bytes(&mut self) -> Result<Cow<'a, [u8]>, Unreadable> {
        let Bytes(bytes) = Bytes::<Cow<'a, [u8]>>::decode(&mut self.0)?;
        Ok(bytes)
    }

    /// A text, borrowed where it is in one piece.
    pub(super) fn text(&mut self) -> Result<Cow<'a, str>, Unreadable> {
        Ok(Cow::decode(&mut self.0)?)
    }

    pub(super) fn tag(&mut self) -> Result<u64, Unreadable> {
        Ok(Tag::tag(&mut self.0)?)
    }

    /// Passes over an item, whatever it holds.
    pub(super) fn skip(&mut self) -> Result<(), Unreadable> {
        IgnoredAny::decode(&mut self.0)?;
        Ok(())
    }

    /// Calls `item` before each item of a list, which has to read it.
    pub(super) fn list<E: From<Unreadable>>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        let length = Array::len(&mut self.0).map_err(Unreadable::from)?;
        self.items(length, |decoder| item(decoder))
    }

    /// Calls `entry` with each key of a map, before its value, which it has to read.
    pub(super) fn map<E: From<Unreadable>>(
        &mut self,
        mut entry: impl FnMut(&mut Self, Cow<'a, str>) -> Result<(), E>,
    ) -> Result<(), E> {
        let length = Map::len(&mut self.0).map_err(Unreadable::from)?;
        self.items(length, |decoder| {
            let key = decoder.text()?;
            entry(decoder, key)
        })
    }

    /// Reads as many items as were announced, or up to the break.
    fn items<E: From<Unreadable>>(
        &mut self,
        length: Option<usize>,
        mut item: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut left = length;
        loop {
            match &mut left {
                Some(0) => break,
                Some(left) => *left -= 1,
                None if dec::is_break(&mut self.0).map_err(Unreadable::from)? => break,
                None => {}
            }
            item(self)?;
        }
        Ok(())
    }

    /// Refuses what follows the one item of a body.
    pub(super) fn end(&mut self) -> Result<(), Unreadable> {
        if self.0.fill(1).map_err(|_| Unreadable)?.as_ref().is_empty() { Ok(()) } else { Err(Unreadable) }
    }
}

/// A number of half precision (RFC 8949, appendix D).
fn half_precision(F16(bits): F16) -> f64 {
    let mantissa = f64::from(bits & 0x3ff);
    let magnitude = match i32::from(bits >> 10 & 0x1f) {
        0 => mantissa * 2f64.powi(-24),
        31 if mantissa == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        exponent => (mantissa + 1024.0) * 2f64.powi(exponent - 25),
    };
    if bits & 0x8000 == 0 { magnitude } else { -magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_width_are_read() {
        let integers: [(&[u8], i128); 9] = [
            (&[0x17], 23),
            (&[0x18, 0xff], 255),
            (&[0x19, 0xff, 0xff], 65_535),
            (&[0x1a, 0xff, 0xff, 0xff, 0xff], i128::from(u32::MAX)),
            (&[0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], i128::from(u64::MAX)),
            // Wider than it has to be.
            (&[0x1b, 0, 0, 0, 0, 0, 0, 0, 7], 7),
            (&[0x20], -1),
            (&[0x38, 0x63], -100),
            (&[0x3b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], -18_446_744_073_709_551_616),
        ];
        for (bytes, number) in integers {
            assert_eq!(Decoder::new(bytes).integer().unwrap(), number, "{bytes:x?}");
        }
        // RFC 8949, appendix A.
        let floats: [(&[u8], f64); 7] = [
            (&[0xf9, 0x3c, 0x00], 1.0),
            (&[0xf9, 0x7b, 0xff], 65_504.0),
            (&[0xf9, 0x00, 0x01], 5.960_464_477_539_063e-8),
            (&[0xf9, 0xc4, 0x00], -4.0),
            (&[0xf9, 0x7c, 0x00], f64::INFINITY),
            (&[0xfa, 0x47, 0xc3, 0x50, 0x00], 100_000.0),
            (&[0xfb, 0x3f, 0xf1, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9a], 1.1),
        ];
        for (bytes, number) in floats {
            assert_eq!(Decoder::new(bytes).float().unwrap(), number, "{bytes:x?}");
        }
    }

    #[test]
    fn strings_come_in_one_piece_or_in_several() {
        let mut whole = Decoder::new(&[0x43, 1, 2, 3]);
        assert!(matches!(whole.bytes().unwrap(), Cow::Borrowed([1, 2, 3])));
        let mut pieces = Decoder::new(&[0x5f, 0x41, 1, 0x40, 0x42, 2, 3, 0xff]);
        assert_eq!(pieces.bytes().unwrap().as_ref(), [1, 2, 3]);
        let mut text = Decoder::new(&[0x7f, 0x61, b'a', 0x62, b'b', b'c', 0xff]);
        assert_eq!(text.text().unwrap(), "abc");
    }

    /// What is cut off, claims more than there is, or is no CBOR.
    #[test]
    fn nonsense_is_unreadable() {
        let cases: [&[u8]; 10] = [
            &[],
            &[0x42, 1],
            &[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0],
            &[0xbb, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x61, b'a', 0],
            &[0x5f, 0x41],
            &[0x1c],
            &[0xff],
            &[0xf8, 0x20],
            &[0xbf, 0x61, b'a', 0xff],
        ];
        for bytes in cases {
            assert!(Decoder::new(bytes).skip().is_err(), "{bytes:x?}");
        }
        assert!(Decoder::new(&[0x62, 0xc3, 0x28]).text().is_err(), "no UTF-8");
        assert!(Decoder::new(&[0x5f, 0x61, b'a', 0xff]).bytes().is_err(), "a piece of another type");
        assert!(Decoder::new(&[0x5f, 0x5f, 0x41, 1, 0xff, 0xff]).bytes().is_err(), "a piece of no definite length");
    }
}
