//! Items with a time of their own.

use std::fmt;
use std::time::SystemTime;

use super::{BoxError, ErrorPolicy, Schema};
use crate::record::Record;

/// A schema whose items have times of their own; see [`Schema::with_event_time`].
#[derive(Clone)]
pub struct WithEventTime<S, F> {
    schema: S,
    time_of: F,
}

impl<S, F> WithEventTime<S, F> {
    pub(super) const fn new(schema: S, time_of: F) -> Self {
        Self { schema, time_of }
    }
}

impl<S, F> Schema for WithEventTime<S, F>
where
    S: Schema,
    F: Fn(&S::Item, Option<SystemTime>) -> Option<SystemTime> + Send + Sync + 'static,
{
    type Item = S::Item;

    fn decode(&self, record: Record) -> Result<Option<S::Item>, BoxError> {
        self.schema.decode(record)
    }

    fn event_time(&self, item: &S::Item, arrived_at: Option<SystemTime>) -> Option<SystemTime> {
        (self.time_of)(item, arrived_at)
    }

    fn error_policy(&self) -> ErrorPolicy {
        self.schema.error_policy()
    }
}

impl<S: fmt::Debug, F> fmt::Debug for WithEventTime<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithEventTime").field("schema", &self.schema).finish_non_exhaustive()
    }
}
