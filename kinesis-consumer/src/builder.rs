//! Builds a consumer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kinesis::Client;
use kinesis_core::{
    ClientOptions, ConsumerConfig, KinesisClient, Randomness, RecordPublisher, SharedClock, StreamName, SystemClock,
};

use crate::assign::{HashAssigner, ShardAssigner};
use crate::consumer::KinesisConsumer;
use crate::control::ConsumerHandle;
#[cfg(feature = "dynamodb-streams")]
use crate::dynamodb_streams::DynamoDbStreams;
use crate::engine::Job;
use crate::error::BuildError;
use crate::event_time::{EventTime, WatermarkStrategy};
use crate::events::{ConsumerEvent, Listener};
use crate::fan_out::FanOut;
use crate::metrics::JobMeter;
use crate::mutants::Mutant;
use crate::pacing::PacingLimits;
use crate::pull::{KeptByUser, Positions, PullConsumer};
use crate::reader::{ForeignMembers, LossPolicy, MemoryBudget, ReaderSettings, ReaderShared, Retentions};
use crate::schema::{Judged, Schema};
use crate::service::Service;
use crate::store::CheckpointStore;

/// 2 MB/s, what the service lets all readers of a shard have together (AWS quota page).
const SHARD_BYTES_PER_SECOND: f64 = 2.0 * 1024.0 * 1024.0;
const DEFAULT_MEMORY_BYTES: usize = 256 * 1024 * 1024;
/// One reply is up to 10 MiB; below that not even one shard could be read.
const MIN_MEMORY_BYTES: usize = 10 * 1024 * 1024;
const DEFAULT_IN_FLIGHT: usize = 64;
const DEFAULT_MAX_BATCH: usize = 10_000;
const DEFAULT_MAX_MEMBERS: usize = 1_000_000;
const TIP_INTERVAL: Duration = Duration::from_secs(10);

/// Builds a [`KinesisConsumer`], or a [`PullConsumer`].
///
/// Needed: a client, at least one stream, and for the first a checkpoint store. Everything else has a default.
pub struct ConsumerBuilder<S> {
    schema: S,
    service: Option<Service>,
    streams: Vec<String>,
    job: String,
    config: ConsumerConfig,
    parallelism: usize,
    checkpoints: Option<(Arc<dyn CheckpointStore>, Duration)>,
    positions: Vec<Positions>,
    assigner: Arc<dyn ShardAssigner>,
    foreign_members: ForeignMembers,
    loss: LossPolicy,
    memory_bytes: usize,
    max_batch: usize,
    clock: SharedClock,
    randomness: Randomness,
    watermarks: Option<WatermarkStrategy>,
    is_aligned: bool,
    listener: Listener,
    mutant: Option<Mutant>,
}

impl<S: Schema> ConsumerBuilder<S> {
    pub(crate) fn new(schema: S) -> Self {
        Self {
            schema,
            service: None,
            streams: Vec::new(),
            job: "consumer".to_owned(),
            config: ConsumerConfig::default(),
            parallelism: 1,
            checkpoints: None,
            positions: Vec::new(),
            assigner: Arc::new(HashAssigner),
            foreign_members: ForeignMembers::default(),
            loss: LossPolicy::default(),
            memory_bytes: DEFAULT_MEMORY_BYTES,
            max_batch: DEFAULT_MAX_BATCH,
            clock: Arc::new(SystemClock),
            randomness: Randomness::from_entropy(),
            watermarks: None,
            is_aligned: false,
            listener: Arc::new(|_| {}),
            mutant: None,
        }
    }

    /// Decodes records by `schema`; without it they are handed on as they are.
    pub fn schema<T: Schema>(self, schema: T) -> ConsumerBuilder<T> {
        ConsumerBuilder {
            schema,
            service: self.service,
            streams: self.streams,
            job: self.job,
            config: self.config,
            parallelism: self.parallelism,
            checkpoints: self.checkpoints,
            positions: self.positions,
            assigner: self.assigner,
            foreign_members: self.foreign_members,
            loss: self.loss,
            memory_bytes: self.memory_bytes,
            max_batch: self.max_batch,
            clock: self.clock,
            randomness: self.randomness,
            watermarks: self.watermarks,
            is_aligned: self.is_aligned,
            listener: self.listener,
            mutant: self.mutant,
        }
    }

