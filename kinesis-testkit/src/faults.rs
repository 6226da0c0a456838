//! Faults: what goes wrong, and when.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kinesis_core::StreamName;

use crate::engine::ServiceError;
use crate::operation::Operation;

/// Something that goes wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// Some entries of a PutRecords call fail with `InternalFailure` and are not applied.
    FailEntries(Entries),
    /// The connection breaks before anything is applied.
    Reset,
    /// The call is never answered, and nothing is applied.
    Hang,
    /// The call takes longer before it is applied.
    Delay(Duration),
}

impl Fault {
    /// The service failing inside: code `InternalFailure`, status 500, nothing applied.
    pub fn internal_failure() -> Self {
        Self::Error { code: "InternalFailure".to_owned(), message: "Internal service failure.".to_owned(), status: 500 }
    }

    /// A throttle of the call as a whole: `ProvisionedThroughputExceededException`, nothing applied.
    pub fn throttle() -> Self {
        Self::Error {
            code: "ProvisionedThroughputExceededException".to_owned(),
            message: "Rate exceeded.".to_owned(),
            status: 400,
        }
    }
}

/// Which entries of a PutRecords call fail.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Entries {
    /// Every entry.
    All,
    /// The entries at these indices, from 0; those beyond the last entry are passed over.
    At(Vec<usize>),
    /// Every n-th entry: with 3 the indices 2, 5, 8, …; with 0 none.
    EveryNth(usize),
}

impl Entries {
    fn holds(&self, index: usize) -> bool {
        match self {
            Self::All => true,
            Self::At(indices) => indices.contains(&index),
            Self::EveryNth(n) => (index + 1).is_multiple_of(*n),
        }
    }
}

/// When which fault strikes.
///
/// Without more, the next call of the operation, once.
#[derive(Clone, Debug)]
pub struct FaultRule {
    operation: Operation,
    fault: Option<Fault>,
    nth: u64,
    times: u64,
    stream: Option<StreamName>,
    stored: u64,
}

impl FaultRule {
    /// Begins a rule about an operation.
    pub const fn on(operation: Operation) -> Self {
        Self { operation, fault: None, nth: 1, times: 1, stream: None, stored: 0 }
    }

    /// Sets what goes wrong; a rule without a fault only counts.
    pub fn fault(mut self, fault: Fault) -> Self {
        self.fault = Some(fault);
        self
    }

    /// Strikes at the `n`-th call that the rule is about, counted from 1 and from the injection.
    pub const fn nth(mut self, n: u64) -> Self {
        self.nth = n;
        self
    }

    /// Strikes that many calls in a row, where the default is one.
    pub const fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    /// Strikes every call from the first on.
    pub const fn always(self) -> Self {
        self.times(u64::MAX)
    }

    /// Is about the calls on one stream alone.
    pub fn stream(mut self, stream: StreamName) -> Self {
        self.stream = Some(stream);
        self
    }

    /// Is about calls from the moment on that the call's stream has taken `records` records.
    ///
    /// Counted are the records that were ever stored, before this call.
    pub const fn once_stored(mut self, records: u64) -> Self {
        self.stored = records;
        self
    }
}

#[derive(Debug, Default)]
struct Tally {
    seen: AtomicU64,
    fired: AtomicU64,
}

/// What came of a rule.
#[derive(Clone, Debug)]
pub struct FaultHandle(Arc<Tally>);

impl FaultHandle {
    /// How often the fault has struck.
    pub fn fired(&self) -> u64 {
        self.0.fired.load(Ordering::Relaxed)
    }

    /// How many calls the rule was about.
    pub fn seen(&self) -> u64 {
        self.0.seen.load(Ordering::Relaxed)
    }
}

/// What the fake knows of a call when it asks for faults.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallFacts<'a> {
    pub(crate) operation: Operation,
    pub(crate) stream: Option<&'a StreamName>,
    /// The records that the call's stream has ever taken.
    pub(crate) stored: u64,
}

/// What is to go wrong with one call: the delays add up, of the rest the first rule's fault counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Strike {
    pub(crate) delay: Duration,
    pub(crate) fault: Option<Fault>,
}

