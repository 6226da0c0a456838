//! Plans that a seed makes.

use std::fmt;
use std::time::Duration;

use kinesis_core::{RandomStream, Randomness, StreamName};

use super::entries::{Entries, EntryFaults};
use super::events::EventFault;
use super::fault::{Fault, Unanswered};
use super::operator::OperatorEvent;
use super::plan::FaultPlan;
use super::rule::FaultRule;
use crate::operation::Operation;

/// A class of faults that a plan can hold.
///
/// | class | what goes wrong | by |
/// | --- | --- | --- |
/// | F1 | a call is throttled | [`Fault::throttle`] |
/// | F2 | entries of PutRecords fail, mixed, anywhere | [`Fault::FailEntries`], [`Fault::FailMixed`] |
/// | F3 | an error or silence after the write | [`Fault::internal_failure_after`], [`Fault::HangAfter`], [`Fault::LoseReply`] |
/// | F4 | the connection breaks: before, after, within the body | [`Fault::Reset`], [`Fault::LoseReply`], [`Fault::CutBody`] |
/// | F5 | slow replies: silence after the headers, a byte at a time | [`Fault::StallBody`], [`Fault::TrickleBody`], [`Fault::Hang`], [`Fault::Delay`] |
/// | F6 | an iterator expires | [`Fault::expired_iterator`] |
/// | F7 | reads that return nothing | [`Fault::EmptyRead`] |
/// | F8 | listings: an expired token, too many calls | [`Fault::expired_next_token`], [`Fault::limit_exceeded`] |
/// | F9 | a stream or shard is not seen for a while | [`Fault::resource_not_found`] |
/// | F10 | a stream is deleted and created again | [`OperatorEvent::DeleteAndRecreate`] |
/// | F11 | the key service throttles or refuses | [`Fault::kms_throttled`] and its siblings |
/// | F12 | clocks disagree | [`Fault::signature_expired`], [`Fault::signature_not_yet_current`] |
/// | F13 | credentials rotate, expire, are slow | [`FakeCredentials`](crate::FakeCredentials), [`Fault::expired_token`] |
/// | F14 | a reshard at any step | [`OperatorEvent::Split`], [`OperatorEvent::Merge`], [`OperatorEvent::UpdateShardCount`] |
/// | F15 | retention removes what was not read | [`OperatorEvent::TrimAll`], [`OperatorEvent::AdvanceClock`] |
/// | F16 | subscriptions end, stall, are taken over, repeat or break off events | [`Fault::AtEvent`], [`Fault::AtAge`], [`Fault::resource_in_use`], [`Fault::StallBody`] |
/// | F17 | broken and hostile aggregates | [`corrupt_aggregate`](crate::corrupt_aggregate) |
/// | F18 | a reshard between prediction and write | [`OperatorEvent::Split`] just before a PutRecords call |
/// | F19, F22 | the client ends at any step | not here: it is the test that drops its task |
/// | F20 | a lease store that throttles | not here: it is not Kinesis |
/// | F21 | a request arrives twice, or late | [`Fault::ApplyTwice`], [`Fault::ApplyLate`] |
///
/// The variants are those that [`FaultPlan::generate`] can put into a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FaultClass {
    /// A call is throttled.
    F1,
    /// Some entries of PutRecords fail.
    F2,
    /// An error or silence after the call was applied.
    F3,
    /// The connection breaks before, after, or within the body.
    F4,
    /// Replies that stall or trickle, and calls that take long.
    F5,
    /// An iterator expires.
    F6,
    /// Reads return nothing although there is something.
    F7,
    /// Listings meet an expired token or too many calls.
    F8,
    /// A stream or shard is not seen for a while.
    F9,
    /// A stream is deleted and created again: what it held is gone, and a correct client stops.
    F10,
    /// The key service throttles or refuses.
    F11,
    /// Clocks disagree by up to twenty minutes.
    F12,
    /// A shard is split or two are merged at any step.
    F14,
    /// Retention removes what was not read: a correct client reports the loss.
    F15,
    /// Subscriptions end early, by errors and without, stall, break off, come late and repeat events.
    F16,
    /// A shard is split just before records are put.
    F18,
    /// A request is applied twice, or late.
    F21,
}

