//! Faults as a file.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::fault::Fault;
use super::rule::{FaultHandle, FaultRule};
use crate::fake::FakeKinesis;

/// The version of the JSON form that is written and read.
const VERSION: u64 = 1;

/// Rules that belong together, and can be written down.
///
/// A plan is JSON: `{"version":1,"rules":[{"on":"PutRecords","nth":3,"fault":"lose_reply"}]}`. The names of its fields
/// are part of this crate's API; [`FaultRule`] and [`Fault`](crate::Fault) list them. A failing run is kept as the plan
/// rather than as the seed that [`generate`](Self::generate) made it of, since what a seed means can change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultPlan {
    rules: Vec<FaultRule>,
}

/// A text that is no plan.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReadPlanError {
    /// It is not JSON, misses a field, has an unknown one, or a value is of the wrong type.
    #[error("no fault plan: {detail}")]
    Malformed {
        /// What is wrong and where, such as "unknown field `foo`, expected … at line 3 column 9".
        detail: String,
    },
    /// Its version is not 1.
    #[error("a fault plan of version {found}; this release reads version 1")]
    Version {
        /// The version that it says it has.
        found: u64,
    },
}

/// As much of a plan as any version has.
#[derive(Deserialize)]
struct Versioned {
    version: u64,
}

#[derive(Serialize)]
struct Written<'a> {
    version: u64,
    rules: &'a [FaultRule],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    #[serde(rename = "version")]
    _version: u64,
    rules: Vec<FaultRule>,
}

impl From<serde_json::Error> for ReadPlanError {
    fn from(error: serde_json::Error) -> Self {
        Self::Malformed { detail: error.to_string() }
    }
}

impl FaultPlan {
    /// Makes a plan of rules, which are asked in this order.
    pub fn new(rules: impl IntoIterator<Item = FaultRule>) -> Self {
        Self { rules: rules.into_iter().collect() }
    }

    /// The rules, in the order in which they are asked.
    pub fn rules(&self) -> &[FaultRule] {
        &self.rules
    }

    /// Writes the plan, over several lines; equal plans give equal bytes.
    ///
    /// Durations are rounded down to milliseconds.
    pub fn to_json(&self) -> String {
        let written = Written { version: VERSION, rules: &self.rules };
        serde_json::to_string_pretty(&written).expect("invariant: every key of a plan is a text")
    }

    /// Reads a plan.
    ///
    /// # Errors
    /// [`ReadPlanError`], which a retry does not change; it names the field that is unknown or missing.
    pub fn from_json(text: &str) -> Result<Self, ReadPlanError> {
        let Versioned { version } = serde_json::from_str(text)?;
        if version != VERSION {
            return Err(ReadPlanError::Version { found: version });
        }
        let Read { rules, .. } = serde_json::from_str(text)?;
        if let Some(rule) = rules.iter().position(|rule| rule.nth == 0) {
            let detail = format!("`nth` of rule {rule} is 0: calls are counted from 1");
            return Err(ReadPlanError::Malformed { detail });
        }
        let no_event = |rule: &FaultRule| matches!(rule.fault, Some(Fault::AtEvent { nth: 0, .. }));
        if let Some(rule) = rules.iter().position(no_event) {
            let detail = format!("`nth` of the fault of rule {rule} is 0: events are counted from 1");
            return Err(ReadPlanError::Malformed { detail });
        }
        Ok(Self { rules })
    }
}

