//! One account in one region: its streams by name.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use kinesis_core::{Shard as ShardDescription, ShardId, StreamArn, StreamName, unix_millis};
use serde::{Deserialize, Serialize};

use super::billing::Billing;
use super::control::ControlMeters;
use super::error::ServiceError;
use super::listing::{self, ShardFilter, ShardPage};
use super::place::Place;
use super::resharding::ScaleReply;
use super::saved::Unsaved;
use super::settings::{self, SettingChange, StreamMode, StreamSettings};
use super::shards::resolve_shard_id;
use super::streams::{Stream, StreamOptions, StreamStatus};
use super::token::{Purpose, Token};
use super::{Settings, control, tags};

/// The most shards that a stream is made of at once, where there is no quota.
const MAX_SHARDS: u32 = 100_000;

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
    pub(crate) settings: StreamSettings,
    pub(crate) created_at: SystemTime,
    pub(crate) open_shards: usize,
    pub(crate) consumers: usize,
}

/// What is left of a stream that was deleted, so that a later one of its name is told from it.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
struct Grave {
    created_millis: u64,
    created_secs: u64,
}

/// What is saved of an account besides its streams.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct SavedAccount {
    billing: Billing,
    /// By the streams' names.
    graves: BTreeMap<String, Grave>,
}

/// One account in one region.
#[derive(Debug)]
pub(crate) struct Account {
    pub(super) place: Place,
    pub(super) secret: Arc<str>,
    pub(super) settings: Arc<Settings>,
    pub(super) billing: Billing,
    pub(super) control: ControlMeters,
    streams: BTreeMap<StreamName, Stream>,
    graves: BTreeMap<StreamName, Grave>,
    /// What changed since it was last saved; nothing where nothing is ever saved.
    pub(super) unsaved: Option<Unsaved>,
}

impl Account {
    pub(super) fn new(place: Place, settings: Arc<Settings>) -> Self {
        Self {
            secret: place.secret(),
            place,
            unsaved: settings.saves.then(Unsaved::default),
            settings,
            billing: Billing::default(),
            control: ControlMeters::default(),
            streams: BTreeMap::new(),
            graves: BTreeMap::new(),
        }
    }

