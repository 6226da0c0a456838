//! The outcome of a record, once it is there.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::sync::oneshot;

use crate::outcome::{Attempts, FailureCause, Outcome};

/// A future of a record's [`Outcome`].
///
/// It may be dropped: the record goes on, and its outcome is counted. Cancel safety: the outcome is kept until it is
/// taken.
#[derive(Debug)]
pub struct PutHandle(oneshot::Receiver<Outcome>);

impl PutHandle {
    pub(crate) const fn new(outcome: oneshot::Receiver<Outcome>) -> Self {
        Self(outcome)
    }
}

impl Future for PutHandle {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let outcome = ready!(Pin::new(&mut self.0).poll(cx));
        Poll::Ready(
            outcome
                .unwrap_or_else(|_| Outcome::Unknown { cause: FailureCause::Abandoned, attempts: Attempts::default() }),
        )
    }
}
