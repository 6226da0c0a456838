//! The body of a reply that is an event stream.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Frame;
use tokio::time::{Instant, Sleep, sleep};

use super::body::{Then, ended};
use crate::faults::BodyShape;
use crate::service::{EventStream, Step};

/// Events, made one at a time when somebody reads on.
#[derive(Debug)]
pub(super) struct EventBody {
    events: Box<EventStream>,
    /// Until when there is nothing to send.
    waiting: Option<Pin<Box<Sleep>>>,
    /// What was taken off the events and waits for its turn: the rest of a frame that trickles.
    rest: Bytes,
    shape: Shape,
}

/// What a fault makes of the bytes of the events.
#[derive(Debug)]
enum Shape {
    Whole,
    /// So many bytes yet, and then the end.
    Limited {
        left: u64,
        then: Then,
    },
    /// One byte after each interval.
    Trickle {
        interval: Duration,
        next: Pin<Box<Sleep>>,
    },
    /// The connection breaks.
    Broken(Then),
}

impl EventBody {
    pub(super) fn new(events: Box<EventStream>, shape: BodyShape) -> Self {
        let shape = match shape {
            BodyShape::Whole => Shape::Whole,
            BodyShape::Cut { after_bytes } => {
                Shape::Limited { left: after_bytes, then: Then::Break { flushed: false } }
            }
            BodyShape::Stall { after_bytes } => Shape::Limited { left: after_bytes, then: Then::Silence },
            BodyShape::Trickle { interval } => Shape::Trickle { interval, next: Box::pin(sleep(interval)) },
        };
        Self { events, waiting: None, rest: Bytes::new(), shape }
    }

    pub(super) fn poll_bytes(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut self.shape {
            Shape::Limited { left: 0, then } | Shape::Broken(then) => return ended(then, context),
            _ => {}
        }
        if self.rest.is_empty() {
            match ready!(self.poll_event(context)) {
                Some(Ok(frame)) => self.rest = frame,
                Some(Err(Break)) => {
                    self.shape = Shape::Broken(Then::Break { flushed: false });
                    return self.poll_bytes(context);
                }
                None => return Poll::Ready(None),
            }
        }
        let sent = match &mut self.shape {
            Shape::Whole | Shape::Broken(_) => std::mem::take(&mut self.rest),
            Shape::Limited { left, .. } => {
                let sent = self.rest.split_to(usize::try_from(*left).unwrap_or(usize::MAX).min(self.rest.len()));
                *left -= sent.len() as u64;
                sent
            }
            Shape::Trickle { interval, next } => {
                ready!(next.as_mut().poll(context));
                next.as_mut().reset(Instant::now() + *interval);
                self.rest.split_to(1)
            }
        };
        Poll::Ready(Some(Ok(Frame::data(sent))))
    }

    /// The next frame as it was made.
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Break>>> {
        loop {
            let wait = match self.events.next(context.waker()) {
                Step::Send(frame) => return Poll::Ready(Some(Ok(frame))),
                Step::End => return Poll::Ready(None),
                Step::Break => return Poll::Ready(Some(Err(Break))),
                Step::Silence => return Poll::Pending,
                Step::Wait(wait) => wait,
            };
            let until = Instant::now() + wait;
            let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(wait)));
            waiting.as_mut().reset(until);
            ready!(waiting.as_mut().poll(context));
        }
    }
}

/// The connection is to break.
struct Break;
