//! What must hold of a run, judged from the fake's journal and the checkpoints that were saved.

use std::collections::{BTreeMap, BTreeSet};

use kinesis_aggregation::decode;
use kinesis_consumer::Checkpoint;
use kinesis_core::{RecordPosition, ShardId};
use kinesis_testkit::FakeKinesis;

use crate::job::{INPUT, OUTPUT, Output};

/// The place of a user record.
pub(crate) type Place = (ShardId, RecordPosition);

/// What a job did that the journal does not tell.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Opened {
        run: u64,
        restored: Option<Checkpoint>,
    },
    /// A checkpoint became durable; `stored` was there before.
    Saved {
        checkpoint: Checkpoint,
        stored: Vec<Output>,
    },
    Failed {
        error: String,
    },
}

impl Step {
    fn failure(&self) -> Option<&str> {
        match self {
            Self::Failed { error } => Some(error),
            Self::Opened { .. } | Self::Saved { .. } => None,
        }
    }
}

/// The data of a stream's user records, and where each stands, in the order in which they were stored.
fn user_records(fake: &FakeKinesis, stream: &str) -> Vec<(Place, Vec<u8>)> {
    let mut found = Vec::new();
    for record in fake.journal().records.iter().filter(|record| record.stream().as_str() == stream) {
        let place = |index| (record.shard().clone(), RecordPosition::new(record.sequence_number(), index));
        match decode(&record.data()).unwrap() {
            None => found.push((place(0), record.data().to_vec())),
            Some(aggregate) => {
                let members = aggregate.members();
                found.extend(members.map(|member| (place(member.index()), member.data().to_vec())));
            }
        }
    }
    found
}

pub(crate) fn outputs(fake: &FakeKinesis) -> Vec<Output> {
    user_records(fake, OUTPUT).iter().map(|(_, data)| Output::decode(data)).collect()
}

/// A run that is over.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) seed: u64,
    /// The text of every record that there was to read.
    pub(crate) inputs: BTreeMap<Place, String>,
    pub(crate) outputs: Vec<Output>,
    pub(crate) steps: Vec<Step>,
    pub(crate) drained: bool,
}

/// Whether a checkpoint vouches for a record.
fn covers(checkpoint: &Checkpoint, (shard, position): &Place) -> bool {
    let mut states = checkpoint.streams.iter().flat_map(|stream| &stream.shards);
    let state = states.find(|state| state.shard.id == *shard);
    state.and_then(|state| state.progress.as_ref()).is_some_and(|progress| {
        progress.position.is_ended() || progress.position.last().is_some_and(|last| *position <= last)
    })
}

impl Account {
    pub(crate) fn of(seed: u64, fake: &FakeKinesis, steps: Vec<Step>, drained: bool) -> Self {
        let inputs = user_records(fake, INPUT);
        let text = |data: Vec<u8>| String::from_utf8(data).unwrap();
        Self {
            seed,
            inputs: inputs.into_iter().map(|(place, data)| (place, text(data))).collect(),
            outputs: outputs(fake),
            steps,
            drained,
        }
    }

    fn saved(&self) -> impl Iterator<Item = (&Checkpoint, &[Output])> {
        self.steps.iter().filter_map(|step| match step {
            Step::Saved { checkpoint, stored } => Some((checkpoint, stored.as_slice())),
            Step::Opened { .. } | Step::Failed { .. } => None,
        })
    }

    /// Every input has an output that says the same.
    pub(crate) fn nothing_is_lost(&self) -> Result<(), String> {
        if !self.drained {
            return Err("the last run did not come to its end".to_owned());
        }
        let written: BTreeMap<Place, &str> = self.outputs.iter().map(|output| (place(output), &*output.text)).collect();
        match self.inputs.iter().find(|(place, text)| written.get(*place) != Some(&text.as_str())) {
            Some(lost) => Err(format!("{lost:?} has no output")),
            None => Ok(()),
        }
    }

    /// A checkpoint that is saved vouches only for records whose outputs were stored by then.
    pub(crate) fn checkpoints_vouch_for_outputs(&self) -> Result<(), String> {
        for (checkpoint, stored) in self.saved() {
            let stored: BTreeSet<Place> = stored.iter().map(place).collect();
            let missing = self.inputs.keys().find(|input| covers(checkpoint, input) && !stored.contains(*input));
            if let Some(missing) = missing {
                return Err(format!("checkpoint {} vouches for {missing:?}, which has no output", checkpoint.epoch));
            }
        }
        Ok(())
    }

    /// A run writes nothing that the checkpoint it went on from vouches for.
    pub(crate) fn only_what_follows_a_checkpoint_is_written_again(&self) -> Result<(), String> {
        for step in &self.steps {
            let Step::Opened { run, restored: Some(checkpoint) } = step else { continue };
            let again = |output: &&Output| output.run == *run && covers(checkpoint, &place(output));
            if let Some(output) = self.outputs.iter().find(again) {
                return Err(format!("{output:?} was written again after checkpoint {}", checkpoint.epoch));
            }
        }
        Ok(())
    }

    /// A run writes each record once.
    pub(crate) fn no_run_repeats_itself(&self) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        match self.outputs.iter().find(|output| !seen.insert(*output)) {
            Some(output) => Err(format!("{output:?} was written twice")),
            None => Ok(()),
        }
    }

    pub(crate) fn failures(&self) -> Vec<&str> {
        self.steps.iter().filter_map(Step::failure).collect()
    }

    /// How much of what the checks look for there is: records that checkpoints vouch for, restored runs, duplicates.
    pub(crate) fn weight(&self) -> [usize; 3] {
        let vouched =
            |(checkpoint, _): (&Checkpoint, _)| self.inputs.keys().filter(|input| covers(checkpoint, input)).count();
        let restored = |step: &&Step| matches!(step, Step::Opened { restored: Some(_), .. });
        let distinct: BTreeSet<Place> = self.outputs.iter().map(place).collect();
        [
            self.saved().map(vouched).max().unwrap_or_default(),
            self.steps.iter().filter(restored).count(),
            self.outputs.len() - distinct.len(),
        ]
    }
}

fn place(output: &Output) -> Place {
    (output.shard.clone(), output.position)
}
