//! The one task of a sink: it watches what becomes of the records.

use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use kinesis_core::StreamName;
use tokio::sync::{mpsc, oneshot};

use super::BoxError;
use super::account::Shared;
use super::chunk::{CHUNK_RECORDS, Chunk, Lost, News, Outcomes};
use super::dead_letter::{DeadLetter, DeadLetters, Letter};
use super::error::{DeadLetterError, SinkFailure};
use crate::acknowledgement::PutHandle;
use crate::error::DeliveryError;
use crate::outcome::RecordError;

/// Messages taken at once, so that outcomes get their turn under load.
const MESSAGES_AT_ONCE: usize = 1024;

/// Letters handed over at once, for the same reason.
const LETTERS_AT_ONCE: usize = 64;

/// A record that the producer accepted.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) handle: PutHandle,
    /// The job's run that wrote it.
    pub(super) run: u64,
    pub(super) stream: StreamName,
    /// Its content, where there is a dead-letter hook.
    pub(super) letter: Option<Box<Letter>>,
}

/// What the sink tells its watcher, in the order of its calls.
#[derive(Debug)]
pub(super) enum Message {
    Written(Written),
    /// Tell when everything up to here is dealt with.
    Barrier(oneshot::Sender<()>),
}

/// A letter that waits for the hook.
struct Waiting {
    chunk: u64,
    run: u64,
    letter: DeadLetter,
}

/// A letter that the hook has in hand.
struct InHand {
    chunk: u64,
    run: u64,
    stream: StreamName,
    taking: Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>,
}

/// Watches handles, counts outcomes, tells of failures, and hands dead letters over.
pub(super) struct Watcher {
    shared: Arc<Shared>,
    fail_on_error: bool,
    hook: Option<Arc<dyn DeadLetters>>,
    inbox: mpsc::UnboundedReceiver<Message>,
    messages: Vec<Message>,
    is_closed: bool,
    news: Arc<News>,
    /// By number; a chunk is dropped once it is settled.
    chunks: BTreeMap<u64, Chunk>,
    /// The chunk that takes records, and how many it has taken.
    open: Option<(u64, usize)>,
    next_chunk: u64,
    /// Those who wait for all chunks before that number.
    barriers: Vec<(u64, oneshot::Sender<()>)>,
    letters: VecDeque<Waiting>,
    in_hand: Option<InHand>,
}

impl Watcher {
    pub(super) fn new(
        shared: Arc<Shared>,
        fail_on_error: bool,
        hook: Option<Arc<dyn DeadLetters>>,
        inbox: mpsc::UnboundedReceiver<Message>,
    ) -> Self {
        Self {
            shared,
            fail_on_error,
            hook,
            inbox,
            messages: Vec::new(),
            is_closed: false,
            news: Arc::default(),
            chunks: BTreeMap::new(),
            open: None,
            next_chunk: 0,
            barriers: Vec::new(),
            letters: VecDeque::new(),
            in_hand: None,
        }
    }

