//! What the service's answers do to a stream.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kinesis::operation::put_records::PutRecordsOutput;
use kinesis_core::{Backoff, RequestError, RequestErrorKind, SequenceNumber, ShardId};
use tokio::time::Instant;

use super::{Context, Landed, OpenStream};
use crate::mutants::Mutant;
use crate::outcome::{Attempt, AttemptResult, FailureCause};
use crate::pipeline::kpl_rule::KplRule;
use crate::pipeline::retry::{EntryVerdict, RequestVerdict, attempt_of_error, judge_entries};
use crate::pipeline::unit::{QueuedRecord, Unit};

/// So many throttles in a row make the shard map suspect: a hot shard may have been split.
const SUSTAINED_THROTTLES: u32 = 3;

/// How old the map must be for that.
const THROTTLED_MAP_AGE: Duration = Duration::from_secs(30);

/// The code of what the shard's own limits refuse.
const THROUGHPUT: &str = "ProvisionedThroughputExceededException";

/// When a request was made, and how long its answer took.
#[derive(Clone, Copy, Debug)]
struct Timing {
    started: Instant,
    duration: Duration,
}

impl Timing {
    const fn attempt(self, result: AttemptResult) -> Attempt {
        Attempt { started: self.started, duration: self.duration, result }
    }
}

impl OpenStream {
    /// Takes the answer to a request that was made at `started` with those Kinesis records.
    pub(crate) fn on_answer(
        &mut self,
        units: Vec<Unit>,
        started: Instant,
        answer: Result<PutRecordsOutput, RequestError>,
        ctx: &mut Context<'_>,
    ) {
        let timing = Timing { started, duration: ctx.now.saturating_duration_since(started) };
        self.requests -= 1;
        if answer.is_ok() {
            self.heard_at = ctx.now;
        }
        let mut touched = BTreeSet::new();
        self.meter.answered(&units, timing.duration);
        match answer.map(|output| judge_entries(&output, units.len())) {
            Err(error) => self.on_error(units, &error, timing, &mut touched, ctx),
            Ok(Err(ambiguous)) => {
                self.meter.request_failed(&ambiguous);
                self.retry_all(units, &ambiguous, timing, &mut touched, ctx);
            }
            Ok(Ok(verdicts)) => {
                self.pause.succeed();
                let is_partial = verdicts.iter().any(|verdict| !matches!(verdict, EntryVerdict::Landed(..)));
                if is_partial && self.config.is(Mutant::RepeatWholeRequest) {
                    let (code, message) = ("PartialFailure".into(), "some entries failed".into());
                    let refused = AttemptResult::Refused { code, message };
                    self.retry_all(units, &refused, timing, &mut touched, ctx);
                    return self.advance_touched(touched, ctx);
                }
                for (unit, verdict) in units.into_iter().zip(verdicts) {
                    self.on_entry(unit, verdict, timing, &mut touched, ctx);
                }
            }
        }
        self.advance_touched(touched, ctx);
    }

    /// Looks at the lanes that may go on; all of them where one that is gone had held others back.
    fn advance_touched(&mut self, touched: BTreeSet<Option<usize>>, ctx: &mut Context<'_>) {
        if self.config.ordered && touched.contains(&None) {
            self.advance_all(ctx);
        } else {
            touched.into_iter().flatten().for_each(|index| self.advance_lane(index, ctx));
        }
    }

