//! From the builder's settings to what measures and reports.

#[cfg(feature = "cloudwatch")]
use std::sync::Arc;

use kinesis_core::Randomness;
use tokio::sync::oneshot;

#[cfg(feature = "cloudwatch")]
use super::cloudwatch::{CloudWatchUploader, Registry, UploadTask};
use super::config::MetricsConfig;
#[cfg(feature = "cloudwatch")]
use super::config::MetricsLevel;
use super::meter::Meter;
use crate::error::BuildError;

/// What a builder was told of metrics.
#[derive(Debug, Default)]
pub(crate) struct MetricsSetup {
    pub(crate) config: Option<MetricsConfig>,
    #[cfg(feature = "cloudwatch")]
    pub(crate) uploader: Option<CloudWatchUploader>,
}

/// What takes metrics out of the process, if anything does.
#[derive(Debug, Default)]
pub(crate) struct Reporting {
    #[cfg(feature = "cloudwatch")]
    task: Option<UploadTask>,
}

/// What is dropped when nothing more will be measured.
pub(crate) type MeasuringGuard = Option<oneshot::Sender<()>>;

impl MetricsSetup {
    pub(crate) fn validate(&self) -> Result<(), BuildError> {
        self.config.as_ref().map_or(Ok(()), MetricsConfig::validate)
    }

    /// Starts what reports; needs a tokio runtime.
    #[cfg(feature = "cloudwatch")]
    pub(crate) fn start(self, randomness: &Randomness) -> (Meter, Reporting, MeasuringGuard) {
        let Some(uploader) = self.uploader else {
            return (self.config.map_or_else(Meter::default, Meter::new), Reporting::default(), None);
        };
        let config = self.config.unwrap_or_default();
        if config.level == MetricsLevel::None {
            return (Meter::default(), Reporting::default(), None);
        }
        let registry = Arc::new(Registry::new(config.clone()));
        let meter = Meter::new(config).uploaded(&registry);
        let (guard, ended) = oneshot::channel();
        let task = UploadTask::start(uploader, registry, randomness.stream("producer metrics"), ended);
        (meter, Reporting { task: Some(task) }, Some(guard))
    }

    /// Makes the meter.
    #[cfg(not(feature = "cloudwatch"))]
    pub(crate) fn start(self, _randomness: &Randomness) -> (Meter, Reporting, MeasuringGuard) {
        (self.config.map_or_else(Meter::default, Meter::new), Reporting::default(), None)
    }
}

impl Reporting {
    /// Waits until everything is reported that was measured, or nothing will be any more.
    pub(crate) fn over(&self) -> impl Future<Output = ()> + Send + use<> {
        #[cfg(feature = "cloudwatch")]
        let over = self.task.as_ref().map(UploadTask::over);
        async move {
            #[cfg(feature = "cloudwatch")]
            if let Some(over) = over {
                over.await;
            }
        }
    }
}
