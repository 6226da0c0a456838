//! The reference model: everything in lists, every question answered by walking them.
//!
//! It is written from the service's documents. What the documents leave open and the fake had to decide is marked
//! "decided" in the comments.

mod attachments;
mod learning;
mod reading;
mod scaling;
mod shards;
mod streams;
mod validation;
mod writing;

use std::collections::BTreeMap;

use serde_json::{Value, json};

pub(crate) use learning::Learn;
pub(crate) use shards::shard_id;

pub(crate) const HOUR: u64 = 3_600_000;
/// How long iterators and page tokens live, the last millisecond included.
pub(crate) const LIFE: u64 = 300_000;
/// 2026-01-01T00:00:00Z.
pub(crate) const EPOCH: u64 = 1_767_225_600_000;
pub(crate) const ARN_PREFIX: &str = "arn:aws:kinesis:us-east-1:123456789012:stream/";

/// One call.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) operation: &'static str,
    pub(crate) input: Value,
}

/// What the service must answer. A text `$n` in a body stands for the opaque value that is described at `n`.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Refused with any of these codes.
    Refused(Vec<&'static str>),
    /// Served, with no body.
    Nothing,
    /// Served, with a body.
    Body(Value, Vec<Learn>),
}

/// Codes of which a refusal carries one.
pub(crate) type Refusal = Vec<&'static str>;
pub(crate) type Answered = Result<Answer, Refusal>;

pub(crate) fn refuse<T>(code: &'static str) -> Result<T, Refusal> {
    Err(vec![code])
}

/// A deliberate fault of the model, which the comparison must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// LATEST begins one record too early.
    LatestOffByOne,
    /// A parent ends a millisecond after its children have begun.
    ChildBeforeParentEnds,
    /// The end of a closed shard is told only by a reply without records.
    EndToldLate,
    /// Iterators live a millisecond longer.
    IteratorOutlivesItsLife,
    /// Records are trimmed a millisecond late.
    TrimmedLate,
    /// The lower child of a split takes the hash key that belongs to the upper one.
    SplitOffByOne,
    /// A longer retention brings trimmed records back.
    TrimmedComeBack,
    /// An iterator ends with its stream, although a later one has its name.
    IteratorEndsWithItsStream,
}

impl Mutant {
    pub(crate) const ALL: [Self; 8] = [
        Self::LatestOffByOne,
        Self::ChildBeforeParentEnds,
        Self::EndToldLate,
        Self::IteratorOutlivesItsLife,
        Self::TrimmedLate,
        Self::SplitOffByOne,
        Self::TrimmedComeBack,
        Self::IteratorEndsWithItsStream,
    ];
}

/// How long a stream stays in its states, in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Delays {
    pub(crate) creating: u64,
    pub(crate) updating: u64,
    pub(crate) deleting: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Creating(u64),
    Active,
    Updating(u64),
    Deleting(u64),
    Gone,
}

/// What takes effect when UPDATING ends.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Split(usize, u128),
    Merge(usize, usize),
    Rescale(u64),
    Encrypt(Option<String>),
    Mode(String),
}

#[derive(Clone, Debug)]
pub(crate) struct Shard {
    pub(crate) start: u128,
    pub(crate) end: u128,
    pub(crate) parents: Vec<usize>,
    pub(crate) children: Vec<usize>,
    pub(crate) created: u64,
    pub(crate) closed: Option<u64>,
    pub(crate) gone: bool,
    /// StartingSequenceNumber, once it has been seen.
    pub(crate) first: Option<String>,
    /// EndingSequenceNumber, once it has been seen.
    pub(crate) last: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) shard: usize,
    pub(crate) arrival: u64,
    pub(crate) key: String,
    pub(crate) data: String,
    /// As the fake has returned it.
    pub(crate) number: String,
    pub(crate) encrypted: bool,
    pub(crate) trimmed: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Consumer {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) created: u64,
}

/// One incarnation of a stream; a deleted one stays in the list.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) name: String,
    pub(crate) created: u64,
    pub(crate) state: State,
    pub(crate) pending: Option<Change>,
    pub(crate) retention_hours: u64,
    pub(crate) max_record_kib: u64,
    pub(crate) mode: String,
    pub(crate) key_id: Option<String>,
    pub(crate) shards: Vec<Shard>,
    pub(crate) records: Vec<Record>,
    /// The horizon never goes back, whatever happens to the retention.
    pub(crate) horizon: u64,
    /// Before it is, it shows no shards, also where it is deleted then (recorded by kinesalite, test/deleteStream.js).
    pub(crate) was_active: bool,
    /// Shards that UpdateShardCount has made are taken over from the next listing.
    pub(crate) rescaled: Option<(u64, u64)>,
    pub(crate) rescalings: Vec<u64>,
    pub(crate) mode_changes: Vec<u64>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) consumers: Vec<Consumer>,
}

