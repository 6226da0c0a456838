//! How far a shard has been read, and where to go on.

use std::time::{Duration, SystemTime};

use kinesis_core::{IteratorStart, RecordPosition};

/// How far behind the tip of a shard its `not_before` stays, for the clocks of the service's hosts.
const NOT_BEFORE_MARGIN: Duration = Duration::from_secs(60);

/// How far a shard has been read.
///
/// `last` is the last user record delivered. `not_before` is a time before which there is nothing left to read: the
/// configured start for a shard that nothing was read of, else a moment when the shard was empty at its tip; it keeps
/// the position of an idle shard from ageing out of the stream's retention. Both empty: the oldest record kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardPosition {
    last: Option<RecordPosition>,
    not_before: Option<SystemTime>,
    ended: bool,
}

impl ShardPosition {
    /// Starts at the oldest record that the stream keeps.
    pub const TRIM_HORIZON: Self = Self { last: None, not_before: None, ended: false };

    /// Starts at the first record that arrived at or after `time`.
    pub const fn at_timestamp(time: SystemTime) -> Self {
        Self { last: None, not_before: Some(time), ended: false }
    }

    pub(crate) const fn from_parts(last: Option<RecordPosition>, not_before: Option<SystemTime>, ended: bool) -> Self {
        Self { last, not_before, ended }
    }

    /// The last user record delivered.
    pub const fn last(&self) -> Option<RecordPosition> {
        self.last
    }

    /// The time before which nothing is left to read.
    pub const fn not_before(&self) -> Option<SystemTime> {
        self.not_before
    }

    /// Whether the shard was closed and read to its end.
    pub const fn is_ended(&self) -> bool {
        self.ended
    }

    pub(crate) fn delivered(&mut self, position: RecordPosition) {
        self.last = Some(position);
        self.not_before = None;
    }

    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    /// Notes that the shard was empty at its tip when the service answered at `time`.
    ///
    /// `last_arrival` is the arrival of the last record: a time before it would only re-read more.
    pub(crate) fn caught_up(&mut self, time: SystemTime, last_arrival: Option<SystemTime>) {
        let candidate = time - NOT_BEFORE_MARGIN;
        let floor = self.not_before.max(last_arrival);
        if floor.is_none_or(|floor| candidate > floor) {
            self.not_before = Some(candidate);
        }
    }

    /// Where an iterator has to start, to read everything after the position.
    ///
    /// From the last record itself where it is known, not from the one after it: the members of an aggregate share a
    /// sequence number, and its coming back proves that retention has not passed the position.
    pub(crate) const fn resume(&self) -> IteratorStart {
        match (self.not_before, self.last) {
            (Some(time), _) => IteratorStart::AtTimestamp(time),
            (None, Some(last)) => IteratorStart::AtSequenceNumber(last.sequence_number),
            (None, None) => IteratorStart::TrimHorizon,
        }
    }

    /// Whether a record at `position` was delivered before.
    pub(crate) fn covers(&self, position: RecordPosition) -> bool {
        self.last.is_some_and(|last| position <= last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kinesis_core::{RandomStream, Randomness, from_unix_millis};

    fn at(sequence: u128, sub: u64) -> RecordPosition {
        RecordPosition::new(sequence.into(), sub)
    }

    #[test]
    fn a_read_shard_resumes_at_its_last_record_and_skips_what_was_delivered() {
        let mut position = ShardPosition::TRIM_HORIZON;
        assert_eq!(position.resume(), IteratorStart::TrimHorizon);
        position.delivered(at(100, 3));
        assert_eq!(position.resume(), IteratorStart::AtSequenceNumber(100.into()));
        assert!(position.covers(at(100, 3)) && position.covers(at(99, 9)));
        assert!(!position.covers(at(100, 4)) && !position.covers(at(101, 0)));
    }

    #[test]
    fn an_idle_shard_moves_its_time_forward_and_keeps_its_last_record() {
        let minute = |minutes: u64| from_unix_millis(minutes * 60_000);
        let mut position = ShardPosition::at_timestamp(minute(10));
        position.caught_up(minute(10), None);
        assert_eq!(position.not_before(), Some(minute(10)), "a time before the start says nothing new");
        position.delivered(at(7, 0));
        position.caught_up(minute(20), Some(minute(20)));
        assert_eq!(position.resume(), IteratorStart::AtSequenceNumber(7.into()));
        position.caught_up(minute(30), Some(minute(20)));
        assert_eq!(position.resume(), IteratorStart::AtTimestamp(minute(29)));
        assert!(position.covers(at(7, 0)));
    }

    /// A record of an idle shard: when it was really stored, and when it says that it arrived.
    fn stamped(random: &mut RandomStream, stored: u64) -> (u64, u64) {
        (stored, stored + random.below(60_001) - 30_000)
    }

    #[test]
    fn arrival_times_that_are_thirty_seconds_off_hide_no_record_behind_an_idle_position() {
        for seed in 0..500 {
            let mut random = Randomness::from_seed(seed).stream("arrivals");
            let mut log: Vec<(u64, u64)> = Vec::new();
            let mut now = 10_000_000;
            let mut position = ShardPosition::TRIM_HORIZON;
            let mut last_arrival = None;
            for _ in 0..20 {
                now += random.below(200_000);
                log.push(stamped(&mut random, now));
                if random.below(3) > 0 {
                    // All is read; then the shard is seen empty at its tip.
                    position.delivered(at(log.len() as u128, 0));
                    last_arrival = last_arrival.max(log.last().map(|(_, arrival)| from_unix_millis(*arrival)));
                    now += random.below(200_000);
                    position.caught_up(from_unix_millis(now), last_arrival);
                }
                let next = position
                    .last()
                    .map_or(0, |last| (1..=log.len()).filter(|number| at(*number as u128, 0) <= last).count());
                // The service begins with the first record that says that it arrived at the time or later.
                let begins = match position.resume() {
                    IteratorStart::AtTimestamp(time) => {
                        log.iter().position(|(_, arrival)| from_unix_millis(*arrival) >= time).unwrap_or(log.len())
                    }
                    _ => 0,
                };
                assert!(begins <= next, "seed {seed}: {position:?} begins behind record {next} of {log:?}");
            }
        }
    }
}
