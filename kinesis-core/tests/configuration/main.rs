//! Configuration as its users write it: the reference connector's keys, files, variables, and what is said of mistakes.

mod documentation;
mod fan_out;
mod generations;
mod problems;
mod reference;
mod retries;
mod sources;

use kinesis_core::{ConfigErrors, ConsumerConfig, Properties};

/// A consumer's config of these pairs, in a region.
fn consumer(pairs: &[(&str, &str)]) -> Result<ConsumerConfig, ConfigErrors> {
    let mut properties: Properties = pairs.iter().copied().collect();
    if !properties.contains_key("aws.region") && !properties.contains_key("aws.endpoint") {
        properties.insert("aws.region", "us-east-1");
    }
    ConsumerConfig::from_properties(&properties)
}

/// The keys that are refused.
fn refused(pairs: &[(&str, &str)]) -> Vec<String> {
    keys_of(consumer(pairs))
}

fn keys_of<T>(result: Result<T, ConfigErrors>) -> Vec<String> {
    result.err().iter().flat_map(ConfigErrors::iter).map(|error| error.key.clone()).collect()
}
