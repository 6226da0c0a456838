//! What of a stream's course is measured, and when: the KPL's rules.

use std::collections::BTreeMap;
use std::time::Duration;

use kinesis_core::{ShardId, StreamName};
use tokio::time::Instant;

use super::retry::EntryVerdict;
use super::unit::{Tracker, Unit};
use crate::metrics::{Meter, Metric, Place};
use crate::outcome::{AttemptResult, FailureCause, History};

/// Measures one stream; without metrics there is nothing in it, and every call is one branch.
#[derive(Debug, Default)]
pub(crate) struct StreamMeter(Option<Box<Measured>>);

#[derive(Debug)]
struct Measured {
    meter: Meter,
    stream: StreamName,
    whole: Place,
    /// Empty where shards are not told apart.
    shards: BTreeMap<ShardId, Place>,
    pending: i64,
}

impl StreamMeter {
    pub(crate) fn new(meter: &Meter, stream: &StreamName) -> Self {
        Self(meter.place(stream, None).map(|whole| {
            let (meter, stream) = (meter.clone(), stream.clone());
            Box::new(Measured { meter, stream, whole, shards: BTreeMap::new(), pending: 0 })
        }))
    }

    pub(crate) const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// A record was accepted.
    pub(crate) fn received(&mut self, now: Instant) {
        if let Some(measured) = &mut self.0 {
            measured.whole.add(Metric::UserRecordsReceived, 1);
            measured.shift_pending(1, now);
        }
    }

    /// A request was answered, or failed.
    pub(crate) fn answered(&mut self, units: &[Unit], duration: Duration) {
        let Some(measured) = &mut self.0 else { return };
        for unit in units {
            measured.predicted(unit).add(Metric::UserRecordsPerKinesisRecord, unit.members.len() as u64);
        }
        let user_records: usize = units.iter().map(|unit| unit.members.len()).sum();
        measured.whole.add(Metric::RequestTime, millis(duration));
        measured.whole.add(Metric::KinesisRecordsPerPutRecordsRequest, units.len() as u64);
        measured.whole.add(Metric::UserRecordsPerPutRecordsRequest, user_records as u64);
    }

    /// A request failed as a whole.
    pub(crate) fn request_failed(&mut self, result: &AttemptResult) {
        if let (Some(measured), Some(code)) = (&mut self.0, code_of(result)) {
            measured.whole.add_error(code);
        }
    }

    /// An entry of a request was answered.
    pub(crate) fn entry(&mut self, unit: &Unit, verdict: &EntryVerdict) {
        let Some(measured) = &mut self.0 else { return };
        let place = measured.predicted(unit);
        match verdict {
            EntryVerdict::Landed(..) => {
                place.add(Metric::KinesisRecordsPut, 1);
                place.add(Metric::KinesisRecordsDataPut, unit.data().len() as u64);
                place.add(Metric::AllErrors, 0);
            }
            EntryVerdict::Throttled(result) | EntryVerdict::Ambiguous(result) | EntryVerdict::GiveUp(result) => {
                place.add(Metric::KinesisRecordsPut, 0);
                if let Some(code) = code_of(result) {
                    place.add_error(code);
                }
            }
        }
    }

    /// A Kinesis record's members are stored for certain, by the last attempt of its history.
    pub(crate) fn stored(&mut self, unit: &Unit, shard: &ShardId, now: Instant) {
        let Some(measured) = &mut self.0 else { return };
        let place = measured.place(Some(shard));
        let trackers = || unit.members.iter().map(|member| &member.tracker);
        place.add_many(Metric::UserRecordsPut, 1, unit.members.len());
        if let Some(series) = place.series(Metric::UserRecordsDataPut) {
            series.add_all(trackers().map(|tracker| u64::from(tracker.data_bytes)));
        }
        if let Some(series) = place.series(Metric::BufferingTime) {
            series.add_all(trackers().flat_map(|tracker| gaps(tracker, Some(&unit.history)).map(millis)));
        }
        if let Some(series) = place.series(Metric::RetriesPerRecord) {
            series.add_all(trackers().map(|tracker| attempts(tracker, Some(&unit.history)).saturating_sub(1)));
        }
        measured.shift_pending(-(unit.members.len() as i64), now);
    }

