//! One stream: its lanes, its collector, its shard map.

mod answer;
#[cfg(test)]
mod contradictions;
#[cfg(test)]
mod kpl_findings;
mod remap;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use kinesis_core::{HashKey, RandomStream, SequenceNumber, ShardId, StreamName};
use tokio::time::Instant;

use super::aggregate::AggregationLimits;
use super::backoff::Pause;
use super::collect::{CollectionLimits, Collector};
use super::kpl_rule::KplRule;
use super::lane::Lane;
use super::ledger::Ledger;
use super::limit::ShardLimiter;
use super::measure::StreamMeter;
use super::opening::{StreamInfo, StreamSettings};
use super::order::OrderGuard;
use super::shard_map::{MapRefresh, Route, ShardMap};
use super::time::{after, earliest};
use super::unit::{LaneId, QueuedRecord, Tracker, Unit};
use crate::config::ProducerConfig;
use crate::outcome::FailureCause;

/// The most members of an aggregate: what 1 MiB can hold, which every decoder takes by default.
const MOST_MEMBERS: usize = 174_762;

/// After so many readings that did not explain where aggregates landed, the stream is taken for one that distributes
/// records by itself, and they go alone until its shards change.
const MOST_UNEXPLAINED: u32 = 3;

/// So long after the last answer a stream may be another of the same name; deleting one and creating another takes longer.
const SILENCE: Duration = Duration::from_secs(10);

/// A reading of a stream's shards that begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// Whether limit and mode are to be read again, too.
    pub(crate) describes: bool,
    /// Limit and mode as far as they are known.
    pub(crate) known: StreamSettings,
}

/// What every decision is given.
pub(crate) struct Context<'a> {
    pub(crate) now: Instant,
    pub(crate) ledger: &'a mut Ledger,
    pub(crate) random: &'a mut RandomStream,
    /// Whether a flush waits, so that nothing should be collected for long.
    pub(crate) urgent: bool,
}

/// An aggregate that is stored in a shard that may not be its own.
#[derive(Debug)]
struct Landed {
    unit: Unit,
    shard: ShardId,
    sequence_number: SequenceNumber,
    started: Instant,
    duration: Duration,
    /// How many readings of the map had begun by then: only a later one can say that it is in the wrong shard.
    readings: u64,
}

/// A stream whose limits and shards are known.
#[derive(Debug)]
pub(crate) struct OpenStream {
    name: StreamName,
    config: Arc<ProducerConfig>,
    settings: StreamSettings,
    map: ShardMap,
    refresh: MapRefresh,
    map_pause: Pause,
    /// One for each route of the map, at the same index.
    lanes: Vec<Lane>,
    wakes: BTreeSet<(Instant, usize)>,
    /// Lanes that could send, had the collector room; each at most once.
    stalled: VecDeque<usize>,
    collector: Collector,
    pause: Pause,
    /// Requests without an answer.
    requests: usize,
    /// When the service last answered for this stream.
    heard_at: Instant,
    /// Aggregates that a newer shard map will judge.
    landed: Vec<Landed>,
    order: OrderGuard,
    next_lane: LaneId,
    /// How often in a row the map did not explain where aggregates landed.
    unexplained: u32,
    pub(super) meter: StreamMeter,
}

impl OpenStream {
    /// Opens a stream; nothing where none of its shards is open.
    pub(crate) fn new(name: StreamName, config: Arc<ProducerConfig>, info: &StreamInfo, now: Instant) -> Option<Self> {
        let map = ShardMap::new(&info.shards, info.settings.by_partition_key)?;
        let mut stream = Self {
            name,
            settings: info.settings,
            refresh: MapRefresh::new(now),
            map_pause: Pause::default(),
            lanes: Vec::new(),
            wakes: BTreeSet::new(),
            stalled: VecDeque::new(),
            collector: Collector::new(CollectionLimits::new(&config)),
            pause: Pause::default(),
            requests: 0,
            heard_at: now,
            landed: Vec::new(),
            order: OrderGuard::default(),
            next_lane: 0,
            unexplained: 0,
            meter: StreamMeter::default(),
            map,
            config,
        };
        let routes = stream.map.routes().to_vec();
        stream.lanes = routes.into_iter().map(|route| stream.new_lane(route, now)).collect();
        Some(stream)
    }

