//! How far a shard may be read ahead of the others.

use std::time::{Duration, SystemTime};

use super::shard::Contribution;

/// The watermark that a shard may have come to before it waits for the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Nobody is to be waited for.
    #[default]
    Unlimited,
    /// Somebody is to be waited for, and how far it is is not known yet.
    Unknown,
    Until(SystemTime),
}

impl Limit {
    /// Whether a record may be delivered with which its shard comes to `watermark`.
    ///
    /// By the watermark and not by the record's time: the shard that is the furthest behind is let through whatever the
    /// strategy, so that shards that wait never wait for each other.
    pub(crate) fn allows(self, watermark: Option<SystemTime>) -> bool {
        match (self, watermark) {
            (Self::Unlimited, _) | (_, None) => true,
            (Self::Unknown, Some(_)) => false,
            (Self::Until(limit), Some(watermark)) => watermark <= limit,
        }
    }
}

/// Keeps the shards of a job within `lookahead` of the one that is the furthest behind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Alignment {
    pub(super) lookahead: Duration,
}

impl Alignment {
    /// How far shards may be read now.
    ///
    /// A shard that was just seen empty at its tip has nothing to be waited for, silent as it may be. Nor is an end waited
    /// for whose child has another parent: that one has to be read on, and would wait for its own child.
    pub(super) fn limit(&self, shards: &[Contribution]) -> Limit {
        let behind = shards.iter().filter(|shard| !shard.is_free).map(|shard| shard.watermark).min();
        match behind {
            None => Limit::Unlimited,
            Some(None) => Limit::Unknown,
            Some(Some(watermark)) => watermark.checked_add(self.lookahead).map_or(Limit::Unlimited, Limit::Until),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_time::shard::tests::ms;

    fn reading(watermark: Option<i64>) -> Contribution {
        Contribution { watermark: watermark.map(ms), is_idle: false, is_free: false }
    }

    fn at_tip(watermark: Option<i64>) -> Contribution {
        Contribution { is_free: true, ..reading(watermark) }
    }

    const ALIGNMENT: Alignment = Alignment { lookahead: Duration::from_millis(100) };

    #[test]
    fn the_shard_that_is_the_furthest_behind_sets_the_limit() {
        assert_eq!(ALIGNMENT.limit(&[reading(Some(7)), reading(Some(5))]), Limit::Until(ms(105)));
    }

    #[test]
    fn shards_wait_until_each_has_told_how_far_it_is() {
        let limit = ALIGNMENT.limit(&[reading(Some(7)), reading(None)]);
        assert_eq!(limit, Limit::Unknown);
        assert!(limit.allows(None) && !limit.allows(Some(ms(7))));
    }

    #[test]
    fn what_is_empty_at_its_tip_is_not_waited_for() {
        assert_eq!(ALIGNMENT.limit(&[reading(Some(7)), at_tip(None), at_tip(Some(1))]), Limit::Until(ms(107)));
        assert_eq!(ALIGNMENT.limit(&[at_tip(None), at_tip(Some(1))]), Limit::Unlimited);
        assert_eq!(ALIGNMENT.limit(&[]), Limit::Unlimited);
    }

    #[test]
    fn a_lookahead_beyond_what_a_clock_can_show_is_none() {
        assert_eq!(Alignment { lookahead: Duration::MAX }.limit(&[reading(Some(7))]), Limit::Unlimited);
    }

    #[test]
    fn the_limit_itself_is_within_it() {
        let limit = Limit::Until(ms(105));
        assert!(limit.allows(Some(ms(105))) && !limit.allows(Some(ms(106))) && limit.allows(None));
    }
}
