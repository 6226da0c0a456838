//! The way of an outcome to whoever waits for it: places in shared blocks, so that a record costs no allocation.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use crate::outcome::{Attempts, FailureCause, Outcome};

/// The places of a block: about as many as an aggregate of the usual size has members of 100 bytes.
const PLACES: usize = 512;

type Block = Arc<[Mutex<Place>]>;

#[derive(Debug)]
enum Place {
    Waiting(Option<Waker>),
    /// The outcome of the Kinesis record, and the place of this record in it.
    Told(Arc<Outcome>, u32),
    Abandoned,
    /// Nobody asks any more.
    Dropped,
}

/// Hands out the places of a block, and then of the next.
#[derive(Debug, Default)]
pub(crate) struct Places {
    block: Option<Block>,
    used: usize,
}

impl Places {
    /// The two ends of one record's way.
    pub(crate) fn next(&mut self) -> (Responder, PutHandle) {
        if self.used == PLACES {
            self.block = None;
        }
        let block = self.block.get_or_insert_with(|| {
            self.used = 0;
            (0..PLACES).map(|_| Mutex::new(Place::Waiting(None))).collect()
        });
        let index = self.used;
        self.used += 1;
        (Responder(Slot { block: Arc::clone(block), index }), PutHandle(Slot { block: Arc::clone(block), index }))
    }
}

struct Slot {
    block: Block,
    index: usize,
}

impl Slot {
    fn place(&self) -> &Mutex<Place> {
        &self.block[self.index]
    }

    /// Settles a place that waits, and wakes who asked.
    fn settle(&self, place: Place) {
        let waker = {
            let mut current = self.place().lock();
            match &mut *current {
                Place::Waiting(waker) => {
                    let waker = waker.take();
                    *current = place;
                    waker
                }
                Place::Told(..) | Place::Abandoned | Place::Dropped => None,
            }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Where the outcome of one record is told; dropped without that, the outcome is unknown.
pub(crate) struct Responder(Slot);

impl Responder {
    /// Tells the outcome of the record at that place of a Kinesis record.
    pub(crate) fn tell(self, outcome: &Arc<Outcome>, index: u32) {
        self.0.settle(Place::Told(Arc::clone(outcome), index));
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.0.settle(Place::Abandoned);
    }
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder").finish_non_exhaustive()
    }
}

/// A future of a record's [`Outcome`].
///
/// It may be dropped: the record goes on, and its outcome is counted. Records that are put one after another share the
/// memory of their handles, in blocks of 16 KiB for 512 of them, so that one that is kept keeps its block. Cancel
/// safety: the outcome stays until the handle is dropped.
pub struct PutHandle(Slot);

impl PutHandle {
    /// The outcome, where it is known by now.
    pub fn outcome(&self) -> Option<Outcome> {
        match &*self.0.place().lock() {
            Place::Waiting(_) => None,
            Place::Told(outcome, index) => Some(outcome.at(*index)),
            Place::Abandoned | Place::Dropped => Some(abandoned()),
        }
    }
}

impl Future for PutHandle {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        match &mut *self.0.place().lock() {
            Place::Waiting(waker) => {
                match waker {
                    Some(waker) => waker.clone_from(cx.waker()),
                    None => *waker = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
            Place::Told(outcome, index) => Poll::Ready(outcome.at(*index)),
            Place::Abandoned | Place::Dropped => Poll::Ready(abandoned()),
        }
    }
}

impl Drop for PutHandle {
    fn drop(&mut self) {
        // What was there is dropped outside of the lock: a waker's drop is foreign code.
        let dropped = std::mem::replace(&mut *self.0.place().lock(), Place::Dropped);
        drop(dropped);
    }
}

impl fmt::Debug for PutHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PutHandle").field("outcome", &self.outcome()).finish()
    }
}

fn abandoned() -> Outcome {
    Outcome::Unknown { cause: FailureCause::Abandoned, attempts: Attempts::default() }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use kinesis_core::ShardId;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn stored() -> Arc<Outcome> {
        Arc::new(Outcome::Stored {
            shard: ShardId::from_index(1),
            sequence_number: 7.into(),
            sub_sequence_number: 0,
            attempts: Attempts::default(),
        })
    }

    fn poll(handle: &mut PutHandle, count: &Arc<Count>) -> Poll<Outcome> {
        Pin::new(handle).poll(&mut Context::from_waker(&Waker::from(Arc::clone(count))))
    }

    #[test]
    fn the_members_of_an_aggregate_have_one_outcome_and_places_of_their_own() {
        let mut places = Places::default();
        let outcome = stored();
        let pairs: Vec<_> = (0..2000).map(|_| places.next()).collect();
        let (responders, handles): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        for (index, responder) in responders.into_iter().enumerate() {
            responder.tell(&outcome, index as u32);
        }
        for (index, handle) in handles.iter().enumerate() {
            let Some(Outcome::Stored { sub_sequence_number, .. }) = handle.outcome() else { panic!("told") };
            assert_eq!(sub_sequence_number, index as u64);
        }
        assert_eq!(Arc::strong_count(&outcome), 2001);
        drop(handles);
        assert_eq!(Arc::strong_count(&outcome), 1, "nothing is kept for those who do not ask");
    }

    #[test]
    fn who_asks_is_woken_once_and_may_ask_again() {
        let (responder, mut handle) = Places::default().next();
        let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
        assert!(poll(&mut handle, &first).is_pending());
        assert!(poll(&mut handle, &second).is_pending());
        responder.tell(&stored(), 0);
        assert_eq!((first.0.load(Ordering::Relaxed), second.0.load(Ordering::Relaxed)), (0, 1), "the last to ask");
        for _ in 0..2 {
            assert!(matches!(poll(&mut handle, &first), Poll::Ready(Outcome::Stored { .. })));
        }
    }

    #[test]
    fn an_end_that_is_dropped_leaves_the_outcome_unknown() {
        let (responder, mut handle) = Places::default().next();
        let count = Arc::new(Count::default());
        assert!(poll(&mut handle, &count).is_pending());
        drop(responder);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        let Poll::Ready(Outcome::Unknown { cause, .. }) = poll(&mut handle, &count) else { panic!("it is over") };
        assert!(matches!(cause, FailureCause::Abandoned));
    }

    #[test]
    fn a_block_goes_with_its_last_place() {
        let mut places = Places::default();
        let (responder, handle) = places.next();
        let block = Arc::downgrade(&handle.0.block);
        let rest: Vec<_> = (1..=PLACES).map(|_| places.next()).collect();
        assert_eq!(Arc::strong_count(&handle.0.block), 2 * PLACES, "the next block has begun");
        drop(rest);
        drop(responder);
        assert!(block.upgrade().is_some());
        drop(handle);
        assert!(block.upgrade().is_none());
        assert!(size_of::<Mutex<Place>>() <= 32, "16 KiB for a block: {}", size_of::<Mutex<Place>>());
    }
}
