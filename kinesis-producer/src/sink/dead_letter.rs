//! What becomes of records that were accepted and are not stored.

use std::future::Future;

use async_trait::async_trait;
use bytes::Bytes;
use kinesis_core::{HashKey, StreamName};

use super::BoxError;
use crate::outcome::RecordError;
use crate::record::UserRecord;

/// A record that a sink accepted and that is not stored for certain, and why.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The stream that it was for.
    pub stream: StreamName,
    /// Its partition key.
    pub partition_key: String,
    /// Its explicit hash key, where it had one.
    pub explicit_hash_key: Option<HashKey>,
    /// Its data, as the schema made it.
    pub data: Bytes,
    /// Whether it is definitely not stored or may be, and why.
    pub error: RecordError,
}

/// Takes the records that are not stored: writes them to a file, a queue, another stream.
///
/// An async closure from [`DeadLetter`] to `Result<(), BoxError>` will do.
#[async_trait]
pub trait DeadLetters: Send + Sync + 'static {
    /// Takes a record; once it returns, a checkpoint may pass it.
    ///
    /// Called for one record at a time, as failures become known. While it runs, the record counts against the sink's
    /// `queue_limit`. After a crash the restored job may come back with the same record. A panic ends the sink.
    ///
    /// # Errors
    /// Any error fails the next write, flush or checkpoint of the sink, so that a restored job writes the record again.
    async fn take(&self, letter: DeadLetter) -> Result<(), BoxError>;
}

#[async_trait]
impl<F, R> DeadLetters for F
where
    F: Fn(DeadLetter) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), BoxError>> + Send,
{
    async fn take(&self, letter: DeadLetter) -> Result<(), BoxError> {
        self(letter).await
    }
}

/// The content of a record, kept until its outcome.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) partition_key: String,
    pub(super) explicit_hash_key: Option<HashKey>,
    pub(super) data: Bytes,
}

impl Letter {
    pub(super) fn of(record: &UserRecord) -> Self {
        Self {
            partition_key: record.partition_key.clone(),
            explicit_hash_key: record.explicit_hash_key,
            data: record.data.clone(),
        }
    }

    pub(super) fn with(self, stream: StreamName, error: RecordError) -> DeadLetter {
        let Self { partition_key, explicit_hash_key, data } = self;
        DeadLetter { stream, partition_key, explicit_hash_key, data, error }
    }
}
