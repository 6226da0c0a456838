use std::collections::BTreeSet;

use bytes::Bytes;
use kinesis_core::Randomness;
use kinesis_producer::{BoxError, KinesisSerializationSchema, ProducerConfig, StreamTarget};
use kinesis_testkit::{Fault, FaultRule, Operation};
use tokio::time::{Instant, timeout};

use crate::support::{data, element, kinesis, millis, producer, producer_with, sink, write};

#[tokio::test(start_paused = true)]
async fn a_full_sink_makes_each_write_wait_for_an_outcome() {
    let kinesis = kinesis().build();
    let producer = producer(&kinesis).await;
    let sink = sink(&producer).queue_limit(1).build().await.unwrap();
    let mut started = Instant::now();
    sink.write(&element(1)).await.unwrap();
    assert_eq!(started.elapsed(), millis(0), "there is room for one");
    for number in 2..5 {
        sink.write(&element(number)).await.unwrap();
        // The buffering time and the request, and the first time the look-up.
        assert!(started.elapsed() >= millis(120), "{:?}", started.elapsed());
        let stats = sink.stats();
        assert_eq!((stats.written, stats.outstanding()), (number as u64, 1), "{stats:?}");
        assert_eq!(stats.backpressured, stats.stored, "{stats:?}");
        started = Instant::now();
    }
    sink.flush().await.unwrap();
    assert_eq!(sink.stats().stored, 4);
}

#[tokio::test(start_paused = true)]
async fn never_more_elements_than_the_limit_have_no_outcome() {
    let kinesis = kinesis().build();
    let producer = producer(&kinesis).await;
    let sink = sink(&producer).queue_limit(50).build().await.unwrap();
    for number in 0..1000 {
        sink.write(&element(number)).await.unwrap();
        assert!(sink.stats().outstanding() <= 50, "{:?}", sink.stats());
    }
    sink.flush().await.unwrap();
    assert_eq!(data(&kinesis, "orders").len(), 1000);
    assert!(sink.stats().backpressured > 0);
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_the_producers_own_holds() {
    let kinesis = kinesis().build();
    let producer = producer_with(&kinesis, ProducerConfig::default().queue_limit_records(10)).await;
    let sink = sink(&producer).unbounded_queue().build().await.unwrap();
    write(&sink, 0..10).await;
    assert!(timeout(millis(1), sink.write(&element(10))).await.is_err());
    sink.flush().await.unwrap();
    write(&sink, 10..11).await;
    sink.flush().await.unwrap();
    assert_eq!(data(&kinesis, "orders").len(), 11);
    assert_eq!(sink.stats().backpressured, 0, "the sink itself has room");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_stands_still_does_not_hold_the_room_of_another() {
    let kinesis = kinesis().build();
    let throttled = FaultRule::on(Operation::PutRecords).fault(Fault::throttle()).always();
    kinesis.inject(throttled.stream("errors".parse().unwrap()));
    let producer = producer(&kinesis).await;
    let moving = sink(&producer).stream("orders").queue_limit(100).kinesis_schema(EveryFortieth);
    let sink = moving.build().await.unwrap();
    let started = Instant::now();
    write(&sink, 0..1000).await;
    assert!(started.elapsed() < millis(10_000), "{:?}", started.elapsed());
    assert_eq!((sink.stats().stored / 100, sink.stats().failed), (9, 0), "{:?}", sink.stats());
}

/// Sends 25 of a thousand to the other stream.
struct EveryFortieth;

impl KinesisSerializationSchema<String> for EveryFortieth {
    fn encode(&self, element: &String) -> Result<Bytes, BoxError> {
        Ok(element.clone().into())
    }

    fn target_stream(&self, element: &String) -> Option<StreamTarget> {
        (element.parse::<u32>().unwrap() % 40 == 0).then(|| "errors".into())
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_cancelled_while_it_waits_has_accepted_nothing() {
    let kinesis = kinesis().build();
    let producer = producer(&kinesis).await;
    let sink = sink(&producer).queue_limit(1).build().await.unwrap();
    write(&sink, 0..1).await;
    assert!(timeout(millis(1), sink.write(&element(1))).await.is_err());
    drop(sink.write(&element(2)));
    sink.flush().await.unwrap();
    assert_eq!((sink.stats().written, sink.stats().stored), (1, 1));
    write(&sink, 3..4).await;
    sink.flush().await.unwrap();
    assert_eq!(data(&kinesis, "orders"), ["0", "3"], "and the room of a cancelled write is given back");
}

/// Wherever writes are cut off, what was accepted is stored, counted and room again, and nothing else is stored.
#[tokio::test(start_paused = true)]
async fn cancelled_writes_lose_nothing_that_was_accepted() {
    for seed in 0..40 {
        let mut random = Randomness::from_seed(seed).stream("cancel");
        let kinesis = kinesis().build();
        let config = ProducerConfig::default().queue_limit_records(1 + random.below(20) as usize);
        let producer = producer_with(&kinesis, config).await;
        let sink = sink(&producer).queue_limit(1 + random.below(20) as usize).build().await.unwrap();
        let mut accepted = BTreeSet::new();
        for number in 0..200 {
            let patience = millis(random.below(60));
            match timeout(patience, sink.write(&element(number))).await {
                Ok(written) => {
                    written.unwrap();
                    accepted.insert(element(number));
                }
                Err(_) => tokio::task::yield_now().await,
            }
        }
        sink.flush().await.unwrap();
        let stored = data(&kinesis, "orders");
        assert_eq!(stored.len(), accepted.len(), "seed {seed}");
        assert_eq!(stored.into_iter().collect::<BTreeSet<_>>(), accepted, "seed {seed}");
        assert_eq!((sink.stats().stored, sink.stats().outstanding()), (accepted.len() as u64, 0), "seed {seed}");
        assert!(accepted.len() > 20 && accepted.len() < 200, "seed {seed}: {} accepted", accepted.len());
    }
}
