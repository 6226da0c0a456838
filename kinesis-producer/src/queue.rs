//! The way into the engine: bounded by records and bytes, and closed for good.

use std::collections::VecDeque;
use std::time::Duration;

use kinesis_core::{HashKey, StreamName};
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, SemaphorePermit, TryAcquireError, oneshot};
use tokio::time::Instant;

use crate::acknowledgement::{Places, PutHandle};
use crate::config::ProducerConfig;
use crate::pipeline::{Incoming, OpenWaiter, Released};
use crate::record::UserRecord;

/// What callers want of the engine.
#[derive(Debug)]
pub(crate) enum Command {
    Put(Incoming),
    /// Accept records of that key again.
    Acknowledge(StreamName, String),
    /// Look the stream up.
    Open(StreamName, OpenWaiter),
    /// Tell when everything up to here has its outcome, of one stream or of all.
    Flush(Option<StreamName>, oneshot::Sender<()>),
    /// The same for all, and end; where there is a deadline, give up what has no outcome then.
    Close(Option<Deadline>, oneshot::Sender<GivenUp>),
}

/// When a close gives up, and after how long that is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    pub(crate) at: Instant,
    pub(crate) limit: Duration,
}

/// The records that had no outcome when the time to close was over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct GivenUp {
    pub(crate) failed: u64,
    pub(crate) unknown: u64,
}

/// The queue is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closed;

#[derive(Debug, Default)]
struct Inbox {
    commands: VecDeque<Command>,
    places: Places,
    /// Records in, less those that were released.
    records: usize,
    bytes: usize,
    takes_no_records: bool,
    ended: bool,
}

/// Between the callers and the engine.
#[derive(Debug)]
pub(crate) struct Queue {
    inbox: Mutex<Inbox>,
    work: Notify,
    /// Told when the queue has ended.
    end: Notify,
    records: Semaphore,
    bytes: Semaphore,
    limit_bytes: u32,
}

/// Room for one record, given back where it is not used.
#[derive(Debug)]
pub(crate) struct Room<'a> {
    records: SemaphorePermit<'a>,
    bytes: SemaphorePermit<'a>,
}

impl Queue {
    pub(crate) fn new(config: &ProducerConfig) -> Self {
        let limit_bytes = u32::try_from(config.queue_limit_bytes).unwrap_or(u32::MAX);
        let permits = |limit: usize| Semaphore::new(limit.min(Semaphore::MAX_PERMITS));
        Self {
            inbox: Mutex::default(),
            work: Notify::new(),
            end: Notify::new(),
            records: permits(config.queue_limit_records),
            bytes: permits(limit_bytes as usize),
            limit_bytes,
        }
    }

    /// What a record of that size takes of the bytes: one that is larger than the limit passes alone.
    pub(crate) fn share(&self, size_bytes: usize) -> u32 {
        u32::try_from(size_bytes).unwrap_or(u32::MAX).min(self.limit_bytes)
    }

    /// Waits for room, first come, first served.
    pub(crate) async fn reserve(&self, size_bytes: usize) -> Result<Room<'_>, Closed> {
        let records = self.records.acquire().await.map_err(|_| Closed)?;
        let bytes = self.bytes.acquire_many(self.share(size_bytes)).await.map_err(|_| Closed)?;
        Ok(Room { records, bytes })
    }

    /// Takes room where there is some now.
    pub(crate) fn try_reserve(&self, size_bytes: usize) -> Result<Option<Room<'_>>, Closed> {
        let room = self.records.try_acquire().and_then(|records| {
            let bytes = self.bytes.try_acquire_many(self.share(size_bytes))?;
            Ok(Room { records, bytes })
        });
        match room {
            Ok(room) => Ok(Some(room)),
            Err(TryAcquireError::NoPermits) => Ok(None),
            Err(TryAcquireError::Closed) => Err(Closed),
        }
    }

    /// Puts a record into its room.
    pub(crate) fn put(
        &self,
        room: Room<'_>,
        stream: StreamName,
        record: UserRecord,
        hash_key: HashKey,
    ) -> Result<PutHandle, Closed> {
        let handle = {
            let mut inbox = self.inbox.lock();
            if inbox.takes_no_records {
                return Err(Closed);
            }
            inbox.records += 1;
            inbox.bytes += record.size_bytes();
            let (responder, handle) = inbox.places.next();
            inbox.commands.push_back(Command::Put(Incoming { stream, record, hash_key, responder }));
            handle
        };
        room.records.forget();
        room.bytes.forget();
        self.work.notify_one();
        Ok(handle)
    }

    /// Sends a command that needs no room.
    pub(crate) fn command(&self, command: Command) -> Result<(), Closed> {
        {
            let mut inbox = self.inbox.lock();
            if inbox.ended {
                return Err(Closed);
            }
            inbox.commands.push_back(command);
        }
        self.work.notify_one();
        Ok(())
    }

    /// Gives room back.
    pub(crate) fn release(&self, released: Released) {
        if released.records > 0 {
            let mut inbox = self.inbox.lock();
            inbox.records -= released.records;
            inbox.bytes -= released.bytes;
            drop(inbox);
            self.records.add_permits(released.records);
            self.bytes.add_permits(released.room_bytes);
        }
    }

    /// The records in here and behind it that have no outcome, and their bytes.
    pub(crate) fn outstanding(&self) -> (usize, usize) {
        let inbox = self.inbox.lock();
        (inbox.records, inbox.bytes)
    }

    /// Swaps all commands into `commands`, which must be empty.
    pub(crate) fn take(&self, commands: &mut VecDeque<Command>) {
        std::mem::swap(&mut self.inbox.lock().commands, commands);
    }

    /// Waits until there may be commands.
    pub(crate) async fn work(&self) {
        self.work.notified().await;
    }

    /// Refuses records from now on.
    pub(crate) fn close(&self) {
        self.inbox.lock().takes_no_records = true;
        self.records.close();
        self.bytes.close();
    }

    /// Refuses everything, and returns what nobody will take any more; nothing is outstanding then.
    pub(crate) fn end(&self) -> VecDeque<Command> {
        self.close();
        let left = {
            let mut inbox = self.inbox.lock();
            inbox.ended = true;
            (inbox.records, inbox.bytes) = (0, 0);
            std::mem::take(&mut inbox.commands)
        };
        self.end.notify_waiters();
        left
    }

    /// Waits until the queue has ended.
    pub(crate) async fn ended(&self) {
        // Before the look, so that an end in between is not missed.
        let end = self.end.notified();
        if !self.inbox.lock().ended {
            end.await;
        }
    }
}
