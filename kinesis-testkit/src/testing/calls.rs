//! Calls that are repeated while the service throttles them.

use std::time::Duration;

use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use kinesis_core::RequestErrorKind;

/// How many refusals in a row are one too many.
pub(super) const MAX_ATTEMPTS: u32 = 20;
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// How long to wait after so many refusals in a row, counted from 1.
///
/// All waits together are above the five seconds for which a reply of 10 MiB silences a shard.
pub(super) fn wait_after(refusals: u32) -> Duration {
    FIRST_WAIT.saturating_mul(1 << refusals.saturating_sub(1).min(10)).min(LONGEST_WAIT)
}

/// Whether a call was refused only because of its rate, with nothing applied.
pub(super) fn is_throttle<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> bool {
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default();
    matches!(RequestErrorKind::of_code(code), RequestErrorKind::Throttled | RequestErrorKind::LimitExceeded)
}

/// Makes a call again until it is not throttled, or has been too often.
pub(super) async fn retry_throttled<T, E, F>(call: impl Fn() -> F) -> Result<T, Box<SdkError<E>>>
where
    E: ProvideErrorMetadata,
    F: Future<Output = Result<T, SdkError<E>>>,
{
    let mut refusals = 0;
    loop {
        match call().await {
            Err(error) if is_throttle(&error) && refusals + 1 < MAX_ATTEMPTS => refusals += 1,
            result => return result.map_err(Box::new),
        }
        tokio::time::sleep(wait_after(refusals)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_second() {
        let waits: Vec<_> = (1..=6).map(|refusals| wait_after(refusals).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(wait_after(u32::MAX), LONGEST_WAIT);
        let all: Duration = (1..MAX_ATTEMPTS).map(wait_after).sum();
        assert!(all > Duration::from_secs(10), "{all:?}");
    }
}
