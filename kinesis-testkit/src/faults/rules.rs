//! The rules that are in force, and what they make of a call.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use kinesis_core::{RandomStream, Randomness, StreamName};

use super::entries::{EntryFault, internal_failure};
use super::events::EventFaults;
use super::fault::Fault;
use super::operator::OperatorEvent;
use super::rule::{FaultHandle, FaultRule, Tally};
use crate::engine::Place;
use crate::journal::FaultMark;
use crate::operation::Operation;

/// What the fake knows of a call when it asks for faults.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallFacts<'a> {
    pub(crate) place: &'a Place,
    pub(crate) operation: Operation,
    pub(crate) stream: Option<&'a StreamName>,
    pub(crate) shard: Option<&'a str>,
    /// The records that the call's stream has ever taken.
    pub(crate) stored: u64,
}

/// What is to go wrong with one call: delays add up, events all happen, and all faults of pushed events wait for theirs; of the rest the first rule's fault counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Strike {
    pub(crate) delay: Duration,
    pub(crate) events: Vec<(OperatorEvent, FaultMark)>,
    /// What strikes the events of the subscription that the call begins.
    pub(crate) events_struck: EventFaults,
    pub(crate) fault: Option<Fault>,
    /// The fault, or the first of the delays and events where there is none.
    pub(crate) mark: Option<FaultMark>,
    /// What the entries of the call draw from.
    salt: u64,
}

impl Strike {
    /// What happens to an entry of a PutRecords call.
    pub(crate) fn entry(&self, index: usize) -> Option<EntryFault> {
        match &self.fault {
            Some(Fault::FailEntries(entries)) if entries.holds(index, self.salt) => {
                Some(EntryFault::Refused(internal_failure()))
            }
            Some(Fault::FailMixed(faults)) => faults.of(index, self.salt),
            _ => None,
        }
    }

    /// What is left of it when its request is delivered again: the mark alone.
    pub(crate) fn spent(&self) -> Self {
        Self { mark: self.mark, ..Self::default() }
    }

    /// Whether the caller does not learn what became of the call.
    pub(crate) fn hides_answer(&self) -> bool {
        self.fault.as_ref().is_some_and(Fault::hides_answer)
    }

    /// How the body of the reply arrives.
    pub(crate) const fn body_shape(&self) -> BodyShape {
        match self.fault {
            Some(Fault::CutBody { after_bytes }) => BodyShape::Cut { after_bytes },
            Some(Fault::StallBody { after_bytes }) => BodyShape::Stall { after_bytes },
            Some(Fault::TrickleBody { interval }) => BodyShape::Trickle { interval },
            _ => BodyShape::Whole,
        }
    }
}

/// How the body of a reply arrives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum BodyShape {
    #[default]
    Whole,
    /// Then the connection breaks.
    Cut { after_bytes: u64 },
    /// Then nothing more comes.
    Stall { after_bytes: u64 },
    /// One byte after each interval.
    Trickle { interval: Duration },
}

#[derive(Debug)]
struct Injected {
    /// Counted from 0 over all injections, those that were healed too.
    index: u32,
    rule: FaultRule,
    /// Whose calls it is about.
    place: Place,
    at: SystemTime,
    tally: Arc<Tally>,
    /// Its own, so that a rule more does not move the draws of the others.
    random: RandomStream,
}

/// All rules, in the order of their injection.
#[derive(Debug)]
pub(crate) struct FaultRules {
    rules: Vec<Injected>,
    next_index: u32,
    /// What the service's clock showed when it was last asked.
    now: SystemTime,
    randomness: Randomness,
}

impl FaultRules {
    pub(crate) const fn new(randomness: Randomness) -> Self {
        Self { rules: Vec::new(), next_index: 0, now: SystemTime::UNIX_EPOCH, randomness }
    }

    /// Is told the time, from which the windows of rules that are injected next are counted.
    pub(crate) const fn observe(&mut self, now: SystemTime) {
        self.now = now;
    }

