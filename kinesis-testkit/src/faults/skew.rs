//! Clocks that disagree: how the service judges the date of a signature.

use std::time::{Duration, SystemTime};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde::{Deserialize, Serialize};

use super::json::millis;
use crate::engine::ServiceError;

/// How far a signature's date may be off the service's clock.
///
/// As seen in the refusals of Kinesis, which end in "- 5 min.)" and "+ 5 min.)".
const TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// How a clock of the service's is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ClockSkew {
    /// It is ahead by that much, so that dates of callers look old.
    #[serde(rename = "ahead_millis")]
    Ahead(#[serde(with = "millis")] Duration),
    /// It is behind by that much, so that dates of callers look as if they were to come.
    #[serde(rename = "behind_millis")]
    Behind(#[serde(with = "millis")] Duration),
}

impl ClockSkew {
    /// What the clock shows when it is `now`.
    pub(crate) fn applied_to(self, now: SystemTime) -> SystemTime {
        match self {
            Self::Ahead(by) => now.checked_add(by).unwrap_or(now),
            Self::Behind(by) => now.checked_sub(by).unwrap_or(SystemTime::UNIX_EPOCH),
        }
    }
}

/// The refusal of a signature with that date by a clock that shows `clock`; nothing where it is near enough.
pub(crate) fn refuse_signature(signed_at: SystemTime, clock: SystemTime) -> Option<ServiceError> {
    let (earliest, latest) = (clock.checked_sub(TOLERANCE)?, clock.checked_add(TOLERANCE)?);
    let [signed, now] = [signed_at, clock].map(amazon_date);
    let message = if signed_at < earliest {
        format!("Signature expired: {signed} is now earlier than {} ({now} - 5 min.)", amazon_date(earliest))
    } else if signed_at > latest {
        format!("Signature not yet current: {signed} is still later than {} ({now} + 5 min.)", amazon_date(latest))
    } else {
        return None;
    };
    Some(ServiceError::new("InvalidSignatureException", message, 400))
}

/// A date as `X-Amz-Date` has it: `20151120T200815Z`.
pub(crate) fn amazon_date(time: SystemTime) -> String {
    let secs = i64::try_from(kinesis_core::unix_millis(time) / 1000).unwrap_or(i64::MAX);
    DateTime::from_secs(secs).fmt(Format::DateTime).unwrap_or_default().replace(['-', ':'], "")
}

/// Reads what `X-Amz-Date` has.
pub(crate) fn parse_amazon_date(text: &str) -> Option<SystemTime> {
    if text.len() != 16 || !text.is_ascii() {
        return None;
    }
    let (day, time) = text.split_at(8);
    let (year, month, day) = (&day[..4], &day[4..6], &day[6..]);
    let (hour, minute, second) = (&time[1..3], &time[3..5], &time[5..]);
    let text = format!("{year}-{month}-{day}T{hour}:{minute}:{second}");
    DateTime::from_str(&text, Format::DateTime).ok().and_then(|date| SystemTime::try_from(date).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> SystemTime {
        parse_amazon_date(text).unwrap()
    }

    #[test]
    fn a_refusal_reads_as_the_services_does() {
        // Seen in remind101/logspout-kinesis #21 and s12v/awsbeats #48.
        let refusal = refuse_signature(date("20151120T200815Z"), date("20151120T202346Z")).unwrap();
        assert_eq!((refusal.code(), refusal.status()), ("InvalidSignatureException", 400));
        assert_eq!(
            refusal.message(),
            "Signature expired: 20151120T200815Z is now earlier than 20151120T201846Z (20151120T202346Z - 5 min.)"
        );
        let refusal = refuse_signature(date("20181017T093750Z"), date("20181017T093139Z")).unwrap();
        assert_eq!(
            refusal.message(),
            "Signature not yet current: 20181017T093750Z is still later than 20181017T093639Z (20181017T093139Z + 5 \
             min.)"
        );
    }

    #[test]
    fn five_minutes_are_tolerated() {
        let clock = date("20260101T000000Z");
        let refused = |secs: i64| {
            let by = Duration::from_secs(secs.unsigned_abs());
            let signed = if secs < 0 { clock - by } else { clock + by };
            refuse_signature(signed, clock).is_some()
        };
        assert_eq!([-301, -300, 0, 300, 301].map(refused), [true, false, false, false, true]);
    }

    #[test]
    fn only_dates_are_read() {
        for bad in ["", "2026", "20260101T000000", "20261301T000000Z", "20260101-000000", "ä0260101T00000Z"] {
            assert_eq!(parse_amazon_date(bad), None, "{bad}");
        }
    }
}
