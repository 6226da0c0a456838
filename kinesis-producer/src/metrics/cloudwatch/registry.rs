//! Everything that was measured since the last upload.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::datum::Datum;
use super::samples::{Samples, SharedSamples};
use crate::metrics::config::MetricsConfig;
use crate::metrics::dimensions::{CLOUDWATCH, Origin, dimensions};
use crate::metrics::metric::{Kind, Metric};
use crate::metrics::series::Uploaded;

/// How often a level is sampled (KPL, pipeline.h).
const SAMPLING_INTERVAL: Duration = Duration::from_millis(200);

type Path = (Metric, Vec<(String, String)>);

/// The leaves of the tree of metrics; what is above them is summed up when it is uploaded.
#[derive(Debug)]
pub(crate) struct Registry {
    config: MetricsConfig,
    leaves: Mutex<BTreeMap<Path, SharedSamples>>,
    levels: Mutex<Vec<Held>>,
}

impl Registry {
    pub(crate) fn new(config: MetricsConfig) -> Self {
        Self { config, leaves: Mutex::default(), levels: Mutex::default() }
    }

    pub(crate) const fn config(&self) -> &MetricsConfig {
        &self.config
    }

    /// Where the values of a metric go that come from there.
    pub(crate) fn register(&self, metric: Metric, origin: Origin<'_>) -> Uploaded {
        let samples = self.leaf(metric, origin);
        if metric.definition().kind != Kind::Gauge {
            return Uploaded::Samples(samples);
        }
        let held = Held::new(samples, Instant::now());
        self.levels.lock().push(held.clone());
        Uploaded::Held(held)
    }

    pub(crate) fn leaf(&self, metric: Metric, origin: Origin<'_>) -> SharedSamples {
        let path = (metric, dimensions(&self.config, &CLOUDWATCH, origin));
        Arc::clone(self.leaves.lock().entry(path).or_default())
    }

    /// Takes everything out, summed up the tree, without metrics that have no samples, ordered by the number of
    /// dimensions and then as texts.
    pub(crate) fn take(&self, now: Instant) -> Vec<Datum> {
        self.levels.lock().retain(|held| {
            let is_used = held.is_used();
            held.catch_up(now);
            is_used
        });
        let mut tree = BTreeMap::<(usize, &str, Vec<(String, String)>), (Metric, Samples)>::new();
        self.leaves.lock().retain(|(metric, path), leaf| {
            // Before the samples are taken, so that none comes after them.
            let is_used = Arc::strong_count(leaf) > 1;
            let samples = leaf.lock().take();
            for length in 0..=path.len() {
                let key = (length, metric.definition().name, path[..length].to_vec());
                tree.entry(key).or_insert_with(|| (*metric, Samples::default())).1.merge(&samples);
            }
            is_used
        });
        tree.into_iter()
            .filter(|(_, (_, samples))| samples.count > 0)
            .map(|((_, _, dimensions), (metric, samples))| Datum { metric, dimensions, samples })
            .collect()
    }
}

/// A level that is sampled every 200 ms; in between it is known to stay, so that no timer is needed.
#[derive(Clone, Debug)]
pub(crate) struct Held(Arc<Mutex<Level>>);

#[derive(Debug)]
struct Level {
    value: i64,
    next_sample: Instant,
    samples: SharedSamples,
}

impl Held {
    fn new(samples: SharedSamples, now: Instant) -> Self {
        Self(Arc::new(Mutex::new(Level { value: 0, next_sample: now + SAMPLING_INTERVAL, samples })))
    }

    /// Changes the level.
    pub(crate) fn shift(&self, change: i64, now: Instant) {
        let mut level = self.0.lock();
        level.catch_up(now);
        level.value += change;
    }

    fn catch_up(&self, now: Instant) {
        self.0.lock().catch_up(now);
    }

