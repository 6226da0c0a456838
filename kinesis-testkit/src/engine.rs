//! The service as a plain state machine: a time and a request in, a reply out.

mod data;
mod error;
mod iterators;
mod limits;
mod listing;
mod records;
mod sequence;
mod shards;
mod streams;
mod token;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use kinesis_core::{HashKey, Shard as ShardDescription, ShardId, StreamArn, StreamName, unix_millis};

pub(crate) use data::{GetRecordsReply, PutOutcome, StoredAt};
pub use error::ServiceError;
pub(crate) use iterators::IteratorType;
pub use limits::Limits;
pub(crate) use listing::{ShardFilter, ShardPage};
pub(crate) use records::{PutEntry, ReadRecord, RecordBody};
use streams::Stream;
pub(crate) use streams::{DEFAULT_MAX_RECORD_KIB, StreamMode, StreamOptions, StreamStatus};
use token::{Purpose, Token};

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
    pub(crate) region: String,
    pub(crate) account: String,
    pub(crate) limits: Limits,
    pub(crate) delays: Delays,
}

/// A stream as a request names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StreamRef {
    pub(crate) name: StreamName,
    /// The ARN, where the request gave one.
    pub(crate) arn: Option<StreamArn>,
}

impl StreamRef {
    pub(crate) const fn named(name: StreamName) -> Self {
        Self { name, arn: None }
    }
}

/// What the service says of a stream.
#[derive(Clone, Debug)]
pub(crate) struct StreamView {
    pub(crate) arn: StreamArn,
    pub(crate) status: StreamStatus,
    pub(crate) mode: StreamMode,
    pub(crate) created_at: SystemTime,
    pub(crate) retention_hours: u64,
    pub(crate) max_record_kib: u32,
    pub(crate) open_shards: usize,
}

/// What is left of a stream that was deleted, so that a later one of its name is told from it.
#[derive(Clone, Copy, Debug)]
struct Grave {
    created_millis: u64,
    created_secs: u64,
}

/// One account in one region.
#[derive(Debug)]
pub(crate) struct Engine {
    settings: Settings,
    streams: BTreeMap<StreamName, Stream>,
    graves: BTreeMap<StreamName, Grave>,
}

impl Engine {
    pub(crate) const fn new(settings: Settings) -> Self {
        Self { settings, streams: BTreeMap::new(), graves: BTreeMap::new() }
    }

    pub(crate) const fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn create_stream(
        &mut self,
        now: SystemTime,
        name: &StreamName,
        options: &StreamOptions,
    ) -> Result<(), ServiceError> {
        let now_millis = unix_millis(now);
        let exists = self.find(now_millis, name).is_some();
        let (region, account) = (&self.settings.region, &self.settings.account);
        if exists {
            return Err(ServiceError::in_use(format!("Stream {name} under account {account} already exists.")));
        }
        let arn =
            StreamArn::new(region, account, name).map_err(|error| ServiceError::invalid_argument(error.to_string()))?;
        // The service back-dates the first shards by two seconds (kinesalite, actions/createStream.js).
        let mut created_secs = (now_millis / 1000).saturating_sub(2);
        let mut created_millis = now_millis;
        if let Some(grave) = self.graves.get(name) {
            created_millis = created_millis.max(grave.created_millis + 1);
            created_secs = created_secs.max(grave.created_secs + 1);
        }
        let stream = Stream::create(arn, options, created_millis, created_secs, self.settings.delays.creating);
        self.streams.insert(name.clone(), stream);
        Ok(())
    }

    pub(crate) fn delete_stream(&mut self, now: SystemTime, stream: &StreamRef) -> Result<(), ServiceError> {
        let (now_millis, deleting) = (unix_millis(now), self.settings.delays.deleting);
        let kept = self.stream(now, stream)?.delete(now_millis, deleting);
        if !kept {
            self.bury(&stream.name);
        }
        Ok(())
    }

    fn bury(&mut self, name: &StreamName) {
        if let Some(stream) = self.streams.remove(name) {
            let grave = Grave { created_millis: stream.created_millis, created_secs: stream.newest_created_secs() };
            self.graves.insert(name.clone(), grave);
        }
    }

    /// The stream of that name as it is now.
    fn find(&mut self, now_millis: u64, name: &StreamName) -> Option<&mut Stream> {
        if !self.streams.get_mut(name)?.settle(now_millis) {
            self.bury(name);
        }
        self.streams.get_mut(name)
    }

    /// The stream that a request names, in any state.
    fn stream(&mut self, now: SystemTime, stream: &StreamRef) -> Result<&mut Stream, ServiceError> {
        let StreamRef { name, arn } = stream;
        let account = self.settings.account.clone();
        if let Some(arn) = arn {
            let foreign = arn.account() != account || arn.region() != self.settings.region;
            if foreign {
                return Err(ServiceError::stream_not_found(name.as_str(), arn.account()));
            }
        }
        self.find(unix_millis(now), name).ok_or_else(|| ServiceError::stream_not_found(name.as_str(), &account))
    }

    /// The stream that a request names, if records can be put and read.
    fn usable_stream(&mut self, now: SystemTime, stream: &StreamRef) -> Result<&mut Stream, ServiceError> {
        let found = self.stream(now, stream)?;
        if !found.is_usable() {
            return Err(ServiceError::stream_not_found(stream.name.as_str(), found.arn.account()));
        }
        Ok(found)
    }

    pub(crate) fn describe(&mut self, now: SystemTime, stream: &StreamRef) -> Result<StreamView, ServiceError> {
        self.stream(now, stream).map(|stream| view(stream))
    }

