//! Configuration: the reference connector's keys, and typed configs on top of them.

pub mod aws_config_constants;
pub mod consumer_config_constants;
pub mod source_config_constants;

#[cfg(feature = "sdk")]
mod aws;
#[cfg(feature = "sdk")]
mod consumer;
#[cfg(feature = "sdk")]
mod environment;
#[cfg(feature = "sdk")]
mod error;
#[cfg(feature = "sdk")]
mod keys;
#[cfg(feature = "sdk")]
mod location;
#[cfg(feature = "sdk")]
mod nearest;
#[cfg(feature = "sdk")]
mod notes;
#[cfg(feature = "sdk")]
mod reader;
#[cfg(feature = "sdk")]
mod span;
#[cfg(feature = "sdk")]
mod timestamp;

#[cfg(feature = "sdk")]
pub use aws::{AwsConfig, AwsConfigBuilder};
#[cfg(feature = "sdk")]
pub use consumer::{
    ConsumerConfig, ConsumerConfigBuilder, EventTimeConfig, FanOutConfig, FanOutRegistration, RecordPublisher,
    StartingPosition,
};
#[cfg(feature = "sdk")]
pub(crate) use error::Problems;
#[cfg(feature = "sdk")]
pub use error::{ConfigError, ConfigErrors, ConfigProblem, ConfigProblems};
