//! The limit of a shard: so many records and bytes per second.

use std::time::Duration;

use tokio::time::Instant;

/// What a shard takes per second (AWS quota page).
const SHARD_RECORDS_PER_SECOND: f64 = 1000.0;
const SHARD_BYTES_PER_SECOND: f64 = 1024.0 * 1024.0;

/// How much of a second's allowance may go out at once.
///
/// The service's own bucket holds a second's worth. With a quarter here, requests may be delayed against each other by
/// three quarters of a second on their way before a shard used at its full rate is throttled.
const BURST_SECONDS: f64 = 0.25;

/// One kind of token: how many there can be, and how fast they come back.
#[derive(Clone, Copy, Debug)]
struct Stream {
    capacity: f64,
    per_second: f64,
    tokens: f64,
}

/// A token bucket of several kinds of tokens that are taken together or not at all.
#[derive(Clone, Debug)]
pub(crate) struct TokenBucket<const N: usize> {
    streams: [Stream; N],
    refilled: Instant,
}

impl<const N: usize> TokenBucket<N> {
    /// Makes a full bucket of `(capacity, tokens per second)`.
    pub(crate) fn new(streams: [(f64, f64); N], now: Instant) -> Self {
        Self {
            streams: streams.map(|(capacity, per_second)| Stream { capacity, per_second, tokens: capacity }),
            refilled: now,
        }
    }

    /// Takes the tokens where all of them are there.
    pub(crate) fn try_take(&mut self, now: Instant, amounts: [f64; N]) -> bool {
        self.refill(now);
        let enough = self.streams.iter().zip(amounts).all(|(stream, amount)| stream.tokens >= amount);
        if enough {
            self.debit(amounts);
        }
        enough
    }

    /// When [`try_take`](Self::try_take) would succeed; never where the capacity is too small.
    pub(crate) fn ready_at(&mut self, now: Instant, amounts: [f64; N]) -> Option<Instant> {
        self.refill(now);
        let mut wait = 0.0f64;
        for (stream, amount) in self.streams.iter().zip(amounts) {
            if amount > stream.capacity {
                return None;
            }
            wait = wait.max((amount - stream.tokens) / stream.per_second);
        }
        // Rounded up, so that the tokens are there at that instant whatever the fractions did.
        let nanos = (wait * 1e9).ceil() as u64 + u64::from(wait > 0.0);
        Some(now + Duration::from_nanos(nanos))
    }

    /// Takes tokens that need not be there.
    fn debit(&mut self, amounts: [f64; N]) {
        for (stream, amount) in self.streams.iter_mut().zip(amounts) {
            stream.tokens -= amount;
        }
    }

    fn refill(&mut self, now: Instant) {
        let seconds = now.saturating_duration_since(self.refilled).as_secs_f64();
        self.refilled = self.refilled.max(now);
        for stream in &mut self.streams {
            stream.tokens = (stream.tokens + seconds * stream.per_second).min(stream.capacity);
        }
    }
}

/// The limit on what is sent to one shard.
#[derive(Clone, Debug)]
pub(crate) struct ShardLimiter {
    bucket: TokenBucket<2>,
    capacity: [f64; 2],
}

impl ShardLimiter {
    /// Makes the limiter of `percent` of what `shards` shards take.
    pub(crate) fn new(percent: u64, shards: usize, now: Instant) -> Self {
        Self::with_burst(percent as f64 / 100.0 * shards.max(1) as f64, BURST_SECONDS, now)
    }

    /// Makes the limiter of `share` of what one shard takes, with so many seconds' worth at once after it was idle.
    pub(crate) fn with_burst(share: f64, seconds: f64, now: Instant) -> Self {
        let rates = [SHARD_RECORDS_PER_SECOND * share, SHARD_BYTES_PER_SECOND * share];
        let capacity = [(rates[0] * seconds).max(1.0), rates[1] * seconds];
        Self { bucket: TokenBucket::new([(capacity[0], rates[0]), (capacity[1], rates[1])], now), capacity }
    }

    /// Whether a Kinesis record of that size, key included, may go now; if so it counts.
    ///
    /// One that is larger than the burst goes when the bucket is full, and what it took more is a debt.
    pub(crate) fn try_admit(&mut self, now: Instant, size_bytes: usize) -> bool {
        let excess = (size_bytes as f64 - self.capacity[1]).max(0.0);
        let admitted = self.bucket.try_take(now, self.amounts(size_bytes));
        if admitted {
            self.bucket.debit([0.0, excess]);
        }
        admitted
    }

