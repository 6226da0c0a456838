//! What can go wrong with a call.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::entries::{Entries, EntryFaults};
use super::events::EventFault;
use super::json::millis;
use super::operator::OperatorEvent;
use super::skew::ClockSkew;
use crate::operation::Operation;

/// Something that goes wrong with a call.
///
/// | where | variants | classes |
/// | --- | --- | --- |
/// | before the call is applied | [`Error`](Self::Error), [`FailEntries`](Self::FailEntries), [`FailMixed`](Self::FailMixed), [`Reset`](Self::Reset), [`Hang`](Self::Hang), [`Delay`](Self::Delay), [`EmptyRead`](Self::EmptyRead), [`SkewedClock`](Self::SkewedClock), [`ApplyLate`](Self::ApplyLate) | F1, F2, F4, F6 to F9, F11, F12, F16, F21 |
/// | after it, before the reply | [`LoseReply`](Self::LoseReply), [`ErrorAfter`](Self::ErrorAfter), [`HangAfter`](Self::HangAfter), [`ApplyTwice`](Self::ApplyTwice) | F3, F4, F21 |
/// | within the reply's body | [`CutBody`](Self::CutBody), [`StallBody`](Self::StallBody), [`TrickleBody`](Self::TrickleBody) | F4, F5 |
/// | within the events of a subscription | [`AtEvent`](Self::AtEvent), [`AtAge`](Self::AtAge) | F5, F16 |
/// | between two calls | [`Operate`](Self::Operate) | F10, F14, F15, F18 |
///
/// [`FaultClass`](crate::FaultClass) says what the classes are. As JSON a fault is its name in snake case, with its
/// parameters as an object: `"lose_reply"`, `{"delay_millis":250}`,
/// `{"trickle_body":{"interval_millis":10000}}`. Durations are whole milliseconds there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Fault {
    /// The call is applied, then the connection breaks: acknowledged into the void.
    LoseReply,
    /// The call is refused before anything is applied.
    Error {
        /// The error code, such as `InternalFailure`.
        code: String,
        /// The message.
        message: String,
        /// The HTTP status.
        status: u16,
    },
    /// The call is applied, then answered with an error all the same.
    ErrorAfter {
        /// The error code, such as `InternalFailure`.
        code: String,
        /// The message.
        message: String,
        /// The HTTP status.
        status: u16,
    },
    /// Some entries of a PutRecords call fail with `InternalFailure` and are not applied.
    FailEntries(Entries),
    /// Some entries of a PutRecords call fail, each kind in its own way; some of them may be applied nevertheless.
    FailMixed(EntryFaults),
    /// The connection breaks before anything is applied.
    Reset,
    /// The call is never answered, and nothing is applied.
    Hang,
    /// The call is applied, and never answered.
    HangAfter,
    /// The call takes longer before it is applied; the delays of several rules add up.
    #[serde(rename = "delay_millis")]
    Delay(#[serde(with = "millis")] Duration),
    /// A read returns nothing and a fresh iterator, although records are there.
    ///
    /// `MillisBehindLatest` stays what it is, so that it is not 0 where there is something to read.
    EmptyRead,
    /// The clock by which the service checks signatures and writes `Date` is off.
    ///
    /// A call whose date is more than five minutes off that clock is refused; another passes, with the wrong `Date`. A
    /// client that corrects its date by the header of the refusal therefore passes.
    SkewedClock(ClockSkew),
    /// The call is applied, and its reply ends within the body: the connection breaks.
    ///
    /// The body of a subscription is all of its frames, which has no length: the connection breaks if they get that far.
    CutBody {
        /// How many bytes of the body arrive; at most all but one, and where the body is empty none of the reply does.
        after_bytes: u64,
    },
    /// The call is applied, the reply's headers and a part of its body arrive, and then nothing more.
    StallBody {
        /// How many bytes of the body arrive; at most all but one.
        after_bytes: u64,
    },
    /// The call is applied, and the body of its reply arrives byte by byte.
    TrickleBody {
        /// The time before each byte.
        #[serde(rename = "interval_millis", with = "millis")]
        interval: Duration,
    },
    /// The call is applied and answered, and the same request is applied once more, with nobody waiting for it.
    ApplyTwice {
        /// How long after the first time.
        #[serde(rename = "after_millis", with = "millis")]
        after: Duration,
    },
    /// The call is not answered, and applied later, when its caller may have given up.
    ApplyLate {
        /// How long after the time at which it should have been applied.
        #[serde(rename = "after_millis", with = "millis")]
        after: Duration,
        /// What the caller sees meanwhile.
        answer: Unanswered,
    },
    /// An event of the subscription that a SubscribeToShard call begins is struck; those of several rules all are.
    AtEvent {
        /// Which, counted from 1; events without records count, the frame before all events does not.
        nth: u64,
        /// What happens to it.
        fault: EventFault,
    },
    /// The subscription that a SubscribeToShard call begins is struck when it is that old, by the service's clock.
    ///
    /// What ends a stream strikes at that time, before the regular end where that is at the same; the rest strikes the
    /// first event from then on.
    AtAge {
        /// How old; a subscription ends by itself after five minutes.
        #[serde(rename = "age_millis", with = "millis")]
        age: Duration,
        /// What happens then.
        fault: EventFault,
    },
    /// The stream is changed just before the call is applied, which then goes on as it can.
    Operate(OperatorEvent),
}

