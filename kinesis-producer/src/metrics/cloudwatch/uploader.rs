//! Where the metrics are uploaded to.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::config::retry::RetryConfig;
use aws_sdk_cloudwatch::config::{BehaviorVersion, Config, IdentityCache};
use aws_sdk_cloudwatch::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_cloudwatch::operation::put_metric_data::PutMetricDataError;
use kinesis_core::{AwsConfig, KinesisClient, RandomStream, SharedClock, SystemClock};
use tokio::time::{sleep, timeout};

use super::datum::Datum;
use super::plan::{Failure, retry_after};

/// The time limit of one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Uploads a producer's metrics to CloudWatch, by PutMetricData.
///
/// The caller needs `cloudwatch:PutMetricData`. An upload that fails is tried twice more where that may help, then
/// logged and dropped; it never touches the records. Cloning is cheap, and the clones share the connections.
#[derive(Clone, Debug)]
pub struct CloudWatchUploader {
    client: Client,
    clock: SharedClock,
    close_timeout: Duration,
}

impl CloudWatchUploader {
    /// Uploads through that client, with its region, endpoint, credentials and HTTP client.
    ///
    /// Its retries are switched off for these calls: they are the uploader's own.
    pub fn new(client: Client) -> Self {
        Self { client, clock: Arc::new(SystemClock), close_timeout: Duration::from_secs(5) }
    }

    /// Uploads to the region of a Kinesis client, through its HTTP client, with the credentials of `config`.
    ///
    /// `kinesis` is a client that was made of `config` or has an HTTP client of its own. The endpoint is CloudWatch's,
    /// whatever that of Kinesis is. Nothing is called yet. Cancel safety: nothing is lost.
    pub async fn connect(config: &AwsConfig, kinesis: &KinesisClient) -> Self {
        let shared = kinesis.sdk().config();
        let mut sdk = Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(shared.region().cloned())
            // The provider is the cache.
            .identity_cache(IdentityCache::no_cache());
        sdk.set_time_source(shared.time_source());
        sdk.set_sleep_impl(shared.sleep_impl());
        if let Some(http_client) = shared.http_client() {
            let credentials = config.credentials_provider(http_client.clone(), Arc::new(SystemClock)).await;
            sdk = sdk.http_client(http_client).credentials_provider(credentials);
        }
        Self::new(Client::from_conf(sdk.build()))
    }

    /// Where the time of a datum comes from; the system's clock where not given.
    pub fn clock(mut self, clock: SharedClock) -> Self {
        self.clock = clock;
        self
    }

    /// How long a close waits for the last upload; 5 s by default.
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = timeout;
        self
    }

    pub(crate) const fn last_upload_limit(&self) -> Duration {
        self.close_timeout
    }

    /// Sends requests one after the other; what fails is logged.
    pub(crate) async fn upload(&self, namespace: &str, requests: Vec<Vec<Datum>>, random: &mut RandomStream) {
        for request in requests {
            self.send_until_given_up(namespace, &request, random).await;
        }
    }

    async fn send_until_given_up(&self, namespace: &str, request: &[Datum], random: &mut RandomStream) {
        let at = self.clock.now();
        let mut failures = 0;
        loop {
            let data = request.iter().map(|datum| datum.to_sdk(at)).collect();
            let call = self.client.put_metric_data().namespace(namespace).set_metric_data(Some(data)).customize();
            let call = call.config_override(Config::builder().retry_config(RetryConfig::disabled()));
            let (failure, text) = match timeout(REQUEST_TIMEOUT, call.send()).await {
                Ok(Ok(_)) => return,
                Ok(Err(error)) => {
                    let text = DisplayErrorContext(&error).to_string();
                    (retry_after(failures + 1, failure_of(&error), random), text)
                }
                Err(_) => (retry_after(failures + 1, Failure::NoAnswer, random), "no answer in time".to_owned()),
            };
            failures += 1;
            let Some(delay) = failure else {
                tracing::warn!(error = text, failures, data = request.len(), "metrics not uploaded to CloudWatch");
                return;
            };
            tracing::debug!(error = text, failures, ?delay, "uploading metrics again");
            sleep(delay).await;
        }
    }
}

fn failure_of(error: &SdkError<PutMetricDataError>) -> Failure<'_> {
    match error {
        SdkError::ServiceError(context) => {
            Failure::Refused { code: context.err().code().unwrap_or_default(), status: context.raw().status().as_u16() }
        }
        SdkError::ConstructionFailure(_) => Failure::NotSent,
        _ => Failure::NoAnswer,
    }
}
