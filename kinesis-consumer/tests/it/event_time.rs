//! Event time over real runs: nothing late, nothing stuck, nothing back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_sdk_kinesis::primitives::Blob;
use bytes::Bytes;
use kinesis_consumer::{
    Batch, BoxError, BuildError, Checkpoint, ConsumerBuilder, ConsumerEvent, KinesisConsumer, LossPolicy, Positions,
    Processor, RawRecords, Record, SavedState, Schema, ShardContext, StreamShard, UniformAssigner, Utf8,
    WatermarkStrategy,
};
use kinesis_core::{
    ConsumerConfig, EventTimeConfig, FanOutConfig, RecordPublisher, ShardId, StartingPosition, from_unix_millis,
};
use kinesis_testkit::{FakeKinesis, Fault, FaultRule, Operation};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use crate::support::{Running, STREAM, World};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

const READERS: [RecordPublisher; 2] = [RecordPublisher::Polling, RecordPublisher::EnhancedFanOut];

/// What processors saw of time, over all incarnations of a job.
#[derive(Clone, Default)]
struct Times(Arc<Mutex<Observed>>);

#[derive(Default)]
struct Observed {
    records: u64,
    /// Records that were older than the watermark that their processor had been told.
    late: u64,
    /// The furthest that a record was ahead of the watermark.
    ahead: Duration,
    /// What the processors of each shard were told, in order.
    told: BTreeMap<StreamShard, Vec<SystemTime>>,
    batches: Vec<(StreamShard, Option<SystemTime>)>,
}

struct Observer {
    shard: StreamShard,
    watermark: Option<SystemTime>,
    times: Times,
    /// How long each batch takes.
    pace: Duration,
}

impl Observer {
    /// With the pace of the first shard, and that of the others.
    fn of(times: &Times, paces: [Duration; 2]) -> impl Fn(&ShardContext) -> Self + Send + Sync + 'static {
        let times = times.clone();
        move |context| Self {
            shard: context.shard.clone(),
            watermark: None,
            times: times.clone(),
            pace: paces[context.shard.shard.index().unwrap().min(1) as usize],
        }
    }
}

#[async_trait]
impl Processor<Record> for Observer {
    type Output = ();

    async fn process(&mut self, batch: Batch<Record>, _output: &mut Vec<()>) -> Result<(), BoxError> {
        assert_eq!(batch.watermark, self.watermark, "a processor is told before it is handed records");
        if !self.pace.is_zero() {
            sleep(self.pace).await;
        }
        let mut observed = self.times.0.lock();
        observed.batches.push((self.shard.clone(), batch.watermark));
        for time in batch.items.iter().filter_map(|record| record.arrived_at) {
            observed.records += 1;
            observed.late += u64::from(self.watermark.is_some_and(|watermark| time < watermark));
            let ahead = self.watermark.and_then(|watermark| time.duration_since(watermark).ok());
            observed.ahead = observed.ahead.max(ahead.unwrap_or_default());
        }
        Ok(())
    }

    fn on_watermark(&mut self, watermark: SystemTime, _output: &mut Vec<()>) -> Result<(), BoxError> {
        assert!(Some(watermark) > self.watermark, "a watermark goes forward");
        self.watermark = Some(watermark);
        self.times.0.lock().told.entry(self.shard.clone()).or_default().push(watermark);
        Ok(())
    }

    fn snapshot(&self) -> Result<Bytes, BoxError> {
        Ok(Bytes::new())
    }

    fn restore(&mut self, _states: &[SavedState]) -> Result<(), BoxError> {
        Ok(())
    }
}

fn config(reader: RecordPublisher, start: StartingPosition, event_time: EventTimeConfig) -> ConsumerConfig {
    ConsumerConfig::builder()
        .starting_position(start)
        .record_publisher(reader)
        .fan_out(FanOutConfig::named("app"))
        .event_time(event_time)
        .build()
        .unwrap()
}

fn event_time(idle: Option<Duration>) -> EventTimeConfig {
    let mut config = EventTimeConfig::default();
    (config.idle_interval, config.sync_interval, config.lookahead) = (idle, 10 * SECOND, MINUTE);
    config
}

