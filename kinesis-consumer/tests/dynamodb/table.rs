//! The stream of a table, as DynamoDB answers for it: the three calls, below the real SDK.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sdk_dynamodbstreams::config::retry::RetryConfig;
use aws_sdk_dynamodbstreams::config::{BehaviorVersion, Config, Credentials, Region};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::date_time::{DateTime, Format};
use kinesis_core::{Clock, TokioClock, from_unix_millis, unix_millis};
use parking_lot::Mutex;
use serde_json::{Value, json};

pub(crate) const ARN: &str = "arn:aws:dynamodb:eu-central-1:123456789012:table/Orders/stream/2026-11-01T00:00:00.000";
const RETENTION: Duration = Duration::from_secs(24 * 3600);
/// Shards to a page of DescribeStream; the service's is a hundred.
const SHARDS_PER_PAGE: usize = 3;
const ITERATOR_LIFE: Duration = Duration::from_secs(15 * 60);

/// A change of an item: its version rises with each.
#[derive(Clone, Debug)]
struct Change {
    number: u128,
    created: SystemTime,
    key: u8,
    version: u64,
}

#[derive(Clone, Debug)]
struct Shard {
    id: String,
    parent: Option<String>,
    /// The keys that it takes.
    keys: std::ops::Range<u16>,
    changes: Vec<Change>,
    closed_at: Option<SystemTime>,
}

/// What the service is to do out of the ordinary.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// Of each shard, so many listings do not have it.
    pub(crate) unlisted: BTreeMap<String, u32>,
    /// So many calls of each operation are refused for their rate.
    pub(crate) limited: BTreeMap<&'static str, u32>,
    /// So many replies without records come before each that has some.
    pub(crate) empty_before_records: u32,
    /// So many iterators count as expired at their first use.
    pub(crate) expired: u32,
    /// So many reads find that what their iterator stands at was trimmed.
    pub(crate) trimmed: u32,
}

#[derive(Debug)]
struct Inner {
    clock: TokioClock,
    created_at: SystemTime,
    shards: Vec<Shard>,
    next_number: u128,
    versions: BTreeMap<u8, u64>,
    faults: Faults,
    calls: BTreeMap<&'static str, u32>,
}

/// The stream of a table.
#[derive(Clone, Debug)]
pub(crate) struct Table(Arc<Mutex<Inner>>);

impl Table {
    /// One shard, on a clock that moves with tokio's.
    pub(crate) fn new() -> Self {
        let clock = TokioClock::starting_at(from_unix_millis(1_764_000_000_250));
        let created_at = clock.now();
        let mut inner = Inner {
            clock,
            created_at,
            shards: Vec::new(),
            next_number: 20_500_000_000_000_000_910,
            versions: BTreeMap::new(),
            faults: Faults::default(),
            calls: BTreeMap::new(),
        };
        inner.open(None, 0..256);
        Self(Arc::new(Mutex::new(inner)))
    }

    pub(crate) fn clock(&self) -> TokioClock {
        self.0.lock().clock
    }

