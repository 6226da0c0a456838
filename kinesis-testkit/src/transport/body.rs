//! The body of a reply, which may end early, stall, or arrive byte by byte.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

use super::events::EventBody;
use crate::faults::BodyShape;
use crate::service::HttpReply;

/// What comes after the bytes of a body that arrive at once.
#[derive(Debug)]
pub(super) enum Then {
    /// The end of the body.
    End,
    /// An error of the connection, once what was sent before had its chance to go out.
    Break { flushed: bool },
    /// Nothing, ever.
    Silence,
}

#[derive(Debug)]
enum Delivery {
    AtOnce {
        rest: Bytes,
        then: Then,
    },
    Trickle {
        rest: Bytes,
        interval: Duration,
        next: Pin<Box<Sleep>>,
    },
    /// As long as the events go on.
    Events(Box<EventBody>),
}

/// The body of a reply.
#[derive(Debug)]
pub(crate) struct ReplyBody {
    /// As the headers have it, less what was sent.
    announced: u64,
    delivery: Delivery,
}

impl ReplyBody {
    /// Makes the body of a reply; a body that is cut or stalls keeps back at least its last byte.
    pub(crate) fn new(body: impl Into<Bytes>, shape: BodyShape) -> Self {
        let mut rest: Bytes = body.into();
        let announced = rest.len() as u64;
        let mut at_most = |bytes: u64| {
            let bytes = bytes.min(announced.saturating_sub(1));
            rest.split_to(bytes as usize)
        };
        let delivery = match shape {
            BodyShape::Cut { after_bytes } => {
                Delivery::AtOnce { rest: at_most(after_bytes), then: Then::Break { flushed: false } }
            }
            BodyShape::Stall { after_bytes } => Delivery::AtOnce { rest: at_most(after_bytes), then: Then::Silence },
            BodyShape::Trickle { interval } => Delivery::Trickle { rest, interval, next: Box::pin(sleep(interval)) },
            BodyShape::Whole => Delivery::AtOnce { rest, then: Then::End },
        };
        Self { announced, delivery }
    }
}

impl From<&mut HttpReply> for ReplyBody {
    /// Takes the body out of a reply, or its events.
    fn from(reply: &mut HttpReply) -> Self {
        match reply.events.take() {
            // Not 0, which would be the end.
            Some(events) => {
                let events = EventBody::new(events, reply.shape);
                Self { announced: u64::MAX, delivery: Delivery::Events(Box::new(events)) }
            }
            None => Self::new(std::mem::take(&mut reply.body), reply.shape),
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = &mut *self;
        let sent = match &mut this.delivery {
            Delivery::AtOnce { rest, .. } if !rest.is_empty() => std::mem::take(rest),
            Delivery::AtOnce { then, .. } => return ended(then, context),
            Delivery::Events(events) => return events.poll_bytes(context),
            Delivery::Trickle { rest, .. } if rest.is_empty() => return Poll::Ready(None),
            Delivery::Trickle { rest, interval, next } => {
                ready!(next.as_mut().poll(context));
                next.as_mut().reset(Instant::now() + *interval);
                rest.split_to(1)
            }
        };
        this.announced -= sent.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(sent))))
    }

    fn is_end_stream(&self) -> bool {
        self.announced == 0
    }

    fn size_hint(&self) -> SizeHint {
        match self.delivery {
            Delivery::Events(_) => SizeHint::new(),
            _ => SizeHint::with_exact(self.announced),
        }
    }
}

pub(super) fn ended(then: &mut Then, context: &Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
    match then {
        Then::End => Poll::Ready(None),
        Then::Silence => Poll::Pending,
        Then::Break { flushed: true } => {
            let text = "connection closed before the reply was complete";
            Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::ConnectionReset, text))))
        }
        Then::Break { flushed } => {
            // hyper drops what it has buffered when a body fails, but flushes when a body has to be waited for.
            *flushed = true;
            context.waker().wake_by_ref();
            Poll::Pending
        }
    }
}
