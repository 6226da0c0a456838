//! Records without outcome, watched a few dozen at a time.
//!
//! A task or a waker for each record would cost more than the record; one waker for all of them would mean to look at
//! all of them for each outcome. Records of a chunk share a waker, which names the chunk.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use kinesis_core::StreamName;
use parking_lot::Mutex;

use super::dead_letter::Letter;
use super::watch::Written;
use crate::outcome::RecordError;

/// How many records share a waker.
pub(super) const CHUNK_RECORDS: usize = 32;

/// The chunks that have news.
#[derive(Debug, Default)]
pub(super) struct News(Mutex<Inbox>);

#[derive(Debug, Default)]
struct Inbox {
    chunks: Vec<u64>,
    watcher: Option<Waker>,
}

impl News {
    /// The chunks that have had news since the last call; the next news wakes `watcher`.
    pub(super) fn take(&self, watcher: &Waker) -> Vec<u64> {
        let mut inbox = self.0.lock();
        match &mut inbox.watcher {
            Some(known) => known.clone_from(watcher),
            none => *none = Some(watcher.clone()),
        }
        std::mem::take(&mut inbox.chunks)
    }
}

/// The waker of a chunk.
#[derive(Debug)]
struct Bell {
    chunk: u64,
    has_rung: AtomicBool,
    news: Arc<News>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.has_rung.swap(true, Ordering::AcqRel) {
            return;
        }
        let watcher = {
            let mut inbox = self.news.0.lock();
            inbox.chunks.push(self.chunk);
            inbox.watcher.clone()
        };
        if let Some(watcher) = watcher {
            watcher.wake();
        }
    }
}

/// A record that is not stored for certain.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) chunk: u64,
    pub(super) run: u64,
    pub(super) stream: StreamName,
    pub(super) letter: Option<Box<Letter>>,
    pub(super) error: RecordError,
}

/// What has come out.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    pub(super) stored: usize,
    pub(super) lost: Vec<Lost>,
}

/// Some records, of which those without outcome are still there.
#[derive(Debug)]
pub(super) struct Chunk {
    records: Vec<Written>,
    /// Records that are lost, until that is dealt with.
    lost: usize,
    bell: Arc<Bell>,
    waker: Waker,
}

impl Chunk {
    pub(super) fn new(number: u64, news: &Arc<News>) -> Self {
        let bell = Arc::new(Bell { chunk: number, has_rung: AtomicBool::new(false), news: Arc::clone(news) });
        let waker = Waker::from(Arc::clone(&bell));
        Self { records: Vec::with_capacity(CHUNK_RECORDS), lost: 0, bell, waker }
    }

    /// Whether nothing of the chunk is to be waited for.
    pub(super) const fn is_settled(&self) -> bool {
        self.records.is_empty() && self.lost == 0
    }

    /// Takes note that a lost record is dealt with.
    pub(super) const fn settle_lost(&mut self) {
        self.lost -= 1;
    }

    /// Takes a record in.
    pub(super) fn add(&mut self, mut written: Written, outcomes: &mut Outcomes) {
        if self.is_pending(&mut written, outcomes) {
            self.records.push(written);
        }
    }

    /// Looks which records have their outcomes.
    pub(super) fn look(&mut self, outcomes: &mut Outcomes) {
        // Before the look, so that what comes in meanwhile rings again. A swap, not a store: an outcome that found the
        // bell rung must be seen below, and a store could take effect after the look.
        self.bell.has_rung.swap(false, Ordering::AcqRel);
        let mut records = std::mem::take(&mut self.records);
        records.retain_mut(|written| self.is_pending(written, outcomes));
        // One slow record of each chunk must not keep the room of all.
        if records.len() <= records.capacity() / 2 {
            records.shrink_to_fit();
        }
        self.records = records;
    }

    fn is_pending(&mut self, written: &mut Written, outcomes: &mut Outcomes) -> bool {
        let handle = Pin::new(&mut written.handle);
        let Poll::Ready(outcome) = handle.poll(&mut Context::from_waker(&self.waker)) else {
            return true;
        };
        match outcome.into_result() {
            Ok(_) => outcomes.stored += 1,
            Err(error) => {
                self.lost += 1;
                let (chunk, run, stream) = (self.bell.chunk, written.run, written.stream.clone());
                outcomes.lost.push(Lost { chunk, run, stream, letter: written.letter.take(), error });
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acknowledgement::{Places, Responder};
    use crate::outcome::{Attempts, FailureCause, Outcome};

    fn written() -> (Responder, Written) {
        let (responder, handle) = Places::default().next();
        let stream = "orders".parse().unwrap();
        (responder, Written { handle, run: 3, stream, letter: None })
    }

    fn fail(responder: Responder) {
        let outcome = Outcome::Failed { cause: FailureCause::OrderBroken, attempts: Attempts::default() };
        responder.tell(&Arc::new(outcome), 0);
    }

    #[test]
    fn a_chunk_rings_once_until_it_is_looked_at() {
        let news = Arc::new(News::default());
        let (mut chunk, mut outcomes) = (Chunk::new(5, &news), Outcomes::default());
        let mut senders = Vec::new();
        for _ in 0..3 {
            let (sender, written) = written();
            chunk.add(written, &mut outcomes);
            senders.push(sender);
        }
        assert!(news.take(Waker::noop()).is_empty());
        fail(senders.remove(2));
        fail(senders.remove(0));
        assert_eq!(news.take(Waker::noop()), [5]);
        chunk.look(&mut outcomes);
        assert_eq!((outcomes.lost.len(), chunk.is_settled()), (2, false));
        assert_eq!((outcomes.lost[0].chunk, outcomes.lost[0].run), (5, 3));
        fail(senders.remove(0));
        assert_eq!(news.take(Waker::noop()), [5]);
        chunk.look(&mut outcomes);
        assert!(chunk.records.is_empty() && !chunk.is_settled(), "the lost ones are not dealt with");
        outcomes.lost.iter().for_each(|_| chunk.settle_lost());
        assert!(chunk.is_settled());
    }

    #[test]
    fn an_outcome_that_is_there_already_needs_no_bell() {
        let news = Arc::new(News::default());
        let (mut chunk, mut outcomes) = (Chunk::new(0, &news), Outcomes::default());
        let (sender, written) = written();
        fail(sender);
        chunk.add(written, &mut outcomes);
        assert_eq!((outcomes.lost.len(), chunk.records.len()), (1, 0));
        assert!(news.take(Waker::noop()).is_empty());
    }

    #[test]
    fn a_slow_record_does_not_keep_the_memory_of_its_chunk() {
        let news = Arc::new(News::default());
        let (mut chunk, mut outcomes) = (Chunk::new(0, &news), Outcomes::default());
        let mut senders = Vec::new();
        for _ in 0..CHUNK_RECORDS {
            let (sender, written) = written();
            chunk.add(written, &mut outcomes);
            senders.push(sender);
        }
        let slow = senders.pop().unwrap();
        for sender in senders {
            fail(sender);
        }
        chunk.look(&mut outcomes);
        assert_eq!((chunk.records.len(), chunk.records.capacity()), (1, 1));
        drop(slow);
        chunk.look(&mut outcomes);
        assert!(matches!(outcomes.lost.pop().unwrap().error, RecordError::Unknown { .. }));
    }
}
