//! A sink in memory that commits in two phases, as one on disk would.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use kinesis_consumer::{Sink, StreamShard};
use kinesis_core::{CheckpointParticipant, CommitHandle, Epoch, ParticipantError};
use parking_lot::Mutex;

use crate::account::Place;

const DELAY: Duration = Duration::from_millis(30);

/// What survives a crash.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    pre_committed: BTreeMap<Epoch, Vec<Place>>,
    /// In the order in which it was published; what is published twice stands here twice.
    visible: Vec<Place>,
}

impl Disk {
    pub(crate) fn visible(&self) -> Vec<Place> {
        self.visible.clone()
    }

    fn publish(&mut self, epoch: Epoch) {
        // A commit that is repeated finds nothing left to do.
        if let Some(places) = self.pre_committed.remove(&epoch) {
            self.visible.extend(places);
        }
    }
}

/// One run's sink: what was written and not pre-committed goes with it.
#[derive(Debug, Default)]
pub(crate) struct TwoPhase {
    pub(crate) disk: Arc<Mutex<Disk>>,
    written: Mutex<BTreeMap<Epoch, Vec<Place>>>,
}

impl TwoPhase {
    pub(crate) fn on(disk: &Arc<Mutex<Disk>>) -> Self {
        Self { disk: Arc::clone(disk), written: Mutex::default() }
    }
}

#[async_trait]
impl CheckpointParticipant for TwoPhase {
    async fn pre_commit(&self, epoch: Epoch) -> Result<Option<CommitHandle>, ParticipantError> {
        tokio::time::sleep(DELAY).await;
        let Some(places) = self.written.lock().remove(&epoch) else { return Ok(None) };
        self.disk.lock().pre_committed.insert(epoch, places);
        tokio::time::sleep(DELAY).await;
        Ok(Some(CommitHandle { epoch, payload: Bytes::new() }))
    }

    async fn commit(&self, handle: &CommitHandle) -> Result<(), ParticipantError> {
        tokio::time::sleep(DELAY).await;
        self.disk.lock().publish(handle.epoch);
        Ok(())
    }

    async fn recover(&self, _last: Epoch, committed: &[CommitHandle]) -> Result<(), ParticipantError> {
        let mut disk = self.disk.lock();
        committed.iter().for_each(|handle| disk.publish(handle.epoch));
        disk.pre_committed.clear();
        Ok(())
    }
}

#[async_trait]
impl Sink<Place> for TwoPhase {
    async fn write(&self, epoch: Epoch, _shard: &StreamShard, items: Vec<Place>) -> Result<(), ParticipantError> {
        self.written.lock().entry(epoch).or_default().extend(items);
        Ok(())
    }
}