fn consumer(world: &World, reader: RecordPublisher, idle: Option<Duration>) -> ConsumerBuilder<RawRecords> {
    let config = config(reader, StartingPosition::TrimHorizon, event_time(idle));
    world.consumer().config(config).watermarks(WatermarkStrategy::monotonous())
}

fn start(times: &Times, builder: ConsumerBuilder<RawRecords>) -> Running {
    start_paced(times, builder, [Duration::ZERO; 2])
}

fn start_paced(times: &Times, builder: ConsumerBuilder<RawRecords>, paces: [Duration; 2]) -> Running {
    let consumer = builder.build().unwrap();
    let (handle, observers) = (consumer.handle(), Observer::of(times, paces));
    Running { job: tokio::spawn(async move { consumer.run(observers).await }), handle }
}

/// Puts a record into every open shard that `takes` accepts.
async fn put_into_all(fake: &FakeKinesis, data: &[u8], takes: impl Fn(u64) -> bool) -> u64 {
    let mut count = 0;
    for shard in fake.shards(STREAM).unwrap() {
        if shard.is_open() && takes(shard.id.index().unwrap()) {
            let put = fake.client().put_record().stream_name(STREAM).partition_key("key").data(Blob::new(data));
            put.explicit_hash_key(shard.hash_key_range.start().to_string()).send().await.unwrap();
            count += 1;
        }
    }
    count
}

/// Records of so many hours in three generations of shards, one a minute in each that is open; how many there were.
async fn three_generations(fake: &FakeKinesis, hours: u32, data: &[u8]) -> u64 {
    let mut count = 0;
    for minute in 0..hours * 60 {
        count += put_into_all(fake, data, |_| true).await;
        match minute * 24 / hours {
            400 => drop(fake.split(STREAM, "shardId-000000000000").unwrap()),
            500 => drop(fake.split(STREAM, "shardId-000000000001").unwrap()),
            900 => drop(fake.merge(STREAM, "shardId-000000000003", "shardId-000000000004").unwrap()),
            1000 => drop(fake.split(STREAM, "shardId-000000000002").unwrap()),
            _ => {}
        }
        fake.advance(MINUTE);
    }
    count
}

/// Reads a history from its beginning, aligned; returns how many records it had, and how long that took.
pub(crate) async fn look_back(
    reader: RecordPublisher,
    hours: u32,
    memory_bytes: usize,
    data: &[u8],
) -> (u64, Duration) {
    let fake = FakeKinesis::builder().stream(STREAM, 3).virtual_time().build();
    let keep = fake.client().increase_stream_retention_period().stream_name(STREAM).retention_period_hours(48);
    keep.send().await.unwrap();
    let began = fake.clock().now();
    let count = three_generations(&fake, hours, data).await;
    let (world, times) = (World::of(fake), Times::default());
    let mut event_time = event_time(None);
    event_time.queue_capacity = 20;
    let config = config(reader, StartingPosition::AtTimestamp(began), event_time);
    let builder = world.consumer().config(config).watermarks(WatermarkStrategy::monotonous());
    let builder = builder.align_watermarks().parallelism(3).memory_bytes(memory_bytes);
    let running = start(&times, builder);
    let reading = Instant::now();
    tokio::time::timeout(4 * HOUR, running.drain()).await.expect("nothing is stuck").unwrap();
    let took = reading.elapsed();
    let observed = times.0.lock();
    assert_eq!((observed.records, observed.late), (count, 0), "{reader:?}");
    assert!(observed.ahead <= MINUTE, "{reader:?}: {:?} ahead", observed.ahead);
    let shards = observed.told.len();
    println!(
        "{reader:?}: {count} records of {shards} shards, none late, at most {:?} ahead, in {took:?}",
        observed.ahead
    );
    (count, took)
}

#[tokio::test(start_paused = true)]
async fn a_day_back_over_three_generations_nothing_is_late_and_nothing_is_stuck() {
    for reader in READERS {
        let (_, took) = look_back(reader, 24, 64 << 20, b"record").await;
        // Shards that wait say so; by the timer alone it takes minutes.
        assert!(took < 30 * SECOND, "{reader:?}: {took:?}");
    }
}

