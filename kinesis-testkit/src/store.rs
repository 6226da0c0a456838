//! A directory in which a fake's state outlives its process.
//!
//! What was answered is on disk before the answer goes out. All that comes in while one commit is under way makes up
//! the next one, so that calls share the time that a disk takes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use kinesis_core::StreamName;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use thiserror::Error;
use tokio::sync::{mpsc, watch};

use crate::engine::{Appended, Cursor, Place, RecordBody, SavedRecord};

/// What the tables and their values look like; another number is refused.
const FORMAT: u64 = 1;
const FILE: &str = "kinesis.redb";

/// The format, under one key.
const ABOUT: TableDefinition<'_, &str, u64> = TableDefinition::new("about");
/// Accounts in regions, as JSON.
const ACCOUNTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("accounts");
/// Streams by account, region and name: the number that their records have, and the rest as JSON.
const STREAMS: TableDefinition<'_, &str, (u64, &[u8])> = TableDefinition::new("streams");
/// Where the next record of a stream goes: its index, and whose turn it is.
const CURSORS: TableDefinition<'_, u64, (u64, u64)> = TableDefinition::new("cursors");
/// Stream, shard and index; arrival, whether it is encrypted, the length of the key, and the key with the data.
const RECORDS: TableDefinition<'_, RecordKey, RecordValue<'_>> = TableDefinition::new("records");

type RecordKey = (u64, u32, u64);
type RecordValue<'a> = (u64, bool, u16, &'a [u8]);

/// A directory that cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenStoreError {
    /// Another process has it open.
    #[error("{} is in use by another process: end that, or take another directory", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// It was written by another version.
    #[error("{} has the format {found}, and this version reads {FORMAT}: take another directory", path.display())]
    OtherFormat {
        /// The directory.
        path: PathBuf,
        /// The format that was found.
        found: u64,
    },
    /// What is in it makes no sense.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The directory.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// It cannot be read or written.
    #[error("{} cannot be used", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the operating system or the database says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// A stream as it was saved.
#[derive(Debug)]
pub(crate) struct SavedStream {
    pub(crate) place: Place,
    pub(crate) name: StreamName,
    pub(crate) number: u64,
    pub(crate) json: Vec<u8>,
    pub(crate) cursor: Option<Cursor>,
    pub(crate) records: Vec<SavedRecord>,
}

/// All that was saved.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) accounts: Vec<(Place, Vec<u8>)>,
    pub(crate) streams: Vec<SavedStream>,
}

/// What changed, and by which number it is waited for.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) ticket: u64,
    pub(crate) accounts: Vec<(Place, Vec<u8>)>,
    pub(crate) streams: Vec<(Place, StreamName, u64, Vec<u8>)>,
    /// Streams that are gone; the name may have been taken by another one.
    pub(crate) removed: Vec<(Place, StreamName, u64)>,
    pub(crate) records: Vec<(u64, Appended)>,
    pub(crate) cursors: Vec<(u64, Cursor)>,
    /// Stream, shard and index: all before that is gone.
    pub(crate) trimmed: Vec<(u64, u32, u64)>,
}

/// An open directory.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    database: Database,
}

type StorageResult<T> = Result<T, redb::Error>;

impl Store {
    /// Opens a directory, which is made if it is not there.
    pub(crate) fn open(path: &Path) -> Result<Self, OpenStoreError> {
        std::fs::create_dir_all(path).map_err(|source| failed(path, source))?;
        let database = Database::create(path.join(FILE)).map_err(|error| match error {
            redb::DatabaseError::DatabaseAlreadyOpen => OpenStoreError::InUse { path: path.to_owned() },
            other => failed(path, other),
        })?;
        let store = Self { path: path.to_owned(), database };
        let found = store.format().map_err(|error| failed(path, error))?;
        if found != FORMAT {
            return Err(OpenStoreError::OtherFormat { path: path.to_owned(), found });
        }
        Ok(store)
    }

    /// The format of the tables, which are made where there are none.
    fn format(&self) -> StorageResult<u64> {
        let transaction = self.database.begin_write()?;
        let mut about = transaction.open_table(ABOUT)?;
        let known = about.get("format")?.map(|format| format.value());
        if known.is_none() {
            about.insert("format", FORMAT)?;
            transaction.open_table(ACCOUNTS)?;
            transaction.open_table(STREAMS)?;
            transaction.open_table(CURSORS)?;
            transaction.open_table(RECORDS)?;
        }
        drop(about);
        transaction.commit()?;
        Ok(known.unwrap_or(FORMAT))
    }