    fn on_error(
        &mut self,
        units: Vec<Unit>,
        error: &RequestError,
        timing: Timing,
        touched: &mut BTreeSet<Option<usize>>,
        ctx: &mut Context<'_>,
    ) {
        let attempt = match attempt_of_error(error) {
            AttemptResult::Ambiguous { code, message } if self.config.is(Mutant::SilenceIsDefinite) => {
                AttemptResult::Refused { code, message }
            }
            attempt => attempt,
        };
        self.meter.request_failed(&attempt);
        if error.is_throttle() {
            ctx.ledger.stats.throttled += units.len() as u64;
        }
        if let Some(cause) = self.throttle_that_fails(&attempt) {
            return self.give_up_all(units, &attempt, &cause, timing, touched, ctx);
        }
        if let [unit] = units.as_slice()
            && error.kind() == RequestErrorKind::InvalidArgument
            && unit.is_aggregate()
            && unit.size_bytes() > self.settings.record_limit_bytes
        {
            // Packed when the stream took more: each of its members may fit.
            units.into_iter().for_each(|unit| self.take_apart(unit, timing.attempt(attempt.clone()), touched, ctx));
            return;
        }
        match self.verdict_on(error, units.len()) {
            RequestVerdict::Retry => {
                tracing::debug!(stream = %self.name, %error, entries = units.len(), "sending again");
                self.retry_all(units, &attempt, timing, touched, ctx);
            }
            RequestVerdict::Halve => {
                let mut units = units;
                units.iter_mut().for_each(|unit| unit.history.push(timing.attempt(attempt.clone())));
                let upper = units.split_off(units.len() / 2);
                self.collector.push_fixed(units);
                self.collector.push_fixed(upper);
            }
            RequestVerdict::GiveUp => {
                tracing::warn!(stream = %self.name, %error, entries = units.len(), "records not stored");
                if error.kind() == RequestErrorKind::NotFound {
                    self.refresh.doubt();
                }
                let cause = FailureCause::Request(Arc::new(error.clone()));
                self.give_up_all(units, &attempt, &cause, timing, touched, ctx);
            }
        }
    }

    /// Sends the members of an aggregate again, packed anew.
    fn take_apart(
        &mut self,
        mut unit: Unit,
        attempt: Attempt,
        touched: &mut BTreeSet<Option<usize>>,
        ctx: &mut Context<'_>,
    ) {
        unit.history.push(attempt);
        touched.insert(self.release(&unit));
        let alive = self.settle_records(unit.dissolve(), ctx);
        self.redistribute(alive, ctx);
    }

    fn verdict_on(&self, error: &RequestError, entries: usize) -> RequestVerdict {
        match RequestVerdict::of(error, entries) {
            _ if self.config.follows(KplRule::RepeatEverything) => RequestVerdict::Retry,
            RequestVerdict::Halve if self.config.follows(KplRule::KeepPoisonInCompany) => RequestVerdict::Retry,
            verdict => verdict,
        }
    }

    /// The cause where that attempt fails its records at once, as the KPL's FailIfThrottled has it: by that code only.
    fn throttle_that_fails(&self, attempt: &AttemptResult) -> Option<FailureCause> {
        match attempt {
            AttemptResult::Refused { code, message } if self.config.fail_if_throttled && **code == *THROUGHPUT => {
                Some(FailureCause::Throttled { code: Arc::clone(code), message: Arc::clone(message) })
            }
            _ => None,
        }
    }

    fn give_up_all(
        &mut self,
        units: Vec<Unit>,
        attempt: &AttemptResult,
        cause: &FailureCause,
        timing: Timing,
        touched: &mut BTreeSet<Option<usize>>,
        ctx: &mut Context<'_>,
    ) {
        for mut unit in units {
            unit.history.push(timing.attempt(attempt.clone()));
            touched.insert(self.release(&unit));
            self.give_up_unit(unit, cause, ctx);
        }
    }

    /// Sends all entries again after a pause of the whole stream.
    fn retry_all(
        &mut self,
        units: Vec<Unit>,
        attempt: &AttemptResult,
        timing: Timing,
        touched: &mut BTreeSet<Option<usize>>,
        ctx: &mut Context<'_>,
    ) {
        self.pause.fail(timing.started, ctx.now, &self.backoff(), ctx.random);
        for unit in units {
            self.give_back(unit, timing.attempt(attempt.clone()), touched, ctx);
        }
    }

