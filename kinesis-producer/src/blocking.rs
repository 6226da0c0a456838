//! The producer for threads that are not asynchronous.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use kinesis_core::StreamName;
use tokio::runtime::Handle;

use crate::acknowledgement::PutHandle;
use crate::error::{BuildError, CloseError, FlushError, OpenError, PutError, TryPutError};
use crate::outcome::Outcome;
use crate::producer::{KinesisProducer, KinesisProducerBuilder, Life};
use crate::record::UserRecord;
use crate::stats::ProducerStats;

mod worker;

/// A producer whose calls block the thread instead of waiting.
///
/// For plain threads, and for those that a runtime keeps for blocking work; any number of them may share it, by clones
/// or by reference. It comes from a [`KinesisProducer`] on somebody's runtime, by
/// [`blocking`](KinesisProducer::blocking), or from
/// [`build_blocking`](KinesisProducerBuilder::build_blocking) with a thread and a runtime of its own, which end with the
/// last clone of the [`producer`](Self::producer) behind it.
///
/// # Panics
/// Calls that may block panic in asynchronous code, as tokio's own do: they would hold up the runtime that they wait
/// for.
#[derive(Clone, Debug)]
pub struct BlockingProducer {
    producer: KinesisProducer,
    runtime: Handle,
    // Behind the producer: the thread ends once that is gone.
    _thread: Option<Arc<Thread>>,
}

/// The thread of a producer that has one of its own.
#[derive(Debug)]
struct Thread {
    handle: Option<JoinHandle<()>>,
    life: Life,
}

impl Drop for Thread {
    fn drop(&mut self) {
        // The thread is left to end by itself in asynchronous code, and where somebody still has the producer behind it.
        if self.life.is_over()
            && Handle::try_current().is_err()
            && let Some(thread) = self.handle.take()
        {
            // A panic of the engine has made every outcome unknown.
            let _ = thread.join();
        }
    }
}

impl KinesisProducerBuilder {
    /// Starts the producer on a thread of its own, for a program that is not asynchronous.
    ///
    /// # Errors
    /// As [`build`](Self::build), and [`BuildError::Thread`] where the system gives no thread or no runtime.
    pub fn build_blocking(self) -> Result<BlockingProducer, BuildError> {
        let (producer, runtime, thread) = worker::spawn(self)?;
        let thread = Thread { handle: Some(thread), life: producer.life() };
        Ok(BlockingProducer { producer, runtime, _thread: Some(Arc::new(thread)) })
    }
}

impl BlockingProducer {
    pub(crate) const fn new(producer: KinesisProducer, runtime: Handle) -> Self {
        Self { producer, runtime, _thread: None }
    }

    /// Accepts a record; blocks while the queue is full.
    ///
    /// # Errors
    /// As [`KinesisProducer::put`].
    pub fn put(&self, record: UserRecord) -> Result<BlockingPutHandle, PutError> {
        match self.producer.try_put(record) {
            Ok(handle) => Ok(self.handle(handle)),
            Err(TryPutError::Put(error)) => Err(error),
            Err(TryPutError::QueueFull(record)) => {
                self.runtime.block_on(self.producer.put(*record)).map(|handle| self.handle(handle))
            }
        }
    }

    /// Accepts a record where there is room now; never blocks.
    ///
    /// # Errors
    /// As [`KinesisProducer::try_put`].
    pub fn try_put(&self, record: UserRecord) -> Result<BlockingPutHandle, TryPutError> {
        self.producer.try_put(record).map(|handle| self.handle(handle))
    }

    /// Looks a stream up before its first record.
    ///
    /// # Errors
    /// As [`KinesisProducer::open`].
    pub fn open(&self, stream: &StreamName) -> Result<(), OpenError> {
        self.runtime.block_on(self.producer.open(stream))
    }

    /// Sends everything now, and blocks until all records accepted before have an outcome.
    ///
    /// # Errors
    /// As [`KinesisProducer::flush`].
    pub fn flush(&self) -> Result<(), FlushError> {
        self.runtime.block_on(self.producer.flush())
    }

    /// The same for the records of one stream.
    ///
    /// # Errors
    /// As [`KinesisProducer::flush_stream`].
    pub fn flush_stream(&self, stream: &StreamName) -> Result<(), FlushError> {
        self.runtime.block_on(self.producer.flush_stream(stream))
    }

    /// Accepts nothing more, blocks until all outcomes are there, and returns the counters.
    ///
    /// # Errors
    /// As [`KinesisProducer::close`].
    pub fn close(&self) -> Result<ProducerStats, CloseError> {
        self.runtime.block_on(self.producer.close())
    }

    /// The same, but gives up after that time what has no outcome by then.
    ///
    /// # Errors
    /// As [`KinesisProducer::close_within`].
    pub fn close_within(&self, limit: Duration) -> Result<ProducerStats, CloseError> {
        self.runtime.block_on(self.producer.close_within(limit))
    }

    /// The producer behind it, for calls that do not block.
    pub const fn producer(&self) -> &KinesisProducer {
        &self.producer
    }

    fn handle(&self, handle: PutHandle) -> BlockingPutHandle {
        BlockingPutHandle { handle, runtime: self.runtime.clone() }
    }
}

/// The outcome of a record, for a thread that blocks until it is there.
#[derive(Debug)]
pub struct BlockingPutHandle {
    handle: PutHandle,
    runtime: Handle,
}

impl BlockingPutHandle {
    /// Blocks until the outcome is there.
    ///
    /// # Panics
    /// In asynchronous code.
    pub fn wait(self) -> Outcome {
        match self.handle.outcome() {
            Some(outcome) => outcome,
            None => self.runtime.block_on(self.handle),
        }
    }

    /// The outcome, where it is known by now.
    pub fn outcome(&self) -> Option<Outcome> {
        self.handle.outcome()
    }
}
