//! Splits and merges by a seed.

use std::fmt;
use std::time::Duration;

use kinesis_core::{HashKey, HashKeyRange, RandomStream, Randomness, Shard, ShardId};
use thiserror::Error;
use tokio::time::sleep;

use crate::engine::ServiceError;
use crate::fake::FakeKinesis;

/// How many open shards a schedule makes where it is not told.
const DEFAULT_MAX_OPEN: usize = 8;
/// How often the fake is asked for the number of its records, and an updating stream for its next change.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A change of a stream's shards that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReshardStep {
    /// One shard became two.
    Split {
        /// The shard.
        shard: ShardId,
        /// Where the upper child begins.
        at: HashKey,
        /// The lower and the upper child.
        children: [ShardId; 2],
    },
    /// Two neighbours became one.
    Merge {
        /// The lower one.
        shard: ShardId,
        /// The upper one.
        adjacent: ShardId,
        /// What they became.
        child: ShardId,
    },
}

impl fmt::Display for ReshardStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Split { shard, at, children: [low, high] } => {
                write!(f, "split {shard} at {at} into {low} and {high}")
            }
            Self::Merge { shard, adjacent, child } => write!(f, "merge {shard} and {adjacent} into {child}"),
        }
    }
}

/// A step that was refused; the schedule is as it was before.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("step {step} of the reshard schedule with seed {seed} was refused on stream `{stream}`")]
#[non_exhaustive]
pub struct ReshardError {
    /// The stream.
    pub stream: String,
    /// The seed.
    pub seed: u64,
    /// The step, from 1.
    pub step: usize,
    /// The fake's refusal.
    pub source: ServiceError,
}

/// When the next step is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReshardEvery {
    /// After so many more records, counted over all streams of the fake and looked at every 10 ms of tokio's time.
    ///
    /// Records that were stored before the schedule is run do not count.
    Records(u64),
    /// After so much of tokio's time.
    Interval(Duration),
}

/// A seeded sequence of splits and merges.
///
/// Every step fits the shards as they are when it is made: splits are at random and mostly uneven points, some at the
/// very edge of the range, merges are of neighbours, and what was just merged is often split again. The same seed on
/// the same shards makes the same steps. Printed, it shows the seed and the steps made so far.
#[derive(Clone, Debug)]
pub struct ReshardSchedule {
    seed: u64,
    steps: usize,
    max_open: usize,
    random: RandomStream,
    made: Vec<ReshardStep>,
}

impl ReshardSchedule {
    /// Makes a schedule of so many steps; at most 8 shards are open at a time.
    pub fn random(seed: u64, steps: usize) -> Self {
        let random = Randomness::from_seed(seed).stream("reshard");
        Self { seed, steps, max_open: DEFAULT_MAX_OPEN, random, made: Vec::new() }
    }

    /// Sets how many shards may be open at a time; at least 2 are.
    ///
    /// A stream that has more only sees merges, until it has no more.
    pub const fn max_open_shards(mut self, shards: usize) -> Self {
        self.max_open = if shards < 2 { 2 } else { shards };
        self
    }

    /// The seed, for a message that lets a run be repeated.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// The steps made so far.
    pub fn made(&self) -> &[ReshardStep] {
        &self.made
    }

    /// How many steps are left.
    pub const fn remaining(&self) -> usize {
        self.steps.saturating_sub(self.made.len())
    }

    /// Makes the next step, and returns it; nothing where none is left.
    ///
    /// # Errors
    /// [`ReshardError`] where the fake refuses: no such stream, or one that is not ACTIVE. A retry makes the same step.
    pub fn apply_next(&mut self, fake: &FakeKinesis, stream: &str) -> Result<Option<ReshardStep>, ReshardError> {
        if self.remaining() == 0 {
            return Ok(None);
        }
        // The draws of a step that is refused are drawn again by the next attempt.
        let mut random = self.random.clone();
        let step = self.make(&mut random, fake, stream).map_err(|source| ReshardError {
            stream: stream.to_owned(),
            seed: self.seed,
            step: self.made.len() + 1,
            source,
        })?;
        self.random = random;
        self.made.push(step.clone());
        Ok(Some(step))
    }

    /// Makes all steps that are left, one whenever it is due.
    ///
    /// A stream that is updating is waited for. Cancel safety: what was made is made, and the rest is left; the wait
    /// for the next step begins anew.
    ///
    /// # Errors
    /// [`ReshardError`] where the fake refuses a step for another reason than the stream's state.
    pub async fn run(&mut self, fake: &FakeKinesis, stream: &str, every: ReshardEvery) -> Result<(), ReshardError> {
        self.run_from(stored_records(fake), fake, stream, every).await
    }

    async fn run_from(
        &mut self,
        stored: u64,
        fake: &FakeKinesis,
        stream: &str,
        every: ReshardEvery,
    ) -> Result<(), ReshardError> {
        let mut due = stored;
        while self.remaining() > 0 {
            match every {
                ReshardEvery::Interval(interval) => sleep(interval).await,
                ReshardEvery::Records(records) => {
                    due += records;
                    while stored_records(fake) < due {
                        sleep(POLL_INTERVAL).await;
                    }
                }
            }
            while let Err(error) = self.apply_next(fake, stream) {
                if error.source.code() != "ResourceInUseException" {
                    return Err(error);
                }
                sleep(POLL_INTERVAL).await;
            }
        }
        Ok(())
    }

