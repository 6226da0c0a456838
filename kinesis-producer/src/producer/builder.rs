//! Putting a producer together.

use std::sync::Arc;

use kinesis_core::{KinesisClient, Randomness};
use tokio::runtime::Handle;

use super::{Inner, KinesisProducer};
use crate::config::ProducerConfig;
use crate::engine::Engine;
use crate::error::BuildError;
#[cfg(feature = "cloudwatch")]
use crate::metrics::cloudwatch::CloudWatchUploader;
use crate::metrics::{MetricsConfig, MetricsSetup};
use crate::pipeline::Pipeline;
use crate::queue::Queue;
use crate::shared::Shared;

/// Builds a [`KinesisProducer`].
#[derive(Debug, Default)]
pub struct KinesisProducerBuilder {
    client: Option<KinesisClient>,
    config: ProducerConfig,
    randomness: Option<Randomness>,
    metrics: MetricsSetup,
}

impl KinesisProducerBuilder {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// The client to write with; required.
    pub fn client(mut self, client: KinesisClient) -> Self {
        self.client = Some(client);
        self
    }

    /// The settings; [`ProducerConfig::default`] where not given.
    pub fn config(mut self, config: ProducerConfig) -> Self {
        self.config = config;
        self
    }

    /// Where the jitter of retries comes from; the operating system's entropy where not given.
    pub fn randomness(mut self, randomness: Randomness) -> Self {
        self.randomness = Some(randomness);
        self
    }

    /// Measures the producer, through the recorder of the `metrics` facade; not measured where not given.
    ///
    /// The recorder must be installed before: what is registered stays with the one that was there.
    pub fn metrics(mut self, metrics: MetricsConfig) -> Self {
        self.metrics.config = Some(metrics);
        self
    }

    /// Uploads the metrics to CloudWatch; [`MetricsConfig::default`] where none is given.
    #[cfg(feature = "cloudwatch")]
    pub fn cloudwatch(mut self, uploader: CloudWatchUploader) -> Self {
        self.metrics.uploader = Some(uploader);
        self
    }

    /// Starts the producer on the present tokio runtime.
    ///
    /// No request is made until the first record of a stream. Cancel safety: there is nothing to cancel yet.
    ///
    /// # Errors
    /// [`BuildError`] where no client was given or a setting is out of range.
    pub async fn build(self) -> Result<KinesisProducer, BuildError> {
        let client = self.client.ok_or(BuildError::NoClient)?;
        self.config.validate()?;
        self.metrics.validate()?;
        let shared = Arc::new(Shared::new(Queue::new(&self.config), self.config.fail_on_error));
        let max_user_record_size_bytes = self.config.max_user_record_size_bytes;
        let randomness = self.randomness.unwrap_or_else(Randomness::from_entropy);
        let (meter, reporting, measuring) = self.metrics.start(&randomness);
        let pipeline = Pipeline::new(self.config, &randomness).metered(meter);
        let engine = Engine::new(client, pipeline, Arc::clone(&shared));
        let work = async move {
            engine.run().await;
            drop(measuring);
        };
        let engine = tokio::spawn(work).abort_handle();
        let runtime = Handle::current();
        let inner = Inner { shared, engine, runtime, max_user_record_size_bytes, reporting };
        Ok(KinesisProducer { inner: Arc::new(inner) })
    }
}
