//! How long streams keep their records, as the service said last.

use std::collections::BTreeMap;
use std::time::Duration;

use kinesis_core::{RandomStream, RequestError, RetryPolicy, StreamName, retry};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::service::Service;

/// How long a retention is believed that was looked up; an operator may change it at any time.
const BELIEVED_FOR: Duration = Duration::from_secs(300);
/// How long is waited at least where the policy was exhausted by throttles.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// A retention, and when it was looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KnownRetention {
    pub(crate) retention: Duration,
    pub(crate) looked_up_at: Instant,
}

impl KnownRetention {
    pub(crate) fn is_believed(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.looked_up_at) < BELIEVED_FOR
    }
}

/// The retentions of a job's streams, looked up when they are asked for: one call at a time for each stream, whoever
/// asks meanwhile waits for its answer.
#[derive(Debug)]
pub(crate) struct Retentions {
    policy: RetryPolicy,
    streams: BTreeMap<StreamName, Mutex<Option<KnownRetention>>>,
}

impl Retentions {
    pub(crate) fn new(streams: &[StreamName], policy: RetryPolicy) -> Self {
        Self { policy, streams: streams.iter().map(|stream| (stream.clone(), Mutex::new(None))).collect() }
    }

    /// The stream's retention, looked up if what is known is too old.
    ///
    /// A throttle says nothing about the job, and is waited out for as long as it takes. Cancel safety: a look-up under
    /// way is made again by the next who asks.
    pub(crate) async fn get(
        &self,
        service: &Service,
        stream: &StreamName,
        random: &mut RandomStream,
    ) -> Result<KnownRetention, RequestError> {
        let Some(known) = self.streams.get(stream) else {
            return self.look_up(service, stream, random).await;
        };
        let mut known = known.lock().await;
        if let Some(known) = known.filter(|known| known.is_believed(Instant::now())) {
            return Ok(known);
        }
        let found = self.look_up(service, stream, random).await?;
        *known = Some(found);
        Ok(found)
    }

    async fn look_up(
        &self,
        service: &Service,
        stream: &StreamName,
        random: &mut RandomStream,
    ) -> Result<KnownRetention, RequestError> {
        loop {
            let looked_up_at = Instant::now();
            match retry(self.policy, random, || service.describe(stream)).await {
                Ok(facts) => return Ok(KnownRetention { retention: facts.retention, looked_up_at }),
                Err(throttle) if throttle.is_throttle() => {
                    tracing::warn!(%stream, %throttle, "the look-up of the stream's retention is throttled");
                    tokio::time::sleep(self.policy.backoff.max.max(SHORTEST_PAUSE)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Notes a retention that came with another reply.
    pub(crate) async fn note(&self, stream: &StreamName, found: KnownRetention) {
        if let Some(known) = self.streams.get(stream) {
            *known.lock().await = Some(found);
        }
    }
}