    /// A record was given up; `shard` is where it belonged, where that is known.
    pub(crate) fn given_up(&mut self, tracker: &Tracker, shard: Option<&ShardId>, cause: &FailureCause, now: Instant) {
        let Some(measured) = &mut self.0 else { return };
        let place = measured.place(shard);
        let expired = matches!(cause, FailureCause::Expired { .. });
        place.add(Metric::UserRecordsPut, 0);
        if expired {
            place.add(Metric::UserRecordExpired, 1);
        }
        // With the KPL an expiry is one more attempt, without a duration.
        let at_last = expired.then(|| now.saturating_duration_since(end_of_last(tracker)));
        if let Some(series) = place.series(Metric::BufferingTime) {
            series.add_all(gaps(tracker, None).chain(at_last).map(millis));
        }
        let attempts = attempts(tracker, None) + u64::from(expired);
        place.add(Metric::RetriesPerRecord, attempts.saturating_sub(1));
        measured.shift_pending(-1, now);
    }

    /// Forgets the shards that are no more.
    pub(crate) fn keep_shards(&mut self, exists: impl Fn(&ShardId) -> bool) {
        if let Some(measured) = &mut self.0 {
            measured.shards.retain(|shard, _| exists(shard));
        }
    }
}

impl Measured {
    fn place(&mut self, shard: Option<&ShardId>) -> &mut Place {
        let Some(shard) = shard.filter(|_| self.meter.tells_shards()) else {
            return &mut self.whole;
        };
        if !self.shards.contains_key(shard)
            && let Some(place) = self.meter.place(&self.stream, Some(shard))
        {
            self.shards.insert(shard.clone(), place);
        }
        self.shards.get_mut(shard).unwrap_or(&mut self.whole)
    }

    /// The shard that a Kinesis record was meant for.
    fn predicted(&mut self, unit: &Unit) -> &mut Place {
        self.place(unit.origin.as_ref().and_then(|origin| origin.route.shard.as_ref()))
    }

    fn shift_pending(&mut self, change: i64, now: Instant) {
        self.pending += change;
        if let Some(series) = self.whole.series(Metric::UserRecordsPending) {
            series.shift(change, now);
        }
    }
}

impl Drop for Measured {
    /// A producer that ends early leaves no level behind.
    fn drop(&mut self) {
        if self.pending != 0 {
            self.shift_pending(-self.pending, Instant::now());
        }
    }
}

/// Whole milliseconds, as with the KPL.
fn millis(duration: Duration) -> u64 {
    duration.as_millis() as u64
}

fn code_of(result: &AttemptResult) -> Option<&str> {
    match result {
        AttemptResult::Refused { code, .. } | AttemptResult::Ambiguous { code, .. } => Some(code),
        AttemptResult::Stored | AttemptResult::WrongShard { .. } => None,
    }
}

/// The attempts of a record, before its present Kinesis record and in it.
fn attempts(tracker: &Tracker, unit: Option<&History>) -> u64 {
    tracker.history.as_deref().into_iter().chain(unit).map(|history| u64::from(history.count())).sum()
}

/// The time before each attempt that is kept; not before one whose predecessor is not.
fn gaps<'a>(tracker: &'a Tracker, unit: Option<&'a History>) -> impl Iterator<Item = Duration> + 'a {
    let mut last = tracker.accepted_at;
    tracker.history.as_deref().into_iter().chain(unit).flat_map(History::follow).filter_map(
        move |(attempt, follows)| {
            let gap = follows.then(|| attempt.started.saturating_duration_since(last));
            last = attempt.started + attempt.duration;
            gap
        },
    )
}

fn end_of_last(tracker: &Tracker) -> Instant {
    let last = tracker.history.as_deref().and_then(|history| history.follow().last());
    last.map_or(tracker.accepted_at, |(attempt, _)| attempt.started + attempt.duration)
}
