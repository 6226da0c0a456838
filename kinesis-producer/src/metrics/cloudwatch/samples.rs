//! Statistics of samples.

use std::sync::Arc;

use parking_lot::Mutex;

/// Samples that a meter adds to and an upload takes.
pub(crate) type SharedSamples = Arc<Mutex<Samples>>;

/// How many samples there were, their sum and their extremes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Samples {
    pub(crate) count: u64,
    pub(crate) sum: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Samples {
    /// Adds the same value that many times.
    pub(crate) fn add_many(&mut self, value: f64, count: u64) {
        self.merge(&Self { count, sum: value * count as f64, min: value, max: value });
    }

    /// Adds the samples of another place.
    pub(crate) fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = *other;
            return;
        }
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// Takes the samples out, so that only new ones are here.
    pub(crate) fn take(&mut self) -> Self {
        std::mem::take(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// KPL, accumulator_test.cc: 0 to 100, and what a flush leaves.
    #[test]
    fn samples_are_counted_summed_and_taken() {
        let mut samples = Samples::default();
        (0..=100).for_each(|value| samples.add_many(f64::from(value), 1));
        assert_eq!(samples, Samples { count: 101, sum: 5050.0, min: 0.0, max: 100.0 });
        assert_eq!(samples.sum / samples.count as f64, 50.0);
        assert_eq!(samples.take().count, 101);
        samples.add_many(7.0, 2);
        assert_eq!(samples, Samples { count: 2, sum: 14.0, min: 7.0, max: 7.0 }, "only new samples count");
    }

    #[test]
    fn merging_is_adding_one_by_one() {
        let of = |values: &[f64]| {
            let mut samples = Samples::default();
            values.iter().for_each(|value| samples.add_many(*value, 1));
            samples
        };
        for (left, right) in [(&[3.0, 1.0][..], &[5.0, 0.0][..]), (&[], &[-2.0, 4.0]), (&[2.0], &[]), (&[], &[])] {
            let mut merged = of(left);
            merged.merge(&of(right));
            assert_eq!(merged, of(&[left, right].concat()), "{left:?} and {right:?}");
        }
    }

    #[test]
    fn no_sample_at_all_is_no_zero() {
        let mut samples = Samples::default();
        samples.add_many(5.0, 0);
        samples.add_many(5.0, 1);
        assert_eq!(samples.min, 5.0);
    }
}
