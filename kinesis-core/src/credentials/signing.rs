//! Which cache a call got its credentials from, so that it can be told when the service refuses them.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use aws_credential_types::Credentials;
use parking_lot::Mutex;

use crate::credentials::cache::CredentialsCache;

tokio::task_local! {
    // The SDK hands a provider's credentials to the signer without a way back to the provider. Both run within the
    // future of the call, so that what the cache notes here is seen by that call alone.
    static SIGNER: Signer;
}

/// The credentials that a call was signed with, and the cache that they are of.
///
/// Empty where they come from elsewhere: from a provider without our cache, or out of a cache of the SDK's.
#[derive(Clone, Default)]
pub(crate) struct Signer(Arc<Mutex<Option<(CredentialsCache, Credentials)>>>);

impl Signer {
    /// Runs a call and notes what its request is signed with.
    pub(crate) async fn watch<F: Future>(&self, call: F) -> F::Output {
        SIGNER.scope(self.clone(), call).await
    }

    /// Tells the cache that the service calls the credentials expired.
    ///
    /// Whether a repetition can be signed with others: not where they are not of our cache, nor where they have just
    /// replaced refused ones.
    pub(crate) fn renew(&self) -> bool {
        self.0.lock().as_ref().is_some_and(|(cache, credentials)| cache.refused(credentials))
    }
}

/// Without the credentials, whose own form shows the whole id.
impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Signer").field(&self.0.lock().as_ref().map(|(cache, _)| cache)).finish()
    }
}

/// Notes what the call of this task is signed with; outside of a call, nothing.
pub(super) fn note_signer(cache: &CredentialsCache, credentials: &Credentials) {
    let note = |signer: &Signer| *signer.0.lock() = Some((cache.clone(), credentials.clone()));
    // There is no call where a provider is asked by itself.
    let _ = SIGNER.try_with(note);
}