    /// Reads all that is there.
    pub(crate) fn read(&self) -> Result<Contents, OpenStoreError> {
        let contents = self.try_read().map_err(|error| failed(&self.path, error))?;
        contents.map_err(|what| self.damaged(what))
    }

    /// Says that what is there makes no sense.
    pub(crate) fn damaged(&self, what: impl ToString) -> OpenStoreError {
        OpenStoreError::Damaged { path: self.path.clone(), what: what.to_string() }
    }

    fn try_read(&self) -> StorageResult<Result<Contents, String>> {
        let transaction = self.database.begin_read()?;
        let (accounts, streams) = (transaction.open_table(ACCOUNTS)?, transaction.open_table(STREAMS)?);
        let (cursors, records) = (transaction.open_table(CURSORS)?, transaction.open_table(RECORDS)?);
        let mut contents = Contents::default();
        for entry in accounts.iter()? {
            let (key, json) = entry?;
            let Some((place, "")) = parse_key(key.value()) else {
                return Ok(Err(format!("`{}` is no account in a region", key.value())));
            };
            contents.accounts.push((place, json.value().to_vec()));
        }
        for entry in streams.iter()? {
            let (key, value) = entry?;
            let (number, json) = value.value();
            let named = parse_key(key.value()).and_then(|(place, name)| Some((place, name.parse().ok()?)));
            let Some((place, name)) = named else { return Ok(Err(format!("`{}` is no stream", key.value()))) };
            let cursor = cursors.get(number)?.map(|cursor| {
                let (next_index, next_turn) = cursor.value();
                Cursor { next_index, next_turn }
            });
            let mut of_stream = Vec::new();
            for entry in records.range((number, 0, 0)..=(number, u32::MAX, u64::MAX))? {
                let (key, value) = entry?;
                let (_, shard, index) = key.value();
                let (arrived_millis, encrypted, key_length, bytes) = value.value();
                let Some(body) = body(bytes, key_length) else {
                    return Ok(Err(format!("record {index} of shard {shard} of {name} has no partition key in UTF-8")));
                };
                of_stream.push(SavedRecord { shard, index, arrived_millis, encrypted, body });
            }
            let json = json.to_vec();
            contents.streams.push(SavedStream { place, name, number, json, cursor, records: of_stream });
        }
        Ok(Ok(contents))
    }

    /// Removes the records of shards that streams have no more.
    pub(crate) fn forget_shards(&self, shards: &BTreeMap<u64, BTreeSet<u32>>) -> Result<(), OpenStoreError> {
        let forget = || -> StorageResult<()> {
            let transaction = self.database.begin_write()?;
            let mut records = transaction.open_table(RECORDS)?;
            records.retain(|(stream, shard, _), _| shards.get(&stream).is_some_and(|kept| kept.contains(&shard)))?;
            drop(records);
            Ok(transaction.commit()?)
        };
        forget().map_err(|error| failed(&self.path, error))
    }

    /// Begins to write, in a thread that ends with the last sender of what is to be written.
    pub(crate) fn write(self) -> Result<Saver, OpenStoreError> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let (saved, watch) = watch::channel(Ok(0));
        let path = self.path.clone();
        let thread = std::thread::Builder::new()
            .name("kinesis-testkit-store".to_owned())
            .spawn(move || self.run(receiver, &saved))
            .map_err(|source| failed(&path, source))?;
        Ok(Saver { sender: Some(sender), saved: watch, thread: Some(thread) })
    }

    fn run(self, mut batches: mpsc::UnboundedReceiver<Batch>, saved: &watch::Sender<Saved>) {
        while let Some(first) = batches.blocking_recv() {
            let rest = std::iter::from_fn(|| batches.try_recv().ok());
            match self.commit(std::iter::once(first).chain(rest)) {
                Ok(ticket) => drop(saved.send_replace(Ok(ticket))),
                Err(error) => {
                    // What comes after it would stand on what is not there.
                    tracing::error!(path = %self.path.display(), %error, "the state cannot be saved: no call succeeds any more");
                    drop(saved.send_replace(Err(error.to_string().into())));
                    return;
                }
            }
        }
    }

    fn commit(&self, batches: impl Iterator<Item = Batch>) -> StorageResult<u64> {
        let transaction = self.database.begin_write()?;
        let mut last = 0;
        for batch in batches {
            last = batch.ticket;
            write(&transaction, batch)?;
        }
        transaction.commit()?;
        Ok(last)
    }
}