    /// Reads through `client`.
    pub fn client(mut self, client: KinesisClient) -> Self {
        self.service = Some(Service::Kinesis(client));
        self
    }

    /// Reads through an SDK client that you own; its retries are switched off call by call.
    pub fn sdk_client(self, client: Client) -> Self {
        self.client(KinesisClient::new(client, ClientOptions::default()))
    }

    /// Reads the streams of DynamoDB tables, all that `streams` has.
    #[cfg(feature = "dynamodb-streams")]
    pub fn dynamodb_streams(mut self, streams: DynamoDbStreams) -> Self {
        self.streams = streams.names().map(ToString::to_string).collect();
        self.service = Some(Service::DynamoDb(streams));
        self
    }

    /// The streams to read, all through the one client.
    pub fn streams<N: Into<String>>(mut self, streams: impl IntoIterator<Item = N>) -> Self {
        self.streams = streams.into_iter().map(Into::into).collect();
        self
    }

    /// Names the job in its checkpoint store; `consumer` by default.
    pub fn job(mut self, name: impl Into<String>) -> Self {
        self.job = name.into();
        self
    }

    /// Starting position, intervals, retries; those of the reference connector by default.
    pub fn config(mut self, config: ConsumerConfig) -> Self {
        self.config = config;
        self
    }

    /// The number of subtasks that share the shards; 1 by default, and free to change from one run to the next.
    pub const fn parallelism(mut self, subtasks: usize) -> Self {
        self.parallelism = subtasks;
        self
    }

    /// Keeps checkpoints in `store`, one every `interval`.
    pub fn checkpoints(mut self, store: impl CheckpointStore + 'static, interval: Duration) -> Self {
        self.checkpoints = Some((Arc::new(store), interval));
        self
    }

    /// Goes on from positions that you kept: all that was kept, of any number of subtasks; for a consumer that is pulled.
    ///
    /// None at all start a new job, at the configured position.
    pub fn positions(mut self, kept: impl IntoIterator<Item = Positions>) -> Self {
        self.positions = kept.into_iter().collect();
        self
    }

    /// Chooses the subtask of each shard; [`HashAssigner`] by default.
    pub fn assigner(mut self, assigner: impl ShardAssigner + 'static) -> Self {
        self.assigner = Arc::new(assigner);
        self
    }

    /// What is done with aggregates that hold records of other shards.
    pub const fn foreign_members(mut self, policy: ForeignMembers) -> Self {
        self.foreign_members = policy;
        self
    }

    /// What happens when retention has passed the saved position.
    pub const fn loss(mut self, policy: LossPolicy) -> Self {
        self.loss = policy;
        self
    }

    /// The bytes fetched and not yet processed, over all shards; 256 MiB by default, at least 10 MiB.
    pub const fn memory_bytes(mut self, bytes: usize) -> Self {
        self.memory_bytes = bytes;
        self
    }

    /// The most items in one batch; 10,000 by default.
    ///
    /// Barriers pass between batches: a smaller number makes finer checkpoints.
    pub const fn max_batch(mut self, items: usize) -> Self {
        self.max_batch = items;
        self
    }

    /// Keeps event time, by the times that the [schema](Schema::event_time) finds; by default none is kept.
    ///
    /// Each shard has a watermark in the checkpoint, and the job's is the smallest of them. It waits for shards that are
    /// silent, until they are idle where the configuration says so
    /// ([`idle_interval`](kinesis_core::EventTimeConfig::idle_interval)); for one whose parents are still read, in the place
    /// of which these count; and at the end of a shard for all of its children to begin.
    pub fn watermarks(mut self, strategy: WatermarkStrategy) -> Self {
        self.watermarks = Some(strategy);
        self
    }

    /// Lets no shard run ahead of the one that is the furthest behind by more than the configured
    /// [lookahead](kinesis_core::EventTimeConfig::effective_lookahead); needs [`watermarks`](Self::watermarks).
    ///
    /// What has to wait keeps its memory while nobody wants it, and is read again otherwise. A shard that is empty at its
    /// tip is not waited for; one whose records have no times is, until it is there.
    pub const fn align_watermarks(mut self) -> Self {
        self.is_aligned = true;
        self
    }

