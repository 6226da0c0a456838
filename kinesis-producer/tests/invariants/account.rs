//! What was written down of a run.

use std::collections::BTreeMap;

use kinesis_core::{HashKey, SequenceNumber, ShardId};
use kinesis_producer::{Outcome, ProducerStats};
use kinesis_testkit::{Delivery, FaultPlan};
use tokio::time::Instant;

use crate::wire::{Request, Try};
use crate::workload::Setup;

/// What became of a record, as its caller saw it.
#[derive(Clone, Debug)]
pub(crate) enum Fate {
    /// It was not accepted, or its put was dropped before it was.
    NotAccepted,
    /// It was accepted, and its handle dropped.
    Unwatched,
    /// It was accepted, and has no outcome.
    Pending,
    /// It has an outcome; the time is known where somebody was there to see it come.
    Resolved(Outcome, Option<Instant>),
}

/// A record that was handed to the producer; its id is its place in the list.
#[derive(Clone, Debug)]
pub(crate) struct Put {
    pub(crate) stream: String,
    pub(crate) key: String,
    pub(crate) hash_key: HashKey,
    pub(crate) data_bytes: usize,
    pub(crate) accepted_at: Instant,
    pub(crate) fate: Fate,
}

impl Put {
    pub(crate) fn outcome(&self) -> Option<&Outcome> {
        match &self.fate {
            Fate::Resolved(outcome, _) => Some(outcome),
            _ => None,
        }
    }

    pub(crate) const fn was_accepted(&self) -> bool {
        !matches!(self.fate, Fate::NotAccepted)
    }
}

/// One copy of a record, where the service has it.
#[derive(Clone, Debug)]
pub(crate) struct Copy {
    pub(crate) id: u64,
    pub(crate) stream: String,
    pub(crate) key: String,
    pub(crate) hash_key: HashKey,
    pub(crate) data_bytes: usize,
    pub(crate) shard: ShardId,
    pub(crate) sequence_number: SequenceNumber,
    pub(crate) sub_sequence_number: u64,
    /// Whether a reader by the KCL's rule takes it.
    pub(crate) is_visible: bool,
    /// The call that stored it.
    pub(crate) call: u64,
    pub(crate) delivery: Delivery,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Close,
    DropProducer,
    DropRuntime,
}

/// The order of a key was broken, and its caller took note of that before this many records were put.
#[derive(Clone, Debug)]
pub(crate) struct Acknowledgement {
    pub(crate) stream: String,
    pub(crate) key: String,
    pub(crate) before: usize,
    pub(crate) at: Instant,
}

/// The account of a run: what was put, what crossed the wire, what was stored, what was said.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) setup: Setup,
    pub(crate) plan: FaultPlan,
    pub(crate) puts: Vec<Put>,
    /// In the order in which they were stored.
    pub(crate) copies: Vec<Copy>,
    pub(crate) wire: Vec<Request>,
    /// The tries of every record, by the wire.
    pub(crate) tries: BTreeMap<u64, Vec<Try>>,
    pub(crate) acknowledged: Vec<Acknowledgement>,
    /// When the close returned or the producer was dropped.
    pub(crate) ended_at: Instant,
    /// The counters of a run that was closed.
    pub(crate) stats: Option<ProducerStats>,
    /// The most records and bytes that were accepted and had no outcome.
    pub(crate) most: (usize, usize),
    /// Calls of PutRecords that the service refused for what they held.
    pub(crate) invalid: Vec<String>,
    /// How often each kind of fault struck.
    pub(crate) struck: BTreeMap<&'static str, u64>,
}

/// What an invariant found wrong.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    /// The record that it is about, if it is about one.
    pub(crate) id: Option<u64>,
    pub(crate) what: String,
}

impl Violation {
    pub(crate) fn of(id: u64, what: impl Into<String>) -> Self {
        Self { id: Some(id), what: what.into() }
    }

    pub(crate) fn of_run(what: impl Into<String>) -> Self {
        Self { id: None, what: what.into() }
    }
}

pub(crate) type Verdict = Result<(), Violation>;

impl Account {
    /// The records that have an outcome.
    pub(crate) fn resolved(&self) -> impl Iterator<Item = (u64, &Put, &Outcome)> {
        let puts = self.puts.iter().enumerate();
        puts.filter_map(|(id, put)| put.outcome().map(|outcome| (id as u64, put, outcome)))
    }

    pub(crate) fn copies_of(&self, id: u64) -> impl Iterator<Item = &Copy> {
        self.copies.iter().filter(move |copy| copy.id == id)
    }

    pub(crate) fn tries_of(&self, id: u64) -> &[Try] {
        self.tries.get(&id).map(Vec::as_slice).unwrap_or_default()
    }

    /// The copies of every record, by its id.
    pub(crate) fn copies_by_id(&self) -> BTreeMap<u64, Vec<&Copy>> {
        let mut by_id = BTreeMap::<u64, Vec<&Copy>>::new();
        for copy in &self.copies {
            by_id.entry(copy.id).or_default().push(copy);
        }
        by_id
    }
}
