//! One call, from the moment it comes in to its answer: faults, latency, engine, journal.

mod clock;
mod deferred;
mod events;
mod operate;
mod saving;
mod struck;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use clock::JumpingClock;
use deferred::{DeferredCalls, StateCell};
pub(crate) use events::{EventStream, Step};
use kinesis_core::{RandomStream, Randomness, SharedClock, StreamName};
pub(crate) use saving::Saving;
use struck::CarriedOut;
use tokio::time::Instant;

use crate::engine::{Engine, Place, PutEntry, ServiceError};
use crate::faults::{BodyShape, CallFacts, FaultRules, Strike};
use crate::journal::{CallName, CallOutcome, Counters, Delivery, Journal, JournalCall, JournalRecord, RequestId};
use crate::protocol::{AccessKeys, Call, Format, Reply, Request, Signature, apply};
use crate::store::Ticket;

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
    pub(crate) format: Format,
    pub(crate) body: Bytes,
    /// What takes the place of the body where the reply is an event stream.
    pub(crate) events: Option<Box<EventStream>>,
    pub(crate) request_id: String,
    pub(crate) served_at: SystemTime,
    pub(crate) shape: BodyShape,
}

/// Everything that changes, under one lock that is never held across an await.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) engine: Engine,
    pub(crate) faults: FaultRules,
    pub(crate) journal: Option<Journal>,
    pub(crate) counters: Counters,
    last_call: u64,
    /// The names in the journal, so that its calls share their texts: an iterator yields a new one every time.
    journal_names: BTreeSet<StreamName>,
    request_ids: RandomStream,
    deferred: DeferredCalls,
    last_deferred: u64,
    /// What sets the service's clock forward; nothing before the service has one.
    clock: Option<Arc<JumpingClock>>,
    /// Nothing where the state ends with its process.
    saving: Option<Saving>,
}

impl State {
    pub(crate) fn new(engine: Engine, journal: bool, randomness: &Randomness, saving: Option<Saving>) -> Self {
        Self {
            engine,
            faults: FaultRules::new(randomness.clone()),
            journal: journal.then(Journal::default),
            counters: Counters::new(),
            last_call: 0,
            journal_names: BTreeSet::new(),
            request_ids: randomness.stream("request-id"),
            deferred: DeferredCalls::new(),
            last_deferred: 0,
            clock: None,
            saving,
        }
    }

    /// Counts a call that came in, and decides what goes wrong with it.
    fn admit(&mut self, call: &Call, now: SystemTime) -> Admitted {
        self.last_call += 1;
        let request_id = RequestId::draw(&mut self.request_ids);
        let stream = self.stream_of(call, now).map(|name| self.share(name));
        let strike = call.operation.map_or_else(Strike::default, |operation| {
            self.counters.entry(operation).or_default().calls += 1;
            let account = self.engine.known(&call.place);
            let stored = stream.as_ref().and_then(|stream| account?.ever_put(stream));
            let (stream, shard) = (stream.as_ref(), self.shard_of(call, now));
            let stored = stored.unwrap_or_default();
            self.faults.strike(&CallFacts { place: &call.place, operation, stream, shard: shard.as_deref(), stored })
        });
        Admitted {
            id: self.last_call,
            request: self.last_call,
            request_id,
            stream,
            strike,
            came_in_at: now,
            signed_at: None,
            delivery: Delivery::First,
        }
    }

