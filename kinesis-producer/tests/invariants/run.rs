//! One random run, from its seed to its account.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kinesis::config::IdentityCache;
use kinesis_core::{ClientOptions, KinesisClient, RandomStream, Randomness, Shard};
use kinesis_producer::{KinesisProducer, Outcome, PutError, PutHandle, TryPutError};
use kinesis_testkit::{CallOutcome, FakeCredentials, FakeKinesis, FaultHandle, JournalCall, Limits};
use parking_lot::Mutex;
use tokio::runtime::Runtime;
use tokio::time::{Instant, sleep, timeout};

use crate::account::{Account, Acknowledgement, End, Fate, Put};
use crate::faults::{LATEST_DELIVERY, Schedule, count};
use crate::truth;
use crate::wire::{Wire, tries};
use crate::workload::{Drawn, STREAMS, Setup, draw, millis};

/// No run takes longer in virtual time.
const LONGEST_RUN: Duration = Duration::from_secs(4 * 3600);
/// How long a pair of credentials is good for.
const VALID_FOR: Duration = Duration::from_secs(600);

/// What a run writes down while it goes on.
#[derive(Debug, Default)]
struct Book {
    puts: Vec<Put>,
    acknowledged: Vec<Acknowledgement>,
    most: (usize, usize),
    made: BTreeMap<&'static str, u64>,
}

/// A run while it goes on.
struct Run {
    setup: Setup,
    fake: FakeKinesis,
    rules: Vec<(&'static str, FaultHandle)>,
    producer: Option<KinesisProducer>,
    credentials: FakeCredentials,
    wire: Wire,
    random: RandomStream,
    book: Arc<Mutex<Book>>,
    /// The handles that nobody waits for in this runtime.
    kept: Vec<(usize, PutHandle)>,
}

/// A runtime whose time is paused.
pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

/// A client of the fake whose requests are written down.
pub(crate) fn client(fake: &FakeKinesis, wire: &Wire, data_timeout: Duration) -> KinesisClient {
    let config = fake.client().config().to_builder().interceptor(wire.clone()).build();
    let sdk = aws_sdk_kinesis::Client::from_conf(config);
    KinesisClient::new(sdk, ClientOptions::default().data_timeout(data_timeout))
}

/// The same, with credentials of a provider and the SDK's cache of them.
fn provided(fake: &FakeKinesis, wire: &Wire, credentials: &FakeCredentials, data_timeout: Duration) -> KinesisClient {
    let config = fake.client().config().to_builder().interceptor(wire.clone());
    let config = config.credentials_provider(credentials.clone()).identity_cache(IdentityCache::lazy().build());
    let sdk = aws_sdk_kinesis::Client::from_conf(config.build());
    KinesisClient::new(sdk, ClientOptions::default().data_timeout(data_timeout))
}

/// Plays a seed.
pub(crate) fn play(seed: u64) -> Account {
    play_with(Setup::draw(seed), &Schedule::draw(seed))
}

/// Plays a run of that kind with those faults.
pub(crate) fn play_with(setup: Setup, schedule: &Schedule) -> Account {
    let first = runtime();
    let mut run = first.block_on(async {
        let run = Run::begin(setup, schedule).await;
        let worked = timeout(LONGEST_RUN, tokio::spawn(run.work())).await;
        worked.expect("a run ends, as everything that it waits for does").unwrap()
    });
    let ended_at = match run.setup.end {
        End::DropRuntime => {
            let now = first.block_on(async { Instant::now() });
            drop(first);
            runtime().block_on(run.collect_kept());
            // The service's clock stood with the first runtime's; what is late is due by now.
            run.fake.advance(LONGEST_RUN);
            now
        }
        _ => first.block_on(run.settle()),
    };
    run.close_books(schedule, ended_at)
}

impl Run {
    async fn begin(setup: Setup, schedule: &Schedule) -> Self {
        let seed = setup.seed;
        let limits = if setup.limited { Limits::aws() } else { Limits::off() };
        let mut builder = FakeKinesis::builder().latency(setup.latency).updating(setup.updating).limits(limits);
        for (stream, shards) in STREAMS.into_iter().zip(setup.shards) {
            builder = builder.stream(stream, shards);
        }
        let fake = builder.seed(seed).virtual_time().build();
        let rules = schedule.inject(&fake);
        let (wire, credentials) = (Wire::default(), FakeCredentials::new(fake.clock()).valid_for(VALID_FOR));
        let client = if setup.provided {
            provided(&fake, &wire, &credentials, setup.data_timeout)
        } else {
            client(&fake, &wire, setup.data_timeout)
        };
        let producer = KinesisProducer::builder().client(client).config(setup.config.clone());
        let producer = producer.randomness(Randomness::from_seed(seed)).build().await.unwrap();
        Self {
            producer: Some(producer),
            random: Randomness::from_seed(seed).stream("work"),
            setup,
            fake,
            rules,
            credentials,
            wire,
            book: Arc::default(),
            kept: Vec::new(),
        }
    }

