//! One call, from the moment it comes in to its answer: faults, latency, engine, journal.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kinesis_core::{RandomStream, SharedClock, StreamName};
use parking_lot::Mutex;

use crate::engine::{Engine, Place, PutEntry, ServiceError};
use crate::fake::AheadClock;
use crate::faults::{CallFacts, Fault, FaultPlan, Strike};
use crate::journal::{CallOutcome, Counters, Journal, JournalCall, JournalRecord};
use crate::protocol::{Call, Reply, Request, Signature, apply, error_body};

/// What goes back to the caller.
#[derive(Debug)]
pub(crate) enum Answer {
    Reply(HttpReply),
    /// The connection breaks.
    Broken(&'static str),
    /// Nothing, ever.
    Silence,
}

/// An answer in HTTP's terms.
#[derive(Debug)]
pub(crate) struct HttpReply {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) request_id: String,
    pub(crate) served_at: SystemTime,
}

/// Everything that changes, under one lock that is never held across an await.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) engine: Engine,
    pub(crate) faults: FaultPlan,
    pub(crate) journal: Option<Journal>,
    pub(crate) counters: Counters,
    last_call: u64,
    request_ids: RandomStream,
}

impl State {
    pub(crate) fn new(engine: Engine, journal: bool, request_ids: RandomStream) -> Self {
        Self {
            engine,
            faults: FaultPlan::default(),
            journal: journal.then(Journal::default),
            counters: Counters::new(),
            last_call: 0,
            request_ids,
        }
    }

    /// Counts a call that came in, and decides what goes wrong with it.
    fn admit(&mut self, call: &Call, now: SystemTime) -> Admitted {
        self.last_call += 1;
        let request_id = request_id(&mut self.request_ids);
        let stream = self.stream_of(call, now);
        let strike = call.operation.map_or_else(Strike::default, |operation| {
            self.counters.entry(operation).or_default().calls += 1;
            let account = self.engine.known(&call.place);
            let stored = stream.as_ref().and_then(|stream| account?.ever_put(stream));
            self.faults.strike(&CallFacts { operation, stream: stream.as_ref(), stored: stored.unwrap_or_default() })
        });
        Admitted { id: self.last_call, request_id, stream, strike }
    }

    fn stream_of(&self, call: &Call, now: SystemTime) -> Option<StreamName> {
        let account = || self.engine.known(&call.place);
        match call.request.as_ref().ok()? {
            Request::CreateStream { name, .. } => Some(name.clone()),
            Request::GetRecords { iterator, .. } => account()?.stream_of_iterator(iterator, now),
            Request::ListMoreShards { next_token, .. } => account()?.stream_of_page(next_token),
            other => other.stream().map(|stream| stream.name.clone()),
        }
    }

    /// Carries a call out, or does not, as its fault has it, and writes that down.
    fn carry_out(
        &mut self,
        call: &mut Call,
        admitted: &Admitted,
        now: SystemTime,
    ) -> Result<Result<Reply, ServiceError>, Answer> {
        let fault = admitted.strike.fault.as_ref();
        let result = match (fault, &mut call.request) {
            (Some(Fault::Reset), _) => {
                self.record(call, admitted, now, CallOutcome::Reset, None);
                return Err(Answer::Broken("connection reset by peer"));
            }
            (Some(Fault::Hang), _) => {
                self.record(call, admitted, now, CallOutcome::Hung, None);
                return Err(Answer::Silence);
            }
            (Some(Fault::Error { code, message, status }), _) => {
                Err(ServiceError::new(code.clone(), message.as_str(), *status))
            }
            (_, Err(refusal)) => Err(refusal.clone()),
            (_, Ok(request)) => match call.operation {
                Some(operation) => {
                    let (account, strike) = (self.engine.at(&call.place), &admitted.strike);
                    apply(account, now, operation, request, |index| strike.entry_error(index))
                }
                None => Err(ServiceError::internal_failure()),
            },
        };
        let outcome = result
            .as_ref()
            .map_or_else(|error| CallOutcome::Refused(error.code().to_owned()), |_| CallOutcome::Applied);
        self.record(call, admitted, now, outcome, result.as_ref().ok());
        if fault == Some(&Fault::LoseReply) {
            return Err(Answer::Broken("connection closed before the reply was complete"));
        }
        Ok(result)
    }

