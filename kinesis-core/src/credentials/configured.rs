//! The credentials of one configuration: their source, and the one provider that all its clients share.

use std::fmt;
use std::sync::Arc;

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use tokio::sync::OnceCell;

use crate::credentials::cache::CredentialsCache;
use crate::credentials::chain::Surroundings;
use crate::credentials::custom::Registry;
use crate::credentials::source::CredentialsSource;
use crate::random::Randomness;
use crate::time::SharedClock;

/// A source with what its clones share: registered providers, and the provider with its cache.
#[derive(Clone)]
pub(crate) struct ConfiguredCredentials {
    source: CredentialsSource,
    randomness: Option<Randomness>,
    registry: Registry,
    provider: Arc<OnceCell<SharedCredentialsProvider>>,
}

impl ConfiguredCredentials {
    pub(crate) fn new(source: CredentialsSource) -> Self {
        Self { source, randomness: None, registry: Registry::default(), provider: Arc::default() }
    }

    pub(crate) const fn source(&self) -> &CredentialsSource {
        &self.source
    }

    /// The same source and registered providers, with a cache of its own.
    pub(crate) fn with_randomness(self, randomness: Randomness) -> Self {
        Self { randomness: Some(randomness), provider: Arc::default(), ..self }
    }

    /// The same source with providers and a cache of its own, for another configuration.
    pub(crate) fn detached(self) -> Self {
        Self { registry: Registry::default(), provider: Arc::default(), ..self }
    }

    pub(crate) fn register(&self, name: String, provider: SharedCredentialsProvider) {
        self.registry.insert(name, provider);
    }

    /// The shared provider, made with the first caller's client, clock and region.
    pub(crate) async fn provider(
        &self,
        http_client: SharedHttpClient,
        clock: SharedClock,
        region: &str,
    ) -> SharedCredentialsProvider {
        let make = || async {
            let around = Surroundings::new(http_client, SharedClock::clone(&clock), region, self.registry.clone());
            let provider = self.source.provider(&around).await;
            if !self.source.is_cached() {
                return provider;
            }
            let randomness = self.randomness.clone().unwrap_or_else(Randomness::from_entropy);
            let label = self.source.label();
            SharedCredentialsProvider::new(CredentialsCache::new(&*label, provider, clock, &randomness))
        };
        self.provider.get_or_init(make).await.clone()
    }
}

/// By the source: what is shared and drawn does not make two configurations differ.
impl PartialEq for ConfiguredCredentials {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl fmt::Debug for ConfiguredCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}
