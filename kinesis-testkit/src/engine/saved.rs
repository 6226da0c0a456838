//! What is saved of streams and accounts, and how they come back.
//!
//! Records are saved one by one, and are not in here; nor is what a restart resets: meters, subscriptions, tokens.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;
use std::time::SystemTime;

use kinesis_core::{HashKey, HashKeyRange, StreamName, unix_millis};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Engine;
use super::account::{Account, SavedAccount};
use super::place::Place;
use super::records::RecordBody;
use super::streams::Stream;

/// A record that was stored and is to be saved.
#[derive(Clone, Debug)]
pub(crate) struct Appended {
    pub(crate) stream: StreamName,
    /// What tells the stream from a later one of its name.
    pub(crate) created_millis: u64,
    pub(crate) shard: u32,
    pub(crate) index: u64,
    pub(crate) arrived_millis: u64,
    pub(crate) encrypted: bool,
    pub(crate) body: RecordBody,
    /// The first record that the shard still has.
    pub(crate) oldest_index: u64,
}

/// What changed of an account since it was last saved.
#[derive(Debug, Default)]
pub(crate) struct Unsaved {
    pub(crate) appended: Vec<Appended>,
    /// Whether anything but records may have changed.
    pub(crate) has_changed: bool,
}

/// A record as it was saved.
#[derive(Debug)]
pub(crate) struct SavedRecord {
    pub(crate) shard: u32,
    pub(crate) index: u64,
    pub(crate) arrived_millis: u64,
    pub(crate) encrypted: bool,
    pub(crate) body: RecordBody,
}

/// What writes down where a stream's next record goes; it changes with every record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) next_index: u64,
    pub(crate) next_turn: u64,
}

impl Account {
    /// Notes that something but records may have changed.
    pub(crate) fn note_change(&mut self) {
        if let Some(unsaved) = &mut self.unsaved {
            unsaved.has_changed = true;
        }
    }

    /// What is to be saved; nothing where nothing changed, or nothing is ever saved.
    pub(crate) fn take_unsaved(&mut self) -> Option<Unsaved> {
        let unsaved = self.unsaved.as_mut()?;
        let changed = unsaved.has_changed || !unsaved.appended.is_empty();
        changed.then(|| std::mem::take(unsaved))
    }

    /// Every stream by name, with what tells it from a later one of its name.
    pub(crate) fn stream_ages(&self) -> impl Iterator<Item = (&StreamName, u64)> {
        self.streams_as_they_are().map(|stream| (stream.name(), stream.created_millis))
    }

    /// A stream without its records; nothing where there is none.
    pub(crate) fn save_stream(&self, name: &StreamName) -> Option<Vec<u8>> {
        Some(written(self.stream_as_it_is(name)?))
    }

    /// What belongs to no stream.
    pub(crate) fn save(&self) -> Vec<u8> {
        written(&self.as_saved())
    }

    /// The index of the first record that each shard has or will have.
    pub(crate) fn oldest_indices(&self, name: &StreamName) -> BTreeMap<u32, u64> {
        let stream = self.stream_as_it_is(name).into_iter();
        stream
            .flat_map(|stream| {
                let next = stream.next_index;
                stream.shards().map(move |shard| (shard.index, shard.log.oldest_index().unwrap_or(next)))
            })
            .collect()
    }

    pub(crate) fn cursor(&self, name: &StreamName) -> Option<Cursor> {
        let stream = self.stream_as_it_is(name)?;
        Some(Cursor { next_index: stream.next_index, next_turn: stream.next_turn as u64 })
    }
}

/// All of it is numbers, texts and lists, and goes into memory.
fn written(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("invariant: every map has keys that are texts or numbers")
}

impl Engine {
    /// Puts an account back.
    pub(crate) fn restore_account(&mut self, place: &Place, saved: &[u8]) -> Result<(), serde_json::Error> {
        let saved: SavedAccount = serde_json::from_slice(saved)?;
        self.at(place).restore(saved);
        Ok(())
    }

    /// Puts a stream back, as it is by now, with those of its records that it still has; the shards that it has.
    pub(crate) fn restore_stream(
        &mut self,
        place: &Place,
        saved: &[u8],
        cursor: Option<Cursor>,
        records: Vec<SavedRecord>,
        now: SystemTime,
    ) -> Result<BTreeSet<u32>, serde_json::Error> {
        let mut stream: Stream = serde_json::from_slice(saved)?;
        stream.complete(Arc::clone(&self.at(place).secret));
        if let Some(Cursor { next_index, next_turn }) = cursor {
            stream.next_index = stream.next_index.max(next_index);
            stream.next_turn = usize::try_from(next_turn).unwrap_or_default();
        }
        // What was due meanwhile has made the shards that records were put into.
        stream.settle(unix_millis(now));
        for record in records {
            let SavedRecord { shard, index, arrived_millis, encrypted, body } = record;
            stream.next_index = stream.next_index.max(index + 1);
            if let Some(shard) = stream.shard_mut(shard) {
                shard.log.append(index, arrived_millis, body, encrypted);
            }
        }
        let horizon = stream.kept_from_millis(unix_millis(now));
        stream.shards.values_mut().for_each(|shard| shard.log.trim_before(horizon));
        let shards = stream.shards().map(|shard| shard.index).collect();
        self.at(place).put_back(stream);
        Ok(shards)
    }
}

/// As the text that a type is shown as and parsed from.
pub(super) mod text {
    use super::{Deserialize, Deserializer, Display, FromStr, Serializer};
    use serde::de::Error;

    pub(in crate::engine) fn serialize<T: Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(in crate::engine) fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// As the text of a type, where there is one.
pub(super) mod optional_text {
    use super::{Deserialize, Deserializer, Display, FromStr, Serialize, Serializer};
    use serde::de::Error;

    pub(in crate::engine) fn serialize<T: Display, S: Serializer>(value: &Option<T>, to: S) -> Result<S::Ok, S::Error> {
        value.as_ref().map(ToString::to_string).serialize(to)
    }

    pub(in crate::engine) fn deserialize<'de, T, D>(from: D) -> Result<Option<T>, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
    }
}

/// As the two keys that a range begins and ends with.
pub(super) mod range {
    use super::{Deserialize, Deserializer, HashKey, HashKeyRange, Serialize, Serializer};
    use serde::de::Error;

    pub(in crate::engine) fn serialize<S: Serializer>(range: &HashKeyRange, to: S) -> Result<S::Ok, S::Error> {
        (range.start().to_string(), range.end().to_string()).serialize(to)
    }

    pub(in crate::engine) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<HashKeyRange, D::Error> {
        let (start, end) = <(String, String)>::deserialize(from)?;
        let key = |text: String| text.parse::<HashKey>().map_err(D::Error::custom);
        HashKeyRange::new(key(start)?, key(end)?).map_err(D::Error::custom)
    }
}
