//! What is measured of a job as a whole.

use std::time::{Duration, SystemTime};

use kinesis_core::{StreamName, unix_millis};
use metrics::Label;

use super::metric;
use crate::events::ConsumerEvent;
use crate::record::StreamShard;
use crate::status::{JobStatus, ShardStatus};

fn label(name: &'static str, value: &str) -> Label {
    Label::new(name, value.to_owned())
}

pub(super) fn labels_of(job: &str, shard: &StreamShard) -> Vec<Label> {
    vec![label("job", job), label("stream", shard.stream.as_str()), label("shard", shard.shard.as_str())]
}

/// Measures a job, by what it says itself.
#[derive(Clone, Debug)]
pub(crate) struct JobMeter {
    job: String,
}

impl JobMeter {
    pub(crate) fn new(job: &str) -> Self {
        Self { job: job.to_owned() }
    }

    /// The job's name.
    pub(crate) fn job(&self) -> &str {
        &self.job
    }

    fn labels(&self) -> Vec<Label> {
        vec![label("job", &self.job)]
    }

    pub(crate) fn happened(&self, event: &ConsumerEvent) {
        let of = |shard: &StreamShard| labels_of(&self.job, shard);
        match event {
            ConsumerEvent::Started { .. } => {}
            ConsumerEvent::ShardStarted { shard, .. } => metric::SHARDS_STARTED.counter(of(shard)).increment(1),
            ConsumerEvent::ShardEnded { shard } => metric::SHARDS_ENDED.counter(of(shard)).increment(1),
            ConsumerEvent::CheckpointCompleted { .. } => metric::CHECKPOINTS.counter(self.labels()).increment(1),
            ConsumerEvent::TakenOver { shard } => metric::SUBSCRIPTIONS_TAKEN_OVER.counter(of(shard)).increment(1),
            ConsumerEvent::MembersDropped { shard, count, .. } => {
                metric::AGGREGATES_DROPPED.counter(of(shard)).increment(1);
                metric::MEMBERS_DROPPED.counter(of(shard)).increment(*count);
            }
            ConsumerEvent::CorruptAggregate { shard, .. } => metric::CORRUPT_AGGREGATES.counter(of(shard)).increment(1),
            ConsumerEvent::RecordsSkipped { shard, count, .. } => {
                metric::RECORDS_SKIPPED.counter(of(shard)).increment(*count);
            }
            ConsumerEvent::RecordsDeadLettered { shard, count, .. } => {
                metric::RECORDS_DEAD_LETTERED.counter(of(shard)).increment(*count);
            }
            ConsumerEvent::PossibleLoss(loss) => metric::POSSIBLE_LOSSES.counter(of(&loss.shard)).increment(1),
            ConsumerEvent::ShardLost { shard } => metric::SHARDS_LOST.counter(of(shard)).increment(1),
        }
    }

    /// A listing was complete, or failed.
    pub(crate) fn listed(&self, stream: &StreamName, is_complete: bool) {
        let outcome = if is_complete { "complete" } else { "failed" };
        let labels = vec![label("job", &self.job), label("stream", stream.as_str()), label("outcome", outcome)];
        metric::LISTINGS.counter(labels).increment(1);
    }

    /// A listing had shards for the first time.
    pub(crate) fn discovered(&self, stream: &StreamName, shards: usize) {
        let labels = vec![label("job", &self.job), label("stream", stream.as_str())];
        metric::SHARDS_DISCOVERED.counter(labels).increment(shards as u64);
    }

    /// A checkpoint of so many bytes was completed.
    pub(crate) fn checkpointed(&self, bytes: usize, elapsed: Duration) {
        metric::CHECKPOINT_BYTES.gauge(self.labels()).set(bytes as f64);
        metric::CHECKPOINT_TIME.histogram(self.labels()).record(elapsed.as_secs_f64() * 1000.0);
    }

    /// What grows or moves without an event; asked for now and then.
    pub(crate) fn levels(&self, status: &JobStatus) {
        metric::SHARDS_READING.gauge(self.labels()).set(status.shards.len() as f64);
        if let Some(last) = status.last_checkpoint {
            metric::CHECKPOINT_AGE.gauge(self.labels()).set(last.age.as_millis() as f64);
        }
        if let Some(watermark) = status.watermark {
            metric::GLOBAL_WATERMARK.gauge(self.labels()).set(unix_millis(watermark) as f64);
        }
        let lags = |shard: &ShardStatus| shard.lag().map(|lag| (labels_of(&self.job, &shard.shard), lag));
        for (labels, lag) in status.shards.iter().filter_map(lags) {
            metric::LAG.gauge(labels).set(lag.as_millis() as f64);
        }
    }

    /// How far a shard has come.
    pub(crate) fn reached(&self, shard: &StreamShard, watermark: SystemTime) {
        metric::LOCAL_WATERMARK.gauge(labels_of(&self.job, shard)).set(unix_millis(watermark) as f64);
    }
}
