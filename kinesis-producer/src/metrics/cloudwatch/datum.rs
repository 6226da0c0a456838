//! One metric's statistics in an upload.

use std::time::SystemTime;

use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StandardUnit, StatisticSet};
use aws_smithy_types::DateTime;

use super::samples::Samples;
use crate::metrics::metric::{Metric, Unit};

/// What a datum takes in a request besides its texts, at most: in CBOR its keys, four numbers, the time and the lengths
/// of name and unit.
const DATUM_BYTES: usize = 140;

/// The same of a dimension: two keys and the lengths of its texts.
const DIMENSION_BYTES: usize = 19;

/// The statistics of a metric, told apart by dimensions.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Datum {
    pub(crate) metric: Metric,
    pub(crate) dimensions: Vec<(String, String)>,
    pub(crate) samples: Samples,
}

impl Datum {
    /// What it takes in a request, at most.
    pub(crate) fn size_bytes(&self) -> usize {
        let texts = |(name, value): &(String, String)| name.len() + value.len() + DIMENSION_BYTES;
        let own = self.metric.definition().name.len() + self.unit().as_str().len() + DATUM_BYTES;
        own + self.dimensions.iter().map(texts).sum::<usize>()
    }

    fn unit(&self) -> StandardUnit {
        match self.metric.definition().unit {
            Unit::Count => StandardUnit::Count,
            Unit::Bytes => StandardUnit::Bytes,
            Unit::Milliseconds => StandardUnit::Milliseconds,
        }
    }

    pub(crate) fn to_sdk(&self, at: SystemTime) -> MetricDatum {
        let statistics = StatisticSet::builder()
            .sample_count(self.samples.count as f64)
            .sum(self.samples.sum)
            .minimum(self.samples.min)
            .maximum(self.samples.max);
        let to_dimension =
            |(name, value): &(String, String)| Dimension::builder().name(name.as_str()).value(value.as_str()).build();
        MetricDatum::builder()
            .metric_name(self.metric.definition().name)
            .set_dimensions(Some(self.dimensions.iter().map(to_dimension).collect()))
            .timestamp(DateTime::from(at))
            .statistic_values(statistics.build())
            .unit(self.unit())
            .build()
    }
}
