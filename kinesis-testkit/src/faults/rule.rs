//! When which fault strikes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kinesis_core::{ShardId, StreamName};
use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::json;
use crate::operation::Operation;

/// A chance is drawn in millionths, so that a rule is the same after a round trip through JSON.
const CERTAIN: u32 = 1_000_000;

/// When which fault strikes.
///
/// Without more, the next call of the operation, once.
///
/// As JSON: `on` (the operation, or `any`), and where they are not the default `fault`, `nth`, `times` (`null` for
/// every call from there on), `stream`, `shard`, `once_stored`, `after_millis`, `until_millis`, `per_million`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    #[serde(rename = "on", with = "json::operation")]
    pub(super) operation: Option<Operation>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) fault: Option<Fault>,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub(super) nth: u64,
    /// Nothing where there is no end.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub(super) times: Option<u64>,
    #[serde(default, with = "json::optional_text", skip_serializing_if = "Option::is_none")]
    pub(super) stream: Option<StreamName>,
    #[serde(default, with = "json::optional_text", skip_serializing_if = "Option::is_none")]
    pub(super) shard: Option<ShardId>,
    #[serde(default, rename = "once_stored", skip_serializing_if = "is_zero")]
    pub(super) stored: u64,
    #[serde(default, rename = "after_millis", with = "json::optional_millis", skip_serializing_if = "Option::is_none")]
    pub(super) after: Option<Duration>,
    #[serde(default, rename = "until_millis", with = "json::optional_millis", skip_serializing_if = "Option::is_none")]
    pub(super) until: Option<Duration>,
    #[serde(default = "certain", skip_serializing_if = "is_certain")]
    pub(super) per_million: u32,
}

const fn one() -> u64 {
    1
}

const fn once() -> Option<u64> {
    Some(1)
}

const fn certain() -> u32 {
    CERTAIN
}

const fn is_one(value: &u64) -> bool {
    *value == 1
}

fn is_once(value: &Option<u64>) -> bool {
    *value == once()
}

const fn is_zero(value: &u64) -> bool {
    *value == 0
}

const fn is_certain(value: &u32) -> bool {
    *value == CERTAIN
}

impl FaultRule {
    /// Begins a rule about an operation.
    pub const fn on(operation: Operation) -> Self {
        Self::about(Some(operation))
    }

    /// Begins a rule about every operation.
    ///
    /// Calls that its fault cannot strike, as [`Fault::concerns`] has it, are not counted.
    pub const fn any() -> Self {
        Self::about(None)
    }

    const fn about(operation: Option<Operation>) -> Self {
        Self {
            operation,
            fault: None,
            nth: 1,
            times: once(),
            stream: None,
            shard: None,
            stored: 0,
            after: None,
            until: None,
            per_million: CERTAIN,
        }
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
        self.times = if times == u64::MAX { None } else { Some(times) };
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

    /// Is about the calls on one shard alone: of GetShardIterator, of SubscribeToShard, of GetRecords by its
    /// iterator, of SplitShard and of MergeShards by the first of the two.
    pub fn shard(mut self, shard: ShardId) -> Self {
        self.shard = Some(shard);
        self
    }

    /// Is about calls from the moment on that the call's stream has taken `records` records.
    ///
    /// Counted are the records that were ever stored, before this call.
    pub const fn once_stored(mut self, records: u64) -> Self {
        self.stored = records;
        self
    }

    /// Is about the calls that come in `after` the injection or later, by the service's clock.
    pub const fn after(mut self, after: Duration) -> Self {
        self.after = Some(after);
        self
    }

    /// Is about the calls that come in earlier than `until` after the injection, by the service's clock.
    pub const fn until(mut self, until: Duration) -> Self {
        self.until = Some(until);
        self
    }

    /// Strikes the calls that it would strike with that chance only, from 0 to 1; drawn from the fake's seed.
    ///
    /// The chance is rounded to millionths. A call that is spared counts among the [`times`](Self::times).
    pub fn with_probability(mut self, probability: f64) -> Self {
        self.per_million = (probability.clamp(0.0, 1.0) * f64::from(CERTAIN)).round() as u32;
        self
    }

    /// Whether the rule is about such a call, which came in `since` its injection.
    pub(super) fn is_about(&self, call: &super::rules::CallFacts<'_>, since: Duration) -> bool {
        self.operation.is_none_or(|operation| operation == call.operation)
            && self.fault.as_ref().is_none_or(|fault| fault.concerns(call.operation))
            && self.stream.as_ref().is_none_or(|stream| Some(stream) == call.stream)
            && self.shard.as_ref().is_none_or(|shard| Some(shard.as_str()) == call.shard)
            && call.stored >= self.stored
            && self.after.is_none_or(|after| since >= after)
            && self.until.is_none_or(|until| since < until)
    }

    /// Whether the `seen`-th call that the rule is about is one that it strikes.
    pub(super) fn is_due(&self, seen: u64) -> bool {
        seen >= self.nth && self.times.is_none_or(|times| seen - self.nth < times)
    }

    pub(super) const fn is_certain(&self) -> bool {
        self.per_million >= CERTAIN
    }

    /// Whether a draw below a million strikes.
    pub(super) const fn strikes_at(&self, draw: u64) -> bool {
        draw < self.per_million as u64
    }
}

#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) seen: AtomicU64,
    pub(super) fired: AtomicU64,
}

/// What came of a rule.
#[derive(Clone, Debug)]
pub struct FaultHandle(pub(super) Arc<Tally>);

impl FaultHandle {
    /// How often the fault has struck; one of an event strikes when its event comes.
    pub fn fired(&self) -> u64 {
        self.0.fired.load(Ordering::Relaxed)
    }

    /// How many calls the rule was about.
    pub fn seen(&self) -> u64 {
        self.0.seen.load(Ordering::Relaxed)
    }
}
