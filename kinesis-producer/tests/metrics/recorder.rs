//! A recorder of the facade that keeps everything.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};

/// What a series has got.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Recorded {
    Counter(u64),
    Gauge(f64),
    Histogram(Vec<f64>),
}

type Cell = Arc<Mutex<Recorded>>;

/// Keeps series by their names and labels, as `name label=value …`, without the prefix of the crate.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    series: Mutex<BTreeMap<String, Cell>>,
    described: Mutex<BTreeMap<String, Option<Unit>>>,
}

impl Kept {
    pub(crate) fn all(&self) -> BTreeMap<String, Recorded> {
        self.series.lock().unwrap().iter().map(|(name, cell)| (name.clone(), cell.lock().unwrap().clone())).collect()
    }

    /// The names of the metrics, each once.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.all().keys().map(|name| name.split(' ').next().unwrap().to_owned()).collect();
        names.dedup();
        names
    }

    pub(crate) fn described(&self) -> BTreeMap<String, Option<Unit>> {
        self.described.lock().unwrap().clone()
    }

    /// The value of a counter; nothing where it is not registered.
    pub(crate) fn counter(&self, name: &str) -> Option<u64> {
        match self.all().get(name)? {
            Recorded::Counter(value) => Some(*value),
            other => panic!("{name}: {other:?}"),
        }
    }

    /// The values of a histogram, in their order.
    pub(crate) fn histogram(&self, name: &str) -> Vec<f64> {
        match self.all().get(name) {
            Some(Recorded::Histogram(values)) => values.clone(),
            other => panic!("{name}: {other:?}"),
        }
    }

    pub(crate) fn gauge(&self, name: &str) -> f64 {
        match self.all().get(name) {
            Some(Recorded::Gauge(value)) => *value,
            other => panic!("{name}: {other:?}"),
        }
    }

    /// The sum of a counter over its labels.
    pub(crate) fn total(&self, metric: &str) -> u64 {
        let of_metric = |name: &&String| name.split(' ').next() == Some(metric);
        self.all().keys().filter(of_metric).map(|name| self.counter(name).unwrap()).sum()
    }

    fn cell(&self, key: &Key, empty: Recorded) -> Option<Arc<Handle>> {
        let mut name = short(key.name())?;
        for label in key.labels() {
            name += &format!(" {}={}", label.key(), label.value());
        }
        let cell = Arc::clone(self.series.lock().unwrap().entry(name).or_insert_with(|| Arc::new(Mutex::new(empty))));
        Some(Arc::new(Handle(cell)))
    }

    fn describe(&self, key: &KeyName, unit: Option<Unit>) {
        self.described.lock().unwrap().extend(short(key.as_str()).map(|name| (name, unit)));
    }
}

/// Nothing for what the client measures itself.
fn short(name: &str) -> Option<String> {
    name.strip_prefix("kinesis_producer_").map(str::to_owned)
}

impl Recorder for Kept {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(&key, unit);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(&key, unit);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(&key, unit);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.cell(key, Recorded::Counter(0)).map_or_else(Counter::noop, Counter::from_arc)
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.cell(key, Recorded::Gauge(0.0)).map_or_else(Gauge::noop, Gauge::from_arc)
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.cell(key, Recorded::Histogram(Vec::new())).map_or_else(Histogram::noop, Histogram::from_arc)
    }
}

struct Handle(Cell);

impl CounterFn for Handle {
    fn increment(&self, value: u64) {
        if let Recorded::Counter(counter) = &mut *self.0.lock().unwrap() {
            *counter += value;
        }
    }

    fn absolute(&self, value: u64) {
        *self.0.lock().unwrap() = Recorded::Counter(value);
    }
}

impl GaugeFn for Handle {
    fn increment(&self, value: f64) {
        if let Recorded::Gauge(gauge) = &mut *self.0.lock().unwrap() {
            *gauge += value;
        }
    }

    fn decrement(&self, value: f64) {
        GaugeFn::increment(self, -value);
    }

    fn set(&self, value: f64) {
        *self.0.lock().unwrap() = Recorded::Gauge(value);
    }
}

impl HistogramFn for Handle {
    fn record(&self, value: f64) {
        if let Recorded::Histogram(values) = &mut *self.0.lock().unwrap() {
            values.push(value);
        }
    }
}