impl FaultClass {
    /// Every class, in order.
    pub const ALL: &'static [Self] = &[
        Self::F1,
        Self::F2,
        Self::F3,
        Self::F4,
        Self::F5,
        Self::F6,
        Self::F7,
        Self::F8,
        Self::F9,
        Self::F10,
        Self::F11,
        Self::F12,
        Self::F14,
        Self::F15,
        Self::F16,
        Self::F18,
        Self::F21,
    ];

    /// The name, such as `F12`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::F1 => "F1",
            Self::F2 => "F2",
            Self::F3 => "F3",
            Self::F4 => "F4",
            Self::F5 => "F5",
            Self::F6 => "F6",
            Self::F7 => "F7",
            Self::F8 => "F8",
            Self::F9 => "F9",
            Self::F10 => "F10",
            Self::F11 => "F11",
            Self::F12 => "F12",
            Self::F14 => "F14",
            Self::F15 => "F15",
            Self::F16 => "F16",
            Self::F18 => "F18",
            Self::F21 => "F21",
        }
    }
}

impl fmt::Display for FaultClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The run that a plan is to be generated for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlanShape {
    /// About how many calls of each operation the run makes; faults are spread over them.
    pub calls: u64,
    /// How long the run takes by the service's clock; the last quarter is left in peace.
    pub span: Duration,
    /// The streams of the run; without any there are no operator events.
    pub streams: Vec<StreamName>,
}

impl PlanShape {
    /// Describes a run by its calls, its time and its streams.
    pub const fn new(calls: u64, span: Duration, streams: Vec<StreamName>) -> Self {
        Self { calls, span, streams }
    }
}

impl FaultPlan {
    /// Makes a plan of a seed: where and when the classes strike.
    ///
    /// Each class gives one to three rules, and none strikes more than four calls in a row or after three quarters of
    /// the span, so that a client that is correct can finish. But F10 and F15 take data away, which a correct client
    /// reports and may stop at. The same arguments give the same plan within one release, and the rules of a class do
    /// not depend on which others there are; `calls` counts as 1 where it is 0.
    pub fn generate(seed: u64, classes: &[FaultClass], shape: &PlanShape) -> Self {
        let randomness = Randomness::from_seed(seed);
        let mut rules = Vec::new();
        for class in classes {
            let mut draw = Draw { random: randomness.stream(class.as_str()), shape };
            for _ in 0..=draw.below(3) {
                rules.extend(draw.rule(*class));
            }
        }
        Self::new(rules)
    }
}

/// The operations whose calls carry the data.
const DATA_PLANE: [Operation; 4] =
    [Operation::PutRecord, Operation::PutRecords, Operation::GetRecords, Operation::GetShardIterator];
/// The operations that find streams and shards.
const LISTINGS: [Operation; 3] = [Operation::ListShards, Operation::DescribeStream, Operation::DescribeStreamSummary];
const WRITES: [Operation; 2] = [Operation::PutRecords, Operation::PutRecord];

struct Draw<'a> {
    random: RandomStream,
    shape: &'a PlanShape,
}

