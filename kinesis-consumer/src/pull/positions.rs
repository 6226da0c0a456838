//! Positions that a user keeps.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use bytes::Bytes;
use kinesis_core::{RecordPosition, Shard, ShardId, StreamName};
use thiserror::Error;

use crate::lineage::ShardProgress;
use crate::position::ShardPosition;
use crate::record::StreamShard;
use crate::state::{Checkpoint, DecodeCheckpointError, ShardState, StreamState};

/// How far a job has read, to be kept next to the results and given back to
/// [`ConsumerBuilder::positions`](crate::ConsumerBuilder::positions).
///
/// A subtask's positions hold all shards that the job knew of: its own as they are now, the others as they were when the
/// job began. So those of one subtask may replace whatever was kept under its number before, also where the parallelism
/// was another one, and any set of what was kept is safe to [merge](Self::merge): each shard goes on from the furthest
/// position that was kept of it.
///
/// A shard that the job read to its end stays in them until the job is built anew from positions that have that end: until
/// then another subtask's may not have it yet.
///
/// Unlike in a checkpoint of the consumer's own, a child may stand further than a parent that is not finished: its
/// subtask kept positions and the parent's did not. The child then waits for the parent.
#[derive(Clone, Debug, PartialEq)]
pub struct Positions(Checkpoint);

/// Positions that do not belong together.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "the positions are of different jobs: stream {stream} was created anew between them, or was read from another \
     starting position"
)]
#[non_exhaustive]
pub struct DifferentJobsError {
    /// The stream that they differ in.
    pub stream: StreamName,
}

impl Positions {
    pub(super) const fn new(checkpoint: Checkpoint) -> Self {
        Self(checkpoint)
    }

    pub(crate) fn into_checkpoint(self) -> Checkpoint {
        self.0
    }

    /// The positions as bytes, in the format of a checkpoint: versioned and with a checksum.
    pub fn encode(&self) -> Bytes {
        self.0.encode()
    }

    /// Reads positions; every version of the format since the first is read.
    ///
    /// The positions of a checkpoint of processors can be read too, without their states; what its sink has not committed
    /// yet is lost to it then, so end that job by a stop or a drain first.
    ///
    /// # Errors
    /// [`DecodeCheckpointError`]; a retry gives the same.
    pub fn decode(bytes: impl Into<Bytes>) -> Result<Self, DecodeCheckpointError> {
        Checkpoint::decode(bytes.into()).map(Self)
    }

    /// Every shard that was begun, and how far it was read, in the order of streams and shards.
    pub fn shards(&self) -> impl Iterator<Item = (StreamShard, ShardPosition)> {
        self.progress().map(|(shard, progress)| (shard, progress.position))
    }

    /// As [`shards`](Self::shards), with the watermarks, and without states.
    pub(crate) fn progress(&self) -> impl Iterator<Item = (StreamShard, ShardProgress)> {
        self.0.streams.iter().flat_map(|stream| {
            stream.shards.iter().filter_map(|state| {
                let shard = StreamShard { stream: stream.name.clone(), shard: state.shard.id.clone() };
                let progress = state.progress.as_ref()?;
                Some((shard, ShardProgress::without_state(progress.position, progress.watermark)))
            })
        })
    }

    /// Takes of each shard the position that is further.
    ///
    /// A shard that one of the two no longer has, since it was at its end when that one's job began, and of which it has
    /// descendants, is left out.
    ///
    /// # Errors
    /// [`DifferentJobsError`] where the two are of different jobs.
    pub fn merge(mut self, other: Self) -> Result<Self, DifferentJobsError> {
        self.0.taken_at = self.0.taken_at.max(other.0.taken_at);
        for stream in other.0.streams {
            match self.0.streams.iter_mut().find(|own| own.name == stream.name) {
                Some(own) => merge_stream(own, stream)?,
                None => self.0.streams.push(stream),
            }
        }
        self.0.streams.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(self)
    }
}

fn merge_stream(own: &mut StreamState, other: StreamState) -> Result<(), DifferentJobsError> {
    if (&own.arn, own.created_at, own.start) != (&other.arn, other.created_at, other.start) {
        return Err(DifferentJobsError { stream: other.name });
    }
    own.listed_at = own.listed_at.max(other.listed_at);
    let ours = std::mem::take(&mut own.shards);
    let (kept, theirs) = (without_ancestors(&ours, &other.shards), without_ancestors(&other.shards, &ours));
    let mut shards: BTreeMap<ShardId, ShardState> =
        kept.into_iter().map(|state| (state.shard.id.clone(), state)).collect();
    for state in theirs {
        let is_further = shards.get(&state.shard.id).is_none_or(|known| extent(known) < extent(&state));
        if is_further {
            shards.insert(state.shard.id.clone(), state);
        }
    }
    own.shards = shards.into_values().collect();
    Ok(())
}

/// Those of `states` that `others` lack without being past them.
///
/// Shards that take the same keys follow one another, so that the later one descends from the earlier.
fn without_ancestors(states: &[ShardState], others: &[ShardState]) -> Vec<ShardState> {
    let known: BTreeSet<&ShardId> = others.iter().map(|state| &state.shard.id).collect();
    let is_past = |state: &ShardState| {
        let (range, begins) = (state.shard.hash_key_range, &state.shard.starting_sequence_number);
        let descends =
            |other: &Shard| other.hash_key_range.overlaps(&range) && other.starting_sequence_number > *begins;
        !known.contains(&state.shard.id) && others.iter().any(|other| descends(&other.shard))
    };
    states.iter().filter(|state| !is_past(state)).cloned().collect()
}

