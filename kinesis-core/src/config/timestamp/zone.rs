//! Offsets from UTC.

/// What an offset looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ZoneShape {
    /// `Z`, `+hh`, `+hhmm` or `+hh:mm`, by the number of letters `X`.
    Iso(usize),
    /// `+hhmm`, `GMT`, `GMT+h:mm`, or a name; for the letters `z` and `Z`.
    General,
}

const HOUR: i32 = 3600;

/// The names with one meaning: UTC, and those of RFC 822. Others mean different zones in different places, such as IST.
const NAMES: [(&str, i32); 9] = [
    ("UTC", 0),
    ("EST", -5 * HOUR),
    ("EDT", -4 * HOUR),
    ("CST", -6 * HOUR),
    ("CDT", -5 * HOUR),
    ("MST", -7 * HOUR),
    ("MDT", -6 * HOUR),
    ("PST", -8 * HOUR),
    ("PDT", -7 * HOUR),
];

impl ZoneShape {
    /// Reads an offset off the front, in seconds.
    pub(super) fn take(self, text: &str) -> Option<(i32, &str)> {
        match self {
            Self::Iso(_) if text.starts_with('Z') => Some((0, &text[1..])),
            Self::Iso(letters) => signed(text, |text| {
                let (hours, rest) = digits(text, 2)?;
                let (minutes, rest) = match letters {
                    1 => (0, rest),
                    2 => digits(rest, 2)?,
                    _ => digits(rest.strip_prefix(':')?, 2)?,
                };
                Some((hours, minutes, rest))
            }),
            Self::General => general(text),
        }
    }
}

fn general(text: &str) -> Option<(i32, &str)> {
    if text.starts_with(['+', '-']) {
        return signed(text, |text| {
            let (hours, rest) = digits(text, 2)?;
            let (minutes, rest) = digits(rest, 2)?;
            Some((hours, minutes, rest))
        });
    }
    let (name, rest) = text.split_at_checked(3)?;
    if !name.eq_ignore_ascii_case("GMT") {
        return NAMES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, offset)| (*offset, rest));
    }
    if !rest.starts_with(['+', '-']) {
        return Some((0, rest));
    }
    signed(rest, |text| {
        let (hours, rest) = text.split_once(':')?;
        let (hours, nothing) = digits(hours, hours.len().clamp(1, 2))?;
        let (minutes, rest) = digits(rest, 2)?;
        nothing.is_empty().then_some((hours, minutes, rest))
    })
}

/// Reads a sign, and what `read` takes for hours and minutes behind it.
fn signed<'a>(text: &'a str, read: impl Fn(&'a str) -> Option<(i32, i32, &'a str)>) -> Option<(i32, &'a str)> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes, rest) = read(rest)?;
    (hours < 24 && minutes < 60).then_some((sign * (hours * HOUR + minutes * 60), rest))
}

fn digits(text: &str, count: usize) -> Option<(i32, &str)> {
    let (number, rest) = text.split_at_checked(count)?;
    number.bytes().all(|byte| byte.is_ascii_digit()).then_some((number.parse().ok()?, rest))
}
