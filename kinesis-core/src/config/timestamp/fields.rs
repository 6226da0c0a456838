//! A date as it is read field by field, and the moment that its fields mean.

use std::time::SystemTime;

use time::{Date, Month, UtcOffset};

use crate::config::timestamp::pattern::{DatePattern, Part};
use crate::time::from_unix_millis;

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
/// The letters of a name's short form.
const SHORT: usize = 3;

/// What became of a text under a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// The text does not have the pattern's shape.
    NoMatch,
    /// The shape is right, but there is no such moment from 1970 to 9999.
    NoSuchMoment,
    /// The moment.
    At(SystemTime),
}

/// The fields of a date; a field that is given twice must be the same.
#[derive(Debug, Default)]
struct Fields {
    is_impossible: bool,
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    weekday: Option<i64>,
    hour: Option<i64>,
    half: Option<i64>,
    hour_of_half: Option<i64>,
    minute: Option<i64>,
    second: Option<i64>,
    millis: Option<i64>,
    offset: Option<i64>,
}

impl DatePattern {
    /// Reads a whole text; nothing may be left over.
    pub(super) fn read(&self, text: &str) -> Reading {
        let mut fields = Fields::default();
        let mut rest = text;
        for part in &self.parts {
            match fields.take(part, rest) {
                Some(behind) => rest = behind,
                None => return Reading::NoMatch,
            }
        }
        if !rest.is_empty() {
            return Reading::NoMatch;
        }
        fields.moment().map_or(Reading::NoSuchMoment, Reading::At)
    }
}

impl Fields {
    /// Reads one part off the front.
    fn take<'a>(&mut self, part: &Part, text: &'a str) -> Option<&'a str> {
        match *part {
            Part::Literal(letter) => text.strip_prefix(letter),
            Part::Number { letter, least, most } => {
                let count = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
                let (number, rest) = text.split_at(count);
                let number = if count < least { None } else { number.parse().ok() };
                self.set(letter, number?);
                Some(rest)
            }
            Part::Name(letter) => {
                let (number, rest) = name(letter, text)?;
                self.set(letter, number);
                Some(rest)
            }
            Part::Zone(shape) => {
                let (offset, rest) = shape.take(text)?;
                self.set('Z', i64::from(offset));
                Some(rest)
            }
        }
    }

    fn set(&mut self, letter: char, value: i64) {
        let (field, allowed) = match letter {
            'y' => (&mut self.year, 1970..=9999),
            'M' | 'L' => (&mut self.month, 1..=12),
            'd' => (&mut self.day, 1..=31),
            'D' => (&mut self.day_of_year, 1..=366),
            'E' | 'u' => (&mut self.weekday, 1..=7),
            'H' => (&mut self.hour, 0..=23),
            'k' => (&mut self.hour, 1..=24),
            'a' => (&mut self.half, 0..=1),
            'K' => (&mut self.hour_of_half, 0..=11),
            'h' => (&mut self.hour_of_half, 1..=12),
            'm' => (&mut self.minute, 0..=59),
            's' => (&mut self.second, 0..=59),
            'S' => (&mut self.millis, 0..=999),
            'Z' => (&mut self.offset, -86_399..=86_399),
            // The era: only ours has dates from 1970 on.
            _ => {
                self.is_impossible |= value != 1;
                return;
            }
        };
        // The last hour of the letters that count from one is the first of the same day, as SimpleDateFormat has it.
        let stored = if matches!((letter, value), ('k', 24) | ('h', 12)) { 0 } else { value };
        let is_allowed = allowed.contains(&value) && *field.get_or_insert(stored) == stored;
        self.is_impossible |= !is_allowed;
    }

    fn moment(&self) -> Option<SystemTime> {
        if self.is_impossible {
            return None;
        }
        let small = |field: Option<i64>| u8::try_from(field.unwrap_or_default()).ok();
        let millis = u16::try_from(self.millis.unwrap_or_default()).ok()?;
        let offset = i32::try_from(self.offset.unwrap_or_default()).ok()?;
        let time =
            self.date()?.with_hms_milli(small(Some(self.hour()?))?, small(self.minute)?, small(self.second)?, millis);
        let moment = time.ok()?.assume_offset(UtcOffset::from_whole_seconds(offset).ok()?);
        u64::try_from(moment.unix_timestamp_nanos() / 1_000_000).ok().map(from_unix_millis)
    }

    /// The day; what is not given is that of 1970-01-01.
    fn date(&self) -> Option<Date> {
        let year = i32::try_from(self.year?).ok()?;
        let date = match self.day_of_year {
            Some(day) => Date::from_ordinal_date(year, u16::try_from(day).ok()?).ok()?,
            None => {
                let month = Month::try_from(u8::try_from(self.month.unwrap_or(1)).ok()?).ok()?;
                Date::from_calendar_date(year, month, u8::try_from(self.day.unwrap_or(1)).ok()?).ok()?
            }
        };
        let agrees = |field: Option<i64>, with: u8| field.is_none_or(|field| field == i64::from(with));
        let agrees = agrees(self.month, u8::from(date.month()))
            && agrees(self.day, date.day())
            && agrees(self.weekday, date.weekday().number_from_monday());
        agrees.then_some(date)
    }

    /// The hour, if both ways to give it agree.
    fn hour(&self) -> Option<i64> {
        let by_half = self.half.zip(self.hour_of_half).map(|(half, hour)| half * 12 + hour);
        let hour = self.hour.or(by_half).unwrap_or_default();
        let agrees = by_half.is_none_or(|by_half| by_half == hour) && self.half.is_none_or(|half| half == hour / 12);
        agrees.then_some(hour)
    }
}

/// Reads an English name off the front, in full or short, in any case; with its number.
fn name(letter: char, text: &str) -> Option<(i64, &str)> {
    let starts_with =
        |name: &str| text.split_at_checked(name.len()).is_some_and(|(start, _)| start.eq_ignore_ascii_case(name));
    let names: &[&str] = match letter {
        'M' | 'L' => &MONTHS,
        'E' => &WEEKDAYS,
        'a' => &["am", "pm"],
        _ => &["bc", "ad"],
    };
    let first = i64::from(matches!(letter, 'M' | 'L' | 'E'));
    (first..).zip(names).find_map(|(number, name)| {
        let taken = [*name, &name[..name.len().min(SHORT)]].into_iter().find(|name| starts_with(name))?;
        Some((number, &text[taken.len()..]))
    })
}
