//! Writes the lines, and reshards the stream while it does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use kinesis_core::{HashKey, Shard};
use kinesis_producer::{KinesisProducer, ProducerStats, UserRecord};

use crate::failure::{Failure, failed};
use crate::input::Input;
use crate::line::{Content, partition_key, seal};
use crate::observer::Observer;
use crate::plan::{self, Step};
use crate::view::View;
use crate::world::World;

/// Writes a run's lines once each, as far as the producer can tell.
pub(crate) struct Feed {
    pub(crate) world: World,
    pub(crate) producer: KinesisProducer,
    pub(crate) observer: Arc<Observer>,
    pub(crate) view: Arc<View>,
    pub(crate) input: Input,
    /// Numbers of lines that no record can hold, sorted.
    pub(crate) left_out: Vec<u64>,
    /// Hash keys of the input, for the choice of shards.
    pub(crate) sample: Vec<HashKey>,
    pub(crate) steps: Vec<(u64, Step)>,
    pub(crate) written: Arc<AtomicU64>,
}

/// What writing came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fed {
    pub(crate) stats: ProducerStats,
    pub(crate) reshards: u64,
}

impl Feed {
    /// Writes every line and returns once each put has its outcome.
    pub(crate) async fn run(self) -> Result<Fed, Failure> {
        let mut steps = self.steps.iter().copied().peekable();
        let mut reshards = 0;
        let mut number = 0;
        let unreadable = |error| failed("the input cannot be read", &error);
        let mut lines = self.input.lines().map_err(unreadable)?;
        while let Some(line) = lines.next_line().map_err(unreadable)? {
            while let Some((_, step)) = steps.next_if(|(at, _)| *at <= number) {
                reshards += self.step(step, number).await?;
            }
            if self.left_out.binary_search(&number).is_err() {
                self.put(number, line).await?;
            }
            number += 1;
            self.written.store(number, Ordering::Relaxed);
        }
        self.producer.close().await.map_err(|error| failed("the producer cannot be closed", &error))?;
        Ok(Fed { stats: self.producer.stats(), reshards })
    }

    async fn put(&self, number: u64, line: &[u8]) -> Result<(), Failure> {
        let key = partition_key(line, number);
        let content = Content::Line { number, text: Bytes::copy_from_slice(line) };
        let data = seal(self.observer.run(), &content);
        let put = self.producer.put(UserRecord::new(&self.world.stream, key, data)).await;
        put.map(drop).map_err(|error| failed(&format!("line {} cannot be written", number + 1), &error))
    }

    /// Carries a step out; returns how often the stream was resharded.
    async fn step(&self, step: Step, at: u64) -> Result<u64, Failure> {
        let (kind, made, detail) = match step {
            Step::LoseReply => {
                self.world.lose_next_reply();
                self.view.event("lose_reply", at, "the reply to the next write is lost after it was stored");
                return Ok(0);
            }
            Step::Flush => {
                self.producer.flush().await.map_err(|error| failed("the producer cannot be flushed", &error))?;
                return Ok(0);
            }
            Step::Split => {
                let open = self.world.open_shards().await?;
                let Some((shard, key)) = plan::split(&open, &self.sample) else { return Ok(0) };
                let detail = format!("{} at {key}", shard.id);
                ("split", self.world.split(&shard, key).await?, detail)
            }
            Step::Merge => {
                let open = self.world.open_shards().await?;
                let Some((low, high)) = plan::merge(&open, &self.sample) else { return Ok(0) };
                let detail = format!("{} and {}", low.id, high.id);
                ("merge", self.world.merge(&low, &high).await?, detail)
            }
        };
        self.view.event(kind, at, &detail);
        self.probe(made).await?;
        Ok(1)
    }

    /// Sends each new shard a record of its own, in case the input has no key for it.
    async fn probe(&self, made: Vec<Shard>) -> Result<(), Failure> {
        self.observer.expect_children(made.iter().map(|shard| shard.id.clone()));
        for shard in made {
            let data = seal(self.observer.run(), &Content::Probe);
            let record =
                UserRecord::new(&self.world.stream, "probe", data).explicit_hash_key(shard.hash_key_range.start());
            self.producer.put(record).await.map_err(|error| failed("a probe cannot be written", &error))?;
        }
        Ok(())
    }
}
