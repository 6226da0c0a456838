//! Where checkpoints are kept.

use async_trait::async_trait;
use kinesis_core::Epoch;
use thiserror::Error;

use crate::state::{Checkpoint, DecodeCheckpointError};

mod file;
mod memory;

pub use file::FileStore;
pub use memory::MemoryStore;

/// The number of a job's run, rising with each: the fence against a run that does not know it was replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u64);

/// A job that was taken over.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct OpenedJob {
    /// Higher than that of every run before.
    pub incarnation: Incarnation,
    /// The last durable checkpoint; nothing for a new job.
    pub latest: Option<Checkpoint>,
}

impl OpenedJob {
    /// A job taken over as `incarnation`, with the checkpoint to restore from.
    pub const fn new(incarnation: Incarnation, latest: Option<Checkpoint>) -> Self {
        Self { incarnation, latest }
    }
}

/// A failure of a checkpoint store.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process, or another store of this one, has the job open.
    #[error(
        "job `{job}` in {location} is open elsewhere: end the other process or store, or use another job or directory"
    )]
    InUse {
        /// The job.
        job: String,
        /// Where it is kept.
        location: String,
    },
    /// A later run has taken the job over.
    #[error("job `{job}` was taken over by a later run: this one must not write any more")]
    Fenced {
        /// The job.
        job: String,
    },
    /// The saved checkpoint cannot be read.
    #[error("the checkpoint of job `{job}` in {location} cannot be read")]
    Unreadable {
        /// The job.
        job: String,
        /// Where it is kept.
        location: String,
        /// What is wrong with it.
        #[source]
        source: DecodeCheckpointError,
    },
    /// The store could not be reached, or failed.
    #[error("{action} of job `{job}` in {location} failed")]
    Failed {
        /// What was tried.
        action: &'static str,
        /// The job.
        job: String,
        /// Where it is kept.
        location: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Keeps a job's checkpoints, and lets one run at a time write them.
#[async_trait]
pub trait CheckpointStore: Send + Sync {
    /// Takes a job over: fences every earlier run, and returns the last checkpoint.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    async fn open(&self, job: &str) -> Result<OpenedJob, StoreError>;

    /// Makes a checkpoint durable, in the place of the one before.
    ///
    /// When it returns, a crash of process or machine no longer loses it.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] where a later run has opened the job: nothing was written. Other errors leave either the
    /// old or the new checkpoint; a retry is safe.
    async fn put(&self, incarnation: Incarnation, checkpoint: &Checkpoint) -> Result<(), StoreError>;

    /// The epoch of the last durable checkpoint, for a look from outside.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    async fn latest_epoch(&self, job: &str) -> Result<Option<Epoch>, StoreError>;
}
