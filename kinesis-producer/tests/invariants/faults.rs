//! What goes wrong in a run, by its seed.

use std::collections::BTreeMap;
use std::time::Duration;

use kinesis_core::{RandomStream, Randomness};
use kinesis_testkit::{
    Entries, EntryFaults, FakeKinesis, Fault, FaultHandle, FaultPlan, FaultRule, Operation, OperatorEvent, Unanswered,
};

use crate::workload::{STREAMS, millis};

/// How late a request may be delivered.
pub(crate) const LATEST_DELIVERY: Duration = Duration::from_secs(60);

/// About how many requests a run makes; faults are spread over them.
const CALLS: u64 = 45;

pub(crate) type Draw = fn(&mut RandomStream) -> (Operation, Fault);

/// Every kind of fault that comes by a rule, with its class; reshards, credentials and drops are made by the run.
pub(crate) const KINDS: [(&str, Draw); 22] = [
    ("F1 throttled", |_| (Operation::PutRecords, Fault::throttle())),
    ("F2 throttled and failed entries", |random| (Operation::PutRecords, entries(random, false))),
    ("F2 entries stored and reported as failed", |random| (Operation::PutRecords, entries(random, true))),
    ("F3 500 after the write", |_| (Operation::PutRecords, Fault::internal_failure_after())),
    ("F3 silence after the write", |_| (Operation::PutRecords, Fault::HangAfter)),
    ("F3 500 before the write", |_| (Operation::PutRecords, Fault::internal_failure())),
    ("F4 reset before the write", |_| (Operation::PutRecords, Fault::Reset)),
    ("F4 reset after the write", |_| (Operation::PutRecords, Fault::LoseReply)),
    ("F4 reset within the body", |random| (Operation::PutRecords, Fault::CutBody { after_bytes: random.below(300) })),
    ("F5 silence", |random| (Operation::PutRecords, slow(random))),
    ("F8 listings refused", |random| (lookup(random), Fault::limit_exceeded())),
    ("F8 listings broken", |random| (lookup(random), Fault::Reset)),
    ("F9 stream not seen", |_| (Operation::PutRecords, Fault::resource_not_found())),
    ("F11 key service throttling", |_| (Operation::PutRecords, Fault::kms_throttled())),
    ("F11 key disabled and healed", |_| (Operation::PutRecords, Fault::kms_disabled())),
    ("F12 clock ahead", |random| (Operation::PutRecords, Fault::signature_expired(skew(random)))),
    ("F12 clock behind", |random| (Operation::PutRecords, Fault::signature_not_yet_current(skew(random)))),
    ("F13 credentials expired on their way", |_| (Operation::PutRecords, Fault::expired_token())),
    ("F14 merge or new shard count", |random| (Operation::PutRecords, Fault::Operate(reshard(random)))),
    ("F18 split just before the write", |random| (Operation::PutRecords, Fault::Operate(split(random)))),
    ("F21 delivered twice", |random| (Operation::PutRecords, Fault::ApplyTwice { after: late(random) })),
    ("F21 delivered late", |random| (Operation::PutRecords, deferred(random))),
];

/// The rules of a run, each with its kind.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    rules: Vec<(&'static str, FaultRule)>,
}

impl Schedule {
    pub(crate) fn draw(seed: u64) -> Self {
        let randomness = Randomness::from_seed(seed);
        let mut random = randomness.stream("faults");
        // Some runs are quiet, so that what holds without faults is seen too.
        let share = random.below(7);
        let mut rules = Vec::new();
        for (name, draw) in KINDS {
            if random.below(10) >= share {
                continue;
            }
            // Of the reshards the service refuses many.
            let more = if name.starts_with("F14") { 6 } else { 2 };
            for _ in 0..=random.below(more) {
                let (operation, fault) = draw(&mut random);
                let calls = if operation == Operation::PutRecords { CALLS } else { 4 };
                let times = if matches!(fault, Fault::Operate(_)) { 1 } else { 1 + random.below(3) };
                rules.push((name, FaultRule::on(operation).nth(1 + random.below(calls)).times(times).fault(fault)));
            }
        }
        Self { rules }
    }

