//! The way of one shard's records to the collector.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::aggregate::{AggregationLimits, Aggregator, pack};
use super::backoff::Pause;
use super::limit::ShardLimiter;
use super::shard_map::Route;
use super::time::{after, earliest};
use super::unit::{LaneId, Origin, QueuedRecord, Unit};

/// One shard: what is packed for it, what waits for its limit, and whether it is left alone for a while.
#[derive(Debug)]
pub(crate) struct Lane {
    id: LaneId,
    route: Route,
    aggregation: AggregationLimits,
    aggregator: Aggregator,
    /// Kinesis records that wait for the limit, in the order of puts.
    ready: VecDeque<Unit>,
    limiter: ShardLimiter,
    pub(crate) pause: Pause,
    /// Kinesis records that have left and are not judged yet.
    pub(crate) out: usize,
    /// What is being packed goes without waiting for more.
    flush: bool,
    ordered: bool,
    /// When the lane is looked at again.
    pub(crate) wake: Option<Instant>,
    /// Whether it could send, had the collector room.
    pub(crate) is_stalled: bool,
}

impl Lane {
    pub(crate) fn new(
        id: LaneId,
        route: Route,
        aggregation: AggregationLimits,
        limiter: ShardLimiter,
        ordered: bool,
    ) -> Self {
        Self {
            id,
            route,
            aggregation,
            aggregator: Aggregator::new(aggregation),
            ready: VecDeque::new(),
            limiter,
            pause: Pause::default(),
            out: 0,
            flush: false,
            ordered,
            wake: None,
            is_stalled: false,
        }
    }

    /// Whether a Kinesis record has left this lane, and not an earlier one of the same route.
    pub(crate) fn is_of(&self, origin: &Origin) -> bool {
        self.id == origin.lane
    }

    pub(crate) const fn route(&self) -> &Route {
        &self.route
    }

    /// Packs by those limits from now on.
    pub(crate) fn set_limits(&mut self, aggregation: AggregationLimits) {
        self.finish_packing();
        self.aggregation = aggregation;
        self.aggregator = Aggregator::new(aggregation);
    }

    /// Adds a record behind all others; whether the lane wants to be looked at.
    pub(crate) fn add(&mut self, record: QueuedRecord) -> bool {
        let waiting = self.ready.len();
        let is_first = self.aggregator.oldest().is_none();
        let ready = &mut self.ready;
        self.aggregator.add(record, |unit| ready.push_back(unit));
        is_first || self.ready.len() > waiting
    }

    /// Takes records back that had left, or that belonged to another lane.
    pub(crate) fn return_records(&mut self, records: Vec<QueuedRecord>) {
        for unit in pack(self.aggregation, records).into_iter().rev() {
            self.return_unit(unit);
        }
    }

    /// Takes a Kinesis record back that had left.
    ///
    /// In ordered mode it belongs before everything that waits, because it left before; else by its age, so that the
    /// front is the first to expire.
    pub(crate) fn return_unit(&mut self, unit: Unit) {
        let place =
            if self.ordered { 0 } else { self.ready.partition_point(|other| other.sequence() < unit.sequence()) };
        self.ready.insert(place, unit);
    }

    /// Lets what is being packed go; what comes later waits for company again.
    pub(crate) fn flush(&mut self) {
        self.flush = self.aggregator.oldest().is_some();
    }

    /// A Kinesis record at the front with a member whose time is up.
    pub(crate) fn take_expired(&mut self, now: Instant, ttl: Duration) -> Option<Unit> {
        if self.aggregator.oldest().is_some_and(|oldest| after(oldest, ttl) <= now) {
            self.finish_packing();
        }
        let front = self.ready.front()?;
        if after(front.accepted_at(), ttl) > now {
            return None;
        }
        self.ready.pop_front()
    }

    /// Whether a Kinesis record may leave but for the number that are out, packing what is due.
    pub(crate) fn is_ready(&mut self, now: Instant, buffered_time: Duration) -> bool {
        let due = |oldest| self.flush || after(oldest, buffered_time) <= now;
        // While others wait for the limit, what is being packed may as well grow.
        if self.ready.is_empty() && self.aggregator.oldest().is_some_and(due) {
            self.finish_packing();
        }
        let Some(front) = self.ready.front() else {
            return false;
        };
        let size = front.size_bytes();
        self.pause.until(now).is_none() && self.limiter.ready_at(now, size) <= now
    }

    /// Lets the Kinesis record at the front leave, and counts it against the limit.
    pub(crate) fn take(&mut self, now: Instant) -> Option<Unit> {
        let size = self.ready.front()?.size_bytes();
        if !self.limiter.try_admit(now, size) {
            return None;
        }
        let mut unit = self.ready.pop_front()?;
        unit.origin = Some(Origin { route: self.route.clone(), lane: self.id });
        self.out += 1;
        Some(unit)
    }

    /// When to look again; `held` is a lane that may not send whatever the time.
    pub(crate) fn next_wake(
        &mut self,
        now: Instant,
        buffered_time: Duration,
        ttl: Duration,
        held: bool,
    ) -> Option<Instant> {
        let packing = self.aggregator.oldest();
        let oldest = earliest(packing, self.ready.front().map(Unit::accepted_at));
        let expiry = oldest.map(|oldest| after(oldest, ttl));
        let size = self.ready.front().map(Unit::size_bytes);
        let send = match (held, size, packing) {
            (true, ..) => None,
            (_, Some(size), _) => {
                let limit = self.limiter.ready_at(now, size);
                Some(self.pause.until(now).map_or(limit, |until| until.max(limit)))
            }
            (_, None, Some(oldest)) => Some(if self.flush { now } else { after(oldest, buffered_time) }),
            _ => None,
        };
        earliest(expiry, send)
    }