    pub(crate) fn create_stream(
        &mut self,
        now: SystemTime,
        name: &StreamName,
        options: &StreamOptions,
    ) -> Result<(), ServiceError> {
        let now_millis = unix_millis(now);
        let Place { account, region } = self.place.clone();
        if self.find(now_millis, name).is_some() {
            return Err(ServiceError::in_use(format!("Stream {name} under account {account} already exists.")));
        }
        tags::check_new(&options.tags, &format!("stream {name} under account {account}"))?;
        if let Some(mibps) = options.warm_mibps {
            self.require_commitment(now)?;
            settings::check_warm_throughput(mibps)?;
        }
        self.require_room_for_stream(now_millis, options)?;
        let arn = StreamArn::new(&region, &account, name)
            .map_err(|error| ServiceError::invalid_argument(error.to_string()))?;
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

    /// Deletes a stream; one that has consumers only if `with_consumers`.
    pub(crate) fn delete_stream(
        &mut self,
        now: SystemTime,
        stream: &StreamRef,
        with_consumers: bool,
    ) -> Result<(), ServiceError> {
        let (now_millis, deleting) = (unix_millis(now), self.settings.delays.deleting);
        let found = self.stream(now, stream)?;
        if found.consumers.count() > 0 && !with_consumers {
            let (name, account) = (found.name(), found.arn.account());
            return Err(ServiceError::in_use(format!(
                "Stream {name} under account {account} has registered consumers. Deregister them, or delete the \
                 stream with EnforceConsumerDeletion."
            )));
        }
        if !found.delete(now_millis, deleting) {
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
    pub(super) fn stream(&mut self, now: SystemTime, stream: &StreamRef) -> Result<&mut Stream, ServiceError> {
        let StreamRef { name, arn } = stream;
        let account = Arc::clone(&self.place.account);
        let found = self.find(unix_millis(now), name);
        // Region and partition count, too.
        let found = found.filter(|found| arn.as_ref().is_none_or(|arn| *arn == found.arn));
        found.ok_or_else(|| {
            ServiceError::stream_not_found(name.as_str(), arn.as_ref().map_or(&account, StreamArn::account))
        })
    }

    /// The stream that a request names, if records can be put and read.
    pub(super) fn usable_stream(&mut self, now: SystemTime, stream: &StreamRef) -> Result<&mut Stream, ServiceError> {
        let found = self.stream(now, stream)?;
        if !found.is_usable() {
            return Err(ServiceError::stream_not_found(stream.name.as_str(), found.arn.account()));
        }
        Ok(found)
    }

    /// The streams, without what is due.
    pub(super) fn streams_as_they_are(&self) -> impl Iterator<Item = &Stream> {
        self.streams.values()
    }

    pub(super) fn stream_as_it_is(&self, name: &StreamName) -> Option<&Stream> {
        self.streams.get(name)
    }

    pub(super) fn as_saved(&self) -> SavedAccount {
        let graves = self.graves.iter().map(|(name, grave)| (name.to_string(), *grave)).collect();
        SavedAccount { billing: self.billing, graves }
    }

    pub(super) fn restore(&mut self, saved: SavedAccount) {
        self.billing = saved.billing;
        let graves = saved.graves.into_iter().filter_map(|(name, grave)| Some((name.parse().ok()?, grave)));
        self.graves = graves.collect();
    }

    pub(super) fn put_back(&mut self, stream: Stream) {
        self.streams.insert(stream.name().clone(), stream);
    }

    /// Every stream as it is now, in the order of the names.
    pub(super) fn streams(&mut self, now_millis: u64) -> impl Iterator<Item = &Stream> {
        let names: Vec<StreamName> = self.streams.keys().cloned().collect();
        for name in names {
            self.find(now_millis, &name);
        }
        self.streams.values()
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
        let later = |stream: &&Stream| after.is_none_or(|after| stream.name().as_str() > after);
        let mut views: Vec<StreamView> =
            self.streams(unix_millis(now)).filter(later).take(limit + 1).map(view).collect();
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
        token.encode(Purpose::StreamPage, &self.secret)
    }

    /// The stream after which a token of ListStreams goes on.
    pub(crate) fn read_stream_page_token(&self, now: SystemTime, token: &str) -> Result<StreamName, ServiceError> {
        let token = listing::read_token(token, Purpose::StreamPage, &self.secret, unix_millis(now))?;
        Ok(token.stream)
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
        stream: Option<&StreamRef>,
        token: &str,
        max_results: usize,
    ) -> Result<ShardPage, ServiceError> {
        let now_millis = unix_millis(now);
        let token = listing::read_token(token, Purpose::ShardPage, &self.secret, now_millis)?;
        if stream.is_some_and(|stream| stream.name != token.stream) {
            return Err(ServiceError::invalid_argument("NextToken is of another stream than StreamARN."));
        }
        let arn = stream.and_then(|stream| stream.arn.clone());
        let stream = self.stream(now, &StreamRef { name: token.stream.clone(), arn })?;
        require_settled(stream)?;
        listing::next_page(stream, &token, max_results, now_millis)
    }

    /// The stream that a page token of ListShards is about, if it is one of ours.
    pub(crate) fn stream_of_page(&self, token: &str) -> Option<StreamName> {
        Token::decode(token, Purpose::ShardPage, &self.secret).map(|token| token.stream)
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
        if !stream.is_born() {
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
        at: Option<&str>,
    ) -> Result<[ShardId; 2], ServiceError> {
        let updating = self.settings.delays.updating;
        let shard = self.shard_id(stream, shard)?;
        self.stream(now, stream)?.require_reshardable("SplitShard")?;
        self.require_room_for_shards(unix_millis(now), stream, 1)?;
        self.stream(now, stream)?.split(&shard, at, unix_millis(now), updating)
    }

    pub(crate) fn merge(
        &mut self,
        now: SystemTime,
        stream: &StreamRef,
        shard: &str,
        adjacent: &str,
    ) -> Result<ShardId, ServiceError> {
        let updating = self.settings.delays.updating;
        let (shard, adjacent) = (self.shard_id(stream, shard)?, self.shard_id(stream, adjacent)?);
        self.stream(now, stream)?.merge(&shard, &adjacent, unix_millis(now), updating)
    }

    pub(crate) fn update_shard_count(
        &mut self,
        now: SystemTime,
        stream: &StreamRef,
        target: u32,
    ) -> Result<ScaleReply, ServiceError> {
        let (now_millis, updating) = (unix_millis(now), self.settings.delays.updating);
        let open = self.stream(now, stream)?.open_shard_count() as u64;
        self.require_room_for_shards(now_millis, stream, u64::from(target).saturating_sub(open))?;
        let allowed = self.settings.limits.scalings;
        self.stream(now, stream)?.scale(target, allowed, now_millis, updating)
    }

    pub(crate) fn change(
        &mut self,
        now: SystemTime,
        stream: &StreamRef,
        change: SettingChange,
    ) -> Result<(), ServiceError> {
        if change.needs_commitment() {
            self.stream(now, stream)?;
            self.require_commitment(now)?;
        }
        let (settings, now_millis) = (Arc::clone(&self.settings), unix_millis(now));
        if let SettingChange::Mode { mode, .. } = &change {
            let found = self.stream(now, stream)?;
            let shards = found.open_shard_count() as u64;
            if found.settings.mode != *mode {
                self.require_room_in_mode(now_millis, *mode, shards)?;
            }
        }
        self.stream(now, stream)?.change(change, &settings.limits, now_millis, settings.delays.updating)
    }

    /// The shard that a text names; one that cannot name any is refused before the stream is looked for.
    pub(super) fn shard_id(&self, stream: &StreamRef, text: &str) -> Result<ShardId, ServiceError> {
        resolve_shard_id(text).ok_or_else(|| {
            let (name, account) = (&stream.name, &self.place.account);
            ServiceError::not_found(format!("Could not find shard {text} in stream {name} under account {account}."))
        })
    }

    /// Drops every record of a stream that arrived before `horizon`, as if its retention had passed.
    pub(crate) fn trim(&mut self, now: SystemTime, name: &StreamName, horizon: SystemTime) -> Result<(), ServiceError> {
        let stream = self.stream(now, &StreamRef::named(name.clone()))?;
        stream.trim_before(unix_millis(horizon), unix_millis(now));
        Ok(())
    }

    /// The records and bytes that a stream holds.
    pub(crate) fn stored(&mut self, now: SystemTime, name: &StreamName) -> Result<(u64, u64), ServiceError> {
        let stream = self.stream(now, &StreamRef::named(name.clone()))?;
        stream.trim(unix_millis(now));
        Ok(stream.stored())
    }

    pub(super) fn wake_all(&mut self) {
        for stream in self.streams.values_mut() {
            stream.wake_all();
        }
    }

    /// How many records were ever put into a stream; nothing where there is no such stream.
    pub(crate) fn ever_put(&self, name: &StreamName) -> Option<u64> {
        self.streams.get(name).map(|stream| stream.next_index - 1)
    }

    fn require_room_for_stream(&mut self, now_millis: u64, options: &StreamOptions) -> Result<(), ServiceError> {
        if let Some(most) = self.settings.limits.creating {
            let creating = self.streams(now_millis).filter(|stream| stream.status() == StreamStatus::Creating).count();
            if creating >= most as usize {
                return Err(ServiceError::limit_exceeded(control::too_many_streams(&self.place.account)));
            }
        }
        self.require_room_in_mode(now_millis, options.mode, u64::from(options.shards))
    }

    /// Refuses one more stream of a mode, or its shards, beyond the account's quotas.
    fn require_room_in_mode(&mut self, now_millis: u64, mode: StreamMode, shards: u64) -> Result<(), ServiceError> {
        if mode == StreamMode::Provisioned {
            return self.require_shards(now_millis, shards);
        }
        let Some(most) = self.settings.limits.on_demand_streams else { return Ok(()) };
        let on_demand = self.streams(now_millis).filter(|it| it.settings.mode == StreamMode::OnDemand).count();
        if on_demand < most as usize {
            return Ok(());
        }
        let account = &self.place.account;
        Err(ServiceError::limit_exceeded(format!(
            "This request would exceed the limit of on-demand streams for the account {account}: {on_demand}."
        )))
    }

    /// Refuses shards beyond the account's quota; a stream on demand does not count.
    fn require_room_for_shards(&mut self, now_millis: u64, stream: &StreamRef, more: u64) -> Result<(), ServiceError> {
        let provisioned =
            self.find(now_millis, &stream.name).is_some_and(|it| it.settings.mode == StreamMode::Provisioned);
        if provisioned { self.require_shards(now_millis, more) } else { Ok(()) }
    }

    fn require_shards(&mut self, now_millis: u64, more: u64) -> Result<(), ServiceError> {
        // Without a quota there is still a bound for a stream, since each shard takes memory.
        let (quota, open) = match self.settings.limits.shard_quota(&self.place.region) {
            Some(quota) => (quota, self.open_shards(now_millis)),
            None => (MAX_SHARDS, 0),
        };
        if open + more <= u64::from(quota) {
            return Ok(());
        }
        let Place { account, region } = &self.place;
        Err(ServiceError::limit_exceeded(format!(
            "This request would exceed the shard limit for the account {account} in {region}. Current shard count for \
             the account: {open}. Limit: {quota}. Number of additional shards that would have resulted from this \
             request: {more}. Refer to the AWS Service Limits page \
             (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for current limits and how to \
             request higher limits."
        )))
    }

    /// The open shards of all provisioned streams.
    pub(super) fn open_shards(&mut self, now_millis: u64) -> u64 {
        let provisioned = |stream: &&Stream| stream.settings.mode == StreamMode::Provisioned;
        self.streams(now_millis).filter(provisioned).map(|stream| stream.open_shard_count() as u64).sum()
    }
}

/// Refuses a listing of a stream whose shards are not there yet, or are on their way out.
pub(super) fn require_settled(stream: &Stream) -> Result<(), ServiceError> {
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
        settings: stream.settings.clone(),
        created_at: stream.created_at(),
        open_shards: stream.shown_open_shards(),
        consumers: stream.consumers.count(),
    }
}
