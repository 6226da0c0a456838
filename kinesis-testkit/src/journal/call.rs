//! One call as the journal holds it.

use std::fmt;
use std::num::NonZeroU8;
use std::sync::Arc;
use std::time::SystemTime;

use kinesis_core::{RandomStream, StreamName};

use crate::engine::Place;
use crate::operation::Operation;

/// The name of an operation as the caller wrote it; costs no memory of its own where the fake knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallName {
    /// An operation that is implemented.
    Known(Operation),
    /// Another.
    Unknown(Arc<str>),
}

impl CallName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(operation) => operation.as_str(),
            Self::Unknown(name) => name,
        }
    }
}

impl fmt::Display for CallName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallOutcome {
    /// It was carried out.
    Applied,
    /// It was refused, with this error code.
    Refused(String),
    /// The connection broke before anything was applied.
    Reset,
    /// It was never answered, and nothing was applied.
    Hung,
    /// Its caller gave it up before it was carried out: nothing was applied.
    Abandoned,
    /// It was not answered, and is applied later; a call of its own tells when and how.
    Deferred,
}

/// How a request came to be carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// As its caller made it.
    #[default]
    First,
    /// Again, by [`Fault::ApplyTwice`](crate::Fault::ApplyTwice).
    Repeated,
    /// Late, by [`Fault::ApplyLate`](crate::Fault::ApplyLate).
    Late,
}

impl Delivery {
    /// The name, such as `repeated`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Repeated => "repeated",
            Self::Late => "late",
        }
    }
}

/// The id of a request, which its reply carries as `x-amzn-RequestId`; shown in the form of a UUID.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(u64, u64);

impl RequestId {
    pub(crate) fn draw(random: &mut RandomStream) -> Self {
        Self(random.next_u64(), random.next_u64())
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(high, low) = *self;
        write!(
            f,
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xfff,
            low >> 48 & 0x3fff | 0x8000,
            low & 0xffff_ffff_ffff
        )
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The fault that struck a call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FaultMark {
    rule: u32,
    /// One more than the place in `KINDS`.
    kind: NonZeroU8,
}

impl FaultMark {
    /// Every kind of fault, so that a mark holds a byte instead of a text.
    pub(crate) const KINDS: [&str; 19] = [
        "lose_reply",
        "error",
        "error_after",
        "fail_entries",
        "fail_mixed",
        "reset",
        "hang",
        "hang_after",
        "delay_millis",
        "empty_read",
        "skewed_clock",
        "cut_body",
        "stall_body",
        "trickle_body",
        "apply_twice",
        "apply_late",
        "operate",
        "at_event",
        "at_age",
    ];

    /// Marks a kind, which must be one of [`Fault::kind`](crate::Fault::kind).
    pub(crate) fn new(kind: &str, rule: u32) -> Self {
        let place = Self::KINDS.iter().position(|known| *known == kind);
        let kind = place.and_then(|place| NonZeroU8::new(place as u8 + 1));
        debug_assert!(kind.is_some(), "KINDS lacks a kind of fault");
        Self { rule, kind: kind.unwrap_or(NonZeroU8::MIN) }
    }

    /// The name of its variant, as [`Fault::kind`](crate::Fault::kind) has it.
    pub const fn kind(self) -> &'static str {
        Self::KINDS[self.kind.get() as usize - 1]
    }

    /// The index of its rule, counted from 0 over all that were ever injected into the fake.
    pub const fn rule(self) -> u32 {
        self.rule
    }
}

impl fmt::Debug for FaultMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultMark({} of rule {})", self.kind(), self.rule)
    }
}

/// A call that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JournalCall {
    /// The call's number, counted from 1 in the order in which calls came in; a repeated or late delivery has one of
    /// its own, taken when it was carried out.
    pub id: u64,
    /// The number of the call by which the request first came in: [`id`](Self::id) but for repeated and late ones.
    pub request: u64,
    /// The id in the reply; a repeated or late delivery keeps that of its request.
    pub request_id: RequestId,
    /// The operation's name, as the caller wrote it.
    pub operation: CallName,
    /// The stream that the call was about, where it named one.
    pub stream: Option<StreamName>,
    /// When it was carried out or refused.
    pub at: SystemTime,
    /// How it ended.
    pub outcome: CallOutcome,
    /// How many of its records were stored.
    pub stored_records: u32,
    /// How many of its records were refused one by one.
    pub failed_records: u32,
    /// How many of its stored records the reply reports as failed.
    pub misreported_records: u32,
    /// The fault that struck it; where there were several, the one that counted most.
    pub fault: Option<FaultMark>,
    /// Whether a fault kept the answer from the caller, or replaced it by an error.
    pub reply_lost: bool,
    /// How it came to be carried out.
    pub delivery: Delivery,
    pub(crate) elsewhere: Option<Arc<Place>>,
}

impl JournalCall {
    /// The account and the region whose resources it was about, where they are not those that the fake was built for.
    pub fn elsewhere(&self) -> Option<(&str, &str)> {
        self.elsewhere.as_deref().map(Place::names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_small() {
        assert_eq!(size_of::<JournalCall>(), 136);
        assert_eq!(size_of::<Option<FaultMark>>(), 8);
    }

    #[test]
    fn a_request_id_has_the_form_of_a_uuid() {
        let id = RequestId(0x0123_4567_89ab_cdef, 0xffff_0000_0000_0001).to_string();
        assert_eq!(id, "01234567-89ab-4def-bfff-000000000001");
    }
}
