//! The service as a plain state machine: a time and a request in, a reply out.

mod account;
mod billing;
mod consumers;
mod control;
mod data;
mod error;
mod iterators;
mod limits;
mod listing;
mod place;
mod records;
mod resharding;
mod resources;
mod saved;
mod sequence;
mod settings;
mod shards;
mod streams;
mod subscriptions;
mod tags;
mod token;
mod waiting;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use account::{Account, StreamRef, StreamView};
pub(crate) use billing::Commitment;
pub(crate) use consumers::{ConsumerArn, ConsumerPage, ConsumerRef, ConsumerView};
pub(crate) use control::AccountLimits;
pub(crate) use data::{ChildShard, GetRecordsReply, PutOutcome, StoredAt};
pub use error::ServiceError;
pub(crate) use iterators::IteratorType;
pub use limits::Limits;
pub(crate) use listing::{ShardFilter, ShardPage};
pub(crate) use place::Place;
pub(crate) use records::{PutEntry, ReadRecord, RecordBody};
pub(crate) use resharding::ScaleReply;
pub(crate) use resources::{ResourceRef, no_such_resource};
pub(crate) use saved::{Appended, Cursor, SavedRecord, Unsaved};
pub(crate) use settings::{DEFAULT_MAX_RECORD_KIB, Distribution, Metric, SettingChange, StreamMode};
pub(crate) use shards::resolve_shard_id;
pub(crate) use streams::{ON_DEMAND_SHARDS, StreamOptions};
pub(crate) use subscriptions::{Push, PushedEvent, Subscription};
pub(crate) use tags::TagPage;

/// How long the service takes to carry out what it has accepted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Delays {
    pub(crate) creating: Duration,
    pub(crate) updating: Duration,
    pub(crate) deleting: Duration,
}

/// What the engine is told once.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) limits: Limits,
    pub(crate) delays: Delays,
    /// Whether what changes is kept for whoever saves it.
    pub(crate) saves: bool,
}

/// All accounts and regions.
#[derive(Debug)]
pub(crate) struct Engine {
    settings: Arc<Settings>,
    accounts: BTreeMap<Place, Account>,
}

impl Engine {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings: Arc::new(settings), accounts: BTreeMap::new() }
    }

    /// An account in a region; it is there as soon as it is asked for.
    pub(crate) fn at(&mut self, place: &Place) -> &mut Account {
        // Two look-ups, but no copy of the key where it is there.
        if !self.accounts.contains_key(place) {
            self.accounts.insert(place.clone(), Account::new(place.clone(), Arc::clone(&self.settings)));
        }
        self.accounts.get_mut(place).expect("invariant: it was inserted above")
    }

    /// Wakes everybody who waits for a shard to change: time has jumped, or will bring something else.
    pub(crate) fn wake_all(&mut self) {
        for account in self.accounts.values_mut() {
            account.wake_all();
        }
    }

    /// All accounts that were asked for.
    pub(crate) fn accounts(&mut self) -> impl Iterator<Item = (&Place, &mut Account)> {
        self.accounts.iter_mut()
    }

    /// An account in a region that was asked for before.
    pub(crate) fn known(&self, place: &Place) -> Option<&Account> {
        self.accounts.get(place)
    }
}
