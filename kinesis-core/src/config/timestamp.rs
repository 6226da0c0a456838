//! Timestamps as the reference connector takes them: by pattern, or in seconds since the epoch.

use std::time::{Duration, SystemTime};

use thiserror::Error;

use crate::config::consumer_config_constants::DEFAULT_STREAM_TIMESTAMP_DATE_FORMAT;

const SECONDS_PER_DAY: i64 = 86_400;
/// The end of the year 9999, in seconds since the epoch.
const LAST_SECOND: f64 = 253_402_300_799.0;

/// Why a timestamp is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum TimestampError {
    #[error("a letter or a repetition that is not supported in the pattern: {0:?}")]
    Pattern(String),
    #[error("neither a date of the pattern {0} nor seconds since 1970 as a decimal number that is not negative")]
    Value(String),
}

/// One part of a date pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(char),
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    /// Milliseconds as a number: `.5` is five of them, as `SimpleDateFormat` has it.
    Millis,
    /// An offset from UTC of at most so many letters `X`.
    Offset(usize),
}

/// A date pattern in the letters of Java's `SimpleDateFormat`: `yyyy MM dd HH mm ss SSS X`, and quoted text.
///
/// Unlike the original it is strict: the whole text must match, and no field overflows into the next. A pattern without
/// an offset means UTC, where the original means the zone of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
struct DatePattern(Vec<Part>);

impl DatePattern {
    fn parse(pattern: &str) -> Result<Self, TimestampError> {
        let mut parts = Vec::new();
        let mut rest = pattern;
        while let Some(first) = rest.chars().next() {
            if first == '\'' {
                rest = quoted(&rest[1..], &mut parts).ok_or_else(|| TimestampError::Pattern(rest.to_owned()))?;
                continue;
            }
            let run = rest.len() - rest.trim_start_matches(first).len();
            let run = if first.is_ascii_alphabetic() { run } else { first.len_utf8() };
            let (letters, after) = rest.split_at(run);
            parts.push(match letters {
                "yyyy" => Part::Year,
                "MM" => Part::Month,
                "dd" => Part::Day,
                "HH" => Part::Hour,
                "mm" => Part::Minute,
                "ss" => Part::Second,
                "SSS" => Part::Millis,
                "X" | "XX" | "XXX" => Part::Offset(run),
                _ if first.is_ascii_alphabetic() => return Err(TimestampError::Pattern(letters.to_owned())),
                _ => Part::Literal(first),
            });
            rest = after;
        }
        if !parts.contains(&Part::Year) {
            return Err(TimestampError::Pattern(pattern.to_owned()));
        }
        Ok(Self(parts))
    }

    fn read(&self, text: &str) -> Option<SystemTime> {
        let mut date = Date::default();
        let mut rest = text;
        for (index, part) in self.0.iter().enumerate() {
            let packed = matches!(self.0.get(index + 1), Some(next) if next.is_number());
            rest = date.take(part, packed, rest)?;
        }
        rest.is_empty().then(|| date.time())?
    }
}

impl Part {
    const fn is_number(&self) -> bool {
        !matches!(self, Self::Literal(_) | Self::Offset(_))
    }
}

/// Takes quoted text up to its closing quote; two quotes are one.
fn quoted<'a>(after: &'a str, parts: &mut Vec<Part>) -> Option<&'a str> {
    if let Some(rest) = after.strip_prefix('\'') {
        parts.push(Part::Literal('\''));
        return Some(rest);
    }
    let mut rest = after;
    loop {
        let (text, behind) = rest.split_once('\'')?;
        parts.extend(text.chars().map(Part::Literal));
        match behind.strip_prefix('\'') {
            Some(behind) => {
                parts.push(Part::Literal('\''));
                rest = behind;
            }
            None => return Some(behind),
        }
    }
}

/// The fields of a date while it is read.
#[derive(Debug)]
struct Date {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    millis: i64,
    offset_seconds: i64,
}