    /// When a Kinesis record of that size may go.
    pub(crate) fn ready_at(&mut self, now: Instant, size_bytes: usize) -> Instant {
        self.bucket.ready_at(now, self.amounts(size_bytes)).unwrap_or(now)
    }

    fn amounts(&self, size_bytes: usize) -> [f64; 2] {
        [1.0, (size_bytes as f64).min(self.capacity[1])]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_bucket_gives_what_it_holds_and_no_more() {
        // KPL, token_bucket_test.cc, first case.
        let start = Instant::now();
        let mut bucket = TokenBucket::new([(200.0, 1000.0)], start);
        assert!(!bucket.try_take(start, [201.0]));
        assert!(bucket.try_take(start, [200.0]));
        assert!(!bucket.try_take(start + millis(100), [110.0]));
        assert!(bucket.try_take(start + millis(100), [90.0]));
        let later = start + millis(1000);
        assert!(!bucket.try_take(later, [201.0]));
        assert!(bucket.try_take(later, [200.0]));
    }

    #[test]
    fn tokens_of_two_kinds_are_taken_together() {
        // KPL, token_bucket_test.cc, second case.
        let start = Instant::now();
        let mut bucket = TokenBucket::new([(200.0, 1000.0), (500.0, 2000.0)], start);
        assert!(!bucket.try_take(start, [201.0, 0.0]));
        assert!(!bucket.try_take(start, [0.0, 501.0]));
        assert!(bucket.try_take(start, [200.0, 500.0]));
        let later = start + millis(100);
        assert!(!bucket.try_take(later, [110.0, 0.0]));
        assert!(!bucket.try_take(later, [0.0, 220.0]));
        assert!(bucket.try_take(later, [90.0, 180.0]));
        assert!(bucket.try_take(later + millis(500), [200.0, 500.0]));
    }

    #[test]
    fn tokens_are_there_when_it_says_so() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new([(7.0, 3.0)], start);
        let mut now = start;
        for amount in [7.0, 1.0, 0.3, 5.5, 2.0] {
            now = bucket.ready_at(now, [amount]).unwrap();
            assert!(bucket.try_take(now, [amount]), "{amount}");
        }
        assert_eq!(bucket.ready_at(now, [8.0]), None);
    }

    /// Sends as fast as the limiter allows, and returns what left in each interval of `window`.
    fn drain(
        limiter: &mut ShardLimiter,
        size_bytes: usize,
        start: Instant,
        window: Duration,
        windows: usize,
    ) -> Vec<usize> {
        let mut sent = vec![0; windows];
        let mut now = start;
        loop {
            now = limiter.ready_at(now, size_bytes);
            let index = ((now - start).as_nanos() / window.as_nanos()) as usize;
            if index >= windows {
                return sent;
            }
            assert!(limiter.try_admit(now, size_bytes));
            sent[index] += size_bytes;
        }
    }

    #[test]
    fn no_second_takes_more_than_a_shard_and_its_burst() {
        let start = Instant::now();
        let mut limiter = ShardLimiter::new(100, 1, start);
        let sent = drain(&mut limiter, 51_000, start, Duration::from_secs(1), 10);
        let limit = (SHARD_BYTES_PER_SECOND * (1.0 + BURST_SECONDS)) as usize;
        assert!(sent.iter().all(|bytes| *bytes <= limit), "{sent:?}");
        let mean = sent[1..].iter().sum::<usize>() / 9;
        assert!(mean.abs_diff(1024 * 1024) < 51_000, "the rate is used: {sent:?}");
    }

    #[test]
    fn small_records_are_limited_by_their_number() {
        let start = Instant::now();
        let mut limiter = ShardLimiter::new(50, 1, start);
        let sent = drain(&mut limiter, 1, start, Duration::from_secs(1), 4);
        assert!(sent[1..].iter().all(|records| records.abs_diff(500) <= 1), "{sent:?}");
    }

    #[test]
    fn a_record_larger_than_the_burst_goes_and_is_paid_for() {
        let start = Instant::now();
        let mut limiter = ShardLimiter::new(100, 1, start);
        assert!(limiter.try_admit(start, 1024 * 1024));
        assert_eq!(limiter.ready_at(start, 1024 * 1024).duration_since(start).as_millis(), 1000);
        assert!(!limiter.try_admit(start + millis(700), 1024), "the debt of three quarters of a second");
    }
}
