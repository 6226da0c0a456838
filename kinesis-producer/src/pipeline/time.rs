//! Instants that do not overflow.

use std::time::Duration;

use tokio::time::Instant;

/// What stands for never: further off than any program runs, near enough for every clock.
const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// The instant that much later, or one that never comes.
pub(crate) fn after(instant: Instant, duration: Duration) -> Instant {
    instant.checked_add(duration.min(FAR)).unwrap_or(instant)
}

/// The earlier of two instants that may not be set.
pub(crate) fn earliest(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_duration_never_passes() {
        let now = Instant::now();
        assert!(after(now, Duration::MAX) > now + Duration::from_secs(1_000_000));
        assert_eq!(after(now, Duration::from_secs(1)), now + Duration::from_secs(1));
    }
}
