//! What can go wrong with the events of a subscription (F16).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::json::millis;
use super::rule::Tally;

/// What goes wrong with an event of a subscription.
///
/// As JSON the name of the variant in snake case, with its parameters as an object: `"repeat"`,
/// `{"cut":{"after_bytes":20}}`, `{"delay_millis":250}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum EventFault {
    /// The stream ends without an error instead of the event.
    End,
    /// The stream ends with an error frame instead of the event.
    Error {
        /// The type of the exception, such as one of [`EXCEPTIONS`](EventFault::EXCEPTIONS).
        code: String,
        /// The message.
        message: String,
    },
    /// The event is sent twice.
    Repeat,
    /// The event is left out, and the stream goes on behind it: its records are lost to the reader.
    ///
    /// Nothing tells a reader so; [`FaultPlan::generate`](crate::FaultPlan::generate) does not draw it.
    Drop,
    /// Nothing is sent any more, in the place of the event and after it; the connection stays open.
    Stall,
    /// The connection breaks within the event's frame.
    Cut {
        /// How many bytes of the frame arrive; at most all but one.
        after_bytes: u64,
    },
    /// The event is on its way that much longer, and so is all that follows.
    #[serde(rename = "delay_millis")]
    Delay(#[serde(with = "millis")] Duration),
}

impl EventFault {
    /// The exceptions that the service model has for the events of a subscription.
    pub const EXCEPTIONS: &'static [&'static str] = &[
        "InternalFailureException",
        "KMSAccessDeniedException",
        "KMSDisabledException",
        "KMSInvalidStateException",
        "KMSNotFoundException",
        "KMSOptInRequired",
        "KMSThrottlingException",
        "ResourceInUseException",
        "ResourceNotFoundException",
    ];

    /// An error frame of a type, with a message that says that it is a fault.
    pub fn exception(code: &str) -> Self {
        Self::Error { code: code.to_owned(), message: format!("{code}, by a fault of the fake.") }
    }

    /// Whether no event comes after it.
    const fn ends(&self) -> bool {
        matches!(self, Self::End | Self::Error { .. } | Self::Stall | Self::Cut { .. })
    }
}

#[derive(Clone, Copy, Debug)]
enum At {
    Event(u64),
    AgeMillis(u64),
}

/// A fault that waits, and what counts that it has struck.
#[derive(Clone, Debug)]
struct Waiting {
    at: At,
    fault: EventFault,
    tally: Arc<Tally>,
}

impl Waiting {
    fn strike(self) -> EventFault {
        self.tally.fired.fetch_add(1, Ordering::Relaxed);
        self.fault
    }
}

/// The faults that wait for the events of one subscription.
#[derive(Clone, Debug, Default)]
pub(crate) struct EventFaults {
    waiting: Vec<Waiting>,
    events: u64,
}

impl EventFaults {
    /// Adds a fault, where it is one of those.
    pub(super) fn add(&mut self, fault: &Fault, tally: &Arc<Tally>) -> bool {
        let (at, fault) = match fault {
            Fault::AtEvent { nth, fault } => (At::Event(*nth), fault),
            Fault::AtAge { age, fault } => (At::AgeMillis(u64::try_from(age.as_millis()).unwrap_or(u64::MAX)), fault),
            _ => return false,
        };
        self.waiting.push(Waiting { at, fault: fault.clone(), tally: Arc::clone(tally) });
        true
    }

    /// The fault that ends a stream of that age, without an event.
    pub(crate) fn end_at_age(&mut self, age_millis: u64) -> Option<EventFault> {
        let is_due =
            |it: &Waiting| matches!(it.at, At::AgeMillis(from_millis) if from_millis <= age_millis) && it.fault.ends();
        let due = self.waiting.iter().position(is_due)?;
        Some(self.waiting.remove(due).strike())
    }

    /// The age at which the next fault ends the stream without an event.
    pub(crate) fn next_age_millis(&self) -> Option<u64> {
        let ending = self.waiting.iter().filter(|it| it.fault.ends());
        let ages = ending.filter_map(|it| match it.at {
            At::AgeMillis(age_millis) => Some(age_millis),
            At::Event(_) => None,
        });
        ages.min()
    }

    /// Counts an event, and takes the faults that strike it.
    pub(crate) fn of_next_event(&mut self, age_millis: u64) -> Vec<EventFault> {
        self.events += 1;
        let number = self.events;
        let is_due = |it: &Waiting| match it.at {
            At::Event(nth) => nth == number,
            At::AgeMillis(from_millis) => from_millis <= age_millis,
        };
        let due: Vec<Waiting>;
        (due, self.waiting) = std::mem::take(&mut self.waiting).into_iter().partition(is_due);
        due.into_iter().map(Waiting::strike).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(list: &[Fault]) -> EventFaults {
        let mut faults = EventFaults::default();
        assert!(list.iter().all(|fault| faults.add(fault, &Arc::default())));
        faults
    }

    #[test]
    fn a_fault_strikes_the_event_of_its_number_once() {
        let mut faults = faults(&[
            Fault::AtEvent { nth: 2, fault: EventFault::Repeat },
            Fault::AtEvent { nth: 2, fault: EventFault::Drop },
            Fault::AtEvent { nth: 3, fault: EventFault::End },
        ]);
        let struck: Vec<_> = (0..4).map(|_| faults.of_next_event(0)).collect();
        assert_eq!(struck, [vec![], vec![EventFault::Repeat, EventFault::Drop], vec![EventFault::End], vec![]]);
        assert!(!EventFaults::default().add(&Fault::Reset, &Arc::default()));
    }

    #[test]
    fn an_age_strikes_at_its_time_where_it_ends_the_stream_and_else_the_event_that_follows() {
        let age = Duration::from_millis(500);
        let mut faults = faults(&[
            Fault::AtAge { age, fault: EventFault::Repeat },
            Fault::AtAge { age: 2 * age, fault: EventFault::Stall },
        ]);
        assert_eq!((faults.of_next_event(499), faults.next_age_millis()), (vec![], Some(1000)));
        assert_eq!((faults.end_at_age(999), faults.of_next_event(999)), (None, vec![EventFault::Repeat]));
        assert_eq!((faults.end_at_age(1000), faults.next_age_millis()), (Some(EventFault::Stall), None));
    }
}