impl Strike {
    /// The error of a PutRecords entry that is not to be applied.
    pub(crate) fn entry_error(&self, index: usize) -> Option<ServiceError> {
        match &self.fault {
            Some(Fault::FailEntries(entries)) if entries.holds(index) => {
                Some(ServiceError::new("InternalFailure", "Internal service failure.", 500))
            }
            _ => None,
        }
    }
}

/// All rules, in the order of their injection.
#[derive(Debug, Default)]
pub(crate) struct FaultPlan(Vec<(FaultRule, Arc<Tally>)>);

impl FaultPlan {
    pub(crate) fn inject(&mut self, rule: FaultRule) -> FaultHandle {
        let tally = Arc::new(Tally::default());
        self.0.push((rule, Arc::clone(&tally)));
        FaultHandle(tally)
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Decides on a call, and counts it.
    pub(crate) fn strike(&self, call: &CallFacts<'_>) -> Strike {
        let mut strike = Strike::default();
        for (rule, tally) in &self.0 {
            let concerned = rule.operation == call.operation
                && rule.stream.as_ref().is_none_or(|stream| Some(stream) == call.stream)
                && call.stored >= rule.stored;
            if !concerned {
                continue;
            }
            let seen = tally.seen.fetch_add(1, Ordering::Relaxed) + 1;
            let due = seen >= rule.nth && seen - rule.nth < rule.times;
            let Some(fault) = rule.fault.as_ref().filter(|_| due) else { continue };
            match fault {
                Fault::Delay(delay) => strike.delay += *delay,
                fault if strike.fault.is_none() => strike.fault = Some(fault.clone()),
                // Another rule struck this call first; this one keeps its count of calls but has not fired.
                _ => continue,
            }
            tally.fired.fetch_add(1, Ordering::Relaxed);
        }
        strike
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(stored: u64) -> CallFacts<'static> {
        CallFacts { operation: Operation::PutRecords, stream: None, stored }
    }

    fn struck(rule: FaultRule, calls: impl IntoIterator<Item = u64>) -> Vec<bool> {
        let mut plan = FaultPlan::default();
        plan.inject(rule.fault(Fault::Reset));
        calls.into_iter().map(|stored| plan.strike(&call(stored)).fault.is_some()).collect()
    }

    #[test]
    fn a_rule_strikes_the_call_it_names() {
        let rule = || FaultRule::on(Operation::PutRecords);
        assert_eq!(struck(rule(), [0; 3]), [true, false, false]);
        assert_eq!(struck(rule().nth(2).times(2), [0; 4]), [false, true, true, false]);
        assert_eq!(struck(rule().nth(2).always(), [0; 4]), [false, true, true, true]);
        assert_eq!(struck(rule().once_stored(10), [0, 9, 10, 11]), [false, false, true, false]);
        assert_eq!(struck(FaultRule::on(Operation::GetRecords), [0; 2]), [false, false]);
        assert_eq!(struck(rule().stream("orders".parse().unwrap()), [0; 2]), [false, false]);
    }

    #[test]
    fn delays_add_up_and_the_first_other_fault_counts() {
        let mut plan = FaultPlan::default();
        let second = Duration::from_secs(1);
        let handles = [Fault::Delay(second), Fault::Hang, Fault::Delay(second), Fault::Reset]
            .map(|fault| plan.inject(FaultRule::on(Operation::PutRecords).fault(fault)));
        let strike = plan.strike(&call(0));
        assert_eq!((strike.delay, strike.fault), (2 * second, Some(Fault::Hang)));
        assert_eq!(handles.map(|handle| (handle.fired(), handle.seen())), [(1, 1), (1, 1), (1, 1), (0, 1)]);
    }

    #[test]
    fn entries_are_chosen_by_index() {
        let chosen = |entries: Entries| (0..7).filter(|index| entries.holds(*index)).collect::<Vec<_>>();
        assert_eq!(chosen(Entries::EveryNth(3)), [2, 5]);
        assert_eq!(chosen(Entries::At(vec![6, 0, 99])), [0, 6]);
        assert_eq!(chosen(Entries::All).len(), 7);
        assert_eq!(chosen(Entries::EveryNth(0)), [0usize; 0]);
    }
}