    fn is_used(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

impl Level {
    /// Takes the samples that are due.
    fn catch_up(&mut self, now: Instant) {
        if now < self.next_sample {
            return;
        }
        let more = now.duration_since(self.next_sample).as_millis() / SAMPLING_INTERVAL.as_millis();
        let count = more as u32 + 1;
        self.samples.lock().add_many(self.value as f64, u64::from(count));
        self.next_sample += SAMPLING_INTERVAL * count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::config::MetricsGranularity;

    fn origin<'a>(stream: &'a str, shard: &'a str) -> Origin<'a> {
        let given = |text: &'a str| (!text.is_empty()).then_some(text);
        Origin { error_code: None, stream: given(stream), shard: given(shard) }
    }

    /// The data as lines: name, dimensions, count, sum.
    fn lines(registry: &Registry) -> Vec<String> {
        let text = |datum: &Datum| {
            let dimensions: Vec<_> = datum.dimensions.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let name = datum.metric.definition().name;
            format!("{name} [{}] {} {}", dimensions.join(" "), datum.samples.count, datum.samples.sum)
        };
        registry.take(Instant::now()).iter().map(text).collect()
    }

    /// KPL, metric_test.cc: 1 to 4 on the leaves of a tree of seven nodes.
    #[test]
    fn a_node_has_the_samples_of_all_below_it() {
        let registry = Registry::new(MetricsConfig::default());
        for (value, stream, shard) in [(1.0, "b", "c"), (2.0, "b", "d"), (3.0, "e", "f"), (4.0, "e", "g")] {
            registry.leaf(Metric::AllErrors, origin(stream, shard)).lock().add_many(value, 1);
        }
        assert_eq!(
            lines(&registry),
            [
                "AllErrors [] 4 10",
                "AllErrors [StreamName=b] 2 3",
                "AllErrors [StreamName=e] 2 7",
                "AllErrors [StreamName=b ShardId=c] 1 1",
                "AllErrors [StreamName=b ShardId=d] 1 2",
                "AllErrors [StreamName=e ShardId=f] 1 3",
                "AllErrors [StreamName=e ShardId=g] 1 4",
            ]
        );
        assert!(lines(&registry).is_empty(), "what was taken is gone");
    }

    /// KPL, metrics_manager_test.cc: extra dimensions.
    #[test]
    fn additional_dimensions_are_nodes_of_their_own() {
        use MetricsGranularity::{Global, Shard, Stream};
        let with = |dimensions: &[(&str, &str, MetricsGranularity)]| {
            dimensions.iter().fold(MetricsConfig::default(), |config, (name, value, granularity)| {
                config.dimension(*name, *value, *granularity)
            })
        };
        let three = [("a", "1", Global), ("b", "2", Stream), ("c", "3", Shard)];
        let six = [
            ("a", "1", Global),
            ("b", "2", Global),
            ("c", "3", Stream),
            ("d", "4", Stream),
            ("e", "5", Shard),
            ("f", "6", Shard),
        ];
        let longest = "a=1 b=2 StreamName=MyStream c=3 d=4 ShardId=0 e=5 f=6";
        for (config, stream, shard, nodes, path) in [
            (with(&three), "MyStream", "0", 6, "a=1 StreamName=MyStream b=2 ShardId=0 c=3"),
            (with(&three), "MyStream", "", 4, "a=1 StreamName=MyStream b=2"),
            (with(&three), "", "", 2, "a=1"),
            (with(&six), "MyStream", "0", 9, longest),
        ] {
            let registry = Registry::new(config);
            registry.leaf(Metric::AllErrors, origin(stream, shard)).lock().add_many(0.0, 1);
            let words: Vec<_> = path.split(' ').collect();
            let expected: Vec<_> =
                (0..=words.len()).map(|length| format!("AllErrors [{}] 1 0", words[..length].join(" "))).collect();
            assert_eq!(expected.len(), nodes);
            assert_eq!(lines(&registry), expected);
        }
    }

    #[test]
    fn one_metric_of_two_streams_with_two_shards_is_seven() {
        let registry = Registry::new(MetricsConfig::default());
        for (stream, shard) in [("s", "0"), ("s", "1"), ("t", "0"), ("t", "1")] {
            registry.leaf(Metric::AllErrors, origin(stream, shard)).lock().add_many(1.0, 1);
        }
        assert_eq!(lines(&registry).len(), 7);
    }

    #[test]
    fn the_granularity_ends_the_tree() {
        for (granularity, nodes) in [(MetricsGranularity::Global, 1), (MetricsGranularity::Stream, 2)] {
            let registry = Registry::new(MetricsConfig::default().granularity(granularity));
            registry.leaf(Metric::AllErrors, origin("s", "0")).lock().add_many(1.0, 1);
            registry.leaf(Metric::AllErrors, origin("s", "1")).lock().add_many(1.0, 1);
            let lines = lines(&registry);
            assert_eq!(lines.len(), nodes);
            assert!(lines.iter().all(|line| line.ends_with(" 2 2")), "{lines:?}");
        }
    }

    #[test]
    fn an_error_code_stands_before_the_stream() {
        let registry = Registry::new(MetricsConfig::default());
        let origin = Origin { error_code: Some("Oops"), ..origin("s", "0") };
        registry.leaf(Metric::ErrorsByCode, origin).lock().add_many(1.0, 1);
        assert_eq!(lines(&registry)[3], "ErrorsByCode [ErrorCode=Oops StreamName=s ShardId=0] 1 1");
    }

    #[test]
    fn a_leaf_that_nobody_has_any_more_goes_after_its_last_samples() {
        let registry = Registry::new(MetricsConfig::default());
        let kept = registry.leaf(Metric::AllErrors, origin("s", "0"));
        registry.leaf(Metric::AllErrors, origin("s", "1")).lock().add_many(1.0, 1);
        assert_eq!(lines(&registry).len(), 3);
        assert_eq!(registry.leaves.lock().len(), 1);
        kept.lock().add_many(1.0, 1);
        assert_eq!(lines(&registry).len(), 3);
    }

    #[test]
    fn a_level_is_sampled_every_fifth_of_a_second() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let held = Held::new(SharedSamples::default(), start);
        let take = |now| {
            held.catch_up(now);
            held.0.lock().samples.lock().take()
        };
        assert_eq!(take(at(199)).count, 0);
        held.shift(3, at(199));
        // 3 at 200 and 400, 5 at 600, 1 at 800 and 1000.
        held.shift(2, at(450));
        held.shift(-4, at(799));
        assert_eq!(take(at(1000)), Samples { count: 5, sum: 13.0, min: 1.0, max: 5.0 });
        assert_eq!(take(at(1199)).count, 0);
        assert_eq!(take(at(61_000)).count, 300, "a minute has 300 samples");
    }
}
