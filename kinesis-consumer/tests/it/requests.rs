//! What is asked of a job by its handle is asked of one run.

use std::sync::Arc;
use std::time::Duration;

use kinesis_consumer::{Batch, BoxError, Processor, Record, SavedState, ShardContext, Stateless};

use crate::support::World;

#[tokio::test(start_paused = true)]
async fn what_was_asked_of_a_run_that_was_dropped_is_not_asked_of_the_next() {
    let world = World::new(1);
    let consumer = world.consumer().build().unwrap();
    let factory = |_: &ShardContext| Stateless(|_: Batch<Record>| Ok::<Vec<()>, BoxError>(Vec::new()));
    {
        let mut run = Box::pin(consumer.run(factory));
        assert!(tokio::time::timeout(Duration::from_secs(3), &mut run).await.is_err());
        consumer.handle().stop();
    }
    let next = tokio::time::timeout(Duration::from_secs(60), consumer.run(factory)).await;
    assert!(next.is_err(), "nobody asked this run to stop: {next:?}");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_fenced_does_not_take_back_what_was_asked_of_its_successor() {
    let world = World::new(1);
    world.put_many(0..60).await;
    let consumer = Arc::new(world.consumer().max_batch(1).build().unwrap());
    let run = || {
        let consumer = Arc::clone(&consumer);
        tokio::spawn(async move { consumer.run(|_| Slow).await })
    };
    let first = run();
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    let second = run();
    tokio::time::sleep(Duration::from_millis(100)).await;
    consumer.handle().drain();
    let fenced = first.await.unwrap();
    assert!(fenced.is_err(), "{fenced:?}");
    let ended = tokio::time::timeout(Duration::from_secs(600), second).await;
    assert!(ended.is_ok(), "the second run was asked to drain and has read everything long ago");
}

struct Slow;

#[async_trait::async_trait]
impl Processor<Record> for Slow {
    type Output = ();

    async fn process(&mut self, _batch: Batch<Record>, _output: &mut Vec<()>) -> Result<(), BoxError> {
        tokio::time::sleep(Duration::from_millis(500)).await;
        Ok(())
    }

    fn snapshot(&self) -> Result<bytes::Bytes, BoxError> {
        Ok(bytes::Bytes::new())
    }

    fn restore(&mut self, _states: &[SavedState]) -> Result<(), BoxError> {
        Ok(())
    }
}
