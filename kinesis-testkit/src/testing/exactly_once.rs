//! Compares what was expected with what came out, as multisets.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;

use crate::fake::FakeKinesis;
use crate::journal::Journal;

/// How many different items of a kind a report shows.
const EXAMPLES: usize = 5;

/// What came out, judged against what was expected.
///
/// Both are multisets: an item that is expected twice must come twice, in any order. The report shows totals and, in
/// their order, the first five items of each kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExactlyOnce<T> {
    expected: u64,
    actual: u64,
    lost: BTreeMap<T, u64>,
    duplicated: BTreeMap<T, u64>,
    unexpected: BTreeMap<T, u64>,
}

impl<T: Ord> ExactlyOnce<T> {
    /// Compares two multisets.
    pub fn compare(expected: impl IntoIterator<Item = T>, actual: impl IntoIterator<Item = T>) -> Self {
        let mut counts: BTreeMap<T, (u64, u64)> = BTreeMap::new();
        expected.into_iter().for_each(|item| counts.entry(item).or_default().0 += 1);
        actual.into_iter().for_each(|item| counts.entry(item).or_default().1 += 1);
        let mut report = Self {
            expected: 0,
            actual: 0,
            lost: BTreeMap::new(),
            duplicated: BTreeMap::new(),
            unexpected: BTreeMap::new(),
        };
        for (item, (expected, actual)) in counts {
            report.expected += expected;
            report.actual += actual;
            let (difference, count) = match expected {
                0 => (&mut report.unexpected, actual),
                _ if actual > expected => (&mut report.duplicated, actual - expected),
                _ => (&mut report.lost, expected - actual),
            };
            if count > 0 {
                difference.insert(item, count);
            }
        }
        report
    }

    /// Whether every item came as often as it was expected, and nothing else came.
    pub fn is_ok(&self) -> bool {
        self.lost.is_empty() && self.duplicated.is_empty() && self.unexpected.is_empty()
    }

    /// How many items were expected, repetitions counted.
    pub const fn expected(&self) -> u64 {
        self.expected
    }

    /// How many items came, repetitions counted.
    pub const fn actual(&self) -> u64 {
        self.actual
    }

    /// What came too seldom, and how often it is missing.
    pub const fn lost(&self) -> &BTreeMap<T, u64> {
        &self.lost
    }

    /// What was expected and came too often, and how often it is too much.
    pub const fn duplicated(&self) -> &BTreeMap<T, u64> {
        &self.duplicated
    }

    /// What was not expected at all, and how often it came.
    pub const fn unexpected(&self) -> &BTreeMap<T, u64> {
        &self.unexpected
    }
}

impl ExactlyOnce<Bytes> {
    /// Compares the data of every record that a stream stored with what a consumer has got.
    ///
    /// A stream of that name of any account and region counts; keep those you mean by
    /// [`FakeKinesis::owns`](crate::FakeKinesis::owns).
    /// What a writer stored twice is expected twice. An aggregate of the KPL is one record: compare what its members
    /// should be with [`compare`](Self::compare).
    pub fn of_journal<D: Into<Bytes>>(journal: &Journal, stream: &str, actual: impl IntoIterator<Item = D>) -> Self {
        let records = journal.records.iter().filter(|record| record.stream().as_str() == stream);
        Self::compare(records.map(|record| record.data()), actual.into_iter().map(Into::into))
    }
}

impl<T: fmt::Debug> fmt::Display for ExactlyOnce<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} expected, {} came", self.expected, self.actual)?;
        let kinds = [("lost", &self.lost), ("duplicated", &self.duplicated), ("unexpected", &self.unexpected)];
        for (kind, items) in kinds {
            if items.is_empty() {
                continue;
            }
            write!(f, "\n{kind} {} ({} different):", items.values().sum::<u64>(), items.len())?;
            for (item, count) in items.iter().take(EXAMPLES) {
                write!(f, " {item:?}")?;
                if *count > 1 {
                    write!(f, " x{count}")?;
                }
            }
            if items.len() > EXAMPLES {
                f.write_str(" …")?;
            }
        }
        Ok(())
    }
}

