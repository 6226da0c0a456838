//! Which metrics there are, and how fine they are.

use std::time::Duration;

use crate::error::BuildError;

/// The dimensions that metrics have anyway.
const RESERVED_DIMENSIONS: [&str; 4] = ["MetricName", "StreamName", "ShardId", "ErrorCode"];

/// The labels that the facade has anyway.
const RESERVED_LABELS: [&str; 3] = ["stream", "shard", "error_code"];

/// CloudWatch takes 30; three are [`RESERVED_DIMENSIONS`] (API reference, MetricDatum).
const MAX_ADDITIONAL_DIMENSIONS: usize = 27;

/// Which metrics there are (MetricsLevel).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum MetricsLevel {
    /// None: nothing is counted or registered.
    None,
    /// Those that tell whether all is well.
    Summary,
    /// All of them.
    #[default]
    Detailed,
}

/// How finely metrics are told apart (MetricsGranularity).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum MetricsGranularity {
    /// One value over all streams.
    Global,
    /// One for each stream too.
    Stream,
    /// One for each shard too; advisable up to 800 shards (KPL, README).
    #[default]
    Shard,
}

/// A dimension that every metric of its granularity, or of a finer one, has besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AdditionalDimension {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) granularity: MetricsGranularity,
}

/// The settings of the metrics, with the KPL's names, defaults and ranges.
///
/// A producer that is not given one has no metrics, and no cost of them.
///
#[doc = include_str!("../../docs/metrics.md")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsConfig {
    pub(crate) level: MetricsLevel,
    pub(crate) granularity: MetricsGranularity,
    pub(crate) namespace: String,
    pub(crate) upload_delay: Duration,
    pub(crate) dimensions: Vec<AdditionalDimension>,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self {
            level: MetricsLevel::default(),
            granularity: MetricsGranularity::default(),
            namespace: "KinesisProducerLibrary".to_owned(),
            upload_delay: Duration::from_secs(60),
            dimensions: Vec::new(),
        }
    }
}

impl MetricsConfig {
    /// Which metrics there are (MetricsLevel); all by default.
    pub fn level(mut self, level: MetricsLevel) -> Self {
        self.level = level;
        self
    }

    /// How finely they are told apart (MetricsGranularity); by shard by default.
    pub fn granularity(mut self, granularity: MetricsGranularity) -> Self {
        self.granularity = granularity;
        self
    }

    /// The namespace in CloudWatch (MetricsNamespace); `KinesisProducerLibrary` by default.
    ///
    /// 1 to 255 characters, not beginning with `AWS/` or a colon. Without an uploader it has no effect.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// The time from one upload to CloudWatch to the next (MetricsUploadDelay), 1 ms to 60 s; 60 s by default.
    ///
    /// Without an uploader it has no effect.
    pub fn upload_delay(mut self, delay: Duration) -> Self {
        self.upload_delay = delay;
        self
    }

    /// Adds a dimension to the metrics of that granularity and of finer ones (addAdditionalMetricsDimension).
    ///
    /// At most 27 of them, in ASCII; a name of 1 to 255 characters that does not begin with a colon and is none of the
    /// metrics' own (`MetricName`, `StreamName`, `ShardId`, `ErrorCode`) nor of the facade's labels (`stream`, `shard`,
    /// `error_code`); a value of at most 1,024. One with a blank value is left out. Through the facade it is a label.
    pub fn dimension(
        mut self,
        name: impl Into<String>,
        value: impl Into<String>,
        granularity: MetricsGranularity,
    ) -> Self {
        let (name, value) = (name.into(), value.into());
        if !value.trim().is_empty() {
            self.dimensions.push(AdditionalDimension { name, value, granularity });
        }
        self
    }

    /// The additional dimensions of exactly that granularity, in the order in which they were added.
    pub(crate) fn dimensions_of(&self, granularity: MetricsGranularity) -> impl Iterator<Item = &AdditionalDimension> {
        self.dimensions.iter().filter(move |dimension| dimension.granularity == granularity)
    }

