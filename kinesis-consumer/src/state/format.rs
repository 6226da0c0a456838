//! A checkpoint as bytes: framed, versioned, checksummed.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::time::SystemTime;

use bytes::{Buf, Bytes};
use kinesis_core::{CommitHandle, Epoch, HashKey, HashKeyRange, RecordPosition, Shard, from_unix_millis, unix_millis};
use prost::Message;
use thiserror::Error;

use super::wire::{
    CheckpointMessage, CommitHandleMessage, PositionMessage, ProgressMessage, ShardMessage, StreamMessage,
};
use super::{Checkpoint, ShardState, StreamState};
use crate::lineage::ShardProgress;
use crate::position::ShardPosition;

const MAGIC: [u8; 4] = *b"KCKP";
/// The version written; every version from 1 on is read.
const VERSION: u16 = 1;
/// Magic, version, checksum, length.
const HEADER_BYTES: usize = 4 + 2 + 4 + 8;

/// Bytes that are no checkpoint this version can read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeCheckpointError {
    /// The bytes do not begin as a checkpoint does.
    #[error("this is no checkpoint: it does not begin with KCKP")]
    NotACheckpoint,
    /// A later version of this crate wrote it.
    #[error("the checkpoint has format version {found}, this release reads up to {supported}: use a newer release")]
    NewerVersion {
        /// The version in the bytes.
        found: u16,
        /// The newest version that is read.
        supported: u16,
    },
    /// The bytes end too early, or were changed.
    #[error("the checkpoint is damaged: {0}")]
    Damaged(String),
}

impl Checkpoint {
    /// The bytes of the checkpoint, with version and checksum.
    pub fn encode(&self) -> Bytes {
        let body = CheckpointMessage::from(self);
        let mut bytes = Vec::with_capacity(HEADER_BYTES + body.encoded_len());
        bytes.resize(HEADER_BYTES, 0);
        body.encode_raw(&mut bytes);
        let (header, body) = bytes.split_at_mut(HEADER_BYTES);
        header[..4].copy_from_slice(&MAGIC);
        header[4..6].copy_from_slice(&VERSION.to_be_bytes());
        header[6..10].copy_from_slice(&crc32fast::hash(body).to_be_bytes());
        header[10..].copy_from_slice(&(body.len() as u64).to_be_bytes());
        bytes.into()
    }

    /// Reads a checkpoint; every version since the first is read.
    ///
    /// # Errors
    /// [`DecodeCheckpointError`]; a retry gives the same.
    pub fn decode(mut bytes: Bytes) -> Result<Self, DecodeCheckpointError> {
        if !bytes.starts_with(&MAGIC) {
            return Err(DecodeCheckpointError::NotACheckpoint);
        }
        if bytes.len() < HEADER_BYTES {
            return Err(damaged(format!("{} bytes are left of a header of {HEADER_BYTES}", bytes.len())));
        }
        bytes.advance(4);
        let (version, checksum, length) = (bytes.get_u16(), bytes.get_u32(), bytes.get_u64());
        if version == 0 {
            return Err(damaged("it says version 0, and the first is 1"));
        }
        if version > VERSION {
            return Err(DecodeCheckpointError::NewerVersion { found: version, supported: VERSION });
        }
        if length != bytes.len() as u64 {
            return Err(damaged(format!("{} bytes follow the header, which says {length}", bytes.len())));
        }
        if crc32fast::hash(&bytes) != checksum {
            return Err(damaged("its checksum does not match"));
        }
        CheckpointMessage::decode(bytes).map_err(damaged)?.try_into()
    }
}

fn damaged(what: impl Display) -> DecodeCheckpointError {
    DecodeCheckpointError::Damaged(what.to_string())
}

/// Of two positions of one shard nobody could say which holds.
fn each_once<T: Ord + Display>(what: &str, names: impl Iterator<Item = T>) -> Result<(), DecodeCheckpointError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if seen.contains(&name) {
            return Err(damaged(format!("it holds the {what} {name} twice")));
        }
        seen.insert(name);
    }
    Ok(())
}

impl From<&Checkpoint> for CheckpointMessage {
    fn from(checkpoint: &Checkpoint) -> Self {
        Self {
            job: checkpoint.job.clone(),
            epoch: checkpoint.epoch.0,
            taken_at_millis: unix_millis(checkpoint.taken_at),
            streams: checkpoint.streams.iter().map(StreamMessage::from).collect(),
            pending: checkpoint
                .pending
                .iter()
                .map(|handle| CommitHandleMessage { epoch: handle.epoch.0, payload: handle.payload.clone() })
                .collect(),
        }
    }
}

impl TryFrom<CheckpointMessage> for Checkpoint {
    type Error = DecodeCheckpointError;