    fn aggregation_limits(&self) -> AggregationLimits {
        // The outer partition key of an aggregate is one byte of the stream's limit.
        let max_size_bytes =
            self.config.aggregation_max_size_bytes.min(self.settings.record_limit_bytes.saturating_sub(1));
        AggregationLimits {
            enabled: self.config.aggregation && self.settings.by_partition_key && self.unexplained < MOST_UNEXPLAINED,
            max_count: self.config.aggregation_max_count.min(MOST_MEMBERS),
            max_size_bytes,
        }
    }

    fn new_lane(&mut self, route: Route, now: Instant) -> Lane {
        let id = self.next_lane;
        self.next_lane += 1;
        let limiter = if self.config.follows(KplRule::LimitAggregatesOnly) && !self.config.aggregation {
            ShardLimiter::new(u64::MAX, route.weight, now)
        } else if self.config.follows(KplRule::BurstTenMebibytes) {
            ShardLimiter::with_burst(self.config.rate_limit as f64 / 100.0, 10.0, now)
        } else {
            ShardLimiter::new(self.config.rate_limit, route.weight, now)
        };
        Lane::new(id, route, self.aggregation_limits(), limiter, self.config.ordered)
    }

    /// Takes a record in.
    pub(crate) fn accept(&mut self, record: QueuedRecord, ctx: &mut Context<'_>) {
        if let Some(cause) = self.refusal(&record) {
            self.measure_loss(record.hash_key, &record.tracker, &cause, ctx.now);
            ctx.ledger.give_up(record.tracker, &self.name, cause);
            return;
        }
        let index = self.map.predict(record.hash_key);
        if self.config.follows(KplRule::ForgetMapWhileReading) && self.refresh.is_running() {
            return self.collector.push(Unit::single(record), index, ctx.now);
        }
        if self.lanes[index].add(record) {
            self.advance_lane(index, ctx);
        }
    }

    fn refusal(&self, record: &QueuedRecord) -> Option<FailureCause> {
        let counts_key = !self.config.follows(KplRule::KeepPoisonInCompany);
        let size_bytes = if counts_key { record.tracker.size_bytes as usize } else { record.data.len() };
        if size_bytes > self.settings.record_limit_bytes {
            return Some(FailureCause::RecordTooLarge { size_bytes, limit_bytes: self.settings.record_limit_bytes });
        }
        if self.config.ordered && !self.settings.by_partition_key {
            return Some(FailureCause::OrderUnavailable);
        }
        (self.config.ordered && self.order.is_broken(&record.partition_key)).then_some(FailureCause::OrderBroken)
    }

    /// Accepts records of a key again whose order was broken.
    pub(crate) fn acknowledge(&mut self, partition_key: &str) {
        self.order.acknowledge(partition_key);
    }

    /// Lets everything that waits for company go.
    pub(crate) fn flush(&mut self, ctx: &mut Context<'_>) {
        self.lanes.iter_mut().for_each(Lane::flush);
        self.collector.flush(ctx.now);
        self.advance_all(ctx);
    }

    /// Does what time alone makes due.
    pub(crate) fn advance(&mut self, ctx: &mut Context<'_>) {
        while let Some(&(wake, index)) = self.wakes.first() {
            if wake > ctx.now {
                break;
            }
            self.wakes.pop_first();
            self.lanes[index].wake = None;
            self.advance_lane(index, ctx);
        }
        self.expire_collected(ctx);
        self.expire_landed(ctx);
    }