    pub(crate) fn validate(&self) -> Result<(), BuildError> {
        let refuse = |setting, value: &str, allowed| {
            let value = value.chars().take(300).collect();
            Err(BuildError::Invalid { setting, value, allowed })
        };
        let is_text = |text: &str, limit| (1..=limit).contains(&text.chars().count()) && !text.starts_with(':');
        if !is_text(&self.namespace, 255) || self.namespace.starts_with("AWS/") {
            return refuse(
                "metrics namespace",
                &self.namespace,
                "1 to 255 characters, not beginning with AWS/ or a colon",
            );
        }
        let range = Duration::from_millis(1)..=Duration::from_secs(60);
        if !range.contains(&self.upload_delay) {
            return refuse("metrics upload_delay", &format!("{:?}", self.upload_delay), "1 ms to 60 s");
        }
        if self.dimensions.len() > MAX_ADDITIONAL_DIMENSIONS {
            return refuse("metrics dimensions", &self.dimensions.len().to_string(), "at most 27");
        }
        for (index, AdditionalDimension { name, value, .. }) in self.dimensions.iter().enumerate() {
            let is_taken = self.dimensions[..index].iter().any(|other| other.name == *name);
            let is_own = RESERVED_DIMENSIONS.iter().chain(&RESERVED_LABELS).any(|own| own == name);
            if !is_text(name, 255) || !is_plain(name) || is_own || is_taken {
                let allowed = "1 to 255 ASCII characters, not beginning with a colon, each name once and none of the metrics' own";
                return refuse("metrics dimension name", name, allowed);
            }
            if value.len() > 1024 || !is_plain(value) {
                return refuse("metrics dimension value", value, "at most 1024 ASCII characters");
            }
        }
        Ok(())
    }
}

/// Whether CloudWatch takes a text of a dimension: ASCII without control characters, not blank (API reference, Dimension).
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) && !text.trim().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(config: MetricsConfig) -> &'static str {
        match config.validate() {
            Err(BuildError::Invalid { setting, .. }) => setting,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn defaults_are_the_kpls() {
        let config = MetricsConfig::default();
        config.validate().unwrap();
        assert_eq!((config.level, config.granularity), (MetricsLevel::Detailed, MetricsGranularity::Shard));
        assert_eq!((config.namespace.as_str(), config.upload_delay.as_millis()), ("KinesisProducerLibrary", 60_000));
    }

    #[test]
    fn namespaces_are_of_the_users() {
        let config = |namespace: &str| MetricsConfig::default().namespace(namespace);
        for namespace in ["", "AWS/Kinesis", ":x", &"x".repeat(256)] {
            assert_eq!(refused(config(namespace)), "metrics namespace", "{namespace}");
        }
        for namespace in ["x", "AWS", "my/AWS/x", &"ö".repeat(255)] {
            config(namespace).validate().unwrap();
        }
    }

    #[test]
    fn dimensions_are_plain_and_none_of_the_metrics_own() {
        let config =
            |name: &str, value: &str| MetricsConfig::default().dimension(name, value, MetricsGranularity::Global);
        for name in ["größe", " ", "a\nb", "stream", "shard", "error_code", "StreamName", ":x"] {
            assert_eq!(refused(config(name, "1")), "metrics dimension name", "{name:?}");
        }
        for value in ["groß", "a\tb", &"x".repeat(1025)] {
            assert_eq!(refused(config("Host", value)), "metrics dimension value", "{value:?}");
        }
        config("Host name", "web 1").validate().unwrap();
    }

    #[test]
    fn upload_delays_are_of_the_kpls_range() {
        for (micros, is_valid) in [(0, false), (999, false), (1_000, true), (60_000_000, true), (60_000_001, false)] {
            let config = MetricsConfig::default().upload_delay(Duration::from_micros(micros));
            assert_eq!(config.validate().is_ok(), is_valid, "{micros}");
        }
    }

    #[test]
    fn additional_dimensions_are_ones_that_cloudwatch_takes() {
        let with =
            |name: &str, value: &str| MetricsConfig::default().dimension(name, value, MetricsGranularity::Global);
        for name in ["", ":x", "StreamName", "ShardId", "ErrorCode", "MetricName", &"x".repeat(256)] {
            assert_eq!(refused(with(name, "1")), "metrics dimension name", "{name}");
        }
        assert_eq!(refused(with("a", "1").dimension("a", "2", MetricsGranularity::Shard)), "metrics dimension name");
        assert_eq!(refused(with("a", &"x".repeat(1025))), "metrics dimension value");
        let many = |count: usize| {
            (0..count).fold(MetricsConfig::default(), |config, index| {
                config.dimension(format!("d{index}"), "1", MetricsGranularity::Stream)
            })
        };
        many(27).validate().unwrap();
        assert_eq!(refused(many(28)), "metrics dimensions");
    }

    #[test]
    fn a_dimension_with_a_blank_value_is_left_out() {
        assert_eq!(
            MetricsConfig::default().dimension("a", " \t", MetricsGranularity::Global),
            MetricsConfig::default()
        );
    }
}
