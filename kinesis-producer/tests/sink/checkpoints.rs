use std::error::Error as _;

use bytes::Bytes;
use kinesis_core::{CheckpointParticipant, Epoch};
use kinesis_producer::{
    BoxError, KinesisSerializationSchema, ProducerParticipant, SinkFailure, StreamTarget, UserRecord, WriteError,
};
use kinesis_testkit::{Fault, FaultRule, Operation};
use tokio::time::{Instant, sleep};

use crate::support::{chain, data, denied, element, kinesis, millis, producer, sink, write};

#[tokio::test(start_paused = true)]
async fn a_checkpoint_waits_until_everything_before_it_is_stored() {
    let kinesis = kinesis().build();
    kinesis.inject(FaultRule::on(Operation::PutRecords).fault(Fault::throttle()).times(4));
    let producer = producer(&kinesis).await;
    let sink = sink(&producer).fail_on_error(true).build().await.unwrap();
    write(&sink, 0..100).await;
    assert_eq!(sink.pre_commit(Epoch(1)).await.unwrap(), None, "there is nothing to commit");
    assert_eq!(data(&kinesis, "orders").len(), 100);
    assert_eq!((sink.stats().stored, sink.stats().outstanding()), (100, 0));
}

/// One of three records fails while the checkpoint waits for the last.
#[tokio::test(start_paused = true)]
async fn a_record_that_fails_while_a_checkpoint_waits_fails_it() {
    let kinesis = kinesis().build();
    let slow = FaultRule::on(Operation::PutRecords).fault(Fault::Delay(millis(3000)));
    kinesis.inject(slow.stream("orders".parse().unwrap()));
    kinesis.inject(denied().stream("errors".parse().unwrap()));
    let producer = producer(&kinesis).await;
    let sink = sink(&producer).fail_on_error(true).kinesis_schema(ByLength).build().await.unwrap();
    for number in [1, 22, 3] {
        sink.write(&element(number)).await.unwrap();
    }
    let started = Instant::now();
    let error = sink.pre_commit(Epoch(1)).await.unwrap_err();
    assert!(started.elapsed() > millis(3000), "it waits for all: {:?}", started.elapsed());
    assert_eq!(error.to_string(), "pre-commit of epoch 1 failed on errors");
    assert_eq!((data(&kinesis, "orders").len(), sink.stats().failed), (2, 1));
}

/// What others write meanwhile belongs to the next checkpoint.
#[tokio::test(start_paused = true)]
async fn a_checkpoint_does_not_wait_for_what_is_written_after_it() {
    let kinesis = kinesis().build();
    let throttled = FaultRule::on(Operation::PutRecords).fault(Fault::throttle()).always();
    kinesis.inject(throttled.stream("errors".parse().unwrap()));
    let producer = producer(&kinesis).await;
    let sink = sink(&producer).fail_on_error(true).kinesis_schema(ByLength).build().await.unwrap();
    write(&sink, 0..10).await;
    let started = Instant::now();
    let mut checkpoint = Box::pin(sink.pre_commit(Epoch(1)));
    assert!(is_pending(&mut checkpoint).await);
    write(&sink, 10..100).await;
    checkpoint.await.unwrap();
    assert!(started.elapsed() < millis(1000), "{:?}", started.elapsed());
    assert_eq!((sink.stats().stored, sink.stats().outstanding()), (10, 90));
    let error = sink.pre_commit(Epoch(2)).await.unwrap_err();
    assert!(started.elapsed() > millis(29_000), "the records lived: {:?}", started.elapsed());
    assert!(chain(&error).contains("record_ttl"), "{}", chain(&error));
}

/// Sends what is longer than a digit to the other stream.
struct ByLength;

impl KinesisSerializationSchema<String> for ByLength {
    fn encode(&self, element: &String) -> Result<Bytes, BoxError> {
        Ok(element.clone().into())
    }

    fn target_stream(&self, element: &String) -> Option<StreamTarget> {
        (element.len() > 1).then(|| "errors".into())
    }
}

/// Polls once; whether there is no result yet.
async fn is_pending<F: Future + Unpin>(future: &mut F) -> bool {
    std::future::poll_fn(|cx| std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx).is_pending())).await
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_fails_by_name_while_a_record_is_not_stored() {
    let kinesis = kinesis().build();
    kinesis.inject(denied());
    let producer = producer(&kinesis).await;
    let sink = sink(&producer).fail_on_error(true).build().await.unwrap();
    write(&sink, 0..3).await;
    let error = sink.pre_commit(Epoch(7)).await.unwrap_err();
    assert_eq!(error.to_string(), "pre-commit of epoch 7 failed on orders");
    let Some(SinkFailure::Delivery(delivery)) = error.source().and_then(|source| source.downcast_ref()) else {
        panic!("{error:?}");
    };
    // The fault struck one of the two shards' requests, or the one of both.
    assert!(delivery.failed >= 1 && delivery.unknown == 0, "{delivery}");
    assert!(chain(&error).contains("AccessDenied"), "{}", chain(&error));
    sink.write(&element(3)).await.expect("the checkpoint has told it");
    sink.pre_commit(Epoch(8)).await.expect("each failure fails one checkpoint");
}