    /// When [`advance`](Self::advance), [`take_request`](Self::take_request) or a reading of the map is due.
    pub(crate) fn next_deadline(&self, now: Instant, may_send: bool) -> Option<Instant> {
        let wake = self.wakes.first().map(|(wake, _)| *wake);
        let waiting = self.landed.iter().map(|landed| landed.unit.accepted_at());
        let oldest = earliest(self.collector.oldest(), waiting.min());
        let expiry = oldest.map(|oldest| after(oldest, self.config.record_ttl));
        let request = if may_send { self.request_due_at(now) } else { None };
        earliest(earliest(wake, expiry), earliest(request, self.map_due_at(now)))
    }

    fn request_due_at(&self, now: Instant) -> Option<Instant> {
        // After a failure one request goes ahead, so that they do not all come back at the same instant.
        if self.pause.failures() > 0 && self.requests > 0 {
            return None;
        }
        let due = self.collector.due_at(now)?;
        Some(self.pause.until(now).map_or(due, |until| until.max(due)))
    }

    /// When to read the shard map, if that is wanted.
    pub(crate) fn map_due_at(&self, now: Instant) -> Option<Instant> {
        let due = self.refresh.due_at()?;
        Some(self.map_pause.until(now).map_or(due, |until| until.max(due)))
    }

    /// Takes note that the shard map is being read; the settings that need not be read again.
    pub(crate) fn start_map_reading(&mut self) -> Reading {
        Reading { describes: self.refresh.start(), known: self.settings }
    }

    /// A request that is due.
    pub(crate) fn take_request(&mut self, ctx: &mut Context<'_>) -> Option<Vec<Unit>> {
        if self.request_due_at(ctx.now)? > ctx.now {
            return None;
        }
        let units = self.collector.take(ctx.now)?;
        self.requests += 1;
        self.doubt_silence(&units, ctx.now);
        self.resume_stalled(ctx);
        Some(units)
    }

    /// Takes note that nothing was heard of the stream for a while, in which it may have been deleted and created again.
    ///
    /// Its shards then have the same names, and may have other ranges. Only aggregates depend on these.
    fn doubt_silence(&mut self, units: &[Unit], now: Instant) {
        let is_silent = now.saturating_duration_since(self.heard_at) >= SILENCE;
        if is_silent && units.iter().any(Unit::is_aggregate) {
            self.refresh.doubt();
        }
    }

    /// Gives lanes that waited for room their turn, the longest first.
    fn resume_stalled(&mut self, ctx: &mut Context<'_>) {
        while !self.collector.is_full() {
            let Some(index) = self.stalled.pop_front() else { break };
            if std::mem::take(&mut self.lanes[index].is_stalled) {
                self.advance_lane(index, ctx);
            }
        }
    }

    fn advance_all(&mut self, ctx: &mut Context<'_>) {
        for index in 0..self.lanes.len() {
            self.advance_lane(index, ctx);
        }
    }

    /// Moves what may go from a lane to the collector, and sets when to look again.
    fn advance_lane(&mut self, index: usize, ctx: &mut Context<'_>) {
        if !self.config.follows(KplRule::TrustOldMap) {
            self.refresh.request_if_older(self.config.map_max_age, ctx.now);
        }
        while let Some(unit) = self.lanes[index].take_expired(ctx.now, self.config.record_ttl) {
            self.expire_in_lane(unit, index, ctx);
        }
        let mut stalled = false;
        while !self.is_held(index) && self.lanes[index].is_ready(ctx.now, self.config.record_max_buffered_time) {
            if self.collector.is_full() {
                stalled = true;
                break;
            }
            let Some(unit) = self.lanes[index].take(ctx.now) else { break };
            self.collector.push(unit, index, ctx.now);
            if ctx.urgent {
                self.collector.flush(ctx.now);
            }
        }
        // One that waits already keeps its place.
        if stalled && !std::mem::replace(&mut self.lanes[index].is_stalled, stalled) {
            self.stalled.push_back(index);
        }
        self.lanes[index].is_stalled = stalled;
        self.set_wake(index, ctx.now);
    }

