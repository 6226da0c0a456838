//! From a seed to a plan.

use std::time::Duration;

use kinesis_core::{RandomStream, Randomness};
use kinesis_testkit::{FaultClass, FaultPlan, PlanShape};

use crate::plan::{EventTime, Plan, Producer, Reader, Run, Start, Step, Timed};
use crate::world::STREAM;

/// How long the faults and crashes go on, in virtual time.
const SPAN: Duration = Duration::from_secs(24);
/// About how many records a run has.
const RECORDS: u64 = 4_600;
/// About how many calls of each operation a run makes.
const CALLS: u64 = 60;

/// The classes that a plan can hold; F10 and F15 take data away, and have runs of their own.
pub(crate) const CLASSES: [FaultClass; 15] = [
    FaultClass::F1,
    FaultClass::F2,
    FaultClass::F3,
    FaultClass::F4,
    FaultClass::F5,
    FaultClass::F6,
    FaultClass::F7,
    FaultClass::F8,
    FaultClass::F9,
    FaultClass::F11,
    FaultClass::F12,
    FaultClass::F14,
    FaultClass::F16,
    FaultClass::F18,
    FaultClass::F21,
];

/// The plan of a seed; odd ones read by fan-out.
pub(crate) fn draw(seed: u64) -> Plan {
    let randomness = Randomness::from_seed(seed);
    let mut random = randomness.stream("plan");
    let reader = if seed.is_multiple_of(2) { Reader::Polling } else { Reader::FanOut };
    let event_time = match random.below(4) {
        0 => EventTime::Waiting,
        1 => EventTime::Idle,
        _ => EventTime::None,
    };
    let mut plan = Plan {
        version: Plan::VERSION,
        seed,
        reader,
        shards: 1 + random.below(4) as u32,
        latency_millis: random.below(40),
        start: if random.below(4) == 0 { Start::Latest } else { Start::TrimHorizon },
        event_time,
        uneven: if random.below(2) == 0 { 1 } else { 15 },
        span_millis: SPAN.as_millis() as u64,
        producer: Producer {
            aggregates: random.below(4) > 0,
            ordered: random.below(5) == 0,
            buffered_millis: 20 + random.below(400),
            ttl_millis: 1_000 + random.below(20_000),
        },
        steps: steps(&randomness),
        runs: (0..12).map(|_| run(&mut random)).collect(),
        // As fast as it can: how long it may take has nothing to do with how slow a processor is.
        last: Run { pace_millis: 0, ..run(&mut random) },
        survives: random.below(2) == 0,
        faults: Default::default(),
    };
    let classes: Vec<FaultClass> = CLASSES.into_iter().filter(|_| random.below(3) == 0).collect();
    let shape = |calls| PlanShape::new(calls, SPAN, vec![STREAM.parse().expect("a name")]);
    for class in classes {
        plan.set_faults(class.as_str(), &FaultPlan::generate(seed, &[class], &shape(CALLS)));
    }
    if reader == Reader::FanOut && random.below(2) == 0 {
        // Subscriptions are few, so that more is aimed at them.
        let aimed = (0..4).map(|part| FaultPlan::generate(seed * 4 + part, &[FaultClass::F16], &shape(12)));
        let rules: Vec<_> = aimed.flat_map(|plan| plan.rules().to_vec()).collect();
        plan.set_faults("F16", &FaultPlan::new(rules));
    }
    plan
}

fn run(random: &mut RandomStream) -> Run {
    Run {
        crash_after_millis: 300 + random.below(SPAN.as_millis() as u64 / 3),
        parallelism: 1 + random.below(4) as usize,
        // Small batches let barriers in everywhere, large ones let the run get on.
        max_batch: if random.below(3) == 0 { 1 + random.below(7) as usize } else { 20 + random.below(300) as usize },
        checkpoint_millis: 300 + random.below(3000),
        pace_millis: random.below(2) * random.below(60),
    }
}

/// What is done, in the order of its times.
fn steps(randomness: &Randomness) -> Vec<Timed> {
    let mut random = randomness.stream("steps");
    let mut numbers = 0..;
    let mut number = || numbers.next().expect("more numbers than steps");
    let mut steps = Vec::new();
    let mut records = 0;
    while records < RECORDS {
        let burst = 1 + random.below(2 * RECORDS / 20) as u32;
        records += u64::from(burst);
        steps.push(Step::Produce { number: number(), records: burst });
    }
    for _ in 0..30 {
        let number = number();
        steps.push(match random.below(20) {
            0..8 => Step::Text { number },
            8..13 => Step::Aggregate { number },
            13 => Step::Foreign { number },
            14..16 => Step::Broken { number },
            _ => Step::Entries { number, entries: 1 + random.below(6) as u32 },
        });
    }
    for _ in 0..random.below(5) {
        let index = random.below(64) as u32;
        steps.push(if random.below(5) < 3 { Step::Split { index } } else { Step::Merge { index } });
    }
    for _ in 0..2 + random.below(8) {
        steps.push(match random.below(8) {
            0 => Step::Cancel { number: number(), records: 1 + random.below(20) as u32 },
            1 => Step::Flush,
            2 => Step::DropProducer,
            3 => Step::CloseProducer,
            4 | 5 => Step::Rotate,
            6 => Step::FailCredentials { calls: 1 + random.below(4) as u32 },
            _ => Step::SlowCredentials { millis: random.below(4000) as u32 },
        });
    }
    let span = SPAN.as_millis() as u64;
    let mut steps: Vec<Timed> = steps.into_iter().map(|what| Timed { at_millis: random.below(span), what }).collect();
    steps.sort_by_key(|step| (step.at_millis, step.what));
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_means_one_plan_and_another_another() {
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7).steps, draw(9).steps);
    }
}
