//! What is uploaded, when, and what follows a failure.

use std::sync::Arc;
use std::time::Duration;

use kinesis_core::{Backoff, RandomStream, RequestErrorKind};
use tokio::time::Instant;

use super::datum::Datum;
use super::registry::Registry;

/// The most data in a request (KPL, metrics_manager.cc).
const MAX_DATA: usize = 20;

/// The most bytes of a request (the same).
const MAX_REQUEST_BYTES: usize = 38 * 1024;

/// What a request takes besides its data and its namespace.
pub(super) const ENVELOPE_BYTES: usize = 32;

/// The repetitions of an upload; afterwards it is dropped.
const MAX_RETRIES: u32 = 2;

const BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(20), 2.0);

/// When the next upload is due, and what is in it.
#[derive(Debug)]
pub(crate) struct UploadPlan {
    registry: Arc<Registry>,
    period: Duration,
    next: Instant,
}

impl UploadPlan {
    pub(crate) fn new(registry: Arc<Registry>, now: Instant) -> Self {
        let period = registry.config().upload_delay;
        Self { registry, period, next: now + period }
    }

    pub(crate) const fn next_deadline(&self) -> Instant {
        self.next
    }

    /// The requests of an upload that is due; periods that an earlier upload took are passed over.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<Vec<Datum>> {
        if now < self.next {
            return Vec::new();
        }
        let periods = now.duration_since(self.next).as_nanos() / self.period.as_nanos() + 1;
        self.next += self.period * u32::try_from(periods).unwrap_or(u32::MAX);
        self.take_last(now)
    }

    /// The requests with everything that was measured until now.
    pub(crate) fn take_last(&self, now: Instant) -> Vec<Vec<Datum>> {
        into_requests(self.registry.take(now), self.registry.config().namespace.len())
    }
}

/// Fills requests one after the other.
fn into_requests(data: Vec<Datum>, namespace_bytes: usize) -> Vec<Vec<Datum>> {
    let mut requests = Vec::<Vec<Datum>>::new();
    let mut size = 0;
    for datum in data {
        let datum_size = datum.size_bytes();
        size += datum_size;
        match requests.last_mut() {
            Some(request) if request.len() < MAX_DATA && size <= MAX_REQUEST_BYTES => request.push(datum),
            _ => {
                size = ENVELOPE_BYTES + namespace_bytes + datum_size;
                requests.push(vec![datum]);
            }
        }
    }
    requests
}

/// How an upload failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure<'a> {
    /// No answer that says anything.
    NoAnswer,
    /// A refusal by the service.
    Refused { code: &'a str, status: u16 },
    /// It could not be sent.
    NotSent,
}

/// When to send again after so many failures (from 1), if at all.
pub(crate) fn retry_after(failures: u32, failure: Failure<'_>, random: &mut RandomStream) -> Option<Duration> {
    let may_pass = match failure {
        Failure::NoAnswer => true,
        Failure::NotSent => false,
        Failure::Refused { code, status } => {
            let kind = RequestErrorKind::of_code(code);
            status >= 500
                || matches!(kind, RequestErrorKind::Throttled | RequestErrorKind::LimitExceeded)
                || code == "Throttling"
        }
    };
    (may_pass && failures <= MAX_RETRIES).then(|| BACKOFF.delay(failures - 1, random))
}

#[cfg(test)]
mod tests {
    use kinesis_core::Randomness;

    use super::super::samples::Samples;
    use super::*;
    use crate::metrics::config::MetricsConfig;
    use crate::metrics::dimensions::Origin;
    use crate::metrics::metric::Metric;

    fn datum(index: usize, value_bytes: usize) -> Datum {
        let mut samples = Samples::default();
        samples.add_many(index as f64, 1);
        Datum { metric: Metric::AllErrors, dimensions: vec![("d".to_owned(), "x".repeat(value_bytes))], samples }
    }

    fn lengths(data: Vec<Datum>) -> Vec<usize> {
        let all = data.clone();
        let requests = into_requests(data, 20);
        assert_eq!(requests.concat(), all, "nothing is lost, and the order stays");
        requests.iter().map(Vec::len).collect()
    }

    #[test]
    fn a_request_has_at_most_twenty_data() {
        for (count, expected) in [(0, vec![]), (1, vec![1]), (20, vec![20]), (21, vec![20, 1]), (41, vec![20, 20, 1])] {
            assert_eq!(lengths((0..count).map(|index| datum(index, 10)).collect()), expected);
        }
    }

    #[test]
    fn a_request_has_at_most_38_kibibytes() {
        let size = datum(0, 10_000).size_bytes();
        assert_eq!((MAX_REQUEST_BYTES - ENVELOPE_BYTES - 20) / size, 3);
        assert_eq!(lengths((0..7).map(|index| datum(index, 10_000)).collect()), [3, 3, 1]);
        assert_eq!(lengths(vec![datum(0, 5), datum(1, 50_000), datum(2, 5)]), [1, 1, 1], "what is larger goes alone");
    }

    #[test]
    fn uploads_are_due_once_a_period() {
        let (start, period) = (Instant::now(), Duration::from_secs(60));
        let registry = Arc::new(Registry::new(MetricsConfig::default()));
        let leaf = registry.leaf(Metric::AllErrors, Origin { stream: Some("s"), ..Origin::default() });
        let mut plan = UploadPlan::new(Arc::clone(&registry), start);
        leaf.lock().add_many(1.0, 1);
        assert_eq!(plan.next_deadline(), start + period);
        assert!(plan.take_due(start + period - Duration::from_nanos(1)).is_empty());
        assert_eq!(plan.take_due(start + period).len(), 1);
        assert!(plan.take_due(start + period * 2).is_empty(), "without samples there is nothing to send");
        assert_eq!(plan.next_deadline(), start + period * 3);
        leaf.lock().add_many(1.0, 1);
        assert_eq!(plan.take_due(start + period * 5 + period / 2).len(), 1, "late");
        assert_eq!(plan.next_deadline(), start + period * 6, "without making up for what was missed");
        leaf.lock().add_many(1.0, 1);
        assert_eq!(plan.take_last(start + period * 5 + period / 2).len(), 1, "the last one is not for its time");
    }

    #[test]
    fn what_may_pass_is_sent_twice_more() {
        let mut random = Randomness::from_seed(1).stream("metrics");
        let refused = |code, status| Failure::Refused { code, status };
        for failure in [
            Failure::NoAnswer,
            refused("InternalServiceFault", 500),
            refused("ThrottlingException", 400),
            refused("Throttling", 400),
        ] {
            let waits: Vec<_> = (1..=3).map(|failures| retry_after(failures, failure, &mut random)).collect();
            assert!(waits[0].is_some() && waits[1].is_some() && waits[2].is_none(), "{failure:?}: {waits:?}");
            assert!(waits.iter().flatten().all(|wait| *wait <= Duration::from_secs(2)), "{waits:?}");
        }
        for failure in [Failure::NotSent, refused("AccessDenied", 403), refused("InvalidParameterValue", 400)] {
            assert_eq!(retry_after(1, failure, &mut random), None, "{failure:?}");
        }
    }
}
