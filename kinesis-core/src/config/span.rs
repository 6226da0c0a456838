//! Durations as Flink writes them: a whole number and a unit.

use std::time::Duration;

/// What is as good as for ever; keeps deadlines within what a clock can show.
pub(super) const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// The nanoseconds of each unit, under the names of Flink's `TimeUtils`; none is milliseconds.
const UNITS: [(&[&str], u128); 7] = [
    (&["ns", "nano", "nanos", "nanosecond", "nanoseconds"], 1),
    (&["µs", "us", "micro", "micros", "microsecond", "microseconds"], 1_000),
    (&["", "ms", "milli", "millis", "millisecond", "milliseconds"], 1_000_000),
    (&["s", "sec", "secs", "second", "seconds"], 1_000_000_000),
    (&["m", "min", "minute", "minutes"], 60_000_000_000),
    (&["h", "hour", "hours"], 3_600_000_000_000),
    (&["d", "day", "days"], 86_400_000_000_000),
];

/// Reads a duration, at most [`LONGEST`].
pub(super) fn parse_span(text: &str) -> Option<Duration> {
    let text = text.trim();
    let unit = text.trim_start_matches(|letter: char| letter.is_ascii_digit());
    let number: u64 = text[..text.len() - unit.len()].parse().ok()?;
    let unit = unit.trim().to_lowercase();
    let (_, nanos) = UNITS.iter().find(|(names, _)| names.contains(&unit.as_str()))?;
    let nanos = u128::from(number) * nanos;
    Some(u64::try_from(nanos).map_or(LONGEST, Duration::from_nanos).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_number_and_a_unit() {
        for (text, expected) in [
            ("250 ms", Duration::from_millis(250)),
            ("250ms", Duration::from_millis(250)),
            (" 250 ", Duration::from_millis(250)),
            ("0", Duration::ZERO),
            ("10 S", Duration::from_secs(10)),
            ("10 seconds", Duration::from_secs(10)),
            ("5 min", Duration::from_secs(300)),
            ("1 h", Duration::from_secs(3600)),
            ("2 days", Duration::from_secs(172_800)),
            ("7 µs", Duration::from_micros(7)),
            ("7 nanos", Duration::from_nanos(7)),
            ("18446744073709551615 d", LONGEST),
            ("9223372036854775807", LONGEST),
        ] {
            assert_eq!(parse_span(text), Some(expected), "{text}");
        }
        for text in ["", "ms", "-1 s", "1.5 s", "10 parsecs", "PT10S", "1 s 2 ms", "18446744073709551616"] {
            assert_eq!(parse_span(text), None, "{text}");
        }
    }
}
