//! How long to leave something alone that fails.

use kinesis_core::{Backoff, RandomStream};
use tokio::time::Instant;

/// A shard, or a stream, that is left alone after failures.
///
/// Failures of requests that were made before the last failure became known say nothing new and change nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pause {
    failures: u32,
    since: Option<Instant>,
    until: Option<Instant>,
}

impl Pause {
    /// Takes note of a failure of a request made at `started`.
    pub(crate) fn fail(&mut self, started: Instant, now: Instant, backoff: &Backoff, random: &mut RandomStream) {
        if self.since.is_some_and(|since| started < since) {
            return;
        }
        let delay = backoff.delay(self.failures, random);
        self.failures = self.failures.saturating_add(1);
        self.since = Some(now);
        self.until = now.checked_add(delay);
    }

    /// Takes note of a success, after which the next failure is a first one.
    pub(crate) fn succeed(&mut self) {
        *self = Self::default();
    }

    /// Failures in a row.
    pub(crate) const fn failures(&self) -> u32 {
        self.failures
    }

    /// Until when to wait, where that is not over.
    pub(crate) fn until(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kinesis_core::Randomness;

    use super::*;

    const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5), 2.0);

    #[test]
    fn waits_grow_to_the_cap_and_are_spread() {
        let start = Instant::now();
        let mut longest = Vec::new();
        for failures in [0, 3, 20] {
            let waits: Vec<_> = (0..200)
                .map(|seed| {
                    let mut random = Randomness::from_seed(seed).stream("retry");
                    let mut pause = Pause::default();
                    for _ in 0..=failures {
                        pause.fail(start, start, &BACKOFF, &mut random);
                    }
                    pause.until(start).map_or(Duration::ZERO, |until| until - start)
                })
                .collect();
            let (min, max) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
            assert!((*max - *min) * 2 > BACKOFF.bound(failures), "spread over more than half: {min:?}..{max:?}");
            longest.push(max.as_millis());
        }
        assert!(longest[0] < 100 && longest[1] < 800 && longest[1] > 400 && longest[2] > 2500, "{longest:?}");
        assert!(longest[2] < 5000, "{longest:?}");
    }

    #[test]
    fn failures_that_were_under_way_count_once() {
        let start = Instant::now();
        let mut random = Randomness::from_seed(1).stream("retry");
        let mut pause = Pause::default();
        let later = start + Duration::from_millis(50);
        for _ in 0..10 {
            pause.fail(start, later, &BACKOFF, &mut random);
        }
        assert_eq!(pause.failures(), 1);
        pause.fail(later, later + Duration::from_millis(50), &BACKOFF, &mut random);
        assert_eq!(pause.failures(), 2);
        pause.succeed();
        assert_eq!((pause.failures(), pause.until(start)), (0, None));
    }
}
