//! What was written down of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use kinesis_consumer::{Checkpoint, PossibleLoss, StreamShard};
use kinesis_core::{EventTimeConfig, RecordPosition, SequenceNumber, Shard, ShardId};

use crate::truth::Item;

/// Where a user record stands: shard, sequence number, sub-sequence number.
pub(crate) type Place = (ShardId, RecordPosition);

/// Something that a job did, in the order in which it was done.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A run of the job opened the store, and found this checkpoint.
    Opened {
        run: u64,
        restored: Option<Checkpoint>,
    },
    Started {
        run: u64,
        shard: ShardId,
    },
    Ended {
        run: u64,
        shard: ShardId,
    },
    /// A user record was processed.
    Record {
        run: u64,
        place: Place,
        text: String,
    },
    /// A user record was older than the watermark that its processor had been told.
    Late {
        run: u64,
        place: Place,
    },
    /// A processor was told the job's watermark.
    Reached {
        run: u64,
        shard: ShardId,
        watermark: SystemTime,
    },
    Loss {
        run: u64,
        /// The service's clock.
        at: SystemTime,
        loss: PossibleLoss,
    },
    /// A shard was reported as lost with what it held.
    ShardLost {
        run: u64,
        shard: StreamShard,
    },
    /// A checkpoint became durable.
    Saved {
        run: u64,
        checkpoint: Checkpoint,
    },
    /// A run ended with an error; it is started again.
    Failed {
        run: u64,
        error: String,
    },
}

impl Step {
    /// The run that did it, counted from 1.
    pub(crate) const fn run(&self) -> u64 {
        match self {
            Self::Opened { run, .. }
            | Self::Started { run, .. }
            | Self::Ended { run, .. }
            | Self::Record { run, .. }
            | Self::Late { run, .. }
            | Self::Reached { run, .. }
            | Self::Loss { run, .. }
            | Self::ShardLost { run, .. }
            | Self::Saved { run, .. }
            | Self::Failed { run, .. } => *run,
        }
    }
}

/// The account of a run: what there was, what was done, what came of it.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// How event time was kept, where it was.
    pub(crate) event_time: Option<EventTimeConfig>,
    /// Every user record that there was to read from the start on, in the order in which it was stored.
    pub(crate) truth: Vec<Item>,
    /// Every user record that was stored, those before the start too.
    pub(crate) stored: Vec<Item>,
    /// When every Kinesis record arrived, those too that are dropped.
    pub(crate) arrivals: BTreeMap<SequenceNumber, SystemTime>,
    /// All shards that there ever were.
    pub(crate) shards: BTreeMap<ShardId, Shard>,
    pub(crate) steps: Vec<Step>,
    /// What the sink made visible.
    pub(crate) visible: Vec<Place>,
    /// How many records a run that survived the faults had not read a minute after them.
    pub(crate) behind: usize,
    /// Whether the last run, without faults, ended by itself in time.
    pub(crate) drained: bool,
    /// What became of every record that a producer was given, in the order in which it was.
    pub(crate) produced: Vec<Produced>,
    /// When the last producer was closed, by the service's clock.
    pub(crate) closed_at: Option<SystemTime>,
}

/// A record that a producer was given.
#[derive(Clone, Debug)]
pub(crate) struct Produced {
    /// Its data, which no other record has.
    pub(crate) text: String,
    pub(crate) fate: Fate,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The put was refused, or dropped before the producer took the record.
    NotAccepted,
    /// It was accepted, and nothing is known yet.
    Pending,
    /// It is stored there; so many other attempts may have left a copy behind.
    Stored { place: Place, may_have_left: usize },
    /// It is definitely not stored.
    Failed,
    /// It may be stored, as often as that; nothing where its producer is gone with what it knew.
    Unknown { may_have_left: Option<usize> },
}

impl Account {
    pub(crate) fn checkpoints(&self) -> impl Iterator<Item = &Checkpoint> {
        self.steps.iter().filter_map(|step| match step {
            Step::Saved { checkpoint, .. } => Some(checkpoint),
            _ => None,
        })
    }

    /// How many of the records have not been read by any run.
    pub(crate) fn unread(&self) -> usize {
        let read = self.steps.iter().filter_map(|step| match step {
            Step::Record { place, .. } => Some(place),
            _ => None,
        });
        let read: BTreeSet<&Place> = read.collect();
        self.truth.iter().filter(|item| !read.contains(&item.place)).count()
    }

    /// The places in the states of the last checkpoint, key by key and in the order of the state.
    pub(crate) fn final_places(&self) -> Result<BTreeMap<String, Vec<Place>>, String> {
        let last = self.checkpoints().last().ok_or("no checkpoint was saved")?;
        let mut found = BTreeMap::new();
        for shard in &last.streams[0].shards {
            let Some(progress) = &shard.progress else { continue };
            for (key, places) in crate::job::read_state(&progress.user_state) {
                if found.insert(key.clone(), places).is_some() {
                    return Err(format!("the key {key} is in the states of two shards"));
                }
            }
        }
        Ok(found)
    }

    /// The shard, its parents, their parents, and so on.
    pub(crate) fn line_of(&self, shard: &ShardId) -> Vec<ShardId> {
        let mut line = vec![shard.clone()];
        let mut next = 0;
        while next < line.len() {
            if let Some(shard) = self.shards.get(&line[next]) {
                let parents: Vec<ShardId> = shard.parents().filter(|parent| !line.contains(parent)).cloned().collect();
                line.extend(parents);
            }
            next += 1;
        }
        line
    }
}
