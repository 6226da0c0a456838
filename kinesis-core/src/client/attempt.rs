//! One attempt of a call, within its limits.

use std::error::Error as StdError;
use std::future::Future;
use std::time::Duration;

use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::timeout::TimeoutConfig;
use tokio::time::Instant;

use crate::client::error::RequestError;
use crate::client::measure;
use crate::client::transmission::{PREPARATION_LIMIT, Transmission};

/// Makes one attempt of a call of an SDK client, of whatever service, and classifies what goes wrong.
///
/// `send` puts the interceptor that it is given on the call and sends it. The SDK's retries have to be off for it, and its
/// time-outs those of [`sdk_timeouts`]: `limit` counts from when the request goes out, and the wait for credentials has a
/// limit of its own. What [`KinesisClient`](crate::KinesisClient) says of credentials that expired and of metrics holds
/// here too, as its own calls go through here. `target` is what errors name.
///
/// Cancel safety: a cancelled call may have been applied.
///
/// # Errors
/// [`RequestError`]; ask it whether a retry makes sense.
pub async fn attempt<T, E, F>(
    operation: &'static str,
    target: &str,
    limit: Duration,
    send: impl FnOnce(Transmission) -> F,
) -> Result<T, RequestError>
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    F: Future<Output = Result<T, SdkError<E, Response>>>,
{
    let (transmission, began) = (Transmission::default(), Instant::now());
    let result = match transmission.limited(limit, send(transmission.clone())).await {
        Ok(result) => result.map_err(|error| RequestError::from_sdk(operation, target, error, &transmission)),
        Err(too_slow) => Err(RequestError::too_slow(operation, target, too_slow, &transmission)),
    };
    measure::called(operation, result.as_ref().err(), began.elapsed());
    result
}

/// The time-outs that the SDK is to have for a call that [`attempt`] limits to `limit`: longer ones.
///
/// The SDK's limits count the wait for credentials too. They cannot be disabled: a config without any limit would take
/// that of connecting away.
pub fn sdk_timeouts(limit: Duration) -> TimeoutConfig {
    let never = limit.saturating_add(PREPARATION_LIMIT + Duration::from_secs(1));
    TimeoutConfig::builder().operation_attempt_timeout(never).operation_timeout(never).build()
}
