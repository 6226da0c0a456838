//! The decisions of the producer, without any I/O: events and the time go in, actions and outcomes come out.
//!
//! A record walks through one [`OpenStream`](stream::OpenStream): lane (packing, limit), collector, request, outcome.

mod aggregate;
mod backoff;
mod collect;
#[cfg(test)]
mod fixtures;
mod lane;
mod ledger;
mod limit;
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
use kinesis_core::{HashKey, RandomStream, Randomness, RequestError, Shard, StreamName};
use tokio::sync::oneshot;
use tokio::time::Instant;

use self::ledger::Ledger;
use self::opening::Opening;
pub(crate) use self::opening::StreamInfo;
use self::stream::{Context, OpenStream};
use self::time::earliest;
use self::unit::{QueuedRecord, Tracker, Unit};
use crate::config::ProducerConfig;
use crate::error::DeliveryError;
use crate::outcome::Outcome;
use crate::record::UserRecord;
use crate::stats::ProducerStats;

/// A record as it comes out of the queue.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) stream: StreamName,
    pub(crate) record: UserRecord,
    pub(crate) hash_key: HashKey,
    pub(crate) responder: oneshot::Sender<Outcome>,
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
    /// Read a stream's shards.
    ReadShards(StreamName),
    /// Write.
    Put { id: u64, stream: StreamName, entries: Vec<RequestEntry> },
}

#[derive(Debug)]
enum Stream {
    Opening(Opening),
    Open(Box<OpenStream>),
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
    random: RandomStream,
    next_request: u64,
    next_sequence: u64,
    /// The stream that was served last, so that each gets its turn.
    served: Option<StreamName>,
    is_urgent: bool,
}

impl Pipeline {
    pub(crate) fn new(config: ProducerConfig, randomness: &Randomness) -> Self {
        Self {
            config: Arc::new(config),
            streams: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            ledger: Ledger::default(),
            random: randomness.stream("producer retry"),
            next_request: 0,
            next_sequence: 0,
            served: None,
            is_urgent: false,
        }
    }

    /// Takes a record in.
    pub(crate) fn accept(&mut self, incoming: Incoming, now: Instant) {
        let Incoming { stream, record, hash_key, responder } = incoming;
        let tracker = Tracker {
            responder,
            accepted_at: now,
            sequence: self.next_sequence,
            generation: self.ledger.open(),
            size_bytes: record.size_bytes() as u32,
            data_bytes: record.data.len() as u32,
            history: None,
        };
        self.next_sequence += 1;
        let record = QueuedRecord {
            partition_key: record.partition_key,
            explicit_hash_key: record.explicit_hash_key,
            hash_key,
            data: record.data,
            tracker,
        };
        let mut ctx = context(&mut self.ledger, &mut self.random, now, self.is_urgent);
        match self.streams.get_mut(&stream) {
            Some(Stream::Open(open)) => open.accept(record, &mut ctx),
            Some(Stream::Opening(opening)) => opening.accept(record),
            None => {
                let mut opening = Opening::default();
                opening.accept(record);
                self.streams.insert(stream, Stream::Opening(opening));
            }
        }
    }

    /// Accepts records of a key again whose order was broken.
    pub(crate) fn acknowledge(&mut self, stream: &StreamName, partition_key: &str) {
        if let Some(Stream::Open(open)) = self.streams.get_mut(stream) {
            open.acknowledge(partition_key);
        }
    }

    /// Lets everything go that is here, and tells the generation to wait for.
    pub(crate) fn flush(&mut self, now: Instant) -> u64 {
        let generation = self.ledger.end_generation();
        self.is_urgent = true;
        self.each_open(now, OpenStream::flush);
        generation
    }

    /// Whether all records up to that flush have their outcomes.
    pub(crate) fn is_settled(&mut self, generation: u64) -> bool {
        self.ledger.is_settled(generation)
    }

    /// Takes note that no flush waits any more.
    pub(crate) fn end_flush(&mut self) {
        self.is_urgent = false;
    }

    /// Does what time alone makes due.
    pub(crate) fn advance(&mut self, now: Instant) {
        let ttl = self.config.record_ttl;
        for (name, stream) in &mut self.streams {
            let mut ctx = context(&mut self.ledger, &mut self.random, now, self.is_urgent);
            match stream {
                Stream::Opening(opening) => opening.expire(name, ttl, &mut ctx),
                Stream::Open(open) => open.advance(&mut ctx),
            }
        }
    }

