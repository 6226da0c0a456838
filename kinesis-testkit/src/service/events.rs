//! The events of a subscription as they go out, with the faults that strike them.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::State;
use super::deferred::StateCell;
use crate::engine::{Place, Push, ServiceError, Subscription};
use crate::faults::{EventFault, EventFaults};
use crate::operation::Operation;
use crate::protocol::{Format, event_frame, exception_frame, initial_response_frame};

/// After what time a wait is looked at again.
const LONGEST_WAIT: Duration = Duration::from_secs(86_400);

/// What is to be done next for the reader of an event stream.
#[derive(Debug)]
pub(crate) enum Step {
    /// These bytes are sent.
    Send(Bytes),
    /// The stream ends.
    End,
    /// The connection breaks.
    Break,
    /// Nothing, for that long or until the reader is woken.
    Wait(Duration),
    /// Nothing, ever.
    Silence,
}

/// What becomes of the stream once all that is ready was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    Over,
    Silent,
    Broken,
}

/// The events of one subscription: it makes one when it is asked for it, and holds none back but by a fault.
pub(crate) struct EventStream {
    state: Arc<StateCell>,
    place: Place,
    subscription: Subscription,
    format: Format,
    faults: EventFaults,
    phase: Phase,
    /// Frames that were made: the initial one, and what faults make.
    ready: VecDeque<Frame>,
}

/// A frame that was made.
#[derive(Clone, Debug)]
struct Frame {
    /// It is not sent before.
    at: SystemTime,
    bytes: Bytes,
    /// How many records it holds.
    records: u64,
}

impl Frame {
    const fn without_records(at: SystemTime, bytes: Bytes) -> Self {
        Self { at, bytes, records: 0 }
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream").field("subscription", &self.subscription).finish_non_exhaustive()
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        let mut state = self.state.lock();
        let now = self.state.now();
        state.engine.at(&self.place).leave(now, &self.subscription);
    }
}

impl EventStream {
    pub(super) fn new(
        state: Arc<StateCell>,
        place: Place,
        subscription: Subscription,
        format: Format,
        faults: EventFaults,
        now: SystemTime,
    ) -> Self {
        let ready = VecDeque::from([Frame::without_records(now, initial_response_frame(format))]);
        Self { state, place, subscription, format, faults, phase: Phase::Open, ready }
    }

    /// Says what comes next; where that is to wait, `waker` is woken when there may be something else.
    pub(crate) fn next(&mut self, waker: &Waker) -> Step {
        let cell = Arc::clone(&self.state);
        let mut state = cell.lock();
        let now = cell.now();
        let until = loop {
            if let Some(until) = self.ready.front().map(|frame| frame.at).filter(|until| *until > now) {
                break until;
            }
            if let Some(Frame { bytes, records, .. }) = self.ready.pop_front() {
                state.counters.entry(Operation::SubscribeToShard).or_default().read_records += records;
                return Step::Send(bytes);
            }
            match self.phase {
                Phase::Open => {}
                Phase::Over => return Step::End,
                Phase::Silent => return Step::Silence,
                Phase::Broken => return Step::Break,
            }
            if let Some(until) = self.go_on(&mut state, now) {
                break until;
            }
        };
        // Under the lock under which it was decided that there is nothing, so that no change is missed.
        state.engine.at(&self.place).wait(now, &self.subscription, waker);
        // Never nothing, or whoever waits would spin; never so much that no calendar holds it.
        let wait = until.duration_since(now).unwrap_or_default();
        Step::Wait(wait.clamp(Duration::from_nanos(1), LONGEST_WAIT))
    }

    /// Makes the next frame ready, or changes the phase, or says until when nothing happens.
    fn go_on(&mut self, state: &mut State, now: SystemTime) -> Option<SystemTime> {
        let age_millis = self.subscription.age_millis(now);
        if let Some(fault) = self.faults.end_at_age(age_millis) {
            self.end_by(&fault, now, &Bytes::new());
            return None;
        }
        let account = state.engine.at(&self.place);
        match account.push(now, &mut self.subscription) {
            Push::Event(event) => {
                let (bytes, records) = (event_frame(self.format, &event), event.records.len() as u64);
                self.strike(Frame { at: now, bytes, records }, age_millis);
            }
            Push::Failed(error) => {
                self.ready.push_back(Frame::without_records(now, exception_frame(self.format, &error)));
                self.phase = Phase::Over;
            }
            Push::End => self.phase = Phase::Over,
            Push::Wait { until } => {
                let left_millis = self.faults.next_age_millis().map(|age| age.saturating_sub(age_millis));
                let fault = left_millis.and_then(|left| now.checked_add(Duration::from_millis(left)));
                return [Some(until), fault, state.next_deferred()].into_iter().flatten().min();
            }
        }
        None
    }

    /// Makes a frame ready as the faults of its event have it.
    fn strike(&mut self, mut frame: Frame, age_millis: u64) {
        let mut copies = 1;
        for fault in self.faults.of_next_event(age_millis) {
            match fault {
                EventFault::Repeat => copies += usize::from(copies > 0),
                EventFault::Drop => copies = 0,
                EventFault::Delay(delay) => frame.at = frame.at.checked_add(delay).unwrap_or(frame.at),
                ending => return self.end_by(&ending, frame.at, &frame.bytes),
            }
        }
        self.ready.extend(std::iter::repeat_n(frame, copies));
    }

    /// Ends the stream by a fault, in the place of `frame`.
    fn end_by(&mut self, fault: &EventFault, at: SystemTime, frame: &Bytes) {
        self.phase = match fault {
            EventFault::Stall => Phase::Silent,
            EventFault::Cut { after_bytes } => {
                let kept = usize::try_from(*after_bytes).unwrap_or(usize::MAX).min(frame.len().saturating_sub(1));
                if kept > 0 {
                    self.ready.push_back(Frame::without_records(at, frame.slice(..kept)));
                }
                Phase::Broken
            }
            EventFault::Error { code, message } => {
                let error = ServiceError::new(code.clone(), message.as_str(), 400);
                self.ready.push_back(Frame::without_records(at, exception_frame(self.format, &error)));
                Phase::Over
            }
            _ => Phase::Over,
        };
    }
}