    /// Makes steps, each when it is due, for as long as `work` takes; returns what it returns.
    ///
    /// Where the steps run out, the work goes on without. Cancel safety: that of `work` and of [`run`](Self::run).
    ///
    /// # Errors
    /// [`ReshardError`] as of [`run`](Self::run); the work is then dropped.
    pub async fn run_during<W: Future>(
        &mut self,
        fake: &FakeKinesis,
        stream: &str,
        every: ReshardEvery,
        work: W,
    ) -> Result<W::Output, ReshardError> {
        let mut work = std::pin::pin!(work);
        // The work is polled first and may store records in doing so.
        let stored = stored_records(fake);
        tokio::select! {
            biased;
            output = &mut work => return Ok(output),
            result = self.run_from(stored, fake, stream, every) => result?,
        }
        Ok(work.await)
    }

    fn make(&self, random: &mut RandomStream, fake: &FakeKinesis, stream: &str) -> Result<ReshardStep, ServiceError> {
        let mut open: Vec<Shard> = fake.shards(stream)?.into_iter().filter(Shard::is_open).collect();
        open.sort_by_key(|shard| shard.hash_key_range);
        match self.choose(random, &open) {
            Choice::Split(index) => {
                let (shard, at) = (&open[index], split_point(random, open[index].hash_key_range));
                let children = fake.split_at(stream, shard.id.as_str(), at)?;
                Ok(ReshardStep::Split { shard: shard.id.clone(), at, children })
            }
            Choice::Merge(index) => {
                let (shard, adjacent) = (&open[index].id, &open[index + 1].id);
                let child = fake.merge(stream, shard.as_str(), adjacent.as_str())?;
                Ok(ReshardStep::Merge { shard: shard.clone(), adjacent: adjacent.clone(), child })
            }
        }
    }

    /// Chooses a step for the open shards, which tile the key space in order: one that is alone can be split.
    fn choose(&self, random: &mut RandomStream, open: &[Shard]) -> Choice {
        let can_split: Vec<usize> =
            (0..open.len()).filter(|index| is_splittable(open[*index].hash_key_range)).collect();
        let is_full = open.len() >= self.max_open || can_split.is_empty();
        if open.len() > 1 && (is_full || random.below(2) == 0) {
            return Choice::Merge(random.below(open.len() as u64 - 1) as usize);
        }
        let merged = match self.made.last() {
            Some(ReshardStep::Merge { child, .. }) if random.below(2) == 0 => Some(child),
            _ => None,
        };
        let again = can_split.iter().find(|index| Some(&open[**index].id) == merged);
        Choice::Split(*again.unwrap_or_else(|| &can_split[random.below(can_split.len() as u64) as usize]))
    }
}

enum Choice {
    Split(usize),
    /// The shard at this index and the one after it.
    Merge(usize),
}

/// Whether a range has a point that the service splits at: above its second key, below its last.
const fn is_splittable(range: HashKeyRange) -> bool {
    range.end().value() - range.start().value() > 2
}

/// A point that the service splits the range at; the lowest or the highest one in four.
fn split_point(random: &mut RandomStream, range: HashKeyRange) -> HashKey {
    let (lowest, highest) = (range.start().value() + 2, range.end().value() - 1);
    let drawn = u128::from(random.next_u64()) << 64 | u128::from(random.next_u64());
    HashKey::new(match random.below(8) {
        0 => lowest,
        1 => highest,
        _ => lowest + drawn % (highest - lowest + 1),
    })
}

/// The records that the fake has stored since it was made, over all streams.
fn stored_records(fake: &FakeKinesis) -> u64 {
    fake.call_counts().values().map(|counts| counts.stored_records).sum()
}

impl fmt::Display for ReshardSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reshard schedule with seed {}, {} of {} steps made", self.seed, self.made.len(), self.steps)?;
        for (index, step) in self.made.iter().enumerate() {
            write!(f, "\n{}: {step}", index + 1)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_points_are_those_that_the_service_takes() {
        let mut random = Randomness::from_seed(1).stream("points");
        let range = |end| HashKeyRange::new(HashKey::new(10), HashKey::new(end)).unwrap();
        assert!(!is_splittable(range(12)) && is_splittable(range(13)));
        assert!((0..100).all(|_| split_point(&mut random, range(13)).value() == 12));
        let mut points: Vec<u128> = (0..200).map(|_| split_point(&mut random, range(16)).value()).collect();
        points.sort_unstable();
        points.dedup();
        assert_eq!(points, [12, 13, 14, 15]);
        assert!((0..1000).all(|_| {
            let at = split_point(&mut random, HashKeyRange::FULL).value();
            at > 1 && at < u128::MAX
        }));
    }
}
