//! How many calls a second, over eight connections, with requests that were written before.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::target::{Remote, Target};

const STREAM: &str = "speed";
const CONNECTIONS: usize = 8;
const RUNS: usize = 5;
const DATA: [u8; 100] = [0xa5; 100];

type Failure = Box<dyn Error + Send + Sync>;

/// An operation, and how much faster than the others the first has to be.
struct Load {
    name: &'static str,
    operation: &'static str,
    records: usize,
    shards: u32,
    least: f64,
}

const LOADS: [Load; 3] = [
    Load { name: "PutRecords of 500 x 100 B", operation: "PutRecords", records: 500, shards: 4, least: 8.0 },
    Load { name: "GetRecords of 10,000", operation: "GetRecords", records: 10_000, shards: 1, least: 4.0 },
    Load { name: "PutRecord of 100 B", operation: "PutRecord", records: 1, shards: 4, least: 1.4 },
];

/// Measures all, in turns; whether the first is faster by what is promised.
pub(crate) async fn compare(
    peers: &[(String, SocketAddr)],
    seconds: f64,
    operation: Option<&str>,
) -> Result<bool, Box<dyn Error>> {
    let mut is_faster = true;
    for load in LOADS.iter().filter(|load| operation.is_none_or(|name| name == load.operation)) {
        let mut rates = vec![Vec::new(); peers.len()];
        for _ in 0..RUNS {
            for ((_, address), rates) in peers.iter().zip(&mut rates) {
                let rate = measure(*address, load, Duration::from_secs_f64(seconds)).await;
                rates.push(rate.map_err(|error| -> Box<dyn Error> { error })?);
            }
        }
        let medians: Vec<f64> = rates.iter_mut().map(|rates| median(rates)).collect();
        for ((name, _), median) in peers.iter().zip(&medians) {
            let (calls, records) = (median, median * load.records as f64);
            println!("{}, {name}: {calls:.0} calls/s, {records:.0} records/s", load.name);
        }
        for ((name, _), median) in peers.iter().zip(&medians).skip(1) {
            let ratio = medians[0] / median;
            let note = if ratio >= load.least { "kept" } else { "MISSED" };
            println!("{}, {} against {name}: {ratio:.2} x, {note}: at least {} x", load.name, peers[0].0, load.least);
            is_faster &= ratio >= load.least;
        }
    }
    Ok(is_faster)
}

fn median(rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// Calls a second.
async fn measure(address: SocketAddr, load: &Load, time: Duration) -> Result<f64, Failure> {
    let remote = Target::Remote(Remote::new(address).settling());
    Remote::new(address).empty().await?;
    call(&remote, "CreateStream", &json!({ "StreamName": STREAM, "ShardCount": load.shards })).await?;
    let request = http(load.operation, &body(&remote, load).await?);
    let begin = Instant::now();
    let mut connections = JoinSet::new();
    for _ in 0..CONNECTIONS {
        connections.spawn(repeat(address, request.clone(), begin + time));
    }
    let mut calls = 0;
    while let Some(done) = connections.join_next().await {
        calls += done??;
    }
    let rate = f64::from(calls) / begin.elapsed().as_secs_f64();
    Remote::new(address).empty().await?;
    Ok(rate)
}

async fn call(remote: &Target, operation: &str, body: &Value) -> Result<Value, Failure> {
    let (status, reply) = remote.call(operation, &body.to_string()).await?;
    remote.settle().await;
    if status != 200 {
        return Err(format!("{operation}: {status} {reply}").into());
    }
    Ok(serde_json::from_str(&reply).unwrap_or_default())
}

/// The body of the load's request.
async fn body(remote: &Target, load: &Load) -> Result<String, Failure> {
    let data = STANDARD.encode(DATA);
    let entry = |n: usize| json!({ "Data": data, "PartitionKey": format!("key-{n:08}") });
    let batch = |count: usize| json!({ "StreamName": STREAM, "Records": (0..count).map(entry).collect::<Vec<_>>() });
    Ok(match load.operation {
        "PutRecord" => json!({ "StreamName": STREAM, "Data": data, "PartitionKey": "key-00000000" }).to_string(),
        "PutRecords" => batch(load.records).to_string(),
        _ => {
            for _ in 0..load.records / 500 {
                call(remote, "PutRecords", &batch(500)).await?;
            }
            let start =
                json!({ "StreamName": STREAM, "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON" });
            let iterator = call(remote, "GetShardIterator", &start).await?;
            let read = json!({ "ShardIterator": iterator["ShardIterator"], "Limit": load.records });
            let count = call(remote, "GetRecords", &read).await?["Records"].as_array().map_or(0, Vec::len);
            if count != load.records {
                return Err(format!("GetRecords returns {count} records").into());
            }
            read.to_string()
        }
    })
}

async fn repeat(address: SocketAddr, request: Vec<u8>, end: Instant) -> Result<u32, Failure> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut calls, mut answer) = (0, Vec::with_capacity(2 * 1024 * 1024));
    while Instant::now() < end {
        stream.write_all(&request).await?;
        read_answer(&mut stream, &mut answer).await?;
        calls += 1;
    }
    Ok(calls)
}

async fn read_answer(stream: &mut TcpStream, answer: &mut Vec<u8>) -> Result<(), Failure> {
    answer.clear();
    let mut whole = None;
    loop {
        if stream.read_buf(answer).await? == 0 {
            return Err("the connection was closed".into());
        }
        if whole.is_none()
            && let Some(at) = answer.windows(4).take(1024).position(|window| window == b"\r\n\r\n")
        {
            let head = std::str::from_utf8(&answer[..at])?.to_lowercase();
            if !head.starts_with("http/1.1 200") {
                return Err(head.into());
            }
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            whole = Some(length.map(|length| length.parse::<usize>()).transpose()?.map(|length| at + 4 + length));
        }
        match whole {
            Some(Some(length)) if answer.len() >= length => return Ok(()),
            Some(None) if answer.ends_with(b"\r\n0\r\n\r\n") => return Ok(()),
            _ => {}
        }
    }
}

fn http(operation: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST / HTTP/1.1\r\nhost: kinesis\r\ncontent-length: {length}\r\ncontent-type: application/x-amz-json-1.1\r\n\
         x-amz-target: Kinesis_20131202.{operation}\r\nx-amz-date: 20260101T000000Z\r\nauthorization: \
         AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/kinesis/aws4_request, SignedHeaders=host, \
         Signature=0\r\n\r\n{body}"
    )
    .into_bytes()
}
