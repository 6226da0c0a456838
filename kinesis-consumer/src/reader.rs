//! One task per shard that is read.

use std::sync::Arc;
use std::time::Duration;

use kinesis_core::{Randomness, RetryPolicy, SharedClock};
use tokio::sync::watch;

use crate::control::Control;
use crate::events::Listener;
use crate::fan_out::FanOut;
use crate::metrics::JobMeter;
use crate::mutants::Mutant;
use crate::pacing::PacingLimits;
use crate::service::Service;
use crate::status::StatusBoard;

mod expand;
mod fan_out;
mod memory;
mod outlet;
mod patience;
mod polling;
mod retention_watch;
mod retentions;

pub(crate) use fan_out::FanOutReader;
pub(crate) use memory::{MemoryBudget, Reservation};
pub(crate) use polling::PollingReader;
pub(crate) use retentions::{KnownRetention, Retentions};

/// What is done with an aggregate that holds members outside its shard's hash key range.
///
/// The producer library sends such members again after resharding, so delivering them would repeat them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForeignMembers {
    /// Drop the whole aggregate, as the KCL does; the default.
    #[default]
    WholeAggregate,
    /// Drop just the members outside the range.
    PerMember,
    /// Deliver everything.
    Deliver,
    /// Fail the job.
    Fail,
}

/// What happens when retention has removed records before they were read.
///
/// That is looked for whenever a shard is taken up (at a restore, and when an iterator has expired), and while a shard
/// is read that is nearly as far behind as its stream's retention: every read then begins with the last record of the one
/// before. The retention is looked up for shards that are a day behind, at most every five minutes: one that was
/// shortened below a consumer's lag may be noticed that much later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LossPolicy {
    /// Fail the job; the default.
    #[default]
    Fail,
    /// Report an event and read on from the oldest record left.
    Continue,
}

/// How shards are read; the same for all of a job.
#[derive(Clone, Debug)]
pub(crate) struct ReaderSettings {
    pub(crate) pacing: PacingLimits,
    pub(crate) get_records: RetryPolicy,
    pub(crate) get_iterator: RetryPolicy,
    pub(crate) foreign_members: ForeignMembers,
    pub(crate) loss: LossPolicy,
    /// The most items in one batch.
    pub(crate) max_batch: usize,
    /// The most user records that one aggregate may hold.
    pub(crate) max_members: usize,
    /// The most records that a shard asks for once some of it had to wait for other shards.
    pub(crate) waiting_records: u32,
    /// How often a shard at its tip says so.
    pub(crate) tip_interval: Duration,
    pub(crate) mutant: Option<Mutant>,
}

/// What every reader of a job shares.
pub(crate) struct ReaderShared<S> {
    pub(crate) service: Service,
    pub(crate) schema: Arc<S>,
    pub(crate) settings: Arc<ReaderSettings>,
    pub(crate) clock: SharedClock,
    pub(crate) randomness: Randomness,
    pub(crate) memory: MemoryBudget,
    pub(crate) retentions: Retentions,
    /// Nothing where shards are polled.
    pub(crate) fan_out: Option<FanOut>,
    pub(crate) control: watch::Receiver<Control>,
    pub(crate) board: Arc<StatusBoard>,
    pub(crate) meter: JobMeter,
    pub(crate) listener: Listener,
}