    fn close_books(self, schedule: &Schedule, ended_at: Instant) -> Account {
        let (wire, book) = (self.wire.requests(), std::mem::take(&mut *self.book.lock()));
        let mut struck = book.made;
        *struck.entry("F13 the provider failed").or_default() += self.credentials.failed();
        struck.extend(count(&self.fake, &self.rules));
        let refused = |call: JournalCall| match call.outcome {
            CallOutcome::Refused(code) if ["InvalidArgumentException", "ValidationException"].contains(&&*code) => {
                Some(code)
            }
            _ => None,
        };
        Account {
            plan: schedule.plan(),
            puts: book.puts,
            copies: truth::copies(&self.fake),
            tries: tries(&wire),
            wire,
            acknowledged: book.acknowledged,
            ended_at,
            stats: self.producer.filter(|_| self.setup.end == End::Close).map(|producer| producer.stats()),
            most: book.most,
            invalid: self.fake.journal().calls.into_iter().filter_map(refused).collect(),
            struck,
            setup: self.setup,
        }
    }

    fn producer(&self) -> &KinesisProducer {
        self.producer.as_ref().unwrap()
    }

    async fn work(mut self) -> Self {
        let steps = match self.setup.end {
            End::Close => self.setup.steps,
            _ => 1 + self.random.below(self.setup.steps as u64) as usize,
        };
        for _ in 0..steps {
            self.step().await;
        }
        for _ in 0..self.setup.minutes {
            self.minute().await;
        }
        self
    }

    /// A minute of steady load, with a reshard of a stream somewhere in it.
    async fn minute(&mut self) {
        let due = self.random.below(600);
        for tenth in 0..600 {
            if tenth == due {
                // The service refuses some, such as a merge of a shard that has no neighbour.
                assert!((0..100).any(|_| self.reshard()), "one of many can be made");
            }
            if self.random.below(5) == 0 {
                for _ in 0..self.random.below(8) {
                    self.put().await;
                }
            }
            sleep(millis(100)).await;
        }
    }

    async fn step(&mut self) {
        match self.random.below(24) {
            0..9 => {
                for _ in 0..1 + self.random.below(20) {
                    self.put().await;
                }
            }
            9..12 => self.put().await,
            12..16 => sleep(millis(self.random.below(700))).await,
            16 => sleep(millis(self.random.below(5000))).await,
            17 => drop(self.producer().flush().await),
            18 => {
                // A flush that nobody waits for goes on all the same.
                let _ = timeout(millis(self.random.below(5)), self.producer().flush()).await;
            }
            19 | 20 => drop(self.reshard()),
            21 => self.cancelled_put().await,
            22 => self.trouble_credentials(),
            _ => self.acknowledge(),
        }
    }

    fn note(&self, what: &'static str) {
        *self.book.lock().made.entry(what).or_default() += 1;
    }

    /// Draws the next record and opens its account.
    fn next(&mut self) -> (usize, Drawn) {
        let id = self.book.lock().puts.len();
        let drawn = draw(&mut self.random, &self.setup, id as u64);
        self.book.lock().puts.push(Put {
            stream: drawn.stream.to_owned(),
            key: drawn.key.clone(),
            hash_key: drawn.hash_key,
            data_bytes: drawn.data_bytes,
            accepted_at: Instant::now(),
            fate: Fate::NotAccepted,
        });
        (id, drawn)
    }

    async fn put(&mut self) {
        if self.random.below(3) == 0 {
            self.put_now();
        } else {
            let (id, drawn) = self.next();
            let result = self.producer().put(drawn.record).await;
            self.took(id, result);
        }
        if self.setup.queue_limit.0 < 1000 {
            self.measure().await;
        }
    }

    fn put_now(&mut self) {
        let (id, drawn) = self.next();
        match self.producer().try_put(drawn.record) {
            Ok(handle) => self.accepted(id, handle),
            Err(TryPutError::Put(error)) => self.took(id, Err(error)),
            Err(_) => self.note("queue full"),
        }
    }

    fn took(&mut self, id: usize, result: Result<PutHandle, PutError>) {
        match result {
            Ok(handle) => self.accepted(id, handle),
            Err(PutError::Earlier(_)) => self.note("put refused for earlier failures"),
            Err(error) => panic!("record {id}: {error}"),
        }
    }

    fn accepted(&mut self, id: usize, handle: PutHandle) {
        {
            let mut book = self.book.lock();
            (book.puts[id].fate, book.puts[id].accepted_at) = (Fate::Pending, Instant::now());
        }
        // Where room is counted, every record is watched.
        if self.setup.queue_limit.0 > 1000 && self.random.below(12) == 0 {
            self.book.lock().puts[id].fate = Fate::Unwatched;
        } else if self.setup.end == End::DropRuntime {
            self.kept.push((id, handle));
        } else {
            let book = Arc::clone(&self.book);
            tokio::spawn(async move {
                let outcome = handle.await;
                book.lock().puts[id].fate = Fate::Resolved(outcome, Some(Instant::now()));
            });
        }
    }

