//! Helpers for your own test suite: put and read back, wait, compare, reshard at random.
//!
//! [`put_all`], [`read_all`], [`read_shard`] and [`wait_until_active`] take any SDK client: that of a
//! [`FakeKinesis`](crate::FakeKinesis::client), of a server, or of AWS. [`wait_until`] and [`eventually`] follow
//! tokio's time, so that under paused time they do not really wait. [`ExactlyOnce`] and [`OrderPerKey`] judge what came
//! out; each has an assertion that panics with the report. [`ReshardSchedule`] splits and merges a fake's shards by a
//! seed.
//!
//! ```
//! use kinesis_testkit::FakeKinesis;
//! use kinesis_testkit::testing::{ReshardSchedule, assert_exactly_once, put_all, read_all};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let kinesis = FakeKinesis::builder().stream("orders", 2).build();
//! let client = kinesis.client();
//!
//! let mut schedule = ReshardSchedule::random(7, 10);
//! for number in 0..10 {
//!     put_all(&client, "orders", [(format!("customer-{number}"), number.to_string())]).await?;
//!     schedule.apply_next(&kinesis, "orders")?;
//! }
//!
//! let read = read_all(&client, "orders").await?;
//! let read = read.iter().map(|record| String::from_utf8_lossy(&record.data).into_owned());
//! assert_exactly_once((0..10).map(|number| number.to_string()), read);
//! # Ok(())
//! # }
//! ```

mod calls;
mod exactly_once;
mod order;
mod put;
mod read;
mod reshard;
mod wait;

pub use exactly_once::{ExactlyOnce, assert_exactly_once, assert_stored_once};
pub use order::{OrderPerKey, OutOfOrder, assert_in_order_per_key};
pub use put::{NewRecord, PutAllError, RecordPlace, put_all};
pub use read::{ReadAllError, ReadRecord, ReadShardError, ShardContents, read_all, read_shard};
pub use reshard::{ReshardError, ReshardEvery, ReshardSchedule, ReshardStep};
pub use wait::{NotInTime, WaitUntilActiveError, eventually, wait_until, wait_until_active};
