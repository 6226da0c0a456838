//! Where the values of one metric of one place go.

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata};
use tokio::time::Instant;

#[cfg(feature = "cloudwatch")]
use super::cloudwatch::{Held, SharedSamples};
use super::metric::{Kind, Metric};

static METADATA: Metadata<'static> = Metadata::new("kinesis_producer", Level::INFO, Some("kinesis_producer"));

#[derive(Debug)]
enum Facade {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

/// Handles that are looked up once, and used for every value.
#[derive(Debug)]
pub(crate) struct Series {
    facade: Facade,
    #[cfg(feature = "cloudwatch")]
    samples: Option<Uploaded>,
}

/// What is kept of the values until the next upload.
#[cfg(feature = "cloudwatch")]
#[derive(Debug)]
pub(crate) enum Uploaded {
    Samples(SharedSamples),
    Held(Held),
}

impl Series {
    /// Registers a series with the facade's recorder as it is now.
    pub(crate) fn register(metric: Metric, labels: Vec<(String, String)>) -> Self {
        let labels: Vec<_> = labels.into_iter().map(|(name, value)| Label::new(name, value)).collect();
        let definition = metric.definition();
        let key = Key::from_parts(definition.key, labels);
        let facade = metrics::with_recorder(|recorder| match definition.kind {
            Kind::Counter => Facade::Counter(recorder.register_counter(&key, &METADATA)),
            Kind::Gauge => Facade::Gauge(recorder.register_gauge(&key, &METADATA)),
            Kind::Histogram => Facade::Histogram(recorder.register_histogram(&key, &METADATA)),
        });
        Self {
            facade,
            #[cfg(feature = "cloudwatch")]
            samples: None,
        }
    }

    #[cfg(feature = "cloudwatch")]
    pub(crate) fn uploaded(mut self, samples: Option<Uploaded>) -> Self {
        self.samples = samples;
        self
    }

    /// Adds the same value that many times.
    pub(crate) fn add_many(&self, value: u64, count: usize) {
        match &self.facade {
            Facade::Counter(counter) => counter.increment(value.saturating_mul(count as u64)),
            Facade::Histogram(histogram) => histogram.record_many(value as f64, count),
            Facade::Gauge(_) => {}
        }
        #[cfg(feature = "cloudwatch")]
        if let Some(Uploaded::Samples(samples)) = &self.samples {
            samples.lock().add_many(value as f64, count as u64);
        }
    }

    /// Adds values, with one increment or lock for all of them where that is possible.
    pub(crate) fn add_all(&self, values: impl Iterator<Item = u64>) {
        let mut sum = 0;
        #[cfg(feature = "cloudwatch")]
        let mut samples = super::cloudwatch::Samples::default();
        for value in values {
            match &self.facade {
                Facade::Histogram(histogram) => histogram.record(value as f64),
                Facade::Counter(_) | Facade::Gauge(_) => sum += value,
            }
            #[cfg(feature = "cloudwatch")]
            samples.add_many(value as f64, 1);
        }
        if let Facade::Counter(counter) = &self.facade {
            counter.increment(sum);
        }
        #[cfg(feature = "cloudwatch")]
        if let Some(Uploaded::Samples(shared)) = &self.samples {
            shared.lock().merge(&samples);
        }
    }

    /// Changes a level; `now` is when it changes.
    pub(crate) fn shift(&self, change: i64, now: Instant) {
        if let Facade::Gauge(gauge) = &self.facade {
            gauge.increment(change as f64);
        }
        #[cfg(feature = "cloudwatch")]
        if let Some(Uploaded::Held(held)) = &self.samples {
            held.shift(change, now);
        }
        #[cfg(not(feature = "cloudwatch"))]
        let _ = now;
    }
}
