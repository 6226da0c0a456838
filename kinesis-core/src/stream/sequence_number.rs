//! Sequence numbers, and positions within a shard.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

const LIMBS: usize = 4;
/// The largest power of ten that fits a limb: decimals are read and written in chunks of 19 digits.
const CHUNK: u64 = 10_000_000_000_000_000_000;
const CHUNK_DIGITS: usize = 19;
/// The reciprocal of a chunk, whose upper bit is set, without its own upper bit.
const RECIPROCAL: u64 = (u128::MAX / CHUNK as u128 - (1 << 64)) as u64;

/// The number that the service gives to a record, rising within a shard.
///
/// On the wire it is a decimal of 56 digits today; comparing the texts orders them wrongly as soon as their lengths
/// differ, so this is the number itself, of up to 256 bits (77 digits), without an allocation.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SequenceNumber([u64; LIMBS]);

impl SequenceNumber {
    /// The length of the buffer that digits are written to: whole chunks, which are more than the 78 of 2^256.
    pub const MOST_DIGITS: usize = 5 * CHUNK_DIGITS;
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

    /// Writes the number as decimal digits, and returns them: what `Display` writes, at a fraction of its cost.
    pub fn write_digits(self, buffer: &mut [u8; Self::MOST_DIGITS]) -> &[u8] {
        let mut number = self;
        let (chunks, _) = buffer.as_chunks_mut::<CHUNK_DIGITS>();
        let mut start = Self::MOST_DIGITS - 1;
        for (index, digits) in chunks.iter_mut().enumerate().rev() {
            let chunk;
            (number, chunk) = number.divide_by_chunk();
            write_chunk(digits, chunk);
            if number == Self::ZERO {
                let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
                start = (index * CHUNK_DIGITS + zeros).min(start);
                break;
            }
        }
        &buffer[start..]
    }

    /// Divides by [`CHUNK`], returning quotient and remainder.
    fn divide_by_chunk(self) -> (Self, u64) {
        let mut limbs = self.0;
        let mut remainder = 0;
        for limb in limbs.iter_mut().skip_while(|limb| **limb == 0) {
            (*limb, remainder) = divide_two_limbs(remainder, *limb);
        }
        (Self(limbs), remainder)
    }
}

/// Divides two limbs, of which the upper is below [`CHUNK`], by it: by a multiplication with its reciprocal, which costs
/// a fraction of a division of 128 bits (Möller and Granlund, "Improved division by invariant integers", algorithm 4).
const fn divide_two_limbs(upper: u64, lower: u64) -> (u64, u64) {
    let estimate = (RECIPROCAL as u128 * upper as u128).wrapping_add((upper as u128) << 64 | lower as u128);
    let mut quotient = ((estimate >> 64) as u64).wrapping_add(1);
    let mut remainder = lower.wrapping_sub(quotient.wrapping_mul(CHUNK));
    if remainder > estimate as u64 {
        quotient = quotient.wrapping_sub(1);
        remainder = remainder.wrapping_add(CHUNK);
    }
    if remainder >= CHUNK {
        quotient = quotient.wrapping_add(1);
        remainder -= CHUNK;
    }
    (quotient, remainder)
}

impl From<u128> for SequenceNumber {
    fn from(value: u128) -> Self {
        Self::from_halves(0, value)
    }
}

/// The pairs of digits from 00 to 99.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut value = 0;
    while value < 100 {
        pairs[value] = [b'0' + (value / 10) as u8, b'0' + (value % 10) as u8];
        value += 1;
    }
    pairs
};

/// Writes eight digits.
fn write_eight(digits: &mut [u8; 8], value: u32) {
    let (upper, lower) = (value / 10_000, value % 10_000);
    let pairs = [upper / 100, upper % 100, lower / 100, lower % 100];
    for (digits, pair) in digits.as_chunks_mut::<2>().0.iter_mut().zip(pairs) {
        *digits = PAIRS[pair as usize];
    }
}

/// Writes the nineteen digits of a chunk: in parts that do not wait for each other.
fn write_chunk(digits: &mut [u8; CHUNK_DIGITS], chunk: u64) {
    const EIGHT: u64 = 100_000_000;
    let (upper, last) = (chunk / EIGHT, (chunk % EIGHT) as u32);
    let (first, middle) = ((upper / EIGHT) as usize, (upper % EIGHT) as u32);
    let [a, b, c, rest @ ..] = digits;
    *a = b'0' + (first / 100) as u8;
    [*b, *c] = PAIRS[first % 100];
    if let [upper, lower] = rest.as_chunks_mut::<8>().0 {
        write_eight(upper, middle);
        write_eight(lower, last);
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(self.write_digits(&mut [0; _])).map_err(|_| fmt::Error)?)
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
    use crate::random::Randomness;

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
    fn a_division_by_the_reciprocal_is_a_division() {
        let mut random = Randomness::from_seed(7).stream("division");
        let edges = [0, 1, CHUNK - 1, u64::MAX / 2, u64::MAX - 1, u64::MAX];
        let upper = edges.into_iter().filter(|limb| *limb < CHUNK);
        let mut pairs: Vec<(u64, u64)> = upper.flat_map(|upper| edges.map(|lower| (upper, lower))).collect();
        pairs.extend((0..100_000).map(|_| (random.below(CHUNK), random.below(u64::MAX))));
        for (upper, lower) in pairs {
            let dividend = u128::from(upper) << 64 | u128::from(lower);
            let chunk = u128::from(CHUNK);
            let expected = ((dividend / chunk) as u64, (dividend % chunk) as u64);
            assert_eq!(divide_two_limbs(upper, lower), expected, "{upper} and {lower}");
        }
    }

    #[test]
    fn digits_are_those_that_are_read() {
        let mut random = Randomness::from_seed(8).stream("digits");
        for bits in (0..256).chain(0..256) {
            let mut limbs = [0; LIMBS].map(|_| random.below(u64::MAX));
            let from_left = 255 - bits;
            limbs.iter_mut().take(from_left / 64).for_each(|limb| *limb = 0);
            limbs[from_left / 64] &= u64::MAX >> (from_left % 64);
            let number = SequenceNumber(limbs);
            let text = std::str::from_utf8(number.write_digits(&mut [0; _])).map(str::to_owned);
            assert_eq!(text.as_deref().map(str::parse), Ok(Ok(number)));
        }
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