/// A job that goes on after a write has failed does not get a checkpoint past the failure.
#[tokio::test(start_paused = true)]
async fn a_failure_that_a_write_has_told_fails_the_checkpoint_all_the_same() {
    let kinesis = kinesis().build();
    kinesis.inject(denied());
    let producer = producer(&kinesis).await;
    let sink = sink(&producer).fail_on_error(true).build().await.unwrap();
    write(&sink, 0..1).await;
    sleep(millis(1000)).await;
    assert!(matches!(sink.write(&element(1)).await, Err(WriteError::Earlier(_))));
    sink.flush().await.unwrap();
    assert!(sink.pre_commit(Epoch(1)).await.is_err());
    sink.pre_commit(Epoch(2)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_fail_on_error_a_checkpoint_passes_failures_once_they_are_known() {
    let kinesis = kinesis().build();
    kinesis.inject(FaultRule::on(Operation::PutRecords).fault(Fault::Hang).times(4));
    kinesis.inject(denied().nth(5));
    let producer = producer(&kinesis).await;
    let sink = sink(&producer).build().await.unwrap();
    write(&sink, 0..1).await;
    sink.pre_commit(Epoch(1)).await.unwrap();
    write(&sink, 1..2).await;
    sink.pre_commit(Epoch(2)).await.unwrap();
    let stats = sink.stats();
    assert_eq!((stats.outstanding(), stats.failed + stats.unknown + stats.stored), (0, 2), "{stats:?}");
    assert!(stats.unknown >= 1, "{stats:?}");
}

#[tokio::test(start_paused = true)]
async fn a_restored_job_does_not_answer_for_what_it_writes_again() {
    let kinesis = kinesis().build();
    kinesis.inject(denied().times(2));
    let producer = producer(&kinesis).await;
    let sink = sink(&producer).fail_on_error(true).build().await.unwrap();
    write(&sink, 0..1).await;
    sleep(millis(1000)).await;
    sink.recover(Epoch(0), &[]).await.unwrap();
    write(&sink, 1..2).await;
    // This one fails only after the job was restored.
    sink.recover(Epoch(0), &[]).await.unwrap();
    sink.pre_commit(Epoch(1)).await.unwrap();
    assert_eq!(sink.stats().failed, 2, "they are counted all the same");
    write(&sink, 0..2).await;
    sink.pre_commit(Epoch(2)).await.unwrap();
    assert_eq!(data(&kinesis, "orders"), ["0", "1"]);
}

#[tokio::test(start_paused = true)]
async fn a_closed_producer_fails_a_checkpoint_only_where_something_is_not_stored() {
    let kinesis = kinesis().build();
    let producer = producer(&kinesis).await;
    let sink = sink(&producer).fail_on_error(true).build().await.unwrap();
    write(&sink, 0..5).await;
    producer.close().await.unwrap();
    sink.pre_commit(Epoch(1)).await.expect("all of it is stored");
    let bare = ProducerParticipant::new(producer);
    assert!(bare.pre_commit(Epoch(1)).await.is_err(), "of a bare producer nothing is known any more");
}

/// Two sinks of a producer answer for their own records.
#[tokio::test(start_paused = true)]
async fn a_sink_does_not_fail_for_the_records_of_another() {
    let kinesis = kinesis().build();
    kinesis.inject(denied().stream("errors".parse().unwrap()));
    let producer = producer(&kinesis).await;
    let orders = sink(&producer).fail_on_error(true).build().await.unwrap();
    let errors = sink(&producer).stream("errors").fail_on_error(true).build().await.unwrap();
    write(&orders, 0..1).await;
    write(&errors, 1..2).await;
    orders.pre_commit(Epoch(1)).await.unwrap();
    assert_eq!(errors.pre_commit(Epoch(1)).await.unwrap_err().to_string(), "pre-commit of epoch 1 failed on errors");
}

#[tokio::test(start_paused = true)]
async fn a_producers_restored_job_does_not_fail_for_what_failed_before() {
    let kinesis = kinesis().build();
    kinesis.inject(denied().times(1));
    let producer = producer(&kinesis).await;
    let participant = ProducerParticipant::new(producer.clone());
    let put = async || producer.put(UserRecord::new("orders", "k", "x")).await.unwrap().await;
    assert!(!put().await.is_stored());
    participant.recover(Epoch(1), &[]).await.unwrap();
    assert!(put().await.is_stored());
    participant.pre_commit(Epoch(2)).await.unwrap();
}
