//! When the request of a call is handed to its connection: from then on it may be applied, and its time runs.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::credentials::Signer;

/// What comes before is the wait for credentials. Longer than the patience of our cache, whose error says more.
pub(super) const PREPARATION_LIMIT: Duration = Duration::from_secs(30);

/// What is known of the request of one call: an interceptor that [`attempt`](crate::attempt) has put on it.
#[derive(Clone, Debug, Default)]
pub struct Transmission {
    begun: Arc<Begun>,
    signer: Signer,
}

#[derive(Default)]
struct Begun {
    notify: Notify,
    /// Set once the request goes out; holds the session token that goes with it.
    token: OnceLock<Option<String>>,
}

impl std::fmt::Debug for Begun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Begun").field("has_begun", &self.token.get().is_some()).finish_non_exhaustive()
    }
}

/// The call took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooSlow {
    pub(super) limit: Duration,
}

impl Transmission {
    /// Runs the call that this is an interceptor of; `limit` counts from when its request goes out.
    pub(super) async fn limited<F: Future>(&self, limit: Duration, call: F) -> Result<F::Output, TooSlow> {
        tokio::select! {
            biased;
            output = self.signer.watch(call) => Ok(output),
            too_slow = self.too_slow(limit) => Err(too_slow),
        }
    }

    async fn too_slow(&self, limit: Duration) -> TooSlow {
        if timeout(PREPARATION_LIMIT, self.begun.notify.notified()).await.is_err() {
            return TooSlow { limit: PREPARATION_LIMIT };
        }
        sleep(limit).await;
        TooSlow { limit }
    }

    /// Whether the request, or a part of it, may have left.
    pub(super) fn has_begun(&self) -> bool {
        self.begun.token.get().is_some()
    }

    /// The session token that the request carries.
    pub(super) fn token(&self) -> Option<&str> {
        self.begun.token.get().and_then(Option::as_deref)
    }

    /// What the request was signed with.
    pub(super) const fn signer(&self) -> &Signer {
        &self.signer
    }
}

#[dyn_dispatch_hint]
impl Intercept for Transmission {
    fn name(&self) -> &'static str {
        "Transmission"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let token = context.request().headers().get("x-amz-security-token").map(str::to_owned);
        // The SDK's retries are off, so that there is one request.
        let _ = self.begun.token.set(token);
        self.begun.notify.notify_one();
        Ok(())
    }
}