    fn try_from(message: CheckpointMessage) -> Result<Self, Self::Error> {
        let streams = message.streams.into_iter().map(StreamState::try_from).collect::<Result<Vec<_>, _>>()?;
        each_once("stream", streams.iter().map(|stream| &stream.name))?;
        Ok(Self {
            job: message.job,
            epoch: Epoch(message.epoch),
            taken_at: from_unix_millis(message.taken_at_millis),
            streams,
            pending: message
                .pending
                .into_iter()
                .map(|handle| CommitHandle { epoch: Epoch(handle.epoch), payload: handle.payload })
                .collect(),
        })
    }
}

impl From<&StreamState> for StreamMessage {
    fn from(stream: &StreamState) -> Self {
        Self {
            arn: stream.arn.to_string(),
            created_at_millis: unix_millis(stream.created_at),
            start: Some(stream.start.into()),
            shards: stream.shards.iter().map(ShardMessage::from).collect(),
            listed_at_millis: unix_millis(stream.listed_at),
        }
    }
}

impl TryFrom<StreamMessage> for StreamState {
    type Error = DecodeCheckpointError;

    fn try_from(message: StreamMessage) -> Result<Self, Self::Error> {
        let arn: kinesis_core::StreamArn = message.arn.parse().map_err(damaged)?;
        let shards = message.shards.into_iter().map(ShardState::try_from).collect::<Result<Vec<_>, _>>()?;
        each_once("shard", shards.iter().map(|state| &state.shard.id))?;
        Ok(Self {
            name: arn.name().clone(),
            arn,
            created_at: from_unix_millis(message.created_at_millis),
            start: position(message.start)?,
            listed_at: from_unix_millis(message.listed_at_millis),
            shards,
        })
    }
}

impl From<&ShardState> for ShardMessage {
    fn from(state: &ShardState) -> Self {
        let shard = &state.shard;
        Self {
            id: shard.id.to_string(),
            starting_hash_key: shard.hash_key_range.start().value().to_be_bytes().into(),
            ending_hash_key: shard.hash_key_range.end().value().to_be_bytes().into(),
            parent: shard.parent.as_ref().map(ToString::to_string),
            adjacent_parent: shard.adjacent_parent.as_ref().map(ToString::to_string),
            starting_sequence_number: shard.starting_sequence_number.to_string(),
            ending_sequence_number: shard.ending_sequence_number.as_ref().map(ToString::to_string),
            start: Some(state.start.into()),
            owed_since_millis: unix_millis(state.owed_since),
            skipped: state.skipped,
            progress: state.progress.as_ref().map(|progress| ProgressMessage {
                position: Some(progress.position.into()),
                user_state: progress.user_state.clone(),
                // One before 1970 has no number here; without one, the shard begins to find its own.
                watermark_millis: progress.watermark.filter(|time| *time >= SystemTime::UNIX_EPOCH).map(unix_millis),
            }),
        }
    }
}

impl TryFrom<ShardMessage> for ShardState {
    type Error = DecodeCheckpointError;

    fn try_from(message: ShardMessage) -> Result<Self, Self::Error> {
        let range = HashKeyRange::new(hash_key(&message.starting_hash_key)?, hash_key(&message.ending_hash_key)?);
        let id = |id: String| id.parse().map_err(damaged);
        if message.skipped && message.progress.is_some() {
            return Err(damaged(format!("it says that the shard {} was skipped, and how far it was read", message.id)));
        }
        Ok(Self {
            shard: Shard {
                id: id(message.id)?,
                hash_key_range: range.map_err(damaged)?,
                parent: message.parent.map(id).transpose()?,
                adjacent_parent: message.adjacent_parent.map(id).transpose()?,
                starting_sequence_number: message.starting_sequence_number.parse().map_err(damaged)?,
                ending_sequence_number: message
                    .ending_sequence_number
                    .map(|number| number.parse().map_err(damaged))
                    .transpose()?,
            },
            start: position(message.start)?,
            owed_since: from_unix_millis(message.owed_since_millis),
            skipped: message.skipped,
            progress: message.progress.map(progress).transpose()?,
        })
    }
}

fn hash_key(bytes: &[u8]) -> Result<HashKey, DecodeCheckpointError> {
    let bytes: [u8; 16] = bytes.try_into().map_err(|_| damaged("a hash key is not of 16 bytes"))?;
    Ok(HashKey::new(u128::from_be_bytes(bytes)))
}

fn progress(message: ProgressMessage) -> Result<ShardProgress, DecodeCheckpointError> {
    Ok(ShardProgress {
        position: position(message.position)?,
        user_state: message.user_state,
        watermark: message.watermark_millis.map(from_unix_millis),
    })
}

