//! What becomes of records that a schema refuses.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use kinesis_core::RecordPosition;

use super::{BoxError, Schema};
use crate::record::Record;

/// A record that a schema refused, and why.
#[derive(Debug)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The record, with stream, shard, position and keys.
    pub record: Record,
    /// The schema's error.
    pub error: BoxError,
}

/// Takes the records that a schema refused: writes them to a file, a queue, another stream.
///
/// An async closure from [`DeadLetter`] to `Result<(), BoxError>` will do.
#[async_trait]
pub trait DeadLetters: Send + Sync + 'static {
    /// Takes a record; once it returns, the position may pass it.
    ///
    /// Called in the order of the shard, before the batch that the record stood in is delivered, and again for the same
    /// record where the job went down before its position was saved: stream, shard and position tell the repetition.
    ///
    /// # Errors
    /// Any error fails the job with [`ConsumerError::DeadLetter`](crate::ConsumerError::DeadLetter); a restored job comes
    /// back with the record.
    async fn take(&self, letter: DeadLetter) -> Result<(), BoxError>;
}

#[async_trait]
impl<F, R> DeadLetters for F
where
    F: Fn(DeadLetter) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), BoxError>> + Send,
{
    async fn take(&self, letter: DeadLetter) -> Result<(), BoxError> {
        self(letter).await
    }
}

/// What becomes of a record that a schema refuses.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum ErrorPolicy {
    /// The job fails, and a restored one meets the record again; the default.
    #[default]
    Fail,
    /// The record is left out; [`RecordsSkipped`](crate::ConsumerEvent::RecordsSkipped) counts it.
    Skip,
    /// The record is handed over first; [`RecordsDeadLettered`](crate::ConsumerEvent::RecordsDeadLettered) counts it.
    DeadLetter(Arc<dyn DeadLetters>),
}

impl ErrorPolicy {
    /// Hands refused records to `letters`.
    pub fn dead_letter(letters: impl DeadLetters) -> Self {
        Self::DeadLetter(Arc::new(letters))
    }

    /// Hands refused records to a function that neither waits nor blocks.
    pub fn dead_letter_sync(take: impl Fn(DeadLetter) -> Result<(), BoxError> + Send + Sync + 'static) -> Self {
        Self::dead_letter(move |letter| std::future::ready(take(letter)))
    }
}

impl fmt::Debug for ErrorPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fail => "Fail",
            Self::Skip => "Skip",
            Self::DeadLetter(_) => "DeadLetter",
        })
    }
}

/// A schema with another policy for what it refuses; see [`Schema::on_error`].
#[derive(Clone, Debug)]
pub struct OnError<S> {
    schema: S,
    policy: ErrorPolicy,
}

impl<S> OnError<S> {
    pub(super) const fn new(schema: S, policy: ErrorPolicy) -> Self {
        Self { schema, policy }
    }
}

impl<S: Schema> Schema for OnError<S> {
    type Item = S::Item;

    fn decode(&self, record: Record) -> Result<Option<S::Item>, BoxError> {
        self.schema.decode(record)
    }

    fn event_time(&self, item: &S::Item, arrived_at: Option<SystemTime>) -> Option<SystemTime> {
        self.schema.event_time(item, arrived_at)
    }

    fn error_policy(&self) -> ErrorPolicy {
        self.policy.clone()
    }
}

/// What came of a record.
#[derive(Debug)]
pub(crate) enum Decoded<T> {
    Item(T),
    /// The schema refused it, and the policy lets it pass; the record where somebody is to be given it.
    Refused {
        position: RecordPosition,
        letter: Option<Box<DeadLetter>>,
    },
}

/// The user's schema with its policy, as readers use it: refused records travel on in their place in the shard.
///
/// A reader cannot wait for a dead-letter hook, since decoding is synchronous; whoever advances the position can.
#[derive(Debug)]
pub(crate) struct Judged<S> {
    schema: S,
    policy: ErrorPolicy,
}

impl<S: Schema> Judged<S> {
    pub(crate) fn new(schema: S) -> Self {
        let policy = schema.error_policy();
        Self { schema, policy }
    }

