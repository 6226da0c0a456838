//! The cases as they stand in the files.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// The cases of one operation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CaseFile {
    pub(crate) operation: String,
    pub(crate) cases: Vec<Case>,
}

/// Calls to a service that holds nothing yet, and what it says to them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// Who says so; see [`Case::source_kind`].
    pub(crate) source: String,
    #[serde(default)]
    pub(crate) fake: Setup,
    pub(crate) steps: Vec<Step>,
}

/// How the service is to be set up.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Setup {
    pub(crate) limits: Option<LimitsSetup>,
    pub(crate) creating_ms: Option<u64>,
    pub(crate) updating_ms: Option<u64>,
    pub(crate) deleting_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LimitsSetup {
    Aws,
}

/// A call, or time that passes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    pub(crate) call: Option<String>,
    pub(crate) input: Option<Value>,
    pub(crate) raw_body: Option<String>,
    /// The name under which the event stream of a call is kept.
    pub(crate) subscription: Option<String>,
    /// The name of the event stream that is read.
    pub(crate) receive: Option<String>,
    #[serde(default)]
    pub(crate) events: Vec<Value>,
    pub(crate) advance_ms: Option<u64>,
    pub(crate) status: Option<u16>,
    pub(crate) reply: Option<Value>,
    pub(crate) error: Option<Value>,
    #[serde(default)]
    pub(crate) absent: Vec<String>,
    #[serde(default)]
    pub(crate) exact: bool,
    #[serde(default)]
    pub(crate) save: BTreeMap<String, String>,
    pub(crate) repeat: Option<u32>,
    pub(crate) only: Option<Only>,
}

/// Where a step can be run at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Only {
    /// Where time can be moved.
    InProcess,
}

/// The forms of a source.
pub(crate) const SOURCE_KINDS: [&str; 4] = ["recorded", "model", "documentation", "unverified"];

impl Case {
    /// Whether it can be put to any service: it needs no set-up, no moved time, and no events.
    pub(crate) fn is_portable(&self) -> bool {
        let Setup { limits, creating_ms, updating_ms, deleting_ms } = &self.fake;
        let is_plain = limits.is_none() && creating_ms.or(*updating_ms).or(*deleting_ms).is_none();
        let needs_more = |step: &Step| step.only.is_some() || step.subscription.is_some() || step.receive.is_some();
        is_plain && !self.steps.iter().any(needs_more)
    }

    /// What the expectation rests on: a reply that was recorded from the service, the service model, the documentation,
    /// or nobody but us. All but the last say where.
    pub(crate) fn source_kind(&self) -> Option<&'static str> {
        let (kind, place) = self.source.split_once(": ").unwrap_or((&self.source, ""));
        SOURCE_KINDS.into_iter().find(|it| *it == kind && (*it == "unverified" || !place.is_empty()))
    }
}

impl Step {
    /// What is wrong with the step itself.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        if self.receive.is_some() {
            let is_alone = self.call.is_none() && self.advance_ms.is_none();
            return (self.events.is_empty() || !is_alone).then_some("not just events to receive");
        }
        if self.subscription.is_some() && (self.call.as_deref() != Some("SubscribeToShard") || self.error.is_some()) {
            return Some("a subscription that does not begin");
        }
        match (&self.call, self.advance_ms) {
            (None, None) => Some("neither a call nor time"),
            (Some(_), Some(_)) => Some("a call and time"),
            (None, Some(_)) if self.only != Some(Only::InProcess) => Some("time moves in process only"),
            (None, Some(_)) => None,
            (Some(_), None) if self.input.is_some() == self.raw_body.is_some() => Some("not one body"),
            (Some(_), None) if self.reply.is_some() && self.error.is_some() => Some("both a reply and an error"),
            (Some(_), None) if self.error.is_some() != self.status.is_some() => Some("an error has a status"),
            (Some(_), None) => None,
        }
    }
}

impl CaseFile {
    pub(crate) fn parse(text: &str) -> Self {
        match serde_json::from_str(text) {
            Ok(file) => file,
            Err(error) => panic!("a case file is malformed: {error}"),
        }
    }
}
