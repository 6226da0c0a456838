//! A server that is killed under load, again and again.
//!
//! `KILLS=100 cargo test -p kinesis-testkit --test durable killed` for more rounds than the few of every run.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, ShardIteratorType};
use aws_smithy_types::retry::RetryConfig;
use kinesis_core::{RandomStream, Randomness};
use parking_lot::Mutex;
use tokio::task::JoinSet;

const STREAM: &str = "orders";
const ROUNDS: u64 = 5;
const WRITERS: u64 = 8;
/// The most calls that are answered before the kill.
const MOST_CALLS: u64 = 60;
const LIMIT: Duration = Duration::from_secs(60);

/// What the server has acknowledged, over all rounds.
#[derive(Clone, Debug, Default)]
struct Acknowledged {
    /// Shard and sequence number of each text.
    records: BTreeMap<String, (String, String)>,
    tags: BTreeSet<String>,
    streams: BTreeSet<String>,
    shards: BTreeSet<String>,
}

struct Server {
    process: Child,
    client: Client,
}

impl Server {
    fn start(directory: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_kinesis-testkit"))
            .args(["serve", "--port", "0", "--stream", "orders:4", "--directory"])
            .arg(directory)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut ready).unwrap();
        let url = ready.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("{ready:?}"));
        let config = aws_sdk_kinesis::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
            .retry_config(RetryConfig::disabled())
            .endpoint_url(url)
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build();
        Self { process, client: Client::from_conf(config) }
    }
}

/// SIGKILL: the server gets no say. Also where a test fails, so that none is left behind.
impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Puts records until the server is gone.
async fn write(
    client: Client,
    name: String,
    mut random: RandomStream,
    all: Arc<Mutex<Acknowledged>>,
    calls: Arc<AtomicU64>,
) {
    for call in 0_u64.. {
        let texts: Vec<String> = (0..=random.below(20)).map(|index| format!("{name}-{call}-{index}")).collect();
        let entry = |text: &String| {
            let padded = format!("{text}/{}", "x".repeat(random.below(2000) as usize));
            PutRecordsRequestEntry::builder().partition_key(text).data(Blob::new(padded)).build().unwrap()
        };
        let entries = texts.iter().map(entry).collect();
        let Ok(reply) = client.put_records().stream_name(STREAM).set_records(Some(entries)).send().await else {
            return;
        };
        let mut all = all.lock();
        for (text, stored) in texts.into_iter().zip(reply.records()) {
            let place = stored.shard_id().zip(stored.sequence_number()).map(|(id, number)| (id.into(), number.into()));
            all.records.insert(text, place.unwrap());
        }
        calls.fetch_add(1, Ordering::Relaxed);
    }
}

/// Tags, makes streams and splits shards until the server is gone.
async fn operate(client: Client, round: u64, all: Arc<Mutex<Acknowledged>>, calls: Arc<AtomicU64>) {
    for step in 0.. {
        let name = format!("r{round}-{step}");
        let tag = client.add_tags_to_stream().stream_name(STREAM).tags("last", &name);
        if tag.send().await.is_err() {
            return;
        }
        all.lock().tags = BTreeSet::from([name.clone()]);
        if step == 0 {
            if client.create_stream().stream_name(&name).shard_count(1).send().await.is_err() {
                return;
            }
            all.lock().streams.insert(name.clone());
            let shards = client.list_shards().stream_name(STREAM).send().await;
            let Ok(shards) = shards else { return };
            let open = shards
                .shards()
                .iter()
                .find(|it| it.sequence_number_range().unwrap().ending_sequence_number().is_none());
            let open = open.unwrap();
            let range = open.hash_key_range().unwrap();
            let (low, high): (u128, u128) =
                (range.starting_hash_key().parse().unwrap(), range.ending_hash_key().parse().unwrap());
            let split = client.split_shard().stream_name(STREAM).shard_to_split(open.shard_id());
            if split.new_starting_hash_key((low + (high - low) / 2).to_string()).send().await.is_err() {
                return;
            }
            all.lock().shards.insert(open.shard_id().to_owned());
        }
        calls.fetch_add(1, Ordering::Relaxed);
    }
}