    /// Who is given what the schema refused.
    pub(crate) fn letters(&self) -> Option<Arc<dyn DeadLetters>> {
        match &self.policy {
            ErrorPolicy::DeadLetter(letters) => Some(Arc::clone(letters)),
            ErrorPolicy::Fail | ErrorPolicy::Skip => None,
        }
    }
}

impl<S: Schema> Schema for Judged<S> {
    type Item = Decoded<S::Item>;

    fn event_time(&self, item: &Self::Item, arrived_at: Option<SystemTime>) -> Option<SystemTime> {
        match item {
            Decoded::Item(item) => self.schema.event_time(item, arrived_at),
            Decoded::Refused { .. } => None,
        }
    }

    fn decode(&self, record: Record) -> Result<Option<Self::Item>, BoxError> {
        let position = record.position;
        match &self.policy {
            ErrorPolicy::Fail => Ok(self.schema.decode(record)?.map(Decoded::Item)),
            ErrorPolicy::Skip => Ok(match self.schema.decode(record) {
                Ok(item) => item.map(Decoded::Item),
                Err(_) => Some(Decoded::Refused { position, letter: None }),
            }),
            ErrorPolicy::DeadLetter(_) => Ok(match self.schema.decode(record.clone()) {
                Ok(item) => item.map(Decoded::Item),
                Err(error) => {
                    let letter = Some(Box::new(DeadLetter { record, error }));
                    Some(Decoded::Refused { position, letter })
                }
            }),
        }
    }
}

/// A batch, parted into what is delivered and what was refused.
#[derive(Debug)]
pub(crate) struct Judgement<T> {
    pub(crate) items: Vec<T>,
    pub(crate) refusals: Option<Refusals>,
}

/// The refused records of a batch.
#[derive(Debug)]
pub(crate) struct Refusals {
    pub(crate) first: RecordPosition,
    pub(crate) count: u64,
    /// In the order of the shard; empty where they are skipped.
    pub(crate) letters: Vec<DeadLetter>,
}

impl<T> Judgement<T> {
    pub(crate) fn of(decoded: Vec<Decoded<T>>) -> Self {
        let mut items = Vec::with_capacity(decoded.len());
        let mut refusals: Option<Refusals> = None;
        for one in decoded {
            match one {
                Decoded::Item(item) => items.push(item),
                Decoded::Refused { position, letter } => {
                    let begin = || Refusals { first: position, count: 0, letters: Vec::new() };
                    let refusals = refusals.get_or_insert_with(begin);
                    refusals.count += 1;
                    refusals.letters.extend(letter.map(|letter| *letter));
                }
            }
        }
        Self { items, refusals }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Utf8;
    use bytes::Bytes;

    fn refuse(schema: impl Schema) -> Result<Option<(u64, usize)>, BoxError> {
        let judged = Judged::new(schema);
        let decoded = judged.decode(Record::for_tests(7, Bytes::from_static(b"\xff")))?;
        let refusals = Judgement::of(decoded.into_iter().collect()).refusals;
        Ok(refusals.map(|refusals| (refusals.count, refusals.letters.len())))
    }

    #[test]
    fn the_policy_says_what_becomes_of_a_refused_record() {
        assert!(refuse(Utf8).is_err());
        assert_eq!(refuse(Utf8.or_skip()).unwrap(), Some((1, 0)));
        let letters = ErrorPolicy::dead_letter_sync(|_| Ok(()));
        assert_eq!(refuse(Utf8.on_error(letters.clone())).unwrap(), Some((1, 1)));
        assert_eq!(refuse(Utf8.on_error(letters.clone()).with_metadata()).unwrap(), Some((1, 1)));
        assert!(refuse(Utf8.on_error(letters).on_error(ErrorPolicy::Fail)).is_err(), "the outermost counts");
    }

    #[test]
    fn a_record_that_the_schema_leaves_out_is_not_refused() {
        let nothing = |_: Record| Ok::<Option<()>, BoxError>(None);
        assert_eq!(refuse(nothing.or_skip()).unwrap(), None);
    }
}
