//! The thread of a producer in a program without a runtime.

use std::io;
use std::thread::{Builder, JoinHandle};

use crossbeam_channel::bounded;
use tokio::runtime::{self, Handle};

use crate::error::BuildError;
use crate::producer::{KinesisProducer, KinesisProducerBuilder};

/// Builds the producer on a thread of its own, which ends with the producer.
///
/// What runs there is its own runtime, so that no order of anybody else's depends on it.
pub(super) fn spawn(builder: KinesisProducerBuilder) -> Result<(KinesisProducer, Handle, JoinHandle<()>), BuildError> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(BuildError::Thread)?;
    let handle = runtime.handle().clone();
    let (answer, built) = bounded(1);
    let work = move || {
        runtime.block_on(async move {
            let producer = builder.build().await;
            let end = producer.as_ref().ok().map(KinesisProducer::engine_end);
            // Whoever asked waits for it.
            let _ = answer.send(producer);
            if let Some(end) = end {
                end.await;
            }
        });
        // A name look-up that hangs must not hold the program up.
        runtime.shutdown_background();
    };
    let thread = Builder::new().name("kinesis-producer".to_owned()).spawn(work).map_err(BuildError::Thread)?;
    let gone = || BuildError::Thread(io::Error::other("the producer's thread has ended"));
    let producer = built.recv().map_err(|_| gone())??;
    Ok((producer, handle, thread))
}