impl Draw<'_> {
    fn below(&mut self, limit: u64) -> u64 {
        self.random.below(limit)
    }

    fn one_of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.random.below(choices.len() as u64) as usize].clone()
    }

    fn millis(&mut self, limit: u64) -> Duration {
        Duration::from_millis(self.below(limit))
    }

    /// A stream of the run; nothing where there is none.
    fn stream(&mut self) -> Option<StreamName> {
        let count = self.shape.streams.len() as u64;
        self.shape.streams.get(self.random.below(count) as usize).cloned()
    }

    /// Begins a rule somewhere in the run: from a call on, and within a window that ends while there is time left.
    fn somewhere(&mut self, operation: Operation) -> FaultRule {
        let nth = 1 + self.below(self.shape.calls.max(1));
        let until = self.shape.span / 4 * 3;
        let mut rule = FaultRule::on(operation).nth(nth).times(1 + self.below(4)).until(until);
        if self.below(4) == 0 {
            // The first call from some time on, rather than the n-th of all.
            let until_millis = u64::try_from(until.as_millis()).unwrap_or(u64::MAX);
            rule = rule.nth(1).after(self.millis(until_millis));
        }
        rule
    }

    fn rule(&mut self, class: FaultClass) -> Option<FaultRule> {
        let (operation, fault) = match class {
            FaultClass::F1 => (self.one_of(&DATA_PLANE), Fault::throttle()),
            FaultClass::F2 => (Operation::PutRecords, self.entries()),
            FaultClass::F3 => (self.one_of(&WRITES), self.after_the_write()),
            FaultClass::F4 => (self.one_of(&DATA_PLANE), self.broken()),
            FaultClass::F5 => (self.one_of(&DATA_PLANE), self.slow()),
            FaultClass::F6 => (Operation::GetRecords, Fault::expired_iterator()),
            FaultClass::F7 => (Operation::GetRecords, Fault::EmptyRead),
            FaultClass::F8 => self.listing(),
            FaultClass::F9 => {
                let on = [DATA_PLANE.as_slice(), &LISTINGS].concat();
                (self.one_of(&on), Fault::resource_not_found())
            }
            FaultClass::F11 => (self.one_of(&DATA_PLANE), self.kms()),
            FaultClass::F12 => (self.one_of(&DATA_PLANE), self.skew()),
            FaultClass::F16 => (Operation::SubscribeToShard, self.subscription()),
            FaultClass::F21 => (self.one_of(&WRITES), self.redelivered()),
            FaultClass::F10 | FaultClass::F14 | FaultClass::F15 | FaultClass::F18 => {
                return self.event(class);
            }
        };
        Some(self.somewhere(operation).fault(fault))
    }

    /// An operator event, once, before a call on any of the streams.
    fn event(&mut self, class: FaultClass) -> Option<FaultRule> {
        let stream = self.stream()?;
        let event = match class {
            FaultClass::F10 => OperatorEvent::DeleteAndRecreate { stream },
            FaultClass::F15 if self.below(2) == 0 => OperatorEvent::TrimAll { stream },
            FaultClass::F15 => OperatorEvent::AdvanceClock(Duration::from_secs(86_400 * (1 + self.below(3)))),
            FaultClass::F14 => match self.below(3) {
                0 => OperatorEvent::Merge { stream, shard: None, adjacent: None },
                // Refused where it is more than double or less than half of what is open.
                1 => OperatorEvent::UpdateShardCount { stream, shards: 1 + self.below(8) as u32 },
                _ => OperatorEvent::Split { stream, shard: None },
            },
            _ => OperatorEvent::Split { stream, shard: None },
        };
        let operation = if class == FaultClass::F18 { self.one_of(&WRITES) } else { self.one_of(&DATA_PLANE) };
        Some(self.somewhere(operation).times(1).fault(Fault::Operate(event)))
    }

    fn entries(&mut self) -> Fault {
        let chance = |draw: &mut Self| Entries::PerMille(50 + draw.below(400) as u16);
        if self.below(3) == 0 {
            return Fault::FailEntries(Entries::EveryNth(1 + self.below(4) as usize));
        }
        let mut faults = EntryFaults::none().throttled(chance(self)).failed(chance(self));
        if self.below(2) == 0 {
            faults = faults.stored(chance(self));
        }
        Fault::FailMixed(faults)
    }

    fn after_the_write(&mut self) -> Fault {
        self.one_of(&[Fault::internal_failure_after(), Fault::HangAfter, Fault::LoseReply])
    }

    fn broken(&mut self) -> Fault {
        let cut = Fault::CutBody { after_bytes: self.below(200) };
        self.one_of(&[Fault::Reset, Fault::LoseReply, cut])
    }

    fn slow(&mut self) -> Fault {
        let stalled = Fault::StallBody { after_bytes: self.below(100) };
        let trickle = Fault::TrickleBody { interval: Duration::from_secs(1 + self.below(10)) };
        let delay = Fault::Delay(self.millis(30_000));
        self.one_of(&[stalled, trickle, Fault::Hang, delay])
    }

    fn listing(&mut self) -> (Operation, Fault) {
        match self.below(2) {
            0 => (Operation::ListShards, Fault::expired_next_token()),
            _ => (self.one_of(&LISTINGS), Fault::limit_exceeded()),
        }
    }

    fn kms(&mut self) -> Fault {
        self.one_of(&[
            Fault::kms_throttled(),
            Fault::kms_disabled(),
            Fault::kms_access_denied(),
            Fault::kms_invalid_state(),
            Fault::kms_not_found(),
            Fault::kms_opt_in_required(),
        ])
    }

    fn skew(&mut self) -> Fault {
        let skew = Duration::from_secs(self.below(20 * 60 + 1));
        self.one_of(&[Fault::signature_expired(skew), Fault::signature_not_yet_current(skew)])
    }

    /// Something of which a reader can tell that it happened; an event that is left out is none of those.
    fn subscription(&mut self) -> Fault {
        let nth = 1 + self.below(10);
        let delay = self.millis(30_000);
        let cut = EventFault::Cut { after_bytes: self.below(400) };
        let exception = EventFault::exception(self.one_of(EventFault::EXCEPTIONS));
        let stalled = Fault::StallBody { after_bytes: self.below(400) };
        // Now and then at the very time at which a subscription ends by itself.
        let age = if self.below(2) == 0 { Duration::from_secs(300) } else { self.millis(300_000) };
        let at_event = |fault| Fault::AtEvent { nth, fault };
        let ending = self.one_of(&[EventFault::End, EventFault::Stall, cut.clone(), exception.clone()]);
        self.one_of(&[
            at_event(EventFault::End),
            at_event(exception),
            at_event(EventFault::Repeat),
            at_event(EventFault::Stall),
            at_event(cut),
            at_event(EventFault::Delay(delay)),
            Fault::AtAge { age, fault: ending },
            Fault::resource_in_use(),
            stalled,
        ])
    }

    fn redelivered(&mut self) -> Fault {
        let after = self.millis(60_000);
        let answer = self.one_of(&[Unanswered::Silence, Unanswered::Reset]);
        self.one_of(&[Fault::ApplyTwice { after }, Fault::ApplyLate { after, answer }])
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn shape() -> PlanShape {
        PlanShape { calls: 50, span: Duration::from_secs(600), streams: vec!["orders".parse().unwrap()] }
    }

    #[test]
    fn a_seed_gives_one_plan() {
        let plan = |seed| FaultPlan::generate(seed, FaultClass::ALL, &shape());
        for seed in 0..200 {
            assert_eq!(plan(seed), plan(seed), "seed {seed}");
        }
        let different: BTreeSet<String> = (0..200).map(|seed| plan(seed).to_json()).collect();
        assert_eq!(different.len(), 200);
    }

    #[test]
    fn classes_do_not_disturb_each_other() {
        for seed in 0..50 {
            let all = FaultPlan::generate(seed, FaultClass::ALL, &shape());
            let alone = FaultPlan::generate(seed, &[FaultClass::F21], &shape());
            assert!(all.rules().ends_with(alone.rules()), "seed {seed}");
        }
    }

    #[test]
    fn every_class_strikes_by_everything_it_has() {
        let kinds = |class: &FaultClass| {
            let rules = (0..300).flat_map(|seed| FaultPlan::generate(seed, &[*class], &shape()).rules().to_vec());
            let kinds: BTreeSet<String> = rules
                .map(|rule| match rule.fault.expect("a generated rule has a fault") {
                    Fault::Error { code, .. } => code,
                    Fault::Operate(event) => event.kind().to_owned(),
                    Fault::AtEvent { fault, .. } => format!("{fault:?}").split([' ', '(']).take(1).collect(),
                    fault => fault.kind().to_owned(),
                })
                .collect();
            kinds.len()
        };
        let counts: Vec<(&str, usize)> = FaultClass::ALL.iter().map(|class| (class.as_str(), kinds(class))).collect();
        let expected = [
            ("F1", 1),
            ("F2", 2),
            ("F3", 3),
            ("F4", 3),
            ("F5", 4),
            ("F6", 1),
            ("F7", 1),
            ("F8", 2),
            ("F9", 1),
            ("F10", 1),
            ("F11", 6),
            ("F12", 1),
            ("F14", 3),
            ("F15", 2),
            ("F16", 9),
            ("F18", 1),
            ("F21", 2),
        ];
        assert_eq!(counts, expected);
    }

    #[test]
    fn the_last_quarter_is_left_in_peace() {
        for seed in 0..200 {
            for rule in FaultPlan::generate(seed, FaultClass::ALL, &shape()).rules() {
                let bounded = rule.until == Some(Duration::from_secs(450)) && rule.times.is_some_and(|it| it <= 4);
                assert!(bounded && rule.after.unwrap_or_default() < Duration::from_secs(450), "seed {seed}: {rule:?}");
            }
        }
    }

    #[test]
    fn without_streams_there_are_no_events() {
        let shape = PlanShape { streams: Vec::new(), ..shape() };
        for seed in 0..50 {
            let plan = FaultPlan::generate(seed, &[FaultClass::F10, FaultClass::F14], &shape);
            assert_eq!(plan.rules(), [], "seed {seed}");
        }
    }
}
