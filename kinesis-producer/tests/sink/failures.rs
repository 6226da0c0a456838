use bytes::Bytes;
use kinesis_producer::{
    BoxError, KinesisSerializationSchema, ProducerConfig, PutError, SinkFailure, SinkFlushError, StreamTarget,
    WriteError,
};
use kinesis_testkit::{Fault, FaultRule, Operation};
use tokio::time::{Instant, sleep};

use crate::support::{chain, data, denied, element, kinesis, millis, producer, producer_with, sink, write};

fn counts(failure: &SinkFailure) -> (u64, u64) {
    match failure {
        SinkFailure::Delivery(error) => (error.failed, error.unknown),
        other => panic!("{other}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_surfaces_once_at_the_next_write() {
    let kinesis = kinesis().build();
    kinesis.inject(denied());
    let producer = producer(&kinesis).await;
    let sink = sink(&producer).fail_on_error(true).build().await.unwrap();
    write(&sink, 0..1).await;
    sleep(millis(1000)).await;
    let WriteError::Earlier(failure) = sink.write(&element(1)).await.unwrap_err() else {
        panic!("element 0 was not stored");
    };
    assert_eq!((counts(&failure), failure.stream().as_str()), ((1, 0), "orders"));
    assert!(chain(&WriteError::Earlier(failure)).contains("AccessDenied"));
    sink.write(&element(2)).await.unwrap();
    sink.flush().await.unwrap();
    assert_eq!(data(&kinesis, "orders"), ["2"], "the element of the write that failed was not accepted");
    let stats = sink.stats();
    assert_eq!((stats.written, stats.stored, stats.failed), (2, 1, 1), "{stats:?}");
}

/// The failure that gives a waiting write its room is told by that write.
#[tokio::test(start_paused = true)]
async fn a_failure_surfaces_at_a_write_that_waits() {
    let kinesis = kinesis().build();
    kinesis.inject(denied());
    let producer = producer(&kinesis).await;
    let sink = sink(&producer).queue_limit(1).fail_on_error(true).build().await.unwrap();
    write(&sink, 0..1).await;
    assert!(matches!(sink.write(&element(1)).await, Err(WriteError::Earlier(_))));
    write(&sink, 2..3).await;
    sink.flush().await.unwrap();
    assert_eq!(data(&kinesis, "orders"), ["2"], "the room of the write that failed is given back");
}

#[tokio::test(start_paused = true)]
async fn a_failure_surfaces_once_at_the_next_flush() {
    let kinesis = kinesis().build();
    kinesis.inject(denied());
    let producer = producer(&kinesis).await;
    let sink = sink(&producer).fail_on_error(true).build().await.unwrap();
    write(&sink, 0..1).await;
    let SinkFlushError::Earlier(failure) = sink.flush().await.unwrap_err() else {
        panic!("element 0 was not stored");
    };
    assert_eq!(counts(&failure), (1, 0));
    sink.flush().await.unwrap();
    write(&sink, 1..2).await;
    sink.flush().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn failures_of_many_records_are_told_together() {
    let kinesis = kinesis().build();
    kinesis.inject(denied().always());
    let producer = producer(&kinesis).await;
    let sink = sink(&producer).fail_on_error(true).build().await.unwrap();
    write(&sink, 0..1000).await;
    let SinkFlushError::Earlier(failure) = sink.flush().await.unwrap_err() else {
        panic!("nothing was stored");
    };
    assert_eq!(counts(&failure), (1000, 0));
}

#[tokio::test(start_paused = true)]
async fn what_may_be_stored_is_a_failure_too() {
    let kinesis = kinesis().build();
    kinesis.inject(FaultRule::on(Operation::PutRecords).fault(Fault::Hang).always());
    let producer = producer(&kinesis).await;
    let sink = sink(&producer).fail_on_error(true).build().await.unwrap();
    write(&sink, 0..1).await;
    let SinkFlushError::Earlier(failure) = sink.flush().await.unwrap_err() else {
        panic!("no attempt was answered");
    };
    assert_eq!((counts(&failure), sink.stats().unknown), ((0, 1), 1));
}

#[tokio::test(start_paused = true)]
async fn without_fail_on_error_failures_are_counted_and_stop_nothing() {
    let kinesis = kinesis().build();
    kinesis.inject(denied());
    let producer = producer(&kinesis).await;
    let sink = sink(&producer).build().await.unwrap();
    write(&sink, 0..1).await;
    sink.flush().await.unwrap();
    write(&sink, 1..2).await;
    sink.flush().await.unwrap();
    let stats = sink.stats();
    assert_eq!((stats.written, stats.stored, stats.failed), (2, 1, 1), "{stats:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_does_not_exist_fails_its_records_in_both_modes() {
    let kinesis = kinesis().build();
    let producer = producer(&kinesis).await;
    let strict = sink(&producer).stream("missing").fail_on_error(true).build().await.unwrap();
    write(&strict, 0..3).await;
    let error = strict.flush().await.unwrap_err();
    assert!(chain(&error).contains("ResourceNotFound"), "{}", chain(&error));
    let lenient = sink(&producer).stream("missing").build().await.unwrap();
    write(&lenient, 0..3).await;
    lenient.flush().await.unwrap();
    assert_eq!((strict.stats().failed, lenient.stats().failed), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn a_record_over_the_streams_limit_fails_alone() {
    let kinesis = kinesis().build();
    let producer = producer(&kinesis).await;
    let sink = sink(&producer).default_partition("k").fail_on_error(true).build().await.unwrap();
    sink.write(&"x".repeat(2 * 1024 * 1024)).await.unwrap();
    write(&sink, 0..1).await;
    let error = sink.flush().await.unwrap_err();
    assert!(chain(&error).contains("exceeds the stream's limit of 1048576"), "{}", chain(&error));
    assert_eq!(data(&kinesis, "orders"), ["0"]);
}

/// A failure is known when its own outcome is, however long an earlier record takes.
#[tokio::test(start_paused = true)]
async fn a_slow_record_does_not_hide_the_failure_of_a_later_one() {
    let kinesis = kinesis().build();
    let throttled = FaultRule::on(Operation::PutRecords).fault(Fault::throttle()).always();
    kinesis.inject(throttled.stream("errors".parse().unwrap()));
    kinesis.inject(denied().stream("orders".parse().unwrap()));
    let producer = producer(&kinesis).await;
    let new = sink(&producer).fail_on_error(true).kinesis_schema(FirstToErrors);
    let sink = new.build().await.unwrap();
    let started = Instant::now();
    write(&sink, 0..2).await;
    while sink.stats().failed == 0 {
        sleep(millis(10)).await;
    }
    assert!(started.elapsed() < millis(1000), "{:?}", started.elapsed());
    assert!(matches!(sink.write(&element(2)).await, Err(WriteError::Earlier(_))));
    assert_eq!(sink.stats().outstanding(), 1);
}

struct FirstToErrors;

impl KinesisSerializationSchema<String> for FirstToErrors {
    fn encode(&self, element: &String) -> Result<Bytes, BoxError> {
        Ok(element.clone().into())
    }

    fn target_stream(&self, element: &String) -> Option<StreamTarget> {
        (element == "0").then(|| "errors".into())
    }
}

/// The producer's own `fail_on_error` is not hidden by the sink.
#[tokio::test(start_paused = true)]
async fn a_producer_that_fails_on_error_itself_is_heard() {
    let kinesis = kinesis().build();
    kinesis.inject(denied().times(2));
    let producer = producer_with(&kinesis, ProducerConfig::default().fail_on_error(true)).await;
    let lenient = sink(&producer).build().await.unwrap();
    write(&lenient, 0..1).await;
    sleep(millis(1000)).await;
    let error = lenient.write(&element(1)).await.unwrap_err();
    assert!(matches!(error, WriteError::Put(PutError::Earlier(_))), "{error}");
    write(&lenient, 2..3).await;
    assert!(matches!(lenient.flush().await, Err(SinkFlushError::Producer(_))));
    lenient.flush().await.unwrap();

    kinesis.inject(denied());
    let strict = sink(&producer).fail_on_error(true).build().await.unwrap();
    write(&strict, 3..4).await;
    assert!(matches!(strict.flush().await, Err(SinkFlushError::Earlier(_))), "the sink's own word comes first");
    strict.flush().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn dropping_the_sink_and_its_producer_leaves_nothing_behind() {
    let kinesis = kinesis().build();
    let producer = producer(&kinesis).await;
    let sink = sink(&producer).build().await.unwrap();
    write(&sink, 0..3).await;
    drop(producer);
    let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    drop(sink);
    sleep(millis(60_000)).await;
    assert_eq!(before - tokio::runtime::Handle::current().metrics().num_alive_tasks(), 2, "engine and watcher");
    assert!(data(&kinesis, "orders").is_empty());
}
