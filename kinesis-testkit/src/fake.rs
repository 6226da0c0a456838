//! The handle on a fake Kinesis.

mod builder;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sdk_kinesis::config::{
    BehaviorVersion, Credentials, IdentityCache, Region, SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_types::retry::RetryConfig;
use kinesis_core::{HashKey, SdkTimeSource, Shard, ShardId, SharedClock, StreamName};
use thiserror::Error;

pub use builder::{BuildError, FakeKinesisBuilder};

use crate::engine::{Account, Place, ServiceError, StreamOptions, StreamRef};
use crate::faults::{FaultHandle, FaultRule};
use crate::journal::{CallCounts, Journal, JournalRecord};
use crate::operation::{Operation, TARGET_PREFIX};
use crate::protocol::{Call, Format};
use crate::service::{Answer, Service};
use crate::transport::in_process::InProcess;

/// A Kinesis in memory, as one account sees it in one region.
///
/// Clones are handles on the same service. Its methods act at once, whatever latency and faults calls meet, and meet
/// no rate limit of the control plane.
#[derive(Clone, Debug)]
pub struct FakeKinesis {
    pub(crate) service: Arc<Service>,
    place: Place,
}

/// What a stream holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// Kinesis records.
    pub records: u64,
    /// Bytes of data and partition keys.
    pub bytes: u64,
}

/// A reply as it stands on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawReply {
    /// The HTTP status.
    pub status: u16,
    /// The body: JSON, or nothing where an operation returns nothing.
    pub body: String,
}

/// A connection that a fault broke before the reply was complete.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the connection broke during {operation}: {reason}")]
#[non_exhaustive]
pub struct ConnectionBroken {
    /// The operation that was called.
    pub operation: String,
    /// What broke.
    pub reason: &'static str,
}

impl FakeKinesis {
    /// Begins a fake; without more it has no streams and no limits, and shows the system's time.
    pub fn builder() -> FakeKinesisBuilder {
        FakeKinesisBuilder::default()
    }

    /// The same service in another region, whose streams are its own.
    ///
    /// # Errors
    /// [`BuildError::Identity`] where the region is not of the form `us-east-1`.
    pub fn in_region(&self, region: &str) -> Result<Self, BuildError> {
        self.elsewhere(self.place.at(None, Some(region)))
    }

    /// The same service as another account sees it, whose streams are its own; `account` is twelve digits.
    ///
    /// A call that names a stream of another account by its ARN reaches it: nobody's permissions are checked.
    ///
    /// # Errors
    /// [`BuildError::Identity`] where the account is not twelve digits.
    pub fn in_account(&self, account: &str) -> Result<Self, BuildError> {
        self.elsewhere(self.place.at(Some(account), None))
    }

    fn elsewhere(&self, place: Place) -> Result<Self, BuildError> {
        builder::check_place(&place)?;
        Ok(Self { service: Arc::clone(&self.service), place })
    }

