//! From configuration and the last checkpoint to running streams.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use kinesis_core::{Epoch, RandomStream, RequestError, RetryPolicy, Shard, StartingPosition, StreamName, retry};
use tokio::time::Instant;

use super::coordinator::Job;
use super::streams::{JobStream, JobStreams};
use crate::error::ConsumerError;
use crate::mutants::Mutant;
use crate::position::ShardPosition;
use crate::reader::KnownRetention;
use crate::service::{Service, StreamFacts};
use crate::service_clock::ServiceClock;
use crate::state::{Checkpoint, StreamState};

/// A job that is ready to begin its shards.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) streams: JobStreams,
    /// The checkpoint that the job goes on from; 0 for a new one.
    pub(crate) epoch: Epoch,
    pub(crate) is_restored: bool,
    /// Whether a stream's start is in no checkpoint yet; of a new job, every one's is.
    pub(crate) has_new_streams: bool,
    /// The first complete listings.
    pub(crate) listings: BTreeMap<StreamName, Vec<Shard>>,
}

/// Looks the streams up, and compares them with the checkpoint where there is one.
pub(crate) async fn prepare<S>(job: &Job<S>, latest: Option<&Checkpoint>) -> Result<Prepared, ConsumerError> {
    let mut random = job.readers.randomness.stream("startup");
    let mut streams = JobStreams::default();
    let mut listings = BTreeMap::new();
    for name in &job.streams {
        let summary = describe(job, name, &mut random).await.map_err(ConsumerError::Request)?;
        if let Some(fan_out) = &job.readers.fan_out {
            let registering = fan_out.register(name, &summary.arn, &mut random);
            registering.await.map_err(ConsumerError::Request)?;
        }
        let saved = latest.and_then(|checkpoint| checkpoint.streams.iter().find(|stream| &stream.name == name));
        let now = summary.served_at.unwrap_or_else(|| job.readers.clock.now());
        let clock = ServiceClock { served_at: now, at: Instant::now() };
        let retention = KnownRetention { retention: summary.retention, looked_up_at: clock.at };
        job.readers.retentions.note(name, retention).await;
        let mut stream = match saved {
            Some(state) if (&state.arn, state.created_at) == (&summary.arn, whole_millis(summary.created_at)) => {
                JobStream::restored(state, clock, retention)
            }
            Some(state) => {
                let (saved, found) = (Box::new(state.arn.clone()), Box::new(summary.arn));
                let stream = name.clone();
                return Err(ConsumerError::StreamReplaced { stream, saved, found });
            }
            None => {
                let horizon = now.checked_sub(summary.retention).unwrap_or(SystemTime::UNIX_EPOCH);
                let start = start_position(job.start, now, horizon);
                JobStream::new(summary.arn, whole_millis(summary.created_at), start, clock, retention)
            }
        };
        if job.checkpoint_interval.is_none() {
            stream.graph.keep_ends();
        }
        let listing = list(&job.readers.service, name, job.list_shards, &mut random).await;
        let listing = listing.map_err(ConsumerError::Request)?;
        if job.mutant == Some(Mutant::BeginChildrenEarly) {
            stream.graph.begin_early();
        }
        if let Some(state) = saved.filter(|_| job.mutant == Some(Mutant::ClosedShardIsNew)) {
            stream = JobStream::restored(&without_closed(state, &listing), clock, retention);
        }
        listings.insert(name.clone(), listing);
        streams.0.insert(name.clone(), stream);
    }
    if latest.is_none() && listings.values().all(Vec::is_empty) {
        let names: Vec<_> = job.streams.iter().map(StreamName::as_str).collect();
        return Err(ConsumerError::NoShards { streams: names.join(", ") });
    }
    keep_dormant(&mut streams, latest);
    let epoch = latest.map_or(Epoch(0), |checkpoint| checkpoint.epoch);
    let is_saved =
        |name: &StreamName| latest.is_some_and(|saved| saved.streams.iter().any(|stream| &stream.name == name));
    let has_new_streams = !job.streams.iter().all(is_saved);
    Ok(Prepared { streams, epoch, is_restored: latest.is_some(), has_new_streams, listings })
}

/// The state without the shards that were closed since: a deliberate fault.
fn without_closed(state: &StreamState, listing: &[Shard]) -> StreamState {
    let mut state = state.clone();
    let is_same = |saved: &Shard| {
        let listed = listing.iter().find(|shard| shard.id == saved.id);
        listed.is_none_or(|listed| listed.ending_sequence_number == saved.ending_sequence_number)
    };
    state.shards.retain(|saved| is_same(&saved.shard));
    state
}

/// Streams that were taken out of the job stay in its checkpoints as they are, so that putting one back goes on there.
///
/// Dropping them would read a stream anew, or lose what it held, when it is taken out by mistake and put back.
fn keep_dormant(streams: &mut JobStreams, latest: Option<&Checkpoint>) {
    for state in latest.iter().flat_map(|checkpoint| &checkpoint.streams) {
        if streams.0.contains_key(&state.name) {
            continue;
        }
        tracing::warn!(stream = %state.name, "the job no longer reads this stream: its positions are kept");
        // Nothing of it is read, so that no clock and no retention matter.
        let clock = ServiceClock { served_at: SystemTime::UNIX_EPOCH, at: Instant::now() };
        let retention = KnownRetention { retention: Duration::MAX, looked_up_at: clock.at };
        let mut stream = JobStream::restored(state, clock, retention);
        stream.graph.make_dormant();
        streams.0.insert(state.name.clone(), stream);
    }
}

/// The precision that checkpoints keep.
fn whole_millis(time: SystemTime) -> SystemTime {
    kinesis_core::from_unix_millis(kinesis_core::unix_millis(time))
}

/// LATEST is a time too: the service's own, when the job began, so that a restart does not move it.
///
/// A time before everything that is kept is the horizon: what is older is not lost, it was never to be had.
fn start_position(configured: StartingPosition, now: SystemTime, horizon: SystemTime) -> ShardPosition {
    match configured {
        StartingPosition::Latest => ShardPosition::at_timestamp(now),
        StartingPosition::AtTimestamp(time) if time < horizon => ShardPosition::TRIM_HORIZON,
        StartingPosition::AtTimestamp(time) => ShardPosition::at_timestamp(time),
        StartingPosition::TrimHorizon => ShardPosition::TRIM_HORIZON,
    }
}

async fn describe<S>(job: &Job<S>, name: &StreamName, random: &mut RandomStream) -> Result<StreamFacts, RequestError> {
    retry(job.describe, random, || job.readers.service.describe(name)).await
}

/// A complete listing, or an error: never a part.
pub(crate) async fn list(
    service: &Service,
    name: &StreamName,
    policy: RetryPolicy,
    random: &mut RandomStream,
) -> Result<Vec<Shard>, RequestError> {
    retry(policy, random, || service.list_shards(name)).await
}
