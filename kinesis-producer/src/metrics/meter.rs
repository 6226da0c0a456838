//! The metrics that a configuration asks for, by place.

use std::collections::BTreeMap;
use std::sync::Arc;

use kinesis_core::{ShardId, StreamName};

#[cfg(feature = "cloudwatch")]
use super::cloudwatch::Registry;
use super::config::{MetricsConfig, MetricsGranularity, MetricsLevel};
use super::dimensions::{LABELS, Origin, dimensions};
use super::metric::{Kind, Metric, Unit};
use super::series::Series;

/// Makes series as they are asked for; without metrics there is nothing in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter(Option<Arc<Settings>>);

#[derive(Debug)]
struct Settings {
    config: MetricsConfig,
    #[cfg(feature = "cloudwatch")]
    registry: Option<Arc<Registry>>,
}

impl Meter {
    /// Makes the meter of a configuration, and describes its metrics to the facade's recorder.
    pub(crate) fn new(config: MetricsConfig) -> Self {
        if config.level == MetricsLevel::None {
            return Self::default();
        }
        describe(config.level);
        Self(Some(Arc::new(Settings {
            config,
            #[cfg(feature = "cloudwatch")]
            registry: None,
        })))
    }

    /// The same with a registry that takes all values too.
    #[cfg(feature = "cloudwatch")]
    pub(crate) fn uploaded(self, registry: &Arc<Registry>) -> Self {
        let with_registry = |settings: Arc<Settings>| {
            Arc::new(Settings { config: settings.config.clone(), registry: Some(Arc::clone(registry)) })
        };
        Self(self.0.map(with_registry))
    }

    /// Whether shards are told apart.
    pub(crate) fn tells_shards(&self) -> bool {
        self.0.as_ref().is_some_and(|settings| settings.config.granularity == MetricsGranularity::Shard)
    }

    /// A stream, or a shard of it; nothing without metrics.
    pub(crate) fn place(&self, stream: &StreamName, shard: Option<&ShardId>) -> Option<Place> {
        self.0.as_ref().map(|settings| Place {
            settings: Arc::clone(settings),
            stream: stream.clone(),
            shard: shard.cloned(),
            slots: Default::default(),
            by_code: BTreeMap::new(),
        })
    }
}

#[derive(Debug, Default)]
enum Slot {
    /// Nobody has asked yet.
    #[default]
    Unused,
    /// The level leaves it out.
    Off,
    On(Series),
}

/// The series of a stream, or of a shard; each is registered with its first value.
#[derive(Debug)]
pub(crate) struct Place {
    settings: Arc<Settings>,
    stream: StreamName,
    shard: Option<ShardId>,
    slots: [Slot; Metric::ALL.len()],
    by_code: BTreeMap<Arc<str>, Series>,
}

impl Place {
    /// The series of a metric, where the level has it.
    pub(crate) fn series(&mut self, metric: Metric) -> Option<&Series> {
        let slot = &mut self.slots[metric as usize];
        if matches!(slot, Slot::Unused) {
            let shard = self.shard.as_ref().map(ShardId::as_str);
            let origin = Origin { error_code: None, stream: Some(self.stream.as_str()), shard };
            *slot = self.settings.series(metric, origin).map_or(Slot::Off, Slot::On);
        }
        match slot {
            Slot::On(series) => Some(series),
            Slot::Unused | Slot::Off => None,
        }
    }

    /// Adds one value.
    pub(crate) fn add(&mut self, metric: Metric, value: u64) {
        self.add_many(metric, value, 1);
    }

    /// Adds the same value that many times.
    pub(crate) fn add_many(&mut self, metric: Metric, value: u64, count: usize) {
        if let Some(series) = self.series(metric) {
            series.add_many(value, count);
        }
    }

    /// Counts an error, by its code and at all.
    pub(crate) fn add_error(&mut self, code: &str) {
        self.add(Metric::AllErrors, 1);
        let code = if code.trim().is_empty() { "Unknown" } else { code };
        if let Some(series) = self.by_code.get(code) {
            series.add_many(1, 1);
            return;
        }
        let shard = self.shard.as_ref().map(ShardId::as_str);
        let origin = Origin { error_code: Some(code), stream: Some(self.stream.as_str()), shard };
        if let Some(series) = self.settings.series(Metric::ErrorsByCode, origin) {
            series.add_many(1, 1);
            self.by_code.insert(code.into(), series);
        }
    }
}

impl Settings {
    fn series(&self, metric: Metric, origin: Origin<'_>) -> Option<Series> {
        if metric.definition().level > self.config.level {
            return None;
        }
        let series = Series::register(metric, dimensions(&self.config, &LABELS, origin));
        #[cfg(feature = "cloudwatch")]
        let series = series.uploaded(self.registry.as_ref().map(|registry| registry.register(metric, origin)));
        Some(series)
    }
}

fn describe(level: MetricsLevel) {
    metrics::with_recorder(|recorder| {
        for metric in Metric::ALL {
            let definition = metric.definition();
            if definition.level > level {
                continue;
            }
            let unit = match definition.unit {
                Unit::Count => metrics::Unit::Count,
                Unit::Bytes => metrics::Unit::Bytes,
                Unit::Milliseconds => metrics::Unit::Milliseconds,
            };
            let (key, unit, text) = (definition.key.into(), Some(unit), definition.description.into());
            match definition.kind {
                Kind::Counter => recorder.describe_counter(key, unit, text),
                Kind::Gauge => recorder.describe_gauge(key, unit, text),
                Kind::Histogram => recorder.describe_histogram(key, unit, text),
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_level_none_there_are_no_places_and_so_no_work() {
        let stream = "orders".parse().unwrap();
        let meter = |level| Meter::new(MetricsConfig::default().level(level));
        assert!(meter(MetricsLevel::None).place(&stream, None).is_none());
        assert!(Meter::default().place(&stream, None).is_none());
        assert!(meter(MetricsLevel::Summary).place(&stream, None).is_some());
    }
}