    /// Whether the lane may not send whatever the time: for the order's sake, or for want of room.
    fn is_held(&self, index: usize) -> bool {
        let lane = &self.lanes[index];
        self.config.ordered && (lane.out > 0 || self.order.holds(&lane.route().range))
    }

    fn set_wake(&mut self, index: usize, now: Instant) {
        let held = self.is_held(index) || self.lanes[index].is_stalled;
        let lane = &mut self.lanes[index];
        let wake = lane.next_wake(now, self.config.record_max_buffered_time, self.config.record_ttl, held);
        if wake == lane.wake {
            return;
        }
        if let Some(before) = std::mem::replace(&mut lane.wake, wake) {
            self.wakes.remove(&(before, index));
        }
        self.wakes.extend(wake.map(|wake| (wake, index)));
    }

    fn expire_in_lane(&mut self, unit: Unit, index: usize, ctx: &mut Context<'_>) {
        let alive = self.settle(unit, ctx);
        self.lanes[index].return_records(alive);
    }

    fn expire_collected(&mut self, ctx: &mut Context<'_>) {
        let (now, ttl) = (ctx.now, self.config.record_ttl);
        let is_young = self.collector.oldest().is_none_or(|oldest| after(oldest, ttl) > now);
        if is_young || self.config.follows(KplRule::CollectExpired) {
            return;
        }
        for unit in self.collector.extract(now, |unit| after(unit.accepted_at(), ttl) <= now) {
            let home = self.release(&unit);
            let alive = self.settle(unit, ctx);
            self.redistribute(alive, ctx);
            home.into_iter().for_each(|index| self.advance_lane(index, ctx));
        }
        self.resume_stalled(ctx);
    }

    /// Gives up the members whose time is up, and those whose order is broken by that; the others stay.
    fn settle(&mut self, unit: Unit, ctx: &mut Context<'_>) -> Vec<QueuedRecord> {
        let (now, ttl) = (ctx.now, self.config.record_ttl);
        let is_over = |accepted_at| after(accepted_at, ttl) <= now;
        let youngest = unit.members.iter().map(|member| member.tracker.accepted_at).max();
        if !self.config.ordered && youngest.is_some_and(is_over) {
            let cause = FailureCause::Expired { ttl, last: unit.history.last() };
            self.give_up_unit(unit, &cause, ctx);
            return Vec::new();
        }
        self.settle_records(unit.dissolve(), ctx)
    }

    /// The same for records in the order of their puts.
    fn settle_records(&mut self, records: Vec<QueuedRecord>, ctx: &mut Context<'_>) -> Vec<QueuedRecord> {
        let (now, ttl) = (ctx.now, self.config.record_ttl);
        let mut alive = Vec::with_capacity(records.len());
        let mut broken = BTreeSet::new();
        for record in records {
            let cause = if self.config.ordered && !self.settings.by_partition_key {
                FailureCause::OrderUnavailable
            } else if self.config.ordered && self.order.is_broken(&record.partition_key) {
                FailureCause::OrderBroken
            } else if after(record.tracker.accepted_at, ttl) <= now {
                let last =
                    record.tracker.history.as_ref().map_or_else(|| "none was made".into(), |history| history.last());
                FailureCause::Expired { ttl, last }
            } else {
                alive.push(record);
                continue;
            };
            broken.extend(self.give_up_record(record, cause, ctx));
        }
        if !broken.is_empty() {
            self.purge(&broken, ctx);
            alive = self.settle_records(alive, ctx);
        }
        alive
    }