/// A call reserves the whole budget here, so that what waits for other shards is in the way of all of them.
#[tokio::test(start_paused = true)]
async fn shards_that_wait_give_their_memory_to_those_that_they_wait_for() {
    for reader in READERS {
        look_back(reader, 6, 10 << 20, &vec![b'x'; 12 * 1024]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_shard_holds_the_watermark_until_it_is_idle() {
    for reader in READERS {
        let (world, times) = (World::new(2), Times::default());
        put_into_all(&world.fake, b"first", |_| true).await;
        let first = world.fake.clock().now();
        let running = start(&times, consumer(&world, reader, Some(5 * MINUTE)).align_watermarks());
        for _ in 0..10 {
            sleep(30 * SECOND).await;
            put_into_all(&world.fake, b"more", |index| index == 0).await;
        }
        // Five minutes after the first record was taken in, which cannot be over by now.
        assert_eq!(running.handle.status().watermark, Some(first), "{reader:?}");
        for _ in 0..3 {
            sleep(30 * SECOND).await;
            put_into_all(&world.fake, b"more", |index| index == 0).await;
        }
        let ahead = running.handle.status().watermark.unwrap().duration_since(first).unwrap();
        assert!(ahead >= 5 * MINUTE, "{reader:?}: {ahead:?}");
        assert_eq!(times.0.lock().records, 2 + 12, "{reader:?}: alignment waits for no shard that is at its tip");

        running.handle.stop();
        running.job.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn the_watermark_of_a_restored_job_is_not_before_the_one_that_was_saved() {
    let (world, times) = (World::new(3), Times::default());
    let mut reached = None;
    for round in 0..6_usize {
        let running = start(&times, consumer(&world, READERS[round % 2], Some(MINUTE)).parallelism(1 + round % 3));
        for _ in 0..20 {
            // Shard 2 is silent from the second round on, and held nothing up by then.
            put_into_all(&world.fake, b"record", |index| index != 2 || round == 0).await;
            sleep(10 * SECOND).await;
        }
        assert!(running.handle.status().watermark > reached, "round {round}");
        let saved = world.saved_epoch().await;
        reached = running.handle.status().watermark;
        match round % 2 {
            0 => running.kill().await,
            _ => {
                running.handle.stop();
                running.job.await.unwrap().unwrap();
            }
        }
        assert!(saved.is_some());
        times.0.lock().told.clear();
        let again = start(&times, consumer(&world, READERS[round % 2], Some(MINUTE)));
        sleep(SECOND).await;
        // Checkpoints are a second apart, and so a crash may cost what was reached since the last.
        let now = again.handle.status().watermark;
        let back = reached.unwrap().duration_since(now.unwrap()).unwrap_or_default();
        assert!(back <= if round % 2 == 0 { 11 * SECOND } else { Duration::ZERO }, "round {round}: {back:?} back");
        again.handle.stop();
        again.job.await.unwrap().unwrap();
    }
    assert_eq!(times.0.lock().late, 0);
}

#[tokio::test(start_paused = true)]
async fn times_come_from_the_schema_through_its_adapters() {
    let world = World::new(1);
    for millis in [5_000, 4_000, 9_000] {
        world.put("key", &format!("{millis}")).await;
    }
    world.put("key", "no number").await;
    let time_of = |text: &String, _: Option<SystemTime>| text.parse().ok().map(from_unix_millis);
    let consumer = world
        .consumer()
        .schema(Utf8.with_event_time(time_of).or_skip().with_metadata())
        .watermarks(WatermarkStrategy::bounded_out_of_orderness(2 * SECOND))
        .max_batch(1)
        .build()
        .unwrap();
    let (handle, seen) = (consumer.handle(), Arc::new(Mutex::new(Vec::new())));
    let batches = Arc::clone(&seen);
    handle.drain();
    let job = consumer.run(move |_: &ShardContext| {
        let batches = Arc::clone(&batches);
        kinesis_consumer::Stateless(move |batch: Batch<kinesis_consumer::Described<String>>| {
            batches.lock().push(batch.items[0].item.clone());
            Ok(Vec::new())
        })
    });
    job.await.unwrap();
    assert_eq!(*seen.lock(), ["5000", "4000", "9000", "no number"]);
    let saved = kinesis_consumer::CheckpointStore::open(&world.store, "consumer").await.unwrap().latest.unwrap();
    let progress = saved.streams[0].shards[0].progress.clone().unwrap();
    assert_eq!(progress.watermark, Some(from_unix_millis(7_000)));
}

#[tokio::test(start_paused = true)]
async fn a_pulled_job_has_the_same_watermarks_and_keeps_them_with_its_positions() {
    let fake = FakeKinesis::builder().stream(STREAM, 2).virtual_time().build();
    let count = three_generations_small(&fake).await;
    let world = World::of(fake);
    let mut kept: Option<Positions> = None;
    let (mut records, mut reached, mut ahead) = (0, None, false);
    while records < count {
        let config = config(RecordPublisher::Polling, StartingPosition::TrimHorizon, event_time(None));
        let builder = KinesisConsumer::builder()
            .sdk_client(world.fake.client())
            .clock(world.fake.clock())
            .streams([STREAM])
            .config(config)
            .seed(records)
            .positions(kept.clone())
            .watermarks(WatermarkStrategy::monotonous())
            .align_watermarks()
            .max_batch(7);
        let mut subtasks = builder.build_pull().unwrap().into_subtasks().await.unwrap();
        for _ in 0..20 {
            let next = tokio::time::timeout(MINUTE, subtasks[0].next_batch());
            let Ok(Ok(Some(batch))) = next.await else { break };
            records += batch.items.len() as u64;
            assert!(batch.watermark >= reached, "{:?} after {reached:?}", batch.watermark);
            reached = batch.watermark;
            let is_late = |record: &&Record| record.arrived_at < batch.watermark;
            assert_eq!(batch.items.iter().find(is_late), None, "nothing is late");
            let snapshot = subtasks[0].snapshot();
            let saved = Checkpoint::decode(snapshot.encode()).unwrap();
            let progress = saved.streams[0].shards.iter().filter_map(|state| state.progress.as_ref());
            ahead |= progress.max_by_key(|progress| progress.watermark).unwrap().watermark > reached;
            kept = Some(snapshot);
        }
    }
    assert_eq!(records, count);
    assert!(reached.is_some() && ahead, "a shard is saved with its own watermark, not with the job's");
}

/// Some hours of records, of shards that are split in between.
async fn three_generations_small(fake: &FakeKinesis) -> u64 {
    let mut count = 0;
    for minute in 0..180 {
        count += put_into_all(fake, b"record", |index| index != 1 || minute % 7 == 0).await;
        match minute {
            60 => drop(fake.split(STREAM, "shardId-000000000000").unwrap()),
            120 => drop(fake.split(STREAM, "shardId-000000000002").unwrap()),
            _ => {}
        }
        fake.advance(MINUTE);
    }
    count
}

#[test]
fn alignment_needs_watermarks() {
    let world = World::new(1);
    let refused = world.consumer().align_watermarks().build().map(drop);
    assert!(matches!(refused, Err(BuildError::Missing { method: "watermarks", .. })));
}

/// While nobody knows of the children, what arrives in them is not late: they are waited for where their parent ended.
#[tokio::test(start_paused = true)]
async fn children_that_are_discovered_late_are_not_late() {
    for reader in READERS {
        let (world, times) = (World::new(2), Times::default());
        let running = start(&times, consumer(&world, reader, Some(20 * SECOND)));
        put_into_all(&world.fake, b"record", |_| true).await;
        sleep(30 * SECOND).await;
        let fault = FaultRule::on(Operation::ListShards).fault(Fault::internal_failure());
        world.fake.inject(fault.always().until(10 * MINUTE));
        world.fake.split(STREAM, "shardId-000000000000").unwrap();
        for _ in 0..60 {
            put_into_all(&world.fake, b"record", |_| true).await;
            sleep(10 * SECOND).await;
        }
        let held = running.handle.status().watermark;
        sleep(MINUTE).await;
        assert!(running.handle.status().watermark > held, "and goes on from there");
        running.drain().await.unwrap();
        let observed = times.0.lock();
        assert_eq!((observed.records, observed.late), (2 + 3 * 60, 0), "{reader:?}");
    }
}

/// C8: what was fetched, and given back to the memory budget before it was delivered, was not read.
#[tokio::test(start_paused = true)]
async fn what_retention_takes_of_a_shard_that_waits_is_reported() {
    for reader in READERS {
        let (world, times) = (World::new(2), Times::default());
        let began = world.fake.clock().now();
        // Two shards' do not fit the memory budget, so that the second asks for what the first one holds.
        let data = vec![b'x'; 900 * 1024];
        for hour in 0..20 {
            if [0, 1, 2, 3, 4, 5, 19].contains(&hour) {
                put_into_all(&world.fake, &data, |_| true).await;
            }
            world.fake.advance(HOUR);
        }
        // Nobody hears how far the other shard is.
        let operation =
            if reader == RecordPublisher::Polling { Operation::GetRecords } else { Operation::SubscribeToShard };
        let silenced = FaultRule::on(operation).shard(ShardId::from_index(1)).fault(Fault::throttle()).always();
        world.fake.inject(silenced);
        let config = config(reader, StartingPosition::AtTimestamp(began), event_time(None));
        let builder = consumer(&world, reader, None).config(config).loss(LossPolicy::Continue);
        let running = start(&times, builder.align_watermarks().memory_bytes(10 << 20));
        sleep(MINUTE).await;
        assert_eq!(times.0.lock().records, 0, "{reader:?}: the first shard waits");
        world.fake.advance(8 * HOUR);
        world.fake.heal();
        running.drain().await.unwrap();
        let is_of_first = |event: &ConsumerEvent| match event {
            ConsumerEvent::PossibleLoss(loss) => loss.shard.shard == ShardId::from_index(0),
            _ => false,
        };
        assert!(
            world.events().iter().any(is_of_first),
            "{reader:?}: {} records of 14 were read",
            times.0.lock().records
        );
    }
}

/// A checkpoint is a cut: what is reached between the barrier of one subtask and that of another is not of it.
#[tokio::test(start_paused = true)]
async fn a_watermark_that_is_reached_behind_the_barrier_is_not_saved() {
    let (world, times) = (World::new(2), Times::default());
    let put = async |shard: u64| put_into_all(&world.fake, b"record", |index| index == shard).await;
    let builder = || {
        let builder = consumer(&world, RecordPublisher::Polling, None).parallelism(2).assigner(UniformAssigner);
        builder.checkpoints(world.store.clone(), HOUR)
    };
    put(0).await;
    put(1).await;
    // The second shard's subtask is ten seconds in every batch.
    let running = start_paced(&times, builder(), [Duration::ZERO, 10 * SECOND]);
    sleep(5 * SECOND).await;
    let late = FaultRule::on(Operation::GetRecords).shard(ShardId::from_index(0)).fault(Fault::throttle()).always();
    world.fake.inject(late.until(22 * SECOND));
    sleep(5 * SECOND).await;
    put(0).await; // at 10 s, and read after 27 s
    sleep(5 * SECOND).await;
    put(1).await; // at 15 s, and processed by 26 s
    sleep(5 * SECOND).await;
    put(0).await; // at 20 s, and read after 27 s
    sleep(4 * SECOND).await;
    put(1).await; // at 24 s, and processed by 36 s
    sleep(3 * SECOND - SECOND / 2).await;
    running.handle.checkpoint(); // at 26.5 s: the first shard's subtask answers at once, the other after its batch
    sleep(7 * SECOND).await;
    assert_eq!(times.0.lock().records, 2 + 2 + 1, "the other is in its last batch");
    assert_eq!(world.saved_epoch().await.unwrap().0, 0);
    sleep(5 * SECOND).await;
    assert_eq!(world.saved_epoch().await.unwrap().0, 1);
    running.kill().await;
    start(&times, builder()).drain().await.unwrap();
    let observed = times.0.lock();
    assert_eq!((observed.records, observed.late), (6 + 2, 0), "the two of the first shard are read again");
}
