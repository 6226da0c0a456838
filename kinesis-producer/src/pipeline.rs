//! The decisions of the producer, without any I/O: events and the time go in, actions and outcomes come out.
//!
//! A record walks through one [`OpenStream`](stream::OpenStream): lane (packing, limit), collector, request, outcome.

mod aggregate;
#[cfg(test)]
mod allocations;
mod backoff;
mod collect;
#[cfg(test)]
mod fixtures;
mod kpl_rule;
mod lane;
mod ledger;
mod limit;
mod measure;
mod opening;
mod order;
mod retry;
mod shard_map;
mod stream;
#[cfg(test)]
mod tests;
mod time;
mod unit;

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_kinesis::operation::put_records::PutRecordsOutput;
use bytes::Bytes;
use kinesis_core::{HashKey, RandomStream, Randomness, RequestError, StreamName};
use tokio::time::Instant;

#[cfg(test)]
pub(crate) use self::kpl_rule::KplRule;
use self::ledger::{AccountId, Ledger};
pub(crate) use self::ledger::{FlushTicket, Released};
use self::measure::StreamMeter;
use self::opening::Opening;
pub(crate) use self::opening::{OpenWaiter, StreamInfo, StreamSettings};
pub(crate) use self::stream::Reading;
use self::stream::{Context, OpenStream};
#[cfg(feature = "cloudwatch")]
pub(crate) use self::time::after;
use self::time::earliest;
use self::unit::{QueuedRecord, Tracker, Unit};
use crate::acknowledgement::Responder;
use crate::config::ProducerConfig;
use crate::error::DeliveryError;
use crate::metrics::Meter;
use crate::outcome::{Attempt, AttemptResult, FailureCause};
use crate::record::UserRecord;
use crate::stats::ProducerStats;

/// A record as it comes out of the queue.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) stream: StreamName,
    pub(crate) record: UserRecord,
    pub(crate) hash_key: HashKey,
    pub(crate) responder: Responder,
}

/// One entry of a request.
#[derive(Clone, Debug)]
pub(crate) struct RequestEntry {
    pub(crate) partition_key: String,
    pub(crate) explicit_hash_key: HashKey,
    pub(crate) data: Bytes,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Action {
    /// Look a stream up.
    Open(StreamName),
    /// Look a stream up again: its shards may have changed, or its mode.
    Refresh(StreamName, Reading),
    /// Write.
    Put { id: u64, stream: StreamName, entries: Vec<RequestEntry> },
}

#[derive(Debug)]
enum State {
    Opening(Opening),
    Open(Box<OpenStream>),
}

/// A stream with its account.
#[derive(Debug)]
struct Stream {
    account: AccountId,
    /// Whether a flush waits for its records.
    is_urgent: bool,
    state: State,
}

/// A request on its way.
#[derive(Debug)]
struct InFlight {
    stream: StreamName,
    started: Instant,
    units: Vec<Unit>,
}

/// All streams of a producer.
#[derive(Debug)]
pub(crate) struct Pipeline {
    config: Arc<ProducerConfig>,
    streams: BTreeMap<StreamName, Stream>,
    in_flight: BTreeMap<u64, InFlight>,
    ledger: Ledger,
    meter: Meter,
    random: RandomStream,
    next_request: u64,
    next_sequence: u64,
    /// The stream that was served last, so that each gets its turn.
    served: Option<StreamName>,
}

impl Pipeline {
    pub(crate) fn new(config: ProducerConfig, randomness: &Randomness) -> Self {
        Self {
            ledger: Ledger::new(config.queue_limit_bytes),
            config: Arc::new(config),
            streams: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            meter: Meter::default(),
            random: randomness.stream("producer retry"),
            next_request: 0,
            next_sequence: 0,
            served: None,
        }
    }

    /// The same pipeline, measured.
    pub(crate) fn metered(mut self, meter: Meter) -> Self {
        self.meter = meter;
        self
    }

