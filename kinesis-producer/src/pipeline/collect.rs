//! Collecting Kinesis records into requests.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::unit::Unit;
use crate::config::ProducerConfig;

/// So many bytes for one shard send the request, whatever else is in it (KPL, pipeline.h).
const SHARD_BYTES: usize = 256 * 1024;

/// The most that a request may hold on any stream (API reference, PutRecords).
const MAX_REQUEST_BYTES: usize = 10 * 1024 * 1024;

/// How large a request may become, and how long it may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CollectionLimits {
    max_count: usize,
    max_size_bytes: usize,
    buffered_time: Duration,
    /// What a Kinesis record waits at least, so that those of other shards can join it.
    min_wait: Duration,
    /// In ordered mode a shard sends nothing more until this is answered, so that nothing is gained by waiting.
    immediate: bool,
}

impl CollectionLimits {
    pub(crate) fn new(config: &ProducerConfig) -> Self {
        let wait = (config.record_max_buffered_time / 5).min(Duration::from_millis(50));
        Self {
            max_count: config.collection_max_count,
            max_size_bytes: config.collection_max_size_bytes.min(MAX_REQUEST_BYTES),
            buffered_time: config.record_max_buffered_time,
            immediate: config.ordered,
            min_wait: if config.aggregation { wait } else { Duration::ZERO },
        }
    }

    /// When a Kinesis record should go that comes now: with its buffering time, and not before others could join.
    fn due_at(&self, unit: &Unit, now: Instant) -> Instant {
        if self.immediate {
            return now;
        }
        let buffered = unit.accepted_at().checked_add(self.buffered_time).unwrap_or(now);
        buffered.max(now + self.min_wait)
    }
}

/// The Kinesis records of one stream that may be sent, until there is reason to.
#[derive(Debug)]
pub(crate) struct Collector {
    limits: CollectionLimits,
    units: VecDeque<Unit>,
    size_bytes: usize,
    /// Bytes by shard, while none of them has reached [`SHARD_BYTES`].
    by_shard: BTreeMap<usize, usize>,
    due_at: Option<Instant>,
    /// Requests put together before, to be sent as they are.
    fixed: VecDeque<Vec<Unit>>,
}

impl Collector {
    pub(crate) fn new(limits: CollectionLimits) -> Self {
        Self {
            limits,
            units: VecDeque::new(),
            size_bytes: 0,
            by_shard: BTreeMap::new(),
            due_at: None,
            fixed: VecDeque::new(),
        }
    }

    /// Adds a Kinesis record of the shard at that place in the map.
    pub(crate) fn push(&mut self, unit: Unit, shard: usize, now: Instant) {
        let (size, due) = (unit.size_bytes(), self.limits.due_at(&unit, now));
        let shard_bytes = self.by_shard.entry(shard).or_default();
        *shard_bytes += size;
        self.size_bytes += size;
        let due = if *shard_bytes >= SHARD_BYTES || size >= self.limits.max_size_bytes { now } else { due };
        self.due_at = Some(self.due_at.map_or(due, |earlier| earlier.min(due)));
        self.units.push_back(unit);
    }

    /// Adds a request that is sent as it is.
    pub(crate) fn push_fixed(&mut self, units: Vec<Unit>) {
        self.fixed.push_back(units);
    }

    /// Makes everything that is here due.
    pub(crate) fn flush(&mut self, now: Instant) {
        if !self.units.is_empty() {
            self.due_at = Some(now);
        }
    }

    /// Whether a whole request is here, so that nothing more should come.
    pub(crate) fn is_full(&self) -> bool {
        self.units.len() >= self.limits.max_count || self.size_bytes >= self.limits.max_size_bytes
    }

    /// When there is something to send.
    pub(crate) fn due_at(&self, now: Instant) -> Option<Instant> {
        if self.is_full() || !self.fixed.is_empty() { Some(now) } else { self.due_at }
    }

    /// A request that is due.
    pub(crate) fn take(&mut self, now: Instant) -> Option<Vec<Unit>> {
        if let Some(units) = self.fixed.pop_front() {
            return Some(units);
        }
        if self.due_at(now)? > now {
            return None;
        }
        let mut size = 0;
        let mut count = 0;
        for unit in self.units.iter().take(self.limits.max_count) {
            size += unit.size_bytes();
            if count > 0 && size > self.limits.max_size_bytes {
                size -= unit.size_bytes();
                break;
            }
            count += 1;
        }
        let units: Vec<_> = self.units.drain(..count).collect();
        self.size_bytes -= size;
        self.by_shard.clear();
        self.due_at = (!self.units.is_empty()).then_some(now);
        Some(units)
    }