/// What a caller sees of a call that is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unanswered {
    /// Nothing, ever.
    Silence,
    /// A connection that breaks at once.
    Reset,
}

/// The point of a call at which a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FaultPoint {
    /// Before the call is applied, or instead.
    BeforeApply,
    /// After the call was applied, before its reply goes out.
    AfterApplyBeforeReply,
    /// While the body of the reply is on its way.
    MidBody,
    /// Between two calls.
    BetweenCalls,
}

impl FaultPoint {
    /// The name, such as `mid_body`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BeforeApply => "before_apply",
            Self::AfterApplyBeforeReply => "after_apply_before_reply",
            Self::MidBody => "mid_body",
            Self::BetweenCalls => "between_calls",
        }
    }
}

impl Fault {
    /// The point of a call at which it strikes.
    pub const fn point(&self) -> FaultPoint {
        match self {
            Self::Error { .. }
            | Self::FailEntries(_)
            | Self::FailMixed(_)
            | Self::Reset
            | Self::Hang
            | Self::Delay(_)
            | Self::EmptyRead
            | Self::SkewedClock(_)
            | Self::ApplyLate { .. } => FaultPoint::BeforeApply,
            Self::LoseReply | Self::ErrorAfter { .. } | Self::HangAfter | Self::ApplyTwice { .. } => {
                FaultPoint::AfterApplyBeforeReply
            }
            Self::CutBody { .. }
            | Self::StallBody { .. }
            | Self::TrickleBody { .. }
            | Self::AtEvent { .. }
            | Self::AtAge { .. } => FaultPoint::MidBody,
            Self::Operate(_) => FaultPoint::BetweenCalls,
        }
    }

    /// The name of the variant as the journal and the JSON form have it, such as `lose_reply`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::LoseReply => "lose_reply",
            Self::Error { .. } => "error",
            Self::ErrorAfter { .. } => "error_after",
            Self::FailEntries(_) => "fail_entries",
            Self::FailMixed(_) => "fail_mixed",
            Self::Reset => "reset",
            Self::Hang => "hang",
            Self::HangAfter => "hang_after",
            Self::Delay(_) => "delay_millis",
            Self::EmptyRead => "empty_read",
            Self::SkewedClock(_) => "skewed_clock",
            Self::CutBody { .. } => "cut_body",
            Self::StallBody { .. } => "stall_body",
            Self::TrickleBody { .. } => "trickle_body",
            Self::ApplyTwice { .. } => "apply_twice",
            Self::ApplyLate { .. } => "apply_late",
            Self::Operate(_) => "operate",
            Self::AtEvent { .. } => "at_event",
            Self::AtAge { .. } => "at_age",
        }
    }

    /// Whether the fault can strike calls of the operation: entries only fail where there are any, events likewise.
    pub const fn concerns(&self, operation: Operation) -> bool {
        match self {
            Self::FailEntries(_) | Self::FailMixed(_) => matches!(operation, Operation::PutRecords),
            Self::EmptyRead => matches!(operation, Operation::GetRecords),
            Self::AtEvent { .. } | Self::AtAge { .. } => matches!(operation, Operation::SubscribeToShard),
            _ => true,
        }
    }

    /// Whether the caller does not learn what became of a call that was struck.
    pub(crate) const fn hides_answer(&self) -> bool {
        matches!(
            self,
            Self::LoseReply
                | Self::ErrorAfter { .. }
                | Self::HangAfter
                | Self::CutBody { .. }
                | Self::StallBody { .. }
                | Self::ApplyLate { .. }
        )
    }
}
