//! Configuration as the KPL's and the connector's users write it: keys, ranges, and what is said of mistakes.

#[cfg(test)]
mod documentation;
#[cfg(test)]
mod honoured;
#[cfg(test)]
mod input;
#[cfg(test)]
mod problems;
#[cfg(test)]
mod ranges;
#[cfg(test)]
mod warnings;

use std::time::Duration;

use kinesis_core::{ConfigErrors, Properties};
use kinesis_producer::ProducerConfig;

/// Java's largest number.
const LARGEST: u64 = i64::MAX as u64;

/// A config of these pairs.
fn producer(pairs: &[(&str, &str)]) -> Result<ProducerConfig, ConfigErrors> {
    ProducerConfig::from_properties(&pairs.iter().copied().collect::<Properties>())
}

/// The text of what is refused; empty where nothing is.
fn problem(pairs: &[(&str, &str)]) -> String {
    producer(pairs).err().map(|errors| errors.to_string()).unwrap_or_default()
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