    /// Takes out what no longer fits a new shard map; what stays is due, since its places are no longer known.
    pub(crate) fn extract(&mut self, now: Instant, mut leaves: impl FnMut(&Unit) -> bool) -> Vec<Unit> {
        let fixed = self.fixed.iter_mut().flat_map(std::mem::take);
        let (out, stay): (Vec<_>, Vec<_>) = self.units.drain(..).chain(fixed).partition(|unit| leaves(unit));
        self.fixed.clear();
        self.by_shard.clear();
        self.size_bytes = stay.iter().map(Unit::size_bytes).sum();
        self.due_at = (!stay.is_empty()).then_some(now);
        self.units = stay.into();
        out
    }

    /// When the first Kinesis record here was accepted.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.units.iter().chain(self.fixed.iter().flatten()).map(Unit::accepted_at).min()
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{record_at, start};
    use super::*;

    fn unit(size: usize) -> Unit {
        Unit::single(record_at(0, "k", &vec![0; size - 1], start()))
    }

    fn collector(config: ProducerConfig) -> Collector {
        Collector::new(CollectionLimits::new(&config))
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn the_five_hundredth_record_fills_a_request() {
        let mut collector = collector(ProducerConfig::default());
        for count in 1..=500 {
            collector.push(unit(10), count, start());
            assert_eq!(collector.is_full(), count == 500);
        }
        collector.push(unit(10), 0, start());
        assert_eq!(collector.take(start()).unwrap().len(), 500);
        assert_eq!(collector.take(start()).unwrap().len(), 1, "what is left over is due too");
        assert!(collector.take(start()).is_none());
    }

    #[test]
    fn no_request_exceeds_the_size_but_by_a_single_record() {
        let mut collector = collector(ProducerConfig::default().collection_max_size_bytes(60_000));
        for (shard, size) in [30_000, 29_999, 2, 70_000, 10].into_iter().enumerate() {
            collector.push(unit(size), shard, start());
        }
        let sizes: Vec<Vec<usize>> = std::iter::from_fn(|| collector.take(start()))
            .map(|units| units.iter().map(Unit::size_bytes).collect())
            .collect();
        assert_eq!(sizes, [vec![30_000, 29_999], vec![2], vec![70_000], vec![10]]);
        assert!(!collector.is_full());
    }

    #[test]
    fn a_quarter_of_a_mebibyte_for_one_shard_sends_everything() {
        let mut collector = collector(ProducerConfig::default());
        collector.push(unit(100), 0, start());
        for _ in 0..5 {
            collector.push(unit(50_000), 1, start());
        }
        assert!(collector.take(start()).is_none(), "250,000 bytes are less");
        collector.push(unit(12_144), 1, start());
        assert_eq!(collector.take(start()).unwrap().len(), 7);
    }

    #[test]
    fn a_record_waits_for_others_of_its_request() {
        let due = |buffered: u64, aggregation: bool, after: u64| {
            let config = ProducerConfig::default().record_max_buffered_time(millis(buffered)).aggregation(aggregation);
            let mut collector = collector(config);
            let now = start() + millis(after);
            collector.push(unit(10), 0, now);
            collector.due_at(now).unwrap().duration_since(now).as_millis()
        };
        assert_eq!(due(100, true, 100), 20, "a fifth of the buffering time");
        assert_eq!(due(250, true, 250), 50);
        assert_eq!(due(1000, true, 1000), 50, "at most 50 ms");
        assert_eq!(due(0, true, 0), 0);
        assert_eq!(due(100, false, 100), 0, "without aggregation the buffering time is all");
        assert_eq!(due(100, true, 30), 70, "full before its time: until then");
    }

    #[test]
    fn fixed_requests_go_first_and_as_they_are() {
        let mut collector = collector(ProducerConfig::default());
        collector.push(unit(10), 0, start());
        collector.push_fixed(vec![unit(20), unit(30)]);
        assert_eq!(collector.take(start()).unwrap().len(), 2);
        assert!(collector.take(start()).is_none());
    }
}
