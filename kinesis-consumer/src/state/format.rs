//! A checkpoint as bytes: framed, versioned, checksummed.

use std::fmt::Display;

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
        if bytes.len() < HEADER_BYTES || bytes[..4] != MAGIC {
            return Err(DecodeCheckpointError::NotACheckpoint);
        }
        bytes.advance(4);
        let (version, checksum, length) = (bytes.get_u16(), bytes.get_u32(), bytes.get_u64());
        if version == 0 || version > VERSION {
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
        Ok(Self {
            job: message.job,
            epoch: Epoch(message.epoch),
            taken_at: from_unix_millis(message.taken_at_millis),
            streams: message.streams.into_iter().map(StreamState::try_from).collect::<Result<_, _>>()?,
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
        }
    }
}

impl TryFrom<StreamMessage> for StreamState {
    type Error = DecodeCheckpointError;

    fn try_from(message: StreamMessage) -> Result<Self, Self::Error> {
        let arn: kinesis_core::StreamArn = message.arn.parse().map_err(damaged)?;
        Ok(Self {
            name: arn.name().clone(),
            arn,
            created_at: from_unix_millis(message.created_at_millis),
            start: position(message.start)?,
            shards: message.shards.into_iter().map(ShardState::try_from).collect::<Result<_, _>>()?,
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
            progress: state.progress.as_ref().map(|progress| ProgressMessage {
                position: Some(progress.position.into()),
                user_state: progress.user_state.clone(),
                watermark_millis: progress.watermark.map(unix_millis),
            }),
        }
    }
}

impl TryFrom<ShardMessage> for ShardState {
    type Error = DecodeCheckpointError;

    fn try_from(message: ShardMessage) -> Result<Self, Self::Error> {
        let range = HashKeyRange::new(hash_key(&message.starting_hash_key)?, hash_key(&message.ending_hash_key)?);
        let id = |id: String| id.parse().map_err(damaged);
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

    fn checkpoint() -> Checkpoint {
        let halves = HashKeyRange::uniform(2);
        let real: SequenceNumber = "49590338271490256608559692538361571095921575989136588898".parse().unwrap();
        let shard = |index: u64, range, parent: Option<u64>| Shard {
            id: ShardId::from_index(index),
            hash_key_range: range,
            parent: parent.map(ShardId::from_index),
            adjacent_parent: None,
            starting_sequence_number: real,
            ending_sequence_number: parent.is_none().then_some(real),
        };
        let last = RecordPosition::new(real, 17);
        let ended = ShardProgress {
            position: ShardPosition::from_parts(Some(last), None, true),
            user_state: Bytes::from_static(b"final"),
            watermark: Some(from_unix_millis(77)),
        };
        let t0 = ShardPosition::at_timestamp(from_unix_millis(1_700_000_000_000));
        Checkpoint {
            job: "orders".into(),
            epoch: Epoch(12),
            taken_at: from_unix_millis(1_700_000_100_000),
            streams: vec![StreamState {
                name: "orders".parse().unwrap(),
                arn: "arn:aws:kinesis:us-east-1:123456789012:stream/orders".parse().unwrap(),
                created_at: from_unix_millis(1_600_000_000_123),
                start: t0,
                shards: vec![
                    ShardState { shard: shard(0, HashKeyRange::FULL, None), start: t0, progress: Some(ended) },
                    ShardState {
                        shard: shard(1, halves[0], Some(0)),
                        start: ShardPosition::TRIM_HORIZON,
                        progress: None,
                    },
                ],
            }],
            pending: vec![CommitHandle { epoch: Epoch(12), payload: Bytes::from_static(b"part-12") }],
        }
    }

    #[test]
    fn a_checkpoint_survives_the_round_trip() {
        assert_eq!(Checkpoint::decode(checkpoint().encode()), Ok(checkpoint()));
    }

    #[test]
    fn the_bytes_of_version_one_stay_as_they_are() {
        // Written by the first release; what follows must read it for ever.
        let empty = Checkpoint { streams: Vec::new(), pending: Vec::new(), ..checkpoint() };
        let bytes = empty.encode();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "4b434b5000017a3e54b800000000000000110a066f7264657273100c18a0dd9bffbc31");
    }

    #[test]
    fn any_changed_or_missing_byte_is_noticed() {
        let good = checkpoint().encode();
        for index in 0..good.len() {
            let mut bad = good.to_vec();
            bad[index] ^= 0x40;
            assert!(Checkpoint::decode(bad.into()).is_err(), "a change of byte {index} went unnoticed");
            assert!(Checkpoint::decode(good.slice(..index)).is_err(), "a cut at byte {index} went unnoticed");
        }
    }

    #[test]
    fn a_newer_version_is_refused_by_name() {
        let mut bytes = checkpoint().encode().to_vec();
        bytes[5] = 2;
        let error = Checkpoint::decode(bytes.into()).unwrap_err();
        assert_eq!(error, DecodeCheckpointError::NewerVersion { found: 2, supported: 1 });
    }
}
