use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kinesis_core::{CheckpointParticipant, Epoch, HashKey};
use kinesis_producer::{
    BoxError, DeadLetter, FailureCause, Partitioner, RecordError, SinkFailure, SinkFlushError, WriteError,
};
use kinesis_testkit::{Fault, FaultRule, Operation};
use tokio::time::{Instant, sleep, timeout};

use crate::support::{Letters, chain, data, denied, element, kinesis, millis, producer, sink, write};

/// A hook that takes its time and keeps what it is given.
fn keep(letters: &Letters, delay: u64) -> impl kinesis_producer::DeadLetters + use<> {
    let letters = letters.clone();
    move |letter: DeadLetter| {
        let letters = letters.clone();
        async move {
            sleep(millis(delay)).await;
            letters.0.lock().push(letter);
            Ok::<(), BoxError>(())
        }
    }
}

struct Keyed;

impl Partitioner<String> for Keyed {
    fn partition_key(&self, element: &String) -> String {
        format!("key-{element}")
    }

    fn explicit_hash_key(&self, _element: &String) -> Option<HashKey> {
        Some(HashKey::new(5))
    }
}

#[tokio::test(start_paused = true)]
async fn the_hook_gets_the_record_as_it_was_and_the_reason() {
    let kinesis = kinesis().build();
    kinesis.inject(denied());
    let producer = producer(&kinesis).await;
    let letters = Letters::default();
    let sink = sink(&producer).partitioner(Keyed).dead_letters(keep(&letters, 0)).build().await.unwrap();
    write(&sink, 0..3).await;
    sink.flush().await.unwrap();
    write(&sink, 3..4).await;
    sink.flush().await.unwrap();
    assert_eq!(letters.data(), ["0", "1", "2"], "in the order in which they were written");
    let letter = letters.0.lock().remove(1);
    assert_eq!((letter.stream.as_str(), letter.partition_key.as_str()), ("orders", "key-1"));
    assert_eq!(letter.explicit_hash_key, Some(HashKey::new(5)));
    let RecordError::Failed { attempts: 1, cause: FailureCause::Request(error) } = &letter.error else {
        panic!("{:?}", letter.error);
    };
    assert!(error.to_string().contains("AccessDenied"), "{error}");
    assert_eq!(data(&kinesis, "orders"), ["3"]);
    let stats = sink.stats();
    assert_eq!((stats.failed, stats.dead_lettered, stats.stored), (3, 3, 1), "{stats:?}");
}

#[tokio::test(start_paused = true)]
async fn the_hook_is_told_what_may_be_stored() {
    let kinesis = kinesis().build();
    kinesis.inject(FaultRule::on(Operation::PutRecords).fault(Fault::HangAfter).always());
    let producer = producer(&kinesis).await;
    let letters = Letters::default();
    let sink = sink(&producer).dead_letters(keep(&letters, 0)).build().await.unwrap();
    write(&sink, 0..1).await;
    sink.flush().await.unwrap();
    assert!(matches!(letters.0.lock()[0].error, RecordError::Unknown { .. }));
    assert!(!data(&kinesis, "orders").is_empty(), "and it is");
}

