//! A Kinesis in the process that answers by a rule, and a client of it.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_kinesis::config::{BehaviorVersion, Builder, Config, IdentityCache, Region};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use kinesis_core::{
    Backoff, ClientOptions, KinesisClient, RandomStream, Randomness, RetryPolicy, SdkTimeSource, SharedClock,
    TokioClock,
};

pub(crate) const SEED: u64 = 4;
pub(crate) const POLICY: RetryPolicy =
    RetryPolicy { max_retries: 5, backoff: Backoff::new(Duration::from_millis(300), Duration::from_millis(1000), 1.5) };

/// The generator of delays, from a seed that never changes.
pub(crate) fn jitter() -> RandomStream {
    Randomness::from_seed(SEED).stream("retry")
}

/// A clock that moves with paused time.
pub(crate) fn clock() -> SharedClock {
    Arc::new(TokioClock::starting_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)))
}

type Rule = dyn Fn(usize, &HttpRequest) -> (u16, String) + Send + Sync;

/// The rule is told the number of the call, from 0, and the request.
#[derive(Clone)]
pub(crate) struct Kinesis(Arc<State>);

struct State {
    rule: Box<Rule>,
    calls: AtomicUsize,
}

impl Kinesis {
    pub(crate) fn new(rule: impl Fn(usize, &HttpRequest) -> (u16, String) + Send + Sync + 'static) -> Self {
        Self(Arc::new(State { rule: Box::new(rule), calls: AtomicUsize::new(0) }))
    }

    /// Knows no stream: what a call that was made in good order ends with.
    pub(crate) fn empty() -> Self {
        Self::new(|_, _| refusal("ResourceNotFoundException", "no"))
    }

    pub(crate) fn calls(&self) -> usize {
        self.0.calls.load(Ordering::SeqCst)
    }

    /// A client with the provider and without a cache of the SDK's.
    pub(crate) fn client(&self, provider: SharedCredentialsProvider, clock: &SharedClock) -> KinesisClient {
        self.client_with(provider, clock, |sdk| sdk)
    }

    /// The same, with more settings.
    pub(crate) fn client_with(
        &self,
        provider: SharedCredentialsProvider,
        clock: &SharedClock,
        set: impl FnOnce(Builder) -> Builder,
    ) -> KinesisClient {
        let connector = self.clone();
        let sdk = Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .http_client(http_client_fn(move |_, _| SharedHttpConnector::new(connector.clone())))
            .time_source(SdkTimeSource(Arc::clone(clock)))
            .credentials_provider(provider)
            .identity_cache(IdentityCache::no_cache());
        KinesisClient::new(aws_sdk_kinesis::Client::from_conf(set(sdk).build()), ClientOptions::default())
    }
}

/// A refusal of the service, as a rule answers it.
pub(crate) fn refusal(code: &str, message: &str) -> (u16, String) {
    (400, format!(r#"{{"__type":"{code}","message":"{message}"}}"#))
}

impl Debug for Kinesis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kinesis")
    }
}

impl HttpConnector for Kinesis {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let number = self.0.calls.fetch_add(1, Ordering::SeqCst);
        let (status, body) = (self.0.rule)(number, &request);
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body))))
    }
}
