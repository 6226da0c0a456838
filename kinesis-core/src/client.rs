//! The client: calls with our own time-outs, classified errors, and retries that the caller owns.

mod calls;
#[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
mod connect;
mod error;
mod retry;
mod served_at;
mod transmission;

pub use calls::{ClientOptions, GetRecordsReply, IteratorStart, KinesisClient, ListShardsScope, StreamSummary};
pub use error::{RequestError, RequestErrorKind};
pub use retry::{Backoff, RetryPolicy, retry};