    /// Counts what has no outcome, after everyone who can see one has.
    async fn measure(&self) {
        if self.setup.end == End::DropRuntime {
            return;
        }
        tokio::task::yield_now().await;
        let mut book = self.book.lock();
        let pending = book.puts.iter().filter(|put| matches!(put.fate, Fate::Pending));
        // One that is larger than the limit passes alone.
        let share = |put: &Put| (put.data_bytes + put.key.len()).min(self.setup.queue_limit.1);
        let (records, bytes) = pending.fold((0, 0), |(records, bytes), put| (records + 1, bytes + share(put)));
        book.most = (book.most.0.max(records), book.most.1.max(bytes));
    }

    /// F22: a put that is dropped while it waits has put nothing.
    async fn cancelled_put(&mut self) {
        while self.setup.queue_limit.0 < 1000 && self.random.below(40) > 0 {
            // Fills the queue, so that there is something to wait for.
            self.put_now();
        }
        let (id, drawn) = self.next();
        match timeout(millis(self.random.below(3)), self.producer().put(drawn.record)).await {
            Ok(result) => self.took(id, result),
            Err(_) => self.note("F22 a put was dropped"),
        }
    }

    /// F14.
    fn reshard(&mut self) -> bool {
        let stream = STREAMS[self.random.below(2) as usize];
        let mut open: Vec<Shard> = self.fake.shards(stream).unwrap().into_iter().filter(Shard::is_open).collect();
        open.sort_by_key(|shard| shard.hash_key_range);
        let index = self.random.below(open.len() as u64) as usize;
        // The fake refuses what a stream that is being updated cannot do, which is as good.
        let done = match self.random.below(5) {
            0 => self.fake.update_shard_count(stream, 1 + self.random.below(6) as u32).is_ok(),
            1 | 2 if index + 1 < open.len() => {
                self.fake.merge(stream, open[index].id.as_str(), open[index + 1].id.as_str()).is_ok()
            }
            _ if open.len() < 7 => self.fake.split(stream, open[index].id.as_str()).is_ok(),
            _ => false,
        };
        if done {
            self.note("F14 reshard between two calls");
        }
        done
    }

    /// F13.
    fn trouble_credentials(&mut self) {
        if !self.setup.provided {
            return;
        }
        match self.random.below(5) {
            0 => self.credentials.fail(1 + self.random.below(3)),
            1 => {
                self.note("F13 the provider was slow");
                self.credentials.set_delay(millis(self.random.below(4000)));
            }
            2 => self.credentials.rotate(),
            3 => {
                // The cached pair expires, so that the provider is asked.
                self.note("F13 credentials expired");
                self.fake.advance(VALID_FOR);
            }
            _ => self.credentials.heal(),
        }
    }

    /// Deals with an unknown outcome of a key, so that the key goes on in ordered mode.
    fn acknowledge(&mut self) {
        let mut book = self.book.lock();
        let is_unknown = |put: &&Put| matches!(put.outcome(), Some(Outcome::Unknown { .. }));
        let unknown: Vec<&Put> = book.puts.iter().filter(is_unknown).collect();
        if !self.setup.ordered || unknown.is_empty() {
            return;
        }
        let put = unknown[self.random.below(unknown.len() as u64) as usize];
        let (stream, key, before) = (put.stream.clone(), put.key.clone(), book.puts.len());
        self.producer().acknowledge_unknown(&stream.parse().unwrap(), &key);
        book.acknowledged.push(Acknowledgement { stream, key, before, at: Instant::now() });
    }

    /// Ends the run and waits until nothing can come any more; the time at which it ended.
    async fn settle(&mut self) -> Instant {
        match self.setup.end {
            End::Close => {
                // With `fail_on_error` a close may tell of failures; it is a close all the same.
                let _ = self.producer().close().await;
            }
            _ => {
                self.producer = None;
                self.note("F22 the producer was dropped");
            }
        }
        let ended_at = Instant::now();
        sleep(LATEST_DELIVERY * 2).await;
        ended_at
    }

    /// Takes the outcomes of records whose runtime is gone: they must be there.
    async fn collect_kept(&mut self) {
        self.note("F22 the runtime was dropped");
        let (id, drawn) = self.next();
        let refused = self.producer().put(drawn.record).await;
        assert!(matches!(refused, Err(PutError::Closed)), "record {id}: nobody takes it any more");
        for (id, handle) in std::mem::take(&mut self.kept) {
            if let Ok(outcome) = timeout(millis(1), handle).await {
                self.book.lock().puts[id].fate = Fate::Resolved(outcome, None);
            }
        }
    }
}