    /// Takes a record in.
    pub(crate) fn accept(&mut self, incoming: Incoming, now: Instant) {
        let Incoming { stream, record, hash_key, responder } = incoming;
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        let name = stream;
        let stream = entry(&mut self.streams, &mut self.ledger, &self.meter, &name);
        let tracker = Tracker {
            responder,
            accepted_at: now,
            sequence,
            account: stream.account,
            generation: self.ledger.open(stream.account, now),
            size_bytes: record.size_bytes() as u32,
            data_bytes: record.data.len() as u32,
            history: None,
        };
        let record = QueuedRecord {
            partition_key: record.partition_key,
            explicit_hash_key: record.explicit_hash_key,
            hash_key,
            data: record.data,
            tracker,
        };
        let mut ctx = context(&mut self.ledger, &mut self.random, now, stream.is_urgent);
        match &mut stream.state {
            State::Open(open) => {
                open.meter.received(now);
                open.accept(record, &mut ctx);
            }
            State::Opening(opening) => {
                opening.meter.received(now);
                opening.accept(record, &name, &mut ctx);
            }
        }
    }

    /// Looks a stream up before there are records for it, and tells who waits for that.
    pub(crate) fn open(&mut self, name: &StreamName, waiter: OpenWaiter) {
        match &mut entry(&mut self.streams, &mut self.ledger, &self.meter, name).state {
            State::Opening(opening) => opening.wait(waiter),
            State::Open(_) => {
                // The caller may have stopped waiting.
                let _ = waiter.send(Ok(()));
            }
        }
    }

    /// Accepts records of a key again whose order was broken.
    pub(crate) fn acknowledge(&mut self, stream: &StreamName, partition_key: &str) {
        if let Some(Stream { state: State::Open(open), .. }) = self.streams.get_mut(stream) {
            open.acknowledge(partition_key);
        }
    }

    /// Lets everything go that is here, of one stream or of all, and tells what to wait for.
    pub(crate) fn flush(&mut self, only: Option<&StreamName>, now: Instant) -> FlushTicket {
        let mut accounts = Vec::new();
        for (name, stream) in &mut self.streams {
            if only.is_some_and(|only| only != name) {
                continue;
            }
            accounts.push(stream.account);
            stream.is_urgent = true;
            if let State::Open(open) = &mut stream.state {
                open.flush(&mut context(&mut self.ledger, &mut self.random, now, true));
            }
        }
        self.ledger.cut(accounts)
    }

    /// Whether all records that the flush waits for have their outcomes.
    pub(crate) fn is_settled(&self, ticket: &FlushTicket) -> bool {
        self.ledger.is_settled(ticket)
    }

    /// Takes note that no flush waits any more.
    pub(crate) fn end_flush(&mut self) {
        self.streams.values_mut().for_each(|stream| stream.is_urgent = false);
    }

    /// Gives up everything that has no outcome yet: what is on its way may be stored.
    pub(crate) fn abandon(&mut self, cause: &FailureCause, now: Instant) {
        let interrupted = AttemptResult::Ambiguous {
            code: "Interrupted".into(),
            message: "the producer was closed before there was an answer".into(),
        };
        let mut on_their_way = BTreeMap::<_, Vec<_>>::new();
        for InFlight { stream, started, mut units } in std::mem::take(&mut self.in_flight).into_values() {
            let duration = now.saturating_duration_since(started);
            self.ledger.stats.ambiguous += units.len() as u64;
            for unit in &mut units {
                unit.history.push(Attempt { started, duration, result: interrupted.clone() });
            }
            on_their_way.entry(stream).or_default().extend(units);
        }
        for (name, stream) in &mut self.streams {
            let mut ctx = context(&mut self.ledger, &mut self.random, now, stream.is_urgent);
            match &mut stream.state {
                State::Opening(opening) => opening.abandon(name, cause, &mut ctx),
                State::Open(open) => open.abandon(on_their_way.remove(name).unwrap_or_default(), cause, &mut ctx),
            }
        }
    }

