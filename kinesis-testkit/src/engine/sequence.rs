//! How the service lays out a sequence number.

use kinesis_core::SequenceNumber;

/// The index that the ending number of a closed shard holds; no record ever has it.
pub(super) const LAST_INDEX: u64 = 0x7fff_ffff_ffff_ffff;

/// The parts of a sequence number of the service's current layout.
///
/// 47 hexadecimal digits: `2`, the second of the shard's creation (9), the low digit of the shard's index (1), the
/// record's index (16), `00`, the second of arrival (9), the shard's index (8), `2`. As found by kinesalite
/// (`db/index.js`); in decimal it has 56 digits. Numbers of one shard rise with the record's index, a later shard's
/// numbers are higher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SequenceParts {
    pub(super) shard_created_secs: u64,
    pub(super) shard_index: u32,
    pub(super) index: u64,
    pub(super) time_secs: u64,
}

impl SequenceParts {
    pub(super) fn encode(self) -> SequenceNumber {
        let index = u128::from(self.index);
        let high = 2u128 << 56
            | u128::from(self.shard_created_secs) << 20
            | u128::from(self.shard_index & 0xf) << 16
            | index >> 48;
        let low =
            (index & 0xffff_ffff_ffff) << 80 | u128::from(self.time_secs) << 36 | u128::from(self.shard_index) << 4 | 2;
        SequenceNumber::from_halves(high, low)
    }

    /// The parts of a number; nothing where it is not of this layout.
    pub(super) fn decode(number: SequenceNumber) -> Option<Self> {
        let (high, low) = number.halves();
        let parts = Self {
            shard_created_secs: (high >> 20) as u64 & 0xf_ffff_ffff,
            shard_index: (low >> 4) as u32,
            index: ((high & 0xffff) << 48 | low >> 80) as u64,
            time_secs: (low >> 36) as u64 & 0xf_ffff_ffff,
        };
        (parts.index <= LAST_INDEX && parts.encode() == number).then_some(parts)
    }
}

/// A number that the service takes for one of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServiceNumber {
    /// One of the current layout.
    Current(SequenceParts),
    /// One of the first layout, which ended with the service's first months.
    First { shard_index: u32 },
    /// One of the second.
    Second { shard_index: u32 },
}

/// The latest second that a number may carry (recorded by kinesalite, `db/index.js`).
const LAST_SECS: u64 = 16_025_175_000;

impl ServiceNumber {
    /// Reads a number of any layout that there has been, as kinesalite found them (`db/index.js`).
    pub(super) fn of(number: SequenceNumber) -> Option<Self> {
        let (high, low) = number.halves();
        if high == 0 || (high == 1 && low == 0) {
            // 32 digits: `1`, a second (9), a byte, a random number (16), the shard (4); without the `1` they count too.
            let low = if low >> 124 == 0 { low | 1 << 124 } else { low };
            let created_secs = (low >> 88) as u64 & 0xf_ffff_ffff;
            return (low >> 124 == 1 && created_secs < LAST_SECS)
                .then_some(Self::First { shard_index: low as u32 & 0xffff });
        }
        // 47 digits, and the first of them 2.
        if high >> 56 != 2 {
            return None;
        }
        match low as u8 & 0xf {
            2 => SequenceParts::decode(number).filter(|parts| parts.shard_created_secs < LAST_SECS).map(Self::Current),
            1 => Some(Self::Second { shard_index: (low >> 4) as u32 }),
            _ => None,
        }
    }

    /// The shard's index; a number that no shard has may be signed.
    pub(super) const fn shard_index(self) -> i32 {
        match self {
            Self::Current(parts) => parts.shard_index as i32,
            Self::First { shard_index } | Self::Second { shard_index } => shard_index as i32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_the_service_is_read_and_written_back() {
        // From the AWS developer guide's example of PutRecord.
        let number: SequenceNumber = "49543463076548007577105092703039560359975228518395019266".parse().unwrap();
        let parts = SequenceParts::decode(number).unwrap();
        assert_eq!((parts.shard_index, parts.encode()), (0, number));
        assert!((1_400_000_000..1_500_000_000).contains(&parts.shard_created_secs), "{parts:?}");
        assert!(parts.time_secs >= parts.shard_created_secs, "{parts:?}");
    }

    #[test]
    fn numbers_have_56_digits_and_rise_with_the_index() {
        let at = |index, time_secs| {
            let parts = SequenceParts { shard_created_secs: 1_700_000_000, shard_index: 17, index, time_secs };
            assert_eq!(SequenceParts::decode(parts.encode()), Some(parts));
            parts.encode()
        };
        assert!(at(1, 1_800_000_000) < at(2, 1_700_000_000));
        assert!(at(1 << 50, 1_700_000_000) < at(LAST_INDEX, 1_700_000_000));
        assert_eq!(at(0, 1_700_000_000).to_string().len(), 56);
    }

    #[test]
    fn numbers_of_older_layouts_are_known() {
        let of = |text: &str| ServiceNumber::of(text.parse().unwrap());
        assert_eq!(of("0"), Some(ServiceNumber::First { shard_index: 0 }));
        assert_eq!(of("5"), Some(ServiceNumber::First { shard_index: 5 }));
        let second = "49039857307708443467467104868809893875799651909875269633";
        assert_eq!(of(second), Some(ServiceNumber::Second { shard_index: 0 }));
        let negative = "49039857307708443467467104868809893875799651944235008002";
        assert_eq!(of(negative).map(ServiceNumber::shard_index), Some(i32::MIN));
        assert_eq!(of("99999999999999999999999999999999999999999999999999999999"), None);
    }

    #[test]
    fn what_is_not_of_the_layout_is_no_number() {
        for bad in ["0", "1", "49543463076548007577105092703039560359975228518395019267"] {
            assert_eq!(SequenceParts::decode(bad.parse().unwrap()), None, "{bad}");
        }
    }
}
