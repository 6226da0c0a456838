//! At which line what happens to the stream, and to which shard.

use kinesis_core::{HashKey, Shard};

/// Something that happens before a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The reply to the next write is lost, after it was stored.
    LoseReply,
    /// Everything put so far is stored first, so that shards hold records before they are resharded.
    Flush,
    Split,
    Merge,
}

/// Steps at shares of the input, in percent: they fall inside it however short it is.
const STEPS: [(u64, Step); 8] = [
    (10, Step::LoseReply),
    (12, Step::Flush),
    (15, Step::Split),
    (30, Step::Flush),
    (35, Step::Split),
    (55, Step::Flush),
    (60, Step::Merge),
    (80, Step::LoseReply),
];

/// The consumer is killed when so much was delivered, in percent.
pub(crate) const KILLS: [u64; 2] = [30, 70];

/// How often the steps reshard the stream.
pub(crate) const RESHARDS: u64 = 3;

/// The steps of a run, by the number of the line that they come before.
pub(crate) fn steps(lines: u64, replies_can_be_lost: bool) -> Vec<(u64, Step)> {
    let wanted = |(_, step): &(u64, Step)| replies_can_be_lost || *step != Step::LoseReply;
    STEPS.into_iter().filter(wanted).map(|(percent, step)| (lines * percent / 100, step)).collect()
}

/// The delivered lines at which the consumer is killed.
pub(crate) fn kills(lines: u64) -> Vec<u64> {
    if lines == 0 {
        return Vec::new();
    }
    KILLS.iter().map(|percent| (lines * percent / 100).max(1)).collect()
}

/// The shard to split, and where, so that both halves get records if the keys allow it.
pub(crate) fn split(open: &[Shard], sample: &[HashKey]) -> Option<(Shard, HashKey)> {
    let keys_of = |shard: &Shard| -> Vec<HashKey> {
        let mut keys: Vec<_> = sample.iter().copied().filter(|key| shard.hash_key_range.contains(*key)).collect();
        keys.sort();
        keys
    };
    let shard = open.iter().filter(|shard| can_be_split(shard)).max_by_key(|shard| keys_of(shard).len())?;
    let keys = keys_of(shard);
    let median = keys.get(keys.len() / 2);
    let first = keys.first();
    // A key above the lowest one begins the upper half; else the middle of the range must do.
    let at = median.filter(|key| Some(*key) > first).or_else(|| keys.iter().find(|key| Some(*key) > first));
    Some((shard.clone(), at.copied().unwrap_or_else(|| HashKey::new(shard.hash_key_range.midpoint().value() + 1))))
}

fn can_be_split(shard: &Shard) -> bool {
    shard.hash_key_range.start() < shard.hash_key_range.end()
}

/// The two adjacent shards to merge: those that get the fewest records.
pub(crate) fn merge(open: &[Shard], sample: &[HashKey]) -> Option<(Shard, Shard)> {
    let mut open = open.to_vec();
    open.sort_by_key(|shard| shard.hash_key_range.start());
    let count = |shard: &Shard| sample.iter().filter(|key| shard.hash_key_range.contains(**key)).count();
    let pairs = open.windows(2).filter(|pair| pair[0].hash_key_range.is_adjacent(&pair[1].hash_key_range));
    pairs.min_by_key(|pair| count(&pair[0]) + count(&pair[1])).map(|pair| (pair[0].clone(), pair[1].clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kinesis_core::{HashKeyRange, SequenceNumber, ShardId};

    fn shards(count: u32) -> Vec<Shard> {
        let shard = |(index, range): (usize, &HashKeyRange)| Shard {
            id: ShardId::from_index(index as u64),
            hash_key_range: *range,
            parent: None,
            adjacent_parent: None,
            starting_sequence_number: SequenceNumber::ZERO,
            ending_sequence_number: None,
        };
        HashKeyRange::uniform(count).iter().enumerate().map(shard).collect()
    }

    #[test]
    fn steps_and_kills_fall_inside_the_shortest_input() {
        for lines in [1, 2, 7, 2000] {
            assert!(steps(lines, true).iter().all(|(at, _)| *at < lines), "{lines}");
            assert!(kills(lines).iter().all(|at| (1..=lines).contains(at)), "{lines}");
        }
        assert!(kills(0).is_empty());
    }

    #[test]
    fn the_busiest_shard_is_split_between_its_keys() {
        let sample: Vec<_> = [5, 7, 7, 7, u128::MAX].map(HashKey::new).into();
        let (shard, at) = split(&shards(2), &sample).unwrap();
        assert_eq!((shard.id, at), (ShardId::from_index(0), HashKey::new(7)));
    }

    #[test]
    fn a_shard_with_one_key_is_split_in_the_middle() {
        let (shard, at) = split(&shards(1), &[HashKey::new(5); 3]).unwrap();
        let (low, high) = shard.hash_key_range.split(at).unwrap();
        assert_eq!(low.end().value(), high.end().value() / 2);
    }

    #[test]
    fn the_quietest_neighbours_are_merged() {
        let sample: Vec<_> = HashKeyRange::uniform(4).iter().take(2).map(HashKeyRange::start).collect();
        let (low, high) = merge(&shards(4), &sample).unwrap();
        assert_eq!((low.id, high.id), (ShardId::from_index(2), ShardId::from_index(3)));
        assert_eq!(merge(&shards(1), &sample), None);
    }
}
