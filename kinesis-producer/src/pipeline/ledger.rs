//! The accounts: every record that came in, and the one outcome that it gets.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use kinesis_core::{SequenceNumber, ShardId, StreamName};
use tokio::time::Instant;

use super::unit::{Tracker, Unit};
use crate::error::DeliveryError;
use crate::outcome::{Attempts, FailureCause, Outcome};
use crate::stats::ProducerStats;

/// Records that come within this time share a generation, so that there are few of them.
const STRETCH: Duration = Duration::from_millis(1);

/// The stream that an account is of, by the order of their first records.
pub(crate) type AccountId = u32;

/// Records without an outcome that came at about the same time.
#[derive(Debug)]
struct Generation {
    began_at: Instant,
    outstanding: u64,
}

/// One stream's records without an outcome; generations without any are not kept.
#[derive(Debug, Default)]
struct Account {
    generations: BTreeMap<u64, Generation>,
    /// The number of the next generation.
    next: u64,
    /// What comes next begins a generation, since a flush waits for those that are here.
    is_cut: bool,
}

impl Account {
    fn open(&mut self, now: Instant) -> u64 {
        let is_young = |began_at| now.saturating_duration_since(began_at) < STRETCH;
        if !self.is_cut
            && let Some(mut last) = self.generations.last_entry()
            && is_young(last.get().began_at)
        {
            last.get_mut().outstanding += 1;
            return *last.key();
        }
        let number = self.next;
        self.generations.insert(number, Generation { began_at: now, outstanding: 1 });
        (self.next, self.is_cut) = (number + 1, false);
        number
    }

    fn close(&mut self, generation: u64) {
        if let Entry::Occupied(mut entry) = self.generations.entry(generation) {
            entry.get_mut().outstanding -= 1;
            if entry.get().outstanding == 0 {
                entry.remove();
            }
        }
    }

    /// The number of the first generation that is not here yet.
    const fn cut(&mut self) -> u64 {
        self.is_cut = true;
        self.next
    }

    fn oldest(&self) -> Option<(u64, Instant)> {
        self.generations.first_key_value().map(|(number, generation)| (*number, generation.began_at))
    }
}

/// What a flush waits for: in each account, all generations below a number.
#[derive(Debug)]
pub(crate) struct FlushTicket(Vec<(AccountId, u64)>);

/// What records with an outcome have freed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Released {
    pub(crate) records: usize,
    pub(crate) bytes: usize,
    /// The bytes that they took of the queue's room, of which a record larger than all of it takes no more.
    pub(crate) room_bytes: usize,
}

/// Counts records in and out, and tells what that frees.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) stats: ProducerStats,
    accounts: Vec<Account>,
    vacant: Vec<AccountId>,
    /// The most bytes that one record takes of the queue's room.
    largest_share: usize,
    released: Released,
    failures: Option<DeliveryError>,
}

impl Ledger {
    /// Makes the accounts behind a queue that has room for so many bytes.
    pub(crate) fn new(queue_limit_bytes: usize) -> Self {
        Self {
            stats: ProducerStats::default(),
            accounts: Vec::new(),
            vacant: Vec::new(),
            largest_share: queue_limit_bytes,
            released: Released::default(),
            failures: None,
        }
    }

    /// Begins the account of a stream.
    pub(crate) fn add_account(&mut self) -> AccountId {
        if let Some(account) = self.vacant.pop() {
            return account;
        }
        self.accounts.push(Account::default());
        (self.accounts.len() - 1) as AccountId
    }

    /// Ends the account of a stream without outstanding records; another stream may be given it.
    ///
    /// Its numbers go on, so that a flush that is waited for is not mistaken.
    pub(crate) fn remove_account(&mut self, account: AccountId) {
        debug_assert!(self.accounts[account as usize].generations.is_empty(), "records are outstanding");
        self.vacant.push(account);
    }

    /// Enters a record, and tells its generation.
    pub(crate) fn open(&mut self, account: AccountId, now: Instant) -> u64 {
        self.stats.user_records_received += 1;
        self.accounts[account as usize].open(now)
    }

