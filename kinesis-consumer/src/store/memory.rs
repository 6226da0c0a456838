//! Checkpoints in memory, for tests and for jobs that need not survive their process.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use kinesis_core::Epoch;
use parking_lot::Mutex;

use super::{CheckpointStore, Incarnation, OpenedJob, StoreError};
use crate::state::Checkpoint;

/// Keeps checkpoints in memory; clones share them.
///
/// They are kept as the bytes that a file would hold, so that what a test restores went through the format.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    jobs: Arc<Mutex<BTreeMap<String, Job>>>,
}

#[derive(Debug, Default)]
struct Job {
    incarnation: Incarnation,
    latest: Option<(Epoch, Bytes)>,
}

impl MemoryStore {
    /// Makes an empty store.
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl CheckpointStore for MemoryStore {
    async fn open(&self, name: &str) -> Result<OpenedJob, StoreError> {
        let mut jobs = self.jobs.lock();
        let job = jobs.entry(name.to_owned()).or_default();
        job.incarnation.0 += 1;
        let latest = job.latest.as_ref().map(|(_, bytes)| Checkpoint::decode(bytes.clone())).transpose();
        let latest = latest.map_err(|source| StoreError::Unreadable {
            job: name.to_owned(),
            location: "memory".to_owned(),
            source,
        })?;
        Ok(OpenedJob { incarnation: job.incarnation, latest })
    }

    async fn put(&self, incarnation: Incarnation, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        let mut jobs = self.jobs.lock();
        let job = jobs.entry(checkpoint.job.clone()).or_default();
        if job.incarnation != incarnation {
            return Err(StoreError::Fenced { job: checkpoint.job.clone() });
        }
        job.latest = Some((checkpoint.epoch, checkpoint.encode()));
        Ok(())
    }

    async fn latest_epoch(&self, job: &str) -> Result<Option<Epoch>, StoreError> {
        Ok(self.jobs.lock().get(job).and_then(|job| job.latest.as_ref()).map(|(epoch, _)| *epoch))
    }
}