    pub(crate) fn faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.0.lock().faults);
    }

    pub(crate) fn calls(&self, operation: &str) -> u32 {
        self.0.lock().calls.get(operation).copied().unwrap_or_default()
    }

    /// What was called.
    pub(crate) fn operations(&self) -> BTreeSet<String> {
        self.0.lock().calls.keys().map(ToString::to_string).collect()
    }

    /// Changes an item.
    pub(crate) fn put(&self, key: u8) {
        self.0.lock().put(key);
    }

    /// The last version of every item.
    pub(crate) fn versions(&self) -> BTreeMap<u8, u64> {
        self.0.lock().versions.clone()
    }

    /// The ids of the open shards.
    pub(crate) fn open(&self) -> Vec<String> {
        let inner = self.0.lock();
        inner.shards.iter().filter(|shard| shard.closed_at.is_none()).map(|shard| shard.id.clone()).collect()
    }

    /// Goes on in one new shard for each open one, as DynamoDB does every few hours.
    pub(crate) fn roll(&self) {
        self.0.lock().replace_open(|keys| vec![keys]);
    }

    /// Goes on in two new shards for each open one.
    pub(crate) fn split(&self) {
        self.0.lock().replace_open(|keys| {
            let middle = u16::midpoint(keys.start, keys.end);
            vec![keys.start..middle, middle..keys.end]
        });
    }

    /// Is switched off and on again: another stream, of which the ARN is kept here.
    pub(crate) fn recreate(&self) {
        let mut inner = self.0.lock();
        inner.created_at = inner.clock.now();
        inner.shards.clear();
        inner.open(None, 0..256);
    }

    pub(crate) fn sdk(&self) -> aws_sdk_dynamodbstreams::Client {
        let config = Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::new("AKIDTEST", "secret", None, None, "test"))
            // As users have it: the adapter switches it off.
            .retry_config(RetryConfig::standard())
            .http_client(SharedHttpClient::new(self.clone()));
        aws_sdk_dynamodbstreams::Client::from_conf(config.build())
    }
}

impl Inner {
    fn open(&mut self, parent: Option<String>, keys: std::ops::Range<u16>) {
        let made = unix_millis(self.clock.now());
        let id = format!("shardId-{made:020}-{:08x}", self.shards.len());
        self.shards.push(Shard { id, parent, keys, changes: Vec::new(), closed_at: None });
    }

    fn put(&mut self, key: u8) {
        let version = self.versions.entry(key).or_default();
        *version += 1;
        let version = *version;
        self.next_number += 1;
        // The service rounds down to the second.
        let created = from_unix_millis(unix_millis(self.clock.now()) / 1000 * 1000);
        let change = Change { number: self.next_number, created, key, version };
        let takes = |shard: &&mut Shard| shard.closed_at.is_none() && shard.keys.contains(&u16::from(key));
        self.shards.iter_mut().find(takes).expect("every key has an open shard").changes.push(change);
    }

    fn replace_open(&mut self, heirs: impl Fn(std::ops::Range<u16>) -> Vec<std::ops::Range<u16>>) {
        let now = self.clock.now();
        let mut children = Vec::new();
        for shard in self.shards.iter_mut().filter(|shard| shard.closed_at.is_none()) {
            shard.closed_at = Some(now);
            children.extend(heirs(shard.keys.clone()).into_iter().map(|keys| (shard.id.clone(), keys)));
        }
        children.into_iter().for_each(|(parent, keys)| self.open(Some(parent), keys));
    }

    /// What is kept, at this time.
    fn trim(&mut self) {
        let horizon = self.clock.now() - RETENTION;
        self.shards.retain(|shard| shard.closed_at.is_none_or(|at| at >= horizon));
    }

    fn answer(&mut self, operation: &'static str, request: &Value) -> Result<Value, (&'static str, String)> {
        *self.calls.entry(operation).or_default() += 1;
        if let Some(left) = self.faults.limited.get_mut(operation).filter(|left| **left > 0) {
            *left -= 1;
            return Err(("LimitExceededException", "Rate exceeded".to_owned()));
        }
        self.trim();
        match operation {
            "DescribeStream" => self.describe_stream(request),
            "GetShardIterator" => self.get_shard_iterator(request),
            _ => self.get_records(request),
        }
    }

