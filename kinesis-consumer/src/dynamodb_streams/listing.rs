//! The shards of a table's stream, as they are listed.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use aws_sdk_dynamodbstreams::types::Shard as SdkShard;
use kinesis_core::{HashKeyRange, SequenceNumber, Shard, ShardId, from_unix_millis};

/// A shard is listed until its last record is a day old, and its children are made when it is closed: the parent of a
/// younger one is to be there. An hour is left for clocks.
const HAS_ITS_PARENT: Duration = Duration::from_secs(23 * 3600);

/// What a shard of a table's stream is to a reader.
///
/// It is not known which keys it takes, so that it is said to take all.
pub(super) fn parse_shard(shard: &SdkShard) -> Result<Shard, String> {
    let id = shard.shard_id().ok_or("the answer has a shard without an id")?;
    let parsed = |text: &str| {
        text.parse::<ShardId>().map_err(|error| format!("the answer has a shard that is not readable: {error}"))
    };
    let number = |text: &str| {
        text.parse::<SequenceNumber>().map_err(|error| format!("a number of shard {id} is not readable: {error}"))
    };
    let range = shard.sequence_number_range();
    let (start, end) =
        range.map_or((None, None), |range| (range.starting_sequence_number(), range.ending_sequence_number()));
    Ok(Shard {
        id: parsed(id)?,
        hash_key_range: HashKeyRange::FULL,
        parent: shard.parent_shard_id().map(parsed).transpose()?,
        adjacent_parent: None,
        starting_sequence_number: start.map_or(Ok(SequenceNumber::ZERO), number)?,
        ending_sequence_number: end.map(number).transpose()?,
    })
}

/// The parents of young shards that a listing lacks, though the service still keeps them.
///
/// A shard that is begun without its parent would be taken as proof that the parent was read long ago.
pub(super) fn missing_parents(listing: &[Shard], now: SystemTime) -> BTreeSet<ShardId> {
    let listed: BTreeSet<&ShardId> = listing.iter().map(|shard| &shard.id).collect();
    let is_young = |shard: &&Shard| {
        created_at(&shard.id).is_some_and(|at| now.duration_since(at).unwrap_or_default() < HAS_ITS_PARENT)
    };
    let parents = listing.iter().filter(is_young).filter_map(|shard| shard.parent.as_ref());
    parents.filter(|parent| !listed.contains(parent)).cloned().collect()
}

/// When a shard was made: its id is `shardId-<twenty digits, milliseconds>-<up to 36 more>`.
///
/// Nothing where it is of another form.
fn created_at(id: &ShardId) -> Option<SystemTime> {
    let (digits, rest) = id.as_str().strip_prefix("shardId-")?.split_at_checked(20)?;
    let rest = rest.strip_prefix('-').unwrap_or(rest);
    let is_suffix = rest.len() <= 36 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let is_id = is_suffix && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_id.then(|| digits.parse().ok().map(from_unix_millis))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_dynamodbstreams::types::SequenceNumberRange;

    /// As in the reference's tests.
    #[test]
    fn an_id_tells_when_its_shard_was_made() {
        let at = |id: &str| created_at(&id.parse().unwrap());
        let made = Some(from_unix_millis(1_536_805_703_746));
        assert_eq!(at("shardId-00000001536805703746-69688cb1"), made);
        assert_eq!(at("shardId-00000001536805703746"), made);
        assert_eq!(at(&format!("shardId-00000001536805703746-{}", "a".repeat(36))), made);
        assert_eq!(at(&format!("shardId-00000001536805703746-{}", "a".repeat(40))), None);
        assert_eq!(at("shard-00000001536805703746-69688cb1"), None);
        assert_eq!(at("shardId-0000000153680570374x-69688cb1"), None);
        assert_eq!(at("shardId-000000000001"), None);
    }

    fn shard(made_at_hour: u64, parent: Option<u64>) -> Shard {
        let id = |hour: u64| format!("shardId-{:020}-69688cb1", hour * 3_600_000);
        let range = SequenceNumberRange::builder().starting_sequence_number("20500000000000000910398").build();
        let shard = SdkShard::builder().shard_id(id(made_at_hour)).set_parent_shard_id(parent.map(id));
        parse_shard(&shard.sequence_number_range(range).build()).unwrap()
    }

    #[test]
    fn a_young_shards_parent_is_missed_and_an_old_ones_is_not() {
        let now = from_unix_millis(100 * 3_600_000);
        let missing = |listing: &[Shard]| missing_parents(listing, now).len();
        assert_eq!(missing(&[shard(76, Some(72)), shard(99, None)]), 0, "made a day ago");
        assert_eq!(missing(&[shard(78, Some(72))]), 1);
        assert_eq!(missing(&[shard(78, Some(72)), shard(79, Some(72)), shard(98, Some(94))]), 2);
        assert_eq!(missing(&[shard(78, Some(74)), shard(74, Some(70))]), 0);
    }

    #[test]
    fn a_shard_that_cannot_be_read_is_named() {
        let error = parse_shard(&SdkShard::builder().build()).unwrap_err();
        assert!(error.contains("without an id"), "{error}");
        let range = SequenceNumberRange::builder().ending_sequence_number("x").build();
        let shard = SdkShard::builder().shard_id("shardId-1").sequence_number_range(range).build();
        let error = parse_shard(&shard).unwrap_err();
        assert!(error.contains("shardId-1"), "{error}");
    }
}
