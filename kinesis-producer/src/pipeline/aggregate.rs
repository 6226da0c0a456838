//! Packing the records of one shard into Kinesis records.

use kinesis_aggregation::AggregateBuilder;
use tokio::time::Instant;

use super::unit::{Member, QueuedRecord, Unit};

/// How large a Kinesis record may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AggregationLimits {
    /// Whether records are packed at all.
    pub(crate) enabled: bool,
    pub(crate) max_count: usize,
    /// The size of the frame with all in it; what is larger goes alone.
    pub(crate) max_size_bytes: usize,
}

/// Packs records in the order they come.
///
/// A record that is alone when its time comes goes as it is, as with the KPL; two or more become an aggregate.
#[derive(Debug)]
pub(crate) struct Aggregator {
    limits: AggregationLimits,
    /// The first record, until a second joins it.
    first: Option<QueuedRecord>,
    builder: AggregateBuilder,
    members: Vec<Member>,
}

impl Aggregator {
    pub(crate) fn new(limits: AggregationLimits) -> Self {
        Self { limits, first: None, builder: AggregateBuilder::new(), members: Vec::new() }
    }

    /// When the oldest record that waits here was accepted; nothing where none waits.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        let first = self.first.as_ref().map(|record| &record.tracker);
        let first = first.or_else(|| self.members.first().map(|member| &member.tracker));
        first.map(|tracker| tracker.accepted_at)
    }

    /// Adds a record, and yields the Kinesis records that are full by it: none, one, or two.
    pub(crate) fn add(&mut self, record: QueuedRecord, mut full: impl FnMut(Unit)) {
        if !self.limits.enabled {
            full(Unit::single(record));
            return;
        }
        if self.first.is_some() || !self.members.is_empty() {
            if self.size_with(&record) <= self.limits.max_size_bytes {
                self.push(record);
                if self.members.len() >= self.limits.max_count {
                    self.finish().into_iter().for_each(full);
                }
                return;
            }
            self.finish().into_iter().for_each(&mut full);
        }
        if self.limits.max_count == 1 || self.size_with(&record) >= self.limits.max_size_bytes {
            full(Unit::single(record));
        } else {
            self.first = Some(record);
        }
    }

    /// Gives the memory back that was grown for the last aggregate; nothing may wait.
    pub(crate) fn shrink(&mut self) {
        debug_assert!(self.oldest().is_none(), "what waits is in the builder");
        *self = Self::new(self.limits);
    }

    /// Yields what waits as one Kinesis record.
    pub(crate) fn finish(&mut self) -> Option<Unit> {
        if let Some(record) = self.first.take() {
            self.builder.clear();
            return Some(Unit::single(record));
        }
        if self.members.is_empty() {
            return None;
        }
        let capacity = self.members.len();
        let members = std::mem::replace(&mut self.members, Vec::with_capacity(capacity));
        Some(Unit::aggregate(self.builder.finish(), members))
    }

    /// The size of the aggregate that the record would make with those that wait.
    fn size_with(&mut self, record: &QueuedRecord) -> usize {
        if let Some(first) = &self.first
            && self.builder.is_empty()
        {
            self.builder.add(&first.partition_key, first.explicit_hash_key, &first.data);
        }
        self.builder.size_with(&record.partition_key, record.explicit_hash_key, record.data.len())
    }

    fn push(&mut self, record: QueuedRecord) {
        if let Some(first) = self.first.take() {
            self.members.push(Member { hash_key: first.hash_key, tracker: first.tracker });
        }
        self.builder.add(&record.partition_key, record.explicit_hash_key, &record.data);
        self.members.push(Member { hash_key: record.hash_key, tracker: record.tracker });
    }
}

/// Packs records of one shard at once.
pub(crate) fn pack(limits: AggregationLimits, records: impl IntoIterator<Item = QueuedRecord>) -> Vec<Unit> {
    let mut units = Vec::new();
    let mut aggregator = Aggregator::new(limits);
    for record in records {
        aggregator.add(record, |unit| units.push(unit));
    }
    units.extend(aggregator.finish());
    units
}

#[cfg(test)]
mod tests {
    use kinesis_aggregation::decode;

    use super::super::fixtures::record;
    use super::*;

