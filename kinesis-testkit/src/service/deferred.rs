//! Requests that are carried out later than they came in, with nobody waiting for them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use kinesis_core::SharedClock;
use parking_lot::{Mutex, MutexGuard};

use super::{Admitted, State, apply, outcome_of};
use crate::engine::ServiceError;
use crate::journal::Delivery;
use crate::protocol::Call;

/// What waits for its time, by that time and then by the order in which it was put off.
pub(super) type DeferredCalls = BTreeMap<(SystemTime, u64), DeferredCall>;

/// A request that waits for its time.
#[derive(Debug)]
pub(super) struct DeferredCall {
    call: Call,
    admitted: Admitted,
    delivery: Delivery,
}

impl State {
    /// Puts a request off; it keeps its request id and the mark of its fault.
    pub(super) fn defer(
        &mut self,
        call: Call,
        admitted: &Admitted,
        now: SystemTime,
        after: Duration,
        delivery: Delivery,
    ) {
        let Some(due) = now.checked_add(after) else { return };
        let strike = admitted.strike.spent();
        let admitted = Admitted { stream: admitted.stream.clone(), strike, ..*admitted };
        self.last_deferred += 1;
        self.deferred.insert((due, self.last_deferred), DeferredCall { call, admitted, delivery });
        // Whoever waits for records waits no longer than until then.
        self.engine.wake_all();
    }

    /// When the next request is due that was put off.
    pub(super) fn next_deferred(&self) -> Option<SystemTime> {
        self.deferred.first_key_value().map(|((due, _), _)| *due)
    }

    /// Carries out what is due by `now`, each at its own time.
    ///
    /// Called before anything else touches the state, so that a late request cannot tell that nobody woke for it.
    pub(super) fn settle(&mut self, now: SystemTime) {
        while let Some(first) = self.deferred.first_entry().filter(|first| first.key().0 <= now) {
            let (due, _) = *first.key();
            let DeferredCall { mut call, mut admitted, delivery } = first.remove();
            self.last_call += 1;
            admitted.id = self.last_call;
            let result = match (&mut call.request, call.operation) {
                (Ok(request), Some(operation)) => apply(self.engine.at(&call.place), due, operation, request, |_| None),
                (Ok(_), None) => Err(ServiceError::internal_failure()),
                (Err(refusal), _) => Err(refusal.clone()),
            };
            admitted.delivery = delivery;
            self.record(&call, &admitted, due, outcome_of(&result), result.as_ref().ok());
        }
    }
}

/// The state, which is brought up to date whenever somebody looks at it.
pub(crate) struct StateCell {
    state: Mutex<State>,
    clock: SharedClock,
}

impl StateCell {
    pub(super) const fn new(state: State, clock: SharedClock) -> Self {
        Self { state: Mutex::new(state), clock }
    }

    /// The service's time.
    pub(super) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// Locks the state, after what is due was carried out.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock();
        let now = self.clock.now();
        state.settle(now);
        state.faults.observe(now);
        state
    }
}

impl fmt::Debug for StateCell {
    /// Shows no state: it holds every record, and stands in the `Debug` of every client.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateCell").finish_non_exhaustive()
    }
}
