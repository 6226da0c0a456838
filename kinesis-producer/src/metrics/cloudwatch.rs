//! The metrics in CloudWatch: statistics of what was measured since the last upload.

mod datum;
#[cfg(test)]
#[path = "../../tests/metrics/endpoint.rs"]
mod endpoint;
mod plan;
mod registry;
mod samples;
mod task;
#[cfg(test)]
mod tests;
mod uploader;

pub(crate) use self::registry::{Held, Registry};
pub(crate) use self::samples::{Samples, SharedSamples};
pub(crate) use self::task::UploadTask;
pub use self::uploader::CloudWatchUploader;