    const LIMITS: AggregationLimits = AggregationLimits { enabled: true, max_count: 100, max_size_bytes: 10_000 };

    fn sequences(units: &[Unit]) -> Vec<Vec<u64>> {
        let of = |unit: &Unit| unit.members.iter().map(|member| member.tracker.sequence).collect();
        units.iter().map(of).collect()
    }

    #[test]
    fn the_hundredth_record_fills_an_aggregate_of_a_hundred() {
        // KPL, reducer_test.cc: count limit.
        let mut aggregator = Aggregator::new(LIMITS);
        for round in 0..3 {
            for index in 1..=100 {
                let mut full = Vec::new();
                aggregator.add(record(round * 100 + index, "key", b"x"), |unit| full.push(unit));
                assert_eq!(full.len(), usize::from(index == 100), "{index}");
            }
        }
        assert!(aggregator.finish().is_none());
    }

    #[test]
    fn aggregates_keep_the_order_and_never_exceed_the_size() {
        let sizes = [0, 1, 3_000, 9_000, 40, 9_990, 700, 12_000, 5, 5];
        let records =
            (0..200).map(|index| record(index, &format!("key-{index}"), &vec![7; sizes[index as usize % 10]]));
        let units = pack(LIMITS, records);
        let all: Vec<_> = sequences(&units).concat();
        assert_eq!(all, (0..200).collect::<Vec<_>>());
        for unit in &units {
            assert!(unit.data().len() <= 10_000 || !unit.is_aggregate(), "{}", unit.data().len());
            assert_eq!(unit.is_aggregate(), unit.members.len() > 1);
        }
    }

    #[test]
    fn one_record_goes_as_it_is_and_two_as_an_aggregate() {
        let mut aggregator = Aggregator::new(LIMITS);
        aggregator.add(record(0, "key", b"data"), |_| panic!("nothing is full"));
        let single = aggregator.finish().unwrap();
        assert_eq!((single.partition_key(), single.data().as_ref()), ("key", &b"data"[..]));
        assert_eq!(single.explicit_hash_key(), single.members[0].hash_key);
        aggregator.add(record(1, "first", b"x"), |_| panic!("nothing is full"));
        aggregator.add(record(2, "second", b"y"), |_| panic!("nothing is full"));
        let pair = aggregator.finish().unwrap();
        assert_eq!((pair.partition_key(), pair.members.len()), ("a", 2));
        assert_eq!(pair.explicit_hash_key(), kinesis_core::HashKey::of_partition_key("first"));
        assert_eq!(decode(pair.data()).unwrap().unwrap().len(), 2);
    }

    #[test]
    fn a_record_larger_than_the_limit_goes_at_once_and_alone() {
        // KPL, reducer_test.cc: an 11000-byte record with a limit of 10000.
        let mut aggregator = Aggregator::new(LIMITS);
        let mut full = Vec::new();
        aggregator.add(record(0, "key", &[0; 11_000]), |unit| full.push(unit));
        assert_eq!(sequences(&full), [[0]]);
        aggregator.add(record(1, "key", b"x"), |unit| full.push(unit));
        aggregator.add(record(2, "key", &[0; 11_000]), |unit| full.push(unit));
        assert_eq!(sequences(&full), [[0], [1], [2]], "what waited goes before it");
        assert!(full.iter().all(|unit| !unit.is_aggregate()));
    }

    #[test]
    fn without_aggregation_every_record_goes_alone() {
        let limits = AggregationLimits { enabled: false, ..LIMITS };
        assert_eq!(sequences(&pack(limits, (0..3).map(|index| record(index, "key", b"x")))), [[0], [1], [2]]);
    }

    #[test]
    fn a_dissolved_aggregate_gives_its_records_back() {
        let records = |count| (0..count).map(|index| record(index, &format!("key-{}", index % 3), &[index as u8; 10]));
        for count in [1, 50] {
            let unit = pack(LIMITS, records(count)).pop().unwrap();
            let again = unit.dissolve();
            assert_eq!(again.len() as u64, count);
            for (original, again) in records(count).zip(again) {
                assert_eq!(original.partition_key, again.partition_key);
                assert_eq!((original.hash_key, original.data), (again.hash_key, again.data));
                assert_eq!(original.tracker.sequence, again.tracker.sequence);
            }
        }
    }
}