    fn record(
        &mut self,
        call: &Call,
        admitted: &Admitted,
        now: SystemTime,
        outcome: CallOutcome,
        reply: Option<&Reply>,
    ) {
        let stored = reply.map(Reply::stored).unwrap_or_default();
        let stored_records = stored.len() as u64;
        let failed_records = match reply {
            Some(Reply::PutAll(outcomes)) => outcomes.len() as u64 - stored_records,
            _ => 0,
        };
        let reply_lost = admitted.strike.fault == Some(Fault::LoseReply);
        if let Some(operation) = call.operation {
            let counts = self.counters.entry(operation).or_default();
            counts.stored_records += stored_records;
            counts.failed_records += failed_records;
            counts.refused += u64::from(matches!(outcome, CallOutcome::Refused(_)));
            let unanswered = reply_lost || matches!(outcome, CallOutcome::Reset | CallOutcome::Hung);
            counts.unanswered += u64::from(unanswered);
        }
        let Some(journal) = &mut self.journal else { return };
        if let (Some(stream), Ok(request)) = (&admitted.stream, &call.request) {
            let entries = entries(request);
            journal.records.extend(stored.into_iter().map(|(index, stored)| JournalRecord {
                call: admitted.id,
                stream: stream.clone(),
                shard: stored.shard.clone(),
                sequence_number: stored.sequence_number,
                explicit_hash_key: entries[index].explicit_hash_key,
                body: entries[index].body.clone(),
                arrived_at: stored.arrived_at,
            }));
        }
        journal.calls.push(JournalCall {
            id: admitted.id,
            operation: call.name.clone(),
            stream: admitted.stream.clone(),
            at: now,
            outcome,
            stored_records,
            failed_records,
            reply_lost,
        });
    }
}

/// The entries that a request puts.
fn entries(request: &Request) -> &[PutEntry] {
    match request {
        Request::PutRecord { entry, .. } => std::slice::from_ref(entry),
        Request::PutRecords { entries, .. } => entries,
        _ => &[],
    }
}

/// An id in the form of a UUID, seeded.
fn request_id(random: &mut RandomStream) -> String {
    let (high, low) = (random.next_u64(), random.next_u64());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        low >> 48 & 0x3fff | 0x8000,
        low & 0xffff_ffff_ffff
    )
}

#[derive(Debug)]
struct Admitted {
    id: u64,
    request_id: String,
    stream: Option<StreamName>,
    strike: Strike,
}

/// The fake behind its transports.
pub(crate) struct Service {
    /// Who calls where a request does not say.
    pub(crate) home: Place,
    pub(crate) state: Mutex<State>,
    pub(crate) clock: SharedClock,
    /// The same clock, which can be moved ahead.
    pub(crate) ahead: Arc<AheadClock>,
    /// How long a call takes on its way: half of it before it is applied, half after.
    pub(crate) latency: Duration,
}

impl fmt::Debug for Service {
    /// Shows no state: it holds every record, and stands in the `Debug` of every client.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("clock", &self.clock).field("latency", &self.latency).finish_non_exhaustive()
    }
}

impl Service {
    /// Reads a call as it came in.
    pub(crate) fn read(&self, target: &str, body: &[u8], signature: Signature<'_>) -> Call {
        Call::parse(target, body, signature.caller(&self.home), &self.home)
    }

    /// Answers a call.
    ///
    /// Cancel safety: a cancelled call may have been applied, as with the real service.
    pub(crate) async fn answer(&self, mut call: Call) -> Answer {
        let admitted = self.state.lock().admit(&call, self.clock.now());
        pause(self.latency / 2 + admitted.strike.delay).await;
        let served_at = self.clock.now();
        let carried_out = self.state.lock().carry_out(&mut call, &admitted, served_at);
        pause(self.latency - self.latency / 2).await;
        let result = match carried_out {
            Ok(result) => result,
            Err(answer) => return answer,
        };
        let (status, body) = match result {
            Ok(reply) => (200, reply.to_json()),
            Err(error) => (error.status(), error_body(&error)),
        };
        Answer::Reply(HttpReply { status, body, request_id: admitted.request_id, served_at })
    }
}

/// Sleeps, but does not even yield where there is no time to pass.
async fn pause(duration: Duration) {
    if !duration.is_zero() {
        tokio::time::sleep(duration).await;
    }
}