    fn describe_stream(&mut self, request: &Value) -> Result<Value, (&'static str, String)> {
        if request["StreamArn"] != ARN {
            return Err((
                "ResourceNotFoundException",
                format!("Requested resource not found: Stream: {ARN} not found"),
            ));
        }
        let is_listing = request["Limit"].is_null();
        let after = request["ExclusiveStartShardId"].as_str().map(str::to_owned);
        let listed: Vec<&Shard> =
            self.shards.iter().filter(|shard| !self.faults.unlisted.contains_key(&shard.id)).collect();
        let from = after.map_or(0, |after| 1 + listed.iter().position(|shard| shard.id == after).unwrap_or_default());
        let page = &listed[from.min(listed.len())..(from + SHARDS_PER_PAGE).min(listed.len())];
        let is_last = from + SHARDS_PER_PAGE >= listed.len();
        let shards: Vec<Value> = page.iter().map(|shard| shard.described()).collect();
        let last = (!is_last).then(|| page.last().map(|shard| shard.id.clone())).flatten();
        if is_listing && is_last {
            self.faults.unlisted.retain(|_, left| {
                *left -= 1;
                *left > 0
            });
        }
        let created_at = unix_millis(self.created_at) as f64 / 1000.0;
        Ok(json!({"StreamDescription": {
            "StreamArn": ARN, "StreamLabel": "2026-11-01T00:00:00.000", "StreamStatus": "ENABLED",
            "StreamViewType": "NEW_AND_OLD_IMAGES", "CreationRequestDateTime": created_at, "TableName": "Orders",
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "Shards": shards, "LastEvaluatedShardId": last,
        }}))
    }

    fn shard(&self, id: &str) -> Result<&Shard, (&'static str, String)> {
        let found = self.shards.iter().find(|shard| shard.id == id);
        found.ok_or_else(|| {
            ("ResourceNotFoundException", format!("Requested resource not found: Shard: {id} not found"))
        })
    }

    fn get_shard_iterator(&self, request: &Value) -> Result<Value, (&'static str, String)> {
        let shard = self.shard(request["ShardId"].as_str().unwrap_or_default())?;
        let kept = shard.first_kept(self.clock.now());
        let position = || -> Result<usize, (&'static str, String)> {
            let number: u128 =
                request["SequenceNumber"].as_str().and_then(|text| text.parse().ok()).unwrap_or_default();
            let at = shard.changes.iter().position(|change| change.number == number);
            at.filter(|at| *at >= kept).ok_or_else(|| {
                let text = "The operation attempted to read past the oldest stream record in a shard.";
                ("TrimmedDataAccessException", text.to_owned())
            })
        };
        let at = match request["ShardIteratorType"].as_str().unwrap_or_default() {
            "TRIM_HORIZON" => 0,
            "LATEST" => shard.changes.len(),
            "AT_SEQUENCE_NUMBER" => position()?,
            "AFTER_SEQUENCE_NUMBER" => position()? + 1,
            other => return Err(("ValidationException", format!("{other} is no type of an iterator"))),
        };
        Ok(json!({"ShardIterator": self.iterator(&shard.id, at, self.faults.empty_before_records)}))
    }

    /// As the service's: with characters that others give a meaning.
    fn iterator(&self, shard: &str, at: usize, empty: u32) -> String {
        format!("{ARN}|1;{shard};{at};{empty};{}", unix_millis(self.clock.now()))
    }