    /// An SDK client of this service, with the SDK's retries switched off.
    pub fn client(&self) -> aws_sdk_kinesis::Client {
        // An access key of twelve digits stands for the account of that number.
        let at_home = self.place.account == self.service.home.account;
        let key = if at_home { "AKIDFAKE" } else { &*self.place.account };
        let config = aws_sdk_kinesis::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(self.region()))
            .credentials_provider(Credentials::new(key, "fake-secret", None, None, "kinesis-testkit"))
            .identity_cache(IdentityCache::no_cache())
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .sleep_impl(TokioSleep::new())
            .time_source(SdkTimeSource(self.clock()))
            .http_client(self.http_client())
            .build();
        aws_sdk_kinesis::Client::from_conf(config)
    }

    /// The transport alone, for an SDK configuration of your own.
    ///
    /// It uses no DNS, no sockets and no threads, and takes no notice of the endpoint.
    pub fn http_client(&self) -> SharedHttpClient {
        SharedHttpClient::new(InProcess(Arc::clone(&self.service)))
    }

    /// Answers a call as it stands on the wire, without an SDK.
    ///
    /// `operation` is the API's name for it, such as `PutRecords`; `body` is the request's JSON. A refusal of the
    /// service is a reply with its status. Where a fault keeps the answer back for good, this waits for ever. A reply of
    /// SubscribeToShard has no body here: the subscription began, and nobody reads its events.
    ///
    /// Cancel safety: a cancelled call may have been applied, as with the real service.
    ///
    /// # Errors
    /// [`ConnectionBroken`] where a fault breaks the connection; whether the call was applied is then open.
    pub async fn call(&self, operation: &str, body: &str) -> Result<RawReply, ConnectionBroken> {
        let target = format!("{TARGET_PREFIX}{operation}");
        let call = Call::parse(&target, Format::Json, body.as_bytes(), Ok(self.place.clone()), &self.service.home);
        match self.service.answer(call).await {
            Answer::Reply(reply) => {
                Ok(RawReply { status: reply.status, body: String::from_utf8_lossy(&reply.body).into_owned() })
            }
            Answer::Broken(reason) => Err(ConnectionBroken { operation: operation.to_owned(), reason }),
            Answer::Silence => std::future::pending().await,
        }
    }

    /// The service's clock.
    pub fn clock(&self) -> SharedClock {
        Arc::clone(&self.service.clock)
    }

    /// The region that the service answers for.
    pub fn region(&self) -> String {
        self.place.region.to_string()
    }

    /// The account that owns the streams.
    pub fn account(&self) -> String {
        self.place.account.to_string()
    }

    /// Creates a provisioned stream.
    ///
    /// # Errors
    /// The service's refusal: the name is malformed or taken, there are no shards, or a quota is used up. A retry helps
    /// against quotas alone, once others have made room.
    pub fn create_stream(&self, name: &str, shards: u32) -> Result<(), ServiceError> {
        let name = stream_name(name)?;
        if shards == 0 {
            return Err(ServiceError::invalid_argument("a stream has at least one shard"));
        }
        self.with(|account, now| account.create_stream(now, &name, &StreamOptions::provisioned(shards)))
    }

    /// Splits a shard in the middle of its range; returns the ids of the lower and the upper child.
    ///
    /// Where updating takes time, the children are there when it has passed.
    ///
    /// # Errors
    /// The service's refusal: no such stream or shard, the shard is closed or too narrow, the stream is not active.
    pub fn split(&self, stream: &str, shard: &str) -> Result<[ShardId; 2], ServiceError> {
        self.split_or_middle(stream, shard, None)
    }

    /// Splits a shard so that its upper child begins with `at`.
    ///
    /// # Errors
    /// As [`split`](Self::split), and where `at` is not well inside of the shard's range.
    pub fn split_at(&self, stream: &str, shard: &str, at: HashKey) -> Result<[ShardId; 2], ServiceError> {
        self.split_or_middle(stream, shard, Some(at))
    }

    fn split_or_middle(&self, stream: &str, shard: &str, at: Option<HashKey>) -> Result<[ShardId; 2], ServiceError> {
        let stream = StreamRef::named(stream_name(stream)?);
        let at = at.map(|at| at.to_string());
        self.with(|account, now| account.split(now, &stream, shard, at.as_deref()))
    }

    /// Merges two adjacent shards; returns the child's id.
    ///
    /// # Errors
    /// The service's refusal: no such stream or shard, one is closed, they are not adjacent, the stream is not active.
    pub fn merge(&self, stream: &str, shard: &str, adjacent_shard: &str) -> Result<ShardId, ServiceError> {
        let stream = StreamRef::named(stream_name(stream)?);
        self.with(|account, now| account.merge(now, &stream, shard, adjacent_shard))
    }

    /// Makes a stream that many equal shards, by splits and merges as UpdateShardCount does it.
    ///
    /// # Errors
    /// The service's refusal: no such stream, more than double or less than half of its open shards, the stream is not
    /// active or is on demand, a quota is used up, or it was done ten times today where limits are on.
    pub fn update_shard_count(&self, stream: &str, target: u32) -> Result<(), ServiceError> {
        let stream = StreamRef::named(stream_name(stream)?);
        self.with(|account, now| account.update_shard_count(now, &stream, target)).map(|_| ())
    }

    /// Drops what arrived before `horizon`, and the shards that closed before it, as if their retention had passed.
    ///
    /// # Errors
    /// The service's refusal where there is no such stream.
    pub fn trim(&self, stream: &str, horizon: SystemTime) -> Result<(), ServiceError> {
        let stream = stream_name(stream)?;
        self.with(|account, now| account.trim(now, &stream, horizon))
    }

    /// Lets the service's clock run ahead by `duration`, and its callers' clocks not.
    ///
    /// Iterators and tokens expire, retention passes, limits recover, changes complete; no timer of tokio fires,
    /// but subscriptions look at the clock.
    pub fn advance(&self, duration: Duration) {
        self.service.advance(duration);
    }

    /// The shards of a stream, closed ones too, in the order of their ids.
    ///
    /// # Errors
    /// The service's refusal where there is no such stream.
    pub fn shards(&self, stream: &str) -> Result<Vec<Shard>, ServiceError> {
        let stream = stream_name(stream)?;
        self.with(|account, now| account.shards(now, &stream))
    }

    /// What a stream holds now, after what retention has removed.
    ///
    /// # Errors
    /// The service's refusal where there is no such stream.
    pub fn stored(&self, stream: &str) -> Result<Stored, ServiceError> {
        let stream = stream_name(stream)?;
        let (records, bytes) = self.with(|account, now| account.stored(now, &stream))?;
        Ok(Stored { records, bytes })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Account, SystemTime) -> T) -> T {
        let now = self.service.clock.now();
        let mut state = self.service.state.lock();
        let account = state.engine.at(&self.place);
        let done = act(account, now);
        account.note_change();
        // Whoever calls next waits for it.
        drop(state.save());
        done
    }

    pub(crate) const fn place(&self) -> &Place {
        &self.place
    }

    /// Whether a record of the journal is in a stream of this handle's account and region.
    pub fn owns(&self, record: &JournalRecord) -> bool {
        let Place { account, region } = &self.service.home;
        let place = record.elsewhere().unwrap_or((account, region));
        place == self.place.names()
    }

    /// A copy of the journal as it is now; empty where it was switched off.
    pub fn journal(&self) -> Journal {
        self.service.state.lock().journal.clone().unwrap_or_default()
    }

    /// How often each operation was called; kept without a journal, too.
    pub fn call_counts(&self) -> BTreeMap<Operation, CallCounts> {
        self.service.state.lock().counters.clone()
    }

    /// Adds a fault to the calls about this handle's account and region; the handle that is returned tells how often it
    /// has struck.
    pub fn inject(&self, rule: FaultRule) -> FaultHandle {
        self.service.state.lock().faults.inject(rule, &self.place)
    }

    /// Removes all faults.
    pub fn heal(&self) {
        self.service.state.lock().faults.clear();
    }
}

fn stream_name(name: &str) -> Result<StreamName, ServiceError> {
    name.parse().map_err(|error: kinesis_core::ParseStreamNameError| ServiceError::invalid_argument(error.to_string()))
}