impl Default for Date {
    fn default() -> Self {
        Self { year: 1970, month: 1, day: 1, hour: 0, minute: 0, second: 0, millis: 0, offset_seconds: 0 }
    }
}

impl Date {
    /// Reads one part off the front; `packed` means that digits of another field follow at once.
    fn take<'a>(&mut self, part: &Part, packed: bool, text: &'a str) -> Option<&'a str> {
        let (field, width, allowed) = match part {
            Part::Literal(letter) => return text.strip_prefix(*letter),
            Part::Offset(letters) => {
                let (offset_seconds, rest) = offset(*letters, text)?;
                self.offset_seconds = offset_seconds;
                return Some(rest);
            }
            Part::Year => (&mut self.year, 4, 1970..=9999),
            Part::Month => (&mut self.month, 2, 1..=12),
            Part::Day => (&mut self.day, 2, 1..=31),
            Part::Hour => (&mut self.hour, 2, 0..=23),
            Part::Minute => (&mut self.minute, 2, 0..=59),
            Part::Second => (&mut self.second, 2, 0..=59),
            Part::Millis => (&mut self.millis, 3, 0..=999),
        };
        let least = if packed || *part == Part::Year { width } else { 1 };
        let (number, rest) = digits(text, least, width)?;
        *field = number;
        allowed.contains(&number).then_some(rest)
    }

    fn time(&self) -> Option<SystemTime> {
        if self.day > days_in_month(self.year, self.month) {
            return None;
        }
        let days = days_since_epoch(self.year, self.month, self.day);
        let seconds = days * SECONDS_PER_DAY + self.hour * 3600 + self.minute * 60 + self.second - self.offset_seconds;
        let millis = u64::try_from(seconds * 1000 + self.millis).ok()?;
        Some(SystemTime::UNIX_EPOCH + Duration::from_millis(millis))
    }
}

/// Reads between `least` and `most` digits.
fn digits(text: &str, least: usize, most: usize) -> Option<(i64, &str)> {
    let count = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if count < least {
        return None;
    }
    let (number, rest) = text.split_at(count);
    Some((number.parse().ok()?, rest))
}

/// Reads `Z`, `+hh`, `+hhmm` or `+hh:mm`, by the number of letters `X`, into seconds.
fn offset(letters: usize, text: &str) -> Option<(i64, &str)> {
    if let Some(rest) = text.strip_prefix('Z') {
        return Some((0, rest));
    }
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, rest) = digits(rest, 2, 2)?;
    let (minutes, rest) = match letters {
        1 => (0, rest),
        2 => digits(rest, 2, 2)?,
        _ => digits(rest.strip_prefix(':')?, 2, 2)?,
    };
    (hours < 24 && minutes < 60).then_some((sign * (hours * 3600 + minutes * 60), rest))
}

const fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days of the proleptic Gregorian calendar since 1970-01-01, for years from 1970.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let past = year - 1;
    let leap_days = past / 4 - past / 100 + past / 400;
    const LEAP_DAYS_BEFORE_1970: i64 = 477;
    let months: i64 = (1..month).map(|month| days_in_month(year, month)).sum();
    (year - 1970) * 365 + leap_days - LEAP_DAYS_BEFORE_1970 + months + day - 1
}

/// Reads a timestamp by the pattern (the default one if none is given), else as seconds since the epoch.
///
/// Fractions below a millisecond are cut off.
pub(super) fn parse_timestamp(value: &str, pattern: Option<&str>) -> Result<SystemTime, TimestampError> {
    let pattern = pattern.unwrap_or(DEFAULT_STREAM_TIMESTAMP_DATE_FORMAT);
    let date = DatePattern::parse(pattern)?;
    date.read(value).or_else(|| epoch_seconds(value)).ok_or_else(|| TimestampError::Value(pattern.to_owned()))
}