    fn share(&mut self, name: StreamName) -> StreamName {
        if self.journal.is_none() {
            return name;
        }
        if let Some(shared) = self.journal_names.get(&name) {
            return shared.clone();
        }
        self.journal_names.insert(name.clone());
        name
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

    fn record(
        &mut self,
        call: &Call,
        admitted: &Admitted,
        now: SystemTime,
        outcome: CallOutcome,
        reply: Option<&Reply>,
    ) {
        let stored = reply.map(Reply::stored).unwrap_or_default();
        // At most 500 entries.
        let stored_records = stored.len() as u32;
        let failed_records = match reply {
            Some(Reply::PutAll(outcomes)) => outcomes.len() as u32 - stored_records,
            _ => 0,
        };
        let misreported_records = struck::misreported(admitted, &stored);
        let reply_lost = admitted.strike.hides_answer();
        if let Some(operation) = call.operation {
            let counts = self.counters.entry(operation).or_default();
            counts.stored_records += u64::from(stored_records);
            counts.failed_records += u64::from(failed_records);
            counts.misreported_records += u64::from(misreported_records);
            counts.read_records += reply.map_or(0, Reply::read) as u64;
            let first = admitted.delivery == Delivery::First;
            counts.refused += u64::from(first && matches!(outcome, CallOutcome::Refused(_)));
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
                elsewhere: call.elsewhere.clone(),
            }));
        }
        journal.calls.push(JournalCall {
            id: admitted.id,
            request: admitted.request,
            request_id: admitted.request_id,
            operation: call.call_name(),
            stream: admitted.stream.clone(),
            at: now,
            outcome,
            stored_records,
            failed_records,
            misreported_records,
            fault: admitted.strike.mark,
            reply_lost,
            delivery: admitted.delivery,
            elsewhere: call.elsewhere.clone(),
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

fn outcome_of(result: &Result<Reply, ServiceError>) -> CallOutcome {
    result.as_ref().map_or_else(|error| CallOutcome::Refused(error.code().to_owned()), |_| CallOutcome::Applied)
}

#[derive(Debug)]
struct Admitted {
    id: u64,
    /// The id of the call by which the request first came in.
    request: u64,
    request_id: RequestId,
    stream: Option<StreamName>,
    strike: Strike,
    came_in_at: SystemTime,
    /// The date of its signature, where it has one.
    signed_at: Option<SystemTime>,
    delivery: Delivery,
}

/// The fake behind its transports.
pub(crate) struct Service {
    /// Who calls where a request does not say.
    pub(crate) home: Place,
    pub(crate) state: Arc<StateCell>,
    pub(crate) clock: SharedClock,
    /// The same clock, which can be set forward.
    jumping: Arc<JumpingClock>,
    /// How long a call takes on its way: half of it before it is applied, half after.
    pub(crate) latency: Duration,
    /// The keys that calls over a network have to be signed with; none where any will do.
    keys: AccessKeys,
}

impl fmt::Debug for Service {
    /// Shows no state: it holds every record, and stands in the `Debug` of every client.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("clock", &self.clock).field("latency", &self.latency).finish_non_exhaustive()
    }
}

impl Service {
    pub(crate) fn new(home: Place, mut state: State, clock: SharedClock, latency: Duration, keys: AccessKeys) -> Self {
        let jumping = JumpingClock::new(clock);
        state.clock = Some(Arc::clone(&jumping));
        let clock: SharedClock = Arc::<JumpingClock>::clone(&jumping);
        let state = Arc::new(StateCell::new(state, Arc::clone(&clock)));
        Self { home, state, clock, jumping, latency, keys }
    }

    /// Sets the service's clock forward.
    pub(crate) fn advance(&self, duration: Duration) {
        self.jumping.jump(duration);
        self.state.lock().engine.wake_all();
    }

    /// Reads a call as it came in.
    pub(crate) fn read(&self, target: &str, format: Format, body: &[u8], signature: Signature<'_>) -> Call {
        let caller = signature.caller(&self.home).and_then(|place| self.verify(&signature).map(|()| place));
        Call::parse(target, format, body, caller, &self.home)
    }

    fn verify(&self, signature: &Signature<'_>) -> Result<(), ServiceError> {
        match &signature.wire {
            Some(wire) if !self.keys.is_empty() => self.keys.verify(wire, self.clock.now()),
            _ => Ok(()),
        }
    }

    fn carry_out(&self, call: Call, admitted: &Admitted, now: SystemTime) -> (CarriedOut, Option<Ticket>) {
        let mut state = self.state.lock();
        let carried_out = state.carry_out(call, admitted, now);
        (carried_out, state.save())
    }

    /// An id for an answer to what is no call.
    pub(crate) fn request_id(&self) -> RequestId {
        RequestId::draw(&mut self.state.lock().request_ids)
    }

    /// Answers a call with a reply that arrives whole, or does not arrive.
    ///
    /// Cancel safety: a cancelled call may have been applied, as with the real service.
    pub(crate) async fn answer(&self, call: Call) -> Answer {
        struck::whole(self.answer_signed(call, None).await).await
    }

    /// Answers a call that was signed at that time; how the body of the reply is to arrive stands in the reply.
    ///
    /// Cancel safety: a cancelled call may have been applied, as with the real service.
    pub(crate) async fn answer_signed(&self, call: Call, signed_at: Option<SystemTime>) -> Answer {
        let mut line = LogLine::begin(&call);
        let format = call.format;
        let mut admitted = self.state.lock().admit(&call, self.clock.now());
        admitted.signed_at = signed_at;
        let delay = (self.latency / 2).saturating_add(admitted.strike.delay);
        let mut waiting = Waiting { service: self, call: Some((call, admitted)) };
        pause(delay).await;
        let Some((call, admitted)) = waiting.call.take() else { return Answer::Silence };
        let served_at = self.clock.now();
        let place = call.place.clone();
        let (mut carried_out, saving) = self.carry_out(call, &admitted, served_at);
        if let Some(ticket) = saving
            && !ticket.saved().await
        {
            carried_out = Ok((Err(ServiceError::internal_failure()), served_at));
        }
        pause(self.latency - self.latency / 2).await;
        let (result, served_at) = match carried_out {
            Ok(result) => result,
            Err(answer) => {
                line.write(&admitted, None);
                return answer;
            }
        };
        let mut events = None;
        let (status, body) = match result {
            Ok(Reply::Subscribed(subscription)) => {
                let (state, faults) = (Arc::clone(&self.state), admitted.strike.events_struck.clone());
                events = Some(Box::new(EventStream::new(state, place, *subscription, format, faults, served_at)));
                (200, Bytes::new())
            }
            Ok(reply) => (200, format.reply(&reply)),
            Err(error) => {
                let body = format.error(&error);
                line.code = Some(error.code().to_owned());
                (error.status(), body)
            }
        };
        line.write(&admitted, Some(status));
        let (request_id, shape) = (admitted.request_id.to_string(), admitted.strike.body_shape());
        Answer::Reply(HttpReply { status, format, body, events, request_id, served_at, shape })
    }
}

/// What is logged of a call, in one line.
struct LogLine {
    operation: CallName,
    begun: Instant,
    code: Option<String>,
}

impl LogLine {
    fn begin(call: &Call) -> Self {
        Self { operation: call.call_name(), begun: Instant::now(), code: None }
    }

    /// Writes the line; there is no status where a fault keeps the answer back.
    fn write(&self, admitted: &Admitted, status: Option<u16>) {
        tracing::info!(
            operation = self.operation.as_str(),
            stream = admitted.stream.as_ref().map(StreamName::as_str),
            status,
            code = self.code.as_deref(),
            duration_ms = self.begun.elapsed().as_micros() as f64 / 1000.0,
            request_id = %admitted.request_id,
            "call"
        );
    }
}

/// A call that has come in and was not carried out yet; its caller may give it up.
struct Waiting<'a> {
    service: &'a Service,
    call: Option<(Call, Admitted)>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some((call, admitted)) = self.call.take() {
            let now = self.service.clock.now();
            self.service.state.lock().record(&call, &admitted, now, CallOutcome::Abandoned, None);
        }
    }
}

/// Sleeps, but does not even yield where there is no time to pass.
async fn pause(duration: Duration) {
    if !duration.is_zero() {
        tokio::time::sleep(duration).await;
    }
}
