//! What an iterator stands for beyond the service's own, and what a reply says.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use aws_sdk_dynamodbstreams::types::Record;
use kinesis_core::{from_unix_millis, unix_millis};
use thiserror::Error;

/// So many replies without records in a row stand for the tip of a shard.
const EMPTY_AT_TIP: u32 = 5;

/// An iterator of the service, with what it does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ShardIterator {
    service: String,
    /// Records before it are passed over, until the first that is not; whole seconds, as the records' times are.
    not_before: Option<SystemTime>,
    /// How many replies in a row had no records.
    empty: u32,
}

impl ShardIterator {
    pub(super) fn new(service: String, not_before: Option<SystemTime>) -> Self {
        let whole_seconds = |time| from_unix_millis(unix_millis(time) / 1000 * 1000);
        Self { service, not_before: not_before.map(whole_seconds), empty: 0 }
    }

    pub(super) fn service(&self) -> &str {
        &self.service
    }
}

impl fmt::Display for ShardIterator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.not_before {
            Some(time) => write!(f, "{};{};{}", self.empty, unix_millis(time), self.service),
            None => write!(f, "{};;{}", self.empty, self.service),
        }
    }
}

/// Text that is no iterator of this adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the iterator was not given out by this client")]
pub(super) struct ForeignIteratorError;

impl FromStr for ShardIterator {
    type Err = ForeignIteratorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.splitn(3, ';');
        let mut next = || parts.next().ok_or(ForeignIteratorError);
        let (empty, not_before, service) = (next()?, next()?, next()?);
        let not_before = match not_before {
            "" => None,
            millis => Some(from_unix_millis(millis.parse().map_err(|_| ForeignIteratorError)?)),
        };
        Ok(Self { service: service.to_owned(), not_before, empty: empty.parse().map_err(|_| ForeignIteratorError)? })
    }
}

/// A reply, as a reader is to see it.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) records: Vec<Record>,
    /// Nothing at the end of the shard.
    pub(super) next: Option<ShardIterator>,
    /// 0 at the tip or the end of the shard; nothing where that is not known.
    pub(super) millis_behind_latest: Option<i64>,
}

impl Page {
    /// What the reply to a call with `iterator` says, when the service's clock shows `now`.
    pub(super) fn of(iterator: ShardIterator, records: Vec<Record>, next: Option<String>, now: SystemTime) -> Self {
        let ShardIterator { not_before, empty, .. } = iterator;
        let empty = if records.is_empty() { (empty + 1).min(EMPTY_AT_TIP) } else { 0 };
        let is_all = records.is_empty() && (next.is_none() || empty == EMPTY_AT_TIP);
        let millis_behind_latest = match records.last() {
            // More may follow, so that it is never 0.
            Some(last) => created_at(last).map(|created| millis_between(created, now).max(1)),
            None => is_all.then_some(0),
        };
        let is_before = |record: &Record| not_before.is_some_and(|time| created_at(record).is_some_and(|at| at < time));
        let records: Vec<Record> = records.into_iter().skip_while(is_before).collect();
        let not_before = not_before.filter(|_| records.is_empty());
        let next = next.map(|service| ShardIterator { service, not_before, empty });
        Self { records, next, millis_behind_latest }
    }
}

fn created_at(record: &Record) -> Option<SystemTime> {
    record.dynamodb()?.approximate_creation_date_time().and_then(|time| SystemTime::try_from(*time).ok())
}

fn millis_between(from: SystemTime, to: SystemTime) -> i64 {
    i64::try_from(to.duration_since(from).unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_dynamodbstreams::primitives::DateTime;
    use aws_sdk_dynamodbstreams::types::StreamRecord;

    fn change(second: i64) -> Record {
        let change = StreamRecord::builder().approximate_creation_date_time(DateTime::from_secs(second));
        Record::builder().dynamodb(change.sequence_number(second.to_string()).build()).build()
    }

    fn seconds(page: &Page) -> Vec<i64> {
        page.records
            .iter()
            .filter_map(|record| Some(record.dynamodb()?.approximate_creation_date_time()?.secs()))
            .collect()
    }

    fn page(iterator: &ShardIterator, records: &[i64], next: Option<&str>) -> Page {
        let records = records.iter().copied().map(change).collect();
        // As a reader does: it has nothing but the text.
        let iterator = iterator.to_string().parse().unwrap();
        Page::of(iterator, records, next.map(str::to_owned), from_unix_millis(100_000))
    }

    #[test]
    fn an_iterator_is_read_back_whatever_the_services_own_holds() {
        for not_before in [None, Some(from_unix_millis(0)), Some(from_unix_millis(1_764_000_000_000))] {
            let iterator = ShardIterator::new("arn:aws:x/1|2;3;;AAA==".to_owned(), not_before);
            assert_eq!(iterator.to_string().parse(), Ok(iterator));
        }
        for foreign in ["", "AAA==", "0;AAA==", "x;;AAA==", "0;x;AAA=="] {
            assert_eq!(foreign.parse::<ShardIterator>(), Err(ForeignIteratorError));
        }
    }

    #[test]
    fn five_replies_without_records_are_the_tip_and_a_record_begins_anew() {
        let mut iterator = ShardIterator::new("a".to_owned(), None);
        for (records, behind) in [
            (&[][..], None),
            (&[], None),
            (&[90], Some(10_000)),
            (&[], None),
            (&[], None),
            (&[], None),
            (&[], None),
            (&[], Some(0)),
            (&[], Some(0)),
            (&[100], Some(1)),
            (&[], None),
        ] {
            let page = page(&iterator, records, Some("a"));
            assert_eq!(page.millis_behind_latest, behind, "{iterator:?}");
            iterator = page.next.unwrap();
        }
    }

    #[test]
    fn the_end_of_a_shard_is_its_tip() {
        let iterator = ShardIterator::new("a".to_owned(), None);
        let page = page(&iterator, &[], None);
        assert_eq!((page.millis_behind_latest, page.next), (Some(0), None));
    }

    #[test]
    fn what_is_before_a_time_is_passed_over_and_nothing_behind_the_first_that_is_not() {
        let time = Some(from_unix_millis(50_900));
        let first = page(&ShardIterator::new("a".to_owned(), time), &[40, 49], Some("b"));
        assert_eq!((seconds(&first), first.millis_behind_latest), (vec![], Some(51_000)));
        let second = page(&first.next.unwrap(), &[], Some("c"));
        let third = page(&second.next.unwrap(), &[48, 50, 49, 51], Some("d"));
        assert_eq!(seconds(&third), [50, 49, 51], "50 may have been at any time of its second");
        let last = page(&third.next.unwrap(), &[30], Some("e"));
        assert_eq!(seconds(&last), [30], "times are approximate");
    }
}
