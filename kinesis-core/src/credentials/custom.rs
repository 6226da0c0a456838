//! Providers of the program's own.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use aws_credential_types::provider::future::ProvideCredentials as ProvideCredentialsFuture;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use parking_lot::Mutex;

use crate::credentials::error::{CredentialsError, CredentialsErrorKind};

/// A provider of the program's own, by its name and, where the program handed it in, itself.
///
/// `Debug` shows the name alone: what a provider's own `Debug` shows is not known.
#[derive(Clone)]
pub struct CustomCredentials {
    name: String,
    provider: Option<SharedCredentialsProvider>,
}

impl CustomCredentials {
    /// Names a provider that is registered with [`AwsConfig::register_credentials_provider`].
    ///
    /// [`AwsConfig::register_credentials_provider`]: crate::AwsConfig::register_credentials_provider
    pub fn registered(name: impl Into<String>) -> Self {
        Self { name: name.into(), provider: None }
    }

    /// Takes a provider; the name is for messages.
    pub fn new(name: impl Into<String>, provider: impl ProvideCredentials + 'static) -> Self {
        Self { name: name.into(), provider: Some(SharedCredentialsProvider::new(provider)) }
    }

    /// The provider's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn bind(&self, registry: &Registry) -> CustomProvider {
        CustomProvider { custom: self.clone(), registry: registry.clone() }
    }
}

/// By name alone: two providers cannot be compared.
impl PartialEq for CustomCredentials {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.provider.is_some() == other.provider.is_some()
    }
}

impl Eq for CustomCredentials {}

impl fmt::Debug for CustomCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CustomCredentials").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The providers that a program has registered with a configuration, by name.
#[derive(Clone, Default)]
pub(crate) struct Registry(Arc<Mutex<BTreeMap<String, SharedCredentialsProvider>>>);

impl Registry {
    pub(crate) fn insert(&self, name: String, provider: SharedCredentialsProvider) {
        self.0.lock().insert(name, provider);
    }

    fn get(&self, name: &str) -> Option<SharedCredentialsProvider> {
        self.0.lock().get(name).cloned()
    }

    fn names(&self) -> String {
        let names: Vec<_> = self.0.lock().keys().cloned().collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Registry").field(&self.names()).finish()
    }
}

/// Looks the provider up when it is needed, so that it may be registered after the configuration is read.
#[derive(Debug)]
pub(super) struct CustomProvider {
    custom: CustomCredentials,
    registry: Registry,
}

impl CustomProvider {
    fn provider(&self) -> Result<SharedCredentialsProvider, CredentialsError> {
        let name = self.custom.name();
        self.custom.provider.clone().or_else(|| self.registry.get(name)).ok_or_else(|| {
            let message = format!(
                "no provider is registered under `{name}` (registered: {}); \
                 call AwsConfig::register_credentials_provider with this name",
                self.registry.names()
            );
            CredentialsError::new("CUSTOM", CredentialsErrorKind::Invalid, message)
        })
    }
}

impl ProvideCredentials for CustomProvider {
    fn provide_credentials<'a>(&'a self) -> ProvideCredentialsFuture<'a>
    where
        Self: 'a,
    {
        ProvideCredentialsFuture::new(async move {
            self.provider().map_err(CredentialsError::into_sdk)?.provide_credentials().await
        })
    }
}
