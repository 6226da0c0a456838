//! Sequence numbers, and positions within a shard.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

const LIMBS: usize = 4;
/// The largest power of ten that fits a limb: decimals are read and written in chunks of 19 digits.
const CHUNK: u64 = 10_000_000_000_000_000_000;
const CHUNK_DIGITS: usize = 19;

/// The number that the service gives to a record, rising within a shard.
///
/// On the wire it is a decimal of 56 digits today; comparing the texts orders them wrongly as soon as their lengths
/// differ, so this is the number itself, of up to 256 bits (77 digits), without an allocation.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SequenceNumber([u64; LIMBS]);

impl SequenceNumber {
    /// Zero, which is before every number that the service gives out.
    pub const ZERO: Self = Self([0; LIMBS]);

    /// Makes a sequence number of the two halves of a 256-bit integer.
    pub const fn from_halves(high: u128, low: u128) -> Self {
        Self([(high >> 64) as u64, high as u64, (low >> 64) as u64, low as u64])
    }

    /// The upper and the lower 128 bits.
    pub const fn halves(&self) -> (u128, u128) {
        let [a, b, c, d] = self.0;
        ((a as u128) << 64 | b as u128, (c as u128) << 64 | d as u128)
    }

    /// Multiplies by `factor` and adds `addend`; nothing on overflow.
    fn multiply_add(self, factor: u64, addend: u64) -> Option<Self> {
        let mut limbs = self.0;
        let mut carry = u128::from(addend);
        for limb in limbs.iter_mut().rev() {
            carry += u128::from(*limb) * u128::from(factor);
            *limb = carry as u64;
            carry >>= 64;
        }
        (carry == 0).then_some(Self(limbs))
    }

    /// Divides by `divisor`, returning quotient and remainder.
    fn divide(self, divisor: u64) -> (Self, u64) {
        let mut limbs = self.0;
        let mut remainder = 0u128;
        for limb in &mut limbs {
            let dividend = remainder << 64 | u128::from(*limb);
            *limb = (dividend / u128::from(divisor)) as u64;
            remainder = dividend % u128::from(divisor);
        }
        (Self(limbs), remainder as u64)
    }
}

impl From<u128> for SequenceNumber {
    fn from(value: u128) -> Self {
        Self::from_halves(0, value)
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut chunks = [0u64; 5];
        let mut rest = *self;
        let mut used = 0;
        while used == 0 || rest != Self::ZERO {
            (rest, chunks[used]) = rest.divide(CHUNK);
            used += 1;
        }
        write!(f, "{}", chunks[used - 1])?;
        chunks[..used - 1].iter().rev().try_for_each(|chunk| write!(f, "{chunk:019}"))
    }
}

impl fmt::Debug for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is no sequence number.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` is no sequence number: it must be a decimal integer below 2^256")]
pub struct ParseSequenceNumberError {
    text: String,
}

impl FromStr for SequenceNumber {
    type Err = ParseSequenceNumberError;

    /// Reads decimal digits; leading zeros are accepted and dropped.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseSequenceNumberError { text: text.to_owned() };
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(error());
        }
        text.as_bytes().chunks(CHUNK_DIGITS).try_fold(Self::ZERO, |number, digits| {
            let value = digits.iter().fold(0u64, |value, digit| value * 10 + u64::from(digit - b'0'));
            let factor = 10u64.pow(digits.len() as u32);
            number.multiply_add(factor, value).ok_or_else(error)
        })
    }
}

/// Where a user record stands in its shard: the Kinesis record, and the index within it.
///
/// The sub-sequence number counts the members of an aggregate in wire order, from 0; a record that is no aggregate has
/// 0. The order is the order of reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordPosition {
    /// The Kinesis record's sequence number.
    pub sequence_number: SequenceNumber,
    /// The index of the user record within the Kinesis record.
    pub sub_sequence_number: u64,
}

impl RecordPosition {
    /// Makes the position of the user record `sub_sequence_number` in the Kinesis record `sequence_number`.
    pub const fn new(sequence_number: SequenceNumber, sub_sequence_number: u64) -> Self {
        Self { sequence_number, sub_sequence_number }
    }
}

impl fmt::Display for RecordPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.sequence_number, self.sub_sequence_number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> SequenceNumber {
        text.parse().unwrap()
    }

    #[test]
    fn a_decimal_survives_the_round_trip() {
        let max = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
        let real = "49590338271490256608559692538361571095921575989136588898";
        let tens = "100000000000000000000000000000000000000";
        for text in ["0", "9", "10", tens, real, max] {
            assert_eq!(number(text).to_string(), text);
        }
        assert_eq!(number("0042").to_string(), "42");
    }

    #[test]
    fn order_is_of_numbers_not_of_texts() {
        assert!(number("99") < number("100"));
        assert!(number("9") < number("49590338271490256608559692538361571095921575989136588898"));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let too_big = "115792089237316195423570985008687907853269984665640564039457584007913129639936";
        for bad in ["", "-1", "1.5", "LATEST", too_big] {
            assert!(bad.parse::<SequenceNumber>().is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn halves_are_the_two_ends() {
        let value = SequenceNumber::from_halves(1, 2);
        assert_eq!(value.halves(), (1, 2));
        assert_eq!(value.to_string(), "340282366920938463463374607431768211458");
    }

    #[test]
    fn positions_order_by_record_then_member() {
        let at = |sequence: u128, sub| RecordPosition::new(sequence.into(), sub);
        assert!(at(1, 9) < at(2, 0));
        assert!(at(2, 0) < at(2, 1));
    }
}