    pub(crate) fn inject(&mut self, rule: FaultRule, place: &Place) -> FaultHandle {
        let tally = Arc::new(Tally::default());
        self.rules.push(Injected {
            index: self.next_index,
            rule,
            place: place.clone(),
            at: self.now,
            tally: Arc::clone(&tally),
            random: self.randomness.stream(&format!("fault-{}", self.next_index)),
        });
        self.next_index += 1;
        FaultHandle(tally)
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    /// Whether a rule is about a shard.
    pub(crate) fn ask_for_shards(&self) -> bool {
        self.rules.iter().any(|injected| injected.rule.shard.is_some())
    }

    /// Decides on a call, and counts it.
    pub(crate) fn strike(&mut self, call: &CallFacts<'_>) -> Strike {
        let mut strike = Strike::default();
        for Injected { index, rule, place, at, tally, random } in &mut self.rules {
            if place != call.place || !rule.is_about(call, self.now.duration_since(*at).unwrap_or_default()) {
                continue;
            }
            let seen = tally.seen.fetch_add(1, Ordering::Relaxed) + 1;
            let Some(fault) = rule.fault.as_ref().filter(|_| rule.is_due(seen)) else { continue };
            // Drawn whatever other rules did.
            if !rule.is_certain() && !rule.strikes_at(random.below(1_000_000)) {
                continue;
            }
            let mark = FaultMark::new(fault.kind(), *index);
            match fault {
                Fault::Delay(delay) => strike.delay = strike.delay.saturating_add(*delay),
                Fault::Operate(event) => strike.events.push((event.clone(), mark)),
                fault if strike.events_struck.add(fault, tally) => {
                    // It counts as fired when its event comes.
                    strike.mark = strike.mark.or(Some(mark));
                    continue;
                }
                fault if strike.fault.is_none() => {
                    strike.fault = Some(fault.clone());
                    strike.mark = Some(mark);
                    if matches!(fault, Fault::FailEntries(_) | Fault::FailMixed(_)) {
                        strike.salt = random.next_u64();
                    }
                }
                // Another rule struck this call first; this one keeps its count of calls but has not fired.
                _ => continue,
            }
            strike.mark = strike.mark.or(Some(mark));
            tally.fired.fetch_add(1, Ordering::Relaxed);
        }
        strike
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> FaultRules {
        FaultRules::new(Randomness::from_seed(7))
    }

    fn home() -> &'static Place {
        static HOME: std::sync::LazyLock<Place> = std::sync::LazyLock::new(|| Place::new("123456789012", "us-east-1"));
        &HOME
    }

    fn call(stored: u64) -> CallFacts<'static> {
        CallFacts { place: home(), operation: Operation::PutRecords, stream: None, shard: None, stored }
    }

    fn struck(rule: FaultRule, calls: impl IntoIterator<Item = u64>) -> Vec<bool> {
        let mut rules = rules();
        rules.inject(rule.fault(Fault::Reset), home());
        calls.into_iter().map(|stored| rules.strike(&call(stored)).fault.is_some()).collect()
    }

    #[test]
    fn a_rule_strikes_the_call_it_names() {
        let rule = || FaultRule::on(Operation::PutRecords);
        assert_eq!(struck(rule(), [0; 3]), [true, false, false]);
        assert_eq!(struck(rule().nth(2).times(2), [0; 4]), [false, true, true, false]);
        assert_eq!(struck(rule().nth(2).always(), [0; 4]), [false, true, true, true]);
        assert_eq!(struck(rule().once_stored(10), [0, 9, 10, 11]), [false, false, true, false]);
        assert_eq!(struck(FaultRule::any().times(2), [0; 3]), [true, true, false]);
        assert_eq!(struck(FaultRule::on(Operation::GetRecords), [0; 2]), [false, false]);
        assert_eq!(struck(rule().stream("orders".parse().unwrap()), [0; 2]), [false, false]);
        assert_eq!(struck(rule().shard(kinesis_core::ShardId::from_index(0)), [0; 2]), [false, false]);
    }

