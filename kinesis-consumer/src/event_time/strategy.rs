//! From the times of a shard's records to its watermark.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::record::StreamShard;

/// Follows the times of one shard's records, in the order of the shard.
pub trait WatermarkGenerator: Send + 'static {
    /// Takes in the time of the next record that has one.
    ///
    /// After a restart a generator begins anew, and a record may be shown again that was not delivered yet.
    fn on_record(&mut self, time: SystemTime);

    /// The time before which no record of the shard is expected any more; nothing while that is not known.
    ///
    /// Asked after each record. A value before an earlier one is not used: a watermark never goes back.
    fn watermark(&self) -> Option<SystemTime>;
}

/// How a shard's watermark follows from its records; one generator per shard.
///
/// A watermark of `t` says that no record before `t` is expected any more. What comes all the same is late, and delivered
/// as anything else.
///
/// Flink's classic assigners are meant: its later ones subtract one millisecond more, since their watermark of `t` also
/// rules out records at `t`.
#[derive(Clone)]
pub struct WatermarkStrategy(Arc<MakeGenerator>);

type MakeGenerator = dyn Fn(&StreamShard) -> Box<dyn WatermarkGenerator> + Send + Sync;

impl WatermarkStrategy {
    /// For records whose times ascend within a shard: the watermark is the largest so far.
    ///
    /// Arrival times, the default, are close to that; a service that puts a record's time a little before the one of its
    /// predecessor makes it late by as much.
    pub fn monotonous() -> Self {
        Self::bounded_out_of_orderness(Duration::ZERO)
    }

    /// For records that are late by at most `bound`: the watermark is that far behind the largest time so far.
    pub fn bounded_out_of_orderness(bound: Duration) -> Self {
        Self::custom(move |_| Bounded { bound, largest: None })
    }

    /// Generators of your own; `make` is called for each shard that is begun.
    pub fn custom<G: WatermarkGenerator>(make: impl Fn(&StreamShard) -> G + Send + Sync + 'static) -> Self {
        Self(Arc::new(move |shard| Box::new(make(shard))))
    }

    pub(super) fn generator(&self, shard: &StreamShard) -> Box<dyn WatermarkGenerator> {
        self.0(shard)
    }
}

impl fmt::Debug for WatermarkStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatermarkStrategy").finish_non_exhaustive()
    }
}

struct Bounded {
    bound: Duration,
    largest: Option<SystemTime>,
}

impl WatermarkGenerator for Bounded {
    fn on_record(&mut self, time: SystemTime) {
        self.largest = self.largest.max(Some(time));
    }

    fn watermark(&self) -> Option<SystemTime> {
        self.largest?.checked_sub(self.bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_time::shard::tests::{ms, shard};

    fn watermarks(strategy: &WatermarkStrategy, times: &[i64]) -> Vec<SystemTime> {
        let mut generator = strategy.generator(&shard(0));
        let after = |time: &i64| {
            generator.on_record(ms(*time));
            generator.watermark().unwrap()
        };
        times.iter().map(after).collect()
    }

    #[test]
    fn ascending_times_are_their_own_watermark() {
        assert_eq!(watermarks(&WatermarkStrategy::monotonous(), &[1, 3, 2, 5]), [1, 3, 3, 5].map(ms));
    }

    #[test]
    fn out_of_order_times_leave_room_behind_the_largest() {
        let strategy = WatermarkStrategy::bounded_out_of_orderness(Duration::from_millis(5));
        assert_eq!(watermarks(&strategy, &[1, 2, 10, 4]), [-4, -3, 5, 5].map(ms));
    }

    #[test]
    fn a_bound_beyond_what_a_clock_can_show_has_no_watermark() {
        let mut generator = WatermarkStrategy::bounded_out_of_orderness(Duration::MAX).generator(&shard(0));
        generator.on_record(ms(1));
        assert_eq!(generator.watermark(), None);
    }
}