/// A position in a shard: the index of a record among all that the shard has ever held.
#[derive(Clone, Debug)]
pub(crate) struct Position {
    pub(crate) stream: usize,
    pub(crate) shard: usize,
    pub(crate) index: usize,
    pub(crate) issued: u64,
}

#[derive(Clone, Debug)]
pub(crate) enum Page {
    Streams { after: String },
    Shards { stream: usize, after: usize, filter: Value },
    Consumers { stream: usize, after: String },
}

#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) page: Page,
    pub(crate) issued: u64,
}

#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) now: u64,
    pub(crate) delays: Delays,
    pub(crate) mutant: Option<Mutant>,
    pub(crate) streams: Vec<Stream>,
    pub(crate) iterators: Vec<(String, Position)>,
    pub(crate) tokens: Vec<(String, Token)>,
    pub(crate) coverage: BTreeMap<&'static str, u64>,
}

impl Model {
    pub(crate) fn new(delays: Delays, mutant: Option<Mutant>) -> Self {
        let (streams, iterators, tokens, coverage) = Default::default();
        Self { now: EPOCH, delays, mutant, streams, iterators, tokens, coverage }
    }

    pub(crate) fn answer(&mut self, call: &Call) -> Answer {
        let input = &call.input;
        let answered = validation::check(call.operation, input).and_then(|()| match call.operation {
            "CreateStream" => self.create_stream(input),
            "DeleteStream" => self.delete_stream(input),
            "DescribeStream" => self.describe_stream(input),
            "DescribeStreamSummary" => self.describe_stream_summary(input),
            "ListStreams" => self.list_streams(input),
            "IncreaseStreamRetentionPeriod" => self.change_retention(input, true),
            "DecreaseStreamRetentionPeriod" => self.change_retention(input, false),
            "StartStreamEncryption" => self.change_encryption(input, true),
            "StopStreamEncryption" => self.change_encryption(input, false),
            "UpdateMaxRecordSize" => self.update_max_record_size(input),
            "UpdateStreamMode" => self.update_stream_mode(input),
            "ListShards" => self.list_shards(input),
            "SplitShard" => self.split_shard(input),
            "MergeShards" => self.merge_shards(input),
            "UpdateShardCount" => self.update_shard_count(input),
            "PutRecord" => self.put_record(input),
            "PutRecords" => self.put_records(input),
            "GetShardIterator" => self.get_shard_iterator(input),
            "GetRecords" => self.get_records(input),
            "AddTagsToStream" => self.add_tags(input),
            "RemoveTagsFromStream" => self.remove_tags(input),
            "ListTagsForStream" => self.list_tags(input),
            "RegisterStreamConsumer" => self.register_consumer(input),
            "DescribeStreamConsumer" => self.describe_consumer(input),
            "DeregisterStreamConsumer" => self.deregister_consumer(input),
            "ListStreamConsumers" => self.list_consumers(input),
            other => panic!("the model has no {other}"),
        });
        self.count(if answered.is_ok() { "served" } else { "refused" });
        answered.unwrap_or_else(Answer::Refused)
    }

    pub(crate) fn count(&mut self, what: &'static str) {
        *self.coverage.entry(what).or_default() += 1;
    }

    /// Lets time pass and everything happen that is due by then.
    pub(crate) fn advance(&mut self, millis: u64) {
        self.now += millis;
        self.settle();
    }

    pub(crate) fn settle(&mut self) {
        for stream in 0..self.streams.len() {
            match self.streams[stream].state {
                State::Creating(until) if until <= self.now => {
                    self.streams[stream].state = State::Active;
                    self.streams[stream].was_active = true;
                }
                State::Deleting(until) if until <= self.now => self.streams[stream].state = State::Gone,
                State::Updating(until) if until <= self.now => {
                    self.streams[stream].state = State::Active;
                    if let Some(change) = self.streams[stream].pending.take() {
                        // Decided: never before the stream's creation, which may be dated a moment ahead.
                        self.apply(stream, until.max(self.streams[stream].created), change);
                    }
                }
                _ => {}
            }
            self.trim(stream);
        }
    }