    fn get_records(&mut self, request: &Value) -> Result<Value, (&'static str, String)> {
        let text = request["ShardIterator"].as_str().unwrap_or_default();
        let parts: Vec<&str> = text.split(';').collect();
        let [_, id, at, empty, given] = parts[..] else {
            return Err(("ValidationException", format!("{text} is no iterator")));
        };
        let given = from_unix_millis(given.parse().unwrap_or_default());
        let is_expired = self.clock.now().duration_since(given).unwrap_or_default() > ITERATOR_LIFE;
        if is_expired || self.faults.expired > 0 {
            self.faults.expired = self.faults.expired.saturating_sub(1);
            return Err(("ExpiredIteratorException", "Iterator expired".to_owned()));
        }
        let limit = request["Limit"].as_u64().unwrap_or(1000);
        if limit > 1000 {
            return Err(("ValidationException", "Limit is at most 1000".to_owned()));
        }
        let shard = self.shard(id)?;
        let (at, empty): (usize, u32) = (at.parse().unwrap_or_default(), empty.parse().unwrap_or_default());
        let kept = shard.first_kept(self.clock.now());
        if (at > 0 && at < kept) || self.faults.trimmed > 0 {
            self.faults.trimmed = self.faults.trimmed.saturating_sub(1);
            return Err((
                "TrimmedDataAccessException",
                "The data you are trying to access has been trimmed".to_owned(),
            ));
        }
        let at = at.max(kept);
        if empty > 0 && at < shard.changes.len() {
            return Ok(json!({"Records": [], "NextShardIterator": self.iterator(id, at, empty - 1)}));
        }
        let until = shard.changes.len().min(at + limit.min(10) as usize);
        let records: Vec<Value> = shard.changes[at..until].iter().map(Change::described).collect();
        let is_end = shard.closed_at.is_some() && until == shard.changes.len();
        let next = (!is_end).then(|| self.iterator(id, until, self.faults.empty_before_records));
        Ok(json!({"Records": records, "NextShardIterator": next}))
    }
}

impl Shard {
    fn described(&self) -> Value {
        let first = self.changes.first().map_or(0, |change| change.number);
        let last = self.changes.last().map_or(first, |change| change.number);
        let end = self.closed_at.map(|_| last.to_string());
        let range = json!({"StartingSequenceNumber": first.to_string(), "EndingSequenceNumber": end});
        json!({"ShardId": self.id, "ParentShardId": self.parent, "SequenceNumberRange": range})
    }

    /// The index of the oldest change that is kept.
    fn first_kept(&self, now: SystemTime) -> usize {
        let horizon = now - RETENTION;
        self.changes.iter().position(|change| change.created >= horizon).unwrap_or(self.changes.len())
    }
}

impl Change {
    fn described(&self) -> Value {
        let key = json!({"id": {"S": format!("order-{}", self.key)}});
        let mut image = key.clone();
        image["version"] = json!({"N": self.version.to_string()});
        json!({
            "eventID": format!("event-{}", self.number), "eventName": if self.version == 1 { "INSERT" } else { "MODIFY" },
            "eventVersion": "1.1", "eventSource": "aws:dynamodb", "awsRegion": "eu-central-1",
            "dynamodb": {
                "ApproximateCreationDateTime": unix_millis(self.created) / 1000, "Keys": key, "NewImage": image,
                "SequenceNumber": self.number.to_string(), "SizeBytes": 30, "StreamViewType": "NEW_AND_OLD_IMAGES",
            },
        })
    }
}

impl HttpClient for Table {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Table {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default().to_owned();
        let names = ["DescribeStream", "GetShardIterator", "GetRecords"];
        let operation = names.into_iter().find(|name| target == format!("DynamoDBStreams_20120810.{name}"));
        let body: Value = serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap_or_default();
        let table = self.clone();
        HttpConnectorFuture::new(async move {
            // A network of some kind, so that time goes on while calls are made.
            tokio::time::sleep(Duration::from_millis(5)).await;
            let answer = match operation {
                Some(operation) => table.0.lock().answer(operation, &body),
                None => Err(("UnknownOperationException", target)),
            };
            let (status, body) = match answer {
                Ok(body) => (200, body),
                Err((code, message)) => {
                    let code = format!("com.amazonaws.dynamodb.v20120810#{code}");
                    (400, json!({"__type": code, "message": message}))
                }
            };
            let status = StatusCode::try_from(status).expect("a status");
            let mut response = HttpResponse::new(status, SdkBody::from(body.to_string()));
            let date = DateTime::from(table.clock().now()).fmt(Format::HttpDate).expect("a date");
            response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
            response.headers_mut().insert("date", date);
            response.headers_mut().insert("x-amzn-requestid", "REQUEST");
            Ok(response)
        })
    }
}
