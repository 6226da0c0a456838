use kinesis_producer::{ProducerConfig, UserRecord};
use kinesis_testkit::{FakeKinesis, Limits};
use tokio::time::Instant;

use crate::support::{kinesis, millis, producer, puts};

/// Writes that many records of 100 bytes under many keys, and returns the throttles and the seconds.
async fn load(kinesis: &FakeKinesis, config: ProducerConfig, count: usize) -> (u64, f64) {
    let producer = producer(kinesis, config, 1).await;
    let started = Instant::now();
    for index in 0..count {
        let record = UserRecord::new("orders", format!("key-{}", index % 5000), vec![b'x'; 100]);
        drop(producer.put(record).await.unwrap());
    }
    let stats = producer.close().await.unwrap();
    assert_eq!(stats.user_records_put, count as u64, "{stats:?}");
    (stats.throttled, started.elapsed().as_secs_f64())
}

#[tokio::test(start_paused = true)]
async fn at_rate_limit_100_a_full_stream_is_never_throttled() {
    let kinesis = kinesis(2).limits(Limits::aws()).journal(false).build();
    let (throttled, seconds) = load(&kinesis, ProducerConfig::default(), 100_000).await;
    assert_eq!(throttled, 0);
    // 100,000 records of 100 bytes make 11.4 MB as aggregates, and 2 MiB go per second.
    assert!(seconds > 4.5 && seconds < 7.0, "{seconds} s");
}

#[tokio::test(start_paused = true)]
async fn without_aggregation_the_limit_of_records_holds() {
    let kinesis = kinesis(2).limits(Limits::aws()).journal(false).build();
    let (throttled, seconds) = load(&kinesis, ProducerConfig::default().aggregation(false), 10_000).await;
    assert_eq!(throttled, 0);
    assert!(seconds > 4.0 && seconds < 6.5, "{seconds} s");
}

#[tokio::test(start_paused = true)]
async fn above_it_throttles_are_survived_at_the_services_pace() {
    let kinesis = kinesis(2).limits(Limits::aws()).journal(false).build();
    let (throttled, seconds) = load(&kinesis, ProducerConfig::default().rate_limit(400), 100_000).await;
    assert!(throttled > 0);
    assert!(seconds < 12.0, "{seconds} s");
    assert!(puts(&kinesis) < 600, "{} calls", puts(&kinesis));
}

#[tokio::test(start_paused = true)]
async fn a_hot_shard_does_not_slow_the_others() {
    let kinesis = kinesis(2).limits(Limits::aws()).journal(false).build();
    let producer = producer(&kinesis, ProducerConfig::default(), 1).await;
    let [hot, cool] = crate::support::keys_of_halves(1);
    let mut handles = Vec::new();
    for _ in 0..8 * 20 {
        drop(producer.put(UserRecord::new("orders", hot[0].as_str(), vec![0; 50_000])).await.unwrap());
    }
    let started = Instant::now();
    for _ in 0..10 {
        handles.push(producer.put(UserRecord::new("orders", cool[0].as_str(), vec![0; 100])).await.unwrap());
    }
    for handle in handles {
        assert!(handle.await.is_stored());
    }
    assert!(started.elapsed() < millis(400), "{:?}", started.elapsed());
    let before = started.elapsed();
    producer.close().await.unwrap();
    assert!(started.elapsed() > before + millis(5000), "the hot shard takes its time");
}