    #[test]
    fn a_window_is_counted_from_the_injection() {
        let mut rules = rules();
        let at = |secs: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(1000 + secs);
        rules.observe(at(0));
        let [two, five] = [2, 5].map(Duration::from_secs);
        rules.inject(FaultRule::any().always().after(two).until(five).fault(Fault::Reset), home());
        let struck = [0, 1, 2, 4, 5, 100].map(|secs| {
            rules.observe(at(secs));
            rules.strike(&call(0)).fault.is_some()
        });
        assert_eq!(struck, [false, false, true, true, false, false]);
    }

    #[test]
    fn a_chance_is_drawn_from_the_seed() {
        let strikes = |probability: f64| {
            let mut rules = rules();
            rules.inject(FaultRule::any().always().with_probability(probability).fault(Fault::Reset), home());
            (0..1000).map(|_| rules.strike(&call(0)).fault.is_some()).collect::<Vec<_>>()
        };
        let count = |probability| strikes(probability).into_iter().filter(|it| *it).count();
        assert_eq!(strikes(0.25), strikes(0.25));
        assert!((200..300).contains(&count(0.25)), "{}", count(0.25));
        assert_eq!((count(0.0), count(1.0)), (0, 1000));
    }

    #[test]
    fn a_rule_more_does_not_move_the_draws_of_another() {
        let chance = || FaultRule::on(Operation::PutRecords).always().with_probability(0.5).fault(Fault::Reset);
        let struck = |more: bool| {
            let mut rules = rules();
            rules.inject(chance(), home());
            if more {
                rules.inject(FaultRule::any().always().with_probability(0.5).fault(Fault::Hang), home());
            }
            (0..100).map(|_| rules.strike(&call(0)).fault == Some(Fault::Reset)).collect::<Vec<_>>()
        };
        assert_eq!(struck(false), struck(true));
    }

    #[test]
    fn a_rule_is_about_the_calls_of_its_place() {
        let mut rules = rules();
        let elsewhere = Place::new("123456789012", "eu-west-1");
        rules.inject(FaultRule::any().always().fault(Fault::Reset), &elsewhere);
        assert_eq!(rules.strike(&call(0)).fault, None);
        assert_eq!(rules.strike(&CallFacts { place: &elsewhere, ..call(0) }).fault, Some(Fault::Reset));
    }

    #[test]
    fn delays_add_up_and_the_first_other_fault_counts() {
        let mut rules = rules();
        let second = Duration::from_secs(1);
        let handles = [Fault::Delay(second), Fault::Hang, Fault::Delay(second), Fault::Reset]
            .map(|fault| rules.inject(FaultRule::on(Operation::PutRecords).fault(fault), home()));
        let strike = rules.strike(&call(0));
        assert_eq!((strike.delay, strike.fault), (2 * second, Some(Fault::Hang)));
        assert_eq!(strike.mark.map(|mark| (mark.kind(), mark.rule())), Some(("hang", 1)));
        assert_eq!(handles.map(|handle| (handle.fired(), handle.seen())), [(1, 1), (1, 1), (1, 1), (0, 1)]);
    }

    #[test]
    fn a_fault_that_cannot_strike_leaves_the_call_to_others() {
        let mut rules = rules();
        let empty = rules.inject(FaultRule::any().fault(Fault::EmptyRead), home());
        rules.inject(FaultRule::any().fault(Fault::Reset), home());
        assert_eq!(rules.strike(&call(0)).fault, Some(Fault::Reset));
        assert_eq!((empty.fired(), empty.seen()), (0, 0));
    }

    #[test]
    fn an_index_is_not_used_twice() {
        let mut rules = rules();
        rules.inject(FaultRule::any(), home());
        rules.clear();
        rules.inject(FaultRule::any().fault(Fault::Hang), home());
        assert_eq!(rules.strike(&call(0)).mark.map(|mark| mark.rule()), Some(1));
    }
}