fn write(transaction: &WriteTransaction, batch: Batch) -> StorageResult<()> {
    let Batch { accounts, streams, removed, records, cursors, trimmed, .. } = batch;
    if !accounts.is_empty() {
        let mut table = transaction.open_table(ACCOUNTS)?;
        for (place, json) in accounts {
            table.insert(key(&place, "").as_str(), json.as_slice())?;
        }
    }
    let mut record_table = transaction.open_table(RECORDS)?;
    let mut cursor_table = transaction.open_table(CURSORS)?;
    if !removed.is_empty() || !streams.is_empty() {
        let mut table = transaction.open_table(STREAMS)?;
        for (place, name, number) in removed {
            table.remove(key(&place, name.as_str()).as_str())?;
            cursor_table.remove(number)?;
            record_table.retain_in((number, 0, 0)..=(number, u32::MAX, u64::MAX), |_, _| false)?;
        }
        for (place, name, number, json) in streams {
            table.insert(key(&place, name.as_str()).as_str(), (number, json.as_slice()))?;
        }
    }
    let mut oldest: BTreeMap<_, _> =
        trimmed.into_iter().map(|(number, shard, index)| ((number, shard), index)).collect();
    for (number, record) in records {
        let Appended { shard, index, arrived_millis, encrypted, body, oldest_index, .. } = record;
        let value = (arrived_millis, encrypted, body.key_length(), body.key_and_data());
        record_table.insert((number, shard, index), value)?;
        oldest.insert((number, shard), oldest_index);
    }
    for ((number, shard), index) in oldest {
        // Where nothing is older, this reads the first key and no more.
        record_table.retain_in((number, shard, 0)..(number, shard, index), |_, _| false)?;
    }
    for (number, Cursor { next_index, next_turn }) in cursors {
        cursor_table.insert(number, (next_index, next_turn))?;
    }
    Ok(())
}

/// The last number that is on disk, or why nothing is saved any more.
type Saved = Result<u64, Arc<str>>;

/// The way to a directory that is written; dropping it writes what is left and closes the directory.
#[derive(Debug)]
pub(crate) struct Saver {
    /// Gone while it is dropped.
    sender: Option<mpsc::UnboundedSender<Batch>>,
    saved: watch::Receiver<Saved>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Saver {
    fn drop(&mut self) {
        self.sender = None;
        // One that panicked has nothing left to write.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Saver {
    /// Has a batch written; never waits.
    pub(crate) fn send(&self, batch: Batch) {
        if let Some(sender) = &self.sender {
            // A writer that is gone has said why.
            let _ = sender.send(batch);
        }
    }

    /// A way to wait for a number.
    pub(crate) fn ticket(&self, number: u64) -> Ticket {
        Ticket { number, saved: self.saved.clone() }
    }
}

/// Something to wait for.
#[derive(Debug)]
pub(crate) struct Ticket {
    number: u64,
    saved: watch::Receiver<Saved>,
}

impl Ticket {
    /// Waits until what it stands for is on disk; whether it is.
    pub(crate) async fn saved(mut self) -> bool {
        let number = self.number;
        let done = self.saved.wait_for(|saved| saved.as_ref().map_or(true, |saved| *saved >= number)).await;
        done.is_ok_and(|saved| saved.is_ok())
    }
}

fn failed(path: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> OpenStoreError {
    OpenStoreError::Io { path: path.to_owned(), source: source.into() }
}

fn key(place: &Place, name: &str) -> String {
    let (account, region) = place.names();
    format!("{account}/{region}/{name}")
}

fn parse_key(key: &str) -> Option<(Place, &str)> {
    let mut parts = key.splitn(3, '/');
    let (account, region, name) = (parts.next()?, parts.next()?, parts.next()?);
    Some((Place::new(account, region), name))
}

fn body(bytes: &[u8], key_length: u16) -> Option<RecordBody> {
    std::str::from_utf8(bytes.get(..usize::from(key_length))?).ok()?;
    Some(RecordBody::new(Bytes::copy_from_slice(bytes), key_length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_ticket_waits_for_its_number_or_for_the_end_of_all_saving() {
        let (sender, saved) = watch::channel::<Saved>(Ok(3));
        let ticket = |number| Ticket { number, saved: saved.clone() };
        assert!(ticket(3).saved().await);
        let waiting = tokio::spawn(ticket(4).saved());
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        sender.send_replace(Err("the disk is full".into())).unwrap();
        assert!(!waiting.await.unwrap());
        assert!(!ticket(2).saved().await, "what it would say may stand on what is not there");
        drop(sender);
    }

    #[test]
    fn a_key_names_a_place_and_a_stream() {
        let place = Place::new("123456789012", "us-east-1");
        assert_eq!(parse_key(&key(&place, "a.b-c_d")), Some((place.clone(), "a.b-c_d")));
        assert_eq!(parse_key(&key(&place, "")), Some((place, "")));
        assert_eq!(parse_key("123456789012/us-east-1"), None);
    }
}