    /// Does what time alone makes due.
    pub(crate) fn advance(&mut self, now: Instant) {
        let ttl = self.config.record_ttl;
        for (name, stream) in &mut self.streams {
            let mut ctx = context(&mut self.ledger, &mut self.random, now, stream.is_urgent);
            match &mut stream.state {
                State::Opening(opening) => opening.expire(name, ttl, &mut ctx),
                State::Open(open) => open.advance(&mut ctx),
            }
        }
        self.forget_idle(now);
    }

    /// Forgets streams that could not be opened and that nobody asks for.
    fn forget_idle(&mut self, now: Instant) {
        let ledger = &mut self.ledger;
        self.streams.retain(|_, stream| {
            let is_idle = matches!(&stream.state, State::Opening(opening) if opening.is_idle(now));
            if is_idle {
                ledger.remove_account(stream.account);
            }
            !is_idle
        });
    }

    /// When to call [`advance`](Self::advance) and [`next_action`](Self::next_action) again.
    pub(crate) fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let may_send = self.may_send();
        self.streams.values().fold(None, |soonest, stream| {
            let deadline = match &stream.state {
                State::Opening(opening) => opening.next_deadline(now, self.config.record_ttl),
                State::Open(open) => open.next_deadline(now, may_send),
            };
            earliest(soonest, deadline)
        })
    }

    /// What is to be done now.
    pub(crate) fn next_action(&mut self, now: Instant) -> Option<Action> {
        self.next_reading(now).or_else(|| self.next_request(now))
    }

    fn next_reading(&mut self, now: Instant) -> Option<Action> {
        self.streams.iter_mut().find_map(|(name, stream)| match &mut stream.state {
            State::Opening(opening) if opening.due_at(now).is_some_and(|due| due <= now) => {
                opening.start();
                Some(Action::Open(name.clone()))
            }
            State::Open(open) if open.map_due_at(now).is_some_and(|due| due <= now) => {
                Some(Action::Refresh(name.clone(), open.start_map_reading()))
            }
            _ => None,
        })
    }

    fn may_send(&self) -> bool {
        self.in_flight.len() < self.config.max_requests_in_flight
    }

    fn next_request(&mut self, now: Instant) -> Option<Action> {
        if !self.may_send() {
            return None;
        }
        let is_after = |name: &StreamName| self.served.as_ref().is_none_or(|served| name > served);
        // Each stream once, beginning behind the one that was served last.
        for second_round in [false, true] {
            for (name, stream) in &mut self.streams {
                if is_after(name) == second_round {
                    continue;
                }
                let State::Open(open) = &mut stream.state else { continue };
                let mut ctx = context(&mut self.ledger, &mut self.random, now, stream.is_urgent);
                if let Some(units) = open.take_request(&mut ctx) {
                    let name = name.clone();
                    return Some(self.start_request(name, units, now));
                }
            }
        }
        None
    }

    fn start_request(&mut self, stream: StreamName, units: Vec<Unit>, now: Instant) -> Action {
        let id = self.next_request;
        self.next_request += 1;
        let stats = &mut self.ledger.stats;
        stats.put_records_calls += 1;
        stats.kinesis_record_attempts += units.len() as u64;
        let is_retry = |unit: &&Unit| {
            let earlier = unit.members[0].tracker.history.as_ref().map_or(0, |history| history.count());
            unit.history.count() + earlier > 0
        };
        stats.retries += units.iter().filter(is_retry).count() as u64;
        stats.kinesis_record_attempt_bytes += units.iter().map(|unit| unit.size_bytes() as u64).sum::<u64>();
        let entry = |unit: &Unit| RequestEntry {
            partition_key: unit.partition_key().to_owned(),
            explicit_hash_key: unit.explicit_hash_key(),
            data: unit.data().clone(),
        };
        let entries = units.iter().map(entry).collect();
        self.served = Some(stream.clone());
        let in_flight = InFlight { stream: stream.clone(), started: now, units };
        self.in_flight.insert(id, in_flight);
        Action::Put { id, stream, entries }
    }