    /// Runs until the sink is gone and nothing of it is left to watch.
    pub(super) async fn run(mut self) {
        poll_fn(|cx| self.turn(cx)).await;
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut outcomes = Outcomes::default();
        self.receive(&mut outcomes, cx);
        for number in self.news.take(cx.waker()) {
            if let Some(chunk) = self.chunks.get_mut(&number) {
                chunk.look(&mut outcomes);
                self.drop_if_settled(number);
            }
        }
        self.deal_with(outcomes);
        self.hand_over(cx);
        self.answer();
        if self.is_closed && self.chunks.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn receive(&mut self, outcomes: &mut Outcomes, cx: &mut Context<'_>) {
        let mut messages = std::mem::take(&mut self.messages);
        if let Poll::Ready(count) = self.inbox.poll_recv_many(cx, &mut messages, MESSAGES_AT_ONCE) {
            self.is_closed = count == 0;
            if count > 0 {
                // There may be more, and the inbox has not taken the waker.
                cx.waker().wake_by_ref();
            }
        }
        for message in messages.drain(..) {
            match message {
                Message::Written(written) => self.add(written, outcomes),
                Message::Barrier(done) => {
                    // Later records belong to another chunk, so that the barrier does not wait for them.
                    self.open = None;
                    self.barriers.push((self.next_chunk, done));
                }
            }
        }
        self.messages = messages;
    }

    fn add(&mut self, written: Written, outcomes: &mut Outcomes) {
        let (number, taken) = match self.open {
            Some((number, taken)) => (number, taken),
            None => {
                let number = self.next_chunk;
                self.next_chunk += 1;
                (number, 0)
            }
        };
        self.open = (taken + 1 < CHUNK_RECORDS).then_some((number, taken + 1));
        // The open chunk may have been settled and dropped in between.
        let chunk = self.chunks.entry(number).or_insert_with(|| Chunk::new(number, &self.news));
        chunk.add(written, outcomes);
        self.drop_if_settled(number);
    }

    fn drop_if_settled(&mut self, number: u64) {
        if self.chunks.get(&number).is_some_and(Chunk::is_settled) {
            self.chunks.remove(&number);
        }
    }

    /// Counts outcomes, gives their room back, and tells of those that are lost.
    fn deal_with(&mut self, outcomes: Outcomes) {
        let Outcomes { stored, lost } = outcomes;
        let mut by_run = BTreeMap::<u64, DeliveryError>::new();
        for lost in &lost {
            let summary = by_run.entry(lost.run).or_insert_with(|| summary_of(lost));
            match lost.error {
                RecordError::Failed { .. } => summary.failed += 1,
                RecordError::Unknown { .. } => summary.unknown += 1,
            }
        }
        // Before the room is given back: a write that waits for it is to tell of the failure.
        for (run, summary) in by_run {
            self.report(run, summary);
        }
        for lost in lost {
            self.dispose(lost);
        }
        if stored > 0 {
            self.shared.count(|stats| stats.stored += stored as u64);
            self.shared.room.add_permits(stored);
        }
    }

    /// Queues a lost record for the hook, where there is one.
    fn dispose(&mut self, lost: Lost) {
        let Lost { chunk, run, stream, letter, error } = lost;
        match letter {
            Some(letter) => self.letters.push_back(Waiting { chunk, run, letter: letter.with(stream, error) }),
            None => self.settle_lost(chunk),
        }
    }

    fn report(&self, run: u64, summary: DeliveryError) {
        self.shared.count(|stats| {
            stats.failed += summary.failed;
            stats.unknown += summary.unknown;
        });
        let DeliveryError { failed, unknown, stream, first } = &summary;
        tracing::warn!(failed, unknown, %stream, %first, "records of a sink were not stored");
        if self.fail_on_error {
            self.shared.fail(run, SinkFailure::Delivery(summary));
        }
    }

    /// Takes note that nothing more is to be done about a lost record.
    fn settle_lost(&mut self, chunk: u64) {
        self.shared.room.add_permits(1);
        if let Some(lost) = self.chunks.get_mut(&chunk) {
            lost.settle_lost();
        }
        self.drop_if_settled(chunk);
    }

    /// Drives the hook, one letter at a time.
    fn hand_over(&mut self, cx: &mut Context<'_>) {
        for _ in 0..LETTERS_AT_ONCE {
            if self.take_in_hand(cx).is_pending() {
                return;
            }
        }
        cx.waker().wake_by_ref();
    }

    /// Finishes a letter; pending while the hook has one in hand, or there is none.
    fn take_in_hand(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.in_hand.is_none() {
            self.in_hand = self.next_letter();
        }
        let Some(in_hand) = &mut self.in_hand else { return Poll::Pending };
        let taken = ready!(in_hand.taking.as_mut().poll(cx));
        if let Some(InHand { chunk, run, stream, .. }) = self.in_hand.take() {
            match taken {
                Ok(()) => self.shared.count(|stats| stats.dead_lettered += 1),
                Err(error) => {
                    tracing::error!(%stream, %error, "a record was neither stored nor taken by the dead-letter hook");
                    self.shared.fail(run, SinkFailure::DeadLetter(DeadLetterError::new(stream, error)));
                }
            }
            self.settle_lost(chunk);
        }
        Poll::Ready(())
    }

    fn next_letter(&mut self) -> Option<InHand> {
        let hook = Arc::clone(self.hook.as_ref()?);
        let Waiting { chunk, run, letter } = self.letters.pop_front()?;
        let stream = letter.stream.clone();
        Some(InHand { chunk, run, stream, taking: Box::pin(async move { hook.take(letter).await }) })
    }

    /// Answers the barriers before which nothing is left.
    fn answer(&mut self) {
        let oldest = self.chunks.first_key_value().map(|(number, _)| *number);
        let is_over = |(end, done): &mut (u64, oneshot::Sender<()>)| {
            done.is_closed() || oldest.is_none_or(|oldest| oldest >= *end)
        };
        for (_, done) in self.barriers.extract_if(.., is_over) {
            // The caller may have stopped waiting.
            let _ = done.send(());
        }
    }
}

/// However the watcher ends, nobody waits for it any more.
impl Drop for Watcher {
    fn drop(&mut self) {
        self.shared.room.close();
    }
}

/// The summary that a lost record begins, itself not counted.
fn summary_of(lost: &Lost) -> DeliveryError {
    let (RecordError::Failed { cause, .. } | RecordError::Unknown { cause, .. }) = &lost.error;
    DeliveryError::new(lost.stream.clone(), cause.clone())
}
