//! What a user hands to the producer.

use bytes::Bytes;
use kinesis_core::{HashKey, ParseStreamNameError, StreamName};

use crate::error::PutError;

/// The most characters that a partition key may have (API reference, PutRecordsRequestEntry).
pub(crate) const MAX_PARTITION_KEY_CHARACTERS: usize = 256;

/// The most that a record may hold on any stream, data and partition key together (AWS quota page).
pub(crate) const MAX_RECORD_BYTES: usize = 10 * 1024 * 1024;

/// The stream that a record goes to, by its name.
///
/// A text that is no stream name is found by the put, as an error of that record.
#[derive(Clone, Debug)]
pub struct StreamTarget(Result<StreamName, ParseStreamNameError>);

impl From<StreamName> for StreamTarget {
    fn from(name: StreamName) -> Self {
        Self(Ok(name))
    }
}

impl From<&StreamName> for StreamTarget {
    fn from(name: &StreamName) -> Self {
        Self(Ok(name.clone()))
    }
}

impl From<&str> for StreamTarget {
    fn from(name: &str) -> Self {
        Self(name.parse())
    }
}

impl From<String> for StreamTarget {
    fn from(name: String) -> Self {
        Self(name.parse())
    }
}

/// A record as the user sees it; many of them may become one Kinesis record.
#[derive(Clone, Debug)]
pub struct UserRecord {
    pub(crate) stream: StreamTarget,
    pub(crate) partition_key: String,
    pub(crate) explicit_hash_key: Option<HashKey>,
    pub(crate) data: Bytes,
}

impl UserRecord {
    /// Makes a record; the partition key must have 1 to 256 characters.
    ///
    /// A [`StreamName`] is cheaper than a text, which is checked for every record.
    pub fn new(stream: impl Into<StreamTarget>, partition_key: impl Into<String>, data: impl Into<Bytes>) -> Self {
        Self { stream: stream.into(), partition_key: partition_key.into(), explicit_hash_key: None, data: data.into() }
    }

    /// Places the record by this hash key instead of the MD5 of its partition key.
    pub fn explicit_hash_key(mut self, key: HashKey) -> Self {
        self.explicit_hash_key = Some(key);
        self
    }

    /// What the service counts: the data and the partition key.
    pub fn size_bytes(&self) -> usize {
        self.data.len() + self.partition_key.len()
    }

    /// The stream, where the record is fit to be sent.
    pub(crate) fn validate(&self) -> Result<&StreamName, PutError> {
        let stream = self.stream.0.as_ref().map_err(|error| PutError::InvalidStream(error.clone()))?;
        if self.partition_key.is_empty() {
            return Err(PutError::EmptyPartitionKey { stream: stream.clone() });
        }
        // A character takes at least a byte, so that most keys need not be counted.
        if self.partition_key.len() > MAX_PARTITION_KEY_CHARACTERS {
            let characters = self.partition_key.chars().count();
            if characters > MAX_PARTITION_KEY_CHARACTERS {
                return Err(PutError::PartitionKeyTooLong { stream: stream.clone(), characters });
            }
        }
        if self.size_bytes() > MAX_RECORD_BYTES {
            return Err(PutError::RecordTooLarge {
                stream: stream.clone(),
                size_bytes: self.size_bytes(),
                limit_bytes: MAX_RECORD_BYTES,
            });
        }
        Ok(stream)
    }

    /// The hash key that decides the shard.
    pub(crate) fn hash_key(&self) -> HashKey {
        self.explicit_hash_key.unwrap_or_else(|| HashKey::of_partition_key(&self.partition_key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: &str, data: usize) -> Result<(), PutError> {
        UserRecord::new("orders", key, vec![0; data]).validate().map(|_| ())
    }

    #[test]
    fn partition_keys_are_counted_in_characters() {
        assert!(matches!(check("", 1), Err(PutError::EmptyPartitionKey { .. })));
        assert!(check(&"é".repeat(256), 1).is_ok());
        let error = check(&"é".repeat(257), 1).unwrap_err();
        assert!(matches!(error, PutError::PartitionKeyTooLong { characters: 257, .. }));
        assert!(error.to_string().contains("orders"), "{error}");
    }

    #[test]
    fn no_record_is_larger_than_the_service_ever_takes() {
        assert!(check("k", MAX_RECORD_BYTES - 1).is_ok());
        assert!(matches!(check("k", MAX_RECORD_BYTES), Err(PutError::RecordTooLarge { .. })));
    }

    #[test]
    fn a_text_that_is_no_stream_name_is_named() {
        let record = UserRecord::new("my stream", "k", "x");
        let error = record.validate().unwrap_err();
        assert!(error.to_string().contains("my stream"), "{error}");
    }
}
