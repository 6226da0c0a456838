//! The producer of a run, which is dropped and replaced, and what became of its records.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kinesis_core::{ClientOptions, KinesisClient, Randomness};
use kinesis_producer::{AttemptResult, FailureCause, KinesisProducer, Outcome, ProducerConfig, PutHandle, UserRecord};
use kinesis_testkit::FakeKinesis;
use parking_lot::Mutex;
use tokio::time::timeout;

use crate::account::{Fate, Produced};
use crate::plan::Producer;
use crate::workload::{key, stream_of};
use crate::world::STREAM;

/// How long a producer may take that is closed in the middle of a run.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// What a run's producers did.
#[derive(Clone)]
pub(crate) struct Producing {
    fake: FakeKinesis,
    client: KinesisClient,
    config: ProducerConfig,
    randomness: Arc<Randomness>,
    book: Arc<Mutex<Book>>,
}

#[derive(Default)]
struct Book {
    current: Option<KinesisProducer>,
    /// How many producers there were.
    built: u64,
    produced: Vec<Produced>,
}

/// The configuration that a plan has.
pub(crate) fn config_of(setup: Producer) -> ProducerConfig {
    ProducerConfig::default()
        .aggregation(setup.aggregates)
        .ordered(setup.ordered)
        .record_max_buffered_time(Duration::from_millis(setup.buffered_millis))
        .record_ttl(Duration::from_millis(setup.ttl_millis))
}

impl Producing {
    pub(crate) async fn begin(
        fake: &FakeKinesis,
        sdk: aws_sdk_kinesis::Client,
        config: ProducerConfig,
        randomness: Arc<Randomness>,
    ) -> Self {
        let client = KinesisClient::new(sdk, ClientOptions::default().data_timeout(Duration::from_secs(3)));
        let producing = Self { fake: fake.clone(), client, config, randomness, book: Arc::default() };
        producing.replace().await;
        producing
    }

    /// Another producer takes the place of the current one, which is returned.
    async fn replace(&self) -> Option<KinesisProducer> {
        let built = self.book.lock().built;
        let seed = self.randomness.stream(&format!("producer {built}")).next_u64();
        let builder = KinesisProducer::builder().client(self.client.clone()).config(self.config.clone());
        let producer = builder.randomness(Randomness::from_seed(seed)).build().await.expect("the setup is sound");
        let mut book = self.book.lock();
        book.built += 1;
        book.current.replace(producer)
    }

    fn current(&self) -> Option<KinesisProducer> {
        self.book.lock().current.clone()
    }

    /// Gives the producer so many records; each put is dropped after `patience`, where there is one (F22).
    pub(crate) async fn produce(self, number: u32, records: u32, patience: Option<Duration>) {
        let mut random = stream_of(&self.randomness, number);
        for index in 0..records {
            let (key, text) = (key(&mut random), format!("made-{number}.{index}"));
            let record =
                UserRecord::new(STREAM.parse::<kinesis_core::StreamName>().expect("a name"), &key, text.clone());
            let id = {
                let mut book = self.book.lock();
                book.produced.push(Produced { text, fate: Fate::NotAccepted });
                book.produced.len() - 1
            };
            let Some(producer) = self.current() else { continue };
            let putting = producer.put(record);
            let put = match patience {
                Some(patience) => timeout(patience, putting).await.ok(),
                None => Some(putting.await),
            };
            // One that is refused, by a producer that was closed meanwhile or for what failed before, was not taken.
            if let Some(Ok(handle)) = put {
                self.watch(id, handle);
            }
        }
    }

    fn watch(&self, id: usize, handle: PutHandle) {
        self.book.lock().produced[id].fate = Fate::Pending;
        let book = Arc::clone(&self.book);
        tokio::spawn(async move {
            let fate = fate(&handle.await);
            book.lock().produced[id].fate = fate;
        });
    }

    pub(crate) async fn flush(self) {
        if let Some(producer) = self.current() {
            // It fails where a record did, which its outcome says.
            let _ = producer.flush().await;
        }
    }

    /// F22.
    pub(crate) async fn drop_producer(self) {
        drop(self.replace().await);
    }

    pub(crate) async fn close_producer(self) {
        if let Some(producer) = self.replace().await {
            // What is not stored by then says so itself.
            let _ = producer.close_within(CLOSE_WITHIN).await;
        }
    }

    /// Closes the last producer and waits for every outcome; the time when it was closed, by the service's clock.
    pub(crate) async fn close(&self) -> SystemTime {
        let last = self.book.lock().current.take();
        if let Some(producer) = last {
            let _ = producer.close().await;
        }
        let closed_at = self.fake.clock().now();
        // The tasks that watch the outcomes have theirs, and write it down when it is their turn.
        tokio::time::sleep(Duration::from_millis(1)).await;
        closed_at
    }

    pub(crate) fn produced(&self) -> Vec<Produced> {
        self.book.lock().produced.clone()
    }
}

fn fate(outcome: &Outcome) -> Fate {
    let leaves =
        |result: &AttemptResult| matches!(result, AttemptResult::Ambiguous { .. } | AttemptResult::WrongShard { .. });
    let attempts = outcome.attempts();
    let kept = attempts.iter().count();
    // Those that are no longer kept may have left one each.
    let may_have_left =
        attempts.iter().filter(|attempt| leaves(&attempt.result)).count() + attempts.count() as usize - kept;
    match outcome {
        Outcome::Stored { shard, sequence_number, sub_sequence_number, .. } => {
            let position = kinesis_core::RecordPosition::new(*sequence_number, *sub_sequence_number);
            Fate::Stored { place: (shard.clone(), position), may_have_left }
        }
        Outcome::Failed { .. } => Fate::Failed,
        // Of a producer that was dropped, attempts may have been under way.
        Outcome::Unknown { cause: FailureCause::Abandoned, .. } => Fate::Unknown { may_have_left: None },
        Outcome::Unknown { .. } => Fate::Unknown { may_have_left: Some(may_have_left) },
    }
}