fn epoch_seconds(value: &str) -> Option<SystemTime> {
    let seconds: f64 = value.parse().ok()?;
    (0.0..=LAST_SECOND)
        .contains(&seconds)
        .then(|| SystemTime::UNIX_EPOCH + Duration::from_millis((seconds * 1000.0) as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::unix_millis;

    fn millis(value: &str, pattern: Option<&str>) -> Option<u64> {
        parse_timestamp(value, pattern).ok().map(unix_millis)
    }

    #[test]
    fn dates_of_the_default_pattern_are_read() {
        for (value, expected) in [
            ("2016-04-04T19:58:46.480-00:00", 1_459_799_926_480),
            ("2016-04-04T19:58:46.480Z", 1_459_799_926_480),
            ("2016-04-04T21:58:46.480+02:00", 1_459_799_926_480),
            ("2020-08-13T09:18:00.0+01:00", 1_597_306_680_000),
            ("2024-02-29T00:00:00.005+00:00", 1_709_164_800_005),
            ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
            ("1970-01-01T00:00:00.000Z", 0),
        ] {
            assert_eq!(millis(value, None), Some(expected), "{value}");
        }
    }

    #[test]
    fn decimal_seconds_are_read_and_cut_off_below_a_millisecond() {
        assert_eq!(millis("1459799926.480", None), Some(1_459_799_926_480));
        assert_eq!(millis("0", None), Some(0));
        assert_eq!(millis("1.0019", Some("yyyy-MM-dd")), Some(1001));
    }

    #[test]
    fn patterns_of_the_user_are_read_in_utc() {
        for (value, pattern, expected) in [
            ("2016-04-04", "yyyy-MM-dd", 1_459_728_000_000),
            ("2020-08-13T09:23", "yyyy-MM-dd'T'HH:mm", 1_597_310_580_000),
            ("20200813092301", "yyyyMMddHHmmss", 1_597_310_581_000),
            ("13.8.2020", "dd.MM.yyyy", 1_597_276_800_000),
            ("2020 o'clock 13", "yyyy 'o''clock' HH", 1_577_883_600_000),
            ("2020-08-13 +0130", "yyyy-MM-dd XX", 1_597_271_400_000),
            ("2020-08-13 -02", "yyyy-MM-dd X", 1_597_284_000_000),
        ] {
            assert_eq!(millis(value, Some(pattern)), Some(expected), "{value}");
        }
    }

    #[test]
    fn what_is_not_a_date_of_the_pattern_is_refused() {
        for (value, pattern) in [
            ("unparsableDate", None),
            ("stillUnparsable", Some("yyyy-MM-dd")),
            ("bad", None),
            ("", None),
            ("-1.0", None),
            ("NaN", None),
            ("inf", None),
            ("1e30", None),
            ("2016-04-04", None),
            ("2016-04-04 and more", Some("yyyy-MM-dd")),
            ("2016-13-04", Some("yyyy-MM-dd")),
            ("2016-02-30", Some("yyyy-MM-dd")),
            ("2023-02-29", Some("yyyy-MM-dd")),
            ("1969-12-31", Some("yyyy-MM-dd")),
            ("2016-04-04T24:00", Some("yyyy-MM-dd'T'HH:mm")),
            ("2016-04-04T19:58:46.4800Z", None),
            ("2016-04-04T19:58:46.480+25:00", None),
            ("1970-01-01T00:00:00.000+01:00", None),
        ] {
            let error = parse_timestamp(value, pattern).unwrap_err();
            assert!(matches!(error, TimestampError::Value(_)), "{value}: {error}");
        }
    }

    #[test]
    fn patterns_that_are_not_understood_are_refused() {
        for pattern in ["InvalidPattern", "yy-MM-dd", "yyyy-MMM-dd", "yyyy 'open", "", "HH:mm", "yyyy z", "YYYY"] {
            let error = parse_timestamp("2016-03-14", Some(pattern)).unwrap_err();
            assert!(matches!(error, TimestampError::Pattern(_)), "{pattern}: {error}");
        }
    }
}
