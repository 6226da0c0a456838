//! Date patterns in the letters of Java's `SimpleDateFormat`, judged when they are parsed.

use thiserror::Error;

use crate::config::timestamp::zone::ZoneShape;

/// The letters that a pattern may hold, for messages.
pub(in crate::config) const SUPPORTED_LETTERS: &str =
    "G, y or yyyy, M, L, d, D, E, u, a, H, k, K, h, m, s, S to SSS, z, Z, X to XXX, and quoted text";

/// What is wrong with a pattern, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{letters:?}: {reason}")]
pub(in crate::config) struct PatternError {
    /// The letters that are refused.
    pub(in crate::config) letters: String,
    /// Why.
    pub(in crate::config) reason: &'static str,
}

/// One part of a date pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// This character, exactly.
    Literal(char),
    /// A number of so many digits for the field of a letter.
    Number { letter: char, least: usize, most: usize },
    /// One of the English names of the field of a letter, in any case.
    Name(char),
    /// An offset from UTC.
    Zone(ZoneShape),
}

/// A date pattern of which every letter is supported.
///
/// What is refused either depends on more than the text (two-digit years on the current date, weeks and long zone names
/// on the locale) or is read by the original as something else than it says (more than three letters `S`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DatePattern {
    pub(super) parts: Vec<Part>,
}

impl DatePattern {
    pub(super) fn parse(pattern: &str) -> Result<Self, PatternError> {
        let mut parts = Vec::new();
        let mut rest = pattern;
        while let Some(first) = rest.chars().next() {
            if first == '\'' {
                rest = quoted(&rest[1..], &mut parts)
                    .ok_or_else(|| refused(rest, "the quote has no end; a single quote is written as two"))?;
                continue;
            }
            if !first.is_ascii_alphabetic() {
                parts.push(Part::Literal(first));
                rest = &rest[first.len_utf8()..];
                continue;
            }
            let (letters, after) = rest.split_at(rest.len() - rest.trim_start_matches(first).len());
            parts.push(part(first, letters)?);
            rest = after;
        }
        pack(&mut parts)?;
        check_complete(pattern, &parts)?;
        Ok(Self { parts })
    }

    /// Whether every text of the pattern is all digits, so that a slip in one still looks like a number.
    pub(super) fn is_digits_alone(&self) -> bool {
        self.parts.iter().all(|part| match part {
            Part::Literal(letter) => letter.is_ascii_digit(),
            Part::Number { .. } => true,
            Part::Name(_) | Part::Zone(_) => false,
        })
    }
}

fn refused(letters: &str, reason: &'static str) -> PatternError {
    PatternError { letters: letters.to_owned(), reason }
}

/// The part that a run of one letter stands for.
fn part(letter: char, letters: &str) -> Result<Part, PatternError> {
    let count = letters.len();
    let number = |digits: usize| Ok(Part::Number { letter, least: count, most: digits.max(count) });
    let refused = |reason| Err(refused(letters, reason));
    match letter {
        'y' if count == 2 => refused("the century depends on the day of reading; write yyyy"),
        'y' | 'H' | 'k' | 'K' | 'h' | 'm' | 's' | 'd' => number(if letter == 'y' { 4 } else { 2 }),
        'M' | 'L' if count > 2 => Ok(Part::Name(letter)),
        'M' | 'L' => number(2),
        'D' => number(3),
        'u' => number(1),
        'S' if count > 3 => refused("SimpleDateFormat reads it as a number of milliseconds; write SSS"),
        'S' => number(3),
        'G' | 'E' | 'a' => Ok(Part::Name(letter)),
        'z' if count > 3 => refused("long names of zones depend on the locale; write z, Z or X"),
        'z' | 'Z' => Ok(Part::Zone(ZoneShape::General)),
        'X' if count > 3 => refused("at most three letters X are allowed"),
        'X' => Ok(Part::Zone(ZoneShape::Iso(count))),
        'Y' | 'w' | 'W' | 'F' => refused("the numbering of weeks depends on the locale; write y, M and d"),
        _ => refused("not a letter of SimpleDateFormat; put text in single quotes"),
    }
}

