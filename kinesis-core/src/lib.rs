//! Stream vocabulary, configuration, credentials, client and time for the Kinesis crates.
//!
//! What it is: the words that every crate of the workspace shares (shard ids, 128-bit hash keys, sequence numbers with
//! their real order), the configuration keys of the reference connector, the client with its own time-outs, retries and
//! error classification, and the seams for time and randomness. What it is not: a consumer or a producer.
//!
//! ```
//! use kinesis_core::{HashKey, HashKeyRange, SequenceNumber};
//!
//! let shards = HashKeyRange::uniform(4);
//! let key = HashKey::of_partition_key("customer-7");
//! assert_eq!(shards.iter().filter(|range| range.contains(key)).count(), 1);
//!
//! let early: SequenceNumber = "99".parse()?;
//! let late: SequenceNumber = "100".parse()?;
//! assert!(early < late); // as numbers, not as texts
//! # Ok::<(), kinesis_core::ParseSequenceNumberError>(())
//! ```
//!
//! [`configuration`] has the table of all keys, and what wins over what.
//!
//! Features: `sdk` (default) brings everything that talks to AWS; without it only the vocabulary is left.
//! `tls-ring` (default) and `tls-aws-lc` choose the TLS provider.

mod checkpoint;
#[cfg(feature = "sdk")]
mod client;
mod config;
#[cfg(feature = "sdk")]
mod credentials;
mod properties;
mod random;
mod redaction;
mod stream;
pub mod system_properties;
mod time;

#[cfg_attr(feature = "sdk", doc = include_str!("../docs/configuration.md"))]
#[cfg_attr(not(feature = "sdk"), doc = "Configuration; with feature `sdk`.")]
pub mod configuration {}

pub use checkpoint::{CheckpointParticipant, CommitHandle, Epoch, ParticipantError};
#[cfg(feature = "sdk")]
pub use client::{
    Backoff, ClientOptions, FanOutConsumer, FanOutConsumerStatus, GetRecordsReply, IteratorStart, KinesisClient,
    ListShardsScope, RequestError, RequestErrorKind, RetryPolicy, ServedAt, ShardSubscription, StreamSummary,
    Transmission, attempt, retry, sdk_timeouts,
};
#[cfg(feature = "sdk")]
pub use config::{
    AwsConfig, AwsConfigBuilder, ConfigError, ConfigErrors, ConfigProblem, ConfigProblems, ConsumerConfig,
    ConsumerConfigBuilder, EventTimeConfig, FanOutConfig, FanOutRegistration, RecordPublisher, StartingPosition,
};
pub use config::{aws_config_constants, consumer_config_constants, source_config_constants};
#[cfg(feature = "sdk")]
pub use credentials::{
    AssumeRole, BasicCredentials, CredentialsError, CredentialsErrorKind, CredentialsSource, CustomCredentials,
    TriedProvider, WebIdentityToken,
};
pub use properties::{Properties, PropertiesFileError};
pub use random::{RandomStream, Randomness};
pub use stream::{
    HashKey, HashKeyRange, InvertedRangeError, ParseHashKeyError, ParseSequenceNumberError, ParseShardIdError,
    ParseStreamArnError, ParseStreamNameError, RecordPosition, SequenceNumber, Shard, ShardId, StreamArn, StreamName,
};
pub use time::{Clock, SharedClock, SystemClock, from_unix_millis, unix_millis};
#[cfg(feature = "sdk")]
pub use time::{SdkTimeSource, TokioClock};