    fn on_entry(
        &mut self,
        mut unit: Unit,
        verdict: EntryVerdict,
        timing: Timing,
        touched: &mut BTreeSet<Option<usize>>,
        ctx: &mut Context<'_>,
    ) {
        self.meter.entry(&unit, &verdict);
        match verdict {
            EntryVerdict::Landed(shard, number) => self.on_landed(unit, shard, number, timing, touched, ctx),
            EntryVerdict::Throttled(result) => {
                ctx.ledger.stats.throttled += 1;
                self.pause_lane_of(&unit, timing, ctx);
                match self.throttle_that_fails(&result) {
                    None => self.give_back(unit, timing.attempt(result), touched, ctx),
                    Some(cause) => self.give_up_all(vec![unit], &result, &cause, timing, touched, ctx),
                }
            }
            EntryVerdict::Ambiguous(result) => {
                self.pause_lane_of(&unit, timing, ctx);
                self.give_back(unit, timing.attempt(result), touched, ctx);
            }
            EntryVerdict::GiveUp(result) => {
                let AttemptResult::Refused { code, message } = &result else {
                    return self.give_back(unit, timing.attempt(result), touched, ctx);
                };
                tracing::warn!(stream = %self.name, %code, %message, "records not stored");
                let cause = FailureCause::Refused { code: Arc::clone(code), message: Arc::clone(message) };
                unit.history.push(timing.attempt(result));
                touched.insert(self.release(&unit));
                self.give_up_unit(unit, &cause, ctx);
            }
        }
    }

    fn backoff(&self) -> Backoff {
        if self.config.follows(KplRule::RepeatWithoutBackoff) {
            let half = self.config.record_max_buffered_time / 2;
            return Backoff::new(half, half, 1.0);
        }
        self.config.backoff
    }

    fn pause_lane_of(&mut self, unit: &Unit, timing: Timing, ctx: &mut Context<'_>) {
        let index = self.map.predict(unit.explicit_hash_key());
        let backoff = self.backoff();
        let pause = &mut self.lanes[index].pause;
        pause.fail(timing.started, ctx.now, &backoff, ctx.random);
        if pause.failures() >= SUSTAINED_THROTTLES && !self.config.follows(KplRule::TrustOldMap) {
            self.refresh.request_if_older(THROTTLED_MAP_AGE, ctx.now);
        }
    }

    /// Takes a Kinesis record back, to be sent again.
    fn give_back(
        &mut self,
        mut unit: Unit,
        attempt: Attempt,
        touched: &mut BTreeSet<Option<usize>>,
        ctx: &mut Context<'_>,
    ) {
        ctx.ledger.stats.ambiguous += u64::from(matches!(attempt.result, AttemptResult::Ambiguous { .. }));
        unit.history.push(attempt);
        let home = self.release(&unit);
        touched.insert(home);
        match home {
            Some(index) => self.lanes[index].return_unit(unit),
            None => {
                let alive = self.settle(unit, ctx);
                self.redistribute(alive, ctx);
            }
        }
    }

    fn on_landed(
        &mut self,
        unit: Unit,
        shard: ShardId,
        sequence_number: SequenceNumber,
        timing: Timing,
        touched: &mut BTreeSet<Option<usize>>,
        ctx: &mut Context<'_>,
    ) {
        ctx.ledger.stats.kinesis_records_put += 1;
        let landed = Landed {
            unit,
            shard,
            sequence_number,
            started: timing.started,
            duration: timing.duration,
            readings: self.refresh.readings(),
        };
        let predicted = landed.unit.origin.as_ref().and_then(|origin| origin.route.shard.as_ref());
        if predicted.is_some_and(|predicted| *predicted != landed.shard) {
            self.refresh.request(timing.started);
        }
        if self.config.follows(KplRule::JudgeEachMember) && landed.unit.is_aggregate() {
            self.judge_each_member(landed, touched, ctx);
        } else if self.config.follows(KplRule::ResendFromUnknownShard) && self.map.range_of(&landed.shard).is_none() {
            touched.insert(self.release(&landed.unit));
            let alive = self.settle(landed.into_misplaced(), ctx);
            self.redistribute(alive, ctx);
        } else if self.is_in_place(&landed) {
            self.acknowledge_unit(landed, touched, ctx);
        } else {
            self.refresh.request_again();
            self.landed.push(landed);
        }
    }

    /// Whether a reader by the KCL's rule takes it: any record that is no aggregate, and an aggregate whose members
    /// all belong to the shard that it landed on.
    fn is_in_place(&self, landed: &Landed) -> bool {
        let range = self.map.range_of(&landed.shard).filter(|_| !self.refresh.is_doubted());
        !landed.unit.is_aggregate()
            || self.config.is(Mutant::LeaveMisplaced)
            || range.is_some_and(|range| landed.unit.is_within(&range))
    }

