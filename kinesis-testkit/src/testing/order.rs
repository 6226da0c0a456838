//! Checks that the items of each key came in order.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

/// How many breaches a report shows.
const EXAMPLES: usize = 5;

/// An item that came after a later one of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutOfOrder<K, P> {
    /// The key.
    pub key: K,
    /// The item that came too late.
    pub item: P,
    /// The last item of the key that came before it and belongs behind it.
    pub after: P,
}

/// Whether the items of each key came in their order.
///
/// Items of different keys may come in any order. An item that comes again right away is in order: that it is one too
/// many is for [`ExactlyOnce`](super::ExactlyOnce) to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderPerKey<K, P> {
    keys: usize,
    items: usize,
    out_of_order: Vec<OutOfOrder<K, P>>,
}

impl<K: Ord + Clone, P: PartialOrd + Clone> OrderPerKey<K, P> {
    /// Checks pairs of a key and an item, such as a number or a position, in the order in which they came.
    pub fn check(items: impl IntoIterator<Item = (K, P)>) -> Self {
        let belongs_behind = |before: &P, item: &P| before.partial_cmp(item).is_none_or(Ordering::is_gt);
        let mut last: BTreeMap<K, P> = BTreeMap::new();
        let mut report = Self { keys: 0, items: 0, out_of_order: Vec::new() };
        for (key, item) in items {
            report.items += 1;
            if let Some(before) = last.get(&key).filter(|before| belongs_behind(before, &item)) {
                let (key, after) = (key.clone(), before.clone());
                report.out_of_order.push(OutOfOrder { key, item: item.clone(), after });
            }
            last.insert(key, item);
        }
        report.keys = last.len();
        report
    }
}

impl<K, P> OrderPerKey<K, P> {
    /// Whether everything came in order.
    pub const fn is_ok(&self) -> bool {
        self.out_of_order.is_empty()
    }

    /// How many keys there were.
    pub const fn keys(&self) -> usize {
        self.keys
    }

    /// How many items there were.
    pub const fn items(&self) -> usize {
        self.items
    }

    /// What came too late, in the order in which it came.
    pub fn out_of_order(&self) -> &[OutOfOrder<K, P>] {
        &self.out_of_order
    }
}

impl<K: fmt::Debug, P: fmt::Debug> fmt::Display for OrderPerKey<K, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} items of {} keys, {} out of order", self.items, self.keys, self.out_of_order.len())?;
        for OutOfOrder { key, item, after } in self.out_of_order.iter().take(EXAMPLES) {
            write!(f, "\n{key:?}: {item:?} came after {after:?}")?;
        }
        if self.out_of_order.len() > EXAMPLES {
            f.write_str("\n…")?;
        }
        Ok(())
    }
}

/// Asserts that the items of each key came in order, given as pairs in the order in which they came.
///
/// # Panics
/// With the report of [`OrderPerKey`] where they did not.
#[track_caller]
pub fn assert_in_order_per_key<K, P>(items: impl IntoIterator<Item = (K, P)>)
where
    K: Ord + Clone + fmt::Debug,
    P: PartialOrd + Clone + fmt::Debug,
{
    let report = OrderPerKey::check(items);
    assert!(report.is_ok(), "not in order: {report}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_may_be_interleaved_and_items_repeated() {
        let report = OrderPerKey::check([("a", 1), ("b", 1), ("b", 2), ("a", 1), ("a", 7)]);
        assert!(report.is_ok());
        assert_eq!((report.keys(), report.items()), (2, 5));
    }

    #[test]
    fn a_step_back_is_found_and_shown() {
        let report = OrderPerKey::check([("a", 1), ("a", 3), ("b", 1), ("a", 2), ("a", 3)]);
        assert_eq!(report.out_of_order(), [OutOfOrder { key: "a", item: 2, after: 3 }]);
        assert_eq!(report.to_string(), "5 items of 2 keys, 1 out of order\n\"a\": 2 came after 3");
    }

    #[test]
    fn what_cannot_be_compared_is_out_of_order() {
        assert!(!OrderPerKey::check([("a", 1.0), ("a", f64::NAN)]).is_ok());
    }

    #[test]
    #[should_panic(expected = "\"a\": 0 came after 9")]
    fn the_assertion_fails_where_the_order_is_broken() {
        assert_in_order_per_key([("a", 0), ("a", 9), ("a", 0)]);
    }
}
