//! How a fake is set up.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use kinesis_core::{Randomness, SharedClock, StreamArn, StreamName, SystemClock, TokioClock, from_unix_millis};
use thiserror::Error;

use super::FakeKinesis;
use crate::engine::{Account, Delays, Engine, Limits, Place, ServiceError, Settings, StreamOptions};
use crate::protocol::AccessKeys;
use crate::service::{Saving, Service, State};
use crate::store::{OpenStoreError, Store};

/// Where virtual time begins: 2026-01-01T00:00:00Z.
const VIRTUAL_EPOCH_MILLIS: u64 = 1_767_225_600_000;

/// What a fake is to be.
#[derive(Clone, Debug)]
pub struct FakeKinesisBuilder {
    streams: Vec<(String, Option<u32>)>,
    limits: Limits,
    delays: Delays,
    clock: ClockChoice,
    latency: Duration,
    journal: bool,
    seed: u64,
    region: String,
    account: String,
    keys: AccessKeys,
    directory: Option<PathBuf>,
}

#[derive(Clone, Debug)]
enum ClockChoice {
    System,
    Virtual(SystemTime),
    Given(SharedClock),
}

/// A fake that cannot be set up as asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A stream could not be created.
    #[error("stream `{name}` cannot be created")]
    Stream {
        /// The stream's name.
        name: String,
        /// The service's refusal.
        source: ServiceError,
    },
    /// The account is not twelve digits, or the region is not of the form `us-east-1`.
    #[error(
        "account `{account}` and region `{region}` make no ARN: write twelve digits, and a region such as us-east-1"
    )]
    Identity {
        /// The account that was given.
        account: String,
        /// The region that was given.
        region: String,
    },
    /// The directory cannot be used.
    #[error(transparent)]
    Directory(#[from] OpenStoreError),
    /// A directory is written in real time, which virtual time does not wait for.
    #[error("a fake with a directory cannot follow virtual time: leave out one of the two")]
    VirtualDirectory,
}

impl Default for FakeKinesisBuilder {
    fn default() -> Self {
        Self {
            streams: Vec::new(),
            limits: Limits::off(),
            delays: Delays::default(),
            clock: ClockChoice::System,
            latency: Duration::ZERO,
            journal: true,
            seed: 0,
            region: "us-east-1".to_owned(),
            account: "123456789012".to_owned(),
            keys: AccessKeys::default(),
            directory: None,
        }
    }
}

impl FakeKinesisBuilder {
    /// Adds a provisioned stream that is there from the start.
    pub fn stream(mut self, name: impl Into<String>, shards: u32) -> Self {
        self.streams.push((name.into(), Some(shards)));
        self
    }

    /// Adds an on-demand stream that is there from the start; it begins with four shards.
    ///
    /// It grows when its writes are throttled, at most once a minute, by a split of the shard that was too slow.
    pub fn on_demand_stream(mut self, name: impl Into<String>) -> Self {
        self.streams.push((name.into(), None));
        self
    }

    /// Limits shards, the control plane, and what an account may have; no limits by default.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the clock; the system's by default.
    pub fn clock(mut self, clock: SharedClock) -> Self {
        self.clock = ClockChoice::Given(clock);
        self
    }

    /// Follows tokio's time, from 2026-01-01T00:00:00Z on.
    ///
    /// On a runtime whose time is paused, expiry, retention and limits follow the virtual time. The clock starts when
    /// the fake is built, which then must happen inside of the runtime.
    pub fn virtual_time(self) -> Self {
        self.virtual_time_from(from_unix_millis(VIRTUAL_EPOCH_MILLIS))
    }

    /// Follows tokio's time, from `epoch` on.
    pub fn virtual_time_from(mut self, epoch: SystemTime) -> Self {
        self.clock = ClockChoice::Virtual(epoch);
        self
    }

    /// How long a call takes, half of it before it is applied and half after; nothing by default.
    pub const fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// How long a new stream stays in the state CREATING; nothing by default.
    pub const fn creating(mut self, duration: Duration) -> Self {
        self.delays.creating = duration;
        self
    }

    /// How long a stream stays in the state UPDATING after a reshard or a change; nothing by default.
    pub const fn updating(mut self, duration: Duration) -> Self {
        self.delays.updating = duration;
        self
    }

    /// How long a stream stays in the state DELETING; nothing by default.
    pub const fn deleting(mut self, duration: Duration) -> Self {
        self.delays.deleting = duration;
        self
    }

    /// Whether a journal is kept, which holds every record for good; by default it is.
    pub const fn journal(mut self, journal: bool) -> Self {
        self.journal = journal;
        self
    }

