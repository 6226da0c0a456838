//! What crosses the wire, as the SDK's hooks see it: every request, and what its caller was told.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_kinesis::config::interceptors::{
    BeforeSerializationInterceptorContextRef, BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_sdk_kinesis::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_kinesis::error::{BoxError, ProvideErrorMetadata};
use aws_sdk_kinesis::operation::put_records::{PutRecordsError, PutRecordsInput, PutRecordsOutput};
use aws_sdk_kinesis::types::PutRecordsResultEntry;
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use bytes::Bytes;
use kinesis_aggregation::decode;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::workload::id_of;

/// What the caller of a request was told of one of its entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It is stored in that shard, under that number.
    Stored(String, String),
    /// It is not stored.
    Refused(String),
    /// It may be stored.
    Ambiguous(String),
}

/// One entry of a request.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The records in it, in their order.
    pub(crate) ids: Vec<u64>,
    /// Data and partition key, as the service counts.
    pub(crate) size_bytes: usize,
    pub(crate) is_aggregate: bool,
}

#[derive(Clone, Debug)]
enum Answer {
    /// None yet, or none at all.
    None,
    Whole(Seen),
    Entries(Vec<Seen>),
}

/// One PutRecords request of the producer.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) at: Instant,
    pub(crate) stream: String,
    pub(crate) entries: Vec<Entry>,
    /// Whether it left: before that, nothing can have been applied.
    was_sent: bool,
    answer: Answer,
}

impl Request {
    /// What the caller was told of an entry; no answer at all is an ambiguous one.
    pub(crate) fn seen(&self, entry: usize) -> Seen {
        match &self.answer {
            Answer::Entries(seen) if seen.len() == self.entries.len() => seen[entry].clone(),
            Answer::Entries(_) => Seen::Ambiguous("another number of results".to_owned()),
            Answer::Whole(seen) => seen.clone(),
            Answer::None if !self.was_sent => Seen::Refused("not sent".to_owned()),
            Answer::None => Seen::Ambiguous("no answer".to_owned()),
        }
    }

    pub(crate) fn size_bytes(&self) -> usize {
        self.entries.iter().map(|entry| entry.size_bytes).sum()
    }
}

/// One try of one record, by the wire.
#[derive(Clone, Debug)]
pub(crate) struct Try {
    pub(crate) at: Instant,
    pub(crate) seen: Seen,
}

/// The tries of every record, in the order in which they were made.
pub(crate) fn tries(requests: &[Request]) -> BTreeMap<u64, Vec<Try>> {
    let mut tries = BTreeMap::<u64, Vec<Try>>::new();
    for request in requests {
        for (index, entry) in request.entries.iter().enumerate() {
            let seen = request.seen(index);
            for id in &entry.ids {
                tries.entry(*id).or_default().push(Try { at: request.at, seen: seen.clone() });
            }
        }
    }
    tries
}

/// A hook that writes down every PutRecords request of a client.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wire(Arc<Mutex<Vec<Request>>>);

/// The place of a request in the list.
#[derive(Clone, Copy, Debug)]
struct Place(usize);

impl Storable for Place {
    type Storer = StoreReplace<Self>;
}

impl Wire {
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.0.lock().clone()
    }
}

fn entry_of(partition_key: &str, data: &[u8]) -> Entry {
    let size_bytes = data.len() + partition_key.len();
    match decode(&Bytes::copy_from_slice(data)).unwrap() {
        Some(aggregate) => {
            let ids = aggregate.members().map(|member| id_of(member.partition_key(), member.data_bytes())).collect();
            Entry { ids, size_bytes, is_aggregate: true }
        }
        None => Entry { ids: vec![id_of(partition_key, data)], size_bytes, is_aggregate: false },
    }
}

/// A per-entry `InternalFailure` is ambiguous until shown otherwise, and so is what nobody knows.
fn seen_entry(entry: &PutRecordsResultEntry) -> Seen {
    match (entry.error_code(), entry.shard_id(), entry.sequence_number()) {
        (None, Some(shard), Some(number)) => Seen::Stored(shard.to_owned(), number.to_owned()),
        (Some(code), ..) => seen_code(code),
        _ => Seen::Ambiguous("no place".to_owned()),
    }
}

fn seen_code(code: &str) -> Seen {
    let is_definite = code.ends_with("Exception") || code == "KMSOptInRequired";
    if is_definite { Seen::Refused(code.to_owned()) } else { Seen::Ambiguous(code.to_owned()) }
}

impl Intercept for Wire {
    fn name(&self) -> &'static str {
        "Wire"
    }

    fn read_before_serialization(
        &self,
        context: &BeforeSerializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(input) = context.input().downcast_ref::<PutRecordsInput>() else { return Ok(()) };
        let entries = input
            .records()
            .iter()
            .map(|entry| entry_of(entry.partition_key().unwrap_or_default(), entry.data().as_ref()));
        let mut requests = self.0.lock();
        requests.push(Request {
            at: Instant::now(),
            stream: input.stream_name().unwrap_or_default().to_owned(),
            entries: entries.collect(),
            was_sent: false,
            answer: Answer::None,
        });
        cfg.interceptor_state().store_put(Place(requests.len() - 1));
        Ok(())
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(Place(index)) = cfg.load::<Place>() {
            self.0.lock()[*index].was_sent = true;
        }
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let (Some(Place(index)), Some(result)) = (cfg.load::<Place>(), context.output_or_error()) else {
            return Ok(());
        };
        let request = &mut self.0.lock()[*index];
        request.answer = match result {
            Ok(output) => {
                let output = output.downcast_ref::<PutRecordsOutput>().unwrap();
                Answer::Entries(output.records().iter().map(seen_entry).collect())
            }
            Err(error) => {
                let error = error.as_operation_error().and_then(|error| error.downcast_ref::<PutRecordsError>());
                match error.and_then(ProvideErrorMetadata::code) {
                    Some(code) => Answer::Whole(seen_code(code)),
                    None if request.was_sent => Answer::Whole(Seen::Ambiguous("broken".to_owned())),
                    None => Answer::Whole(Seen::Refused("not sent".to_owned())),
                }
            }
        };
        Ok(())
    }
}