/// Gives numbers their widths: with another number behind it, one has as many digits as it has letters.
fn pack(parts: &mut [Part]) -> Result<(), PatternError> {
    let is_number = |part: Option<&Part>| matches!(part, Some(Part::Number { .. }));
    for index in 0..parts.len() {
        let after_number = index > 0 && is_number(parts.get(index - 1));
        let before_number = is_number(parts.get(index + 1));
        let Part::Number { letter, least, most } = &mut parts[index] else {
            continue;
        };
        let count = *least;
        match (before_number, after_number) {
            (true, _) => *most = count,
            (false, true) => {}
            (false, false) => *least = 1,
        }
        if *letter == 'y' {
            if *most < 4 {
                return Err(refused(&"y".repeat(count), "four letters are needed before another number"));
            }
            *least = (*least).max(4);
        }
    }
    Ok(())
}

/// Checks that the letters together mean one moment.
fn check_complete(pattern: &str, parts: &[Part]) -> Result<(), PatternError> {
    let has = |letters: &str| {
        parts
            .iter()
            .any(|part| matches!(part, Part::Number { letter, .. } | Part::Name(letter) if letters.contains(*letter)))
    };
    let needs = [
        (has("y"), "a pattern needs a year; write yyyy"),
        (!has("hK") || has("a"), "h and K need a, or write H"),
        (!has("a") || has("hKHk"), "a needs an hour"),
        (!has("Eu") || has("dD"), "E and u need the day of the month or of the year"),
    ];
    needs.iter().find(|(is_met, _)| !is_met).map_or(Ok(()), |(_, reason)| Err(refused(pattern, reason)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_supported_is_refused_by_name_when_the_pattern_is_read() {
        for (pattern, letters, reason) in [
            ("InvalidPattern", "I", "not a letter"),
            ("yyyy-MM-dd q", "q", "not a letter"),
            ("yy-MM-dd", "yy", "century"),
            ("yMMdd", "y", "four letters"),
            ("yyyMMdd", "yyy", "four letters"),
            ("YYYY-'W'ww-u", "YYYY", "locale"),
            ("yyyy ww", "ww", "locale"),
            ("yyyy-MM W", "W", "locale"),
            ("yyyy-MM F E", "F", "locale"),
            ("yyyy-MM-dd HH:mm:ss.SSSSSS", "SSSSSS", "milliseconds"),
            ("yyyy-MM-dd zzzz", "zzzz", "locale"),
            ("yyyy-MM-dd XXXX", "XXXX", "three"),
            ("yyyy 'open", "'open", "quote"),
            ("", "", "year"),
            ("HH:mm", "HH:mm", "year"),
            ("yyyy-MM-dd hh:mm", "yyyy-MM-dd hh:mm", "need a"),
            ("yyyy-MM-dd K", "yyyy-MM-dd K", "need a"),
            ("yyyy-MM-dd a", "yyyy-MM-dd a", "an hour"),
            ("E yyyy", "E yyyy", "day of the month"),
            ("yyyy u", "yyyy u", "day of the month"),
        ] {
            let error = DatePattern::parse(pattern).unwrap_err();
            assert_eq!(error.letters, letters, "{pattern}");
            assert!(error.reason.contains(reason), "{pattern}: {error}");
        }
    }

    #[test]
    fn the_supported_letters_are_those_that_parse() {
        let supported: Vec<_> =
            SUPPORTED_LETTERS.split([',', ' ']).filter(|word| word.chars().all(char::is_alphabetic)).collect();
        for letter in ('a'..='z').chain('A'..='Z') {
            let is_supported = supported.contains(&letter.to_string().as_str());
            let pattern = format!("yyyy-MM-dd H a {letter}");
            assert_eq!(DatePattern::parse(&pattern).is_ok(), is_supported, "{letter}");
        }
    }
}
