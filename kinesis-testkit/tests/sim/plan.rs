//! What is done in a run, as a file that can be played again and made smaller.

use std::collections::BTreeMap;
use std::time::Duration;

use kinesis_core::{EventTimeConfig, RecordPublisher, StartingPosition};
use kinesis_testkit::FaultPlan;
use serde::{Deserialize, Serialize};

/// The version of the JSON form that is written and read.
const VERSION: u32 = 1;

/// A run of the whole stack: what is put, what goes wrong, and when the job is killed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    pub(crate) version: u32,
    /// Of all jitter, the SDK's too, and of what no operation says.
    pub(crate) seed: u64,
    pub(crate) reader: Reader,
    pub(crate) shards: u32,
    /// How long the service takes for a call.
    pub(crate) latency_millis: u64,
    pub(crate) start: Start,
    pub(crate) event_time: EventTime,
    /// How much slower the first subtask is than the others.
    pub(crate) uneven: u32,
    /// How long the faults and crashes go on.
    pub(crate) span_millis: u64,
    pub(crate) producer: Producer,
    /// What is done, in the order of its times.
    pub(crate) steps: Vec<Timed>,
    /// The runs of the job, one after the other; from the first again where the span is longer.
    pub(crate) runs: Vec<Run>,
    /// The run that meets no fault, and drains.
    pub(crate) last: Run,
    /// Whether the last run of the span is begun after a tenth of it is over, is not killed, and drains itself.
    pub(crate) survives: bool,
    /// The faults of the service, by class.
    pub(crate) faults: BTreeMap<String, serde_json::Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reader {
    Polling,
    FanOut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Start {
    TrimHorizon,
    Latest,
}

/// Whether event time is kept, with shards that are aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EventTime {
    None,
    /// Silent shards are waited for.
    Waiting,
    /// Silent shards are idle after two seconds.
    Idle,
}

/// How the producer is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Producer {
    pub(crate) aggregates: bool,
    pub(crate) ordered: bool,
    pub(crate) buffered_millis: u64,
    pub(crate) ttl_millis: u64,
}

/// Something that is done at a time, counted from the begin of the span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Timed {
    pub(crate) at_millis: u64,
    pub(crate) what: Step,
}

/// Something that is done. A `number` names what is drawn for it, so that it stays the same when others are taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Step {
    /// The producer is given so many records.
    Produce {
        number: u32,
        records: u32,
    },
    /// A record is put by PutRecord: a text.
    Text {
        number: u32,
    },
    /// The same: an aggregate of one key.
    Aggregate {
        number: u32,
    },
    /// The same: an aggregate of several keys, and so of several shards (F18).
    Foreign {
        number: u32,
    },
    /// The same: an aggregate that is broken (F17).
    Broken {
        number: u32,
    },
    /// Several texts and aggregates are put by PutRecords.
    Entries {
        number: u32,
        entries: u32,
    },
    /// The open shard of that index, modulo how many there are, is split (F14).
    Split {
        index: u32,
    },
    /// It is merged with its upper neighbour (F14).
    Merge {
        index: u32,
    },
    /// Put futures are dropped as soon as they wait (F22).
    Cancel {
        number: u32,
        records: u32,
    },
    Flush,
    /// The producer is dropped, and another takes its place (F22).
    DropProducer,
    /// The producer is closed within a second, and another takes its place.
    CloseProducer,
    /// The credentials are replaced by others (F13).
    Rotate,
    /// So many calls to the provider of credentials fail (F13).
    FailCredentials {
        calls: u32,
    },
    /// The provider takes that long (F13).
    SlowCredentials {
        millis: u32,
    },
}

/// A run of the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Run {
    pub(crate) crash_after_millis: u64,
    pub(crate) parallelism: usize,
    pub(crate) max_batch: usize,
    pub(crate) checkpoint_millis: u64,
    /// How long a batch takes.
    pub(crate) pace_millis: u64,
}

impl Plan {
    pub(crate) const VERSION: u32 = VERSION;

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a plan has a JSON form")
    }

    pub(crate) fn from_json(text: &str) -> Result<Self, String> {
        let plan: Self = serde_json::from_str(text).map_err(|error| format!("no plan: {error}"))?;
        if plan.version != VERSION {
            return Err(format!("a plan of version {}; this release reads version {VERSION}", plan.version));
        }
        Ok(plan)
    }

    pub(crate) const fn publisher(&self) -> RecordPublisher {
        match self.reader {
            Reader::Polling => RecordPublisher::Polling,
            Reader::FanOut => RecordPublisher::EnhancedFanOut,
        }
    }

    pub(crate) const fn start(&self) -> StartingPosition {
        match self.start {
            Start::TrimHorizon => StartingPosition::TrimHorizon,
            Start::Latest => StartingPosition::Latest,
        }
    }

    pub(crate) fn event_time(&self) -> Option<EventTimeConfig> {
        event_time(self.event_time)
    }

    pub(crate) const fn span(&self) -> Duration {
        Duration::from_millis(self.span_millis)
    }

    /// The faults of a class.
    pub(crate) fn faults_of(&self, class: &str) -> FaultPlan {
        let json = self.faults.get(class).map(ToString::to_string);
        json.map_or_else(FaultPlan::default, |json| {
            FaultPlan::from_json(&json).expect("the faults of a plan are readable")
        })
    }

    /// Puts the faults of a class in; none take the class out.
    pub(crate) fn set_faults(&mut self, class: &str, faults: &FaultPlan) {
        if faults.rules().is_empty() {
            self.faults.remove(class);
        } else {
            let json = serde_json::from_str(&faults.to_json()).expect("what is written can be read");
            self.faults.insert(class.to_owned(), json);
        }
    }
}

/// Nobody reads more than a second ahead.
pub(crate) fn event_time(kept: EventTime) -> Option<EventTimeConfig> {
    let mut config = EventTimeConfig::default();
    config.sync_interval = Duration::from_millis(100);
    config.lookahead = Duration::from_secs(1);
    config.idle_interval = (kept == EventTime::Idle).then(|| Duration::from_secs(2));
    (kept != EventTime::None).then_some(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::draw;

    #[test]
    fn a_plan_is_read_back_as_it_was() {
        for seed in 0..20 {
            let plan = draw(seed);
            assert_eq!(Plan::from_json(&plan.to_json()), Ok(plan), "seed {seed}");
        }
    }

    #[test]
    fn what_is_no_plan_is_refused_with_a_word() {
        let plan = draw(1).to_json();
        assert!(Plan::from_json("{}").unwrap_err().contains("missing field"));
        assert!(Plan::from_json(&plan.replace("\"seed\"", "\"sead\"")).unwrap_err().contains("sead"));
        let newer = plan.replacen("\"version\": 1", "\"version\": 2", 1);
        assert!(Plan::from_json(&newer).unwrap_err().contains("version 2"));
    }
}