impl From<ShardPosition> for PositionMessage {
    fn from(position: ShardPosition) -> Self {
        Self {
            last_sequence_number: position.last().map(|last| last.sequence_number.to_string()),
            last_sub_sequence_number: position.last().map_or(0, |last| last.sub_sequence_number),
            not_before_millis: position.not_before().map(unix_millis),
            ended: position.is_ended(),
        }
    }
}

fn position(message: Option<PositionMessage>) -> Result<ShardPosition, DecodeCheckpointError> {
    let message = message.ok_or_else(|| damaged("a position is missing"))?;
    let last = match message.last_sequence_number {
        Some(number) => Some(RecordPosition::new(number.parse().map_err(damaged)?, message.last_sub_sequence_number)),
        None => None,
    };
    Ok(ShardPosition::from_parts(last, message.not_before_millis.map(from_unix_millis), message.ended))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kinesis_core::{SequenceNumber, ShardId};

    /// Written by the first release of version 1, and never again.
    const GOLDEN: &[u8] = include_bytes!("golden/v1.checkpoint");
    const GOLDEN_EMPTY: &[u8] = include_bytes!("golden/v1-empty.checkpoint");

    const REAL: &str = "49590338271490256608559692538361571095921575989136588898";
    const LATER: &str = "49590338271490256608559692538362780021741190618311295074";

    fn shard(index: u64, range: HashKeyRange, parents: &[u64]) -> Shard {
        let parent = |nth: usize| parents.get(nth).copied().map(ShardId::from_index);
        Shard {
            id: ShardId::from_index(index),
            hash_key_range: range,
            parent: parent(0),
            adjacent_parent: parent(1),
            starting_sequence_number: REAL.parse().unwrap(),
            ending_sequence_number: parents.is_empty().then(|| LATER.parse().unwrap()),
        }
    }

    fn state(shard: Shard, start: ShardPosition, owed_since: u64, progress: Option<ShardProgress>) -> ShardState {
        ShardState { shard, start, owed_since: from_unix_millis(owed_since), skipped: false, progress }
    }

    fn progress(position: ShardPosition, user_state: &'static [u8], watermark: Option<u64>) -> Option<ShardProgress> {
        let user_state = Bytes::from_static(user_state);
        Some(ShardProgress { position, user_state, watermark: watermark.map(from_unix_millis) })
    }

    /// Each field is set somewhere and absent somewhere: a merge that waits, a child of a split that was skipped.
    fn checkpoint() -> Checkpoint {
        let [low, high] = [HashKeyRange::uniform(2)[0], HashKeyRange::uniform(2)[1]];
        let number = |text: &str| -> SequenceNumber { text.parse().unwrap() };
        let t0 = ShardPosition::at_timestamp(from_unix_millis(1_700_000_000_000));
        let horizon = ShardPosition::TRIM_HORIZON;
        let within = |sequence, member| Some(RecordPosition::new(number(sequence), member));
        let ended = ShardPosition::from_parts(within(LATER, 0), None, true);
        let inside = ShardPosition::from_parts(within(REAL, 17), Some(from_unix_millis(1_700_000_050_250)), false);
        let orders = StreamState {
            name: "orders".parse().unwrap(),
            arn: "arn:aws:kinesis:us-east-1:123456789012:stream/orders".parse().unwrap(),
            created_at: from_unix_millis(1_600_000_000_123),
            start: t0,
            listed_at: from_unix_millis(1_700_000_090_000),
            shards: vec![
                state(shard(0, low, &[]), t0, 1_700_000_000_000, progress(ended, b"final", Some(77))),
                state(shard(1, high, &[]), t0, 1_700_000_000_000, progress(inside, b"", None)),
                state(shard(2, HashKeyRange::FULL, &[0, 1]), horizon, 1_700_000_040_000, None),
            ],
        };
        let payments = StreamState {
            name: "payments".parse().unwrap(),
            arn: "arn:aws-cn:kinesis:cn-north-1:123456789012:stream/payments".parse().unwrap(),
            created_at: from_unix_millis(1_650_000_000_000),
            start: horizon,
            listed_at: from_unix_millis(1_700_000_080_000),
            shards: vec![
                state(
                    shard(7, low, &[3]),
                    horizon,
                    1_700_000_000_000,
                    progress(horizon, b"\x00\xff", Some(1_700_000_049_999)),
                ),
                ShardState { skipped: true, ..state(shard(8, high, &[3]), horizon, 1_700_000_000_000, None) },
            ],
        };
        Checkpoint {
            job: "orders".into(),
            epoch: Epoch(12),
            taken_at: from_unix_millis(1_700_000_100_000),
            streams: vec![orders, payments],
            pending: vec![
                CommitHandle { epoch: Epoch(11), payload: Bytes::new() },
                CommitHandle { epoch: Epoch(12), payload: Bytes::from_static(b"part-12") },
            ],
        }
    }

    fn empty() -> Checkpoint {
        Checkpoint { streams: Vec::new(), pending: Vec::new(), ..checkpoint() }
    }

    #[test]
    fn what_the_first_release_wrote_is_read() {
        assert_eq!(Checkpoint::decode(Bytes::from_static(GOLDEN)), Ok(checkpoint()));
        assert_eq!(Checkpoint::decode(Bytes::from_static(GOLDEN_EMPTY)), Ok(empty()));
    }

    /// Whoever changes what is written has to raise the version, and keep the files.
    #[test]
    fn version_one_is_written_as_the_first_release_wrote_it() {
        assert_eq!(VERSION, 1, "a new version needs golden files of its own, beside the old ones");
        assert_eq!(checkpoint().encode(), GOLDEN);
        assert_eq!(empty().encode(), GOLDEN_EMPTY);
    }

    #[test]
    fn any_changed_or_missing_byte_is_noticed() {
        for index in 0..GOLDEN.len() {
            let mut bad = GOLDEN.to_vec();
            bad[index] ^= 0x40;
            assert!(Checkpoint::decode(bad.into()).is_err(), "a change of byte {index} went unnoticed");
            let cut = Bytes::from_static(GOLDEN).slice(..index);
            assert!(Checkpoint::decode(cut).is_err(), "a cut at byte {index} went unnoticed");
        }
        let longer = [GOLDEN, b"\n"].concat();
        assert!(Checkpoint::decode(longer.into()).is_err(), "bytes after the end went unnoticed");
    }

    /// With the checksum put right, so that the fields are judged one by one.
    #[test]
    fn a_body_that_makes_no_sense_is_an_error_whatever_its_checksum_says() {
        let (header, body) = GOLDEN.split_at(HEADER_BYTES);
        let mut refused = 0;
        for index in 0..body.len() {
            let mut bytes = [header, body].concat();
            bytes[HEADER_BYTES + index] ^= 0x80;
            let checksum = crc32fast::hash(&bytes[HEADER_BYTES..]);
            bytes[6..10].copy_from_slice(&checksum.to_be_bytes());
            refused += usize::from(Checkpoint::decode(bytes.into()).is_err());
        }
        assert!(refused > body.len() / 2, "only {refused} of {} changes were refused", body.len());
    }

    #[test]
    fn a_shard_or_a_stream_that_is_there_twice_is_refused() {
        let mut shard_twice = checkpoint();
        let shard = shard_twice.streams[0].shards[1].clone();
        shard_twice.streams[0].shards.push(shard);
        let error = Checkpoint::decode(shard_twice.encode()).unwrap_err();
        assert_eq!(error, damaged("it holds the shard shardId-000000000001 twice"));

        let mut stream_twice = checkpoint();
        let stream = stream_twice.streams[0].clone();
        stream_twice.streams.push(stream);
        let error = Checkpoint::decode(stream_twice.encode()).unwrap_err();
        assert_eq!(error, damaged("it holds the stream orders twice"));
    }

    #[test]
    fn a_shard_that_was_skipped_and_begun_is_refused() {
        let mut both = checkpoint();
        both.streams[0].shards[1].skipped = true;
        let error = Checkpoint::decode(both.encode()).unwrap_err();
        assert_eq!(error, damaged("it says that the shard shardId-000000000001 was skipped, and how far it was read"));
    }

    #[test]
    fn other_versions_are_refused_with_what_was_found_and_what_is_read() {
        let of = |version: u8| {
            let mut bytes = GOLDEN.to_vec();
            bytes[5] = version;
            Checkpoint::decode(bytes.into()).unwrap_err()
        };
        assert_eq!(of(2), DecodeCheckpointError::NewerVersion { found: 2, supported: 1 });
        assert!(of(2).to_string().contains("version 2") && of(2).to_string().contains("up to 1"));
        assert_eq!(of(0), damaged("it says version 0, and the first is 1"));
    }

    #[test]
    fn other_files_are_told_from_damaged_ones() {
        for bytes in [&b""[..], b"KCK", b"{\"job\":\"orders\",\"epoch\":12}", &GOLDEN[1..]] {
            assert_eq!(Checkpoint::decode(bytes.to_vec().into()), Err(DecodeCheckpointError::NotACheckpoint));
        }
        let cut = Checkpoint::decode(Bytes::from_static(&GOLDEN[..10])).unwrap_err();
        assert_eq!(cut, damaged("10 bytes are left of a header of 18"));
    }
}