    /// What a flush of those accounts waits for: all that came before it, and nothing else.
    pub(crate) fn cut(&mut self, accounts: impl IntoIterator<Item = AccountId>) -> FlushTicket {
        FlushTicket(accounts.into_iter().map(|account| (account, self.accounts[account as usize].cut())).collect())
    }

    /// Whether all records that the flush waits for have their outcomes.
    pub(crate) fn is_settled(&self, FlushTicket(cuts): &FlushTicket) -> bool {
        cuts.iter()
            .all(|(account, cut)| self.accounts[*account as usize].oldest().is_none_or(|(number, _)| number >= *cut))
    }

    /// About when the oldest record without an outcome was accepted: to a millisecond, and never later.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.accounts.iter().filter_map(Account::oldest).map(|(_, began_at)| began_at).min()
    }

    /// Acknowledges all members of a Kinesis record.
    pub(crate) fn store(&mut self, unit: Unit, shard: &ShardId, sequence_number: SequenceNumber) {
        let stored = |attempts: Attempts| {
            let shard = shard.clone();
            Arc::new(Outcome::Stored { shard, sequence_number, sub_sequence_number: 0, attempts })
        };
        let shared = stored(unit.history.to_attempts());
        for (index, member) in unit.members.into_iter().enumerate() {
            let mut tracker = member.tracker;
            let own = tracker.history.take().map(|mut before| {
                before.extend(&unit.history);
                stored(before.to_attempts())
            });
            self.stats.user_records_put += 1;
            self.stats.user_records_data_put_bytes += u64::from(tracker.data_bytes);
            self.close(tracker, own.as_ref().unwrap_or(&shared), index as u32);
        }
    }

    /// Gives a record up; whether its outcome is unknown.
    pub(crate) fn give_up(&mut self, mut tracker: Tracker, stream: &StreamName, cause: FailureCause) -> bool {
        let unknown = tracker.may_be_stored();
        let attempts = tracker.history.take().map_or_else(Attempts::default, |history| history.to_attempts());
        let failures = self.failures.get_or_insert_with(|| DeliveryError::new(stream.clone(), cause.clone()));
        let outcome = if unknown {
            self.stats.user_records_unknown += 1;
            failures.unknown += 1;
            Outcome::Unknown { cause, attempts }
        } else {
            self.stats.user_records_failed += 1;
            failures.failed += 1;
            Outcome::Failed { cause, attempts }
        };
        self.close(tracker, &Arc::new(outcome), 0);
        unknown
    }

    fn close(&mut self, tracker: Tracker, outcome: &Arc<Outcome>, index: u32) {
        let bytes = tracker.size_bytes as usize;
        self.released.records += 1;
        self.released.bytes += bytes;
        self.released.room_bytes += bytes.min(self.largest_share);
        self.accounts[tracker.account as usize].close(tracker.generation);
        tracker.responder.tell(outcome, index);
    }

    /// What is freed since the last call.
    pub(crate) fn take_released(&mut self) -> Released {
        std::mem::take(&mut self.released)
    }

    /// The records given up since the last call.
    pub(crate) fn take_failures(&mut self) -> Option<DeliveryError> {
        self.failures.take()
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{record, start, stream};
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn tracker(account: AccountId, generation: u64) -> Tracker {
        Tracker { account, generation, ..record(0, "key", b"x").tracker }
    }

    fn give_up(ledger: &mut Ledger, account: AccountId, generation: u64) {
        ledger.give_up(tracker(account, generation), &stream(), FailureCause::Abandoned);
    }

    #[test]
    fn a_flush_waits_for_what_came_before_it_and_for_nothing_else() {
        let mut ledger = Ledger::new(1000);
        let account = ledger.add_account();
        let first = ledger.open(account, start());
        let flush = ledger.cut([account]);
        let second = ledger.open(account, start());
        assert!(!ledger.is_settled(&flush));
        give_up(&mut ledger, account, first);
        assert!(ledger.is_settled(&flush));
        let other = ledger.cut([account]);
        assert!(!ledger.is_settled(&other), "the second record is before the second flush");
        give_up(&mut ledger, account, second);
        assert!(ledger.is_settled(&other));
        let third = ledger.open(account, start());
        give_up(&mut ledger, account, third);
        assert_eq!(ledger.stats.outstanding(), 0);
        assert!(ledger.is_settled(&flush) && ledger.is_settled(&other), "for good");
    }

    #[test]
    fn a_flush_of_one_stream_does_not_wait_for_another() {
        let mut ledger = Ledger::new(1000);
        let (one, other) = (ledger.add_account(), ledger.add_account());
        let slow = ledger.open(one, start());
        let quick = ledger.open(other, start());
        let (both, only) = (ledger.cut([one, other]), ledger.cut([other]));
        give_up(&mut ledger, other, quick);
        assert!(ledger.is_settled(&only) && !ledger.is_settled(&both));
        give_up(&mut ledger, one, slow);
        assert!(ledger.is_settled(&both));
    }

    #[test]
    fn a_flush_of_nothing_is_settled_at_once() {
        let mut ledger = Ledger::new(1000);
        let account = ledger.add_account();
        let (nothing, empty) = (ledger.cut([]), ledger.cut([account]));
        assert!(ledger.is_settled(&nothing) && ledger.is_settled(&empty));
        let later = ledger.open(account, start());
        assert!(ledger.is_settled(&empty), "what comes later does not matter");
        give_up(&mut ledger, account, later);
    }

    #[test]
    fn the_oldest_record_is_the_oldest_of_all_streams() {
        let mut ledger = Ledger::new(1000);
        let (one, other) = (ledger.add_account(), ledger.add_account());
        assert_eq!(ledger.oldest(), None);
        let first = ledger.open(one, start());
        let second = ledger.open(other, start() + millis(5));
        let third = ledger.open(one, start() + millis(9));
        assert_eq!(ledger.oldest(), Some(start()));
        give_up(&mut ledger, one, first);
        assert_eq!(ledger.oldest(), Some(start() + millis(5)));
        give_up(&mut ledger, other, second);
        assert_eq!(ledger.oldest(), Some(start() + millis(9)));
        give_up(&mut ledger, one, third);
        assert_eq!(ledger.oldest(), None);
    }

    #[test]
    fn records_of_one_millisecond_share_a_generation() {
        let mut ledger = Ledger::new(1000);
        let account = ledger.add_account();
        let micros = |micros| start() + Duration::from_micros(micros);
        let generations = [0, 999, 1000, 1999, 2000].map(|at| ledger.open(account, micros(at)));
        assert_eq!(generations, [0, 0, 1, 1, 2]);
        generations.into_iter().for_each(|generation| give_up(&mut ledger, account, generation));
        assert_eq!(ledger.open(account, micros(2500)), 3, "a number is never used again");
    }

    #[test]
    fn a_slow_record_keeps_no_generations_behind_it() {
        let mut ledger = Ledger::new(1000);
        let account = ledger.add_account();
        let slow = ledger.open(account, start());
        for at in 1..10_000 {
            let generation = ledger.open(account, start() + millis(at));
            give_up(&mut ledger, account, generation);
        }
        assert_eq!(ledger.accounts[0].generations.len(), 1);
        assert_eq!(ledger.oldest(), Some(start()));
        give_up(&mut ledger, account, slow);
        assert_eq!(ledger.oldest(), None);
    }

    #[test]
    fn failures_are_told_once_with_the_first_of_them() {
        let mut ledger = Ledger::new(1000);
        let account = ledger.add_account();
        for _ in 0..3 {
            let generation = ledger.open(account, start());
            ledger.give_up(tracker(account, generation), &stream(), FailureCause::OrderBroken);
        }
        let failures = ledger.take_failures().unwrap();
        assert_eq!((failures.failed, failures.unknown), (3, 0));
        assert!(ledger.take_failures().is_none());
        assert_eq!(ledger.take_released().records, 3);
    }
}
