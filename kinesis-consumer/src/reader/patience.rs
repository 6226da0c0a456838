//! How long a call may keep others from their memory.

use std::time::Duration;

/// No reply that is on its way takes longer, as a rule.
const SHORTEST: Duration = Duration::from_secs(2);

/// How long a shard's call may be under way while others wait for the memory that it reserved.
///
/// Twice what its slowest reply took, so that a slow line is served: each call that was given up doubles it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    longest: Duration,
}

impl Patience {
    pub(super) const fn new() -> Self {
        Self { longest: SHORTEST }
    }

    pub(super) const fn duration(self) -> Duration {
        self.longest
    }

    /// A reply came after `elapsed`.
    pub(super) fn replied(&mut self, elapsed: Duration) {
        self.longest = self.longest.max(elapsed.saturating_mul(2));
    }

    /// A call was given up.
    pub(super) fn gave_up(&mut self) {
        self.longest = self.longest.saturating_mul(2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_until_a_reply_fits_and_stays_so() {
        let mut patience = Patience::new();
        patience.replied(Duration::from_millis(40));
        assert_eq!(patience.duration(), SHORTEST);
        patience.gave_up();
        patience.gave_up();
        assert_eq!(patience.duration(), Duration::from_secs(8));
        patience.replied(Duration::from_secs(7));
        assert_eq!(patience.duration(), Duration::from_secs(14));
    }
}