    /// Takes the answer to a request.
    pub(crate) fn on_answer(&mut self, id: u64, answer: Result<PutRecordsOutput, RequestError>, now: Instant) {
        let Some(request) = self.in_flight.remove(&id) else {
            return;
        };
        if let Some(Stream { state: State::Open(open), is_urgent, .. }) = self.streams.get_mut(&request.stream) {
            let mut ctx = context(&mut self.ledger, &mut self.random, now, *is_urgent);
            open.on_answer(request.units, request.started, answer, &mut ctx);
        }
    }

    /// Takes what a look-up found.
    pub(crate) fn on_opened(&mut self, name: &StreamName, info: Result<StreamInfo, RequestError>, now: Instant) {
        let Some(stream) = self.streams.get_mut(name) else {
            return;
        };
        let State::Opening(opening) = &mut stream.state else {
            return;
        };
        let mut ctx = context(&mut self.ledger, &mut self.random, now, stream.is_urgent);
        let opened = info.and_then(|info| {
            OpenStream::new(name.clone(), Arc::clone(&self.config), &info, now).ok_or_else(|| no_open_shard(name))
        });
        match opened {
            Err(error) => opening.fail(name, error, &self.config.backoff, &mut ctx),
            Ok(mut open) => {
                ctx.ledger.stats.shard_map_reads += 1;
                opening.tell(&Ok(()));
                open.meter = std::mem::take(&mut opening.meter);
                for record in opening.take_waiting() {
                    open.accept(record, &mut ctx);
                }
                if ctx.urgent {
                    open.flush(&mut ctx);
                }
                stream.state = State::Open(Box::new(open));
            }
        }
    }

    /// Takes what looking a stream up again found.
    pub(crate) fn on_refreshed(&mut self, name: &StreamName, info: Result<StreamInfo, RequestError>, now: Instant) {
        if let Some(Stream { state: State::Open(open), is_urgent, .. }) = self.streams.get_mut(name) {
            open.on_map(info, &mut context(&mut self.ledger, &mut self.random, now, *is_urgent));
        }
    }

    /// About when the oldest record without an outcome was accepted.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.ledger.oldest()
    }

    pub(crate) const fn stats(&self) -> &ProducerStats {
        &self.ledger.stats
    }

    /// What is freed since the last call.
    pub(crate) fn take_released(&mut self) -> Released {
        self.ledger.take_released()
    }

    /// The records given up since the last call.
    pub(crate) fn take_failures(&mut self) -> Option<DeliveryError> {
        self.ledger.take_failures()
    }
}

/// The stream of that name, which begins with its first record.
fn entry<'a>(
    streams: &'a mut BTreeMap<StreamName, Stream>,
    ledger: &mut Ledger,
    meter: &Meter,
    name: &StreamName,
) -> &'a mut Stream {
    // Looked up before it is entered, since the name would be cloned for every record.
    if !streams.contains_key(name) {
        let state = State::Opening(Opening::new(StreamMeter::new(meter, name)));
        streams.insert(name.clone(), Stream { account: ledger.add_account(), is_urgent: false, state });
    }
    streams.get_mut(name).expect("invariant: inserted above where it was missing")
}

/// Not a method: the streams are borrowed beside it.
fn context<'a>(ledger: &'a mut Ledger, random: &'a mut RandomStream, now: Instant, urgent: bool) -> Context<'a> {
    Context { now, ledger, random, urgent }
}

/// A listing without an open shard: a stream that is being created or deleted.
fn no_open_shard(stream: &StreamName) -> RequestError {
    let kind = kinesis_core::RequestErrorKind::InvalidResponse;
    RequestError::new("ListShards", stream.as_str(), kind, None, "the stream has no open shard")
}