    /// All streams after `after`, at most `limit`, and whether there are more.
    pub(crate) fn list_streams(
        &mut self,
        now: SystemTime,
        after: Option<&str>,
        limit: usize,
    ) -> (Vec<StreamView>, bool) {
        let names: Vec<StreamName> = self.streams.keys().cloned().collect();
        let mut views: Vec<StreamView> = names
            .iter()
            .filter(|name| after.is_none_or(|after| name.as_str() > after))
            .filter_map(|name| self.find(unix_millis(now), name).map(|stream| view(stream)))
            .take(limit + 1)
            .collect();
        let more = views.len() > limit;
        views.truncate(limit);
        (views, more)
    }

    /// A token that lets ListStreams go on after a stream.
    pub(crate) fn stream_page_token(&self, now: SystemTime, last: &StreamName) -> String {
        let token = Token {
            issued_millis: unix_millis(now),
            stream_created_millis: 0,
            shard_index: 0,
            detail: 0,
            value: 0,
            stream: last.clone(),
        };
        token.encode(Purpose::StreamPage, &self.settings.account)
    }

    /// The stream after which a token of ListStreams goes on.
    pub(crate) fn read_stream_page_token(&self, token: &str) -> Result<StreamName, ServiceError> {
        Token::decode(token, Purpose::StreamPage, &self.settings.account)
            .map(|token| token.stream)
            .ok_or_else(|| ServiceError::invalid_argument("Invalid NextToken."))
    }

    /// The first page of a stream's shards.
    pub(crate) fn list_shards(
        &mut self,
        now: SystemTime,
        stream: &StreamRef,
        filter: Option<&ShardFilter>,
        exclusive_start: Option<&str>,
        max_results: usize,
    ) -> Result<ShardPage, ServiceError> {
        let stream = self.stream(now, stream)?;
        require_settled(stream)?;
        listing::first_page(stream, filter, exclusive_start, max_results, unix_millis(now))
    }

    /// A later page of a stream's shards.
    pub(crate) fn list_more_shards(
        &mut self,
        now: SystemTime,
        token: &str,
        max_results: usize,
    ) -> Result<ShardPage, ServiceError> {
        let now_millis = unix_millis(now);
        let token = listing::read_token(token, &self.settings.account, now_millis)?;
        let stream = self.stream(now, &StreamRef::named(token.stream.clone()))?;
        require_settled(stream)?;
        listing::next_page(stream, &token, max_results, now_millis)
    }

    /// Up to `limit` shards for DescribeStream, and whether there are more; none while the stream is being created.
    pub(crate) fn describe_shards(
        &mut self,
        now: SystemTime,
        stream: &StreamRef,
        exclusive_start: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<ShardDescription>, bool), ServiceError> {
        let stream = self.stream(now, stream)?;
        if stream.status() == StreamStatus::Creating {
            return Ok((Vec::new(), false));
        }
        let page = listing::first_page(stream, None, exclusive_start, limit, unix_millis(now))?;
        Ok((page.shards, page.next_token.is_some()))
    }

    pub(crate) fn shards(&mut self, now: SystemTime, name: &StreamName) -> Result<Vec<ShardDescription>, ServiceError> {
        let stream = self.stream(now, &StreamRef::named(name.clone()))?;
        Ok(stream.describe_shards())
    }

    pub(crate) fn split(
        &mut self,
        now: SystemTime,
        stream: &StreamRef,
        shard: &str,
        at: Option<HashKey>,
    ) -> Result<[ShardId; 2], ServiceError> {
        let updating = self.settings.delays.updating;
        self.stream(now, stream)?.split(shard, at, unix_millis(now), updating)
    }

    pub(crate) fn merge(
        &mut self,
        now: SystemTime,
        stream: &StreamRef,
        shard: &str,
        adjacent: &str,
    ) -> Result<ShardId, ServiceError> {
        let updating = self.settings.delays.updating;
        self.stream(now, stream)?.merge(shard, adjacent, unix_millis(now), updating)
    }

    pub(crate) fn set_retention(
        &mut self,
        now: SystemTime,
        stream: &StreamRef,
        hours: u64,
        longer: bool,
    ) -> Result<(), ServiceError> {
        let updating = self.settings.delays.updating;
        self.stream(now, stream)?.set_retention(hours, longer, unix_millis(now), updating)
    }

    pub(crate) fn set_max_record_kib(
        &mut self,
        now: SystemTime,
        stream: &StreamRef,
        kib: u32,
    ) -> Result<(), ServiceError> {
        let updating = self.settings.delays.updating;
        self.stream(now, stream)?.set_max_record_kib(kib, unix_millis(now), updating)
    }

    /// The records and bytes that a stream holds.
    pub(crate) fn stored(&mut self, now: SystemTime, name: &StreamName) -> Result<(u64, u64), ServiceError> {
        let stream = self.stream(now, &StreamRef::named(name.clone()))?;
        stream.trim(unix_millis(now));
        Ok(stream.stored())
    }

    /// How many records were ever put into a stream; nothing where there is no such stream.
    pub(crate) fn ever_put(&self, name: &StreamName) -> Option<u64> {
        self.streams.get(name).map(|stream| stream.next_index - 1)
    }
}

/// Refuses a listing of a stream whose shards are not there yet, or are on their way out.
fn require_settled(stream: &Stream) -> Result<(), ServiceError> {
    if stream.is_usable() {
        return Ok(());
    }
    let (name, account, status) = (stream.name(), stream.arn.account(), stream.status().as_str());
    Err(ServiceError::in_use(format!("Stream {name} under account {account} is currently in state {status}.")))
}

fn view(stream: &Stream) -> StreamView {
    StreamView {
        arn: stream.arn.clone(),
        status: stream.status(),
        mode: stream.mode,
        created_at: stream.created_at(),
        retention_hours: stream.retention_hours,
        max_record_kib: stream.max_record_kib,
        open_shards: stream.open_shard_count(),
    }
}
