//! What ends a job.

use std::io;
use std::time::SystemTime;

use kinesis_core::{ConfigErrors, ParticipantError, RecordPosition, RequestError, StreamArn, StreamName};
use thiserror::Error;

use crate::pull::DifferentJobsError;
use crate::record::StreamShard;
use crate::schema::BoxError;
use crate::store::StoreError;

/// Why a job ended without being asked to.
///
/// The last checkpoint stands: running the job again goes on from it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConsumerError {
    /// The service refused a call, or did not answer in spite of all retries.
    #[error("the service could not be read")]
    Request(#[source] RequestError),
    /// The checkpoint store failed, or belongs to a later run.
    #[error("the checkpoint could not be kept")]
    Store(#[source] StoreError),
    /// The sink failed.
    #[error("the output could not be kept")]
    Sink(#[source] ParticipantError),
    /// A record could not be made into an item.
    #[error("record {position} of {shard} could not be decoded by the schema")]
    Schema {
        /// The shard.
        shard: StreamShard,
        /// The record.
        position: RecordPosition,
        /// The schema's error.
        #[source]
        source: BoxError,
    },
    /// The dead-letter hook did not take a record that the schema had refused.
    #[error("record {position} of {shard} was refused by the schema, and the dead-letter hook did not take it")]
    DeadLetter {
        /// The shard.
        shard: StreamShard,
        /// The record.
        position: RecordPosition,
        /// The hook's error.
        #[source]
        source: BoxError,
    },
    /// The processor failed.
    #[error("the processor of {shard} failed in its {step}")]
    Processor {
        /// The shard.
        shard: StreamShard,
        /// The method that failed.
        step: &'static str,
        /// The processor's error.
        #[source]
        source: BoxError,
    },
    /// The stream is not the one that the checkpoint is about.
    #[error(
        "stream {stream} was replaced since the checkpoint: it was {saved} and is now {found} with another creation \
         time; start a new job for it"
    )]
    StreamReplaced {
        /// The stream's name.
        stream: StreamName,
        /// The ARN in the checkpoint.
        saved: Box<StreamArn>,
        /// The ARN that the service gives now.
        found: Box<StreamArn>,
    },
    /// The streams hold no shard at all.
    #[error("no shards were found in {streams}: check the names and the region")]
    NoShards {
        /// The streams' names.
        streams: String,
    },
    /// Records may have been removed by retention before they were read.
    #[error("{0}; accept the loss with LossPolicy::Continue, or raise the stream's retention")]
    PossibleLoss(Box<PossibleLoss>),
    /// The service no longer lists a shard that was not read to its end.
    #[error("shard {shard} is no longer listed and was not read to its end; accept the loss with LossPolicy::Continue")]
    ShardLost {
        /// The shard.
        shard: StreamShard,
    },
    /// An aggregate holds records that do not belong to its shard, and the policy forbids them.
    #[error("record {position} of {shard} is an aggregate with members outside the shard's hash key range")]
    ForeignMembers {
        /// The shard.
        shard: StreamShard,
        /// The aggregate.
        position: RecordPosition,
    },
    /// The job has failed before, or in another subtask that is pulled.
    #[error("the job has failed: {cause}")]
    JobFailed {
        /// The error's text.
        cause: String,
    },
    /// A subtask was dropped before its end, so that its shards would stand still.
    #[error(
        "subtask {subtask} was dropped while the job was running: stop the job first, and pull until nothing comes"
    )]
    SubtaskDropped {
        /// The subtask, from 0.
        subtask: usize,
    },
    /// A blocking call was made in a thread of an async runtime, whose other tasks it would stop.
    #[error("a blocking consumer cannot be used inside of an async runtime: pull its subtasks there, or use a thread")]
    InsideRuntime,
    /// The thread of a blocking consumer could not be made.
    #[error("the thread of the blocking consumer could not be started")]
    Thread(#[source] io::Error),
    /// A task of the consumer panicked; the panic of user code included.
    #[error("{task} panicked")]
    Panicked {
        /// The task.
        task: String,
    },
}

/// Records that retention may have removed before they were read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("records of {shard} after {} may be lost: retention passed the saved position", after_text(*after))]
#[non_exhaustive]
pub struct PossibleLoss {
    /// The shard.
    pub shard: StreamShard,
    /// The last record that was delivered; nothing where none was.
    pub after: Option<RecordPosition>,
    /// The first record that is left; nothing where none is, or none was looked at.
    pub first_seen: Option<RecordPosition>,
    /// When the first record that is left had arrived.
    pub first_seen_at: Option<SystemTime>,
}

fn after_text(after: Option<RecordPosition>) -> String {
    after.map_or_else(|| "the saved time".to_owned(), |after| after.to_string())
}

/// A consumer that cannot be built of what it was given.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A part that has no default is missing.
    #[error("the consumer needs {what}: call `{method}`")]
    Missing {
        /// What is missing.
        what: &'static str,
        /// The builder's method that gives it.
        method: &'static str,
    },
    /// A value is out of its range.
    #[error("{what} is {value}, allowed is {allowed}")]
    Invalid {
        /// The setting.
        what: &'static str,
        /// What it was set to.
        value: String,
        /// What would be accepted.
        allowed: &'static str,
    },
    /// Two settings exclude each other.
    #[error("the consumer was given {what}, which do not go with {with}")]
    Conflict {
        /// What was given.
        what: &'static str,
        /// What it does not go with.
        with: &'static str,
    },
    /// The config does not fit the streams: with the registration `NONE` each needs its consumer's ARN.
    #[error("the configuration does not fit the streams")]
    Config(#[from] ConfigErrors),
    /// Positions of different jobs were given.
    #[error("the positions cannot be taken up together")]
    Positions(#[from] DifferentJobsError),
}
