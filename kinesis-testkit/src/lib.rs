//! A faithful Amazon Kinesis inside your test, under virtual time; also a server.
//!
//! What it is: Kinesis Data Streams in memory, every operation of it, with the service's formats and rules (sequence
//! numbers, hash key ranges, lineage, iterators and page tokens that expire, retention, states, limits, error codes and
//! texts, in its order), with faults that strike where you say, and a journal of what was really stored. It plugs in
//! below the SDK's own client, so that a test runs everything that production runs but the network. What it is not:
//! a check of permissions. [`conformance`] says what each operation does, and how that is known.
//!
//! ```
//! use aws_sdk_kinesis::primitives::Blob;
//! use aws_sdk_kinesis::types::ShardIteratorType;
//! use kinesis_testkit::{FakeKinesis, Limits};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let kinesis = FakeKinesis::builder().stream("orders", 1).limits(Limits::aws()).build();
//! let client: aws_sdk_kinesis::Client = kinesis.client();
//!
//! let put = client.put_record().stream_name("orders").partition_key("customer-7").data(Blob::new("one pizza"));
//! let shard = put.send().await?.shard_id;
//! let children = kinesis.split("orders", &shard)?;
//!
//! let start = client.get_shard_iterator().stream_name("orders").shard_id(shard);
//! let start = start.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await?;
//! let read = client.get_records().set_shard_iterator(start.shard_iterator).send().await?;
//! assert_eq!(read.records()[0].data().as_ref(), b"one pizza");
//! // The shard was split, so that this reply ends it.
//! assert_eq!(read.next_shard_iterator(), None);
//! assert_eq!(read.child_shards()[0].shard_id(), children[0].as_str());
//! assert_eq!(kinesis.journal().records.len(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! **Time.** With [`virtual_time`](FakeKinesisBuilder::virtual_time) on a runtime whose time is paused
//! (`#[tokio::test(start_paused = true)]`) five minutes or a day pass in no time, and everything is deterministic: the
//! in-process transport uses no sockets, no DNS and no threads.
//!
//! **Faults.** [`FakeKinesis::inject`] takes a [`FaultRule`]: `FaultRule::on(Operation::PutRecords).nth(3)
//! .fault(Fault::LoseReply)` stores the third PutRecords call and loses its answer. Rules are written down as a [`FaultPlan`], which a seed can make of [classes](FaultClass) of faults.
//!
//! **Tests.** [`testing`] has what a test suite needs besides: put and read back, waits, an exactly-once assertion,
//! random resharding. [`guide`] shows four complete tests.
//!
//! **Server.** `kinesis-testkit serve --port 4567 --stream orders:4` answers on loopback, in JSON and CBOR, over HTTP/1.1
//! and HTTP/2, with TLS where asked to; [`Server`] is the same as a library. With `--directory` the streams outlive the process. Signatures are verified there where the
//! fake has [keys](FakeKinesisBuilder::verify_signatures).
//!
//! **Accounts and regions.** [`FakeKinesis::in_region`] and [`FakeKinesis::in_account`] are the same service seen from
//! elsewhere, with streams of their own.
//!
//! **Layout.** `engine` is a synchronous state machine (a time and a request in, a reply out); `protocol` turns bytes
//! into its requests and its replies into bytes, by the constraints in `model/`; `transport` holds the two ways in. Beside them `faults` and `journal`;
//! `service` takes a call past all of them, `fake` is the handle that tests hold. `testing` uses the public API alone.

mod engine;
mod fake;
mod faults;
mod journal;
mod operation;
mod protocol;
mod service;
mod store;
pub mod testing;
mod transport;

#[doc = include_str!("../docs/conformance.md")]
pub mod conformance {}

#[doc = include_str!("../docs/testing.md")]
pub mod guide {}

#[doc = include_str!("../docs/simulation.md")]
pub mod simulation {}

/// The workspace's README: its examples run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}

pub use engine::{Limits, ServiceError};
pub use fake::{BuildError, ConnectionBroken, FakeKinesis, FakeKinesisBuilder, RawReply, Stored};
pub use faults::{
    ClockSkew, Corruption, Entries, EntryFaults, EventFault, FakeCredentials, Fault, FaultClass, FaultHandle,
    FaultPlan, FaultPoint, FaultRule, OperatorEvent, PlanShape, ReadPlanError, Unanswered, corrupt_aggregate,
};
pub use journal::{
    CallCounts, CallName, CallOutcome, Delivery, FaultMark, Journal, JournalCall, JournalEvent, JournalRecord,
    RequestId,
};
pub use operation::Operation;
pub use store::OpenStoreError;
pub use transport::{BindError, Server, ServerBuilder};
