//! Puts many records, and tells where each one is.

use std::ops::Range;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::operation::put_records::{PutRecordsError, PutRecordsOutput};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, PutRecordsResultEntry};
use bytes::Bytes;
use kinesis_core::{HashKey, SequenceNumber, ShardId};
use thiserror::Error;

use super::calls::{MAX_ATTEMPTS, is_throttle, wait_after};

/// The most entries of a PutRecords call (API reference, PutRecords).
const MAX_ENTRIES: usize = 500;
/// The most bytes of a PutRecords call, data and partition keys (API reference, PutRecords).
const MAX_REQUEST_BYTES: usize = 10 * 1024 * 1024;

/// A record to put; a pair of partition key and data is one, too.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewRecord {
    /// The partition key, of 1 to 256 characters.
    pub partition_key: String,
    /// Chooses the shard in place of the partition key.
    pub explicit_hash_key: Option<HashKey>,
    /// What is stored.
    pub data: Bytes,
}

impl NewRecord {
    /// Makes a record that its partition key sends to its shard.
    pub fn new(partition_key: impl Into<String>, data: impl Into<Bytes>) -> Self {
        Self { partition_key: partition_key.into(), explicit_hash_key: None, data: data.into() }
    }

    /// Sends the record to the shard that takes `hash_key`.
    pub const fn explicit_hash_key(mut self, hash_key: HashKey) -> Self {
        self.explicit_hash_key = Some(hash_key);
        self
    }

    fn size_bytes(&self) -> usize {
        self.partition_key.len() + self.data.len()
    }

    fn entry(&self) -> PutRecordsRequestEntry {
        PutRecordsRequestEntry::builder()
            .partition_key(&self.partition_key)
            .set_explicit_hash_key(self.explicit_hash_key.map(|key| key.to_string()))
            .data(Blob::new(self.data.to_vec()))
            .build()
            // The builder asks for data alone, beside the key, and both are set above.
            .expect("invariant: an entry with key and data is complete")
    }
}

impl<K: Into<String>, D: Into<Bytes>> From<(K, D)> for NewRecord {
    fn from((partition_key, data): (K, D)) -> Self {
        Self::new(partition_key, data)
    }
}

/// Where a record was stored.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct RecordPlace {
    /// The shard that took it.
    pub shard: ShardId,
    /// Its number there.
    pub sequence_number: SequenceNumber,
}

/// Records that were not all put.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PutAllError {
    /// A call failed, and not because of its rate.
    #[error(
        "PutRecords on stream `{stream}` failed when {stored} of {records} records were stored; unless the service \
         itself refused the call, more of them may be"
    )]
    Call {
        /// The stream.
        stream: String,
        /// How many records were acknowledged.
        stored: usize,
        /// How many there were to put.
        records: usize,
        /// What the SDK says.
        source: Box<SdkError<PutRecordsError>>,
    },
    /// Nothing was stored many times in a row.
    #[error(
        "{attempts} attempts in a row stored none of the records that are left for stream `{stream}`, the last one \
         with `{code}`; {stored} of {records} are stored. Raise the limits, or put less at a time"
    )]
    Refused {
        /// The stream.
        stream: String,
        /// How many records were acknowledged.
        stored: usize,
        /// How many there were to put.
        records: usize,
        /// How many attempts were made in a row.
        attempts: u32,
        /// The service's last error code.
        code: String,
    },
    /// The reply does not hold what the API promises.
    #[error("the reply to PutRecords on stream `{stream}` has no valid `{field}`, but `{value}`")]
    Malformed {
        /// The stream.
        stream: String,
        /// The field's name in the API.
        field: &'static str,
        /// What is there instead.
        value: String,
    },
}

/// Puts records with PutRecords, 500 and 10 MiB at a time, and returns where each was stored, in the order given.
///
/// Entries that fail one by one are put again, and so are calls that are throttled, after 100 ms to 1 s of tokio's
/// time, until 20 attempts in a row have stored nothing: a shard may so hold records in another order than they were
/// given in. A call whose answer is lost is not repeated here, since its records may be stored; a client with the SDK's
/// own retries does repeat it. Every record stands in memory until the last is stored.
///
/// Cancel safety: what was sent by then may be stored.
///
/// # Errors
/// [`PutAllError`]; a repetition puts records that are stored once more.
pub async fn put_all<R: Into<NewRecord>>(
    client: &Client,
    stream: &str,
    records: impl IntoIterator<Item = R>,
) -> Result<Vec<RecordPlace>, PutAllError> {
    let records: Vec<NewRecord> = records.into_iter().map(Into::into).collect();
    let mut put = Put { client, stream, places: vec![None; records.len()], records };
    for batch in batches(&put.records) {
        put.batch(batch).await?;
    }
    Ok(put.places.into_iter().flatten().collect())
}

