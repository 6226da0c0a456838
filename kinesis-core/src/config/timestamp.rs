//! Timestamps as the reference connector takes them: by pattern, or in seconds since the epoch.

use std::time::SystemTime;

use thiserror::Error;

use crate::config::consumer_config_constants::DEFAULT_STREAM_TIMESTAMP_DATE_FORMAT;
use crate::time::from_unix_millis;

mod fields;
mod pattern;
mod zone;

use fields::Reading;
use pattern::DatePattern;
pub(super) use pattern::{PatternError, SUPPORTED_LETTERS};

/// The end of the year 9999, in seconds since the epoch.
const LAST_SECOND: f64 = 253_402_300_799.0;

/// What else a timestamp may be, for messages.
pub(super) const SECONDS: &str = ", or seconds since 1970 as a decimal number";

/// Why a timestamp is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum TimestampError {
    #[error("the pattern is refused at {0}")]
    Pattern(PatternError),
    #[error("no date of the pattern {pattern}{}", if *takes_seconds { SECONDS } else { "" })]
    Value { pattern: String, takes_seconds: bool },
}

/// Reads a timestamp by the pattern (the default one if none is given), else as seconds since the epoch.
///
/// Unlike the original it is strict: the whole text must match, no field overflows into the next, names are English, and
/// a pattern without an offset means UTC and not the zone of the machine. A text of the pattern's shape that is no date
/// is refused, and never taken for seconds; under a pattern of digits alone nothing is. Fractions below a millisecond are
/// cut off.
pub(super) fn parse_timestamp(value: &str, pattern: Option<&str>) -> Result<SystemTime, TimestampError> {
    let pattern = pattern.unwrap_or(DEFAULT_STREAM_TIMESTAMP_DATE_FORMAT);
    let date = DatePattern::parse(pattern).map_err(TimestampError::Pattern)?;
    let moment = match date.read(value) {
        Reading::At(moment) => Some(moment),
        Reading::NoSuchMoment => None,
        Reading::NoMatch if date.is_digits_alone() => None,
        Reading::NoMatch => epoch_seconds(value),
    };
    moment.ok_or_else(|| TimestampError::Value { pattern: pattern.to_owned(), takes_seconds: !date.is_digits_alone() })
}