    /// The clock for dates; the operating system's by default.
    pub fn clock(mut self, clock: SharedClock) -> Self {
        self.clock = clock;
        self
    }

    /// The seed of all jitter, for runs that are to repeat themselves.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.randomness = Randomness::from_seed(seed);
        self
    }

    /// Calls `listener` with each event, on the consumer's tasks: it must not block.
    pub fn on_event(mut self, listener: impl Fn(&ConsumerEvent) + Send + Sync + 'static) -> Self {
        self.listener = Arc::new(listener);
        self
    }

    /// Misbehaves on purpose, for a test that must notice.
    #[cfg(feature = "mutants")]
    pub const fn mutant(mut self, mutant: Mutant) -> Self {
        self.mutant = Some(mutant);
        self
    }

    /// Builds a consumer that keeps checkpoints; nothing is called yet.
    ///
    /// # Errors
    /// [`BuildError`] names the setting that is missing or out of range.
    pub fn build(mut self) -> Result<KinesisConsumer<S>, BuildError> {
        self.required_service()?;
        let (store, interval) = self.checkpoints.take().ok_or(missing("a checkpoint store", "checkpoints"))?;
        if interval.is_zero() {
            return Err(invalid("the checkpoint interval", "0 s", "more than 0 s"));
        }
        if !self.positions.is_empty() {
            return Err(BuildError::Conflict { what: "positions", with: "checkpoints of its own" });
        }
        let (job, handle) = self.into_job(store, Some(interval))?;
        Ok(KinesisConsumer::new(job, handle))
    }

    /// Builds a consumer that is pulled and whose positions you keep; nothing is called yet.
    ///
    /// # Errors
    /// [`BuildError`] names the setting that is missing, out of range or of no use here.
    pub fn build_pull(mut self) -> Result<PullConsumer<S>, BuildError> {
        if self.checkpoints.is_some() {
            return Err(BuildError::Conflict { what: "checkpoints", with: "positions that its user keeps" });
        }
        let mut kept = std::mem::take(&mut self.positions).into_iter();
        let merged = kept.next().map(|first| kept.try_fold(first, Positions::merge)).transpose()?;
        let store = KeptByUser(merged.clone().map(Positions::into_checkpoint));
        let (job, handle) = self.into_job(Arc::new(store), None)?;
        Ok(PullConsumer::new(job, handle, merged.as_ref()))
    }

    fn into_job(
        self,
        store: Arc<dyn CheckpointStore>,
        checkpoint_interval: Option<Duration>,
    ) -> Result<(Job<S>, ConsumerHandle), BuildError> {
        let service = self.required_service()?;
        let streams = self.stream_names()?;
        self.check()?;
        self.config.check_streams(&streams)?;
        let fan_out = self.fan_out(&service)?;
        if self.is_aligned && self.watermarks.is_none() {
            return Err(missing("a watermark strategy", "watermarks"));
        }
        let (config, is_aligned) = (self.config.event_time().clone(), self.is_aligned);
        let event_time = self.watermarks.clone().map(|strategy| EventTime { strategy, config, is_aligned });
        let (handle, meter) = (ConsumerHandle::new(), JobMeter::new(&self.job));
        let readers = Arc::new(ReaderShared {
            service,
            settings: Arc::new(self.reader_settings()),
            schema: Arc::new(Judged::new(self.schema)),
            clock: self.clock,
            randomness: self.randomness,
            memory: MemoryBudget::new(self.memory_bytes, DEFAULT_IN_FLIGHT),
            retentions: Retentions::new(&streams, self.config.describe_stream_retry()),
            fan_out,
            control: handle.watch(),
            board: handle.board(),
            listener: measured(meter.clone(), self.listener),
            meter,
        });
        let job = Job {
            name: self.job,
            streams,
            start: self.config.starting_position(),
            parallelism: self.parallelism,
            checkpoint_interval,
            discovery_interval: self.config.discovery_interval().max(Duration::from_millis(1)),
            list_shards: self.config.list_shards_retry(),
            describe: self.config.describe_stream_retry(),
            assigner: self.assigner,
            store,
            readers,
            event_time,
            mutant: self.mutant,
        };
        Ok((job, handle))
    }

    fn required_service(&self) -> Result<Service, BuildError> {
        match self.service.clone().ok_or(missing("a client", "client"))? {
            #[cfg(feature = "dynamodb-streams")]
            Service::DynamoDb(streams) => Ok(Service::DynamoDb(streams.with_clock(Arc::clone(&self.clock)))),
            service => Ok(service),
        }
    }

    /// Nothing where shards are polled.
    fn fan_out(&self, service: &Service) -> Result<Option<FanOut>, BuildError> {
        if self.config.record_publisher() != RecordPublisher::EnhancedFanOut {
            return Ok(None);
        }
        match service {
            Service::Kinesis(client) => Ok(Some(FanOut::new(client.clone(), self.config.fan_out().clone()))),
            #[cfg(feature = "dynamodb-streams")]
            Service::DynamoDb(_) => {
                Err(BuildError::Conflict { what: "subscriptions of enhanced fan-out", with: "streams of DynamoDB" })
            }
        }
    }

    fn stream_names(&self) -> Result<Vec<StreamName>, BuildError> {
        if self.streams.is_empty() {
            return Err(missing("at least one stream", "streams"));
        }
        let mut names: Vec<StreamName> = Vec::with_capacity(self.streams.len());
        for text in &self.streams {
            let allowed = "1 to 128 of the characters A-Z a-z 0-9 _ . -, each name once";
            let name = text.parse().ok().filter(|name| !names.contains(name));
            names.push(name.ok_or_else(|| invalid("a stream name", text, allowed))?);
        }
        Ok(names)
    }

    fn check(&self) -> Result<(), BuildError> {
        if self.job.parse::<StreamName>().is_err() || self.job.starts_with('.') {
            let allowed = "1 to 128 of the characters A-Z a-z 0-9 _ . -, not a dot first";
            return Err(invalid("the job's name", &self.job, allowed));
        }
        if self.parallelism == 0 {
            return Err(invalid("the parallelism", "0", "1 or more"));
        }
        if self.max_batch == 0 {
            return Err(invalid("the batch size", "0", "1 or more"));
        }
        if self.memory_bytes < MIN_MEMORY_BYTES {
            return Err(invalid("the memory budget", &self.memory_bytes.to_string(), "10485760 bytes or more"));
        }
        Ok(())
    }

    fn reader_settings(&self) -> ReaderSettings {
        ReaderSettings {
            pacing: PacingLimits {
                interval: self.config.get_records_interval(),
                rest_after_none: self.config.empty_fetch_interval().unwrap_or_default(),
                rest_after_some: self.config.nonempty_fetch_interval().unwrap_or_default(),
                bytes_per_second: SHARD_BYTES_PER_SECOND,
                max_records: self.config.get_records_limit(),
                adaptive: self.config.adaptive_reads(),
            },
            get_records: self.config.get_records_retry(),
            get_iterator: self.config.get_iterator_retry(),
            foreign_members: self.foreign_members,
            loss: self.loss,
            max_batch: self.max_batch,
            max_members: DEFAULT_MAX_MEMBERS,
            waiting_records: self.config.event_time().queue_capacity.max(1),
            tip_interval: TIP_INTERVAL,
            mutant: self.mutant,
        }
    }
}

/// Tells events to the metrics first.
fn measured(meter: JobMeter, listener: Listener) -> Listener {
    Arc::new(move |event| {
        meter.happened(event);
        listener(event);
    })
}

const fn missing(what: &'static str, method: &'static str) -> BuildError {
    BuildError::Missing { what, method }
}

fn invalid(what: &'static str, value: &str, allowed: &'static str) -> BuildError {
    BuildError::Invalid { what, value: value.to_owned(), allowed }
}

impl<S> fmt::Debug for ConsumerBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsumerBuilder")
            .field("streams", &self.streams)
            .field("job", &self.job)
            .field("parallelism", &self.parallelism)
            .finish_non_exhaustive()
    }
}
