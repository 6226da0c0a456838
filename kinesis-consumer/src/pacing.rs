//! When a shard may be read again.

use std::time::Duration;

use tokio::time::Instant;

/// What one application may read of a shard, and how it paces itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct PacingLimits {
    /// The wait from one call to the next.
    pub(crate) interval: Duration,
    /// The wait from a reply without records to the next call, if that is longer.
    pub(crate) rest_after_none: Duration,
    /// The wait from a reply with records to the next call, if that is longer.
    pub(crate) rest_after_some: Duration,
    /// Bytes per second; the service allows 2 MB/s per shard (AWS quota page).
    pub(crate) bytes_per_second: f64,
    /// The most records asked for in a call, 1 to 10,000.
    pub(crate) max_records: u32,
    /// Whether calls ask for just what the budget holds (Flink, adaptive reads).
    pub(crate) adaptive: bool,
}

/// Spaces the GetRecords calls of one shard: an interval, a byte budget, and a pause after a throttle.
///
/// The budget is the service's: what a reply holds is paid for after it came, so that a reply of 10 MiB is followed by
/// five seconds of silence rather than by throttled calls.
#[derive(Debug)]
pub(crate) struct Pacer {
    limits: PacingLimits,
    next_call: Option<Instant>,
    /// Bytes that may be read; below zero after a large reply.
    budget: f64,
    refilled_at: Option<Instant>,
    max_records: u32,
}

impl Pacer {
    pub(crate) const fn new(limits: PacingLimits) -> Self {
        let budget = limits.bytes_per_second;
        Self { limits, next_call: None, budget, refilled_at: None, max_records: limits.max_records }
    }

    /// When the next call may be made; at once where that is past.
    pub(crate) fn next_call(&self, now: Instant) -> Instant {
        let debt = (-self.budget).max(0.0) / self.limits.bytes_per_second;
        // A millisecond more: the service, too, counts in whole ones.
        let margin = if debt > 0.0 { Duration::from_millis(1) } else { Duration::ZERO };
        let repaid = self.refilled_at.map(|at| at + Duration::from_secs_f64(debt) + margin);
        self.next_call.max(repaid).map_or(now, |at| at.max(now))
    }

    /// The most records to ask for.
    pub(crate) const fn max_records(&self) -> u32 {
        self.max_records
    }

    /// Notes a reply to the call made at `called`: its bytes, and the user records in it.
    pub(crate) fn on_reply(&mut self, called: Instant, now: Instant, bytes: usize, user_records: usize) {
        let since = self.refilled_at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        let refilled = self.budget + since.as_secs_f64() * self.limits.bytes_per_second;
        // What was saved up does not shorten the silence after a reply of more than a second's worth.
        let saved = if bytes as f64 > self.limits.bytes_per_second { 0.0 } else { self.limits.bytes_per_second };
        self.budget = refilled.min(saved) - bytes as f64;
        self.refilled_at = Some(now);
        let rest = if bytes == 0 { self.limits.rest_after_none } else { self.limits.rest_after_some };
        self.next_call = Some((called + self.limits.interval).max(now + rest));
        if self.limits.adaptive && user_records > 0 {
            self.max_records = self.adapted(bytes / user_records, now.saturating_duration_since(called));
        }
    }

    /// Pauses after a throttle, of this shard alone.
    pub(crate) fn on_throttle(&mut self, now: Instant, delay: Duration) {
        self.next_call = Some(now + delay.max(self.limits.interval));
    }

    /// As many records as fit the bytes of one cycle (Flink, `AdaptivePollingRecordPublisher`).
    fn adapted(&self, average_bytes: usize, cycle: Duration) -> u32 {
        let cycle = cycle.max(self.limits.interval).as_secs_f64();
        let per_cycle = self.limits.bytes_per_second * cycle;
        ((per_cycle / average_bytes.max(1) as f64) as u32).clamp(1, self.limits.max_records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: PacingLimits = PacingLimits {
        interval: Duration::from_millis(200),
        rest_after_none: Duration::ZERO,
        rest_after_some: Duration::ZERO,
        bytes_per_second: 2_097_152.0,
        max_records: 10_000,
        adaptive: false,
    };

    #[tokio::test(start_paused = true)]
    async fn small_replies_are_spaced_by_the_interval() {
        let start = Instant::now();
        let mut pacer = Pacer::new(LIMITS);
        assert_eq!(pacer.next_call(start), start);
        pacer.on_reply(start, start + Duration::from_millis(30), 1000, 10);
        assert_eq!(pacer.next_call(start), start + Duration::from_millis(200));
        let late = start + Duration::from_secs(5);
        assert_eq!(pacer.next_call(late), late, "an interval that has passed is not waited for again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_rest_counts_from_the_reply_and_the_interval_from_the_call() {
        let rests = (Duration::from_millis(1000), Duration::from_millis(10));
        let limits = PacingLimits { rest_after_none: rests.0, rest_after_some: rests.1, ..LIMITS };
        let start = Instant::now();
        let replied = |after: u64, bytes| {
            let mut pacer = Pacer::new(limits);
            pacer.on_reply(start, start + Duration::from_millis(after), bytes, usize::from(bytes > 0));
            pacer.next_call(start) - start
        };
        assert_eq!(replied(30, 0), Duration::from_millis(1030));
        assert_eq!(replied(30, 7), Duration::from_millis(200));
        assert_eq!(replied(195, 7), Duration::from_millis(205));
    }

    #[tokio::test(start_paused = true)]
    async fn ten_mebibytes_are_followed_by_five_seconds_of_silence() {
        let start = Instant::now();
        let mut pacer = Pacer::new(LIMITS);
        pacer.on_reply(start, start, 10 * 1024 * 1024, 10);
        let later = start + Duration::from_millis(5001);
        assert_eq!(pacer.next_call(start), later);
        pacer.on_reply(later, later, 0, 0);
        assert_eq!(pacer.next_call(later), later + Duration::from_millis(200));
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttle_waits_at_least_the_interval() {
        let start = Instant::now();
        let mut pacer = Pacer::new(LIMITS);
        pacer.on_throttle(start, Duration::from_millis(3));
        assert_eq!(pacer.next_call(start), start + Duration::from_millis(200));
        pacer.on_throttle(start, Duration::from_millis(900));
        assert_eq!(pacer.next_call(start), start + Duration::from_millis(900));
    }

    #[tokio::test(start_paused = true)]
    async fn adaptive_reads_ask_for_what_the_budget_holds() {
        // Flink: ten records of 10 KiB at 200 ms make the next limit 40 = 2 MiB / 10 KiB / 5.
        let start = Instant::now();
        let mut pacer = Pacer::new(PacingLimits { adaptive: true, ..LIMITS });
        pacer.on_reply(start, start + Duration::from_millis(20), 10 * 10 * 1024, 10);
        assert_eq!(pacer.max_records(), 40);
        pacer.on_reply(start, start, 0, 0);
        assert_eq!(pacer.max_records(), 40, "an empty reply keeps the last value");
    }
}