#[tokio::test(start_paused = true)]
async fn the_hook_is_called_without_anybody_asking() {
    let kinesis = kinesis().build();
    kinesis.inject(denied());
    let producer = producer(&kinesis).await;
    let letters = Letters::default();
    let sink = sink(&producer).dead_letters(keep(&letters, 0)).build().await.unwrap();
    write(&sink, 0..1).await;
    sleep(millis(1000)).await;
    assert_eq!(letters.data(), ["0"]);
    assert_eq!(sink.stats().dead_lettered, 1);
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_waits_until_the_hook_has_taken_what_is_before_it() {
    let kinesis = kinesis().build();
    kinesis.inject(denied());
    let producer = producer(&kinesis).await;
    let letters = Letters::default();
    let sink = sink(&producer).dead_letters(keep(&letters, 60_000)).build().await.unwrap();
    write(&sink, 0..2).await;
    let started = Instant::now();
    sink.pre_commit(Epoch(1)).await.unwrap();
    assert!(started.elapsed() > millis(120_000), "one after the other: {:?}", started.elapsed());
    assert_eq!(letters.data(), ["0", "1"]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_hook_holds_the_room_of_its_records() {
    let kinesis = kinesis().build();
    kinesis.inject(denied());
    let producer = producer(&kinesis).await;
    let letters = Letters::default();
    let sink = sink(&producer).default_partition("one request");
    let sink = sink.queue_limit(2).dead_letters(keep(&letters, 10_000)).build().await.unwrap();
    write(&sink, 0..2).await;
    assert!(timeout(millis(9000), sink.write(&element(2))).await.is_err(), "{:?}", sink.stats());
    write(&sink, 2..3).await;
    assert_eq!(letters.data().len(), 1);
    sink.flush().await.unwrap();
    assert_eq!(data(&kinesis, "orders"), ["2"]);
}

/// A slow hook does not keep the outcomes of others from being seen.
#[tokio::test(start_paused = true)]
async fn a_hook_at_work_does_not_stop_the_sink() {
    let kinesis = kinesis().build();
    kinesis.inject(denied());
    let producer = producer(&kinesis).await;
    let letters = Letters::default();
    let sink = sink(&producer).queue_limit(10).dead_letters(keep(&letters, 3_600_000)).build().await.unwrap();
    write(&sink, 0..1).await;
    sleep(millis(1000)).await;
    let started = Instant::now();
    write(&sink, 1..200).await;
    assert!(started.elapsed() < millis(10_000), "{:?}", started.elapsed());
    assert!(letters.data().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_the_hook_does_not_take_fails_the_next_call_and_the_next_checkpoint() {
    let kinesis = kinesis().build();
    let producer = producer(&kinesis).await;
    let refuse = async |_: DeadLetter| Err::<(), BoxError>("the disk is full".into());
    let sink = sink(&producer).dead_letters(refuse).build().await.unwrap();

    kinesis.inject(denied());
    write(&sink, 0..1).await;
    sleep(millis(1000)).await;
    let error = sink.write(&element(1)).await.unwrap_err();
    assert!(matches!(error, WriteError::Earlier(SinkFailure::DeadLetter(_))), "{error}");
    assert!(chain(&error).contains("the disk is full"), "{}", chain(&error));
    let error = sink.pre_commit(Epoch(1)).await.unwrap_err();
    assert_eq!(error.to_string(), "pre-commit of epoch 1 failed on orders");

    kinesis.inject(denied());
    write(&sink, 2..5).await;
    let Err(SinkFlushError::Earlier(SinkFailure::DeadLetter(error))) = sink.flush().await else {
        panic!("the hook took nothing");
    };
    assert_eq!(error.letters, 3);
    assert_eq!((sink.stats().failed, sink.stats().dead_lettered), (4, 0));
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_is_gone_hands_its_letters_over_first() {
    let kinesis = kinesis().build();
    kinesis.inject(denied());
    let producer = producer(&kinesis).await;
    let letters = Letters::default();
    let sink = sink(&producer).dead_letters(keep(&letters, 5000)).build().await.unwrap();
    write(&sink, 0..2).await;
    drop(sink);
    sleep(millis(60_000)).await;
    assert_eq!(letters.data(), ["0", "1"]);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_producer_makes_dead_letters_of_what_it_held() {
    let kinesis = kinesis().build();
    let producer = producer(&kinesis).await;
    let letters = Letters::default();
    let sink = sink(&producer).dead_letters(keep(&letters, 0)).build().await.unwrap();
    write(&sink, 0..2).await;
    drop((producer, sink));
    sleep(millis(1000)).await;
    let letters = letters.0.lock();
    let abandoned =
        |letter: &DeadLetter| matches!(&letter.error, RecordError::Unknown { cause: FailureCause::Abandoned, .. });
    assert_eq!(letters.iter().filter(|letter| abandoned(letter)).count(), 2, "{letters:?}");
}

/// However the task ends, nobody waits for it for ever.
#[tokio::test(start_paused = true)]
async fn a_hook_that_panics_ends_the_sink() {
    let kinesis = kinesis().build();
    kinesis.inject(denied());
    let producer = producer(&kinesis).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let panics = move |_: DeadLetter| {
        counted.fetch_add(1, Ordering::Relaxed);
        async { panic!("the hook is broken") }
    };
    let sink = sink(&producer).queue_limit(1).dead_letters(panics).build().await.unwrap();
    write(&sink, 0..1).await;
    assert!(matches!(sink.write(&element(1)).await, Err(WriteError::Ended)), "it waited for room");
    assert!(matches!(sink.flush().await, Err(SinkFlushError::Ended)));
    assert!(matches!(sink.write(&element(1)).await, Err(WriteError::Ended)));
    let error = sink.pre_commit(Epoch(1)).await.unwrap_err();
    assert_eq!(error.to_string(), "pre-commit of epoch 1 failed on the sink");
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}