impl FakeKinesis {
    /// Adds the faults of a plan; the handles stand in the order of its rules.
    ///
    /// All windows are counted from now.
    pub fn inject_plan(&self, plan: &FaultPlan) -> Vec<FaultHandle> {
        let mut state = self.service.state.lock();
        plan.rules.iter().map(|rule| state.faults.inject(rule.clone(), self.place())).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use kinesis_core::{ShardId, StreamName};

    use super::*;
    use crate::faults::{
        ClockSkew, Entries, EntryFaults, EventFault, FaultClass, OperatorEvent, PlanShape, Unanswered,
    };
    use crate::journal::FaultMark;
    use crate::operation::Operation;

    fn orders() -> StreamName {
        "orders".parse().unwrap()
    }

    /// Every variant of a fault and of what faults are made of.
    fn faults() -> Vec<Fault> {
        let (millis, shard) = (Duration::from_millis(1234), || Some(ShardId::from_index(3)));
        let mixed =
            EntryFaults::none().throttled(Entries::All).failed(Entries::EveryNth(3)).stored(Entries::PerMille(9));
        vec![
            Fault::LoseReply,
            Fault::internal_failure(),
            Fault::internal_failure_after(),
            Fault::FailEntries(Entries::At(vec![1, 3])),
            Fault::FailMixed(mixed),
            Fault::FailMixed(EntryFaults::none()),
            Fault::Reset,
            Fault::Hang,
            Fault::HangAfter,
            Fault::Delay(millis),
            Fault::EmptyRead,
            Fault::SkewedClock(ClockSkew::Ahead(millis)),
            Fault::SkewedClock(ClockSkew::Behind(millis)),
            Fault::CutBody { after_bytes: 7 },
            Fault::StallBody { after_bytes: 7 },
            Fault::TrickleBody { interval: millis },
            Fault::ApplyTwice { after: millis },
            Fault::ApplyLate { after: millis, answer: Unanswered::Silence },
            Fault::ApplyLate { after: millis, answer: Unanswered::Reset },
            Fault::Operate(OperatorEvent::Split { stream: orders(), shard: shard() }),
            Fault::Operate(OperatorEvent::Split { stream: orders(), shard: None }),
            Fault::Operate(OperatorEvent::Merge { stream: orders(), shard: shard(), adjacent: shard() }),
            Fault::Operate(OperatorEvent::UpdateShardCount { stream: orders(), shards: 4 }),
            Fault::Operate(OperatorEvent::TrimAll { stream: orders() }),
            Fault::Operate(OperatorEvent::DeleteAndRecreate { stream: orders() }),
            Fault::Operate(OperatorEvent::AdvanceClock(millis)),
            Fault::AtEvent { nth: 3, fault: EventFault::End },
            Fault::AtEvent { nth: 3, fault: EventFault::exception("ResourceInUseException") },
            Fault::AtEvent { nth: 3, fault: EventFault::Repeat },
            Fault::AtEvent { nth: 3, fault: EventFault::Drop },
            Fault::AtEvent { nth: 3, fault: EventFault::Stall },
            Fault::AtEvent { nth: 3, fault: EventFault::Cut { after_bytes: 7 } },
            Fault::AtEvent { nth: 3, fault: EventFault::Delay(millis) },
            Fault::AtAge { age: millis, fault: EventFault::Stall },
        ]
    }

    #[test]
    fn every_fault_survives_the_round_trip() {
        for fault in faults() {
            let plan = FaultPlan::new([FaultRule::any().fault(fault.clone())]);
            let json = plan.to_json();
            assert!(json.contains(&format!("\"{}\"", fault.kind())), "{} is not in {json}", fault.kind());
            assert_eq!(FaultPlan::from_json(&json), Ok(plan), "{json}");
        }
        let kinds: BTreeSet<&str> = faults().iter().map(Fault::kind).collect();
        assert_eq!(kinds.len(), FaultMark::KINDS.len(), "every kind is tried, and the journal knows it");
        assert!(kinds.iter().all(|kind| FaultMark::new(kind, 0).kind() == *kind));
    }

    #[test]
    fn every_rule_survives_the_round_trip() {
        let rule = || FaultRule::on(Operation::GetRecords);
        let second = Duration::from_secs(1);
        let plan = FaultPlan::new([
            rule(),
            rule().nth(3).times(2).once_stored(9).fault(Fault::Reset),
            rule().always(),
            rule().stream(orders()).shard(ShardId::from_index(1)),
            rule().after(second).until(2 * second).with_probability(0.1),
            FaultRule::any(),
        ]);
        assert_eq!(FaultPlan::from_json(&plan.to_json()), Ok(plan));
        let shape = PlanShape { calls: 30, span: 60 * second, streams: vec![orders()] };
        for seed in 0..100 {
            let plan = FaultPlan::generate(seed, FaultClass::ALL, &shape);
            assert_eq!(FaultPlan::from_json(&plan.to_json()), Ok(plan), "seed {seed}");
        }
    }

    #[test]
    fn the_names_of_version_1_stand() {
        let text = r#"{"version":1,"rules":[
            {"on":"PutRecords","nth":3,"times":null,"stream":"orders","once_stored":4,"fault":"lose_reply"},
            {"on":"any","shard":"shardId-000000000001","after_millis":5,"until_millis":6,"per_million":250000},
            {"on":"GetRecords","fault":{"error":{"code":"A","message":"b","status":400}}},
            {"on":"PutRecords","fault":{"fail_mixed":{"throttled":{"at":[1]},"failed":"all","stored":{"per_mille":5}}}},
            {"on":"PutRecord","fault":{"apply_late":{"after_millis":7,"answer":"silence"}}},
            {"on":"PutRecord","fault":{"skewed_clock":{"ahead_millis":8}}},
            {"on":"any","fault":{"operate":{"split":{"stream":"orders"}}}},
            {"on":"any","fault":{"operate":{"advance_clock_millis":9}}},
            {"on":"SubscribeToShard","fault":{"at_event":{"nth":2,"fault":{"error":{"code":"A","message":"b"}}}}},
            {"on":"SubscribeToShard","fault":{"at_event":{"nth":2,"fault":"repeat"}}},
            {"on":"SubscribeToShard","fault":{"at_age":{"age_millis":300000,"fault":{"cut":{"after_bytes":0}}}}}
        ]}"#;
        let millis = Duration::from_millis;
        let error = Fault::Error { code: "A".to_owned(), message: "b".to_owned(), status: 400 };
        let event_error = EventFault::Error { code: "A".to_owned(), message: "b".to_owned() };
        let subscribe = FaultRule::on(Operation::SubscribeToShard);
        let mixed =
            EntryFaults::none().throttled(Entries::At(vec![1])).failed(Entries::All).stored(Entries::PerMille(5));
        let expected = FaultPlan::new([
            FaultRule::on(Operation::PutRecords)
                .nth(3)
                .always()
                .stream(orders())
                .once_stored(4)
                .fault(Fault::LoseReply),
            FaultRule::any().shard(ShardId::from_index(1)).after(millis(5)).until(millis(6)).with_probability(0.25),
            FaultRule::on(Operation::GetRecords).fault(error),
            FaultRule::on(Operation::PutRecords).fault(Fault::FailMixed(mixed)),
            FaultRule::on(Operation::PutRecord)
                .fault(Fault::ApplyLate { after: millis(7), answer: Unanswered::Silence }),
            FaultRule::on(Operation::PutRecord).fault(Fault::signature_expired(millis(8))),
            FaultRule::any().fault(Fault::Operate(OperatorEvent::Split { stream: orders(), shard: None })),
            FaultRule::any().fault(Fault::Operate(OperatorEvent::AdvanceClock(millis(9)))),
            subscribe.clone().fault(Fault::AtEvent { nth: 2, fault: event_error }),
            subscribe.clone().fault(Fault::AtEvent { nth: 2, fault: EventFault::Repeat }),
            subscribe.fault(Fault::AtAge { age: millis(300_000), fault: EventFault::Cut { after_bytes: 0 } }),
        ]);
        assert_eq!(FaultPlan::from_json(text), Ok(expected));
    }

    #[test]
    fn what_is_no_plan_is_refused_by_name() {
        let rule = |rule: &str| format!("{{\"version\":1,\"rules\":[{rule}]}}");
        let cases = [
            (r#"{"version":1,"rules":[],"seed":7}"#.to_owned(), "unknown field `seed`"),
            (rule(r#"{"on":"PutRecords","nht":3}"#), "unknown field `nht`"),
            (rule(r#"{"on":"PutRecords","fault":{"cut_body":{"bytes":3}}}"#), "unknown field `bytes`"),
            (rule(r#"{"on":"PutRecords","fault":{"fail_mixed":{"lost":"all"}}}"#), "unknown field `lost`"),
            (
                rule(r#"{"on":"PutRecords","fault":{"operate":{"trim_all":{"streams":"a"}}}}"#),
                "unknown field `streams`",
            ),
            (
                rule(r#"{"on":"SubscribeToShard","fault":{"at_event":{"nth":0,"fault":"end"}}}"#),
                "events are counted from 1",
            ),
            (rule(r#"{"on":"PutRecords","fault":"explode"}"#), "unknown variant `explode`"),
            (rule(r#"{"on":"PutPizza"}"#), "unknown operation `PutPizza`"),
            (rule(r#"{"on":"PutRecords","stream":"a b"}"#), "a b"),
            (rule("{}"), "missing field `on`"),
            (r#"{"rules":[]}"#.to_owned(), "missing field `version`"),
            (r#"{"version":2,"rules":[],"more":1}"#.to_owned(), "version 2"),
        ];
        for (text, expected) in cases {
            let error = FaultPlan::from_json(&text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
