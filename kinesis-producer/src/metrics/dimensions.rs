//! What tells the values of a metric apart.

use super::config::{MetricsConfig, MetricsGranularity};

/// How the metrics' own dimensions are called.
#[derive(Debug)]
pub(crate) struct DimensionNames {
    error_code: &'static str,
    stream: &'static str,
    shard: &'static str,
}

/// As labels of the facade.
pub(crate) const LABELS: DimensionNames = DimensionNames { error_code: "error_code", stream: "stream", shard: "shard" };

/// As dimensions in CloudWatch, where they are the KPL's.
#[cfg(feature = "cloudwatch")]
pub(crate) const CLOUDWATCH: DimensionNames =
    DimensionNames { error_code: "ErrorCode", stream: "StreamName", shard: "ShardId" };

/// Where a value belongs; what is not given does not apply.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Origin<'a> {
    pub(crate) error_code: Option<&'a str>,
    pub(crate) stream: Option<&'a str>,
    pub(crate) shard: Option<&'a str>,
}

/// Names and values in the KPL's order, down to the granularity: each beginning of the list is a value's ancestor.
pub(crate) fn dimensions(config: &MetricsConfig, names: &DimensionNames, origin: Origin<'_>) -> Vec<(String, String)> {
    let mut dimensions = Vec::new();
    let own = |dimensions: &mut Vec<_>, name: &str, value: &str| dimensions.push((name.to_owned(), value.to_owned()));
    let additional = |dimensions: &mut Vec<_>, granularity| {
        let of_step = config.dimensions_of(granularity);
        dimensions.extend(of_step.map(|dimension| (dimension.name.clone(), dimension.value.clone())));
    };
    additional(&mut dimensions, MetricsGranularity::Global);
    if let Some(code) = origin.error_code {
        own(&mut dimensions, names.error_code, code);
    }
    let steps = [
        (MetricsGranularity::Stream, names.stream, origin.stream),
        (MetricsGranularity::Shard, names.shard, origin.shard),
    ];
    for (granularity, name, value) in steps {
        let Some(value) = value.filter(|_| granularity <= config.granularity) else { break };
        own(&mut dimensions, name, value);
        additional(&mut dimensions, granularity);
    }
    dimensions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(config: &MetricsConfig, origin: Origin<'_>) -> String {
        let pairs = dimensions(config, &LABELS, origin);
        pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn dimensions_stand_in_the_kpls_order_and_end_at_the_granularity() {
        let config = MetricsConfig::default()
            .dimension("c", "3", MetricsGranularity::Shard)
            .dimension("a", "1", MetricsGranularity::Global)
            .dimension("b", "2", MetricsGranularity::Stream);
        let full = Origin { error_code: Some("x"), stream: Some("s"), shard: Some("0") };
        let at = |granularity| config.clone().granularity(granularity);
        assert_eq!(text(&config, full), "a=1 error_code=x stream=s b=2 shard=0 c=3");
        assert_eq!(text(&at(MetricsGranularity::Stream), full), "a=1 error_code=x stream=s b=2");
        assert_eq!(text(&at(MetricsGranularity::Global), full), "a=1 error_code=x");
        assert_eq!(text(&config, Origin { shard: None, error_code: None, ..full }), "a=1 stream=s b=2");
        assert_eq!(text(&config, Origin::default()), "a=1");
    }
}
