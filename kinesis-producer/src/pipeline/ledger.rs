//! The accounts: every record that came in, and the one outcome that it gets.

use std::collections::VecDeque;

use kinesis_core::StreamName;

use super::unit::{Tracker, Unit};
use crate::error::DeliveryError;
use crate::outcome::{Attempts, FailureCause, Outcome};
use crate::stats::ProducerStats;
use kinesis_core::{SequenceNumber, ShardId};

/// Counts records in and out, and tells what that frees.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) stats: ProducerStats,
    /// Records without outcome, by generation; the last one takes what comes in.
    outstanding: VecDeque<u64>,
    /// The generation at the front.
    oldest_generation: u64,
    released_records: usize,
    released_bytes: usize,
    failures: Option<DeliveryError>,
}

impl Ledger {
    /// Opens the account of a record, and tells its generation.
    pub(crate) fn open(&mut self) -> u64 {
        self.stats.user_records_received += 1;
        if self.outstanding.is_empty() {
            self.outstanding.push_back(0);
        }
        let last = self.outstanding.len() - 1;
        self.outstanding[last] += 1;
        self.oldest_generation + last as u64
    }

    /// Ends the present generation, and tells its number: what comes in from now on belongs to the next.
    pub(crate) fn end_generation(&mut self) -> u64 {
        if self.outstanding.is_empty() {
            self.outstanding.push_back(0);
        }
        self.outstanding.push_back(0);
        self.oldest_generation + self.outstanding.len() as u64 - 2
    }

    /// Whether all records of that generation and of those before it have their outcomes.
    pub(crate) fn is_settled(&mut self, generation: u64) -> bool {
        while self.outstanding.len() > 1 && self.outstanding[0] == 0 {
            self.outstanding.pop_front();
            self.oldest_generation += 1;
        }
        self.oldest_generation > generation
    }

    /// Acknowledges all members of a Kinesis record.
    pub(crate) fn store(&mut self, unit: Unit, shard: &ShardId, sequence_number: SequenceNumber) {
        let shared = unit.history.to_attempts();
        for (index, member) in unit.members.into_iter().enumerate() {
            let mut tracker = member.tracker;
            let attempts = match tracker.history.take() {
                None => shared.clone(),
                Some(mut before) => {
                    before.extend(&unit.history);
                    before.to_attempts()
                }
            };
            self.stats.user_records_put += 1;
            self.stats.user_records_data_put_bytes += u64::from(tracker.data_bytes);
            let outcome =
                Outcome::Stored { shard: shard.clone(), sequence_number, sub_sequence_number: index as u64, attempts };
            self.close(tracker, outcome);
        }
    }

    /// Gives a record up; whether its outcome is unknown.
    pub(crate) fn give_up(&mut self, mut tracker: Tracker, stream: &StreamName, cause: FailureCause) -> bool {
        let unknown = tracker.may_be_stored();
        let attempts = tracker.history.take().map_or_else(Attempts::default, |history| history.to_attempts());
        let failures = self.failures.get_or_insert_with(|| DeliveryError::new(stream.clone(), cause.clone()));
        if unknown {
            self.stats.user_records_unknown += 1;
            failures.unknown += 1;
            self.close(tracker, Outcome::Unknown { cause, attempts });
        } else {
            self.stats.user_records_failed += 1;
            failures.failed += 1;
            self.close(tracker, Outcome::Failed { cause, attempts });
        }
        unknown
    }

    fn close(&mut self, tracker: Tracker, outcome: Outcome) {
        self.released_records += 1;
        self.released_bytes += tracker.size_bytes as usize;
        self.outstanding[(tracker.generation - self.oldest_generation) as usize] -= 1;
        // A handle that was dropped wants no outcome; it is counted all the same.
        let _ = tracker.responder.send(outcome);
    }

    /// The records and bytes whose room is free since the last call.
    pub(crate) fn take_released(&mut self) -> (usize, usize) {
        (std::mem::take(&mut self.released_records), std::mem::take(&mut self.released_bytes))
    }

    /// The records given up since the last call.
    pub(crate) fn take_failures(&mut self) -> Option<DeliveryError> {
        self.failures.take()
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{record, stream};
    use super::*;

    fn tracker(generation: u64) -> Tracker {
        Tracker { generation, ..record(0, "key", b"x").tracker }
    }

    #[test]
    fn a_flush_waits_for_what_came_before_it_and_for_nothing_else() {
        let mut ledger = Ledger::default();
        let first = ledger.open();
        let flush = ledger.end_generation();
        let second = ledger.open();
        assert!(!ledger.is_settled(flush));
        ledger.give_up(tracker(first), &stream(), FailureCause::Abandoned);
        assert!(ledger.is_settled(flush));
        let empty = ledger.end_generation();
        assert!(!ledger.is_settled(empty), "the second record is before the second flush");
        ledger.give_up(tracker(second), &stream(), FailureCause::Abandoned);
        assert!(ledger.is_settled(empty));
        let third = ledger.open();
        ledger.give_up(tracker(third), &stream(), FailureCause::Abandoned);
        assert_eq!(ledger.stats.outstanding(), 0);
    }

    #[test]
    fn a_flush_of_nothing_is_settled_at_once() {
        let mut ledger = Ledger::default();
        let flush = ledger.end_generation();
        assert!(ledger.is_settled(flush));
    }

    #[test]
    fn failures_are_told_once_with_the_first_of_them() {
        let mut ledger = Ledger::default();
        for _ in 0..3 {
            let generation = ledger.open();
            ledger.give_up(tracker(generation), &stream(), FailureCause::OrderBroken);
        }
        let failures = ledger.take_failures().unwrap();
        assert_eq!((failures.failed, failures.unknown), (3, 0));
        assert!(ledger.take_failures().is_none());
        assert_eq!(ledger.take_released().0, 3);
    }
}
