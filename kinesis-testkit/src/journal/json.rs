//! The journal as lines of JSON.

use std::fmt::Display;
use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kinesis_core::unix_millis;
use serde::{Serialize, Serializer};

use super::{CallOutcome, Journal, JournalCall, JournalEvent, JournalRecord};
use crate::faults::OperatorEvent;

fn text<T: Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

#[derive(Serialize)]
struct CallLine<'a> {
    line: &'static str,
    id: u64,
    request: u64,
    #[serde(serialize_with = "text")]
    request_id: super::RequestId,
    operation: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<&'a str>,
    at_millis: u64,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    stored_records: u32,
    failed_records: u32,
    misreported_records: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<u32>,
    reply_lost: bool,
    delivery: &'static str,
}

impl<'a> CallLine<'a> {
    fn of(call: &'a JournalCall) -> Self {
        let (outcome, error) = match &call.outcome {
            CallOutcome::Applied => ("applied", None),
            CallOutcome::Refused(code) => ("refused", Some(code.as_str())),
            CallOutcome::Reset => ("reset", None),
            CallOutcome::Hung => ("hung", None),
            CallOutcome::Abandoned => ("abandoned", None),
            CallOutcome::Deferred => ("deferred", None),
        };
        Self {
            line: "call",
            id: call.id,
            request: call.request,
            request_id: call.request_id,
            operation: call.operation.as_str(),
            stream: call.stream.as_ref().map(kinesis_core::StreamName::as_str),
            account: call.elsewhere().map(|(account, _)| account),
            region: call.elsewhere().map(|(_, region)| region),
            at_millis: unix_millis(call.at),
            outcome,
            error,
            stored_records: call.stored_records,
            failed_records: call.failed_records,
            misreported_records: call.misreported_records,
            fault: call.fault.map(super::FaultMark::kind),
            rule: call.fault.map(super::FaultMark::rule),
            reply_lost: call.reply_lost,
            delivery: call.delivery.as_str(),
        }
    }
}

#[derive(Serialize)]
struct RecordLine<'a> {
    line: &'static str,
    call: u64,
    stream: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<&'a str>,
    shard: &'a str,
    sequence_number: String,
    partition_key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    explicit_hash_key: Option<String>,
    arrived_at_millis: u64,
    data: String,
}

impl<'a> RecordLine<'a> {
    fn of(record: &'a JournalRecord) -> Self {
        Self {
            line: "record",
            call: record.call,
            stream: record.stream.as_str(),
            account: record.elsewhere().map(|(account, _)| account),
            region: record.elsewhere().map(|(_, region)| region),
            shard: record.shard.as_str(),
            sequence_number: record.sequence_number.to_string(),
            partition_key: record.partition_key(),
            explicit_hash_key: record.explicit_hash_key.map(|key| key.to_string()),
            arrived_at_millis: unix_millis(record.arrived_at),
            data: STANDARD.encode(record.body.data()),
        }
    }
}

#[derive(Serialize)]
struct EventLine<'a> {
    line: &'static str,
    before_call: u64,
    at_millis: u64,
    rule: u32,
    event: &'a OperatorEvent,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

impl<'a> EventLine<'a> {
    fn of(event: &'a JournalEvent) -> Self {
        Self {
            line: "event",
            before_call: event.before_call,
            at_millis: unix_millis(event.at),
            rule: event.rule,
            event: &event.event,
            error: event.refused.as_deref(),
        }
    }
}

fn write_line(to: &mut impl io::Write, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *to, line)?;
    to.write_all(b"\n")
}

impl Journal {
    /// Writes the journal, one JSON object per line; equal journals give equal bytes.
    ///
    /// `line` says what a line is: `event`, `call` or `record`. Lines stand in the order in which things happened: the
    /// events before a call, the call, the records that it stored. Times are milliseconds since the Unix epoch, data is
    /// base64. Every line is a small write, so that a file wants a buffer around it.
    ///
    /// # Errors
    /// What the writer returns; a part may have been written then.
    pub fn write_json_lines(&self, mut to: impl io::Write) -> io::Result<()> {
        let mut events = self.events.iter().peekable();
        let mut records = self.records.iter().peekable();
        for (index, call) in self.calls.iter().enumerate() {
            while let Some(event) = events.next_if(|event| event.after_calls <= index) {
                write_line(&mut to, &EventLine::of(event))?;
            }
            write_line(&mut to, &CallLine::of(call))?;
            while let Some(record) = records.next_if(|record| record.call == call.id) {
                write_line(&mut to, &RecordLine::of(record))?;
            }
        }
        // Before a call that is not in the journal yet.
        events.try_for_each(|event| write_line(&mut to, &EventLine::of(event)))
    }

    /// The journal as [`write_json_lines`](Self::write_json_lines) writes it.
    pub fn to_json_lines(&self) -> String {
        let mut bytes = Vec::new();
        self.write_json_lines(&mut bytes).expect("invariant: memory takes every byte, and every key is a text");
        String::from_utf8(bytes).expect("invariant: JSON is UTF-8")
    }
}
