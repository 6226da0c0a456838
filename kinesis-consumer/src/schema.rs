//! From records to what a program works with.

use std::time::SystemTime;

use crate::record::Record;

mod event_time;
#[cfg(feature = "json")]
mod json;
mod metadata;
mod plain;
mod refused;

pub use event_time::WithEventTime;
#[cfg(feature = "json")]
pub use json::{Json, JsonError, JsonErrorKind};
pub use metadata::{Described, RecordMetadata, WithMetadata};
pub use plain::{NotUtf8Error, RawBytes, RawRecords, Utf8};
pub use refused::{DeadLetter, DeadLetters, ErrorPolicy, OnError};
pub(crate) use refused::{Decoded, Judged, Judgement, Refusals};

/// The cause of a failure in user code.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Turns user records into items.
///
/// A closure from [`Record`] to `Result<Option<T>, BoxError>` is a schema too. Where one record holds several items, let
/// the item be a `Vec` of them: what comes of a record is delivered together, so that its position covers all of it.
pub trait Schema: Send + Sync + 'static {
    /// What the schema makes.
    type Item: Send + 'static;

    /// Makes an item of a record; nothing skips the record, and its position advances all the same.
    ///
    /// # Errors
    /// What becomes of the record then is [`error_policy`](Self::error_policy)'s to say; by default the job fails, and a
    /// restored one reads the record again. The error's text is shown in logs: it should not hold the data.
    fn decode(&self, record: Record) -> Result<Option<Self::Item>, BoxError>;

    /// The time that an item is about, for [watermarks](crate::WatermarkStrategy); by default that of the record's arrival.
    ///
    /// An item without one says nothing of how far its shard has come.
    fn event_time(&self, item: &Self::Item, arrived_at: Option<SystemTime>) -> Option<SystemTime> {
        let _ = item;
        arrived_at
    }

    /// What becomes of a record that [`decode`](Self::decode) refuses; asked once, when the consumer is built.
    fn error_policy(&self) -> ErrorPolicy {
        ErrorPolicy::Fail
    }

    /// Treats refused records by `policy`; the outermost policy counts.
    fn on_error(self, policy: ErrorPolicy) -> OnError<Self>
    where
        Self: Sized,
    {
        OnError::new(self, policy)
    }

    /// Skips refused records, counted in [`RecordsSkipped`](crate::ConsumerEvent::RecordsSkipped).
    fn or_skip(self) -> OnError<Self>
    where
        Self: Sized,
    {
        self.on_error(ErrorPolicy::Skip)
    }

    /// Gives refused records to `letters`, and goes on once it took them.
    fn or_dead_letter(self, letters: impl DeadLetters) -> OnError<Self>
    where
        Self: Sized,
    {
        self.on_error(ErrorPolicy::dead_letter(letters))
    }

    /// Takes the time that an item is about from `time_of`, which is given the item and the record's arrival.
    fn with_event_time<F>(self, time_of: F) -> WithEventTime<Self, F>
    where
        Self: Sized,
        F: Fn(&Self::Item, Option<SystemTime>) -> Option<SystemTime> + Send + Sync + 'static,
    {
        WithEventTime::new(self, time_of)
    }

    /// Hands each item on together with its record's metadata.
    fn with_metadata(self) -> WithMetadata<Self>
    where
        Self: Sized,
    {
        WithMetadata(self)
    }
}

impl<F, T> Schema for F
where
    F: Fn(Record) -> Result<Option<T>, BoxError> + Send + Sync + 'static,
    T: Send + 'static,
{
    type Item = T;

    fn decode(&self, record: Record) -> Result<Option<T>, BoxError> {
        self(record)
    }
}