    pub(crate) const fn none() -> Self {
        Self { rules: Vec::new() }
    }

    /// One of every kind, over the calls of a long run.
    pub(crate) fn spread(seed: u64) -> Self {
        let mut random = Randomness::from_seed(seed).stream("faults");
        let mut rules = Vec::new();
        for (name, draw) in KINDS {
            for _ in 0..3 {
                let (operation, fault) = draw(&mut random);
                let calls = if operation == Operation::PutRecords { 10_000 } else { 30 };
                rules.push((name, FaultRule::on(operation).nth(1 + random.below(calls)).fault(fault)));
            }
        }
        Self { rules }
    }

    pub(crate) fn plan(&self) -> FaultPlan {
        FaultPlan::new(self.rules.iter().map(|(_, rule)| rule.clone()))
    }

    pub(crate) fn inject(&self, fake: &FakeKinesis) -> Vec<(&'static str, FaultHandle)> {
        self.rules.iter().map(|(name, rule)| (*name, fake.inject(rule.clone()))).collect()
    }
}

/// How often each kind has struck; of a reshard those that the service carried out.
pub(crate) fn count(fake: &FakeKinesis, handles: &[(&'static str, FaultHandle)]) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    let events = fake.journal().events;
    for (index, (name, handle)) in handles.iter().enumerate() {
        let of_rule = || events.iter().filter(|event| event.rule as usize == index);
        let refused = of_rule().filter(|event| event.refused.is_some()).count() as u64;
        *counts.entry(*name).or_default() += handle.fired() - refused;
    }
    counts
}

fn entries(random: &mut RandomStream, stored: bool) -> Fault {
    let mut some = || match random.below(3) {
        0 => Entries::EveryNth(1 + random.below(3) as usize),
        1 => Entries::At((0..random.below(6)).map(|_| random.below(8) as usize).collect()),
        _ => Entries::PerMille(100 + random.below(500) as u16),
    };
    let faults = EntryFaults::none().throttled(some()).failed(some());
    Fault::FailMixed(if stored { EntryFaults::none().stored(some()).failed(some()) } else { faults })
}

fn slow(random: &mut RandomStream) -> Fault {
    match random.below(4) {
        0 => Fault::Hang,
        1 => Fault::StallBody { after_bytes: random.below(100) },
        2 => Fault::TrickleBody { interval: millis(random.below(50)) },
        _ => Fault::Delay(millis(random.below(8000))),
    }
}

fn lookup(random: &mut RandomStream) -> Operation {
    if random.below(3) == 0 { Operation::DescribeStreamSummary } else { Operation::ListShards }
}

fn skew(random: &mut RandomStream) -> Duration {
    Duration::from_secs(300 + random.below(15 * 60))
}

fn late(random: &mut RandomStream) -> Duration {
    millis(random.below(LATEST_DELIVERY.as_millis() as u64) >> random.below(6))
}

fn deferred(random: &mut RandomStream) -> Fault {
    let answer = if random.below(2) == 0 { Unanswered::Silence } else { Unanswered::Reset };
    Fault::ApplyLate { after: late(random), answer }
}

fn split(random: &mut RandomStream) -> OperatorEvent {
    OperatorEvent::Split { stream: STREAMS[random.below(2) as usize].parse().unwrap(), shard: None }
}

fn reshard(random: &mut RandomStream) -> OperatorEvent {
    let stream = STREAMS[random.below(2) as usize].parse().unwrap();
    match random.below(4) {
        0..3 => OperatorEvent::Merge { stream, shard: None, adjacent: None },
        _ => OperatorEvent::UpdateShardCount { stream, shards: 1 + random.below(6) as u32 },
    }
}
