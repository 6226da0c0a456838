//! Metrics, through the `metrics` facade; `docs/metrics.md` has the list.

mod job;
mod metric;
mod shard;

pub(crate) use job::JobMeter;
pub(crate) use metric::describe;
pub(crate) use shard::{PollMeter, ShardMeter};
