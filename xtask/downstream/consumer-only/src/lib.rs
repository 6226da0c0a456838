//! A program that reads a stream with the consumer's crate, and nothing else of the workspace in its tests.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use kinesis_consumer::{Batch, BoxError, KinesisConsumer, MemoryStore, Processor, SavedState, Utf8};
use kinesis_core::{AwsConfig, ConsumerConfig, KinesisClient, StartingPosition};

/// Counts the lines of a shard.
#[derive(Debug, Default)]
pub struct Count(pub u64);

#[async_trait]
impl Processor<String> for Count {
    type Output = ();

    async fn process(&mut self, batch: Batch<String>, _: &mut Vec<()>) -> Result<(), BoxError> {
        self.0 += batch.items.len() as u64;
        Ok(())
    }

    fn snapshot(&self) -> Result<Bytes, BoxError> {
        Ok(Bytes::copy_from_slice(&self.0.to_be_bytes()))
    }

    fn restore(&mut self, states: &[SavedState]) -> Result<(), BoxError> {
        for state in states {
            self.0 += u64::from_be_bytes(state.bytes.as_ref().try_into()?);
        }
        Ok(())
    }
}

/// A job that reads `orders` from its oldest record on.
///
/// # Errors
/// What is wrong with the configuration.
pub async fn job(aws: &AwsConfig) -> Result<KinesisConsumer<Utf8>, BoxError> {
    let position = ConsumerConfig::builder().starting_position(StartingPosition::TrimHorizon).build()?;
    let consumer = KinesisConsumer::builder()
        .client(KinesisClient::connect(aws).await)
        .streams(["orders"])
        .config(position)
        .schema(Utf8)
        .checkpoints(MemoryStore::new(), Duration::from_secs(5))
        .build()?;
    Ok(consumer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kinesis_core::CredentialsSource;

    #[tokio::test]
    async fn the_job_is_built_and_its_state_comes_back() {
        let aws = AwsConfig::builder()
            .endpoint("http://127.0.0.1:9")
            .credentials(CredentialsSource::basic("id", "key"))
            .build()
            .unwrap();
        let job = job(&aws).await.unwrap();
        assert!(format!("{job:?}").contains("orders"));
        let counted = Count(7).snapshot().unwrap();
        assert_eq!(counted.as_ref(), 7u64.to_be_bytes());
        assert!(KinesisConsumer::builder().build().is_err(), "without a client there is no job");
    }
}
