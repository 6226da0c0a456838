//! What a coordinator asks the service: listings and retentions, and what it makes of the answers.

use std::sync::Arc;

use kinesis_core::{RequestError, RequestErrorKind, Shard, StreamName};
use tokio::time::Instant;
use tracing::Instrument;

use super::{Coordinator, send};
use crate::engine::messages::ToSubtask;
use crate::engine::startup::list;
use crate::error::ConsumerError;
use crate::events::ConsumerEvent;
use crate::lineage::ListingChanges;
use crate::mutants::Mutant;
use crate::reader::{KnownRetention, LossPolicy};
use crate::record::StreamShard;
use crate::schema::Schema;

/// What was asked of the service.
pub(super) enum Answer {
    Listing { stream: StreamName, since: Instant, listing: Result<Vec<Shard>, RequestError> },
    Retention { stream: StreamName, retention: Result<KnownRetention, RequestError> },
}

impl<S: Schema> Coordinator<S> {
    /// Asks for complete listings of the streams that none is under way for.
    pub(super) fn discover(&mut self) {
        for stream in &self.job.streams {
            if !self.listing.insert(stream.clone()) {
                continue;
            }
            let (job, stream, since) = (Arc::clone(&self.job), stream.clone(), Instant::now());
            let span = tracing::info_span!("discovery", %stream);
            let listing = async move {
                let mut random = job.readers.randomness.stream("discovery");
                let listing = list(&job.readers.service, &stream, job.list_shards, &mut random).await;
                Answer::Listing { stream, since, listing }
            };
            self.questions.spawn(listing.instrument(span));
        }
    }

    pub(super) fn take_answer(&mut self, answer: Answer) -> Result<(), ConsumerError> {
        match answer {
            Answer::Listing { stream, since, listing } => self.take_listing(stream, since, listing),
            Answer::Retention { stream, retention } => {
                self.looking_up.remove(&stream);
                self.starts_due = true;
                let retention = retention.map_err(ConsumerError::Request)?;
                if let Some(stream) = self.streams.0.get_mut(&stream) {
                    stream.retention = retention;
                }
                Ok(())
            }
        }
    }

    /// Asks for a stream's retention, unless that is under way.
    pub(super) fn look_up_retention(&mut self, stream: &StreamName) {
        if !self.looking_up.insert(stream.clone()) {
            return;
        }
        let (readers, stream) = (Arc::clone(&self.job.readers), stream.clone());
        self.questions.spawn(async move {
            let mut random = readers.randomness.stream("retention");
            let retention = readers.retentions.get(&readers.service, &stream, &mut random).await;
            Answer::Retention { stream, retention }
        });
    }

    fn take_listing(
        &mut self,
        stream: StreamName,
        since: Instant,
        listing: Result<Vec<Shard>, RequestError>,
    ) -> Result<(), ConsumerError> {
        self.listing.remove(&stream);
        self.job.readers.meter.listed(&stream, listing.is_ok());
        match listing {
            Ok(mut listing) => {
                if self.job.mutant == Some(Mutant::PartialListing) && listing.len() > 1 {
                    listing.pop();
                }
                self.observe(&stream, listing, since)?;
                self.judge_vanished(&stream, since)?;
                self.listed.insert(stream, since);
                if self.control.borrow().drain.is_some_and(|drain| since < drain) {
                    // Asked for before the job was to drain: it says nothing about what there was to read by then.
                    self.discover();
                }
                self.end_if_drained();
                Ok(())
            }
            Err(error) if is_final(error.kind()) => Err(ConsumerError::Request(error)),
            // A listing that failed for the moment changes nothing: the timer asks again.
            Err(error) => {
                tracing::warn!(%stream, %error, "shard discovery failed, the known shards are read on");
                Ok(())
            }
        }
    }

    pub(super) fn observe(
        &mut self,
        name: &StreamName,
        listing: Vec<Shard>,
        since: Instant,
    ) -> Result<(), ConsumerError> {
        let Some(stream) = self.streams.0.get_mut(name) else {
            return Ok(());
        };
        let ListingChanges { lost, discovered, .. } = stream.observe(listing, since);
        self.starts_due = true;
        if !discovered.is_empty() {
            tracing::debug!(stream = %name, ?discovered, "shards discovered");
            self.job.readers.meter.discovered(name, discovered.len());
        }
        for shard in lost {
            let shard = StreamShard { stream: name.clone(), shard };
            self.tell(&ConsumerEvent::ShardLost { shard: shard.clone() });
            if self.job.readers.settings.loss == LossPolicy::Fail {
                return Err(ConsumerError::ShardLost { shard });
            }
            self.give_up(shard);
        }
        Ok(())
    }

    /// Compares what readers were told with a listing asked for at `since`: a shard that is listed must be readable.
    ///
    /// One that is not has been given up by now.
    fn judge_vanished(&mut self, stream: &StreamName, since: Instant) -> Result<(), ConsumerError> {
        let mut is_undecided = false;
        for (shard, (at, error)) in std::mem::take(&mut self.vanished) {
            if &shard.stream != stream || since < at {
                is_undecided |= &shard.stream == stream;
                self.vanished.insert(shard, (at, error));
            } else if self.streams.lists(&shard) {
                return Err(error);
            }
        }
        if is_undecided {
            self.discover();
        }
        Ok(())
    }

    /// Ends a shard whose loss was accepted, so that its children can go on from where it was.
    fn give_up(&mut self, shard: StreamShard) {
        match self.begun.get(&shard) {
            Some(begun) => send(&self.subtasks[begun.subtask], ToSubtask::Abandon(shard)),
            None => {
                if let Some(stream) = self.streams.0.get_mut(&shard.stream) {
                    stream.graph.give_up(&shard.shard);
                }
            }
        }
    }
}

/// Whether a listing that failed so will fail again.
const fn is_final(kind: RequestErrorKind) -> bool {
    matches!(kind, RequestErrorKind::NotFound | RequestErrorKind::AccessDenied | RequestErrorKind::InvalidArgument)
}