fn epoch_seconds(value: &str) -> Option<SystemTime> {
    let seconds: f64 = value.parse().ok()?;
    (0.0..=LAST_SECOND).contains(&seconds).then(|| from_unix_millis((seconds * 1000.0) as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::unix_millis;

    fn millis(value: &str, pattern: &str) -> Option<u64> {
        parse_timestamp(value, Some(pattern)).ok().map(unix_millis)
    }

    /// Each expected time is what `SimpleDateFormat` of OpenJDK 17 makes of the text, in locale en-US and zone UTC.
    #[test]
    fn dates_are_read_as_java_reads_them() {
        const DEFAULT: &str = DEFAULT_STREAM_TIMESTAMP_DATE_FORMAT;
        for (pattern, value, expected) in [
            (DEFAULT, "2016-04-04T19:58:46.480-00:00", 1_459_799_926_480),
            (DEFAULT, "2016-04-04T19:58:46.480Z", 1_459_799_926_480),
            (DEFAULT, "2016-04-04T21:58:46.480+02:00", 1_459_799_926_480),
            (DEFAULT, "2020-08-13T09:18:00.0+01:00", 1_597_306_680_000),
            (DEFAULT, "2024-02-29T23:59:59.999+05:30", 1_709_231_399_999),
            (DEFAULT, "2001-07-04T12:08:56.235-07:00", 994_273_736_235),
            (DEFAULT, "9999-12-31T23:59:59.999Z", 253_402_300_799_999),
            (DEFAULT, "1970-01-01T00:00:00.000Z", 0),
            ("yyyy-MM-dd", "2016-04-04", 1_459_728_000_000),
            ("yyyy-MM-dd'T'HH:mm", "2020-08-13T09:23", 1_597_310_580_000),
            ("yyyyMMddHHmmss", "20200813092301", 1_597_310_581_000),
            ("yyyyMMddHHmmssSSS", "20200813092301007", 1_597_310_581_007),
            ("dd.MM.yyyy", "13.8.2020", 1_597_276_800_000),
            ("d.M.y", "13.8.2020", 1_597_276_800_000),
            ("yyy-MM-dd", "2020-08-13", 1_597_276_800_000),
            ("yyyyy-MM-dd", "02020-08-13", 1_597_276_800_000),
            ("yyyy-MM", "2020-08", 1_596_240_000_000),
            ("yyyy 'o''clock' HH", "2020 o'clock 13", 1_577_883_600_000),
            ("yyyy-MM-dd XX", "2020-08-13 +0130", 1_597_271_400_000),
            ("yyyy-MM-dd X", "2020-08-13 -02", 1_597_284_000_000),
            ("yyyy-MM-dd X", "2020-08-13 Z", 1_597_276_800_000),
            ("G yyyy-MM-dd", "AD 2020-08-13", 1_597_276_800_000),
            ("yyyy-MM-dd G", "2020-08-13 ad", 1_597_276_800_000),
            ("d MMM yyyy", "13 Aug 2020", 1_597_276_800_000),
            ("d MMMM yyyy", "13 August 2020", 1_597_276_800_000),
            ("d MMM yyyy", "13 August 2020", 1_597_276_800_000),
            ("d MMMM yyyy", "13 Aug 2020", 1_597_276_800_000),
            ("d MMM yyyy", "13 aUG 2020", 1_597_276_800_000),
            ("d MMM yyyy", "1 May 2020", 1_588_291_200_000),
            ("d LLL yyyy", "13 Aug 2020", 1_597_276_800_000),
            ("d LLLL yyyy", "13 August 2020", 1_597_276_800_000),
            ("d L yyyy", "13 8 2020", 1_597_276_800_000),
            ("yyyy-DDD", "2020-226", 1_597_276_800_000),
            ("yyyy-D", "2020-1", 1_577_836_800_000),
            ("yyyyDDD", "2021365", 1_640_908_800_000),
            ("EEE, d MMM yyyy HH:mm:ss Z", "Thu, 13 Aug 2020 09:18:00 -0700", 1_597_335_480_000),
            ("EEEE, d MMM yyyy HH:mm:ss z", "Thursday, 13 Aug 2020 09:18:00 GMT", 1_597_310_280_000),
            ("EEE, d MMM yyyy HH:mm:ss z", "Thursday, 13 Aug 2020 09:18:00 GMT+2:00", 1_597_303_080_000),
            ("d MMM yyyy E", "13 Aug 2020 Thu", 1_597_276_800_000),
            ("u yyyy-MM-dd", "4 2020-08-13", 1_597_276_800_000),
            ("yyyy-MM-dd hh:mm a", "2020-08-13 12:05 AM", 1_597_277_100_000),
            ("yyyy-MM-dd hh:mm a", "2020-08-13 12:05 PM", 1_597_320_300_000),
            ("yyyy-MM-dd h:mm a", "2020-08-13 9:05 pm", 1_597_352_700_000),
            ("yyyy-MM-dd K:mm a", "2020-08-13 0:05 PM", 1_597_320_300_000),
            ("yyyy-MM-dd K:mm a", "2020-08-13 11:05 PM", 1_597_359_900_000),
            ("yyyy-MM-dd k:mm", "2020-08-13 24:05", 1_597_277_100_000),
            ("yyyy-MM-dd kk:mm", "2020-08-13 09:05", 1_597_309_500_000),
            ("yyyy-MM-dd HH:mm:ss.S", "2020-08-13 09:05:01.5", 1_597_309_501_005),
            ("yyyy-MM-dd HH:mm:ss.SS", "2020-08-13 09:05:01.50", 1_597_309_501_050),
            ("yyyy-MM-dd HH:mm:ss.SSS", "2020-08-13 09:05:01.050", 1_597_309_501_050),
            ("yyyy-MM-dd HH:mm z", "2020-08-13 09:05 PST", 1_597_338_300_000),
            ("yyyy-MM-dd HH:mm z", "2020-08-13 09:05 PDT", 1_597_334_700_000),
            ("yyyy-MM-dd HH:mm z", "2020-08-13 09:05 MST", 1_597_334_700_000),
            ("yyyy-MM-dd HH:mm z", "2020-08-13 09:05 MDT", 1_597_331_100_000),
            ("yyyy-MM-dd HH:mm z", "2020-08-13 09:05 CST", 1_597_331_100_000),
            ("yyyy-MM-dd HH:mm z", "2020-08-13 09:05 CDT", 1_597_327_500_000),
            ("yyyy-MM-dd HH:mm z", "2020-08-13 09:05 EST", 1_597_327_500_000),
            ("yyyy-MM-dd HH:mm z", "2020-08-13 09:05 EDT", 1_597_323_900_000),
            ("yyyy-MM-dd HH:mm z", "2020-12-13 09:05 EDT", 1_607_864_700_000),
            ("yyyy-MM-dd HH:mm z", "2020-08-13 09:05 UTC", 1_597_309_500_000),
            ("yyyy-MM-dd HH:mm z", "2020-08-13 09:05 GMT-08:00", 1_597_338_300_000),
            ("yyyy-MM-dd HH:mm z", "2020-08-13 09:05 -0800", 1_597_338_300_000),
            ("yyyy-MM-dd HH:mm Z", "2020-08-13 09:05 GMT+02:00", 1_597_302_300_000),
            ("yyyy-MM-dd HH:mm Z", "2020-08-13 09:05 PST", 1_597_338_300_000),
            ("yyyy-MM-dd HH:mm Z", "2020-08-13 09:05 +0530", 1_597_289_700_000),
            ("yyyy.MM.dd G 'at' HH:mm:ss z", "2001.07.04 AD at 12:08:56 PDT", 994_273_736_000),
            ("yyyyy.MMMMM.dd GGG hh:mm aaa", "02001.July.04 AD 12:08 PM", 994_248_480_000),
            ("yyyy-MM-dd'T'HH:mm:ss.SSSZ", "2001-07-04T12:08:56.235-0700", 994_273_736_235),
        ] {
            assert_eq!(millis(value, pattern), Some(expected), "{value:?} by {pattern:?}");
        }
    }

    /// Each expected time is what `(long) (Double.parseDouble(text) * 1000)` is in Java.
    #[test]
    fn decimal_seconds_are_read_and_cut_off_below_a_millisecond() {
        for (value, expected) in [
            ("1459799926.480", 1_459_799_926_480),
            ("1459799926.001", 1_459_799_926_001),
            ("1459799926.999", 1_459_799_926_999),
            ("1719776523", 1_719_776_523_000),
            ("0", 0),
            ("-0.0", 0),
            ("0.29", 290),
            ("1.0019", 1001),
            ("1e9", 1_000_000_000_000),
        ] {
            assert_eq!(millis(value, DEFAULT_STREAM_TIMESTAMP_DATE_FORMAT), Some(expected), "{value}");
        }
        assert_eq!(millis("1459799926", "yyyy-MM-dd"), Some(1_459_799_926_000), "not of the pattern's shape");
    }

    #[test]
    fn what_is_not_a_date_of_the_pattern_is_refused() {
        for (value, pattern) in [
            ("unparsableDate", DEFAULT_STREAM_TIMESTAMP_DATE_FORMAT),
            ("stillUnparsable", "yyyy-MM-dd"),
            ("bad", DEFAULT_STREAM_TIMESTAMP_DATE_FORMAT),
            ("", DEFAULT_STREAM_TIMESTAMP_DATE_FORMAT),
            ("-1.0", DEFAULT_STREAM_TIMESTAMP_DATE_FORMAT),
            ("NaN", DEFAULT_STREAM_TIMESTAMP_DATE_FORMAT),
            ("inf", DEFAULT_STREAM_TIMESTAMP_DATE_FORMAT),
            ("1e30", DEFAULT_STREAM_TIMESTAMP_DATE_FORMAT),
            ("2016-04-04", DEFAULT_STREAM_TIMESTAMP_DATE_FORMAT),
            ("2016-04-04T19:58:46.4800Z", DEFAULT_STREAM_TIMESTAMP_DATE_FORMAT),
            ("2016-04-04T19:58:46.480+25:00", DEFAULT_STREAM_TIMESTAMP_DATE_FORMAT),
            ("1970-01-01T00:00:00.000+01:00", DEFAULT_STREAM_TIMESTAMP_DATE_FORMAT),
            ("2016-04-04 and more", "yyyy-MM-dd"),
            (" 2016-04-04", "yyyy-MM-dd"),
            ("2016-13-04", "yyyy-MM-dd"),
            ("2016-02-30", "yyyy-MM-dd"),
            ("2023-02-29", "yyyy-MM-dd"),
            ("1969-12-31", "yyyy-MM-dd"),
            ("2016-04-04T24:00", "yyyy-MM-dd'T'HH:mm"),
            ("2023-366", "yyyy-DDD"),
            ("2020-08-13 BC", "yyyy-MM-dd G"),
            ("Fri, 13 Aug 2020", "EEE, d MMM yyyy"),
            ("13 Aug 2020 Fri", "d MMM yyyy E"),
            ("3 2020-08-13", "u yyyy-MM-dd"),
            ("2020-226 14", "yyyy-DDD d"),
            ("1 Sept 2020", "d MMM yyyy"),
            ("13 8 2020", "d MMM yyyy"),
            ("2020-08-13 13 AM", "yyyy-MM-dd HH a"),
            ("2020-08-13 13 PM", "yyyy-MM-dd hh a"),
            ("2020-08-13 0 PM", "yyyy-MM-dd hh a"),
            ("2020-08-13 0", "yyyy-MM-dd k"),
            ("2020-08-13 12 PM", "yyyy-MM-dd K a"),
            ("2020-08-13 GMT-0800", "yyyy-MM-dd z"),
            ("2020-08-13 -08:00", "yyyy-MM-dd z"),
            ("2020-08-13 Z", "yyyy-MM-dd z"),
            ("2020-08-13 IST", "yyyy-MM-dd z"),
            ("2020-08-13 BST", "yyyy-MM-dd z"),
            ("2020-08-13 Europe/Berlin", "yyyy-MM-dd z"),
            ("2020 2021", "yyyy y"),
        ] {
            let error = parse_timestamp(value, Some(pattern)).unwrap_err();
            assert!(matches!(error, TimestampError::Value { .. }), "{value:?} by {pattern:?}: {error}");
        }
    }

    #[test]
    fn under_a_pattern_of_digits_alone_nothing_is_taken_for_seconds() {
        for (value, pattern) in [
            ("20160230", "yyyyMMdd"),
            ("1459", "yyyy"),
            ("2021366", "yyyyDDD"),
            ("2021366", "yyyyDDDHH"),
            ("2020083", "yyyyMMdd"),
            ("1459799926", "yyyyMMdd"),
            ("1459799926.480", "yyyyMMddHHmmss"),
            ("1459799926", "yyyyMMdd'00'"),
        ] {
            assert_eq!(millis(value, pattern), None, "{value} by {pattern}");
        }
    }

    #[test]
    fn a_pattern_that_is_not_supported_is_refused_whatever_the_value() {
        for value in ["1459799926.480", "2016-03-14"] {
            let error = parse_timestamp(value, Some("InvalidPattern")).unwrap_err();
            assert!(matches!(error, TimestampError::Pattern(_)), "{error}");
        }
    }
}