    /// Gives a record up; the lane of its key, where that breaks the key's order.
    fn give_up_record(&mut self, record: QueuedRecord, cause: FailureCause, ctx: &mut Context<'_>) -> Option<usize> {
        self.measure_loss(record.hash_key, &record.tracker, &cause, ctx.now);
        let unknown = ctx.ledger.give_up(record.tracker, &self.name, cause);
        let is_new = unknown && self.config.ordered && self.order.break_key(&record.partition_key);
        // All records of a key have one hash key.
        is_new.then(|| self.map.predict(record.hash_key))
    }

    /// Gives up what waits in those lanes of keys whose order is broken.
    fn purge(&mut self, lanes: &BTreeSet<usize>, ctx: &mut Context<'_>) {
        for &index in lanes {
            let mut alive = Vec::new();
            for record in self.lanes[index].drain() {
                if self.order.is_broken(&record.partition_key) {
                    self.give_up_record(record, FailureCause::OrderBroken, ctx);
                } else {
                    alive.push(record);
                }
            }
            self.lanes[index].return_records(alive);
            self.set_wake(index, ctx.now);
        }
    }

    /// Gives a Kinesis record up with all its members.
    fn give_up_unit(&mut self, unit: Unit, cause: &FailureCause, ctx: &mut Context<'_>) {
        if !self.config.ordered {
            let hash_key = unit.explicit_hash_key();
            for tracker in unit.into_trackers() {
                self.measure_loss(hash_key, &tracker, cause, ctx.now);
                ctx.ledger.give_up(tracker, &self.name, cause.clone());
            }
            return;
        }
        let mut broken = BTreeSet::new();
        for record in unit.dissolve() {
            broken.extend(self.give_up_record(record, cause.clone(), ctx));
        }
        self.purge(&broken, ctx);
    }

    /// Measures a record that is given up, as one of the shard that its hash key belongs to now.
    fn measure_loss(&mut self, hash_key: HashKey, tracker: &Tracker, cause: &FailureCause, now: Instant) {
        if self.meter.is_on() {
            let shard = self.map.routes()[self.map.predict(hash_key)].shard.as_ref();
            self.meter.given_up(tracker, shard, cause, now);
        }
    }

    /// Puts records into the lanes that they belong to now, before what waits there.
    fn redistribute(&mut self, records: Vec<QueuedRecord>, ctx: &mut Context<'_>) {
        let mut by_lane = BTreeMap::<_, Vec<_>>::new();
        for record in records {
            by_lane.entry(self.map.predict(record.hash_key)).or_default().push(record);
        }
        for (index, records) in by_lane {
            self.lanes[index].return_records(records);
            self.advance_lane(index, ctx);
        }
    }

    /// Gives up everything that has no outcome, and those Kinesis records that are on their way.
    pub(crate) fn abandon(&mut self, on_their_way: Vec<Unit>, cause: &FailureCause, ctx: &mut Context<'_>) {
        let landed = std::mem::take(&mut self.landed).into_iter().map(Landed::into_unjudged);
        let mut units: Vec<_> = on_their_way.into_iter().chain(landed).collect();
        units.extend(self.collector.extract(ctx.now, |_| true));
        let mut given_up: Vec<_> = units
            .into_iter()
            .flat_map(|unit| std::iter::repeat(unit.explicit_hash_key()).zip(unit.into_trackers()))
            .collect();
        let waiting = self.lanes.iter_mut().flat_map(Lane::drain);
        given_up.extend(waiting.map(|record| (record.hash_key, record.tracker)));
        for (hash_key, tracker) in given_up {
            self.measure_loss(hash_key, &tracker, cause, ctx.now);
            ctx.ledger.give_up(tracker, &self.name, cause.clone());
        }
    }

    /// Takes note that a Kinesis record is judged or taken back; the lane that it left, where that is still there.
    fn release(&mut self, unit: &Unit) -> Option<usize> {
        let origin = unit.origin.as_ref()?;
        let index = self.map.predict(origin.route.range.end());
        if self.lanes[index].is_of(origin) {
            self.lanes[index].out -= 1;
            return Some(index);
        }
        self.order.remove_foreign(&origin.route.range);
        None
    }
}