    /// Takes everything out that waits here.
    pub(crate) fn drain(&mut self) -> Vec<QueuedRecord> {
        self.finish_packing();
        self.ready.drain(..).flat_map(Unit::dissolve).collect()
    }

    fn finish_packing(&mut self) {
        self.flush = false;
        self.ready.extend(self.aggregator.finish());
        // Time or a flush ended it: who knows when the next record comes, and there may be ten thousand lanes.
        self.aggregator.shrink();
    }
}

#[cfg(test)]
mod tests {
    use kinesis_core::HashKeyRange;

    use super::super::fixtures::{record, record_at, start};
    use super::*;

    const BUFFERED: Duration = Duration::from_millis(100);
    const TTL: Duration = Duration::from_secs(30);
    const LIMITS: AggregationLimits = AggregationLimits { enabled: true, max_count: 10, max_size_bytes: 51_200 };

    fn lane(ordered: bool) -> Lane {
        let route = Route { shard: None, range: HashKeyRange::FULL, weight: 1 };
        Lane::new(0, route, LIMITS, ShardLimiter::new(100, 1, start()), ordered)
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn leave(lane: &mut Lane, now: Instant) -> Option<Vec<u64>> {
        lane.is_ready(now, BUFFERED)
            .then(|| lane.take(now))
            .flatten()
            .map(|unit| unit.members.iter().map(|member| member.tracker.sequence).collect())
    }

    #[test]
    fn records_leave_together_when_the_first_has_waited_its_time() {
        let mut lane = lane(false);
        assert!(lane.add(record(0, "k", b"x")), "the first sets the time");
        assert!(!lane.add(record_at(1, "k", b"x", start() + millis(60))));
        assert_eq!(lane.next_wake(start(), BUFFERED, TTL, false), Some(start() + BUFFERED));
        assert_eq!(leave(&mut lane, start() + millis(99)), None);
        assert_eq!(leave(&mut lane, start() + millis(100)), Some(vec![0, 1]));
        assert_eq!(lane.next_wake(start() + millis(100), BUFFERED, TTL, false), None);
    }

    #[test]
    fn a_flush_lets_what_is_packed_go_once() {
        let mut lane = lane(false);
        lane.add(record(0, "k", b"x"));
        lane.flush();
        assert_eq!(leave(&mut lane, start()), Some(vec![0]));
        lane.add(record(1, "k", b"x"));
        assert_eq!(leave(&mut lane, start()), None, "what comes later waits again");
    }

    #[test]
    fn while_the_limit_holds_the_next_aggregate_grows() {
        let mut lane = lane(false);
        // The burst is a quarter of a second: 262,144 bytes.
        for index in 0..7 {
            lane.add(record(index, "k", &[0; 51_000]));
        }
        let later = start() + millis(100);
        let mut left = Vec::new();
        while let Some(sequences) = leave(&mut lane, later) {
            left.push(sequences[0]);
        }
        assert_eq!(left, [0, 1, 2, 3, 4]);
        lane.add(record(7, "k", b"x"));
        let wake = lane.next_wake(later, BUFFERED, TTL, false).unwrap();
        assert!(wake > later && leave(&mut lane, wake).is_some());
    }

    #[test]
    fn a_paused_lane_waits_for_the_pause() {
        use kinesis_core::{Backoff, Randomness};
        let mut lane = lane(false);
        let backoff = Backoff::new(millis(1000), millis(1000), 1.0);
        lane.pause.fail(start(), start(), &backoff, &mut Randomness::from_seed(1).stream("retry"));
        let until = lane.pause.until(start()).unwrap();
        lane.add(record(0, "k", b"x"));
        lane.flush();
        assert!(!lane.is_ready(start(), BUFFERED) && lane.is_ready(until, BUFFERED));
        assert_eq!(lane.next_wake(start(), BUFFERED, TTL, false), Some(until));
    }

    #[test]
    fn whatever_waits_expires() {
        let mut lane = lane(false);
        lane.add(record(0, "k", b"x"));
        assert_eq!(lane.next_wake(start(), BUFFERED, TTL, true), Some(start() + TTL), "also where it may not send");
        assert!(lane.take_expired(start() + TTL - millis(1), TTL).is_none());
        assert_eq!(lane.take_expired(start() + TTL, TTL).unwrap().sequence(), 0);
        lane.add(record(1, "k", b"x"));
        assert!(lane.take_expired(start() + TTL, Duration::MAX).is_none(), "for ever does not overflow");
    }

    #[test]
    fn returned_records_stand_by_age_or_in_ordered_mode_first() {
        for (ordered, expected) in [(false, [3, 5, 7]), (true, [5, 3, 7])] {
            let mut lane = lane(ordered);
            lane.return_records(vec![record(7, "k", b"x")]);
            lane.return_records(vec![record(3, "k", b"x")]);
            lane.return_records(vec![record(5, "k", b"x")]);
            let order: Vec<_> = lane.drain().iter().map(|record| record.tracker.sequence).collect();
            assert_eq!(order, expected);
        }
    }
}
