//! Which hash keys are accounted for.

use kinesis_core::{HashKey, HashKeyRange};

/// A set of hash keys, as ascending ranges that neither overlap nor touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Coverage(Vec<(u128, u128)>);

impl Coverage {
    /// The union of ranges.
    pub(super) fn of(ranges: impl IntoIterator<Item = HashKeyRange>) -> Self {
        let mut ranges: Vec<_> = ranges.into_iter().map(|range| (range.start().value(), range.end().value())).collect();
        ranges.sort_unstable();
        let mut union: Vec<(u128, u128)> = Vec::with_capacity(ranges.len());
        for (start, end) in ranges {
            match union.last_mut() {
                Some((_, last)) if start <= last.saturating_add(1) => *last = end.max(*last),
                _ => union.push((start, end)),
            }
        }
        Self(union)
    }

    /// Whether every key of a range is in the set.
    pub(super) fn holds(&self, range: HashKeyRange) -> bool {
        let within = |(start, end): &(u128, u128)| *start <= range.start().value() && range.end().value() <= *end;
        self.0.iter().any(within)
    }

    /// Whether every key of another set is in this one.
    pub(super) fn holds_all(&self, other: &Self) -> bool {
        other.ranges().all(|range| self.holds(range))
    }

    fn ranges(&self) -> impl Iterator<Item = HashKeyRange> {
        self.0.iter().filter_map(|(start, end)| HashKeyRange::new(HashKey::new(*start), HashKey::new(*end)).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ranges: &[(u128, u128)]) -> Coverage {
        Coverage::of(
            ranges.iter().map(|(start, end)| HashKeyRange::new(HashKey::new(*start), HashKey::new(*end)).unwrap()),
        )
    }

    #[test]
    fn ranges_that_touch_or_overlap_become_one() {
        assert_eq!(set(&[(5, 9), (0, 4), (20, 30), (25, 40)]).0, [(0, 9), (20, 40)]);
        assert_eq!(set(&[(0, u128::MAX), (3, 4)]).0, [(0, u128::MAX)]);
    }

    #[test]
    fn a_hole_is_not_held() {
        let holed = set(&[(0, 4), (6, 9)]);
        assert!(holed.holds_all(&set(&[(1, 3), (6, 9)])) && holed.holds_all(&Coverage::default()));
        assert!(!holed.holds_all(&set(&[(3, 6)])) && !holed.holds_all(&set(&[(9, 10)])));
    }
}
