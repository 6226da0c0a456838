//! The client: calls with our own time-outs, classified errors, and retries that the caller owns.

mod attempt;
mod calls;
#[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
mod connect;
mod error;
mod fan_out;
mod measure;
mod retry;
mod served_at;
#[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
mod subscription_connections;
mod transmission;

pub use attempt::{attempt, sdk_timeouts};
pub use calls::{ClientOptions, GetRecordsReply, IteratorStart, KinesisClient, ListShardsScope, StreamSummary};
pub use error::{RequestError, RequestErrorKind};
pub use fan_out::{FanOutConsumer, FanOutConsumerStatus, ShardSubscription};
pub use retry::{Backoff, RetryPolicy, retry};
pub use served_at::ServedAt;
pub use transmission::Transmission;