/// Everything in the stream: where each text is.
async fn stored(client: &Client) -> BTreeMap<String, (String, String)> {
    let mut stored = BTreeMap::new();
    let shards = client.list_shards().stream_name(STREAM).send().await.unwrap();
    for shard in shards.shards() {
        let iterator = client.get_shard_iterator().stream_name(STREAM).shard_id(shard.shard_id());
        let iterator = iterator.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await.unwrap();
        let mut next = iterator.shard_iterator;
        let mut last = String::new();
        while let Some(iterator) = next {
            let read = client.get_records().shard_iterator(iterator).send().await.unwrap();
            for record in read.records() {
                let text = String::from_utf8(record.data().as_ref().to_vec()).unwrap();
                let (text, _) = text.split_once('/').unwrap();
                let number = record.sequence_number().to_owned();
                assert!(last.len() < number.len() || last < number, "{last} and then {number}");
                last.clone_from(&number);
                let before = stored.insert(text.to_owned(), (shard.shard_id().to_owned(), number));
                assert_eq!(before, None, "{text} is there twice");
            }
            next = read.next_shard_iterator.filter(|_| read.millis_behind_latest != Some(0));
        }
    }
    stored
}

async fn check(client: &Client, all: &Acknowledged) {
    let stored = stored(client).await;
    let missing: Vec<_> = all.records.iter().filter(|(text, place)| stored.get(*text) != Some(place)).collect();
    assert_eq!(missing, [], "{} were acknowledged, {} are there", all.records.len(), stored.len());
    let mut streams = BTreeSet::new();
    let mut pages = client.list_streams().into_paginator().send();
    while let Some(page) = pages.next().await {
        streams.extend(page.unwrap().stream_names);
    }
    assert!(all.streams.is_subset(&streams), "{:?} and {streams:?}", all.streams);
    let shards = client.list_shards().stream_name(STREAM).send().await.unwrap();
    let is_closed = |id: &String| {
        let shard = shards.shards().iter().find(|shard| shard.shard_id() == id);
        shard.is_some_and(|it| it.sequence_number_range().unwrap().ending_sequence_number().is_some())
    };
    assert!(all.shards.iter().all(is_closed), "{:?} were split: {shards:?}", all.shards);
}

/// The last tag that was acknowledged, or one that was on its way.
async fn check_tag(client: &Client, all: &Acknowledged) {
    let tags = client.list_tags_for_stream().stream_name(STREAM).send().await.unwrap();
    let Some(acknowledged) = all.tags.first() else { return };
    let found = tags.tags().first().and_then(|tag| tag.value()).unwrap_or_default().to_owned();
    let order = |tag: &str| {
        let (round, step) = tag[1..].split_once('-').unwrap();
        (round.parse::<u64>().unwrap(), step.parse::<u64>().unwrap())
    };
    assert!(order(&found) >= order(acknowledged), "{found}, and {acknowledged} was acknowledged");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_there_after_a_kill() {
    let rounds = std::env::var("KILLS").map_or(ROUNDS, |kills| kills.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let all = Arc::<Mutex<Acknowledged>>::default();
    let randomness = Randomness::from_seed(6);
    for round in 0..rounds {
        let server = Server::start(directory.path());
        let calls = Arc::<AtomicU64>::default();
        let mut tasks = JoinSet::new();
        for writer in 0..WRITERS {
            let (client, name) = (server.client.clone(), format!("r{round}-w{writer}"));
            let random = randomness.stream(&name);
            tasks.spawn(write(client, name, random, Arc::clone(&all), Arc::clone(&calls)));
        }
        tasks.spawn(operate(server.client.clone(), round, Arc::clone(&all), Arc::clone(&calls)));
        let wanted = randomness.stream(&format!("kill-{round}")).below(MOST_CALLS);
        let reached = async {
            while calls.load(Ordering::Relaxed) < wanted {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LIMIT, reached).await.unwrap_or_else(|_| panic!("round {round}: {wanted} calls"));
        drop(server);
        tokio::time::timeout(LIMIT, tasks.join_all()).await.unwrap_or_else(|_| panic!("round {round}: a call hangs"));
        let server = Server::start(directory.path());
        let acknowledged = all.lock().clone();
        check(&server.client, &acknowledged).await;
        check_tag(&server.client, &acknowledged).await;
        drop(server);
    }
    let all = all.lock();
    assert!(all.records.len() as u64 > rounds && !all.streams.is_empty(), "{} records say nothing", all.records.len());
    println!(
        "{rounds} kills: {} records, {} streams, {} splits acknowledged",
        all.records.len(),
        all.streams.len(),
        all.shards.len()
    );
}