    /// Finding 1: acknowledges the members that belong to the shard, and sends the others again.
    fn judge_each_member(&mut self, landed: Landed, touched: &mut BTreeSet<Option<usize>>, ctx: &mut Context<'_>) {
        touched.insert(self.release(&landed.unit));
        let range = self.map.range_of(&landed.shard);
        let is_inside = |record: &QueuedRecord| range.is_some_and(|range| range.contains(record.hash_key));
        let (inside, outside): (Vec<_>, Vec<_>) = landed.unit.dissolve().into_iter().partition(is_inside);
        for record in inside {
            ctx.ledger.store(Unit::single(record), &landed.shard, landed.sequence_number);
        }
        self.redistribute(outside, ctx);
    }

    fn acknowledge_unit(&mut self, landed: Landed, touched: &mut BTreeSet<Option<usize>>, ctx: &mut Context<'_>) {
        let mut unit = landed.unit;
        unit.history.push(Attempt {
            started: landed.started,
            duration: landed.duration,
            result: AttemptResult::Stored,
        });
        let home = self.release(&unit);
        if let Some(index) = home {
            self.lanes[index].pause.succeed();
        }
        touched.insert(home);
        self.meter.stored(&unit, &landed.shard, ctx.now);
        ctx.ledger.store(unit, &landed.shard, landed.sequence_number);
    }

    /// Judges what waits for the map, which is the newest that there is.
    ///
    /// Returns how many of them are in the wrong shard.
    pub(super) fn judge_landed(&mut self, ctx: &mut Context<'_>) -> usize {
        let mut touched = BTreeSet::new();
        let mut again = Vec::new();
        if self.refresh.is_doubted() {
            return 0;
        }
        for landed in std::mem::take(&mut self.landed) {
            if self.is_in_place(&landed) {
                self.acknowledge_unit(landed, &mut touched, ctx);
                continue;
            }
            if landed.readings >= self.refresh.readings() {
                // The reading may be older than the shard that it landed on; another follows.
                self.landed.push(landed);
                continue;
            }
            ctx.ledger.stats.wrong_shard += 1;
            let unit = landed.into_misplaced();
            touched.insert(self.release(&unit));
            again.push(unit);
        }
        let misplaced = again.len();
        for unit in again {
            let alive = self.settle(unit, ctx);
            self.redistribute(alive, ctx);
        }
        self.advance_touched(touched, ctx);
        misplaced
    }

    /// Gives up what waits for a map that will not come.
    pub(super) fn give_up_landed(&mut self, cause: &FailureCause, ctx: &mut Context<'_>) {
        let mut touched = BTreeSet::new();
        for landed in std::mem::take(&mut self.landed) {
            ctx.ledger.stats.ambiguous += 1;
            let unit = landed.into_unjudged();
            touched.insert(self.release(&unit));
            self.give_up_unit(unit, cause, ctx);
        }
        self.advance_touched(touched, ctx);
    }

    /// Gives up what has waited too long for a map.
    pub(super) fn expire_landed(&mut self, ctx: &mut Context<'_>) {
        let (now, ttl) = (ctx.now, self.config.record_ttl);
        let is_over = |landed: &mut Landed| super::after(landed.unit.accepted_at(), ttl) <= now;
        let expired: Vec<_> = self.landed.extract_if(.., is_over).collect();
        let mut touched = BTreeSet::new();
        for landed in expired {
            ctx.ledger.stats.ambiguous += 1;
            let unit = landed.into_unjudged();
            touched.insert(self.release(&unit));
            let alive = self.settle(unit, ctx);
            self.redistribute(alive, ctx);
        }
        self.advance_touched(touched, ctx);
    }
}

impl Landed {
    /// The Kinesis record, with the attempt as one that does not count.
    fn into_misplaced(self) -> Unit {
        let result = AttemptResult::WrongShard { shard: self.shard.clone() };
        self.into_unit(result)
    }

    /// The Kinesis record, with the attempt as one of which nobody can tell whether it counts.
    pub(super) fn into_unjudged(self) -> Unit {
        let message = format!("landed on {}, whose hash keys are not known for certain", self.shard).into();
        self.into_unit(AttemptResult::Ambiguous { code: "UnknownShard".into(), message })
    }

    fn into_unit(self, result: AttemptResult) -> Unit {
        let mut unit = self.unit;
        unit.history.push(Attempt { started: self.started, duration: self.duration, result });
        unit
    }
}