    fn trim(&mut self, stream: usize) {
        let late = u64::from(self.mutant == Some(Mutant::TrimmedLate));
        let comes_back = self.mutant == Some(Mutant::TrimmedComeBack);
        let (now, mut trimmed, mut vanished) = (self.now, 0, 0);
        let it = &mut self.streams[stream];
        let retention = it.retention_hours * HOUR;
        it.horizon = it.horizon.max(now.saturating_sub(retention));
        for record in &mut it.records {
            let old = record.arrival + retention + late <= now;
            trimmed += u64::from(old && !record.trimmed);
            record.trimmed = old || (record.trimmed && !comes_back);
        }
        for shard in it.shards.iter_mut().filter(|shard| !shard.gone) {
            shard.gone = shard.closed.is_some_and(|closed| closed + retention <= now);
            vanished += u64::from(shard.gone);
        }
        *self.coverage.entry("records trimmed").or_default() += trimmed;
        *self.coverage.entry("closed shards vanished").or_default() += vanished;
    }

    /// The index of the stream that has this name now.
    pub(crate) fn named(&self, name: &str) -> Option<usize> {
        self.streams.iter().rposition(|stream| stream.name == name && stream.state != State::Gone)
    }

    /// The stream that a call means.
    pub(crate) fn resolve(&self, input: &Value) -> Result<usize, Refusal> {
        let by_name = input["StreamName"].as_str();
        let by_arn = input["StreamARN"].as_str();
        let from_arn = by_arn.and_then(|arn| arn.strip_prefix(ARN_PREFIX));
        let name = match (by_name, by_arn, from_arn) {
            (None, None, _) => return refuse("InvalidArgumentException"),
            (_, Some(_), None) => return refuse("ResourceNotFoundException"),
            (Some(name), Some(_), Some(other)) if name != other => return refuse("InvalidArgumentException"),
            (Some(name), ..) | (None, _, Some(name)) => name,
        };
        self.named(name).map_or_else(|| refuse("ResourceNotFoundException"), Ok)
    }

    /// The stream that a call means, which must be ACTIVE.
    pub(crate) fn resolve_active(&self, input: &Value) -> Result<usize, Refusal> {
        let stream = self.resolve(input)?;
        self.must_be_active(stream)?;
        Ok(stream)
    }

    pub(crate) fn must_be_active(&self, stream: usize) -> Result<(), Refusal> {
        if self.streams[stream].state == State::Active { Ok(()) } else { refuse("ResourceInUseException") }
    }

    /// Begins a change that takes effect when UPDATING ends; without a delay that is at once.
    pub(crate) fn begin(&mut self, stream: usize, change: Change) {
        self.streams[stream].state = State::Updating(self.now + self.delays.updating);
        self.streams[stream].pending = Some(change);
        self.settle();
    }

    fn apply(&mut self, stream: usize, at: u64, change: Change) {
        match change {
            Change::Split(shard, key) => self.apply_split(stream, at, shard, key),
            Change::Merge(first, second) => self.apply_merge(stream, at, first, second),
            Change::Rescale(target) => self.streams[stream].rescaled = Some((target, at)),
            Change::Encrypt(key_id) => self.streams[stream].key_id = key_id,
            Change::Mode(mode) => self.streams[stream].mode = mode,
        }
    }
}

impl Stream {
    pub(crate) fn arn(&self) -> String {
        format!("{ARN_PREFIX}{}", self.name)
    }

    pub(crate) const fn status(&self) -> &'static str {
        match self.state {
            State::Creating(_) => "CREATING",
            State::Active => "ACTIVE",
            State::Updating(_) => "UPDATING",
            State::Deleting(_) | State::Gone => "DELETING",
        }
    }

    /// Whether records can be written and read: decided to be so while ACTIVE and UPDATING.
    pub(crate) const fn takes_data(&self) -> bool {
        matches!(self.state, State::Active | State::Updating(_))
    }

    pub(crate) fn is_open(&self, shard: usize) -> bool {
        self.shards[shard].closed.is_none()
    }

    pub(crate) fn open_shards(&self) -> Vec<usize> {
        (0..self.shards.len()).filter(|shard| self.is_open(*shard)).collect()
    }

    /// All records that a shard has ever held, in the order of their arrival.
    pub(crate) fn records_of(&self, shard: usize) -> Vec<&Record> {
        self.records.iter().filter(|record| record.shard == shard).collect()
    }
}

/// Instants are compared as numbers of milliseconds; the wire has seconds.
pub(crate) fn seconds(millis: u64) -> Value {
    json!(millis as f64 / 1000.0)
}

/// The milliseconds of a timestamp in a request.
pub(crate) fn millis(seconds: &Value) -> Option<u64> {
    seconds.as_f64().map(|seconds| (seconds * 1000.0).round() as u64)
}