/// Ended, the last record, the time that nothing is unread before, and the watermark.
type Extent = (bool, Option<RecordPosition>, Option<SystemTime>, Option<SystemTime>);

/// How far a shard was read, in the order of time; not begun comes first.
fn extent(state: &ShardState) -> Option<Extent> {
    let Some(progress) = &state.progress else {
        return state.skipped.then_some((true, None, None, None));
    };
    let position = progress.position;
    Some((position.is_ended(), position.last(), position.not_before(), progress.watermark))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kinesis_core::{Epoch, HashKeyRange, SequenceNumber, from_unix_millis};

    fn at(sequence: u128) -> Option<ShardPosition> {
        Some(ShardPosition::from_parts(Some(RecordPosition::new(sequence.into(), 0)), None, false))
    }

    fn positions(taken_at: u64, shards: &[(u64, Option<ShardPosition>)]) -> Positions {
        let state = |(index, position): &(u64, Option<ShardPosition>)| ShardState {
            owed_since: from_unix_millis(0),
            shard: Shard {
                id: ShardId::from_index(*index),
                hash_key_range: HashKeyRange::FULL,
                parent: None,
                adjacent_parent: None,
                starting_sequence_number: SequenceNumber::ZERO,
                ending_sequence_number: None,
            },
            start: ShardPosition::TRIM_HORIZON,
            skipped: false,
            progress: position.map(|position| ShardProgress::without_state(position, None)),
        };
        Positions(Checkpoint {
            job: "job".to_owned(),
            epoch: Epoch(0),
            taken_at: from_unix_millis(taken_at),
            streams: vec![StreamState {
                name: "orders".parse().unwrap(),
                arn: "arn:aws:kinesis:us-east-1:123456789012:stream/orders".parse().unwrap(),
                created_at: from_unix_millis(1),
                start: ShardPosition::TRIM_HORIZON,
                listed_at: from_unix_millis(taken_at),
                shards: shards.iter().map(state).collect(),
            }],
            pending: Vec::new(),
        })
    }

    #[test]
    fn each_shard_goes_on_from_the_furthest_position_in_any_order() {
        let ended = Some(ShardPosition::from_parts(Some(RecordPosition::new(7.into(), 0)), None, true));
        let idle =
            Some(ShardPosition::from_parts(Some(RecordPosition::new(7.into(), 0)), Some(from_unix_millis(9)), false));
        let parts = [
            positions(5, &[(0, at(7)), (1, None), (2, at(3)), (3, at(7))]),
            positions(9, &[(0, at(100)), (1, Some(ShardPosition::TRIM_HORIZON)), (2, ended), (3, idle)]),
            positions(7, &[(0, at(20)), (4, at(1))]),
        ];
        let expected =
            positions(9, &[(0, at(100)), (1, Some(ShardPosition::TRIM_HORIZON)), (2, ended), (3, idle), (4, at(1))]);
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let [first, second, third] = order.map(|index: usize| parts[index].clone());
            let merged = first.merge(second).unwrap().merge(third).unwrap();
            assert_eq!(merged, expected, "{order:?}");
        }
    }

    /// Shard 0 is split into 1 and 2, and 1 into 3 and 4.
    fn generations(taken_at: u64, shards: &[(u64, Option<ShardPosition>)]) -> Positions {
        let mut positions = positions(taken_at, shards);
        let (halves, quarters) = (HashKeyRange::uniform(2), HashKeyRange::uniform(4));
        let ranges = [HashKeyRange::FULL, halves[0], halves[1], quarters[0], quarters[1]];
        for (state, (index, _)) in positions.0.streams[0].shards.iter_mut().zip(shards) {
            state.shard.hash_key_range = ranges[*index as usize];
            state.shard.starting_sequence_number = SequenceNumber::from(u128::from(*index));
        }
        positions
    }

    #[test]
    fn a_shard_that_later_positions_are_past_does_not_come_back() {
        let (first, some) = (Some(ShardPosition::TRIM_HORIZON), at(9));
        let stages = [
            generations(1, &[(0, some)]),
            generations(2, &[(0, some), (1, first), (2, first)]),
            generations(3, &[(1, some), (2, some), (3, None), (4, None)]),
            generations(4, &[(2, some), (3, some), (4, first)]),
        ];
        let last = generations(4, &[(2, some), (3, some), (4, first)]);
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [0, 3, 1, 2], [2, 0, 3, 1]] {
            let [one, two, three, four] = order.map(|index: usize| stages[index].clone());
            let merged = one.merge(two).unwrap().merge(three.merge(four).unwrap()).unwrap();
            assert_eq!(merged, last, "{order:?}");
        }
        let merged = stages[0].clone().merge(stages[3].clone()).unwrap();
        assert_eq!(merged, last, "also where the generation between is in neither");
        let merged = stages[0].clone().merge(stages[1].clone()).unwrap();
        assert_eq!(merged, stages[1], "what both have stays");
    }

    #[test]
    fn bytes_keep_all_of_it() {
        let kept = positions(9, &[(0, at(7)), (1, None)]);
        assert_eq!(Positions::decode(kept.encode()), Ok(kept));
    }

    #[test]
    fn positions_of_different_jobs_are_refused() {
        let one = positions(5, &[(0, at(7))]);
        let mut anew = one.clone();
        anew.0.streams[0].created_at = from_unix_millis(2);
        let mut elsewhere = one.clone();
        elsewhere.0.streams[0].start = ShardPosition::at_timestamp(from_unix_millis(3));
        for other in [anew, elsewhere] {
            assert!(one.clone().merge(other).is_err());
        }
    }
}
