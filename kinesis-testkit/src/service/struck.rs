//! A call and the fault that strikes it.

use std::borrow::Cow;
use std::time::SystemTime;

use super::{Admitted, Answer, State, outcome_of, pause};
use crate::engine::{ServiceError, StoredAt, resolve_shard_id};
use crate::faults::{BodyShape, EntryFault, Fault, Unanswered, refuse_signature};
use crate::journal::{CallOutcome, Delivery};
use crate::protocol::{Call, Reply, Request, apply};

const CUT_OFF: &str = "connection closed before the reply was complete";
const RESET: &str = "connection reset by peer";

/// What the service has to say, and what its clock shows then; or how it keeps that back.
pub(super) type CarriedOut = Result<(Result<Reply, ServiceError>, SystemTime), Answer>;

impl State {
    /// The shard that a call is about, where it is about one.
    pub(super) fn shard_of<'a>(&self, call: &'a Call, now: SystemTime) -> Option<Cow<'a, str>> {
        match call.request.as_ref().ok()? {
            // Only a rule about a shard asks, and decoding an iterator takes longer than to look whether there is one.
            Request::GetRecords { iterator, .. } if self.faults.ask_for_shards() => {
                let shard = self.engine.known(&call.place)?.shard_of_iterator(iterator, now)?;
                Some(Cow::Owned(shard.as_str().to_owned()))
            }
            Request::GetShardIterator { shard, .. }
            | Request::Subscribe { shard, .. }
            | Request::SplitShard { shard, .. }
            | Request::MergeShards { shard, .. } => {
                // The service reads an id by its number alone.
                Some(resolve_shard_id(shard).map_or(Cow::Borrowed(shard), |id| Cow::Owned(id.as_str().to_owned())))
            }
            _ => None,
        }
    }

    /// Carries a call out, or does not, as its fault has it, and writes that down.
    pub(super) fn carry_out(&mut self, mut call: Call, admitted: &Admitted, now: SystemTime) -> CarriedOut {
        let now = self.operate(&call.place, admitted, now);
        if let Some(answer) = self.keep_back(&call, admitted, now) {
            return Err(answer);
        }
        let fault = admitted.strike.fault.as_ref();
        if let Some(Fault::ApplyLate { after, answer }) = fault {
            self.record(&call, admitted, now, CallOutcome::Deferred, None);
            self.defer(call, admitted, now, *after, Delivery::Late);
            return Err(match answer {
                Unanswered::Silence => Answer::Silence,
                Unanswered::Reset => Answer::Broken(RESET),
            });
        }
        let result = self.apply_struck(&mut call, admitted, now);
        self.record(&call, admitted, now, outcome_of(&result), result.as_ref().ok());
        let date = match fault {
            Some(Fault::SkewedClock(skew)) => skew.applied_to(now),
            _ => now,
        };
        match fault {
            Some(Fault::LoseReply) => return Err(Answer::Broken(CUT_OFF)),
            Some(Fault::HangAfter) => return Err(Answer::Silence),
            Some(Fault::ErrorAfter { code, message, status }) => {
                return Ok((Err(ServiceError::new(code.clone(), message.as_str(), *status)), date));
            }
            Some(Fault::ApplyTwice { after }) => self.defer(call, admitted, now, *after, Delivery::Repeated),
            _ => {}
        }
        Ok((result.map(|reply| misreport(reply, admitted)), date))
    }

    /// Lets a call end before it is applied, where its fault is one of those.
    fn keep_back(&mut self, call: &Call, admitted: &Admitted, now: SystemTime) -> Option<Answer> {
        let (outcome, answer) = match admitted.strike.fault {
            Some(Fault::Reset) => (CallOutcome::Reset, Answer::Broken(RESET)),
            Some(Fault::Hang) => (CallOutcome::Hung, Answer::Silence),
            _ => return None,
        };
        self.record(call, admitted, now, outcome, None);
        Some(answer)
    }

    /// Applies a call as far as its fault allows it.
    fn apply_struck(&mut self, call: &mut Call, admitted: &Admitted, now: SystemTime) -> Result<Reply, ServiceError> {
        let strike = &admitted.strike;
        let refusal = match &strike.fault {
            Some(Fault::Error { code, message, status }) => {
                Some(ServiceError::new(code.clone(), message.as_str(), *status))
            }
            Some(Fault::SkewedClock(skew)) => {
                refuse_signature(admitted.signed_at.unwrap_or(admitted.came_in_at), skew.applied_to(now))
            }
            _ => None,
        };
        let (request, operation) = match (refusal, &mut call.request, call.operation) {
            (Some(refusal), ..) => return Err(refusal),
            (None, Err(refusal), _) => return Err(refusal.clone()),
            (None, Ok(request), Some(operation)) => (request, operation),
            (None, Ok(_), None) => return Err(ServiceError::internal_failure()),
        };
        if let (Some(Fault::EmptyRead), Request::GetRecords { limit, .. }) = (&strike.fault, &mut *request) {
            // A read of no records is what the engine knows as such: it moves nowhere and is behind by what it left.
            *limit = 0;
        }
        apply(self.engine.at(&call.place), now, operation, request, |index| match strike.entry(index) {
            Some(EntryFault::Refused(error)) => Some(error),
            Some(EntryFault::Misreported(_)) | None => None,
        })
    }
}

/// How many of the entries that were stored the reply reports as failed.
pub(super) fn misreported(admitted: &Admitted, stored: &[(usize, &StoredAt)]) -> u32 {
    let misreported = |index| matches!(admitted.strike.entry(index), Some(EntryFault::Misreported(_)));
    stored.iter().filter(|(index, _)| misreported(*index)).count() as u32
}

/// Lets the reply say of stored entries that they failed, as the fault has it.
fn misreport(mut reply: Reply, admitted: &Admitted) -> Reply {
    if let Reply::PutAll(outcomes) = &mut reply {
        for (index, outcome) in outcomes.iter_mut().enumerate() {
            if let (Ok(_), Some(EntryFault::Misreported(error))) = (&outcome, admitted.strike.entry(index)) {
                *outcome = Err(error);
            }
        }
    }
    reply
}

/// What a caller makes of an answer who takes bodies as a whole.
pub(super) async fn whole(answer: Answer) -> Answer {
    let Answer::Reply(reply) = answer else { return answer };
    match reply.shape {
        BodyShape::Whole => {}
        BodyShape::Cut { .. } => return Answer::Broken(CUT_OFF),
        BodyShape::Stall { .. } => return Answer::Silence,
        BodyShape::Trickle { interval } => {
            pause(interval.saturating_mul(u32::try_from(reply.body.len()).unwrap_or(u32::MAX))).await;
        }
    }
    Answer::Reply(reply)
}
