//! What walks through the pipeline: records, and the Kinesis records that they are packed into.

use bytes::Bytes;
use kinesis_aggregation::{AGGREGATE_PARTITION_KEY, DecodeOptions};
use kinesis_core::{HashKey, HashKeyRange};
use tokio::time::Instant;

use super::ledger::AccountId;
use super::shard_map::Route;
use crate::acknowledgement::Responder;
use crate::outcome::History;

/// What stays of a record once its content is in an aggregate.
#[derive(Debug)]
pub(crate) struct Tracker {
    pub(crate) responder: Responder,
    pub(crate) accepted_at: Instant,
    /// The place in the order of puts.
    pub(crate) sequence: u64,
    /// Where the record is entered, and with which others.
    pub(crate) account: AccountId,
    pub(crate) generation: u64,
    /// Data and partition key, which the queue's limit counts.
    pub(crate) size_bytes: u32,
    pub(crate) data_bytes: u32,
    /// Attempts in Kinesis records that the record was in before.
    pub(crate) history: Option<Box<History>>,
}

impl Tracker {
    pub(crate) fn may_be_stored(&self) -> bool {
        self.history.as_ref().is_some_and(|history| history.may_be_stored())
    }
}

/// A record that is not packed, or not packed any more.
#[derive(Debug)]
pub(crate) struct QueuedRecord {
    pub(crate) partition_key: String,
    pub(crate) explicit_hash_key: Option<HashKey>,
    /// The hash key that counts.
    pub(crate) hash_key: HashKey,
    pub(crate) data: Bytes,
    pub(crate) tracker: Tracker,
}

/// A record within a Kinesis record.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) hash_key: HashKey,
    pub(crate) tracker: Tracker,
}

/// The content of a Kinesis record.
#[derive(Debug)]
enum Content {
    /// One user record as it is.
    Single { partition_key: String, explicit_hash_key: Option<HashKey>, data: Bytes },
    /// Several in the aggregated format.
    Aggregate(Bytes),
}

/// Where a Kinesis record comes from.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) route: Route,
    /// Which of the lanes that the route has had.
    pub(crate) lane: LaneId,
}

/// A number that no other lane of a stream has had.
pub(crate) type LaneId = u64;

/// A Kinesis record on its way: one user record, or an aggregate of several.
#[derive(Debug)]
pub(crate) struct Unit {
    content: Content,
    /// In wire order, never empty; by [`Tracker::sequence`].
    pub(crate) members: Vec<Member>,
    /// Attempts of this Kinesis record.
    pub(crate) history: History,
    /// The lane that it left last.
    pub(crate) origin: Option<Origin>,
}

impl Unit {
    /// Makes the Kinesis record of one user record.
    pub(crate) fn single(record: QueuedRecord) -> Self {
        Self {
            content: Content::Single {
                partition_key: record.partition_key,
                explicit_hash_key: record.explicit_hash_key,
                data: record.data,
            },
            members: vec![Member { hash_key: record.hash_key, tracker: record.tracker }],
            history: History::default(),
            origin: None,
        }
    }

    /// Makes the Kinesis record of an aggregate and its members, in wire order.
    pub(crate) fn aggregate(data: Bytes, members: Vec<Member>) -> Self {
        Self { content: Content::Aggregate(data), members, history: History::default(), origin: None }
    }

    pub(crate) const fn is_aggregate(&self) -> bool {
        matches!(self.content, Content::Aggregate(_))
    }

    /// The partition key that is sent.
    pub(crate) fn partition_key(&self) -> &str {
        match &self.content {
            Content::Single { partition_key, .. } => partition_key,
            Content::Aggregate(_) => AGGREGATE_PARTITION_KEY,
        }
    }

    /// The explicit hash key that is sent: that of the first member, as the KPL has it.
    pub(crate) fn explicit_hash_key(&self) -> HashKey {
        self.members[0].hash_key
    }

    /// The data that is sent.
    pub(crate) const fn data(&self) -> &Bytes {
        match &self.content {
            Content::Single { data, .. } | Content::Aggregate(data) => data,
        }
    }

    /// What limits count: data and partition key.
    pub(crate) fn size_bytes(&self) -> usize {
        self.data().len() + self.partition_key().len()
    }

    /// The place of the first member in the order of puts; the unit's own in its shard.
    pub(crate) fn sequence(&self) -> u64 {
        self.members[0].tracker.sequence
    }

    /// When the first member was accepted.
    pub(crate) fn accepted_at(&self) -> Instant {
        self.members[0].tracker.accepted_at
    }

    /// Whether every member belongs to a shard of that range.
    pub(crate) fn is_within(&self, range: &HashKeyRange) -> bool {
        self.members.iter().all(|member| range.contains(member.hash_key))
    }

    /// What follows each record, with the attempts so far; the content is dropped.
    pub(crate) fn into_trackers(self) -> impl Iterator<Item = Tracker> {
        let history = self.history;
        self.members.into_iter().map(move |member| carry(member.tracker, &history))
    }

    /// Takes the Kinesis record apart again; each record takes the attempts so far along.
    pub(crate) fn dissolve(self) -> Vec<QueuedRecord> {
        let history = self.history;
        match self.content {
            Content::Single { partition_key, explicit_hash_key, data } => {
                let single = |member: Member| QueuedRecord {
                    partition_key: partition_key.clone(),
                    explicit_hash_key,
                    hash_key: member.hash_key,
                    data: data.clone(),
                    tracker: carry(member.tracker, &history),
                };
                self.members.into_iter().map(single).collect()
            }
            Content::Aggregate(data) => {
                let unlimited = DecodeOptions::default().max_members(usize::MAX);
                let aggregate = unlimited.decode(&data).ok().flatten();
                let aggregate = aggregate.expect("invariant: the data was encoded by this crate's aggregator");
                let contents = aggregate.members();
                let pairs = contents.zip(self.members);
                pairs
                    .map(|(content, member)| QueuedRecord {
                        partition_key: content.partition_key().to_owned(),
                        explicit_hash_key: content.explicit_hash_key(),
                        hash_key: member.hash_key,
                        data: content.data(),
                        tracker: carry(member.tracker, &history),
                    })
                    .collect()
            }
        }
    }
}

/// The tracker of a record that leaves a Kinesis record with those attempts.
fn carry(mut tracker: Tracker, history: &History) -> Tracker {
    if !history.is_empty() {
        tracker.history.get_or_insert_default().extend(history);
    }
    tracker
}