/// Asserts that every expected item came exactly as often as it is expected, and nothing else.
///
/// Two empty sides are equal: see to it that something is expected.
///
/// # Panics
/// With the report of [`ExactlyOnce`] where it is not so.
#[track_caller]
pub fn assert_exactly_once<T: Ord + fmt::Debug>(
    expected: impl IntoIterator<Item = T>,
    actual: impl IntoIterator<Item = T>,
) {
    let report = ExactlyOnce::compare(expected, actual);
    assert!(report.is_ok(), "not exactly once: {report}");
}

/// Asserts that a consumer has got the data of every record that a stream stored, each as often as it was stored.
///
/// # Panics
/// With the report of [`ExactlyOnce::of_journal`] where it is not so; where the fake keeps no journal; where the stream
/// never stored anything, since the assertion then says nothing.
#[track_caller]
pub fn assert_stored_once<D: Into<Bytes>>(fake: &FakeKinesis, stream: &str, actual: impl IntoIterator<Item = D>) {
    let mut journal = fake.journal();
    journal.records.retain(|record| fake.owns(record));
    let report = ExactlyOnce::of_journal(&journal, stream, actual);
    assert!(report.is_ok(), "not every stored record exactly once: {report}");
    assert!(report.expected() > 0, "the journal has no record of stream `{stream}`: nothing was put, or it is off");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_does_not_count_and_repetitions_do() {
        assert!(ExactlyOnce::compare(["a", "b", "a"], ["b", "a", "a"]).is_ok());
        assert!(!ExactlyOnce::compare(["a", "b", "a"], ["b", "a"]).is_ok());
        assert!(!ExactlyOnce::compare(["a", "b"], ["b", "a", "a"]).is_ok());
        assert!(!ExactlyOnce::compare(["a"], ["b"]).is_ok());
    }

    #[test]
    fn differences_are_told_apart_and_counted() {
        let report = ExactlyOnce::compare(["a", "b", "b", "b", "c"], ["a", "a", "a", "b", "d", "d", "c"]);
        assert_eq!(report.lost(), &BTreeMap::from([("b", 2)]));
        assert_eq!(report.duplicated(), &BTreeMap::from([("a", 2)]));
        assert_eq!(report.unexpected(), &BTreeMap::from([("d", 2)]));
        assert_eq!(
            report.to_string(),
            "5 expected, 7 came\nlost 2 (1 different): \"b\" x2\nduplicated 2 (1 different): \"a\" x2\n\
             unexpected 2 (1 different): \"d\" x2"
        );
    }

    #[test]
    fn a_report_shows_the_first_five() {
        let report = ExactlyOnce::compare(0..100, []);
        assert_eq!(report.to_string(), "100 expected, 0 came\nlost 100 (100 different): 0 1 2 3 4 …");
    }

    #[test]
    fn nothing_lost_and_nothing_gained_is_no_panic() {
        assert_exactly_once(["a", "b"], ["b", "a"]);
    }

    #[test]
    #[should_panic(expected = "lost 1 (1 different): \"b\"")]
    fn the_assertion_fails_where_something_is_lost() {
        assert_exactly_once(["a", "b"], ["a"]);
    }

    #[test]
    #[should_panic(expected = "duplicated 1 (1 different): \"a\"")]
    fn the_assertion_fails_where_something_comes_twice() {
        assert_exactly_once(["a", "b"], ["a", "b", "a"]);
    }

    #[test]
    #[should_panic(expected = "unexpected 1 (1 different): \"c\"")]
    fn the_assertion_fails_where_something_was_never_put() {
        assert_exactly_once(["a", "b"], ["a", "b", "c"]);
    }
}