    /// When to call [`advance`](Self::advance) and [`next_action`](Self::next_action) again.
    pub(crate) fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let may_send = self.may_send();
        self.streams.values().fold(None, |soonest, stream| {
            let deadline = match stream {
                Stream::Opening(opening) => opening.next_deadline(now, self.config.record_ttl),
                Stream::Open(open) => open.next_deadline(now, may_send),
            };
            earliest(soonest, deadline)
        })
    }

    /// What is to be done now.
    pub(crate) fn next_action(&mut self, now: Instant) -> Option<Action> {
        self.next_reading(now).or_else(|| self.next_request(now))
    }

    fn next_reading(&mut self, now: Instant) -> Option<Action> {
        self.streams.iter_mut().find_map(|(name, stream)| match stream {
            Stream::Opening(opening) if opening.due_at(now).is_some_and(|due| due <= now) => {
                opening.start();
                Some(Action::Open(name.clone()))
            }
            Stream::Open(open) if open.map_due_at(now).is_some_and(|due| due <= now) => {
                open.start_map_reading();
                Some(Action::ReadShards(name.clone()))
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
        let mut ctx = context(&mut self.ledger, &mut self.random, now, self.is_urgent);
        let is_after = |name: &StreamName| self.served.as_ref().is_none_or(|served| name > served);
        // Each stream once, beginning behind the one that was served last.
        for second_round in [false, true] {
            for (name, stream) in &mut self.streams {
                if is_after(name) == second_round {
                    continue;
                }
                let Stream::Open(open) = stream else { continue };
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
        let mut ctx = context(&mut self.ledger, &mut self.random, now, self.is_urgent);
        if let Some(Stream::Open(open)) = self.streams.get_mut(&request.stream) {
            open.on_answer(request.units, request.started, answer, &mut ctx);
        }
    }

    /// Takes what a look-up found.
    pub(crate) fn on_opened(&mut self, name: &StreamName, info: Result<StreamInfo, RequestError>, now: Instant) {
        let Some(Stream::Opening(opening)) = self.streams.get_mut(name) else {
            return;
        };
        let mut ctx = context(&mut self.ledger, &mut self.random, now, self.is_urgent);
        let opened = info.and_then(|info| {
            OpenStream::new(name.clone(), Arc::clone(&self.config), &info, now).ok_or_else(|| no_open_shard(name))
        });
        match opened {
            Err(error) => opening.fail(name, error, &self.config.backoff, &mut ctx),
            Ok(mut open) => {
                ctx.ledger.stats.shard_map_reads += 1;
                for record in opening.take_waiting() {
                    open.accept(record, &mut ctx);
                }
                if ctx.urgent {
                    open.flush(&mut ctx);
                }
                self.streams.insert(name.clone(), Stream::Open(Box::new(open)));
            }
        }
    }

    /// Takes a reading of a stream's shards.
    pub(crate) fn on_shards(&mut self, name: &StreamName, shards: Result<Vec<Shard>, RequestError>, now: Instant) {
        let mut ctx = context(&mut self.ledger, &mut self.random, now, self.is_urgent);
        if let Some(Stream::Open(open)) = self.streams.get_mut(name) {
            open.on_map(shards, &mut ctx);
        }
    }

    pub(crate) const fn stats(&self) -> &ProducerStats {
        &self.ledger.stats
    }

    /// The records and bytes whose room is free since the last call.
    pub(crate) fn take_released(&mut self) -> (usize, usize) {
        self.ledger.take_released()
    }

    /// The records given up since the last call.
    pub(crate) fn take_failures(&mut self) -> Option<DeliveryError> {
        self.ledger.take_failures()
    }

    fn each_open(&mut self, now: Instant, mut act: impl FnMut(&mut OpenStream, &mut Context<'_>)) {
        for stream in self.streams.values_mut() {
            let mut ctx = context(&mut self.ledger, &mut self.random, now, self.is_urgent);
            if let Stream::Open(open) = stream {
                act(open, &mut ctx);
            }
        }
    }
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