    /// Seeds what is random, such as request ids; 0 by default.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The region where the streams of the builder live, and where a call belongs that names none; `us-east-1` by default.
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = region.into();
        self
    }

    /// The account that owns them, and that calls with any access key but one of twelve digits; `123456789012` by default.
    pub fn account(mut self, account: impl Into<String>) -> Self {
        self.account = account.into();
        self
    }

    /// Adds a key that calls have to be signed with; where there is none, which is the default, any signature will do.
    ///
    /// Signature Version 4, its scope, its date (at most five minutes off), the session token and the expiry of the
    /// credentials are verified, and refusals are in the service's words. Calls over a [`Server`](crate::Server) are
    /// meant: the clients of [`FakeKinesis::client`] and [`FakeKinesis::http_client`] are in the same process, and need
    /// no key.
    pub fn verify_signatures(mut self, credentials: Credentials) -> Self {
        self.keys.add(credentials);
        self
    }

    /// Keeps the state in a directory, which is made if it is not there; by default it ends with the process.
    ///
    /// What was acknowledged is on disk first, and is there after a crash or a power cut: streams with their settings,
    /// tags, policies, shards and consumers, and every record. What is not: subscriptions, the journal, faults, and what
    /// was used up of rates. Calls wait for the disk together, so that many at once cost little more than one; a
    /// subscription may push a record a moment before it is on disk. Of [`stream`](Self::stream) those are made that are
    /// not there. One process at a time can use a directory. What is written
    /// has a version: a later one may refuse it. Where the disk refuses to take more, no call succeeds any more.
    pub fn directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.directory = Some(path.into());
        self
    }

    /// Sets the fake up.
    ///
    /// # Panics
    /// Where a stream, the region or the account is malformed, or the directory cannot be used; [`try_build`](Self::try_build) returns that instead.
    pub fn build(self) -> FakeKinesis {
        match self.try_build() {
            Ok(fake) => fake,
            Err(error) => panic!("{}", with_source(&error)),
        }
    }

    /// Sets the fake up.
    ///
    /// # Errors
    /// [`BuildError`]; a retry changes nothing, but where the directory was in use.
    pub fn try_build(self) -> Result<FakeKinesis, BuildError> {
        if self.directory.is_some() && matches!(self.clock, ClockChoice::Virtual(_)) {
            return Err(BuildError::VirtualDirectory);
        }
        let clock: SharedClock = match self.clock {
            ClockChoice::System => Arc::new(SystemClock),
            ClockChoice::Virtual(epoch) => Arc::new(TokioClock::starting_at(epoch)),
            ClockChoice::Given(clock) => clock,
        };
        let place = Place::new(&self.account, &self.region);
        check_place(&place)?;
        let saves = self.directory.is_some();
        let mut engine = Engine::new(Settings { limits: self.limits, delays: self.delays, saves });
        let saving = match &self.directory {
            Some(path) => Some(Saving::resume(Store::open(path)?, &mut engine, clock.now())?),
            None => None,
        };
        for (name, shards) in self.streams {
            let account = engine.at(&place);
            if !account.stream_ages().any(|(known, _)| known.as_str() == name) {
                create(account, clock.now(), &name, shards).map_err(|source| BuildError::Stream { name, source })?;
                account.note_change();
            }
        }
        let mut state = State::new(engine, self.journal, &Randomness::from_seed(self.seed), saving);
        // Whoever calls first waits for it.
        drop(state.save());
        let service = Arc::new(Service::new(place.clone(), state, clock, self.latency, self.keys));
        Ok(FakeKinesis { service, place })
    }
}

/// Refuses a place that no ARN could name.
pub(super) fn check_place(place: &Place) -> Result<(), BuildError> {
    let (account, region) = place.names();
    let any: Option<StreamName> = "any".parse().ok();
    let arn = any.map(|name| StreamArn::new(region, account, &name));
    if matches!(arn, Some(Ok(_))) {
        return Ok(());
    }
    Err(BuildError::Identity { account: account.to_owned(), region: region.to_owned() })
}

fn create(account: &mut Account, now: SystemTime, name: &str, shards: Option<u32>) -> Result<(), ServiceError> {
    let name = super::stream_name(name)?;
    let options = match shards {
        Some(0) => return Err(ServiceError::invalid_argument("a stream has at least one shard")),
        Some(shards) => StreamOptions::provisioned(shards),
        None => StreamOptions::on_demand(),
    };
    account.create_stream(now, &name, &options)
}

fn with_source(error: &BuildError) -> String {
    match error {
        BuildError::Stream { source, .. } => format!("{error}: {source}"),
        BuildError::Directory(OpenStoreError::Io { source, .. }) => format!("{error}: {source}"),
        _ => error.to_string(),
    }
}
