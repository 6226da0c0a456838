//! The cache: one load at a time, ahead of need, for every request of a configuration.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::future::ProvideCredentials as ProvideCredentialsFuture;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::credentials::error::{CredentialsError, CredentialsErrorKind};
use crate::credentials::refresh::{Failed, Moment, Refresh, Step};
use crate::credentials::signing::note_signer;
use crate::random::Randomness;
use crate::time::SharedClock;

/// One load may take so long: an EC2 instance that is none answers nothing for seconds, eight roles need eight calls.
const LOAD_TIMEOUT: Duration = Duration::from_secs(20);
/// A request without valid credentials waits so long for some.
const PATIENCE: Duration = Duration::from_secs(25);

/// Credentials of one provider, kept and renewed for all.
///
/// A load is a task of its own: a request that is cancelled does not cancel it, and its result is there for the next.
#[derive(Clone)]
pub(super) struct CredentialsCache(Arc<Shared>);

struct Shared {
    label: Arc<str>,
    provider: SharedCredentialsProvider,
    clock: SharedClock,
    state: Mutex<Refresh>,
    /// The number of loads that have ended.
    ended: watch::Sender<u64>,
}

impl CredentialsCache {
    pub(super) fn new(
        label: impl Into<Arc<str>>,
        provider: SharedCredentialsProvider,
        clock: SharedClock,
        randomness: &Randomness,
    ) -> Self {
        let label = label.into();
        let state = Mutex::new(Refresh::new(Arc::clone(&label), randomness.stream("credentials")));
        let ended = watch::Sender::new(0);
        Self(Arc::new(Shared { label, provider, clock, state, ended }))
    }

    async fn credentials(&self) -> Result<Credentials, CredentialsError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // A load that ends after this line is seen below, also one that ends before the wait begins.
            let mut ended = self.0.ended.subscribe();
            let step = self.0.state.lock().step(self.0.now());
            match step {
                Step::Use(credentials) => return Ok(credentials),
                Step::UseAndLoad(credentials) => {
                    self.start_load();
                    return Ok(credentials);
                }
                Step::Fail(error) => return Err(error),
                Step::Pause(until, error) if until >= deadline => return Err(error),
                Step::Pause(until, _) => sleep_until(until).await,
                Step::Load(until) | Step::Join(until) => {
                    if matches!(step, Step::Load(_)) {
                        self.start_load();
                    }
                    let until = until.map_or(deadline, |until| until.min(deadline));
                    if timeout_at(until, ended.changed()).await.is_err() && until == deadline {
                        return Err(self.0.too_slow(PATIENCE));
                    }
                }
            }
        }
    }

    /// Drops credentials that the service calls expired, and says whether a repetition can be signed with others.
    pub(super) fn refused(&self, credentials: &Credentials) -> bool {
        self.0.state.lock().refused(self.0.now(), credentials)
    }

    fn start_load(&self) {
        let load = Load { shared: Arc::clone(&self.0), has_ended: false };
        tokio::spawn(load.run());
    }
}

impl Shared {
    fn now(&self) -> Moment {
        Moment { date: self.clock.now(), ticks: Instant::now() }
    }

    fn too_slow(&self, limit: Duration) -> CredentialsError {
        let message = format!("no answer within {} s", limit.as_secs());
        CredentialsError::new(&self.label, CredentialsErrorKind::TimedOut, message)
    }
}

/// A load under way; one that is dropped or panics counts as failed, so that nobody waits for it.
struct Load {
    shared: Arc<Shared>,
    has_ended: bool,
}

impl Load {
    async fn run(mut self) {
        let result = match timeout(LOAD_TIMEOUT, self.shared.provider.provide_credentials()).await {
            Ok(result) => result.map_err(|error| CredentialsError::from_provider(&self.shared.label, error)),
            Err(_) => Err(self.shared.too_slow(LOAD_TIMEOUT)),
        };
        self.end(result);
    }

    fn end(&mut self, result: Result<Credentials, CredentialsError>) {
        self.has_ended = true;
        let now = self.shared.now();
        let outcome = {
            let mut state = self.shared.state.lock();
            result.and_then(|credentials| state.loaded(now, credentials)).map_err(|error| state.failed(now, error))
        };
        self.shared.ended.send_modify(|ended| *ended = ended.wrapping_add(1));
        let provider = &*self.shared.label;
        match outcome {
            Ok(Some(lifetime)) => tracing::debug!(provider, ?lifetime, "credentials were loaded"),
            Ok(None) => tracing::debug!(provider, "credentials without expiry were loaded"),
            Err(failed) => warn(provider, &failed),
        }
    }
}

fn warn(provider: &str, Failed { error, failures, retry_in, valid_for, is_urgent }: &Failed) {
    match valid_for {
        // The services of containers and instances renew late, some five minutes before the expiry.
        Some(_) if error.kind() == CredentialsErrorKind::Expired && !is_urgent => {
            tracing::debug!(provider, %error, failures, ?retry_in, ?valid_for, "credentials were not renewed yet");
        }
        Some(Duration::ZERO) => tracing::warn!(provider, %error, failures, ?retry_in, "there are no credentials"),
        valid_for => tracing::warn!(
            provider,
            %error,
            failures,
            ?retry_in,
            ?valid_for,
            "credentials could not be renewed; those at hand are used until they expire"
        ),
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        if !self.has_ended {
            let message = "the provider was stopped or has panicked before it answered";
            let error = CredentialsError::new(&self.shared.label, CredentialsErrorKind::Unavailable, message);
            self.end(Err(error));
        }
    }
}

impl ProvideCredentials for CredentialsCache {
    fn provide_credentials<'a>(&'a self) -> ProvideCredentialsFuture<'a>
    where
        Self: 'a,
    {
        ProvideCredentialsFuture::new(async move {
            let credentials = self.credentials().await.map_err(CredentialsError::into_sdk)?;
            note_signer(self, &credentials);
            Ok(credentials)
        })
    }
}

impl fmt::Debug for CredentialsCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialsCache").field("provider", &self.0.label).finish_non_exhaustive()
    }
}
