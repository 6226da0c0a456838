//! Event time: how far the job's records have come by the time they are about.

mod alignment;
mod job;
mod shard;
mod strategy;

pub(crate) use alignment::Limit;
pub(crate) use job::{EventTime, JobWatermark, Published, WATERMARK_INTERVAL};
pub(crate) use shard::{ReaderTime, ShardTime};
pub use strategy::{WatermarkGenerator, WatermarkStrategy};