/// Cuts records into runs that each fit into a call; one that fits into none goes alone, for the service to refuse.
fn batches(records: &[NewRecord]) -> Vec<Range<usize>> {
    let mut batches: Vec<Range<usize>> = Vec::new();
    let mut size_bytes = 0;
    for (index, record) in records.iter().enumerate() {
        size_bytes += record.size_bytes();
        match batches.last_mut() {
            Some(last) if last.len() < MAX_ENTRIES && size_bytes <= MAX_REQUEST_BYTES => last.end = index + 1,
            _ => {
                batches.push(index..index + 1);
                size_bytes = record.size_bytes();
            }
        }
    }
    batches
}

struct Put<'a> {
    client: &'a Client,
    stream: &'a str,
    records: Vec<NewRecord>,
    places: Vec<Option<RecordPlace>>,
}

impl Put<'_> {
    /// Puts the records of one batch until all are stored.
    async fn batch(&mut self, batch: Range<usize>) -> Result<(), PutAllError> {
        let mut missing: Vec<usize> = batch.collect();
        let mut attempts = 0;
        while !missing.is_empty() {
            let before = missing.len();
            let code = match self.call(&missing).await {
                Ok(output) => self.take_up(&mut missing, &output)?,
                Err(error) if is_throttle(&error) => error.code().unwrap_or_default().to_owned(),
                Err(error) => return Err(self.failed(error)),
            };
            attempts = if missing.len() < before { 0 } else { attempts + 1 };
            if attempts >= MAX_ATTEMPTS {
                return Err(self.refused(attempts, code));
            }
            if !missing.is_empty() {
                tokio::time::sleep(wait_after(attempts)).await;
            }
        }
        Ok(())
    }

    async fn call(&self, indices: &[usize]) -> Result<PutRecordsOutput, SdkError<PutRecordsError>> {
        let entries = indices.iter().map(|index| self.records[*index].entry()).collect();
        self.client.put_records().stream_name(self.stream).set_records(Some(entries)).send().await
    }

    /// Notes the places of what was stored, and leaves the rest in `missing`; returns the last error code.
    fn take_up(&mut self, missing: &mut Vec<usize>, output: &PutRecordsOutput) -> Result<String, PutAllError> {
        let results = output.records();
        if results.len() != missing.len() {
            return Err(self.malformed("Records", format!("{} for {} entries", results.len(), missing.len())));
        }
        let mut code = String::new();
        let mut left = Vec::new();
        for (index, result) in missing.iter().zip(results) {
            match result.error_code() {
                Some(error) => {
                    error.clone_into(&mut code);
                    left.push(*index);
                }
                None => self.places[*index] = Some(self.place(result)?),
            }
        }
        *missing = left;
        Ok(code)
    }

    fn place(&self, result: &PutRecordsResultEntry) -> Result<RecordPlace, PutAllError> {
        let shard = result.shard_id().unwrap_or_default();
        let number = result.sequence_number().unwrap_or_default();
        Ok(RecordPlace {
            shard: shard.parse().map_err(|_| self.malformed("ShardId", shard))?,
            sequence_number: number.parse().map_err(|_| self.malformed("SequenceNumber", number))?,
        })
    }

    fn stored(&self) -> usize {
        self.places.iter().flatten().count()
    }

    fn failed(&self, error: SdkError<PutRecordsError>) -> PutAllError {
        PutAllError::Call {
            stream: self.stream.to_owned(),
            stored: self.stored(),
            records: self.records.len(),
            source: Box::new(error),
        }
    }

    fn refused(&self, attempts: u32, code: String) -> PutAllError {
        let (stored, records) = (self.stored(), self.records.len());
        PutAllError::Refused { stream: self.stream.to_owned(), stored, records, attempts, code }
    }

    fn malformed(&self, field: &'static str, value: impl Into<String>) -> PutAllError {
        PutAllError::Malformed { stream: self.stream.to_owned(), field, value: value.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(count: usize, bytes: usize) -> Vec<NewRecord> {
        vec![NewRecord::new("k", vec![0; bytes - 1]); count]
    }

    #[test]
    fn a_batch_holds_what_a_call_takes() {
        assert!(batches(&[]).is_empty());
        assert_eq!(batches(&records(1001, 2)), [0..500, 500..1000, 1000..1001]);
        let quarter = MAX_REQUEST_BYTES / 4;
        assert_eq!(batches(&records(9, quarter)), [0..4, 4..8, 8..9]);
        assert_eq!(batches(&records(2, MAX_REQUEST_BYTES + 1)), [0..1, 1..2]);
    }
}
