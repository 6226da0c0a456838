//! A provider of credentials that rotates, expires, is slow and fails (F13).

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, future};
use kinesis_core::SharedClock;
use parking_lot::Mutex;

/// A provider of credentials for tests (F13).
///
/// Without more it is quick, never fails, and gives the same keys for good. Clones are handles on one provider. The
/// fake verifies no signatures in the same process, so that any keys do; the n-th pair that was made has the key id `AKIDFAKE` and n in eight
/// digits.
#[derive(Clone)]
pub struct FakeCredentials(Arc<Inner>);

struct Inner {
    clock: SharedClock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    valid_for: Option<Duration>,
    renewed_before: Duration,
    delay: Duration,
    /// How many calls fail yet.
    failing: u64,
    hanging: bool,
    issued: u64,
    current: Option<(Credentials, Option<SystemTime>)>,
    calls: u64,
    failed: u64,
    in_flight: u64,
    most_in_flight: u64,
}

impl FakeCredentials {
    /// Makes a provider whose expiries follow a clock, such as [`FakeKinesis::clock`](crate::FakeKinesis::clock).
    pub fn new(clock: SharedClock) -> Self {
        Self(Arc::new(Inner { clock, state: Mutex::default() }))
    }

    /// From the next pair of keys on, lets each expire that long after it was made; never by default.
    pub fn valid_for(self, duration: Duration) -> Self {
        self.0.state.lock().valid_for = Some(duration);
        self
    }

    /// Makes a new pair that long before the old one expires, as instance metadata does; only at its expiry by default.
    pub fn renewed_before(self, lead: Duration) -> Self {
        self.0.state.lock().renewed_before = lead;
        self
    }

    /// How long each call takes, by tokio's time; nothing by default.
    pub fn delay(self, delay: Duration) -> Self {
        self.set_delay(delay);
        self
    }

    /// Changes how long calls take that come in from now on.
    pub fn set_delay(&self, delay: Duration) {
        self.0.state.lock().delay = delay;
    }

    /// Lets that many further calls fail; [`u64::MAX`] is all of them.
    pub fn fail(&self, calls: u64) {
        self.0.state.lock().failing = calls;
    }

    /// Lets calls that come in from now on wait for ever.
    pub fn hang(&self) {
        self.0.state.lock().hanging = true;
    }

    /// Ends failures, delays, and hangs of calls to come.
    pub fn heal(&self) {
        let mut state = self.0.state.lock();
        (state.failing, state.hanging, state.delay) = (0, false, Duration::ZERO);
    }

    /// Lets the next call make a new pair, whether the old one has expired or not.
    pub fn rotate(&self) {
        self.0.state.lock().current = None;
    }

    /// How many calls came in, those that failed or were given up too.
    pub fn calls(&self) -> u64 {
        self.0.state.lock().calls
    }

    /// How many calls failed.
    pub fn failed(&self) -> u64 {
        self.0.state.lock().failed
    }

    /// How many pairs of keys were made.
    pub fn issued(&self) -> u64 {
        self.0.state.lock().issued
    }

    /// The most calls that were under way at once; 1 where refreshes are single flight.
    pub fn most_in_flight(&self) -> u64 {
        self.0.state.lock().most_in_flight
    }

    async fn provide(&self) -> provider::Result {
        let (delay, hanging) = {
            let mut state = self.0.state.lock();
            state.calls += 1;
            state.in_flight += 1;
            state.most_in_flight = state.most_in_flight.max(state.in_flight);
            (state.delay, state.hanging)
        };
        let _in_flight = InFlight(&self.0.state);
        if hanging {
            std::future::pending::<()>().await;
        }
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        self.0.state.lock().decide(self.0.clock.now())
    }
}

impl State {
    fn decide(&mut self, now: SystemTime) -> provider::Result {
        if self.failing > 0 {
            self.failing = self.failing.saturating_sub(u64::from(self.failing != u64::MAX));
            self.failed += 1;
            return Err(CredentialsError::provider_error("the provider is down"));
        }
        let lead = self.renewed_before;
        let good = |expiry: &Option<SystemTime>| {
            expiry.is_none_or(|expiry| now.checked_add(lead).is_some_and(|then| then < expiry))
        };
        if let Some((credentials, _)) = self.current.as_ref().filter(|(_, expiry)| good(expiry)) {
            return Ok(credentials.clone());
        }
        self.issued += 1;
        // As good as for ever where the calendar ends.
        let expiry = self.valid_for.and_then(|duration| now.checked_add(duration));
        let (id, secret) = (format!("AKIDFAKE{:08}", self.issued), format!("fake-secret-{}", self.issued));
        let credentials = Credentials::new(id, secret, Some("fake-token".to_owned()), expiry, "kinesis-testkit");
        self.current = Some((credentials.clone(), expiry));
        Ok(credentials)
    }
}

/// Counts a call out, whether it ends or is dropped.
struct InFlight<'a>(&'a Mutex<State>);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.lock().in_flight -= 1;
    }
}

impl fmt::Debug for FakeCredentials {
    /// Shows no secret, as no provider may.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.state.lock();
        f.debug_struct("FakeCredentials").field("calls", &state.calls).field("issued", &state.issued).finish()
    }
}

impl ProvideCredentials for FakeCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.provide())
    }
}

#[cfg(test)]
mod tests {
    use kinesis_core::{TokioClock, from_unix_millis};
    use tokio::time::{advance, timeout};

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn provider() -> FakeCredentials {
        FakeCredentials::new(Arc::new(TokioClock::starting_at(from_unix_millis(1_767_225_600_000))))
    }

    async fn key(provider: &FakeCredentials) -> String {
        provider.provide_credentials().await.unwrap().access_key_id().to_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn keys_are_renewed_before_they_expire() {
        let provider = provider().valid_for(15 * MINUTE).renewed_before(5 * MINUTE);
        let first = provider.provide_credentials().await.unwrap();
        assert_eq!(first.expiry(), Some(provider.0.clock.now() + 15 * MINUTE));
        advance(9 * MINUTE).await;
        assert_eq!(key(&provider).await, "AKIDFAKE00000001");
        advance(MINUTE).await;
        assert_eq!(key(&provider).await, "AKIDFAKE00000002");
        provider.rotate();
        assert_eq!(key(&provider).await, "AKIDFAKE00000003");
        assert_eq!((provider.calls(), provider.issued()), (4, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn it_fails_as_often_as_it_is_told_to() {
        let provider = provider();
        provider.fail(2);
        for _ in 0..2 {
            provider.provide_credentials().await.unwrap_err();
        }
        key(&provider).await;
        provider.fail(u64::MAX);
        provider.provide_credentials().await.unwrap_err();
        provider.provide_credentials().await.unwrap_err();
        provider.heal();
        key(&provider).await;
        assert_eq!((provider.calls(), provider.failed(), provider.issued()), (6, 4, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_are_given_up_are_no_longer_under_way() {
        let provider = provider().delay(MINUTE);
        let (first, second) = tokio::join!(key(&provider), key(&provider));
        assert_eq!((first, provider.most_in_flight()), (second, 2));
        provider.hang();
        assert!(timeout(MINUTE, provider.provide_credentials()).await.is_err());
        assert_eq!(provider.0.state.lock().in_flight, 0);
        assert!(!format!("{provider:?}").contains("secret"));
    }
}
